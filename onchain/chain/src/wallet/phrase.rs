//! Recovery phrases: words, the entropy behind them, and the master key that comes of it.

use std::fmt;

use bip39::{Language, Mnemonic};
use cryptoxide::{hashing::sha2::Sha512, pbkdf2::pbkdf2};
use ed25519_bip32::{XPRV_SIZE, XPrv};
use zeroize::Zeroizing;

use super::WalletError;

/// Rounds of PBKDF2 in the Icarus scheme.
const ICARUS_ROUNDS: u32 = 4096;

/// How many words a new phrase has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PhraseLength {
    /// 12 words, 128 bits.
    Words12,
    /// 15 words, 160 bits.
    Words15,
    /// 24 words, 256 bits.
    #[default]
    Words24,
}

impl PhraseLength {
    fn entropy_bytes(self) -> usize {
        match self {
            Self::Words12 => 16,
            Self::Words15 => 20,
            Self::Words24 => 32,
        }
    }
}

/// An English recovery phrase, wiped from memory on drop and never shown by `Debug`.
#[derive(Clone)]
pub struct Phrase(Mnemonic);

impl Phrase {
    /// A new phrase from random bits, which the caller draws: the first of them for a shorter phrase.
    pub fn from_entropy(entropy: &Zeroizing<[u8; 32]>, length: PhraseLength) -> Result<Self, WalletError> {
        let (entropy, _) = entropy.split_at(length.entropy_bytes());
        Ok(Self(Mnemonic::from_entropy_in(Language::English, entropy).map_err(WalletError::Phrase)?))
    }

    /// Reads 12 to 24 English words with any white space between them, in either case.
    pub fn parse(words: &str) -> Result<Self, WalletError> {
        let lower = Zeroizing::new(words.to_ascii_lowercase());
        // Borrowed: a copy that the parser made of a text of its own would not be wiped.
        Ok(Self(Mnemonic::parse_in_normalized(Language::English, &lower).map_err(WalletError::Phrase)?))
    }

    /// The words, with one space between two.
    pub fn words(&self) -> Zeroizing<String> {
        // Room for 24 words of 8 letters, so that no copy is left behind by growing.
        let mut text = Zeroizing::new(String::with_capacity(24 * 9));
        for (position, word) in self.0.words().enumerate() {
            if position > 0 {
                text.push(' ');
            }
            text.push_str(word);
        }
        text
    }

    /// The word at a position, from 1.
    pub fn word(&self, position: usize) -> Option<&'static str> {
        self.0.words().nth(position.checked_sub(1)?)
    }

    /// How many words there are.
    pub fn word_count(&self) -> usize {
        self.0.word_count()
    }

    /// The Icarus root key: PBKDF2-HMAC-SHA512 over the second factor, with the entropy as salt, and with the bits set
    /// that BIP32-Ed25519 asks for.
    pub(super) fn master_key(&self, second_factor: &str) -> XPrv {
        let (entropy, length) = self.0.to_entropy_array();
        let entropy = Zeroizing::new(entropy);
        let (entropy, _) = entropy.split_at(length);
        let mut bytes = Zeroizing::new([0; XPRV_SIZE]);
        pbkdf2::<Sha512>(second_factor.as_bytes(), entropy, ICARUS_ROUNDS, bytes.as_mut_slice());
        XPrv::normalize_bytes_force3rd(*bytes)
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phrase({} words)", self.word_count())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::wallet::Wallet;

    const CIP_3: &str = "eight country switch draw meat scout mystery blade tip drift useless good keep usage title";

    /// The vectors of CIP-3, Icarus, without and with a passphrase.
    #[test]
    fn the_master_key_is_that_of_cip_3() {
        let phrase = Phrase::parse(CIP_3).unwrap();
        let plain = "c065afd2832cd8b087c4d9ab7011f481ee1e0721e78ea5dd609f3ab3f156d245\
                     d176bd8fd4ec60b4731c3918a2a72a0226c0cd119ec35b47e4d55884667f552a\
                     23f7fdcd4a10c6cd2c7393ac61d877873e248f417634aa3d812af327ffe9d620";
        let with_passphrase = "70531039904019351e1afb361cd1b312a4d0565d4ff9f8062d38acf4b15cce41\
                               d7b5738d9c893feea55512a3004acb0d222c35d3e3d5cde943a15a9824cbac59\
                               443cf67e589614076ba01e354b1a432e0e6db3b59e37fc56b5fb0222970a010e";
        assert_eq!(hex::encode(phrase.master_key("").as_ref()), plain);
        assert_eq!(hex::encode(phrase.master_key("foo").as_ref()), with_passphrase);
    }

    #[test]
    fn a_new_phrase_restores_the_same_wallet_however_it_is_spaced_and_written() {
        let entropy = Zeroizing::new(std::array::from_fn(|i| u8::try_from(i).unwrap()));
        let phrase = Phrase::from_entropy(&entropy, PhraseLength::Words24).unwrap();
        let words = phrase.words();
        assert!(words.starts_with("abandon amount liar amount expire adjust cage candy arch gather drum bullet"));
        assert_eq!((phrase.word_count(), phrase.word(1), phrase.word(25)), (24, Some("abandon"), None));
        let spaced = words.replace(' ', "  \n").to_uppercase();
        let first = Wallet::from_mnemonic(&words, 0, 0).unwrap();
        assert_eq!(first.address(), Wallet::from_mnemonic(&spaced, 0, 0).unwrap().address());
        assert_ne!(first.address(), Wallet::from_mnemonic(&words, 0, 1).unwrap().address());
        for (length, count) in [(PhraseLength::Words12, 12), (PhraseLength::Words15, 15)] {
            assert_eq!(Phrase::from_entropy(&entropy, length).unwrap().word_count(), count);
        }
    }

    #[test]
    fn debug_output_shows_no_word() {
        assert_eq!(format!("{:?}", Phrase::parse(CIP_3).unwrap()), "Phrase(15 words)");
    }
}

//! A wallet: a payment key and a stake key from a recovery phrase, the addresses they own, and signatures.
//!
//! [BIP-39](https://github.com/bitcoin/bips/blob/master/bip-0039.mediawiki) words, the Icarus master key of
//! [CIP-3](https://cips.cardano.org/cip/CIP-3) and the paths of [CIP-1852](https://cips.cardano.org/cip/CIP-1852):
//! the same words give the same addresses as in any Cardano wallet.

use std::fmt;

use bip39::{Language, Mnemonic};
use cryptoxide::{hashing::sha2::Sha512, pbkdf2::pbkdf2};
use ed25519_bip32::{DerivationScheme, Signature, XPRV_SIZE, XPrv};
use nunet_ledger::{Address, Credential, KeyHash, RewardAccount, TxId, VKeyWitness, hash::blake2b_224};
use zeroize::Zeroizing;

/// Marks a hardened step of a derivation path.
const HARDENED: u32 = 1 << 31;

/// Rounds of PBKDF2 in the Icarus scheme.
const ICARUS_ROUNDS: u32 = 4096;

/// Why there is no wallet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalletError {
    /// The recovery phrase is none.
    #[error("the recovery phrase cannot be read: {0}; check the words and their order")]
    Phrase(bip39::Error),
    /// No such account.
    #[error("account {0} is out of range: use 0 to 2147483647")]
    Account(u32),
    /// No such network.
    #[error("network id {0} is unknown: use 1 for mainnet and 0 for every other network")]
    Network(u8),
}

/// The keys of one account, and what they own.
///
/// Secret keys are wiped from memory on drop, and no output of this type ever shows them.
#[derive(Clone)]
pub struct Wallet {
    network_id: u8,
    payment: SigningKey,
    stake: SigningKey,
}

/// A secret key beside its public half, which is derived once.
#[derive(Clone)]
struct SigningKey {
    secret: XPrv,
    public: [u8; 32],
    hash: KeyHash,
}

impl SigningKey {
    fn new(secret: XPrv) -> Self {
        let public = secret.public().public_key();
        Self { secret, public, hash: KeyHash(blake2b_224(&public)) }
    }

    fn sign(&self, id: &TxId) -> VKeyWitness {
        let signature: Signature<TxId> = self.secret.sign(&id.0);
        VKeyWitness { key: self.public, signature: *signature.to_bytes() }
    }
}

impl Wallet {
    /// A new recovery phrase of 24 English words from 256 random bits, which the caller draws.
    pub fn generate(entropy: [u8; 32]) -> Result<Zeroizing<String>, WalletError> {
        let entropy = Zeroizing::new(entropy);
        let phrase = Mnemonic::from_entropy(entropy.as_slice()).map_err(WalletError::Phrase)?;
        Ok(Zeroizing::new(phrase.to_string()))
    }

    /// The wallet of an English recovery phrase (12 to 24 words, no passphrase).
    ///
    /// `network_id` is 1 on mainnet and 0 elsewhere; the keys are `m/1852'/1815'/account'/0/0` for payments and
    /// `m/1852'/1815'/account'/2/0` for the stake account.
    pub fn from_mnemonic(words: &str, network_id: u8, account: u32) -> Result<Self, WalletError> {
        if network_id > 1 {
            return Err(WalletError::Network(network_id));
        }
        if account >= HARDENED {
            return Err(WalletError::Account(account));
        }
        let phrase = Mnemonic::parse_in(Language::English, words).map_err(WalletError::Phrase)?;
        let entropy = Zeroizing::new(phrase.to_entropy());
        let account = [1852, 1815, account]
            .into_iter()
            .fold(master_key(&entropy), |key, step| key.derive(DerivationScheme::V2, HARDENED | step));
        let child = |role: u32| {
            let role = account.derive(DerivationScheme::V2, role);
            SigningKey::new(role.derive(DerivationScheme::V2, 0))
        };
        Ok(Self { network_id, payment: child(0), stake: child(2) })
    }

    /// The base address: the payment key with the stake key. Receives change.
    pub fn address(&self) -> Address {
        let stake = Some(Credential::Key(self.stake.hash));
        Address::new(self.network_id, Credential::Key(self.payment.hash), stake)
    }

    /// The payment key alone, a shorter address that delegates nothing.
    pub fn enterprise_address(&self) -> Address {
        Address::new(self.network_id, Credential::Key(self.payment.hash), None)
    }

    /// The stake account.
    pub fn stake_account(&self) -> RewardAccount {
        RewardAccount { network_id: self.network_id, credential: Credential::Key(self.stake.hash) }
    }

    /// The hash of the payment key.
    pub fn key_hash(&self) -> KeyHash {
        self.payment.hash
    }

    /// The hash of the stake key.
    pub fn stake_key_hash(&self) -> KeyHash {
        self.stake.hash
    }

    /// The payment key's signature.
    pub fn sign(&self, id: &TxId) -> VKeyWitness {
        self.payment.sign(id)
    }

    /// The signature of whichever of the wallet's keys has this hash.
    pub fn sign_as(&self, key: &KeyHash, id: &TxId) -> Option<VKeyWitness> {
        [&self.payment, &self.stake].into_iter().find(|candidate| candidate.hash == *key).map(|key| key.sign(id))
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// The Icarus root key: PBKDF2-HMAC-SHA512 over the entropy as salt and an empty passphrase, with the bits set that
/// BIP32-Ed25519 asks for.
fn master_key(entropy: &[u8]) -> XPrv {
    let mut bytes = Zeroizing::new([0; XPRV_SIZE]);
    pbkdf2::<Sha512>(&[], entropy, ICARUS_ROUNDS, bytes.as_mut_slice());
    XPrv::normalize_bytes_force3rd(*bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use pallas_crypto::key::ed25519::{PublicKey, Signature};

    use super::*;

    const TEST_WALK: &str = "test walk nut penalty hip pave soap entry language right filter choice";
    const ART_FORUM: &str =
        "art forum devote street sure rather head chuckle guard poverty release quote oak craft enemy";

    #[test]
    fn the_master_key_is_that_of_cip_3() {
        let phrase = "eight country switch draw meat scout mystery blade tip drift useless good keep usage title";
        let entropy = Mnemonic::parse_in(Language::English, phrase).unwrap().to_entropy();
        let expected = "c065afd2832cd8b087c4d9ab7011f481ee1e0721e78ea5dd609f3ab3f156d245\
                        d176bd8fd4ec60b4731c3918a2a72a0226c0cd119ec35b47e4d55884667f552a\
                        23f7fdcd4a10c6cd2c7393ac61d877873e248f417634aa3d812af327ffe9d620";
        assert_eq!(hex::encode(master_key(&entropy).as_ref()), expected);
    }

    /// Values from an independent implementation (pycardano); the first wallet is also that of the CIP-19 vectors.
    #[test]
    fn addresses_are_those_of_other_wallets() {
        let cases = [
            (
                TEST_WALK,
                1,
                0,
                "addr1qx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzer3jcu5d8ps7zex2k2xt3uqxgjqnnj83ws8lhrn648jjxtwqfjkjv7",
                "addr1vx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzers66hrl8",
            ),
            (
                TEST_WALK,
                0,
                7,
                "addr_test1qrccqu7y3ytc6ue3tccl7d9k6ucnyfut4u3z602xf5tjyf0rnmazj3ufrty565v80pzxas3txfxxnqqlk9938nr4q27qkr7rms",
                "addr_test1vrccqu7y3ytc6ue3tccl7d9k6ucnyfut4u3z602xf5tjyfgccnv89",
            ),
            (
                ART_FORUM,
                0,
                0,
                "addr_test1qpu5vlrf4xkxv2qpwngf6cjhtw542ayty80v8dyr49rf5ewvxwdrt70qlcpeeagscasafhffqsxy36t90ldv06wqrk2qum8x5w",
                "addr_test1vpu5vlrf4xkxv2qpwngf6cjhtw542ayty80v8dyr49rf5eg57c2qv",
            ),
        ];
        for (words, network_id, account, base, enterprise) in cases {
            let wallet = Wallet::from_mnemonic(words, network_id, account).unwrap();
            assert_eq!(wallet.address().to_string(), base);
            assert_eq!(wallet.enterprise_address().to_string(), enterprise);
            assert_eq!(wallet.address().stake(), Some(wallet.stake_account().credential));
        }
        let wallet = Wallet::from_mnemonic(TEST_WALK, 1, 0).unwrap();
        assert_eq!(wallet.key_hash().to_string(), "9493315cd92eb5d8c4304e67b7e16ae36d61d34502694657811a2c8e");
    }

    #[test]
    fn signatures_are_plain_ed25519_by_the_key_that_is_asked_for() {
        let wallet = Wallet::from_mnemonic(TEST_WALK, 0, 0).unwrap();
        let id = TxId([0x2a; 32]);
        let witness = wallet.sign(&id);
        let expected = "48769593464797584e9cf4f00f242953628f900e8ef7691c6221d8fe3c3aad9f\
                        87158be204ad7b8e5dacba739f12b1d2177098559486b1d6ed3f529434b91b0e";
        assert_eq!(hex::encode(witness.signature), expected);
        for (hash, witness) in [
            (wallet.key_hash(), wallet.sign_as(&wallet.key_hash(), &id).unwrap()),
            (wallet.stake_key_hash(), wallet.sign_as(&wallet.stake_key_hash(), &id).unwrap()),
        ] {
            assert_eq!(blake2b_224(&witness.key), hash.0);
            assert!(PublicKey::from(witness.key).verify(id.0, &Signature::from(witness.signature)));
        }
        assert_eq!(wallet.sign_as(&KeyHash([0; 28]), &id), None);
    }

    #[test]
    fn a_generated_phrase_restores_a_wallet() {
        let entropy = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let words = Wallet::generate(entropy).unwrap();
        assert!(words.starts_with("abandon amount liar amount expire adjust cage candy arch gather drum bullet"));
        assert_eq!(words.split(' ').count(), 24);
        let spaced = words.replace(' ', "  \n");
        let first = Wallet::from_mnemonic(&words, 0, 0).unwrap();
        assert_eq!(first.address(), Wallet::from_mnemonic(&spaced, 0, 0).unwrap().address());
        assert_ne!(first.address(), Wallet::from_mnemonic(&words, 0, 1).unwrap().address());
    }

    #[test]
    fn bad_phrases_accounts_and_networks_are_refused_without_repeating_the_words() {
        let misspelt = TEST_WALK.replace("walk", "wolk");
        let error = Wallet::from_mnemonic(&misspelt, 0, 0).unwrap_err();
        assert!(matches!(error, WalletError::Phrase(bip39::Error::UnknownWord(1))), "{error}");
        assert!(!error.to_string().contains("wolk"));
        let swapped = TEST_WALK.replace("test walk", "walk test");
        assert_eq!(
            Wallet::from_mnemonic(&swapped, 0, 0).unwrap_err(),
            WalletError::Phrase(bip39::Error::InvalidChecksum)
        );
        assert_eq!(Wallet::from_mnemonic(TEST_WALK, 0, HARDENED).unwrap_err(), WalletError::Account(HARDENED));
        assert_eq!(Wallet::from_mnemonic(TEST_WALK, 2, 0).unwrap_err(), WalletError::Network(2));
    }

    #[test]
    fn debug_output_shows_the_address_only() {
        let wallet = Wallet::from_mnemonic(TEST_WALK, 0, 0).unwrap();
        assert_eq!(format!("{wallet:?}"), format!("Wallet {{ address: Address({}), .. }}", wallet.address()));
    }
}

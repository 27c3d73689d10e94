//! A wallet: the keys of one account from a recovery phrase, the addresses they own, and signatures.
//!
//! ```text
//! words ─► Phrase ─► Wallet (secret) ─► Account (public: addresses, key hashes)
//!                      │                    │
//!                      ├─ transactions      └─ discovery: which addresses are in use
//!                      ├─ messages (CIP-8)
//!                      └─ keystore: encrypted at rest, the account in clear beside it
//! ```
//!
//! [BIP-39](https://github.com/bitcoin/bips/blob/master/bip-0039.mediawiki) words, the Icarus master key of
//! [CIP-3](https://cips.cardano.org/cip/CIP-3) and the paths of [CIP-1852](https://cips.cardano.org/cip/CIP-1852):
//! the same words give the same addresses as in any Cardano wallet.

mod account;
mod discovery;
pub mod keystore;
pub mod message;
mod phrase;

use std::fmt;

use ed25519_bip32::{DerivationScheme, Signature, XPRV_SIZE, XPrv};
use nunet_ledger::{Address, KeyHash, RewardAccount, TxId, VKeyWitness, hash::blake2b_224};
use zeroize::Zeroizing;

pub use self::{
    account::{ACCOUNT_KEY_SIZE, Account, KeyPath, LOOKAHEAD, Role},
    discovery::{Discovered, GAP_LIMIT},
    phrase::{Phrase, PhraseLength},
};

/// Marks a hardened step of a derivation path.
const HARDENED: u32 = 1 << 31;

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
    /// The bytes are no account key.
    #[error("the account key is no point of the curve: the file or text that it comes from is damaged")]
    AccountKey,
}

/// The keys of one account, and what they own.
///
/// Secret keys are wiped from memory on drop, and no output of this type ever shows them.
#[derive(Clone)]
pub struct Wallet {
    account: Account,
    /// `m/1852'/1815'/account'`, which everything else is derived from.
    secret: XPrv,
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
    fn at(account: &XPrv, path: KeyPath) -> Self {
        let role = account.derive(DerivationScheme::V2, path.role() as u32);
        Self::new(role.derive(DerivationScheme::V2, path.index()))
    }

    fn new(secret: XPrv) -> Self {
        let public = secret.public().public_key();
        Self { secret, public, hash: KeyHash(blake2b_224(&public)) }
    }

    fn sign_bytes(&self, message: &[u8]) -> [u8; 64] {
        let signature: Signature<()> = self.secret.sign(message);
        *signature.to_bytes()
    }

    fn sign(&self, id: &TxId) -> VKeyWitness {
        VKeyWitness { key: self.public, signature: self.sign_bytes(&id.0) }
    }
}

impl Wallet {
    /// The wallet of an English recovery phrase (12 to 24 words) without a second factor; see [`Wallet::of_phrase`].
    ///
    /// `network_id` is 1 on mainnet and 0 elsewhere.
    pub fn from_mnemonic(words: &str, network_id: u8, account: u32) -> Result<Self, WalletError> {
        Self::of_phrase(&Phrase::parse(words)?, "", network_id, account)
    }

    /// The wallet of account `m/1852'/1815'/account'` of a recovery phrase, with the passphrase that some wallets add to
    /// the words as a second factor (empty when there is none; any text gives a wallet, a wrong one an empty wallet).
    pub fn of_phrase(phrase: &Phrase, second_factor: &str, network_id: u8, account: u32) -> Result<Self, WalletError> {
        if account >= HARDENED {
            return Err(WalletError::Account(account));
        }
        let secret = [1852, 1815, account]
            .into_iter()
            .fold(phrase.master_key(second_factor), |key, step| key.derive(DerivationScheme::V2, HARDENED | step));
        Self::of_account_secret(secret, network_id)
    }

    fn of_account_secret(secret: XPrv, network_id: u8) -> Result<Self, WalletError> {
        let account = Account::new(network_id, secret.public())?;
        let payment = SigningKey::at(&secret, KeyPath::PAYMENT);
        let stake = SigningKey::at(&secret, KeyPath::STAKE);
        Ok(Self { account, secret, payment, stake })
    }

    /// The same wallet from the bytes of its account's secret key, as a keystore holds them.
    pub(crate) fn from_secret_bytes(bytes: &[u8; XPRV_SIZE], network_id: u8) -> Result<Self, WalletError> {
        let secret = XPrv::from_bytes_verified(*bytes).map_err(|_| WalletError::AccountKey)?;
        Self::of_account_secret(secret, network_id)
    }

    /// The bytes of the account's secret key: extended key and chain code.
    pub(crate) fn secret_bytes(&self) -> Zeroizing<[u8; XPRV_SIZE]> {
        let mut bytes = Zeroizing::new([0; XPRV_SIZE]);
        bytes.copy_from_slice(self.secret.as_ref());
        bytes
    }

    /// The public half: everything but signing.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The base address of the first payment key with the stake key. Receives change.
    pub fn address(&self) -> Address {
        self.account.address(KeyPath::PAYMENT)
    }

    /// The first payment key alone, a shorter address that delegates nothing.
    pub fn enterprise_address(&self) -> Address {
        self.account.enterprise_address()
    }

    /// The stake account.
    pub fn stake_account(&self) -> RewardAccount {
        self.account.stake_account()
    }

    /// The hash of the first payment key.
    pub fn key_hash(&self) -> KeyHash {
        self.payment.hash
    }

    /// The hash of the stake key.
    pub fn stake_key_hash(&self) -> KeyHash {
        self.stake.hash
    }

    /// The first payment key's signature.
    pub fn sign(&self, id: &TxId) -> VKeyWitness {
        self.payment.sign(id)
    }

    /// The signature of whichever of the wallet's keys has this hash: the first payment key, the stake key, or one of
    /// the first [`LOOKAHEAD`] external and internal keys.
    pub fn sign_as(&self, key: &KeyHash, id: &TxId) -> Option<VKeyWitness> {
        self.key_of(key).map(|key| key.sign(id))
    }

    /// The key with this hash.
    fn key_of(&self, hash: &KeyHash) -> Option<SigningKey> {
        let common = [&self.payment, &self.stake].into_iter().find(|key| key.hash == *hash);
        match common {
            Some(key) => Some(key.clone()),
            None => self.account.path_of(hash).map(|path| SigningKey::at(&self.secret, path)),
        }
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet").field("address", &self.address()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use pallas_crypto::key::ed25519::{PublicKey, Signature};

    use super::*;

    const TEST_WALK: &str = "test walk nut penalty hip pave soap entry language right filter choice";
    const ART_FORUM: &str =
        "art forum devote street sure rather head chuckle guard poverty release quote oak craft enemy";

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

    /// Addresses of the same words in an independent implementation (pycardano).
    #[test]
    fn every_external_and_internal_address_is_that_of_other_wallets_and_can_be_signed_for() {
        let wallet = Wallet::from_mnemonic(TEST_WALK, 0, 0).unwrap();
        let cases = [
            (
                Role::External,
                1,
                "addr_test1qz7svwszky8gcmhrfza7a89z9u0dfzd3l7h23sqlc5yml7ejcu5d8ps7zex2k2xt3uqxgjqnnj83ws8lhrn648jjxtwqcqrvr0",
            ),
            (
                Role::External,
                19,
                "addr_test1qzrq9f6ct59ka4mykdr34gnylz8n5xgxfn986yvswl2l9xpjcu5d8ps7zex2k2xt3uqxgjqnnj83ws8lhrn648jjxtwqrgdj5y",
            ),
            (
                Role::Internal,
                0,
                "addr_test1qz4kjk0as0x7ptt54l6cnfyzejqg22cku0qhqx6al4g2xepjcu5d8ps7zex2k2xt3uqxgjqnnj83ws8lhrn648jjxtwq5hxe5g",
            ),
            (
                Role::Internal,
                7,
                "addr_test1qr6xlehs4xm7glugg904n4jlvcay0m4cavnn84z3afqhzzfjcu5d8ps7zex2k2xt3uqxgjqnnj83ws8lhrn648jjxtwqjzg6ty",
            ),
        ];
        let id = TxId([7; 32]);
        for (role, index, expected) in cases {
            let path = KeyPath::new(role, index).unwrap();
            assert_eq!(wallet.account().address(path).to_string(), expected);
            let hash = wallet.account().key_hash(path);
            assert_eq!(wallet.account().path_of(&hash), Some(path));
            let witness = wallet.sign_as(&hash, &id).unwrap();
            assert_eq!(witness.key, wallet.account().key(path), "public and secret derivation agree");
            assert!(PublicKey::from(witness.key).verify(id.0, &Signature::from(witness.signature)));
        }
    }

    /// The address of the same words and second factor in an independent implementation (pycardano).
    #[test]
    fn a_second_factor_gives_another_wallet_the_same_as_elsewhere() {
        let phrase = Phrase::parse(TEST_WALK).unwrap();
        let wallet = Wallet::of_phrase(&phrase, "second factor", 0, 0).unwrap();
        assert_eq!(
            wallet.address().to_string(),
            "addr_test1qp4a0kpyrxkge7dmws0wzzshkuupgaa8qfvkp7fw8hydgnht4yq4dgrydw49rl43xlwrkymtz36zla7afapv2jxkuz5syhk5wq"
        );
    }

    #[test]
    fn the_secret_bytes_restore_the_wallet_and_others_are_refused() {
        let wallet = Wallet::from_mnemonic(TEST_WALK, 0, 3).unwrap();
        let restored = Wallet::from_secret_bytes(&wallet.secret_bytes(), 0).unwrap();
        assert_eq!(restored.account(), wallet.account());
        assert_eq!(restored.sign(&TxId([1; 32])), wallet.sign(&TxId([1; 32])));
        assert_eq!(Wallet::from_secret_bytes(&[0xff; XPRV_SIZE], 0).unwrap_err(), WalletError::AccountKey);
    }

    /// The types that hold secrets wipe themselves: the phrase by its library's marker, keys by their `Drop`.
    #[test]
    fn whatever_holds_a_secret_cleans_up_after_itself() {
        fn wipes<T: zeroize::ZeroizeOnDrop>() {}
        wipes::<bip39::Mnemonic>();
        wipes::<Zeroizing<[u8; XPRV_SIZE]>>();
        assert!(std::mem::needs_drop::<XPrv>());
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

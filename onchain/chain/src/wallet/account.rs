//! The public half of a wallet: the addresses of an account, found without any secret.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
};

use ed25519_bip32::{DerivationScheme, XPUB_SIZE, XPub};
use nunet_ledger::{Address, Credential, KeyHash, RewardAccount, hash::blake2b_224};

use super::{HARDENED, WalletError};

/// Bytes of an account's public key: the Ed25519 key and the chain code.
pub const ACCOUNT_KEY_SIZE: usize = XPUB_SIZE;

/// How many external and how many internal keys are tried when only a key's hash is known.
///
/// The search makes a table of them once, in a few tens of milliseconds.
pub const LOOKAHEAD: u32 = 200;

/// What the keys under a step of the path are for ([CIP-1852](https://cips.cardano.org/cip/CIP-1852)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Addresses that are given to others.
    External = 0,
    /// Addresses that receive change.
    Internal = 1,
    /// The stake key.
    Stake = 2,
}

/// Which key of an account: the last two steps of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPath {
    role: Role,
    index: u32,
}

impl KeyPath {
    /// The first payment key, `0/0`.
    pub const PAYMENT: Self = Self { role: Role::External, index: 0 };
    /// The stake key, `2/0`.
    pub const STAKE: Self = Self { role: Role::Stake, index: 0 };

    /// A path; `None` when the index would be a hardened one (2³¹ or more).
    pub fn new(role: Role, index: u32) -> Option<Self> {
        (index < HARDENED).then_some(Self { role, index })
    }

    /// What the key is for.
    pub fn role(self) -> Role {
        self.role
    }

    /// Its number.
    pub fn index(self) -> u32 {
        self.index
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.role as u32, self.index)
    }
}

/// The public key of account `m/1852'/1815'/account'`, which gives every address of the account and can spend nothing.
///
/// Whoever has it sees all of the account's past and future payments.
#[derive(Clone)]
pub struct Account {
    network_id: u8,
    key: XPub,
    /// By role: derived once, and with that the key is known to be a point of the curve.
    roles: [XPub; 3],
    stake: KeyHash,
    /// Filled when it is first asked for, and shared by clones.
    known: Arc<OnceLock<BTreeMap<KeyHash, KeyPath>>>,
}

impl Account {
    pub(super) fn new(network_id: u8, key: XPub) -> Result<Self, WalletError> {
        if network_id > 1 {
            return Err(WalletError::Network(network_id));
        }
        let role = |role: Role| key.derive(DerivationScheme::V2, role as u32).map_err(|_| WalletError::AccountKey);
        let roles = [role(Role::External)?, role(Role::Internal)?, role(Role::Stake)?];
        let mut account = Self { network_id, key, roles, stake: KeyHash([0; 28]), known: Arc::default() };
        account.stake = account.key_hash(KeyPath::STAKE);
        Ok(account)
    }

    /// The account with this public key; an error when the bytes are none.
    pub fn from_bytes(network_id: u8, bytes: [u8; ACCOUNT_KEY_SIZE]) -> Result<Self, WalletError> {
        Self::new(network_id, XPub::from_bytes(bytes))
    }

    /// The bytes of the account's public key.
    pub fn to_bytes(&self) -> [u8; ACCOUNT_KEY_SIZE] {
        let mut bytes = [0; ACCOUNT_KEY_SIZE];
        bytes.copy_from_slice(self.key.as_ref());
        bytes
    }

    /// 1 on mainnet, 0 elsewhere.
    pub fn network_id(&self) -> u8 {
        self.network_id
    }

    /// The Ed25519 verification key at a path.
    #[expect(clippy::expect_used, reason = "a path is never hardened, and a role's key is a point of the curve")]
    pub fn key(&self, path: KeyPath) -> [u8; 32] {
        let role = &self.roles[path.role as usize];
        role.derive(DerivationScheme::V2, path.index).expect("a soft step from a point is a point").public_key()
    }

    /// The hash of the key at a path.
    pub fn key_hash(&self, path: KeyPath) -> KeyHash {
        KeyHash(blake2b_224(&self.key(path)))
    }

    /// The base address of a payment key: with the account's stake key.
    pub fn address(&self, path: KeyPath) -> Address {
        let payment = Credential::Key(self.key_hash(path));
        Address::new(self.network_id, payment, Some(Credential::Key(self.stake)))
    }

    /// The address of the first payment key alone.
    pub fn enterprise_address(&self) -> Address {
        Address::new(self.network_id, Credential::Key(self.key_hash(KeyPath::PAYMENT)), None)
    }

    /// The stake account.
    pub fn stake_account(&self) -> RewardAccount {
        RewardAccount { network_id: self.network_id, credential: Credential::Key(self.stake) }
    }

    /// Where the key with this hash is, among the stake key and the first [`LOOKAHEAD`] external and internal ones.
    pub fn path_of(&self, hash: &KeyHash) -> Option<KeyPath> {
        let known = self.known.get_or_init(|| {
            let pair = |index| [Role::External, Role::Internal].map(|role| KeyPath { role, index });
            let paths = std::iter::once(KeyPath::STAKE).chain((0..LOOKAHEAD).flat_map(pair));
            paths.map(|path| (self.key_hash(path), path)).collect()
        });
        known.get(hash).copied()
    }

    /// Whether a key of the account controls an address of its network, whatever the address's stake part is.
    pub fn controls(&self, address: &Address) -> bool {
        address.network_id() == Some(self.network_id)
            && matches!(address.payment(), Some(Credential::Key(hash)) if self.path_of(&hash).is_some())
    }

    /// Whether an address is one of the account's own forms. Its wallet finds money there once it looks that far: see
    /// [`Chain::discover`](crate::Chain::discover).
    pub fn owns(&self, address: &Address) -> bool {
        let Some(Credential::Key(hash)) = address.payment() else { return false };
        match self.path_of(&hash) {
            Some(KeyPath::PAYMENT) if *address == self.enterprise_address() => true,
            Some(path) => path.role != Role::Stake && *address == self.address(path),
            None => false,
        }
    }
}

impl PartialEq for Account {
    fn eq(&self, other: &Self) -> bool {
        self.network_id == other.network_id && self.to_bytes() == other.to_bytes()
    }
}

impl Eq for Account {}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("stake_account", &self.stake_account().to_string()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wallet::Wallet;

    const TEST_WALK: &str = "test walk nut penalty hip pave soap entry language right filter choice";

    #[test]
    fn an_account_key_is_that_of_other_wallets_and_gives_the_wallets_addresses() {
        let wallet = Wallet::from_mnemonic(TEST_WALK, 0, 0).unwrap();
        // From an independent implementation (pycardano).
        let expected = "cf779aa32f35083707808532471cb64ee41426c9bbd46134dac2ac5b2a0ec0e9\
                        8fa5fcd46abd9d46d4d8a97a8f3465e2c4e8f3c9dad9ff66823a161ecadca604";
        assert_eq!(hex::encode(wallet.account().to_bytes()), expected);
        let watched = Account::from_bytes(0, wallet.account().to_bytes()).unwrap();
        assert_eq!(&watched, wallet.account());
        assert_eq!(watched.address(KeyPath::PAYMENT), wallet.address());
        assert_eq!(watched.key_hash(KeyPath::STAKE), wallet.stake_key_hash());
    }

    #[test]
    fn keys_are_found_within_the_lookahead_only() {
        let wallet = Wallet::from_mnemonic(TEST_WALK, 0, 0).unwrap();
        let account = wallet.account();
        let last = KeyPath::new(Role::Internal, LOOKAHEAD - 1).unwrap();
        assert_eq!(account.path_of(&account.key_hash(last)), Some(last));
        let beyond = KeyPath::new(Role::External, LOOKAHEAD).unwrap();
        assert_eq!(account.path_of(&account.key_hash(beyond)), None);
        assert!(account.controls(&account.address(last)) && !account.controls(&account.address(beyond)));
        assert_eq!(KeyPath::new(Role::External, HARDENED), None);
        assert_eq!(last.to_string(), "1/199");
    }

    #[test]
    fn only_addresses_that_the_wallet_looks_at_are_its_own() {
        let wallet = Wallet::from_mnemonic(TEST_WALK, 0, 0).unwrap();
        let account = wallet.account();
        let change = KeyPath::new(Role::Internal, 3).unwrap();
        for address in [wallet.address(), wallet.enterprise_address(), account.address(change)] {
            assert!(account.owns(&address) && account.controls(&address));
        }
        let payment = Credential::Key(account.key_hash(change));
        let foreign = Credential::Key(KeyHash([1; 28]));
        for address in [Address::new(0, payment, None), Address::new(0, payment, Some(foreign))] {
            assert!(!account.owns(&address) && account.controls(&address));
        }
        // The same key on another network holds other money.
        assert!(!account.controls(&Address::new(1, payment, None)));
        let stake_pays = Address::new(0, Credential::Key(wallet.stake_key_hash()), None);
        assert!(!account.owns(&stake_pays) && account.controls(&stake_pays));
        assert!(!account.controls(&Address::new(0, foreign, Some(Credential::Key(wallet.stake_key_hash())))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_account_or_are_refused(bytes in proptest::array::uniform32(any::<u8>())) {
            let mut key = [0; ACCOUNT_KEY_SIZE];
            key[..32].copy_from_slice(&bytes);
            if let Ok(account) = Account::from_bytes(0, key) {
                account.address(KeyPath::new(Role::Internal, 9).unwrap());
            }
        }
    }
}

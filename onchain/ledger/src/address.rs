//! Addresses: the bytes the chain stores, with typed access to the Shelley forms.

use std::{fmt, str::FromStr};

use pallas_addresses::{Address as AnyAddress, Network, ShelleyAddress, ShelleyDelegationPart, ShelleyPaymentPart};
use serde::{Deserialize, Serialize};

use crate::{
    byron::ByronParts,
    units::{KeyHash, ParseIdError, ScriptHash},
};

/// Who controls an output or a stake account: a key or a script.
///
/// Scripts come before keys, as in the ledger's own order: it decides which withdrawal a redeemer's index means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Credential {
    /// A script.
    Script(ScriptHash),
    /// The holder of a key.
    Key(KeyHash),
}

/// A payment address, as the chain stores it ([CIP-19](https://cips.cardano.org/cip/CIP-19)).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Vec<u8>);

impl Address {
    /// A Shelley address from its parts; `network_id` is 1 on mainnet, 0 elsewhere.
    pub fn new(network_id: u8, payment: Credential, stake: Option<Credential>) -> Self {
        let network = Network::from(network_id);
        let payment = match payment {
            Credential::Key(hash) => ShelleyPaymentPart::Key(hash.0.into()),
            Credential::Script(hash) => ShelleyPaymentPart::Script(hash.0.into()),
        };
        let stake = match stake {
            None => ShelleyDelegationPart::Null,
            Some(Credential::Key(hash)) => ShelleyDelegationPart::Key(hash.0.into()),
            Some(Credential::Script(hash)) => ShelleyDelegationPart::Script(hash.0.into()),
        };
        Self(ShelleyAddress::new(network, payment, stake).to_vec())
    }

    /// An address from its bytes, of any kind that can hold an output (Shelley or Byron).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParseIdError> {
        match AnyAddress::from_bytes(bytes) {
            Ok(AnyAddress::Shelley(_) | AnyAddress::Byron(_)) => Ok(Self(bytes.to_vec())),
            _ => Err(ParseIdError { text: hex::encode(&bytes[..bytes.len().min(40)]), expected: "payment address" }),
        }
    }

    /// The bytes that the chain stores.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The payment part; `None` for a Byron address.
    pub fn payment(&self) -> Option<Credential> {
        Some(match self.shelley()?.payment() {
            ShelleyPaymentPart::Key(hash) => Credential::Key(KeyHash(**hash)),
            ShelleyPaymentPart::Script(hash) => Credential::Script(ScriptHash(**hash)),
        })
    }

    /// The stake part; `None` when there is none (or a pointer, which no longer delegates).
    pub fn stake(&self) -> Option<Credential> {
        match self.shelley()?.delegation() {
            ShelleyDelegationPart::Key(hash) => Some(Credential::Key(KeyHash(**hash))),
            ShelleyDelegationPart::Script(hash) => Some(Credential::Script(ScriptHash(**hash))),
            ShelleyDelegationPart::Pointer(_) | ShelleyDelegationPart::Null => None,
        }
    }

    /// The network id in the header (1 mainnet, 0 elsewhere); `None` for a Byron address.
    pub fn network_id(&self) -> Option<u8> {
        self.shelley().map(|address| address.network().value())
    }

    /// Whether the bytes are an address and nothing more: of the right length, on network 0 or 1, with the checksum
    /// that Byron addresses carry. The ledger asks this of every new output.
    pub(crate) fn is_exact(&self) -> bool {
        let Some((header, rest)) = self.0.split_first() else { return false };
        let length_fits = match header >> 4 {
            0..=3 => rest.len() == 56,
            4 | 5 => rest.get(28..).is_some_and(is_pointer),
            6 | 7 => rest.len() == 28,
            8 => return ByronParts::is_exact(&self.0),
            _ => false,
        };
        length_fits && header & 0x0f <= 1
    }

    fn shelley(&self) -> Option<ShelleyAddress> {
        match AnyAddress::from_bytes(&self.0) {
            Ok(AnyAddress::Shelley(address)) => Some(address),
            _ => None,
        }
    }
}

/// Whether the bytes are three numbers of seven bits a byte, the high bit set on all but the last byte of each: a slot
/// of 32 bits and two indices of 16 bits.
fn is_pointer(mut bytes: &[u8]) -> bool {
    for (width, largest) in [(5, u64::from(u32::MAX)), (3, u64::from(u16::MAX)), (3, u64::from(u16::MAX))] {
        let Some(last) = bytes.iter().position(|byte| byte & 0x80 == 0).filter(|last| *last < width) else {
            return false;
        };
        let (number, rest) = bytes.split_at(last + 1);
        if number.iter().fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7f)) > largest {
            return false;
        }
        bytes = rest;
    }
    bytes.is_empty()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match AnyAddress::from_bytes(&self.0) {
            Ok(address) => f.write_str(&address.to_string()),
            Err(_) => f.write_str(&hex::encode(&self.0)),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl FromStr for Address {
    type Err = ParseIdError;

    /// Reads the text form: bech32, or base58 for Byron.
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let bad = || ParseIdError { text: text.chars().take(120).collect(), expected: "payment address (bech32)" };
        Self::from_bytes(&AnyAddress::from_str(text).map_err(|_| bad())?.to_vec()).map_err(|_| bad())
    }
}

impl Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A stake account by its credential, with the 29-byte form that transaction bodies hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RewardAccount {
    /// 1 on mainnet, 0 elsewhere.
    pub network_id: u8,
    /// Whose account it is.
    pub credential: Credential,
}

impl fmt::Display for RewardAccount {
    /// The text form: bech32, `stake1…` on mainnet and `stake_test1…` elsewhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match AnyAddress::from_bytes(&self.to_bytes()) {
            Ok(address) => f.write_str(&address.to_string()),
            Err(_) => f.write_str(&hex::encode(self.to_bytes())),
        }
    }
}

impl RewardAccount {
    /// The bytes of the account's address (CIP-19 header types 14 and 15).
    pub fn to_bytes(self) -> [u8; 29] {
        let (kind, hash) = match self.credential {
            Credential::Key(hash) => (0b1110_0000, hash.0),
            Credential::Script(hash) => (0b1111_0000, hash.0),
        };
        let mut bytes = [0; 29];
        bytes[0] = kind | (self.network_id & 0x0f);
        bytes[1..].copy_from_slice(&hash);
        bytes
    }

    /// The inverse of [`RewardAccount::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParseIdError> {
        let bad =
            || ParseIdError { text: hex::encode(&bytes[..bytes.len().min(40)]), expected: "stake account (29 bytes)" };
        let (header, hash) = bytes.split_first().ok_or_else(bad)?;
        let hash: [u8; 28] = hash.try_into().map_err(|_| bad())?;
        let credential = match header & 0xf0 {
            0b1110_0000 => Credential::Key(KeyHash(hash)),
            0b1111_0000 => Credential::Script(ScriptHash(hash)),
            _ => return Err(bad()),
        };
        Ok(Self { network_id: header & 0x0f, credential })
    }
}

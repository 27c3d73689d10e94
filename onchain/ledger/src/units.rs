//! Amounts, times, hashes and identifiers: one newtype each, so that they cannot be mixed up.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// An amount of lovelace, the base unit of ADA (10⁻⁶ ADA).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lovelace(pub u64);

impl fmt::Display for Lovelace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06} ADA", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// A slot number: the ledger's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(pub u64);

/// Milliseconds since 1970-01-01T00:00:00Z, the time unit that validators see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PosixMs(pub u64);

/// The number that tells one Cardano network from another (mainnet 764824073, preprod 1, devnet 42).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NetworkMagic(pub u32);

impl NetworkMagic {
    /// Mainnet, where NTX has a value.
    pub const MAINNET: Self = Self(764_824_073);
    /// The built-in devnet.
    pub const DEVNET: Self = Self(42);

    /// The network id in the header of addresses: 1 on mainnet, 0 on every other network.
    pub fn network_id(self) -> u8 {
        u8::from(self == Self::MAINNET)
    }
}

/// Execution units of a script: what it may use, or what it used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExUnits {
    /// Memory units.
    pub mem: u64,
    /// CPU steps.
    pub steps: u64,
}

impl ExUnits {
    /// The sum of both, saturating.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { mem: self.mem.saturating_add(other.mem), steps: self.steps.saturating_add(other.steps) }
    }
}

/// The number of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// The epochs of a network in slots (a single era with a fixed epoch length).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochConfig {
    /// The first slot of `zero_epoch`.
    pub zero_slot: Slot,
    /// The epoch that begins at `zero_slot`.
    pub zero_epoch: Epoch,
    /// Slots in an epoch.
    pub length: u64,
}

impl EpochConfig {
    /// Mainnet's length, counted from slot 0.
    pub const FROM_ZERO: Self = Self { zero_slot: Slot(0), zero_epoch: Epoch(0), length: 432_000 };

    /// The epoch that a slot falls into.
    pub fn at(&self, slot: Slot) -> Epoch {
        Epoch(self.zero_epoch.0.saturating_add(slot.0.saturating_sub(self.zero_slot.0) / self.length.max(1)))
    }

    /// The first slot of an epoch.
    pub fn begin(&self, epoch: Epoch) -> Slot {
        let epochs = epoch.0.saturating_sub(self.zero_epoch.0);
        Slot(self.zero_slot.0.saturating_add(epochs.saturating_mul(self.length)))
    }
}

/// The slots of a network in POSIX time (a single era with a fixed slot length).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotConfig {
    /// When `zero_slot` begins.
    pub zero_time: PosixMs,
    /// The slot that `zero_time` belongs to.
    pub zero_slot: Slot,
    /// Length of a slot in milliseconds.
    pub slot_length_ms: u32,
}

impl SlotConfig {
    /// When a slot begins.
    pub fn begin(&self, slot: Slot) -> PosixMs {
        let slots = slot.0.saturating_sub(self.zero_slot.0);
        PosixMs(self.zero_time.0.saturating_add(slots.saturating_mul(u64::from(self.slot_length_ms))))
    }

    /// The slot that a time falls into.
    pub fn at(&self, time: PosixMs) -> Slot {
        let elapsed = time.0.saturating_sub(self.zero_time.0);
        Slot(self.zero_slot.0.saturating_add(elapsed / u64::from(self.slot_length_ms.max(1))))
    }

    /// The first slot that begins at or after a time.
    pub fn at_or_after(&self, time: PosixMs) -> Slot {
        let slot = self.at(time);
        if self.begin(slot) < time { Slot(slot.0 + 1) } else { slot }
    }
}

/// Why a text is not an identifier of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {expected}")]
pub struct ParseIdError {
    /// The offending text, shortened.
    pub text: String,
    /// What was expected, with its format.
    pub expected: &'static str,
}

impl ParseIdError {
    fn new(text: &str, expected: &'static str) -> Self {
        Self { text: text.chars().take(80).collect(), expected }
    }
}

macro_rules! hash_type {
    ($(#[$doc:meta])* $name:ident, $len:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = [0; $len];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseIdError::new(text, $expected))?;
                Ok(Self(bytes))
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = ParseIdError;

            fn try_from(bytes: &[u8]) -> Result<Self, ParseIdError> {
                let bytes = bytes.try_into().map_err(|_| ParseIdError::new(&hex::encode(bytes), $expected))?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hash_type!(
    /// The id of a transaction: blake2b-256 of its body.
    TxId, 32, "transaction id (64 hex digits)"
);
hash_type!(
    /// The hash of a script, blake2b-224 of its language tag and bytes; also a policy id.
    ScriptHash, 28, "script hash (56 hex digits)"
);
hash_type!(
    /// The hash of a verification key: blake2b-224.
    KeyHash, 28, "key hash (56 hex digits)"
);
hash_type!(
    /// A stake pool, by the hash of its operator's cold key.
    PoolId, 28, "pool id (56 hex digits)"
);

/// A transaction output by the transaction that made it and its index there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutPoint {
    /// The transaction.
    pub tx: TxId,
    /// The index among its outputs.
    pub index: u16,
}

impl OutPoint {
    /// Width of [`OutPoint::to_bytes`].
    pub const WIDTH: usize = 34;

    /// The fixed-width form that signed messages hold: id ‖ index as big-endian u16.
    pub fn to_bytes(self) -> [u8; Self::WIDTH] {
        let mut bytes = [0; Self::WIDTH];
        bytes[..32].copy_from_slice(&self.tx.0);
        bytes[32..].copy_from_slice(&self.index.to_be_bytes());
        bytes
    }

    /// The inverse of [`OutPoint::to_bytes`].
    pub fn from_bytes(bytes: [u8; Self::WIDTH]) -> Self {
        let mut tx = [0; 32];
        tx.copy_from_slice(&bytes[..32]);
        Self { tx: TxId(tx), index: u16::from_be_bytes([bytes[32], bytes[33]]) }
    }
}

impl fmt::Display for OutPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.tx, self.index)
    }
}

impl fmt::Debug for OutPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutPoint({self})")
    }
}

impl FromStr for OutPoint {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let bad = || ParseIdError::new(text, "outpoint (transaction id#index)");
        let (tx, index) = text.split_once('#').ok_or_else(bad)?;
        Ok(Self { tx: tx.parse().map_err(|_| bad())?, index: index.parse().map_err(|_| bad())? })
    }
}

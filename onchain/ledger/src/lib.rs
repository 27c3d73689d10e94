//! Cardano's rules, without IO: units, addresses, values, transactions, parameters, fees, script evaluation and the
//! phase-1 rules of the Conway era.
//!
//! Everything that speaks Cardano stands on this crate: the devnet applies transactions by it, and the chain crate says
//! by it what is wrong with a transaction before it is sent.

pub mod address;
pub mod hash;
pub mod transaction;
pub mod units;
pub mod value;

pub use address::{Address, Credential, RewardAccount};
pub use transaction::{
    Certificate, Datum, Purpose, Redeemer, Script, Transaction, TxBody, TxOut, VKeyWitness, Witnesses,
};
pub use units::{
    ExUnits, KeyHash, Lovelace, NetworkMagic, OutPoint, ParseIdError, PosixMs, ScriptHash, Slot, SlotConfig, TxId,
};
pub use value::{AssetId, Value};

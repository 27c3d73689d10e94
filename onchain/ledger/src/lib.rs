//! Cardano's rules, without IO: units, addresses, values, transactions, parameters, fees, script evaluation and the
//! phase-1 rules of the Conway era.
//!
//! Everything that speaks Cardano stands on this crate: the devnet applies transactions by it, and the chain crate says
//! by it what is wrong with a transaction before it is sent.

pub mod address;
mod byron;
mod cbor;
pub mod certificate;
mod encode;
pub mod evaluate;
pub mod fees;
pub mod hash;
mod integrity;
pub mod native;
pub mod parameters;
mod plutus;
pub mod received;
pub mod rules;
mod stack;
pub mod transaction;
pub mod units;
pub mod value;

pub use address::{Address, Credential, RewardAccount};
pub use cbor::CborError;
pub use certificate::{DRep, Delegation, PoolParams};
pub use encode::plutus_data_to_cbor;
pub use integrity::{Language, script_data_hash};
pub use parameters::ProtocolParameters;
pub use transaction::{
    Certificate, Datum, Purpose, Redeemer, Script, Transaction, TxBody, TxOut, VKeyWitness, Witnesses,
};
pub use units::{
    Epoch, EpochConfig, ExUnits, KeyHash, Lovelace, NetworkMagic, OutPoint, ParseIdError, PoolId, PosixMs, ScriptHash,
    Slot, SlotConfig, TxId,
};
pub use value::{AssetId, Value};

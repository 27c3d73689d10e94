//! A Conway transaction as typed parts, for building; [`Transaction::to_cbor`] writes it.
//!
//! Rules read the bytes that a peer sent, never a re-encoding: see `rules`. What is built here and what is read
//! there meet in the round-trip tests.

use std::collections::{BTreeMap, BTreeSet};

use pallas_primitives::PlutusData;

use crate::{
    address::{Address, Credential, RewardAccount},
    certificate::Delegation,
    units::{ExUnits, KeyHash, Lovelace, OutPoint, ScriptHash, Slot},
    value::{AssetId, Value},
};

/// A datum as an output holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datum {
    /// The whole datum, as CBOR bytes exactly as they stand on chain.
    Inline(Vec<u8>),
    /// Only its blake2b-256 hash.
    Hash([u8; 32]),
}

/// A script with its language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Script {
    /// A native script (timelock, multisig), as CBOR.
    Native(Vec<u8>),
    /// Plutus V1: the flat bytes inside one CBOR byte string, as ledgers hash it.
    PlutusV1(Vec<u8>),
    /// Plutus V2, likewise.
    PlutusV2(Vec<u8>),
    /// Plutus V3, likewise.
    PlutusV3(Vec<u8>),
}

/// A transaction output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxOut {
    /// Who may spend it.
    pub address: Address,
    /// What it holds.
    pub value: Value,
    /// The datum, for script addresses.
    pub datum: Option<Datum>,
    /// A script that other transactions may refer to.
    pub reference_script: Option<Script>,
}

impl TxOut {
    /// An output with neither datum nor script.
    pub fn new(address: Address, value: Value) -> Self {
        Self { address, value, datum: None, reference_script: None }
    }
}

/// The certificates that the protocol's transactions and wallets use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// `stake_registration` (tag 0): registers a stake credential, needs no witness, takes the key deposit.
    RegisterStake(Credential),
    /// `stake_deregistration` (tag 1): returns the deposit, needs the credential's witness.
    DeregisterStake(Credential),
    /// Delegates stake (tag 2), a vote (9) or both (10); needs the credential's witness.
    Delegate {
        /// Whose account.
        credential: Credential,
        /// What, and to whom.
        to: Delegation,
    },
    /// Registers a stake credential and delegates its stake (tag 11), its vote (12) or both (13) at once; takes the key
    /// deposit, needs the credential's witness.
    RegisterAndDelegate {
        /// Whose account.
        credential: Credential,
        /// What, and to whom.
        to: Delegation,
        /// The key deposit in force.
        deposit: Lovelace,
    },
}

impl Certificate {
    /// The credential that must allow the certificate; `None` when nobody need.
    pub fn witness(&self) -> Option<Credential> {
        match self {
            Self::RegisterStake(_) => None,
            Self::DeregisterStake(credential)
            | Self::Delegate { credential, .. }
            | Self::RegisterAndDelegate { credential, .. } => Some(*credential),
        }
    }
}

/// Which part of a transaction a redeemer belongs to (`redeemer_tag` in the CDDL; the values are its numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// An input, by its index in the sorted set.
    Spend = 0,
    /// A minting policy, by its index in the sorted mint field.
    Mint = 1,
    /// A certificate, by its index.
    Certify = 2,
    /// A withdrawal, by the index of its account in the sorted field.
    Withdraw = 3,
}

/// What is passed to a script, and what it may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Redeemer {
    /// The part of the transaction.
    pub purpose: Purpose,
    /// The index within that part.
    pub index: u32,
    /// The argument.
    pub data: PlutusData,
    /// Declared execution units.
    pub units: ExUnits,
}

/// A signature with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VKeyWitness {
    /// The Ed25519 verification key.
    pub key: [u8; 32],
    /// The signature over the transaction id.
    pub signature: [u8; 64],
}

/// A transaction body. Empty collections and `None` are left out of the encoding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TxBody {
    /// Outputs consumed.
    pub inputs: BTreeSet<OutPoint>,
    /// Outputs made, in order.
    pub outputs: Vec<TxOut>,
    /// The network fee.
    pub fee: Lovelace,
    /// First slot in which it is valid.
    pub valid_from: Option<Slot>,
    /// First slot in which it is no longer valid.
    pub valid_until: Option<Slot>,
    /// Certificates, in order.
    pub certificates: Vec<Certificate>,
    /// Withdrawals from stake accounts.
    pub withdrawals: BTreeMap<RewardAccount, Lovelace>,
    /// Quantities minted (above zero) and burnt (below).
    pub mint: BTreeMap<AssetId, i64>,
    /// Hash over redeemers, datums and cost models.
    pub script_data_hash: Option<[u8; 32]>,
    /// Inputs that pay when a script fails.
    pub collateral: BTreeSet<OutPoint>,
    /// What comes back of them.
    pub collateral_return: Option<TxOut>,
    /// Their lovelace less what comes back.
    pub total_collateral: Option<Lovelace>,
    /// Keys that must sign, for scripts to see.
    pub required_signers: BTreeSet<KeyHash>,
    /// Outputs read, not consumed.
    pub reference_inputs: BTreeSet<OutPoint>,
}

/// What proves that a transaction is allowed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Witnesses {
    /// Signatures.
    pub vkeys: Vec<VKeyWitness>,
    /// Scripts that are not found by reference.
    pub scripts: Vec<Script>,
    /// Redeemers.
    pub redeemers: Vec<Redeemer>,
}

/// A transaction: body, witnesses, no metadata, scripts expected to pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transaction {
    /// The part that is signed.
    pub body: TxBody,
    /// The signatures and scripts.
    pub witnesses: Witnesses,
}

impl Script {
    /// The bytes after the language tag.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Native(bytes) | Self::PlutusV1(bytes) | Self::PlutusV2(bytes) | Self::PlutusV3(bytes) => bytes,
        }
    }

    /// The language tag that is hashed before the bytes.
    pub fn language_tag(&self) -> u8 {
        match self {
            Self::Native(_) => 0,
            Self::PlutusV1(_) => 1,
            Self::PlutusV2(_) => 2,
            Self::PlutusV3(_) => 3,
        }
    }

    /// blake2b-224 of the language tag and the bytes.
    pub fn hash(&self) -> ScriptHash {
        let mut bytes = Vec::with_capacity(self.bytes().len() + 1);
        bytes.push(self.language_tag());
        bytes.extend_from_slice(self.bytes());
        ScriptHash(crate::hash::blake2b_224(&bytes))
    }
}

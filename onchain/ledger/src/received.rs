//! A transaction as a peer sent it: typed parts beside the bytes that hashes and sizes are taken of.
//!
//! Reading is as strict as the ledger's own decoder for protocol versions 9 and 10: unknown or repeated fields,
//! repeated set members, empty collections where the era forbids them, keys and hashes of the wrong width, assets of
//! quantity zero and trailing bytes are all refused ([Conway CDDL]).
//!
//! [Conway CDDL]: https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/conway/impl/cddl-files/conway.cddl

mod auxiliary;
mod body;
mod certificate;
mod output;
mod witnesses;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    address::{Credential, RewardAccount},
    cbor::{CborError, Reader},
    certificate::{Delegation, PoolParams},
    hash::blake2b_256,
    transaction::{Purpose, Script, TxOut, VKeyWitness},
    units::{Epoch, ExUnits, KeyHash, Lovelace, OutPoint, PoolId, ScriptHash, Slot, TxId},
    value::AssetId,
};

/// A transaction as received.
#[derive(Clone, Debug)]
pub struct ReceivedTx<'a> {
    /// The id: blake2b-256 of the body's bytes.
    pub id: TxId,
    /// The size in bytes that fees and the size limit count (without the validity flag's byte).
    pub size: usize,
    /// The part that is signed.
    pub body: ReceivedBody,
    /// What proves that it is allowed.
    pub witnesses: ReceivedWitnesses<'a>,
    /// Whether the sender says that its scripts pass.
    pub valid: bool,
    /// The auxiliary data (metadata, scripts).
    pub auxiliary: Option<ReceivedAuxiliary<'a>>,
}

/// Auxiliary data as received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceivedAuxiliary<'a> {
    /// All of it, as CBOR.
    pub bytes: &'a [u8],
    /// Bytes of the longest string in its metadata.
    pub longest_string: u64,
    /// Its scripts.
    pub scripts: Vec<Script>,
}

/// An output with the size of the bytes that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizedOutput {
    /// The output.
    pub output: TxOut,
    /// Its size in bytes.
    pub size: usize,
}

/// A body as received.
#[derive(Clone, Debug, Default)]
pub struct ReceivedBody {
    /// Outputs consumed.
    pub inputs: BTreeSet<OutPoint>,
    /// Outputs made.
    pub outputs: Vec<SizedOutput>,
    /// The network fee.
    pub fee: Lovelace,
    /// First slot in which it is no longer valid.
    pub valid_until: Option<Slot>,
    /// First slot in which it is valid.
    pub valid_from: Option<Slot>,
    /// Certificates, in order.
    pub certificates: Vec<ReceivedCertificate>,
    /// Withdrawals, in the ledger's order.
    pub withdrawals: BTreeMap<RewardAccount, Lovelace>,
    /// Hash of the auxiliary data.
    pub auxiliary_data_hash: Option<[u8; 32]>,
    /// Quantities minted and burnt, none of them zero.
    pub mint: BTreeMap<AssetId, i64>,
    /// Hash over redeemers, datums and cost models.
    pub script_data_hash: Option<[u8; 32]>,
    /// Inputs that pay when a script fails.
    pub collateral: BTreeSet<OutPoint>,
    /// Keys that must sign.
    pub required_signers: BTreeSet<KeyHash>,
    /// The network that the sender means.
    pub network_id: Option<u8>,
    /// What comes back of the collateral.
    pub collateral_return: Option<SizedOutput>,
    /// Lovelace of the collateral less what comes back.
    pub total_collateral: Option<Lovelace>,
    /// Outputs read, not consumed.
    pub reference_inputs: BTreeSet<OutPoint>,
    /// The first field that was read but that the rules here do not cover (votes, proposals, treasury).
    pub unsupported: Option<&'static str>,
}

/// A certificate as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceivedCertificate {
    /// Registers a stake credential: tag 0 without, tag 7 with the deposit.
    Register {
        /// Whose account.
        credential: Credential,
        /// The deposit, when the form states it.
        deposit: Option<Lovelace>,
    },
    /// Removes a stake credential: tag 1 without, tag 8 with the refund.
    Deregister {
        /// Whose account.
        credential: Credential,
        /// The refund, when the form states it.
        refund: Option<Lovelace>,
    },
    /// Delegates an account's stake (tag 2), its vote (9), or both (10).
    Delegate {
        /// Whose account.
        credential: Credential,
        /// What, and to whom.
        to: Delegation,
    },
    /// Registers a stake credential and delegates its stake (tag 11), its vote (12), or both (13).
    RegisterAndDelegate {
        /// Whose account.
        credential: Credential,
        /// What, and to whom.
        to: Delegation,
        /// The deposit.
        deposit: Lovelace,
    },
    /// Registers a stake pool, or changes what it is registered with (tag 3).
    RegisterPool(Box<PoolParams>),
    /// Announces that a stake pool retires (tag 4).
    RetirePool {
        /// The pool.
        pool: PoolId,
        /// The epoch that begins without it.
        epoch: Epoch,
    },
    /// A certificate of governance (tags 14 to 18), which the rules here do not cover.
    Other {
        /// The tag.
        tag: u64,
    },
}

impl ReceivedCertificate {
    /// The credential that must allow the certificate; a pool's is its operator's cold key. Registering an account
    /// without stating the deposit needs nobody's leave.
    pub fn witness(&self) -> Option<Credential> {
        match self {
            Self::Register { credential, deposit: Some(_) }
            | Self::Deregister { credential, .. }
            | Self::Delegate { credential, .. }
            | Self::RegisterAndDelegate { credential, .. } => Some(*credential),
            Self::RegisterPool(params) => Some(Credential::Key(KeyHash(params.id.0))),
            Self::RetirePool { pool, .. } => Some(Credential::Key(KeyHash(pool.0))),
            Self::Register { deposit: None, .. } | Self::Other { .. } => None,
        }
    }

    /// The credential whose account the certificate registers.
    pub fn registers(&self) -> Option<Credential> {
        match self {
            Self::Register { credential, .. } | Self::RegisterAndDelegate { credential, .. } => Some(*credential),
            _ => None,
        }
    }
}

/// A signature for an address of the Byron era.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapWitness<'a> {
    /// The Ed25519 verification key.
    pub key: [u8; 32],
    /// The signature over the transaction id.
    pub signature: [u8; 64],
    /// The other half of the extended key, which the address commits to.
    pub chain_code: &'a [u8],
    /// The address's attributes, as CBOR.
    pub attributes: &'a [u8],
}

/// A redeemer as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedRedeemer<'a> {
    /// The argument's bytes.
    pub data: &'a [u8],
    /// Declared execution units.
    pub units: ExUnits,
}

/// A witness set as received.
#[derive(Clone, Debug, Default)]
pub struct ReceivedWitnesses<'a> {
    /// Signatures.
    pub vkeys: Vec<VKeyWitness>,
    /// Signatures for Byron addresses.
    pub bootstrap: Vec<BootstrapWitness<'a>>,
    /// Scripts by hash.
    pub scripts: BTreeMap<ScriptHash, Script>,
    /// Datums by hash.
    pub datums: BTreeMap<[u8; 32], &'a [u8]>,
    /// The bytes of the datums' field, empty when there is none.
    pub datums_field: &'a [u8],
    /// Redeemers by what they are for.
    pub redeemers: BTreeMap<(Purpose, u32), ReceivedRedeemer<'a>>,
    /// Indices of redeemers for votes and proposals, which no transaction here can have.
    pub governance_redeemers: Vec<u32>,
    /// The bytes of the redeemers' field, empty when there is none.
    pub redeemers_field: &'a [u8],
}

impl<'a> ReceivedTx<'a> {
    /// Reads a transaction of the Conway era.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes);
        let length = reader.array()?;
        let body_start = reader.position();
        let body = body::body(&mut reader)?;
        let body_bytes = reader.since(body_start);
        let witnesses_start = reader.position();
        let witnesses = witnesses::witnesses(&mut reader)?;
        let witnesses_size = reader.since(witnesses_start).len();
        let valid = reader.boolean()?;
        let auxiliary = if reader.null() { None } else { Some(auxiliary::auxiliary(&mut reader)?) };
        reader.close(length, 4, "a transaction of four parts")?;
        reader.end()?;
        let size =
            1 + body_bytes.len() + witnesses_size + auxiliary.as_ref().map_or(1, |auxiliary| auxiliary.bytes.len());
        Ok(Self { id: TxId(blake2b_256(body_bytes)), size, body, witnesses, valid, auxiliary })
    }

    /// The sum of the units that the redeemers declare.
    pub fn declared_units(&self) -> ExUnits {
        self.witnesses.redeemers.values().fold(ExUnits::default(), |sum, redeemer| sum.plus(redeemer.units))
    }
}

//! A transaction as a file that travels from who builds it to who signs it, and on to who sends it.
//!
//! The file is JSON: the text envelope of cardano-cli, so that other tools can read, sign and send what is in it, with one
//! more member that they ignore:
//!
//! ```json
//! {
//!   "type": "Unwitnessed Tx ConwayEra",
//!   "description": "Ledger Cddl Format",
//!   "cborHex": "84a4…",
//!   "nunet": {
//!     "version": 1,
//!     "networkMagic": 42,
//!     "signers": ["9493…"],
//!     "outputs": [{ "txHash": "3b40…", "index": 0, "cborHex": "8258…" }],
//!     "parents": ["84a4…"]
//!   }
//! }
//! ```
//!
//! `cborHex` is the transaction with the signatures so far; `type` says "Witnessed" once there is one. `signers` are the
//! hashes of the keys that have to sign, `outputs` everything that the transaction spends, reads or puts up as
//! collateral, and `parents` the whole transactions that made these, where they could be had. A parent proves its outputs,
//! because an outpoint names it by its hash.
//!
//! Nothing in a file is believed that can be checked: see [`Unsigned::from_bytes`].

use std::collections::{BTreeMap, BTreeSet};

use nunet_ledger::{KeyHash, NetworkMagic, OutPoint, Transaction, TxId, TxOut, hash::blake2b_224};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Unsigned, decode, parents::Parent};
use crate::build::BuildError;

/// The largest file that is read, in bytes: a full transaction of small inputs, each with a full parent, has less.
pub const MAX_FILE: usize = 16 * 1024 * 1024;

/// The largest transaction in a file, in bytes: four times what the ledger takes.
const MAX_TRANSACTION: usize = 64 * 1024;

/// The version of the file's form that is written, and the only one that is read.
const VERSION: u32 = 1;

/// Why a file is no transaction to sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It is too large.
    #[error("the file has {0} bytes, at most {MAX_FILE} are read")]
    TooLarge(usize),
    /// It has another form.
    #[error("this is no transaction file of NuNet: {0}; make one with `nunet tx build`")]
    Malformed(String),
    /// It is of another version.
    #[error("the file is of version {0}, version {VERSION} is read: use the program that made it, or make it again")]
    Version(u32),
    /// The transaction inside cannot be read, or holds something that we would never put there.
    #[error("the transaction in the file must not be signed: {0}")]
    Transaction(String),
    /// It is said to be for another network than its addresses.
    #[error("the file says that it is for a network with magic {}, but {address} is of another one. Do not sign", .magic.0)]
    OtherNetwork {
        /// What the file says.
        magic: NetworkMagic,
        /// An address or stake account in it.
        address: String,
    },
    /// The transaction uses an output that the file does not show.
    #[error("the file does not show output {0}, which its transaction uses")]
    OutputMissing(OutPoint),
    /// The file shows an output twice, or one that its transaction does not use.
    #[error("the file shows output {0} twice, or its transaction does not use it")]
    OutputSurplus(OutPoint),
    /// What the file says about an output is not what the transaction that made it says.
    #[error("the file lies about output {0}: the transaction that made it says otherwise. Do not sign")]
    OutputForged(OutPoint),
    /// A transaction that made none of the outputs.
    #[error("transaction {0} made none of the outputs that the transaction uses")]
    ParentSurplus(TxId),
    /// A key that has to sign is not named.
    #[error("the file does not name key {0}, which owns an output that its transaction consumes")]
    SignerMissing(KeyHash),
    /// A signature is wrong or not needed.
    #[error(transparent)]
    Signature(BuildError),
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    description: String,
    #[serde(rename = "cborHex")]
    cbor: HexBytes,
    nunet: Details,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    version: u32,
    network_magic: u32,
    signers: BTreeSet<KeyHash>,
    outputs: Vec<Output>,
    parents: Vec<HexBytes>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    tx_hash: TxId,
    index: u16,
    #[serde(rename = "cborHex")]
    cbor: HexBytes,
}

/// Bytes as hex digits.
struct HexBytes(Vec<u8>);

impl Serialize for HexBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(text).map(Self).map_err(de::Error::custom)
    }
}

/// Only the version, which is looked at before the rest.
#[derive(Deserialize)]
struct Versioned {
    nunet: Version,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl Unsigned {
    /// The file's bytes: JSON, with line breaks for people.
    pub fn to_bytes(&self) -> Vec<u8> {
        let witnessed = if self.tx.witnesses.vkeys.is_empty() { "Unwitnessed" } else { "Witnessed" };
        let outputs = self.resolved.iter().map(|(outpoint, output)| Output {
            tx_hash: outpoint.tx,
            index: outpoint.index,
            cbor: HexBytes(output.to_cbor()),
        });
        let envelope = Envelope {
            kind: format!("{witnessed} Tx ConwayEra"),
            description: "Ledger Cddl Format".into(),
            cbor: HexBytes(self.tx.to_cbor()),
            nunet: Details {
                version: VERSION,
                network_magic: self.magic.0,
                signers: self.signers.clone(),
                outputs: outputs.collect(),
                parents: self.parents.values().cloned().map(HexBytes).collect(),
            },
        };
        // Text, numbers and lists only: nothing that JSON cannot hold.
        serde_json::to_vec_pretty(&envelope).unwrap_or_default()
    }

    /// Reads a file.
    ///
    /// The transaction must be one that this crate could have built, down to each byte, so that nothing in it goes unseen;
    /// the outputs shown are exactly those that it uses; parents have the ids that they must, and say of these outputs
    /// what the file says; the owners of what is consumed are among the signers; and every signature is good. What stays
    /// unproven are outputs without a parent ([`Unsigned::resolved`] tells), and whether they are unspent.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        if bytes.len() > MAX_FILE {
            return Err(FileError::TooLarge(bytes.len()));
        }
        let malformed = |error: serde_json::Error| FileError::Malformed(error.to_string());
        let version = serde_json::from_slice::<Versioned>(bytes).map_err(malformed)?.nunet.version;
        if version != VERSION {
            return Err(FileError::Version(version));
        }
        let Envelope { cbor, nunet, .. } = serde_json::from_slice(bytes).map_err(malformed)?;
        if cbor.0.len() > MAX_TRANSACTION {
            let reason = format!("it has {} bytes, more than {MAX_TRANSACTION}", cbor.0.len());
            return Err(FileError::Transaction(reason));
        }
        let mut tx = decode::transaction(&cbor.0).map_err(FileError::Transaction)?;
        let resolved = resolve(&tx, nunet.outputs)?;
        shows_its_scripts(&tx)?;
        of_one_network(&tx, &resolved, NetworkMagic(nunet.network_magic))?;
        for owner in owners(&tx, &resolved) {
            if !nunet.signers.contains(&owner) {
                return Err(FileError::SignerMissing(owner));
            }
        }
        let signatures = std::mem::take(&mut tx.witnesses.vkeys);
        if signatures.len() > nunet.signers.len() {
            return Err(FileError::Malformed("there are more signatures than signers".into()));
        }
        let mut unsigned = Self::new(tx, nunet.signers, resolved, NetworkMagic(nunet.network_magic));
        for signature in signatures {
            let key = KeyHash(blake2b_224(&signature.key));
            if !unsigned.missing().contains(&key) && unsigned.signers.contains(&key) {
                let reason = "is there twice";
                return Err(FileError::Signature(BuildError::BadSignature { key, reason }));
            }
            unsigned.add_witness(signature).map_err(FileError::Signature)?;
        }
        for HexBytes(parent) in nunet.parents {
            unsigned.add_parent(parent)?;
        }
        Ok(unsigned)
    }

    /// Adds the whole transaction that made some of the outputs, which proves them.
    pub fn add_parent(&mut self, tx: Vec<u8>) -> Result<(), FileError> {
        let parent = Parent::read(&tx)
            .ok_or_else(|| FileError::Malformed(format!("a parent of {} bytes is no transaction", tx.len())))?;
        let mut made = self.resolved.iter().filter(|(outpoint, _)| outpoint.tx == parent.id).peekable();
        if made.peek().is_none() {
            return Err(FileError::ParentSurplus(parent.id));
        }
        for (outpoint, output) in made {
            if parent.output(outpoint.index).as_ref() != Some(output) {
                return Err(FileError::OutputForged(*outpoint));
            }
        }
        self.parents.insert(parent.id, tx);
        Ok(())
    }
}

/// The outputs that a transaction uses, each shown exactly once.
fn resolve(tx: &Transaction, outputs: Vec<Output>) -> Result<BTreeMap<OutPoint, TxOut>, FileError> {
    let body = &tx.body;
    let used: BTreeSet<OutPoint> =
        body.inputs.iter().chain(&body.collateral).chain(&body.reference_inputs).copied().collect();
    let mut resolved = BTreeMap::new();
    for Output { tx_hash, index, cbor } in outputs {
        let outpoint = OutPoint { tx: tx_hash, index };
        let output = TxOut::from_cbor(&cbor.0);
        let output = output.map_err(|error| FileError::Malformed(format!("output {outpoint}: {error}")))?;
        if !used.contains(&outpoint) || resolved.insert(outpoint, output).is_some() {
            return Err(FileError::OutputSurplus(outpoint));
        }
    }
    match used.into_iter().find(|outpoint| !resolved.contains_key(outpoint)) {
        Some(missing) => Err(FileError::OutputMissing(missing)),
        None => Ok(resolved),
    }
}

/// Redeemers are no part of what is signed, so a transaction that binds some must show them: what it lets scripts do would
/// stay unseen otherwise.
fn shows_its_scripts(tx: &Transaction) -> Result<(), FileError> {
    if tx.body.script_data_hash.is_some() != tx.witnesses.redeemers.is_empty() {
        Ok(())
    } else {
        Err(FileError::Transaction(
            "it runs scripts with arguments that it does not show, or shows some in vain".into(),
        ))
    }
}

/// Keys are the same on every network, and so is a signature: what is called a test must not move real money.
fn of_one_network(
    tx: &Transaction,
    resolved: &BTreeMap<OutPoint, TxOut>,
    magic: NetworkMagic,
) -> Result<(), FileError> {
    let network_id = magic.network_id();
    let outputs = tx.body.outputs.iter().chain(&tx.body.collateral_return).chain(resolved.values());
    let mut foreign = outputs.map(|output| &output.address).filter(|address| {
        // Addresses of the Byron era are nobody's here.
        address.network_id().is_some_and(|id| id != network_id)
    });
    let account = tx.body.withdrawals.keys().find(|account| account.network_id != network_id);
    match foreign.next().map(ToString::to_string).or(account.map(ToString::to_string)) {
        Some(address) => Err(FileError::OtherNetwork { magic, address }),
        None => Ok(()),
    }
}

/// The keys of what a transaction consumes or puts up, and those that it names itself.
fn owners(tx: &Transaction, resolved: &BTreeMap<OutPoint, TxOut>) -> BTreeSet<KeyHash> {
    let inputs = tx.body.inputs.iter().chain(&tx.body.collateral);
    let owners = inputs.filter_map(|outpoint| resolved.get(outpoint)).filter_map(crate::build::signer_of);
    owners.chain(tx.body.required_signers.iter().copied()).collect()
}

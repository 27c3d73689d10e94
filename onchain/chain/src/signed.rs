//! A balanced transaction on its way to the chain: collecting signatures, then checked by the ledger's rules before
//! anything is sent.

mod decode;
mod file;
mod parents;

use std::collections::{BTreeMap, BTreeSet};

use nunet_ledger::{
    Certificate, Credential, DRep, ExUnits, KeyHash, Lovelace, NetworkMagic, OutPoint, PoolId, PoolParams,
    RewardAccount, Slot, SlotConfig, Transaction, TxId, TxOut, VKeyWitness,
    hash::blake2b_224,
    parameters::{ProtocolParameters, Rational},
    rules::{Account, Effects, LedgerError, LedgerState, Pool},
};
use pallas_crypto::key::ed25519::{PublicKey, Signature};

pub use self::{
    file::{FileError, MAX_FILE},
    parents::{Proof, Resolved},
};
use crate::{
    build::{BuildError, signed_size},
    chain::Utxo,
    wallet::Wallet,
};

/// A balanced transaction that waits for signatures.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsigned {
    tx: Transaction,
    id: TxId,
    signers: BTreeSet<KeyHash>,
    resolved: BTreeMap<OutPoint, TxOut>,
    /// Whole transactions that made some of these, by their ids.
    parents: BTreeMap<TxId, Vec<u8>>,
    magic: NetworkMagic,
}

/// A transaction with all its signatures.
#[derive(Clone, Debug, PartialEq)]
pub struct Signed {
    /// The transaction's id.
    pub id: TxId,
    /// Its bytes, as they are sent.
    pub cbor: Vec<u8>,
    /// Its parts.
    pub tx: Transaction,
    resolved: BTreeMap<OutPoint, TxOut>,
    magic: NetworkMagic,
}

/// The ledger would refuse a transaction.
#[derive(Debug, thiserror::Error)]
#[error("transaction {id} was not sent, the ledger would refuse it: {error}")]
pub struct CheckError {
    /// Which transaction.
    pub id: TxId,
    /// The ledger's words.
    pub error: Box<LedgerError>,
}

impl Unsigned {
    pub(crate) fn new(
        tx: Transaction,
        signers: BTreeSet<KeyHash>,
        resolved: BTreeMap<OutPoint, TxOut>,
        magic: NetworkMagic,
    ) -> Self {
        let id = tx.id();
        Self { tx, id, signers, resolved, parents: BTreeMap::new(), magic }
    }

    /// The id, which is what everybody signs.
    pub fn id(&self) -> TxId {
        self.id
    }

    /// The transaction, with the signatures so far.
    pub fn transaction(&self) -> &Transaction {
        &self.tx
    }

    /// The keys that have to sign.
    pub fn signers(&self) -> &BTreeSet<KeyHash> {
        &self.signers
    }

    /// The network that it is for.
    pub fn magic(&self) -> NetworkMagic {
        self.magic
    }

    /// Everything that the transaction spends, reads or puts up as collateral, and why that is believed.
    pub fn resolved(&self) -> impl Iterator<Item = Resolved<'_>> {
        self.resolved.iter().map(|(outpoint, output)| Resolved {
            outpoint: *outpoint,
            output,
            proof: if self.parents.contains_key(&outpoint.tx) { Proof::Parent } else { Proof::Claimed },
        })
    }

    /// The network fee.
    pub fn fee(&self) -> Lovelace {
        self.tx.body.fee
    }

    /// The execution units of all scripts.
    pub fn units(&self) -> ExUnits {
        self.tx.witnesses.redeemers.iter().fold(ExUnits::default(), |sum, redeemer| sum.plus(redeemer.units))
    }

    /// The size that the ledger will count once everybody has signed.
    pub fn signed_size(&self) -> usize {
        signed_size(&self.tx, &self.signers)
    }

    /// Adds the signatures of all keys of these wallets that have to sign.
    #[must_use]
    pub fn sign_with(mut self, wallets: &[&Wallet]) -> Self {
        for key in self.missing() {
            if let Some(witness) = wallets.iter().find_map(|wallet| wallet.sign_as(&key, &self.id)) {
                self.tx.witnesses.vkeys.push(witness);
            }
        }
        self
    }

    /// Adds somebody else's signature, which must be good and by a key that has to sign.
    pub fn add_witness(&mut self, witness: VKeyWitness) -> Result<(), BuildError> {
        let key = KeyHash(blake2b_224(&witness.key));
        if !self.signers.contains(&key) {
            return Err(BuildError::BadSignature { key, reason: "is not needed by this transaction" });
        }
        if !PublicKey::from(witness.key).verify(self.id.0, &Signature::from(witness.signature)) {
            return Err(BuildError::BadSignature { key, reason: "does not sign this transaction" });
        }
        if self.missing().contains(&key) {
            self.tx.witnesses.vkeys.push(witness);
        }
        Ok(())
    }

    /// Takes over the signatures that a copy of this transaction has, as each of several signers returns one.
    pub fn merge(&mut self, other: &Self) -> Result<(), BuildError> {
        if other.id != self.id {
            return Err(BuildError::OtherTransaction { expected: self.id, found: other.id });
        }
        other.tx.witnesses.vkeys.iter().try_for_each(|witness| self.add_witness(*witness))
    }

    /// The keys whose signatures are still missing.
    pub fn missing(&self) -> Vec<KeyHash> {
        let there: BTreeSet<KeyHash> =
            self.tx.witnesses.vkeys.iter().map(|witness| KeyHash(blake2b_224(&witness.key))).collect();
        self.signers.difference(&there).copied().collect()
    }

    /// The finished transaction; an error names the keys that have not signed.
    pub fn finish(mut self) -> Result<Signed, BuildError> {
        let missing = self.missing();
        if !missing.is_empty() {
            return Err(BuildError::MissingSignatures(missing));
        }
        self.tx.witnesses.vkeys.sort_by_key(|witness| witness.key);
        let cbor = self.tx.to_cbor();
        Ok(Signed { id: self.id, cbor, tx: self.tx, resolved: self.resolved, magic: self.magic })
    }
}

impl Signed {
    /// The outputs that the transaction consumes.
    pub fn consumed(&self) -> &BTreeSet<OutPoint> {
        &self.tx.body.inputs
    }

    /// The outputs that it makes, as they can be spent once it is submitted.
    pub fn produced(&self) -> Vec<Utxo> {
        let outputs = self.tx.body.outputs.iter().cloned();
        (0..).zip(outputs).map(|(index, output)| Utxo { outpoint: OutPoint { tx: self.id, index }, output }).collect()
    }
}

/// Validates a transaction by the ledger's rules, as if its block came at slot `now`, and says what it would do.
///
/// The ledger's state is taken to be as the plan assumed: the outputs that it consumes and reads exist, the accounts
/// that it withdraws from hold what is withdrawn (and delegate their vote), its certificates fit, and whom it delegates to
/// is registered.
pub fn check(
    signed: &Signed,
    params: &ProtocolParameters,
    slots: &SlotConfig,
    now: Slot,
) -> Result<Effects, CheckError> {
    let body = &signed.tx.body;
    let mut state = LedgerState::new(params.clone(), *slots, signed.magic);
    state.utxo = signed.resolved.clone();
    // Withdrawals by a key also need its vote delegated.
    let account = |rewards| Account { deposit: params.key_deposit, rewards, drep: Some(DRep::Abstain), pool: None };
    for (withdrawn, rewards) in &body.withdrawals {
        state.accounts.insert(withdrawn.credential, account(*rewards));
    }
    for certificate in &body.certificates {
        if let Certificate::DeregisterStake(credential) | Certificate::Delegate { credential, .. } = certificate {
            state.accounts.entry(*credential).or_insert_with(|| account(Lovelace(0)));
        }
        if let Certificate::Delegate { credential, to } | Certificate::RegisterAndDelegate { credential, to, .. } =
            certificate
        {
            state.dreps.extend(to.drep().and_then(DRep::credential));
            state.pools.extend(to.pool().map(|pool| (pool, assumed_pool(pool, *credential, signed.magic))));
        }
    }
    state.validate(&signed.cbor, now).map_err(|error| CheckError { id: signed.id, error: Box::new(error) })
}

/// A pool of which only the id matters.
fn assumed_pool(id: PoolId, owner: Credential, magic: NetworkMagic) -> Pool {
    let params = PoolParams {
        id,
        vrf: [0; 32],
        pledge: Lovelace(0),
        cost: Lovelace(0),
        margin: Rational::new(0, 1),
        reward_account: RewardAccount { network_id: magic.network_id(), credential: owner },
        owners: BTreeSet::new(),
        relays: Vec::new(),
        metadata: None,
    };
    Pool { params, deposit: Lovelace(0), next: None, retires: None }
}

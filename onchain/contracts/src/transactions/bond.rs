//! Locking an escrow, or opening a lease, with a bond: one transaction that two wallets pay for.
//!
//! ```text
//! requester  price, fee, deposit, tip, network fee ─┐        ┌─► escrow (output 0)
//!                                                   ├─ lock ─┼─► the provider's change (output 1)
//! provider   bond, carry: its inputs ───────────────┘        └─► the requester's change
//! ```
//!
//! The requester builds it and asks the provider for a signature. The provider's key can do more than spend the inputs that
//! it named: it may own other outputs, or be a party to other escrows, leases and multisigs. So it signs nothing but a
//! transaction of which it knows every part ([`check_bonded_lock`]).

use std::collections::{BTreeMap, BTreeSet};

use nunet_ledger::{
    Address, Credential, KeyHash, Lovelace, OutPoint, ProtocolParameters, Slot, TxOut, Value, fees::min_ada,
    received::ReceivedTx,
};

use super::{EscrowTerms, LeaseTerms, PlanError, lock, open_lease};
use crate::{
    ntx::Ntx,
    plan::{Spend, TxPlan},
    protocol::Protocol,
};

/// The most inputs that a provider may name for one bond: their bytes are at the requester's expense.
pub const MAX_BOND_INPUTS: usize = 8;
/// The most inputs of others that a provider looks up before it signs.
pub const MAX_OTHER_INPUTS: usize = 64;

/// What a provider pays a bond with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BondFunds {
    /// Its outputs; each is unlocked by a key.
    pub inputs: Vec<(OutPoint, TxOut)>,
    /// Where what is left of them goes.
    pub change: Address,
}

impl BondFunds {
    /// What a provider named, as the chain shows it, for a requester with these keys.
    ///
    /// # Errors
    /// When an output is the requester's own: it would sign for it without noticing.
    pub fn of_provider(
        inputs: Vec<(OutPoint, TxOut)>,
        change: Address,
        requester: &BTreeSet<KeyHash>,
    ) -> Result<Self, BondError> {
        let own = inputs.iter().find(|(_, output)| key_of(output).is_some_and(|key| requester.contains(&key)));
        match own {
            Some((outpoint, _)) => Err(BondError::RequestersOwn(*outpoint)),
            None => Ok(Self { inputs, change }),
        }
    }
}

/// Why funds make no bond.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BondError {
    /// No input, or too many.
    #[error("a bond is paid with 1 to {MAX_BOND_INPUTS} outputs, not {0}: join small outputs first")]
    InputCount(usize),
    /// One input twice.
    #[error("output {0} is named twice")]
    Duplicate(OutPoint),
    /// An input that a script guards, or a Byron address.
    #[error("output {0} is not unlocked by a key")]
    NotAKeys(OutPoint),
    /// An input of the other side.
    #[error("output {0} is the requester's own, not the provider's")]
    RequestersOwn(OutPoint),
    /// An input that makes the transaction dear for who pays its fee.
    #[error("output {0} carries a reference script, whose bytes the requester would pay for: name another one")]
    CarriesAScript(OutPoint),
    /// Less than the bond and the carry.
    #[error("the outputs do not hold {bond} and {carry}")]
    TooLittle {
        /// The bond.
        bond: Ntx,
        /// The lovelace that goes with it.
        carry: Lovelace,
    },
    /// What is left is too little for an output.
    #[error("the outputs leave {left}, and an output for it needs {needed}: name an output with more lovelace")]
    SmallChange {
        /// What is left.
        left: Lovelace,
        /// What the ledger asks for.
        needed: Lovelace,
    },
}

/// Locks an escrow (output 0) whose bond and carry come out of the provider's outputs; what is left of these goes back to the
/// provider (output 1, when anything is left). Not valid from `valid_until` on.
pub fn lock_with_bond(
    protocol: &Protocol,
    params: &ProtocolParameters,
    terms: &EscrowTerms,
    funds: &BondFunds,
    valid_until: Slot,
) -> Result<TxPlan, PlanError> {
    let EscrowTerms { datum, .. } = terms;
    with_bond(lock(protocol, terms, valid_until)?, protocol, params, (datum.bond, datum.carry), funds)
}

/// Opens a lease (output 0) whose bond and carry come out of the lessor's outputs, likewise.
pub fn open_lease_with_bond(
    protocol: &Protocol,
    params: &ProtocolParameters,
    terms: &LeaseTerms,
    funds: &BondFunds,
    valid_until: Slot,
) -> Result<TxPlan, PlanError> {
    let LeaseTerms { datum, .. } = terms;
    with_bond(open_lease(protocol, terms, valid_until)?, protocol, params, (datum.bond, datum.carry), funds)
}

fn with_bond(
    mut plan: TxPlan,
    protocol: &Protocol,
    params: &ProtocolParameters,
    due: (Ntx, Lovelace),
    funds: &BondFunds,
) -> Result<TxPlan, PlanError> {
    plan.outputs.extend(change_of(protocol, params, due, funds)?);
    let spend =
        |(outpoint, output): &(OutPoint, TxOut)| Spend { outpoint: *outpoint, output: output.clone(), redeemer: None };
    plan.spends = funds.inputs.iter().map(spend).collect();
    Ok(plan)
}

fn change_of(
    protocol: &Protocol,
    params: &ProtocolParameters,
    (bond, carry): (Ntx, Lovelace),
    funds: &BondFunds,
) -> Result<Option<TxOut>, PlanError> {
    if !(1..=MAX_BOND_INPUTS).contains(&funds.inputs.len()) {
        return Err(BondError::InputCount(funds.inputs.len()).into());
    }
    let mut seen = BTreeSet::new();
    let mut sum = Value::default();
    for (outpoint, output) in &funds.inputs {
        if !seen.insert(*outpoint) {
            return Err(BondError::Duplicate(*outpoint).into());
        }
        if key_of(output).is_none() {
            return Err(BondError::NotAKeys(*outpoint).into());
        }
        if output.reference_script.is_some() {
            return Err(BondError::CarriesAScript(*outpoint).into());
        }
        sum = sum.checked_add(&output.value).ok_or(PlanError::Overflow("the bond's inputs"))?;
    }
    let due = Value::lovelace_only(carry).with(protocol.ntx().clone(), bond.0);
    let left = due.and_then(|due| sum.checked_sub(&due)).ok_or(BondError::TooLittle { bond, carry })?;
    if left == Value::default() {
        return Ok(None);
    }
    let change = TxOut::new(funds.change.clone(), left);
    let (left, needed) = (change.value.lovelace(), min_ada(params, &change));
    if left < needed { Err(BondError::SmallChange { left, needed }.into()) } else { Ok(Some(change)) }
}

fn key_of(output: &TxOut) -> Option<KeyHash> {
    match output.address.payment() {
        Some(Credential::Key(key)) => Some(key),
        _ => None,
    }
}

/// Why a provider does not sign a lock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockRefusal {
    /// A part that a lock has no use for, where the provider's key might count for something else.
    #[error("a lock has inputs, outputs, a fee and an end of validity; this one also has {0}")]
    MoreThanALock(&'static str),
    /// The outputs do not begin with the escrow and the provider's change.
    #[error("output {index} is not {expected}, exactly as agreed")]
    WrongOutput {
        /// Its position.
        index: usize,
        /// What it should be.
        expected: &'static str,
    },
    /// An input that the provider named is not there.
    #[error("input {0}, which the bond is paid with, is missing")]
    MissingInput(OutPoint),
    /// Another output of the provider would be spent.
    #[error("input {0} is the provider's too, and was not named for the bond")]
    ProvidersOwn(OutPoint),
    /// An input that could be anybody's.
    #[error("input {0} cannot be looked up: wait until its transaction is in a block")]
    Unknown(OutPoint),
    /// An input that no key unlocks, so that more than a signature may be needed for it.
    #[error("input {0} is not unlocked by a key: pay from an address of a key")]
    NotAKeys(OutPoint),
    /// More inputs than are looked up.
    #[error(
        "a lock with {0} inputs of the requester is not looked at; at most {MAX_OTHER_INPUTS} are: join small outputs first"
    )]
    TooManyInputs(usize),
    /// No end, or one too far away.
    #[error("the lock must be invalid from slot {} on at the latest", latest.0)]
    Endless {
        /// The latest end.
        latest: Slot,
    },
    /// It is over already.
    #[error("the lock is no longer valid")]
    Over,
}

/// The inputs of a lock that the provider did not name and has to look up, or a refusal where there are too many.
pub fn others_inputs(request: &ReceivedTx<'_>, expected: &TxPlan) -> Result<Vec<OutPoint>, LockRefusal> {
    let named: BTreeSet<OutPoint> = expected.spends.iter().map(|spend| spend.outpoint).collect();
    let others: Vec<OutPoint> = request.body.inputs.difference(&named).copied().collect();
    if others.len() > MAX_OTHER_INPUTS { Err(LockRefusal::TooManyInputs(others.len())) } else { Ok(others) }
}

/// Whether the provider may sign a lock that a requester built.
///
/// `expected` is the plan of [`lock_with_bond`] that the provider makes itself, `others` what the chain shows at
/// [`others_inputs`], `keys` are all that the provider signs with, `now` is the latest block's slot. The validity must end
/// by the plan's `valid_until`.
///
/// What the provider loses by its signature is then exactly bond and carry: its inputs less its change.
pub fn check_bonded_lock(
    request: &ReceivedTx<'_>,
    expected: &TxPlan,
    others: &BTreeMap<OutPoint, TxOut>,
    keys: &BTreeSet<KeyHash>,
    now: Slot,
) -> Result<(), LockRefusal> {
    let body = &request.body;
    let more = [
        ("certificates", !body.certificates.is_empty()),
        ("withdrawals", !body.withdrawals.is_empty()),
        ("metadata", body.auxiliary_data_hash.is_some() || request.auxiliary.is_some()),
        ("minting", !body.mint.is_empty()),
        ("redeemers or datums", body.script_data_hash.is_some()),
        ("collateral", !body.collateral.is_empty()),
        ("a collateral return", body.collateral_return.is_some() || body.total_collateral.is_some()),
        ("required signers", !body.required_signers.is_empty()),
        ("reference inputs", !body.reference_inputs.is_empty()),
        ("a start of validity", body.valid_from.is_some()),
    ];
    if let Some((what, _)) = more.into_iter().find(|(_, there)| *there) {
        return Err(LockRefusal::MoreThanALock(what));
    }
    if let Some(what) = body.unsupported {
        return Err(LockRefusal::MoreThanALock(what));
    }
    for (index, (output, name)) in expected.outputs.iter().zip(["the escrow", "the provider's change"]).enumerate() {
        if body.outputs.get(index).map(|sized| &sized.output) != Some(output) {
            return Err(LockRefusal::WrongOutput { index, expected: name });
        }
    }
    if let Some(spend) = expected.spends.iter().find(|spend| !body.inputs.contains(&spend.outpoint)) {
        return Err(LockRefusal::MissingInput(spend.outpoint));
    }
    for outpoint in others_inputs(request, expected)? {
        let output = others.get(&outpoint).ok_or(LockRefusal::Unknown(outpoint))?;
        let key = key_of(output).ok_or(LockRefusal::NotAKeys(outpoint))?;
        if keys.contains(&key) {
            return Err(LockRefusal::ProvidersOwn(outpoint));
        }
    }
    let latest = expected.valid_until.unwrap_or_default();
    match body.valid_until {
        Some(end) if end <= now => Err(LockRefusal::Over),
        Some(end) if end <= latest => Ok(()),
        _ => Err(LockRefusal::Endless { latest }),
    }
}

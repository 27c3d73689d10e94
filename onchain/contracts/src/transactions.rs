//! Every transaction of the protocol as a pure function to a [`TxPlan`].

mod bond;
mod deploy;
mod escrow;
mod lease;
mod redeem;
mod rotate;
mod settle;

pub use bond::{
    BondError, BondFunds, LockRefusal, MAX_BOND_INPUTS, MAX_OTHER_INPUTS, check_bonded_lock, lock_with_bond,
    open_lease_with_bond, others_inputs,
};
pub use deploy::{create_committee, publish_scripts};
pub use escrow::{EscrowTerms, accept, agree, escrow_output, lock, refund};
pub use lease::{Closer, LeaseTerms, LeaseWays, TIME_TO_LAND_MS, lease_output, open_lease};
pub use redeem::redeem;
pub use rotate::{rotate_committee, rotation_message};
pub(crate) use settle::divide;
pub use settle::settle;

use nunet_ledger::{
    Address, Datum, Lovelace, OutPoint, ProtocolParameters, ScriptHash, Slot, TxOut, Value, fees::min_ada,
    units::SlotConfig,
};

use crate::{
    committee::CommitteeId,
    data::{self, DataError},
    job::{JobAction, JobDatum},
    lease::rent::LeaseError,
    ntx::Ntx,
    plan::{Spend, TxPlan, Withdrawal},
    protocol::{Deployment, Protocol},
};

/// Why a plan cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A datum or address has no on-chain form.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Amounts beyond 64 bits.
    #[error("the amounts of {0} do not fit 64 bits")]
    Overflow(&'static str),
    /// Nothing to do.
    #[error("no escrow is given")]
    Empty,
    /// One escrow twice.
    #[error("escrow {0} is given twice")]
    Duplicate(OutPoint),
    /// A principal is a script, and nothing says how it consents.
    #[error(
        "script {script} must consent by a withdrawal from its stake account: pass its consent, with the script, the \
         account's exact balance, and a redeemer (Plutus) or the keys that sign (native)"
    )]
    ConsentMissing {
        /// The script.
        script: ScriptHash,
    },
    /// A lease does not allow it, or not yet.
    #[error("lease {lease}: {problem}")]
    Lease {
        /// The lease.
        lease: OutPoint,
        /// Why not, and when or how it can be done.
        problem: LeaseError,
    },
    /// Judged by another committee.
    #[error("{output} names committee {named}, not {given}: pass the committee that it names")]
    Committee {
        /// The escrow or lease.
        output: OutPoint,
        /// The committee in its datum.
        named: CommitteeId,
        /// The one that was given.
        given: CommitteeId,
    },
    /// The provider's outputs make no bond.
    #[error("the bond: {0}")]
    Bond(#[from] BondError),
    /// A verdict or voucher that does not fit the escrow.
    #[error("escrow {escrow}: {problem}")]
    Unfit {
        /// The escrow.
        escrow: OutPoint,
        /// What is wrong.
        problem: String,
    },
}

/// What whoever closes an escrow would pay for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Shortfall {
    /// What it owes and does not hold.
    #[error("it holds {ntx} and {lovelace} less than its datum promises: whoever closed it would pay that")]
    Missing {
        /// The NTX that is missing.
        ntx: Ntx,
        /// The lovelace that is missing.
        lovelace: Lovelace,
    },
    /// The bytes of a script.
    #[error("it carries a reference script, for whose bytes whoever closed it would pay")]
    CarriesAScript,
}

/// An escrow on chain with its parsed datum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escrow {
    /// Where it is.
    pub outpoint: OutPoint,
    /// The whole output.
    pub output: TxOut,
    /// The terms in its datum.
    pub datum: JobDatum,
}

impl Escrow {
    /// Reads an escrow from an output at the protocol's escrow address.
    pub fn read(protocol: &Protocol, outpoint: OutPoint, output: TxOut) -> Result<Self, DataError> {
        if output.address != protocol.escrow_address() {
            return Err(DataError::new("escrow", format!("{outpoint} is not at the escrow address")));
        }
        let Some(Datum::Inline(cbor)) = &output.datum else {
            return Err(DataError::new("escrow", format!("{outpoint} has no inline datum")));
        };
        let datum = JobDatum::from_cbor(cbor, protocol.network_id())?;
        Ok(Self { outpoint, output, datum })
    }

    /// What the output holds less than its datum owes, or what else makes it dear to close. Nothing ran when it was locked:
    /// whoever closes it would pay that, to addresses that a stranger chose.
    ///
    /// # Errors
    /// When there is something.
    pub fn check_funds(&self, protocol: &Protocol) -> Result<(), Shortfall> {
        let Self { datum, output, .. } = self;
        let promised = datum.locked().unwrap_or(Ntx(u64::MAX));
        let owed = datum.deposit.0.saturating_add(datum.carry.0);
        let ntx = Ntx(promised.0.saturating_sub(output.value.quantity(protocol.ntx())));
        let lovelace = Lovelace(owed.saturating_sub(output.value.lovelace().0));
        if ntx.0 > 0 || lovelace.0 > 0 {
            return Err(Shortfall::Missing { ntx, lovelace });
        }
        if output.reference_script.is_some() { Err(Shortfall::CarriesAScript) } else { Ok(()) }
    }

    fn spend(&self) -> Spend {
        // The stub looks at neither datum nor redeemer; the cheapest redeemer is an empty constructor.
        Spend { outpoint: self.outpoint, output: self.output.clone(), redeemer: Some(data::constr(0, vec![])) }
    }
}

/// Sorts escrows as the ledger orders inputs; refuses none and doubles.
fn in_input_order<'a>(escrows: impl IntoIterator<Item = &'a Escrow>) -> Result<Vec<&'a Escrow>, PlanError> {
    let mut sorted: Vec<&Escrow> = escrows.into_iter().collect();
    sorted.sort_by_key(|escrow| escrow.outpoint);
    if sorted.is_empty() {
        return Err(PlanError::Empty);
    }
    match sorted.windows(2).find(|pair| pair[0].outpoint == pair[1].outpoint) {
        Some(pair) => Err(PlanError::Duplicate(pair[0].outpoint)),
        None => Ok(sorted),
    }
}

/// The same for ways out that anyone can build: refuses what the builder would have to pay for.
fn funded_in_input_order<'a>(
    protocol: &Protocol,
    escrows: impl IntoIterator<Item = &'a Escrow>,
) -> Result<Vec<&'a Escrow>, PlanError> {
    let sorted = in_input_order(escrows)?;
    for escrow in &sorted {
        let unfit = |shortfall: Shortfall| PlanError::Unfit { escrow: escrow.outpoint, problem: shortfall.to_string() };
        escrow.check_funds(protocol).map_err(unfit)?;
    }
    Ok(sorted)
}

/// The plan that spends escrows through the logic script.
fn spend_through_logic(deployment: &Deployment, escrows: &[&Escrow], action: &JobAction) -> TxPlan {
    TxPlan {
        spends: escrows.iter().map(|escrow| escrow.spend()).collect(),
        references: vec![deployment.stub.clone(), deployment.logic.clone()],
        withdrawals: vec![Withdrawal {
            account: deployment.protocol.logic_account(),
            amount: Lovelace(0),
            redeemer: Some(action.to_data()),
        }],
        ..TxPlan::default()
    }
}

/// A payout: exactly this NTX, at least this lovelace, raised to the ledger's minimum.
pub fn payout(
    protocol: &Protocol,
    params: &ProtocolParameters,
    address: Address,
    ntx: Ntx,
    lovelace: Lovelace,
) -> Result<TxOut, PlanError> {
    let value =
        Value::lovelace_only(lovelace).with(protocol.ntx().clone(), ntx.0).ok_or(PlanError::Overflow("a payout"))?;
    Ok(with_min_ada(params, TxOut::new(address, value)))
}

/// The output with at least the ledger's minimum of lovelace.
fn with_min_ada(params: &ProtocolParameters, mut output: TxOut) -> TxOut {
    // A larger amount can need a longer encoding and so a larger minimum; it settles within two rounds.
    loop {
        let needed = min_ada(params, &output);
        if output.value.lovelace() >= needed {
            return output;
        }
        output.value.set_lovelace(needed);
    }
}

/// Merged payouts: all that one address gets out of a transaction, in one output.
#[derive(Default)]
struct Payees(Vec<Payee>);

struct Payee {
    address: Address,
    ntx: Ntx,
    lovelace: Lovelace,
    shares: usize,
}

/// A payee, before its output has a place.
#[derive(Clone, Copy)]
struct PayeeId(usize);

/// The merged payouts in the order of their outputs.
struct MergedPayouts {
    outputs: Vec<TxOut>,
    places: Vec<u64>,
}

impl Payees {
    /// Adds a share; nothing is owed with `None`.
    fn add(&mut self, address: &Address, ntx: Ntx, lovelace: Lovelace) -> Result<Option<PayeeId>, PlanError> {
        if ntx.0 == 0 && lovelace.0 == 0 {
            return Ok(None);
        }
        let known = self.0.iter().position(|payee| payee.address == *address);
        let position = known.unwrap_or_else(|| {
            self.0.push(Payee { address: address.clone(), ntx: Ntx(0), lovelace: Lovelace(0), shares: 0 });
            self.0.len() - 1
        });
        let payee = &mut self.0[position];
        payee.ntx = Ntx(payee.ntx.0.checked_add(ntx.0).ok_or(PlanError::Overflow("a merged payout"))?);
        let carried = payee.lovelace.0.checked_add(lovelace.0).ok_or(PlanError::Overflow("a merged payout"))?;
        payee.lovelace = Lovelace(carried);
        payee.shares += 1;
        Ok(Some(PayeeId(position)))
    }

    /// Makes the outputs. Those with the most shares come first: the validator walks to a payout for each share.
    fn merge(self, protocol: &Protocol, params: &ProtocolParameters) -> Result<MergedPayouts, PlanError> {
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        order.sort_by_key(|position| std::cmp::Reverse(self.0[*position].shares));
        let mut places = vec![0; order.len()];
        let mut outputs = Vec::with_capacity(order.len());
        for (place, position) in (0..).zip(order) {
            places[position] = place;
            let payee = &self.0[position];
            outputs.push(payout(protocol, params, payee.address.clone(), payee.ntx, payee.lovelace)?);
        }
        Ok(MergedPayouts { outputs, places })
    }
}

impl MergedPayouts {
    /// How many there are.
    fn count(&self) -> u64 {
        self.outputs.len() as u64
    }

    /// The place of a payee's output among the merged payouts.
    fn place(&self, payee: Option<PayeeId>) -> Option<u64> {
        payee.map(|PayeeId(position)| self.places[position])
    }
}

/// The first slot from which every deadline has passed.
fn after_deadlines(escrows: &[&Escrow], slots: &SlotConfig) -> Slot {
    let latest = escrows.iter().map(|escrow| escrow.datum.deadline).max().unwrap_or_default();
    slots.at_or_after(latest)
}

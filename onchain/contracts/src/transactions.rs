//! Every transaction of the protocol as a pure function to a [`TxPlan`].

mod deploy;
mod escrow;
mod rotate;
mod settle;

pub use deploy::{create_committee, publish_scripts};
pub use escrow::{EscrowTerms, accept, escrow_output, lock, refund};
pub use rotate::{rotate_committee, rotation_message};
pub use settle::settle;

use nunet_ledger::{
    Address, Datum, Lovelace, OutPoint, ProtocolParameters, Slot, TxOut, Value, fees::min_ada, units::SlotConfig,
};

use crate::{
    data::{self, DataError},
    job::{JobAction, JobDatum},
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
    /// A way out that a key must sign, for a principal that is a script.
    #[error("escrow {escrow}: requester {requester} is a script, which consents by a withdrawal, not by a key")]
    ScriptRequester {
        /// The escrow.
        escrow: OutPoint,
        /// Its requester.
        requester: Box<Address>,
    },
    /// A verdict that does not fit the escrow.
    #[error("escrow {escrow}: {problem}")]
    Verdict {
        /// The escrow.
        escrow: OutPoint,
        /// What is wrong.
        problem: String,
    },
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

    fn spend(&self) -> Spend {
        // The stub looks at neither datum nor redeemer; the cheapest redeemer is an empty constructor.
        Spend { outpoint: self.outpoint, output: self.output.clone(), redeemer: Some(data::constr(0, vec![])) }
    }
}

/// Sorts escrows as the ledger orders inputs; refuses none and doubles.
fn in_input_order(escrows: &[Escrow]) -> Result<Vec<&Escrow>, PlanError> {
    let mut sorted: Vec<&Escrow> = escrows.iter().collect();
    sorted.sort_by_key(|escrow| escrow.outpoint);
    if sorted.is_empty() {
        return Err(PlanError::Empty);
    }
    match sorted.windows(2).find(|pair| pair[0].outpoint == pair[1].outpoint) {
        Some(pair) => Err(PlanError::Duplicate(pair[0].outpoint)),
        None => Ok(sorted),
    }
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

/// Payouts to providers, merged by address in order of first appearance.
#[derive(Default)]
struct Payees {
    payouts: Vec<(Address, Ntx, Lovelace)>,
    indices: Vec<u64>,
}

impl Payees {
    /// Adds what one escrow owes its provider; 0 is the index where nothing is owed.
    fn add(&mut self, address: &Address, ntx: Ntx, lovelace: Lovelace) -> Result<u64, PlanError> {
        if ntx.0 == 0 && lovelace.0 == 0 {
            self.indices.push(0);
            return Ok(0);
        }
        let position = match self.payouts.iter().position(|(payee, ..)| payee == address) {
            Some(position) => position,
            None => {
                self.payouts.push((address.clone(), Ntx(0), Lovelace(0)));
                self.payouts.len() - 1
            }
        };
        let (_, sum, carried) = &mut self.payouts[position];
        *sum = Ntx(sum.0.checked_add(ntx.0).ok_or(PlanError::Overflow("a merged payout"))?);
        *carried = Lovelace(carried.0.checked_add(lovelace.0).ok_or(PlanError::Overflow("a merged payout"))?);
        self.indices.push(position as u64);
        Ok(position as u64)
    }

    fn outputs(&self, protocol: &Protocol, params: &ProtocolParameters) -> Result<Vec<TxOut>, PlanError> {
        self.payouts
            .iter()
            .map(|(address, ntx, lovelace)| payout(protocol, params, address.clone(), *ntx, *lovelace))
            .collect()
    }
}

/// The first slot from which every deadline has passed.
fn after_deadlines(escrows: &[&Escrow], slots: &SlotConfig) -> Slot {
    let latest = escrows.iter().map(|escrow| escrow.datum.deadline).max().unwrap_or_default();
    slots.at_or_after(latest)
}

//! Locking an escrow, and the ways out that need no verdict.

use nunet_ledger::{Credential, Datum, Lovelace, ProtocolParameters, Slot, TxOut, Value, units::SlotConfig};

use super::{Escrow, Payees, PlanError, after_deadlines, in_input_order, payout, spend_through_logic};
use crate::{
    job::{JobAction, JobDatum},
    plan::TxPlan,
    protocol::{Deployment, Protocol},
};

/// What an agreement fixes about the escrow output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EscrowTerms {
    /// The datum.
    pub datum: JobDatum,
    /// Lovelace for whoever builds the closing transaction: treasury min-ADA and network fee.
    pub tip: Lovelace,
}

/// The one output that satisfies these terms. Agents start work, and members sign, only when the output on chain is
/// equal to it in address, value, datum bytes and the absence of a reference script.
pub fn escrow_output(protocol: &Protocol, terms: &EscrowTerms) -> Result<TxOut, PlanError> {
    let datum = &terms.datum;
    let locked = datum.locked().ok_or(PlanError::Overflow("price, fee and bond"))?;
    let lovelace = datum
        .deposit
        .0
        .checked_add(datum.carry.0)
        .and_then(|sum| sum.checked_add(terms.tip.0))
        .ok_or(PlanError::Overflow("deposit, carry and tip"))?;
    let value = Value::lovelace_only(Lovelace(lovelace))
        .with(protocol.ntx().clone(), locked.0)
        .ok_or(PlanError::Overflow("price, fee and bond"))?;
    let mut output = TxOut::new(protocol.escrow_address(), value);
    output.datum = Some(Datum::Inline(datum.to_cbor()?));
    Ok(output)
}

/// Locks an escrow (output 0); not valid from `valid_until` on, so that a lock cannot appear late.
pub fn lock(protocol: &Protocol, terms: &EscrowTerms, valid_until: Slot) -> Result<TxPlan, PlanError> {
    Ok(TxPlan { outputs: vec![escrow_output(protocol, terms)?], valid_until: Some(valid_until), ..TxPlan::default() })
}

/// Releases price and bond to the providers; every requester signs, and what is theirs is the builder's change.
pub fn accept(deployment: &Deployment, params: &ProtocolParameters, escrows: &[Escrow]) -> Result<TxPlan, PlanError> {
    let escrows = in_input_order(escrows)?;
    let mut payees = Payees::default();
    for Escrow { datum, .. } in &escrows {
        let owed = datum.price.0.checked_add(datum.bond.0).ok_or(PlanError::Overflow("price and bond"))?;
        payees.add(&datum.provider, crate::ntx::Ntx(owed), datum.carry)?;
    }
    let outputs = payees.outputs(&deployment.protocol, params)?;
    let action = JobAction::Accept { payees: outputs.len() as u64, providers: payees.indices };
    let mut plan = spend_through_logic(deployment, &escrows, &action);
    plan.outputs = outputs;
    for escrow in escrows {
        let requester = &escrow.datum.requester;
        let Some(Credential::Key(key)) = requester.payment() else {
            let requester = Box::new(requester.clone());
            return Err(PlanError::ScriptRequester { escrow: escrow.outpoint, requester });
        };
        plan.required_signers.insert(key);
    }
    Ok(plan)
}

/// Gives everything back after the deadline of every escrow; needs nobody's permission.
pub fn refund(
    deployment: &Deployment,
    params: &ProtocolParameters,
    slots: &SlotConfig,
    escrows: &[Escrow],
) -> Result<TxPlan, PlanError> {
    let protocol = &deployment.protocol;
    let escrows = in_input_order(escrows)?;
    let mut payees = Payees::default();
    let mut requesters = Vec::new();
    for Escrow { datum, .. } in &escrows {
        payees.add(&datum.provider, datum.bond, datum.carry)?;
        let back = datum.price.0.checked_add(datum.fee.0).ok_or(PlanError::Overflow("price and fee"))?;
        if back > 0 || datum.deposit.0 > 0 {
            requesters.push(payout(protocol, params, datum.requester.clone(), crate::ntx::Ntx(back), datum.deposit)?);
        }
    }
    let mut outputs = payees.outputs(protocol, params)?;
    let action = JobAction::Refund { payees: outputs.len() as u64, providers: payees.indices };
    outputs.append(&mut requesters);
    let mut plan = spend_through_logic(deployment, &escrows, &action);
    plan.outputs = outputs;
    plan.valid_from = Some(after_deadlines(&escrows, slots));
    Ok(plan)
}

//! Locking an escrow, and the ways out that need no verdict.

use nunet_ledger::{Datum, Lovelace, ProtocolParameters, Slot, TxOut, Value, units::SlotConfig};

use super::{
    Escrow, Payees, PlanError, after_deadlines, funded_in_input_order, in_input_order, payout, spend_through_logic,
};
use crate::{
    consent::Consents,
    job::{JobAction, JobDatum},
    ntx::Ntx,
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

/// Releases price and bond to the providers; every requester consents, and what is theirs is the builder's change.
pub fn accept(
    deployment: &Deployment,
    params: &ProtocolParameters,
    escrows: &[Escrow],
    consents: &Consents,
) -> Result<TxPlan, PlanError> {
    let protocol = &deployment.protocol;
    let escrows = in_input_order(escrows)?;
    let mut payees = Payees::default();
    let mut providers = Vec::with_capacity(escrows.len());
    for Escrow { datum, .. } in &escrows {
        let owed = datum.price.0.checked_add(datum.bond.0).ok_or(PlanError::Overflow("price and bond"))?;
        providers.push(payees.add(&datum.provider, Ntx(owed), datum.carry)?);
    }
    let merged = payees.merge(protocol, params)?;
    let providers = providers.into_iter().map(|provider| merged.place(provider)).collect();
    let action = JobAction::Accept { payees: merged.count(), providers };
    let mut plan = spend_through_logic(deployment, &escrows, &action);
    plan.outputs = merged.outputs;
    consents.add_to(&mut plan, protocol.network_id(), escrows.iter().map(|escrow| &escrow.datum.requester))?;
    Ok(plan)
}

/// Divides the money as requester and provider of every escrow agree: into `outputs`, and what is left is the builder's
/// change.
pub fn agree(
    deployment: &Deployment,
    escrows: &[Escrow],
    outputs: Vec<TxOut>,
    consents: &Consents,
) -> Result<TxPlan, PlanError> {
    let escrows = in_input_order(escrows)?;
    let mut plan = spend_through_logic(deployment, &escrows, &JobAction::Agree);
    plan.outputs = outputs;
    let principals = escrows.iter().flat_map(|escrow| [&escrow.datum.requester, &escrow.datum.provider]);
    consents.add_to(&mut plan, deployment.protocol.network_id(), principals)?;
    Ok(plan)
}

/// Gives everything back after the deadline of every escrow; needs nobody's permission.
///
/// # Errors
/// When an escrow does not hold what its datum owes.
pub fn refund(
    deployment: &Deployment,
    params: &ProtocolParameters,
    slots: &SlotConfig,
    escrows: &[Escrow],
) -> Result<TxPlan, PlanError> {
    let protocol = &deployment.protocol;
    let escrows = funded_in_input_order(protocol, escrows)?;
    let mut payees = Payees::default();
    let mut providers = Vec::with_capacity(escrows.len());
    let mut requesters = Vec::new();
    for Escrow { datum, .. } in &escrows {
        providers.push(payees.add(&datum.provider, datum.bond, datum.carry)?);
        let back = datum.price.0.checked_add(datum.fee.0).ok_or(PlanError::Overflow("price and fee"))?;
        if back > 0 || datum.deposit.0 > 0 {
            requesters.push(payout(protocol, params, datum.requester.clone(), Ntx(back), datum.deposit)?);
        }
    }
    let mut merged = payees.merge(protocol, params)?;
    let providers = providers.into_iter().map(|provider| merged.place(provider)).collect();
    let action = JobAction::Refund { payees: merged.count(), providers };
    let mut plan = spend_through_logic(deployment, &escrows, &action);
    plan.outputs.append(&mut merged.outputs);
    plan.outputs.append(&mut requesters);
    plan.valid_from = Some(after_deadlines(&escrows, slots));
    Ok(plan)
}

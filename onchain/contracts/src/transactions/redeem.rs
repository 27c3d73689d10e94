//! Redeeming vouchers, and declining a job, which is redeeming nothing.

use nunet_ledger::{ProtocolParameters, Slot};

use super::{Escrow, PlanError, in_input_order, payout, spend_through_logic};
use crate::{consent::Consents, job::JobAction, ntx::Ntx, plan::TxPlan, protocol::Deployment, voucher::Voucher};

/// Takes what each voucher allows. The providers consent, and what is theirs is the builder's change; outputs by position:
/// one per requester who is owed anything, in input order. Not valid from `valid_until` on, which must come before every
/// deadline.
///
/// # Errors
/// When an escrow has a bond (only the committee, its requester or the deadline release it), an amount exceeds the price,
/// or an amount above 0 has no signature.
pub fn redeem(
    deployment: &Deployment,
    params: &ProtocolParameters,
    escrows: &[(Escrow, Voucher)],
    consents: &Consents,
    valid_until: Slot,
) -> Result<TxPlan, PlanError> {
    let protocol = &deployment.protocol;
    let mut sorted: Vec<&(Escrow, Voucher)> = escrows.iter().collect();
    sorted.sort_by_key(|(escrow, _)| escrow.outpoint);
    let spent = in_input_order(sorted.iter().map(|(escrow, _)| escrow))?;
    let mut outputs = Vec::new();
    let mut vouchers = Vec::with_capacity(sorted.len());
    for (escrow, voucher) in &sorted {
        let datum = &escrow.datum;
        let wrong = |problem: String| PlanError::Unfit { escrow: escrow.outpoint, problem };
        if datum.bond.0 > 0 {
            let bond = datum.bond;
            return Err(wrong(format!(
                "it holds a bond of {bond}, which a voucher cannot release; settle or accept it"
            )));
        }
        if voucher.amount.0 > 0 && voucher.signature.is_none() {
            return Err(wrong(format!("{} are not signed for; ask the requester for a voucher", voucher.amount)));
        }
        let kept = datum.price.0.checked_sub(voucher.amount.0);
        let kept = kept.ok_or_else(|| wrong(format!("{} exceed the price of {}", voucher.amount, datum.price)))?;
        let back = kept.checked_add(datum.fee.0).ok_or(PlanError::Overflow("price and fee"))?;
        if back > 0 || datum.deposit.0 > 0 {
            outputs.push(payout(protocol, params, datum.requester.clone(), Ntx(back), datum.deposit)?);
        }
        vouchers.push(*voucher);
    }
    let mut plan = spend_through_logic(deployment, &spent, &JobAction::Redeem { vouchers });
    plan.outputs = outputs;
    plan.valid_until = Some(valid_until);
    consents.add_to(&mut plan, protocol.network_id(), spent.iter().map(|escrow| &escrow.datum.provider))?;
    Ok(plan)
}

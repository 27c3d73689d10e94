//! Phase two: the scripts run within what their redeemers declare, and their verdict is what the transaction says
//! (`UTXOS` rule of the Alonzo and Conway specifications).

use crate::{
    evaluate::{EvaluateError, UsedUnits, run},
    rules::{Case, LedgerError, scripts::ScriptView},
};

pub(super) fn check(case: &Case<'_>, tx: &[u8], view: &ScriptView<'_>) -> Result<(), LedgerError> {
    within_limit(case)?;
    let (received, state) = (case.tx, case.state);
    let outcome = run(tx, received, view, &state.utxo, &state.params, &state.slots, received.declared_units())
        .and_then(|used| within_declared(case, &used));
    match outcome {
        Ok(()) if received.valid => Ok(()),
        Ok(()) => Err(LedgerError::ValidationTagMismatch(None)),
        Err(EvaluateError::ScriptFailed { .. } | EvaluateError::OverBudget { .. }) if !received.valid => Ok(()),
        Err(error @ (EvaluateError::ScriptFailed { .. } | EvaluateError::OverBudget { .. })) => {
            Err(LedgerError::ValidationTagMismatch(Some(error)))
        }
        Err(error) => Err(LedgerError::CollectErrors(error)),
    }
}

fn within_limit(case: &Case<'_>) -> Result<(), LedgerError> {
    let (declared, limit) = (case.tx.declared_units(), case.state.params.max_tx_ex_units);
    if declared.mem <= limit.mem && declared.steps <= limit.steps {
        Ok(())
    } else {
        Err(LedgerError::ExUnitsTooBigUTxO { declared, limit })
    }
}

/// Each script has its own budget, which another's thrift does not raise.
fn within_declared(case: &Case<'_>, used: &UsedUnits) -> Result<(), EvaluateError> {
    for (purpose, index, used) in used {
        let declared = case.tx.witnesses.redeemers.get(&(*purpose, *index)).map(|redeemer| redeemer.units);
        if declared.is_none_or(|declared| used.mem > declared.mem || used.steps > declared.steps) {
            return Err(EvaluateError::ScriptFailed {
                purpose: *purpose,
                index: *index,
                reason: format!(
                    "it used {} memory and {} steps, more than its redeemer declares",
                    used.mem, used.steps
                ),
                logs: Vec::new(),
            });
        }
    }
    Ok(())
}

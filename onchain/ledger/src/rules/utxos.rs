//! Scripts run within what their redeemers declare, and their verdict is what the transaction says.
//!
//! [`UTXOS`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/conway/impl/src/Cardano/Ledger/Conway/Rules/Utxos.hs), `ValidationTagMismatch` and `CollectErrors`

use crate::{
    evaluate::{EvaluateError, UsedUnits, run},
    rules::{Case, LedgerError},
};

pub(super) fn check(case: &Case<'_>, tx: &[u8]) -> Result<(), LedgerError> {
    let (received, state) = (case.tx, case.state);
    let outcome = run(tx, received, case.view, &state.utxo, &state.params, &state.slots, received.declared_units())
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

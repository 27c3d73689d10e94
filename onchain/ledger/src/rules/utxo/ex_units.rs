//! The redeemers together do not declare too much.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/alonzo/impl/src/Cardano/Ledger/Alonzo/Rules/Utxo.hs), `validateExUnitsTooBigUTxO`

use crate::rules::{Case, LedgerError};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let (declared, limit) = (case.tx.declared_units(), case.state.params.max_tx_ex_units);
    if declared.mem <= limit.mem && declared.steps <= limit.steps {
        Ok(())
    } else {
        Err(LedgerError::ExUnitsTooBigUTxO { declared, limit })
    }
}

//! There are not too many collateral inputs, whether scripts run or not.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/alonzo/impl/src/Cardano/Ledger/Alonzo/Rules/Utxo.hs), `validateTooManyCollateralInputs`

use crate::rules::{Case, LedgerError};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let (count, limit) = (case.tx.body.collateral.len() as u64, case.state.params.max_collateral_inputs);
    if count <= limit { Ok(()) } else { Err(LedgerError::TooManyCollateralInputs { count, limit }) }
}

//! A transaction whose scripts run puts up collateral.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/babbage/impl/src/Cardano/Ledger/Babbage/Rules/Utxo.hs), `NoCollateralInputs`

use crate::rules::{Case, LedgerError};

pub(super) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    if case.tx.body.collateral.is_empty() { Err(LedgerError::NoCollateralInputs) } else { Ok(()) }
}

//! Collateral that the body states is the actual one.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/babbage/impl/src/Cardano/Ledger/Babbage/Rules/Utxo.hs), `validateCollateralEqBalance`

use crate::rules::{Case, LedgerError};

pub(super) fn check(case: &Case<'_>, balance: i128) -> Result<(), LedgerError> {
    match case.tx.body.total_collateral {
        Some(stated) if i128::from(stated.0) != balance => {
            Err(LedgerError::IncorrectTotalCollateralField { balance, stated })
        }
        _ => Ok(()),
    }
}

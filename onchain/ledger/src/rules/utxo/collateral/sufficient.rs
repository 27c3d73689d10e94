//! Collateral less its return is a percentage of the fee: `collateral · 100 ≥ fee · percent`.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/alonzo/impl/src/Cardano/Ledger/Alonzo/Rules/Utxo.hs), `validateInsufficientCollateral`

use crate::{
    rules::{Case, LedgerError},
    units::Lovelace,
};

pub(super) fn check(case: &Case<'_>, balance: i128) -> Result<(), LedgerError> {
    let product = i128::from(case.tx.body.fee.0) * i128::from(case.state.params.collateral_percent);
    if balance >= 0 && balance.saturating_mul(100) >= product {
        return Ok(());
    }
    let required = u64::try_from(product.unsigned_abs().div_ceil(100)).unwrap_or(u64::MAX);
    Err(LedgerError::InsufficientCollateral { balance, required: Lovelace(required) })
}

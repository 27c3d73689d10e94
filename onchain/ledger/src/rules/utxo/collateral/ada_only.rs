//! What collateral takes is ADA: other assets in its inputs come back.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/babbage/impl/src/Cardano/Ledger/Babbage/Rules/Utxo.hs), `validateCollateralContainsNonADA`

use crate::rules::{LedgerError, balance::Balance};

pub(super) fn check(balance: &Balance<'_>) -> Result<(), LedgerError> {
    let assets = balance.unequal();
    if assets.is_empty() { Ok(()) } else { Err(LedgerError::CollateralContainsNonADA(assets)) }
}

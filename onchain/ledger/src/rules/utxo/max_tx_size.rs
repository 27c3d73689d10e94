//! A transaction is not too long.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/shelley/impl/src/Cardano/Ledger/Shelley/Rules/Utxo.hs), `validateMaxTxSizeUTxO`

use crate::rules::{Case, LedgerError};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let (size, limit) = (case.tx.size as u64, case.state.params.max_tx_size);
    if size <= limit { Ok(()) } else { Err(LedgerError::MaxTxSizeUTxO { size, limit }) }
}

//! A transaction has inputs, which make it unique.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/shelley/impl/src/Cardano/Ledger/Shelley/Rules/Utxo.hs), `validateInputSetEmptyUTxO`

use crate::rules::{Case, LedgerError};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    if case.tx.body.inputs.is_empty() { Err(LedgerError::InputSetEmptyUTxO) } else { Ok(()) }
}

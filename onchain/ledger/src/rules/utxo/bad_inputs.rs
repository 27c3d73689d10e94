//! Inputs, collateral and reference inputs are unspent outputs.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/shelley/impl/src/Cardano/Ledger/Shelley/Rules/Utxo.hs), `validateBadInputsUTxO`

use crate::rules::{Case, LedgerError};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let body = &case.tx.body;
    let named = body.inputs.iter().chain(&body.collateral).chain(&body.reference_inputs);
    let unknown: Vec<_> = named.filter(|outpoint| !case.state.utxo.contains_key(outpoint)).copied().collect();
    if unknown.is_empty() { Ok(()) } else { Err(LedgerError::BadInputsUTxO(unknown)) }
}

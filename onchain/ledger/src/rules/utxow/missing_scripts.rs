//! Every script that is needed is in the witness set or on an input or reference input.
//!
//! [`UTXOW`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/babbage/impl/src/Cardano/Ledger/Babbage/Rules/Utxow.hs), `babbageMissingScripts`

use crate::rules::{Case, LedgerError};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let needed = case.view.needed_scripts();
    let missing: Vec<_> = needed.into_iter().filter(|script| !case.view.provided.contains_key(script)).collect();
    if missing.is_empty() { Ok(()) } else { Err(LedgerError::MissingScriptWitnessesUTXOW(missing)) }
}

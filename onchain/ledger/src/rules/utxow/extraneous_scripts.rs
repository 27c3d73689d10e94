//! No script is in the witness set that nothing needs, or that is there by reference as well.
//!
//! [`UTXOW`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/babbage/impl/src/Cardano/Ledger/Babbage/Rules/Utxow.hs), `babbageMissingScripts`

use crate::rules::{Case, LedgerError};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let needed = case.view.needed_scripts();
    let in_witnesses = case.tx.witnesses.scripts.keys();
    let extra: Vec<_> = in_witnesses
        .filter(|script| !needed.contains(script) || case.view.referenced.contains(script))
        .copied()
        .collect();
    if extra.is_empty() { Ok(()) } else { Err(LedgerError::ExtraneousScriptWitnessesUTXOW(extra)) }
}

//! Plutus scripts that outputs put onto the chain decode, and hold only what their language has.
//!
//! [`UTXOW`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/babbage/impl/src/Cardano/Ledger/Babbage/Rules/Utxow.hs), `validateScriptsWellFormed`

use crate::{
    plutus::malformed,
    rules::{Case, LedgerError},
};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let made = case.outputs().filter_map(|sized| sized.output.reference_script.as_ref());
    let bad = malformed(made, case.state.params.protocol_version)?;
    if bad.is_empty() { Ok(()) } else { Err(LedgerError::MalformedReferenceScripts(bad)) }
}

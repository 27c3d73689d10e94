//! Plutus scripts in the witness set decode, and hold only what their language has.
//!
//! [`UTXOW`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/babbage/impl/src/Cardano/Ledger/Babbage/Rules/Utxow.hs), `validateScriptsWellFormed`

use crate::{
    plutus::malformed,
    rules::{Case, LedgerError},
};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let bad = malformed(case.tx.witnesses.scripts.values(), case.state.params.protocol_version)?;
    if bad.is_empty() { Ok(()) } else { Err(LedgerError::MalformedScriptWitnesses(bad)) }
}

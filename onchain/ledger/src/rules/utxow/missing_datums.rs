//! Datums that inputs of Plutus scripts have by hash are in the witness set.
//!
//! [`UTXOW`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/alonzo/impl/src/Cardano/Ledger/Alonzo/Rules/Utxow.hs), `MissingRequiredDatums`

use crate::rules::{Case, LedgerError};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let present = &case.tx.witnesses.datums;
    let missing: Vec<_> = case.required_datums().into_iter().filter(|hash| !present.contains_key(hash)).collect();
    if missing.is_empty() { Ok(()) } else { Err(LedgerError::MissingRequiredDatums(missing)) }
}

//! No datum is in the witness set but those of inputs, outputs and reference inputs.
//!
//! [`UTXOW`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/alonzo/impl/src/Cardano/Ledger/Alonzo/Rules/Utxow.hs), `NotAllowedSupplementalDatums`

use crate::{
    rules::{Case, LedgerError},
    transaction::Datum,
};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let mut allowed = case.required_datums();
    let made = case.outputs().map(|sized| &sized.output);
    let read = case.tx.body.reference_inputs.iter().filter_map(|outpoint| case.state.utxo.get(outpoint));
    allowed.extend(made.chain(read).filter_map(|output| match output.datum {
        Some(Datum::Hash(hash)) => Some(hash),
        Some(Datum::Inline(_)) | None => None,
    }));
    let present = case.tx.witnesses.datums.keys();
    let extra: Vec<_> = present.filter(|hash| !allowed.contains(*hash)).copied().collect();
    if extra.is_empty() { Ok(()) } else { Err(LedgerError::NotAllowedSupplementalDatums(extra)) }
}

//! An output that a Plutus V1 or V2 script locks has a datum.
//!
//! [`UTXOW`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/alonzo/impl/src/Cardano/Ledger/Alonzo/Rules/Utxow.hs), `UnspendableUTxONoDatumHash`

use crate::{
    integrity::Language,
    rules::{Case, LedgerError},
};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let bare: Vec<_> = case
        .spent_by_plutus()
        .filter(|(_, output, language)| output.datum.is_none() && *language < Language::PlutusV3)
        .map(|(outpoint, ..)| outpoint)
        .collect();
    if bare.is_empty() { Ok(()) } else { Err(LedgerError::UnspendableUTxONoDatumHash(bare)) }
}

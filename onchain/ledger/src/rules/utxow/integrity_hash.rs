//! The body binds redeemers, datums and the cost models of the languages that run.
//!
//! [`UTXOW`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/alonzo/impl/src/Cardano/Ledger/Alonzo/Rules/Utxow.hs), `ppViewHashesMatch`

use std::collections::BTreeSet;

use crate::{
    integrity::script_data_hash_of_bytes,
    rules::{Case, LedgerError},
};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let witnesses = &case.tx.witnesses;
    let languages: BTreeSet<_> = case.view.plutus().map(|(_, language)| language).collect();
    let nothing = witnesses.redeemers.is_empty() && witnesses.datums.is_empty() && languages.is_empty();
    let expected = (!nothing).then(|| {
        // Without redeemers an empty map is hashed.
        let redeemers = if witnesses.redeemers.is_empty() { &[0xa0][..] } else { witnesses.redeemers_field };
        script_data_hash_of_bytes(redeemers, witnesses.datums_field, &languages, &case.state.params.cost_models)
    });
    let stated = case.tx.body.script_data_hash;
    if stated == expected { Ok(()) } else { Err(LedgerError::PPViewHashesDontMatch { stated, expected }) }
}

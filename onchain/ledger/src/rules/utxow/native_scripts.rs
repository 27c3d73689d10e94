//! Native scripts that are needed allow the transaction.
//!
//! [`UTXOW`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/babbage/impl/src/Cardano/Ledger/Babbage/Rules/Utxow.hs), `validateFailedBabbageScripts`

use std::collections::BTreeSet;

use crate::{
    hash::blake2b_224,
    native::{NativeContext, evaluate_native},
    rules::{Case, LedgerError},
    transaction::Script,
    units::KeyHash,
};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let signers: BTreeSet<_> =
        case.tx.witnesses.vkeys.iter().map(|witness| KeyHash(blake2b_224(&witness.key))).collect();
    let body = &case.tx.body;
    let context = NativeContext { signers: &signers, valid_from: body.valid_from, valid_until: body.valid_until };
    let refusing: Vec<_> = case
        .view
        .needed_scripts()
        .into_iter()
        .filter(|hash| match case.view.provided.get(hash) {
            Some(Script::Native(script)) => evaluate_native(script, &context) != Ok(true),
            _ => false,
        })
        .collect();
    if refusing.is_empty() { Ok(()) } else { Err(LedgerError::ScriptWitnessNotValidatingUTXOW(refusing)) }
}

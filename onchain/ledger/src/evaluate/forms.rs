//! What a transaction has that a script's language has no form for, so that the script cannot be shown it
//! ([`ConwayContextError`]).
//!
//! [`ConwayContextError`]: https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/conway/impl/src/Cardano/Ledger/Conway/TxInfo.hs

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    certificate::Delegation,
    evaluate::EvaluateError,
    integrity::Language,
    received::{ReceivedCertificate, ReceivedTx},
    transaction::{Datum, TxOut},
    units::OutPoint,
};

/// Refuses what one of the languages that run has no form for.
pub(super) fn check(
    received: &ReceivedTx<'_>,
    resolved: &BTreeMap<OutPoint, TxOut>,
    languages: &BTreeSet<Language>,
) -> Result<(), EvaluateError> {
    let none = |what: &str| Err(EvaluateError::Context(what.to_owned()));
    let Some(first) = languages.first() else { return Ok(()) };
    let body = &received.body;
    let read = body.inputs.iter().chain(&body.reference_inputs).filter_map(|outpoint| resolved.get(outpoint));
    for output in read.chain(body.outputs.iter().map(|sized| &sized.output)) {
        if output.address.network_id().is_none() {
            return none("scripts have no form for addresses of the Byron era, which an input or output has");
        }
        if *first == Language::PlutusV1 && matches!(output.datum, Some(Datum::Inline(_))) {
            return none("Plutus V1 has no form for inline datums, which an input or output has");
        }
    }
    if *first < Language::PlutusV3 && body.certificates.iter().any(needs_third_language) {
        return none(
            "Plutus V1 and V2 have no form for delegations of votes and for registering and delegating at once",
        );
    }
    Ok(())
}

fn needs_third_language(certificate: &ReceivedCertificate) -> bool {
    match certificate {
        ReceivedCertificate::Delegate { to, .. } => !matches!(to, Delegation::Stake(_)),
        ReceivedCertificate::RegisterAndDelegate { .. } => true,
        _ => false,
    }
}

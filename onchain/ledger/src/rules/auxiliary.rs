//! Auxiliary data: present exactly when the body has its hash, and valid (`UTXOW` rule, `validateMetadata`).

use crate::{
    evaluate::EvaluateError,
    hash::blake2b_256,
    plutus::malformed,
    received::ReceivedAuxiliary,
    rules::{Case, LedgerError},
};

/// Longest text or byte string in metadata, in bytes.
const MAX_METADATUM: u64 = 64;

pub(super) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    match (&case.tx.auxiliary, case.tx.body.auxiliary_data_hash) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(LedgerError::MissingTxBodyMetadataHash),
        (None, Some(_)) => Err(LedgerError::MissingTxMetadata),
        (Some(auxiliary), Some(hash)) if blake2b_256(auxiliary.bytes) != hash => {
            Err(LedgerError::ConflictingMetadataHash)
        }
        (Some(auxiliary), Some(_)) => valid(case, auxiliary),
    }
}

fn valid(case: &Case<'_>, auxiliary: &ReceivedAuxiliary<'_>) -> Result<(), LedgerError> {
    if auxiliary.longest_string > MAX_METADATUM {
        return Err(LedgerError::InvalidMetadata("a string of its metadata has more than 64 bytes"));
    }
    let bad = malformed(auxiliary.scripts.iter(), case.state.params.protocol_version)
        .map_err(|error| LedgerError::CollectErrors(EvaluateError::Stack(error)))?;
    if bad.is_empty() { Ok(()) } else { Err(LedgerError::InvalidMetadata("one of its scripts does not decode")) }
}

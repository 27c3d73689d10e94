//! The strings of metadata are short, and scripts in auxiliary data decode.
//!
//! [`UTXOW`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/shelley/impl/src/Cardano/Ledger/Shelley/Rules/Utxow.hs), `validateMetadata`

use crate::{
    plutus::malformed,
    rules::{Case, LedgerError},
};

/// Longest text or byte string in metadata, in bytes.
const MAX_METADATUM: u64 = 64;

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let Some(auxiliary) = &case.tx.auxiliary else { return Ok(()) };
    if auxiliary.longest_string > MAX_METADATUM {
        return Err(LedgerError::InvalidMetadata("a string of its metadata has more than 64 bytes"));
    }
    let bad = malformed(auxiliary.scripts.iter(), case.state.params.protocol_version)?;
    if bad.is_empty() { Ok(()) } else { Err(LedgerError::InvalidMetadata("one of its scripts does not decode")) }
}

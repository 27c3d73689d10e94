//! What is consumed is not read as well, in protocol versions 9 and 10.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/babbage/impl/src/Cardano/Ledger/Babbage/Rules/Utxo.hs), `disjointRefInputs`

use std::ops::RangeInclusive;

use crate::rules::{Case, LedgerError};

/// The major protocol versions with this rule.
const DISJOINT: RangeInclusive<u16> = 9..=10;

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    if !DISJOINT.contains(&case.state.params.protocol_version.major) {
        return Ok(());
    }
    let both: Vec<_> = case.tx.body.inputs.intersection(&case.tx.body.reference_inputs).copied().collect();
    if both.is_empty() { Ok(()) } else { Err(LedgerError::BabbageNonDisjointRefInputs(both)) }
}

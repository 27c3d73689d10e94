//! Reference scripts, which cost the node work even when they do not run, are not too long together.
//!
//! [`LEDGER`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/conway/impl/src/Cardano/Ledger/Conway/Rules/Ledger.hs), `ConwayTxRefScriptsSizeTooBig`

use crate::rules::{Case, LedgerError};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let (size, limit) = (case.view.reference_bytes as u64, case.state.params.max_ref_scripts_size);
    if size <= limit { Ok(()) } else { Err(LedgerError::ConwayTxRefScriptsSizeTooBig { size, limit }) }
}

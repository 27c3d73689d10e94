//! Every Plutus script that is needed has its redeemer.
//!
//! [`UTXOW`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/alonzo/impl/src/Cardano/Ledger/Alonzo/Rules/Utxow.hs), `hasExactSetOfRedeemers`

use crate::rules::{Case, LedgerError};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let present = &case.tx.witnesses.redeemers;
    let missing: Vec<_> =
        case.view.needed_redeemers().into_iter().filter(|pointer| !present.contains_key(pointer)).collect();
    if missing.is_empty() { Ok(()) } else { Err(LedgerError::MissingRedeemers(missing)) }
}

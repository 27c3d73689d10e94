//! Every redeemer is for a Plutus script.
//!
//! [`UTXOW`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/alonzo/impl/src/Cardano/Ledger/Alonzo/Rules/Utxow.hs), `hasExactSetOfRedeemers`

use crate::rules::{Case, LedgerError};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let witnesses = &case.tx.witnesses;
    let needed = case.view.needed_redeemers();
    let redeemers: Vec<_> = witnesses.redeemers.keys().filter(|pointer| !needed.contains(*pointer)).copied().collect();
    let governance = witnesses.governance_redeemers.len();
    if redeemers.is_empty() && governance == 0 {
        Ok(())
    } else {
        Err(LedgerError::ExtraRedeemers { redeemers, governance })
    }
}

//! Collateral is locked by keys, so that it can be taken without a script.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/alonzo/impl/src/Cardano/Ledger/Alonzo/Rules/Utxo.hs), `validateScriptsNotPaidUTxO`

use crate::{
    address::Credential,
    rules::{Case, LedgerError},
};

pub(super) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let by_script = |address: &crate::Address| matches!(address.payment(), Some(Credential::Script(_)));
    let scripts: Vec<_> = case
        .tx
        .body
        .collateral
        .iter()
        .filter(|outpoint| case.state.utxo.get(outpoint).is_some_and(|output| by_script(&output.address)))
        .copied()
        .collect();
    if scripts.is_empty() { Ok(()) } else { Err(LedgerError::ScriptsNotPaidUTxO(scripts)) }
}

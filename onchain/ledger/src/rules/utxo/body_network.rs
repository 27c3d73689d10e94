//! A body that names a network names this one.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/alonzo/impl/src/Cardano/Ledger/Alonzo/Rules/Utxo.hs), `validateWrongNetworkInTxBody`

use crate::rules::{Case, LedgerError};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let network_id = case.state.magic.network_id();
    match case.tx.body.network_id {
        Some(stated) if stated != network_id => Err(LedgerError::WrongNetworkInTxBody { network_id, stated }),
        _ => Ok(()),
    }
}

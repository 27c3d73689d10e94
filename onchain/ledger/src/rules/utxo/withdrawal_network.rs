//! Accounts that are withdrawn from are of this network.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/shelley/impl/src/Cardano/Ledger/Shelley/Rules/Utxo.hs), `validateWrongNetworkWithdrawal`

use crate::rules::{Case, LedgerError};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let network_id = case.state.magic.network_id();
    let accounts = case.tx.body.withdrawals.keys();
    let foreign: Vec<_> = accounts.filter(|account| account.network_id != network_id).copied().collect();
    if foreign.is_empty() { Ok(()) } else { Err(LedgerError::WrongNetworkWithdrawal { network_id, accounts: foreign }) }
}

//! A key whose account is withdrawn from has delegated its vote before, from protocol version 10 on.
//!
//! [`LEDGER`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/conway/impl/src/Cardano/Ledger/Conway/Rules/Ledger.hs), `ConwayWdrlNotDelegatedToDRep`

use crate::{
    address::Credential,
    rules::{Case, LedgerError},
};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    if case.bootstrapping() {
        return Ok(());
    }
    let represented = |credential| case.state.accounts.get(credential).is_some_and(|account| account.drep.is_some());
    let withdrawals = case.tx.body.withdrawals.keys();
    let silent: Vec<_> = withdrawals
        .filter_map(|account| match account.credential {
            Credential::Key(key) if !represented(&account.credential) => Some(key),
            Credential::Key(_) | Credential::Script(_) => None,
        })
        .collect();
    if silent.is_empty() { Ok(()) } else { Err(LedgerError::ConwayWdrlNotDelegatedToDRep(silent)) }
}

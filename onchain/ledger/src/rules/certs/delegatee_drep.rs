//! The representative that a vote is delegated to is registered, from protocol version 10 on.
//!
//! [`DELEG`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/conway/impl/src/Cardano/Ledger/Conway/Rules/Deleg.hs), `checkDRepRegistered`

use crate::{
    certificate::{DRep, Delegation},
    rules::{Case, LedgerError},
};

pub(super) fn check(case: &Case<'_>, to: Delegation) -> Result<(), LedgerError> {
    if case.bootstrapping() {
        return Ok(());
    }
    match to.drep().and_then(DRep::credential) {
        Some(drep) if !case.state.dreps.contains(&drep) => Err(LedgerError::DelegateeDRepNotRegisteredDELEG(drep)),
        _ => Ok(()),
    }
}

//! The pool that stake is delegated to is registered.
//!
//! [`DELEG`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/conway/impl/src/Cardano/Ledger/Conway/Rules/Deleg.hs), `checkPoolRegistered`

use crate::{
    certificate::Delegation,
    rules::{LedgerError, changes::Changes},
};

pub(super) fn check(changes: &Changes<'_>, to: Delegation) -> Result<(), LedgerError> {
    match to.pool() {
        Some(pool) if changes.pool(pool).is_none() => Err(LedgerError::DelegateeStakePoolNotRegisteredDELEG(pool)),
        _ => Ok(()),
    }
}

//! Who registers has no account yet.
//!
//! [`DELEG`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/conway/impl/src/Cardano/Ledger/Conway/Rules/Deleg.hs), `checkStakeKeyNotRegistered`

use crate::{
    address::Credential,
    rules::{LedgerError, changes::Changes},
};

pub(super) fn check(changes: &Changes<'_>, credential: Credential) -> Result<(), LedgerError> {
    match changes.account(credential) {
        Some(_) => Err(LedgerError::StakeKeyRegisteredDELEG(credential)),
        None => Ok(()),
    }
}

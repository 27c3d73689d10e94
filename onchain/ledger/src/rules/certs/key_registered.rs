//! Who delegates or gives an account up has one.
//!
//! [`DELEG`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/conway/impl/src/Cardano/Ledger/Conway/Rules/Deleg.hs), `checkStakeKeyIsRegistered`

use crate::{
    address::Credential,
    certificate::Delegation,
    rules::{Account, LedgerError, changes::Changes},
};

/// The account; `delegates` is what the certificate would delegate, for the error.
pub(super) fn check(
    changes: &Changes<'_>,
    credential: Credential,
    delegates: Option<Delegation>,
) -> Result<Account, LedgerError> {
    changes.account(credential).ok_or(LedgerError::StakeKeyNotRegisteredDELEG { credential, delegates })
}

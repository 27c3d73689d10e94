//! An account that is given up is empty.
//!
//! [`DELEG`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/conway/impl/src/Cardano/Ledger/Conway/Rules/Deleg.hs), `checkStakeKeyHasZeroRewardBalance`

use crate::{
    address::Credential,
    rules::{Account, LedgerError},
    units::Lovelace,
};

pub(super) fn check(credential: Credential, account: &Account) -> Result<(), LedgerError> {
    match account.rewards {
        Lovelace(0) => Ok(()),
        balance => Err(LedgerError::StakeKeyHasNonZeroAccountBalanceDELEG { credential, balance }),
    }
}

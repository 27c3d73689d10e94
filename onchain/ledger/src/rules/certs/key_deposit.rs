//! A certificate that states the deposit of an account states the one in force; a refund is what the account paid.
//!
//! [`DELEG`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/conway/impl/src/Cardano/Ledger/Conway/Rules/Deleg.hs), `checkDepositAgainstPParams` and `checkInvalidRefund`

use crate::{rules::LedgerError, units::Lovelace};

pub(super) fn check(stated: Option<Lovelace>, expected: Lovelace) -> Result<(), LedgerError> {
    match stated {
        Some(stated) if stated != expected => Err(LedgerError::IncorrectDepositDELEG { stated, expected }),
        _ => Ok(()),
    }
}

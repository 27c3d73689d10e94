//! A withdrawal takes all that a registered account holds, which may be nothing.
//!
//! [`CERTS`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/conway/impl/src/Cardano/Ledger/Conway/Rules/Certs.hs), `WithdrawalsNotInRewardsCERTS`

use crate::rules::{Case, LedgerError};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let held = |credential| case.state.accounts.get(credential).map(|account| account.rewards);
    let withdrawals = case.tx.body.withdrawals.iter();
    let wrong: Vec<_> = withdrawals
        .filter(|(account, amount)| held(&account.credential) != Some(**amount))
        .map(|(account, _)| *account)
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(LedgerError::WithdrawalsNotInRewardsCERTS(wrong)) }
}

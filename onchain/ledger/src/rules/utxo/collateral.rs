//! Collateral: what a transaction whose scripts run puts up in case one fails.

mod ada_only;
mod as_stated;
mod key_locked;
mod present;
mod sufficient;

use crate::{
    received::ReceivedTx,
    rules::{Case, LedgerError, LedgerState, balance::Balance},
    units::Lovelace,
};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    if case.tx.witnesses.redeemers.is_empty() {
        return Ok(());
    }
    present::check(case)?;
    key_locked::check(case)?;
    let balance = balance(case.state, case.tx);
    ada_only::check(&balance)?;
    sufficient::check(case, balance.lovelace)?;
    as_stated::check(case, balance.lovelace)
}

/// Collateral inputs less what comes back.
fn balance<'a>(state: &'a LedgerState, tx: &'a ReceivedTx<'_>) -> Balance<'a> {
    let mut balance = Balance::default();
    for output in tx.body.collateral.iter().filter_map(|outpoint| state.utxo.get(outpoint)) {
        balance.add(&output.value, 1);
    }
    if let Some(back) = &tx.body.collateral_return {
        balance.add(&back.output.value, -1);
    }
    balance
}

/// What the fee pot gets of a transaction whose scripts fail.
pub(in crate::rules) fn taken(state: &LedgerState, tx: &ReceivedTx<'_>) -> Lovelace {
    Lovelace(u64::try_from(balance(state, tx).lovelace).unwrap_or(0))
}

//! Collateral: what a transaction with scripts puts up in case one fails (`feesOK` in the Alonzo and Babbage
//! specifications).

use crate::{
    address::Credential,
    received::ReceivedTx,
    rules::{Case, LedgerError, LedgerState, value::Balance},
    units::Lovelace,
};

pub(super) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    not_too_many(case)?;
    if case.tx.witnesses.redeemers.is_empty() {
        return Ok(());
    }
    if case.tx.body.collateral.is_empty() {
        return Err(LedgerError::NoCollateralInputs);
    }
    locked_by_keys(case)?;
    let balance = balance(case.state, case.tx);
    let assets = balance.unequal();
    if !assets.is_empty() {
        return Err(LedgerError::CollateralContainsNonADA(assets));
    }
    enough(case, balance.lovelace)?;
    as_stated(case, balance.lovelace)
}

fn not_too_many(case: &Case<'_>) -> Result<(), LedgerError> {
    let (count, limit) = (case.tx.body.collateral.len() as u64, case.state.params.max_collateral_inputs);
    if count <= limit { Ok(()) } else { Err(LedgerError::TooManyCollateralInputs { count, limit }) }
}

fn locked_by_keys(case: &Case<'_>) -> Result<(), LedgerError> {
    let by_script = |address: &crate::Address| matches!(address.payment(), Some(Credential::Script(_)));
    let scripts: Vec<_> = case
        .tx
        .body
        .collateral
        .iter()
        .filter(|outpoint| case.state.utxo.get(outpoint).is_some_and(|output| by_script(&output.address)))
        .copied()
        .collect();
    if scripts.is_empty() { Ok(()) } else { Err(LedgerError::ScriptsNotPaidUTxO(scripts)) }
}

/// `collateral · 100 ≥ fee · percent`
fn enough(case: &Case<'_>, balance: i128) -> Result<(), LedgerError> {
    let product = i128::from(case.tx.body.fee.0) * i128::from(case.state.params.collateral_percent);
    if balance >= 0 && balance.saturating_mul(100) >= product {
        return Ok(());
    }
    let required = u64::try_from(product.unsigned_abs().div_ceil(100)).unwrap_or(u64::MAX);
    Err(LedgerError::InsufficientCollateral { balance, required: Lovelace(required) })
}

fn as_stated(case: &Case<'_>, balance: i128) -> Result<(), LedgerError> {
    match case.tx.body.total_collateral {
        Some(stated) if i128::from(stated.0) != balance => {
            Err(LedgerError::IncorrectTotalCollateralField { balance, stated })
        }
        _ => Ok(()),
    }
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
pub(super) fn taken(state: &LedgerState, tx: &ReceivedTx<'_>) -> Lovelace {
    Lovelace(u64::try_from(balance(state, tx).lovelace).unwrap_or(0))
}

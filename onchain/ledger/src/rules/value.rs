//! Fee and value: the fee is enough, and what goes in is what goes out (`UTXO` rule, `consumed` and `produced`).

use std::collections::BTreeMap;

use crate::{
    fees::min_fee,
    rules::{Case, LedgerError, changes::deposits_and_refunds, scripts::ScriptView},
    value::{AssetId, Value},
};

pub(super) fn check(case: &Case<'_>, view: &ScriptView<'_>) -> Result<(), LedgerError> {
    fee(case, view)?;
    conserved(case)
}

fn fee(case: &Case<'_>, view: &ScriptView<'_>) -> Result<(), LedgerError> {
    let minimum = min_fee(&case.state.params, case.tx.size, case.tx.declared_units(), view.reference_bytes);
    let fee = case.tx.body.fee;
    if minimum <= fee { Ok(()) } else { Err(LedgerError::FeeTooSmallUTxO { fee, minimum }) }
}

fn conserved(case: &Case<'_>) -> Result<(), LedgerError> {
    let body = &case.tx.body;
    let mut balance = Balance::default();
    for output in body.inputs.iter().filter_map(|outpoint| case.state.utxo.get(outpoint)) {
        balance.add(&output.value, 1);
    }
    for sized in &body.outputs {
        balance.add(&sized.output.value, -1);
    }
    for (asset, quantity) in &body.mint {
        *balance.assets.entry(asset).or_default() += i128::from(*quantity);
    }
    let (deposits, refunds) = deposits_and_refunds(case.state, case.tx);
    balance.lovelace += body.withdrawals.values().map(|amount| i128::from(amount.0)).sum::<i128>();
    balance.lovelace += refunds - deposits - i128::from(body.fee.0);
    let assets = balance.unequal();
    if balance.lovelace == 0 && assets.is_empty() {
        Ok(())
    } else {
        Err(LedgerError::ValueNotConservedUTxO { lovelace: balance.lovelace, assets })
    }
}

/// A sum of values, some of them subtracted. A transaction has far fewer terms than would overflow 128 bits.
#[derive(Default)]
pub(super) struct Balance<'a> {
    pub(super) lovelace: i128,
    assets: BTreeMap<&'a AssetId, i128>,
}

impl<'a> Balance<'a> {
    /// Adds a value, or subtracts it when `sign` is −1.
    pub(super) fn add(&mut self, value: &'a Value, sign: i128) {
        self.lovelace += sign * i128::from(value.lovelace().0);
        for (asset, quantity) in value.assets() {
            *self.assets.entry(asset).or_default() += sign * i128::from(quantity);
        }
    }

    /// The assets whose sum is not zero.
    pub(super) fn unequal(&self) -> Vec<(AssetId, i128)> {
        let unequal = self.assets.iter().filter(|(_, quantity)| **quantity != 0);
        unequal.map(|(asset, quantity)| ((*asset).clone(), *quantity)).collect()
    }
}

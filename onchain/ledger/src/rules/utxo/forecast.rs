//! Scripts see times, so the end of validity is a slot whose time is certain: up to the end of the epoch that the
//! stability window from the tip falls into.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/alonzo/impl/src/Cardano/Ledger/Alonzo/Rules/Utxo.hs), `validateOutsideForecast`

use crate::{
    rules::{Case, LedgerError},
    units::{Epoch, Slot},
};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let Some(until) = case.tx.body.valid_until.filter(|_| !case.tx.witnesses.redeemers.is_empty()) else {
        return Ok(());
    };
    let epochs = &case.state.epochs;
    let certain = epochs.at(Slot(case.slot.0.saturating_add(case.state.stability_window)));
    let horizon = epochs.begin(Epoch(certain.0.saturating_add(1)));
    if until <= horizon { Ok(()) } else { Err(LedgerError::OutsideForecast { until, horizon }) }
}

//! Inputs and time: they exist, are disjoint from what is only read, and the slot is in the validity interval
//! (`UTXO` rule of the Babbage and Conway specifications).

use crate::{
    rules::{Case, LedgerError},
    units::Slot,
};

pub(super) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    supported(case)?;
    size(case)?;
    some_input(case)?;
    all_exist(case)?;
    disjoint(case)?;
    in_validity_interval(case)?;
    within_forecast(case)
}

/// Refuses what these rules do not cover, rather than let it pass unchecked.
fn supported(case: &Case<'_>) -> Result<(), LedgerError> {
    case.tx.body.unsupported.map_or(Ok(()), |what| Err(LedgerError::Unsupported(format!("bodies with {what}"))))
}

fn size(case: &Case<'_>) -> Result<(), LedgerError> {
    let (size, limit) = (case.tx.size as u64, case.state.params.max_tx_size);
    if size <= limit { Ok(()) } else { Err(LedgerError::MaxTxSizeUTxO { size, limit }) }
}

fn some_input(case: &Case<'_>) -> Result<(), LedgerError> {
    if case.tx.body.inputs.is_empty() { Err(LedgerError::InputSetEmptyUTxO) } else { Ok(()) }
}

fn all_exist(case: &Case<'_>) -> Result<(), LedgerError> {
    let body = &case.tx.body;
    let named = body.inputs.iter().chain(&body.collateral).chain(&body.reference_inputs);
    let unknown: Vec<_> = named.filter(|outpoint| !case.state.utxo.contains_key(outpoint)).copied().collect();
    if unknown.is_empty() { Ok(()) } else { Err(LedgerError::BadInputsUTxO(unknown)) }
}

fn disjoint(case: &Case<'_>) -> Result<(), LedgerError> {
    let both: Vec<_> = case.tx.body.inputs.intersection(&case.tx.body.reference_inputs).copied().collect();
    if both.is_empty() { Ok(()) } else { Err(LedgerError::BabbageNonDisjointRefInputs(both)) }
}

/// The first slot counts, the last one does not.
fn in_validity_interval(case: &Case<'_>) -> Result<(), LedgerError> {
    let (from, until, slot) = (case.tx.body.valid_from, case.tx.body.valid_until, case.slot);
    if from.is_none_or(|from| from <= slot) && until.is_none_or(|until| slot < until) {
        Ok(())
    } else {
        Err(LedgerError::OutsideValidityIntervalUTxO { from, until, slot })
    }
}

/// Scripts see times: the end of validity must be a slot whose time is certain, up to the end of the epoch that the
/// stability window from the tip falls into.
fn within_forecast(case: &Case<'_>) -> Result<(), LedgerError> {
    let Some(until) = case.tx.body.valid_until.filter(|_| !case.tx.witnesses.redeemers.is_empty()) else {
        return Ok(());
    };
    let certain = case.slot.0.saturating_add(case.state.stability_window);
    let epochs = certain / case.state.epoch_length.max(1) + 1;
    let horizon = Slot(epochs.saturating_mul(case.state.epoch_length));
    if until <= horizon { Ok(()) } else { Err(LedgerError::OutsideForecast { until, horizon }) }
}

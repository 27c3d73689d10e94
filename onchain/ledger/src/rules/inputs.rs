//! Inputs and time: they exist, are disjoint from what is only read, and the slot is in the validity interval
//! (`UTXO` rule of the Babbage and Conway specifications).

use std::ops::RangeInclusive;

use crate::{
    received::ReceivedCertificate,
    rules::{Case, LedgerError},
    units::{Epoch, Slot},
};

/// The major protocol versions in which what is consumed cannot be read as well.
const DISJOINT: RangeInclusive<u16> = 9..=10;

pub(super) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    supported(case)?;
    size(case)?;
    some_input(case)?;
    all_exist(case)?;
    disjoint(case)?;
    in_validity_interval(case)?;
    within_forecast(case)?;
    withdrawals_on_network(case)
}

/// Refuses what these rules do not cover, rather than let it pass unchecked.
fn supported(case: &Case<'_>) -> Result<(), LedgerError> {
    if let Some(what) = case.tx.body.unsupported {
        return Err(LedgerError::Unsupported(format!("bodies with {what}")));
    }
    let other = case.tx.body.certificates.iter().find_map(|certificate| match certificate {
        ReceivedCertificate::Other { tag } => Some(tag),
        _ => None,
    });
    other.map_or(Ok(()), |tag| Err(LedgerError::Unsupported(format!("certificates of governance (tag {tag})"))))
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

/// In protocol versions 9 and 10.
fn disjoint(case: &Case<'_>) -> Result<(), LedgerError> {
    if !DISJOINT.contains(&case.state.params.protocol_version.major) {
        return Ok(());
    }
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
    let epochs = &case.state.epochs;
    let certain = epochs.at(Slot(case.slot.0.saturating_add(case.state.stability_window)));
    let horizon = epochs.begin(Epoch(certain.0.saturating_add(1)));
    if until <= horizon { Ok(()) } else { Err(LedgerError::OutsideForecast { until, horizon }) }
}

/// Accounts that are withdrawn from are of this network.
fn withdrawals_on_network(case: &Case<'_>) -> Result<(), LedgerError> {
    let network_id = case.state.magic.network_id();
    let accounts = case.tx.body.withdrawals.keys();
    let foreign: Vec<_> = accounts.filter(|account| account.network_id != network_id).copied().collect();
    if foreign.is_empty() { Ok(()) } else { Err(LedgerError::WrongNetworkWithdrawal { network_id, accounts: foreign }) }
}

//! What happened to stake accounts: registrations, withdrawals, delegations and rewards.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use nunet_ledger::Credential;
use serde_json::{Value, json};

use super::{
    accounts::parse_account,
    answer::{Answer, ApiError},
    page::Page,
};
use crate::{
    details::StakeEvent,
    devnet::Node,
    history::{History, TxRecord, lookups::Subject},
};

pub(super) async fn registrations(State(node): State<Arc<Node>>, Path(text): Path<String>, page: Page) -> Answer {
    let credential = parse_account(&text)?;
    let history = node.history();
    let deposit = node.params().key_deposit.0.to_string();
    let events = touching(&history, credential)?.flat_map(|record| {
        let events: Vec<_> = record.applied.details.stake_events().collect();
        events.into_iter().filter(|(_, whose, _)| *whose == credential).map(move |(_, _, event)| (record, event))
    });
    let rows = page.of(events).into_iter().map(|(record, event)| {
        let (action, deposit) = match event {
            StakeEvent::Registered => ("registered", Some(&deposit)),
            StakeEvent::Removed => ("deregistered", None),
        };
        let mut row = at(&history, record);
        row["action"] = json!(action);
        row["deposit"] = json!(deposit);
        row
    });
    Ok(Json(rows.collect()))
}

pub(super) async fn withdrawals(State(node): State<Arc<Node>>, Path(text): Path<String>, page: Page) -> Answer {
    let credential = parse_account(&text)?;
    let history = node.history();
    let withdrawals = touching(&history, credential)?.filter_map(|record| {
        let mut withdrawals = record.applied.details.withdrawals.iter();
        withdrawals.find(|(account, _)| account.credential == credential).map(|(_, amount)| (record, *amount))
    });
    let rows = page.of(withdrawals).into_iter().map(|(record, amount)| {
        let mut row = at(&history, record);
        row["amount"] = json!(amount.0.to_string());
        row
    });
    Ok(Json(rows.collect()))
}

/// Nothing, for what needs pools that make blocks (rewards, stake by epoch) or ended before the Conway era
/// (instantaneous rewards); not found when the account never was.
pub(super) async fn nothing(State(node): State<Arc<Node>>, Path(text): Path<String>, _page: Page) -> Answer {
    let credential = parse_account(&text)?;
    node.history().stake(&credential).ok_or_else(ApiError::not_found)?;
    Ok(Json(json!([])))
}

/// The transactions with a certificate for an account or a withdrawal from it, oldest first.
fn touching(history: &History, credential: Credential) -> Result<impl DoubleEndedIterator<Item = &TxRecord>, ApiError> {
    history.stake(&credential).ok_or_else(ApiError::not_found)?;
    let positions = history.lookups().positions(&Subject::Account(credential)).iter();
    Ok(positions.filter_map(|position| history.transactions().get(*position)))
}

/// Where a transaction is, as rows about accounts say it.
fn at(history: &History, record: &TxRecord) -> Value {
    let block = history.block(record.height).map(|block| block.tip);
    json!({
        "tx_hash": record.applied.id,
        "tx_slot": block.map(|tip| tip.slot),
        "block_time": block.map(|tip| tip.time.0 / 1_000),
        "block_height": record.height,
    })
}

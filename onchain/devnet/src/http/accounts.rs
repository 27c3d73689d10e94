//! Stake accounts by their bech32 address.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use nunet_ledger::{Credential, NetworkMagic, RewardAccount, rules::DRep};
use pallas_addresses::Address as AnyAddress;
use serde_json::json;

use super::{
    addresses::{render, unspent},
    answer::{Answer, ApiError, bech32_text, total},
    network_mismatch,
    page::Page,
};
use crate::{
    devnet::Node,
    history::{History, StakeRecord},
};

pub(super) async fn account(State(node): State<Arc<Node>>, Path(text): Path<String>) -> Answer {
    let credential = parse_account(&text)?;
    let history = node.history();
    let stake = history.stake(&credential).ok_or_else(ApiError::not_found)?;
    let registered = history.account(&credential);
    let rewards = registered.map_or(0, |account| account.rewards.0);
    let held = total(outputs(&history, stake).map(|(_, record)| &record.output.value)).lovelace().0;
    Ok(Json(json!({
        "stake_address": text,
        // Active means delegated to a pool, and the devnet has none.
        "active": false,
        "registered": registered.is_some(),
        "active_epoch": stake.registered_in.filter(|_| registered.is_some()),
        "controlled_amount": held.saturating_add(rewards).to_string(),
        "rewards_sum": (stake.withdrawn + u128::from(rewards)).to_string(),
        "withdrawals_sum": stake.withdrawn.to_string(),
        "reserves_sum": "0",
        "treasury_sum": "0",
        "withdrawable_amount": rewards.to_string(),
        "pool_id": null,
        "drep_id": registered.and_then(|account| account.drep).map(drep_id),
    })))
}

pub(super) async fn addresses(State(node): State<Arc<Node>>, Path(text): Path<String>, page: Page) -> Answer {
    let credential = parse_account(&text)?;
    let history = node.history();
    let stake = history.stake(&credential).ok_or_else(ApiError::not_found)?;
    let rows = page.of(stake.addresses.iter()).into_iter().map(|address| json!({ "address": address }));
    Ok(Json(rows.collect()))
}

pub(super) async fn utxos(State(node): State<Arc<Node>>, Path(text): Path<String>, page: Page) -> Answer {
    let credential = parse_account(&text)?;
    let history = node.history();
    let stake = history.stake(&credential).ok_or_else(ApiError::not_found)?;
    let mut all: Vec<_> = outputs(&history, stake).collect();
    all.sort_by_key(|(outpoint, record)| (record.position, outpoint.index));
    let rows = page.of(all.into_iter()).into_iter().map(|(outpoint, record)| render(&history, outpoint, record));
    Ok(Json(rows.collect()))
}

/// The unspent outputs of all addresses with a stake credential.
fn outputs<'a>(
    history: &'a History,
    stake: &'a StakeRecord,
) -> impl Iterator<Item = (nunet_ledger::OutPoint, &'a crate::history::OutputRecord)> {
    stake.addresses.iter().filter_map(|address| history.address(address)).flat_map(|record| unspent(history, record))
}

/// A representative's id ([CIP-129](https://cips.cardano.org/cip/CIP-129)).
fn drep_id(drep: DRep) -> String {
    let (header, hash) = match drep {
        DRep::Abstain => return "drep_always_abstain".to_owned(),
        DRep::NoConfidence => return "drep_always_no_confidence".to_owned(),
        DRep::Key(hash) => (0x22, hash.0),
        DRep::Script(hash) => (0x23, hash.0),
    };
    let mut bytes = vec![header];
    bytes.extend_from_slice(&hash);
    bech32_text("drep", &bytes)
}

fn parse_account(text: &str) -> Result<Credential, ApiError> {
    let bad = || ApiError::bad_request("Invalid stake address: it is a bech32 text that begins with stake_test1");
    let Ok(AnyAddress::Stake(address)) = AnyAddress::from_bech32(text) else { return Err(bad()) };
    let account = RewardAccount::from_bytes(&address.to_vec()).map_err(|_| bad())?;
    if account.network_id != NetworkMagic::DEVNET.network_id() {
        return Err(network_mismatch(text));
    }
    Ok(account.credential)
}

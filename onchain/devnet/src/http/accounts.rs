//! Stake accounts by their bech32 address.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use nunet_ledger::{Address, AssetId, Credential, DRep, NetworkMagic, RewardAccount};
use pallas_addresses::Address as AnyAddress;
use serde_json::{Value, json};

use super::{
    addresses::{BlockRange, flow, render, unspent},
    answer::{Answer, ApiError, bech32_text, place, total},
    network_mismatch,
    page::Page,
    pools::pool_text,
};
use crate::{
    devnet::Node,
    history::{AddressRecord, History, StakeRecord},
};

pub(super) async fn account(State(node): State<Arc<Node>>, Path(text): Path<String>) -> Answer {
    let credential = parse_account(&text)?;
    let history = node.history();
    let stake = history.stake(&credential).ok_or_else(ApiError::not_found)?;
    let registered = history.account(&credential);
    let rewards = registered.map_or(0, |account| account.rewards.0);
    let pool = registered.and_then(|account| account.pool);
    Ok(Json(json!({
        "stake_address": text,
        "active": pool.is_some(),
        "registered": registered.is_some(),
        "active_epoch": stake.registered_in.filter(|_| registered.is_some()),
        "controlled_amount": controlled(&history, &credential).to_string(),
        "rewards_sum": (stake.withdrawn + u128::from(rewards)).to_string(),
        "withdrawals_sum": stake.withdrawn.to_string(),
        "reserves_sum": "0",
        "treasury_sum": "0",
        "withdrawable_amount": rewards.to_string(),
        "pool_id": pool.map(pool_text),
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

/// What all addresses of an account hold together, but lovelace.
pub(super) async fn assets(State(node): State<Arc<Node>>, Path(text): Path<String>, page: Page) -> Answer {
    let credential = parse_account(&text)?;
    let history = node.history();
    let stake = history.stake(&credential).ok_or_else(ApiError::not_found)?;
    let records = records(&history, stake);
    let held = total(unspent(&history, &records).map(|(_, record)| &record.output.value));
    let assets: Vec<_> = held.assets().collect();
    let rows = page.of(assets.into_iter()).into_iter();
    let row =
        |(asset, quantity): (&AssetId, u64)| json!({ "unit": asset.to_string(), "quantity": quantity.to_string() });
    Ok(Json(rows.map(row).collect()))
}

/// All that ever came in and went out, over all addresses of an account.
pub(super) async fn totals(State(node): State<Arc<Node>>, Path(text): Path<String>) -> Answer {
    let credential = parse_account(&text)?;
    let history = node.history();
    let stake = history.stake(&credential).ok_or_else(ApiError::not_found)?;
    let mut fields = flow(&history, &records(&history, stake), |address| address.stake() == Some(credential));
    fields.insert("stake_address".into(), json!(text));
    Ok(Json(Value::Object(fields)))
}

pub(super) async fn utxos(State(node): State<Arc<Node>>, Path(text): Path<String>, page: Page) -> Answer {
    let credential = parse_account(&text)?;
    let history = node.history();
    let stake = history.stake(&credential).ok_or_else(ApiError::not_found)?;
    let records = records(&history, stake);
    let rows = page.of(unspent(&history, &records)).into_iter();
    Ok(Json(rows.map(|(outpoint, record)| render(&history, outpoint, record)).collect()))
}

/// The transactions of an account's addresses, once for every such address.
pub(super) async fn transactions(
    State(node): State<Arc<Node>>,
    Path(text): Path<String>,
    page: Page,
    range: BlockRange,
) -> Answer {
    let credential = parse_account(&text)?;
    let history = node.history();
    let stake = history.stake(&credential).ok_or_else(ApiError::not_found)?;
    let touched: BTreeSet<(usize, &Address)> = stake
        .addresses
        .iter()
        .filter_map(|address| Some((address, history.address(address)?)))
        .flat_map(|(address, record)| record.transactions.iter().map(move |position| (*position, address)))
        .collect();
    let all = touched.iter().filter_map(|(position, address)| Some((history.transactions().get(*position)?, address)));
    let within = all.filter(|(record, _)| range.holds((record.height, record.index)));
    let rows = page.of(within).into_iter().map(|(record, address)| {
        let mut row = place(&history, record);
        row["address"] = json!(address);
        row
    });
    Ok(Json(rows.collect()))
}

/// The lovelace that an account's addresses hold, with its rewards.
pub(super) fn controlled(history: &History, credential: &Credential) -> u64 {
    let outputs = history.stake(credential).map(|stake| records(history, stake)).unwrap_or_default();
    let held = total(unspent(history, &outputs).map(|(_, record)| &record.output.value)).lovelace().0;
    held.saturating_add(history.account(credential).map_or(0, |account| account.rewards.0))
}

/// What is known of all addresses with a stake credential.
fn records<'a>(history: &'a History, stake: &'a StakeRecord) -> Vec<&'a AddressRecord> {
    stake.addresses.iter().filter_map(|address| history.address(address)).collect()
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

pub(super) fn parse_account(text: &str) -> Result<Credential, ApiError> {
    let bad = || ApiError::bad_request("Invalid stake address: it is a bech32 text that begins with stake_test1");
    let Ok(AnyAddress::Stake(address)) = AnyAddress::from_bech32(text) else { return Err(bad()) };
    let account = RewardAccount::from_bytes(&address.to_vec()).map_err(|_| bad())?;
    if account.network_id != NetworkMagic::DEVNET.network_id() {
        return Err(network_mismatch(text));
    }
    Ok(account.credential)
}

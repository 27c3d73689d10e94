//! Blocks by hash, height or slot.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use nunet_ledger::{Address, TxId};
use serde_json::{Value, json};

use super::{
    answer::{Answer, ApiError},
    page::Page,
};
use crate::{
    devnet::Node,
    history::{EPOCH_LENGTH, History, TxRecord, epoch_of},
};

pub(super) async fn block(State(node): State<Arc<Node>>, Path(block): Path<String>) -> Answer {
    let history = node.history();
    let height = find(&history, &block)?;
    render(&history, height).map(Json).ok_or_else(ApiError::not_found)
}

pub(super) async fn by_slot(State(node): State<Arc<Node>>, Path(slot): Path<String>) -> Answer {
    let slot: u64 = slot.parse().map_err(|_| ApiError::bad_request("slot_number must be an integer"))?;
    let history = node.history();
    // Slots never decrease from one block to the next, so the first block at or after the slot is found by halving.
    let height = history.first_at_or_after(slot);
    let found = history.block(height).is_some_and(|block| block.tip.slot.0 == slot);
    if !found {
        return Err(ApiError::not_found());
    }
    render(&history, height).map(Json).ok_or_else(ApiError::not_found)
}

/// The blocks after one, oldest first.
pub(super) async fn next(State(node): State<Arc<Node>>, Path(block): Path<String>, page: Page) -> Answer {
    let history = node.history();
    let height = find(&history, &block)?;
    let last = usize::try_from(history.tip().height).unwrap_or(usize::MAX);
    let heights = page.of(height + 1..=last);
    Ok(Json(heights.into_iter().filter_map(|height| render(&history, height)).collect()))
}

/// The blocks before one, oldest first; the first page is the nearest, as Blockfrost counts.
pub(super) async fn previous(State(node): State<Arc<Node>>, Path(block): Path<String>, page: Page) -> Answer {
    let history = node.history();
    let height = find(&history, &block)?;
    let mut heights = page.of((0..height).rev());
    heights.reverse();
    Ok(Json(heights.into_iter().filter_map(|height| render(&history, height)).collect()))
}

pub(super) async fn by_epoch_slot(state: State<Arc<Node>>, Path((epoch, slot)): Path<(String, String)>) -> Answer {
    let epoch: u64 = epoch.parse().map_err(|_| ApiError::bad_request("epoch_number must be an integer"))?;
    let slot: u64 = slot.parse().map_err(|_| ApiError::bad_request("slot_number must be an integer"))?;
    if slot >= EPOCH_LENGTH {
        return Err(ApiError::not_found());
    }
    let slot = epoch.saturating_mul(EPOCH_LENGTH).saturating_add(slot);
    by_slot(state, Path(slot.to_string())).await
}

/// The ids of a block's transactions.
pub(super) async fn transactions(State(node): State<Arc<Node>>, Path(block): Path<String>, page: Page) -> Answer {
    let history = node.history();
    let records = held(&history, &block)?;
    Ok(Json(page.of(records.iter()).into_iter().map(|record| json!(record.applied.id)).collect()))
}

/// A block's transactions with their bytes.
pub(super) async fn transactions_cbor(State(node): State<Arc<Node>>, Path(block): Path<String>, page: Page) -> Answer {
    let history = node.history();
    let rows = page.of(held(&history, &block)?.iter()).into_iter();
    let row = |record: &TxRecord| json!({ "tx_hash": record.applied.id, "cbor": hex::encode(&record.applied.cbor) });
    Ok(Json(rows.map(row).collect()))
}

/// The addresses that a block's transactions touch, each with those transactions.
pub(super) async fn addresses(State(node): State<Arc<Node>>, Path(block): Path<String>, page: Page) -> Answer {
    let history = node.history();
    let mut touched: BTreeMap<&Address, Vec<TxId>> = BTreeMap::new();
    for record in held(&history, &block)? {
        for (_, output) in record.applied.consumed.iter().chain(&record.applied.produced) {
            let ids = touched.entry(&output.address).or_default();
            if ids.last() != Some(&record.applied.id) {
                ids.push(record.applied.id);
            }
        }
    }
    let rows = page.of(touched.into_iter()).into_iter().map(|(address, ids)| {
        let ids: Value = ids.into_iter().map(|id| json!({ "tx_hash": id })).collect();
        json!({ "address": address, "transactions": ids })
    });
    Ok(Json(rows.collect()))
}

/// The transactions of the block that a path names.
fn held<'a>(history: &'a History, block: &str) -> Result<&'a [TxRecord], ApiError> {
    let block = history.block(find(history, block)?).ok_or_else(ApiError::not_found)?;
    Ok(history.transactions().get(block.transactions.clone()).unwrap_or_default())
}

/// The height of the block that a path names: `latest`, a height, or a hash.
fn find(history: &History, text: &str) -> Result<usize, ApiError> {
    if text == "latest" {
        return usize::try_from(history.tip().height).map_err(|_| ApiError::not_found());
    }
    let mut hash = [0; 32];
    // First the hash: one of digits only would pass for a height.
    if hex::decode_to_slice(text, &mut hash).is_ok() {
        return history.height_of(&hash).ok_or_else(ApiError::not_found);
    }
    let height: usize = text
        .parse()
        .map_err(|_| ApiError::bad_request("a block is named by its height, its hash (64 hex digits) or latest"))?;
    history.block(height).map(|_| height).ok_or_else(ApiError::not_found)
}

fn render(history: &History, height: usize) -> Option<Value> {
    let block = history.block(height)?;
    let next = history.block(height + 1).map(|block| hex::encode(block.tip.hash));
    let (output, fees) = match block.transactions.is_empty() {
        true => (None, None),
        false => (Some(block.output.to_string()), Some(block.fees.to_string())),
    };
    Some(json!({
        "time": block.tip.time.0 / 1_000,
        "height": height,
        "hash": hex::encode(block.tip.hash),
        "slot": block.tip.slot,
        "epoch": epoch_of(block.tip.slot),
        "epoch_slot": block.tip.slot.0 % EPOCH_LENGTH,
        "slot_leader": "Devnet",
        "size": block.size,
        "tx_count": block.transactions.len(),
        "output": output,
        "fees": fees,
        "block_vrf": null,
        "op_cert": null,
        "op_cert_counter": null,
        "previous_block": block.previous.map(hex::encode),
        "next_block": next,
        "confirmations": history.tip().height.saturating_sub(block.tip.height),
    }))
}

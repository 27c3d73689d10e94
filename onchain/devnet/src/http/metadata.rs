//! Metadata by its labels.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

use super::{
    answer::{Answer, ApiError},
    metadatum::metadatum_to_json,
    page::Page,
};
use crate::{
    devnet::Node,
    history::{TxRecord, lookups::Subject},
};

/// Every label that was used, in ascending order.
pub(super) async fn labels(State(node): State<Arc<Node>>, page: Page) -> Answer {
    let history = node.history();
    let labels: Vec<_> = history.lookups().labels().collect();
    let rows = page.of(labels.into_iter()).into_iter();
    let row =
        |(label, count): (u64, usize)| json!({ "label": label.to_string(), "cip10": null, "count": count.to_string() });
    Ok(Json(rows.map(row).collect()))
}

pub(super) async fn with_label(State(node): State<Arc<Node>>, Path(label): Path<String>, page: Page) -> Answer {
    rows(
        &node,
        &label,
        page,
        |record, _, value| json!({ "tx_hash": record.applied.id, "json_metadata": metadatum_to_json(value) }),
    )
}

pub(super) async fn with_label_cbor(State(node): State<Arc<Node>>, Path(label): Path<String>, page: Page) -> Answer {
    rows(&node, &label, page, |record, label, value| {
        let cbor = labelled(label, value);
        json!({ "tx_hash": record.applied.id, "cbor_metadata": format!("\\x{cbor}"), "metadata": cbor })
    })
}

fn rows(node: &Node, label: &str, page: Page, row: impl Fn(&TxRecord, u64, &[u8]) -> Value) -> Answer {
    let label = label.parse().map_err(|_| ApiError::bad_request("label must be an integer from 0 to 2^64 - 1"))?;
    let history = node.history();
    let positions = history.lookups().positions(&Subject::Label(label));
    if positions.is_empty() {
        return Err(ApiError::not_found());
    }
    let rows = page.of(positions.iter()).into_iter().filter_map(|position| {
        let record = history.transactions().get(*position)?;
        Some(row(record, label, record.applied.details.metadata.get(&label)?))
    });
    Ok(Json(rows.collect()))
}

/// A map with one entry, in hex: what Blockfrost shows as the CBOR of a label.
pub(super) fn labelled(label: u64, value: &[u8]) -> String {
    let mut bytes = Vec::new();
    let mut encoder = minicbor::Encoder::new(&mut bytes);
    // A vector takes all that is written to it.
    let _ = encoder.map(1).and_then(|encoder| encoder.u64(label));
    bytes.extend_from_slice(value);
    hex::encode(bytes)
}

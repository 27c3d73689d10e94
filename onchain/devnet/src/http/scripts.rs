//! Scripts and datums by their hashes.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use nunet_ledger::{ParseIdError, Script, ScriptHash};
use serde_json::{Value, json};

use super::{
    answer::{Answer, ApiError},
    native::native_to_json,
    page::Page,
    plutus::plutus_to_json,
    transactions::{redeemer_fields, script_of},
};
use crate::{devnet::Node, history::lookups::Subject};

pub(super) async fn script(State(node): State<Arc<Node>>, Path(hash): Path<String>) -> Answer {
    let script = find(&node, &hash)?;
    let (kind, size) = match &script {
        Script::Native(_) => ("timelock", None),
        Script::PlutusV1(bytes) => ("plutusV1", Some(bytes.len())),
        Script::PlutusV2(bytes) => ("plutusV2", Some(bytes.len())),
        Script::PlutusV3(bytes) => ("plutusV3", Some(bytes.len())),
    };
    Ok(Json(json!({ "script_hash": script.hash(), "type": kind, "serialised_size": size })))
}

/// The bytes that are hashed, without the language tag; null for native scripts, as Blockfrost has it.
pub(super) async fn cbor(State(node): State<Arc<Node>>, Path(hash): Path<String>) -> Answer {
    let cbor = match find(&node, &hash)? {
        Script::Native(_) => None,
        script => Some(hex::encode(script.bytes())),
    };
    Ok(Json(json!({ "cbor": cbor })))
}

/// A native script as JSON; null for Plutus, as Blockfrost has it.
pub(super) async fn json(State(node): State<Arc<Node>>, Path(hash): Path<String>) -> Answer {
    let json = match find(&node, &hash)? {
        Script::Native(cbor) => {
            let unshown = |error| ApiError::bad_request(format!("script {hash} cannot be shown as JSON: {error}"));
            Some(native_to_json(&cbor).map_err(unshown)?)
        }
        _ => None,
    };
    Ok(Json(json!({ "json": json })))
}

/// Every script that was ever seen, in the order of first appearance.
pub(super) async fn scripts(State(node): State<Arc<Node>>, page: Page) -> Answer {
    let history = node.history();
    Ok(Json(page.of(history.lookups().scripts()).into_iter().map(|hash| json!({ "script_hash": hash })).collect()))
}

/// Every run of a script.
pub(super) async fn redeemers(State(node): State<Arc<Node>>, Path(hash): Path<String>, page: Page) -> Answer {
    let hash = find(&node, &hash)?.hash();
    let history = node.history();
    let positions = history.lookups().positions(&Subject::Runs(hash));
    let records = positions.iter().filter_map(|position| history.transactions().get(*position));
    let runs = records.flat_map(|record| {
        let redeemers = record.applied.details.redeemers.iter();
        redeemers.filter(|one| script_of(&history, one) == Some(hash)).map(move |one| (record, one))
    });
    let rows = page.of(runs).into_iter().map(|(record, redeemer)| {
        let mut fields = redeemer_fields(&node, redeemer);
        fields.insert("tx_hash".into(), json!(record.applied.id));
        Value::Object(fields)
    });
    Ok(Json(rows.collect()))
}

pub(super) async fn datum(State(node): State<Arc<Node>>, Path(hash): Path<String>) -> Answer {
    let datum = find_datum(&node, &hash)?;
    let unshown = |error| ApiError::bad_request(format!("datum {hash} cannot be shown as JSON: {error}"));
    Ok(Json(json!({ "json_value": plutus_to_json(&datum).map_err(unshown)? })))
}

pub(super) async fn datum_cbor(State(node): State<Arc<Node>>, Path(hash): Path<String>) -> Answer {
    Ok(Json(json!({ "cbor": hex::encode(find_datum(&node, &hash)?) })))
}

fn find_datum(node: &Node, hash: &str) -> Result<Vec<u8>, ApiError> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(hash, &mut bytes)
        .map_err(|_| ApiError::bad_request("a datum is named by its hash (64 hex digits)"))?;
    node.history().datum(&bytes).map(<[u8]>::to_vec).ok_or_else(ApiError::not_found)
}

fn find(node: &Node, text: &str) -> Result<Script, ApiError> {
    let hash: ScriptHash = text.parse().map_err(|error: ParseIdError| ApiError::bad_request(error.to_string()))?;
    node.history().script(&hash).cloned().ok_or_else(ApiError::not_found)
}

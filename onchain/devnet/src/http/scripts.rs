//! Scripts and datums by their hashes.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use nunet_ledger::{ParseIdError, Script, ScriptHash};
use serde_json::json;

use super::{
    answer::{Answer, ApiError},
    native::native_to_json,
};
use crate::devnet::Node;

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

pub(super) async fn datum(State(node): State<Arc<Node>>, Path(hash): Path<String>) -> Answer {
    let mut bytes = [0; 32];
    hex::decode_to_slice(&hash, &mut bytes)
        .map_err(|_| ApiError::bad_request("a datum is named by its hash (64 hex digits)"))?;
    let history = node.history();
    let datum = history.datum(&bytes).ok_or_else(ApiError::not_found)?;
    Ok(Json(json!({ "cbor": hex::encode(datum) })))
}

fn find(node: &Node, text: &str) -> Result<Script, ApiError> {
    let hash: ScriptHash = text.parse().map_err(|error: ParseIdError| ApiError::bad_request(error.to_string()))?;
    node.history().script(&hash).cloned().ok_or_else(ApiError::not_found)
}

//! Stake pools and representatives. The devnet has none that make blocks or vote, so lists are empty and each one asked
//! for by its id is not found.

use axum::{Json, extract::Path};
use serde_json::{Value, json};

use super::{
    answer::{Answer, ApiError},
    page::Page,
};

/// An empty list of pools, representatives or proposals.
pub(super) async fn none(_page: Page) -> Json<Value> {
    Json(json!([]))
}

/// A pool by its id, in bech32 or hex.
pub(super) async fn pool(Path(id): Path<String>) -> Answer {
    let hash = bech32::decode(&id).ok().filter(|(prefix, _)| prefix.as_str() == "pool").map(|(_, bytes)| bytes);
    let hash = hash.or_else(|| hex::decode(&id).ok()).filter(|bytes| bytes.len() == 28);
    hash.ok_or_else(|| ApiError::bad_request("Invalid pool id: it is a hash of 28 bytes, pool1… or 56 hex digits"))?;
    Err(ApiError::not_found())
}

/// A representative by its id.
pub(super) async fn representative(Path(id): Path<String>) -> Answer {
    let known = ["drep_always_abstain", "drep_always_no_confidence"].contains(&id.as_str());
    let is_id = bech32::decode(&id).is_ok_and(|(prefix, _)| prefix.as_str().starts_with("drep"));
    if !known && !is_id {
        return Err(ApiError::bad_request("Invalid drep id: it is a bech32 text that begins with drep1"));
    }
    Err(ApiError::not_found())
}

//! Transactions on their way in: submission and the mempool.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde_json::json;

use super::{
    answer::{Answer, ApiError},
    body::BoundedBody,
    page::Page,
};
use crate::{chain::SubmitError, devnet::Node};

pub(super) async fn submit(State(node): State<Arc<Node>>, body: BoundedBody) -> Answer {
    body.require("application/cbor")?;
    match node.submit(body.bytes).await? {
        Ok(id) => Ok(Json(json!(id))),
        Err(error @ SubmitError::MempoolFull { .. }) => Err(ApiError::new(StatusCode::TOO_EARLY, error.to_string())),
        Err(error) => Err(ApiError::bad_request(rejection(&error))),
    }
}

/// The ids of what waits for a block.
pub(super) async fn mempool(State(node): State<Arc<Node>>, page: Page) -> Answer {
    let waiting = node.mempool().await?;
    Ok(Json(page.of(waiting.into_iter()).into_iter().map(|id| json!({ "tx_hash": id })).collect()))
}

/// A refusal as cardano-submit-api nests it, in a string: clients of Blockfrost look for the predicate's name there.
fn rejection(error: &SubmitError) -> String {
    let reason = match error {
        SubmitError::Ledger(error) => format!("{} ({error})", error.predicate()),
        other => format!("DecoderFailure ({other})"),
    };
    let validation = json!({
        "tag": "TxValidationErrorInCardanoMode",
        "contents": { "kind": "ShelleyTxValidationError", "era": "ShelleyBasedEraConway", "error": [reason] },
    });
    let command = json!({ "tag": "TxCmdTxSubmitValidationError", "contents": validation });
    json!({ "tag": "TxSubmitFail", "contents": command }).to_string()
}

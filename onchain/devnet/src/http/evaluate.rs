//! Evaluation: runs a transaction's scripts without submitting it, and says what each used.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{FromRequestParts, Query, State},
    http::request::Parts,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use nunet_ledger::{
    OutPoint, TxOut,
    evaluate::{EvaluateError, evaluate as evaluate_scripts},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    additional::{AdditionalOutput, resolve},
    answer::{Answer, ApiError},
    body::BoundedBody,
    ogmios::Version,
};
use crate::{
    details::Details,
    devnet::{Node, blocking},
};

/// The largest body with an additional set of outputs: room for some hundred of them beside a transaction.
const MAX_SET: usize = 256 * 1_024;

/// Runs a transaction's scripts against the confirmed outputs; takes its bytes as they are, in hex or in base64.
pub(super) async fn evaluate(State(node): State<Arc<Node>>, version: Version, body: BoundedBody) -> Answer {
    body.require("application/cbor")?;
    let cbor = decode_text(&body.bytes).unwrap_or(body.bytes);
    run(node, version, cbor, BTreeMap::new()).await
}

/// The same with outputs that are not on chain yet.
pub(super) async fn evaluate_with(
    State(node): State<Arc<Node>>,
    version: Version,
    body: BoundedBody<MAX_SET>,
) -> Answer {
    body.require("application/json")?;
    let Draft { cbor, additional } = serde_json::from_slice(&body.bytes)
        .map_err(|error| ApiError::bad_request(format!("the body is not {{cbor, additionalUtxoSet}}: {error}")))?;
    let cbor = decode_text(cbor.as_bytes())
        .ok_or_else(|| ApiError::bad_request("cbor is neither hex nor base64; send the transaction's CBOR as text"))?;
    run(node, version, cbor, resolve(additional)?).await
}

#[derive(Deserialize)]
struct Draft {
    cbor: String,
    #[serde(default, rename = "additionalUtxoSet", alias = "additionalUtxo")]
    additional: Vec<AdditionalOutput>,
}

async fn run(
    node: Arc<Node>,
    version: Version,
    cbor: Vec<u8>,
    additional: BTreeMap<OutPoint, TxOut>,
) -> Result<Json<Value>, ApiError> {
    let details = Details::read(&cbor)
        .map_err(|error| ApiError::bad_request(format!("the transaction cannot be read: {error}")))?;
    let outcome = blocking(move || {
        let mut resolved = additional;
        // What the chain knows of an output stands above what the caller says of it.
        resolved.extend(node.history().resolve(details.inputs.iter().chain(&details.references).copied()));
        evaluate_scripts(&cbor, &resolved, node.params(), &node.slots())
    })
    .await?;
    match outcome {
        Ok(units) => Ok(Json(version.success(units))),
        Err(EvaluateError::Stack(error)) => {
            Err(ApiError::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
        }
        Err(error) => Ok(Json(version.failure(&error))),
    }
}

#[derive(Deserialize)]
struct RawVersion {
    version: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Version {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(raw) = Query::<RawVersion>::from_request_parts(parts, state)
            .await
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        match raw.version.as_deref() {
            None | Some("5") => Ok(Self::Five),
            Some("6") => Ok(Self::Six),
            Some(_) => Err(ApiError::bad_request("querystring/version must be 5 or 6")),
        }
    }
}

/// Bytes from hex or base64 text, with white space around it.
fn decode_text(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?.trim();
    hex::decode(text).ok().or_else(|| STANDARD.decode(text).ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn transactions_come_as_hex_or_base64() {
        let bytes = vec![0x84, 0xa0, 0xff, 0x00, 0x7f];
        assert_eq!(decode_text(hex::encode(&bytes).as_bytes()).unwrap(), bytes);
        assert_eq!(decode_text(format!("{}\n", STANDARD.encode(&bytes)).as_bytes()).unwrap(), bytes);
        assert!(decode_text(b"not a transaction").is_none());
        assert!(decode_text(&bytes).is_none());
    }
}

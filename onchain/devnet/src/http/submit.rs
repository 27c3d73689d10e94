//! Transactions on their way in: submission, evaluation and the mempool.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use base64::{Engine, engine::general_purpose::STANDARD};
use nunet_ledger::{
    Purpose,
    evaluate::{EvaluateError, evaluate as evaluate_scripts},
};
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, ApiError},
    body::BoundedBody,
    page::Page,
};
use crate::{
    chain::SubmitError,
    details::Details,
    devnet::{Node, blocking},
};

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

/// Runs a transaction's scripts against the confirmed outputs; takes its bytes in hex or base64.
pub(super) async fn evaluate(State(node): State<Arc<Node>>, body: BoundedBody) -> Answer {
    body.require("application/cbor")?;
    let cbor = decode_text(&body.bytes).ok_or_else(|| {
        ApiError::bad_request("the body is neither hex nor base64; send the transaction's CBOR as text")
    })?;
    let details = Details::read(&cbor)
        .map_err(|error| ApiError::bad_request(format!("the transaction cannot be read: {error}")))?;
    let outcome = blocking(move || {
        let outpoints = details.inputs.iter().chain(&details.references).copied();
        let resolved = node.history().resolve(outpoints);
        evaluate_scripts(&cbor, &resolved, node.params(), &node.slots())
    })
    .await?;
    let result = match outcome {
        Ok(units) => {
            let units: Map<String, Value> = units
                .into_iter()
                .map(|(purpose, index, units)| {
                    (pointer(purpose, index), json!({ "memory": units.mem, "steps": units.steps }))
                })
                .collect();
            json!({ "EvaluationResult": units })
        }
        Err(EvaluateError::Stack(error)) => {
            return Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()));
        }
        Err(error) => json!({ "EvaluationFailure": failure(&error) }),
    };
    Ok(Json(json!({
        "type": "jsonwsp/response",
        "version": "1.0",
        "servicename": "ogmios",
        "methodname": "EvaluateTx",
        "result": result,
        "reflection": null,
    })))
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

/// Why scripts cannot run or say no, in the shape of Ogmios 5.
fn failure(error: &EvaluateError) -> Value {
    match error {
        EvaluateError::ScriptFailed { purpose, index, reason, logs } => {
            let failed = json!({ "validatorFailed": { "error": reason, "traces": logs } });
            json!({ "ScriptFailures": { (pointer(*purpose, *index)): [failed] } })
        }
        EvaluateError::OverBudget { purpose, index } => {
            let failed = json!({ "validatorFailed": { "error": error.to_string(), "traces": [] } });
            json!({ "ScriptFailures": { (pointer(*purpose, *index)): [failed] } })
        }
        EvaluateError::ExtraRedeemer { purpose, index } => {
            let extra = json!({ "extraRedeemers": [pointer(*purpose, *index)] });
            json!({ "ScriptFailures": { (pointer(*purpose, *index)): [extra] } })
        }
        EvaluateError::MissingRedeemer { purpose, index, script }
        | EvaluateError::MissingScript { purpose, index, script } => {
            let missing = json!({ "missingRequiredScripts": { "missing": [script], "reason": error.to_string() } });
            json!({ "ScriptFailures": { (pointer(*purpose, *index)): [missing] } })
        }
        other => json!({ "CannotCreateEvaluationContext": { "reason": other.to_string() } }),
    }
}

/// How Ogmios names a redeemer.
fn pointer(purpose: Purpose, index: u32) -> String {
    let purpose = match purpose {
        Purpose::Spend => "spend",
        Purpose::Mint => "mint",
        Purpose::Certify => "certificate",
        Purpose::Withdraw => "withdrawal",
    };
    format!("{purpose}:{index}")
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
        assert!(decode_text(&[0xff, 0xfe]).is_none());
    }
}

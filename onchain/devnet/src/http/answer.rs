//! What every handler answers with: JSON, or an error in Blockfrost's form.

use std::collections::BTreeMap;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bech32::{Bech32, Hrp};
use nunet_ledger::{AssetId, Datum, TxOut, Value, hash::blake2b_256};
use serde_json::json;

use crate::{
    devnet::DevnetError,
    history::{History, TxRecord},
};

/// A handler's answer.
pub(super) type Answer = Result<Json<serde_json::Value>, ApiError>;

/// A refusal: `{"status_code", "error", "message"}`.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    message: String,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// The request itself is wrong.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// Well asked for, but the chain has never seen it. Clients know Blockfrost's sentence.
    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "The requested component has not been found.")
    }
}

impl From<DevnetError> for ApiError {
    fn from(error: DevnetError) -> Self {
        let status = match error {
            DevnetError::AdvanceTooFar { .. } => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let error = match self.status {
            // No status of HTTP's own: Blockfrost uses 425 for a full mempool.
            StatusCode::TOO_EARLY => "Mempool Full",
            status => status.canonical_reason().unwrap_or("Error"),
        };
        let body = json!({ "status_code": self.status.as_u16(), "error": error, "message": self.message });
        (self.status, Json(body)).into_response()
    }
}

/// A value as Blockfrost's list of units: lovelace first, then the assets.
pub(super) fn amount(value: &Value) -> serde_json::Value {
    let lovelace = json!({ "unit": "lovelace", "quantity": value.lovelace().0.to_string() });
    let assets =
        value.assets().map(|(asset, quantity)| json!({ "unit": asset.to_string(), "quantity": quantity.to_string() }));
    std::iter::once(lovelace).chain(assets).collect()
}

/// The fields that every form of an output shares.
pub(super) fn output_fields(output: &TxOut) -> serde_json::Map<String, serde_json::Value> {
    let (data_hash, inline_datum) = match &output.datum {
        None => (None, None),
        Some(Datum::Hash(hash)) => (Some(hex::encode(hash)), None),
        // Blockfrost gives an inline datum's hash too.
        Some(Datum::Inline(datum)) => (Some(hex::encode(blake2b_256(datum))), Some(hex::encode(datum))),
    };
    let mut fields = serde_json::Map::new();
    fields.insert("address".into(), json!(output.address));
    fields.insert("amount".into(), amount(&output.value));
    fields.insert("data_hash".into(), json!(data_hash));
    fields.insert("inline_datum".into(), json!(inline_datum));
    let script = output.reference_script.as_ref().map(|script| script.hash().to_string());
    fields.insert("reference_script_hash".into(), json!(script));
    fields
}

/// The sum of many values. Supplies fit 64 bits by the ledger's rules, so the sum of unspent outputs does too.
pub(super) fn total<'a>(values: impl IntoIterator<Item = &'a Value>) -> Value {
    values.into_iter().fold(Value::default(), |sum, value| sum.checked_add(value).unwrap_or(sum))
}

/// What flowed through an address over time: sums that may exceed 64 bits.
#[derive(Debug, Default)]
pub(super) struct Flow {
    lovelace: u128,
    assets: BTreeMap<AssetId, u128>,
}

impl Flow {
    pub(super) fn add(&mut self, value: &Value) {
        self.lovelace += u128::from(value.lovelace().0);
        for (asset, quantity) in value.assets() {
            *self.assets.entry(asset.clone()).or_default() += u128::from(quantity);
        }
    }

    /// As Blockfrost's list of units.
    pub(super) fn amount(&self) -> serde_json::Value {
        let lovelace = json!({ "unit": "lovelace", "quantity": self.lovelace.to_string() });
        let assets = self.assets.iter();
        let assets = assets.map(|(asset, sum)| json!({ "unit": asset.to_string(), "quantity": sum.to_string() }));
        std::iter::once(lovelace).chain(assets).collect()
    }
}

/// A transaction as a row of a list: where it is.
pub(super) fn place(history: &History, record: &TxRecord) -> serde_json::Value {
    let time = history.block(record.height).map(|block| block.tip.time.0 / 1_000);
    json!({
        "tx_hash": record.applied.id,
        "tx_index": record.index,
        "block_height": record.height,
        "block_time": time,
    })
}

/// Bytes as bech32 text. The prefixes here are constants of lower-case letters and the bytes are few, so that nothing
/// is left to refuse; hex would stand in.
pub(super) fn bech32_text(prefix: &str, bytes: &[u8]) -> String {
    let encoded = Hrp::parse(prefix).ok().and_then(|prefix| bech32::encode::<Bech32>(prefix, bytes).ok());
    encoded.unwrap_or_else(|| hex::encode(bytes))
}

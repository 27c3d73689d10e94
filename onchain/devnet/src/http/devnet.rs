//! The devnet's own routes: the clock, blocks on demand, rollbacks, the faucet, and metrics.
//!
//! Their bodies are JSON whose media type is not asked for, so that a plain `curl -d` works.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{MatchedPath, Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use nunet_ledger::{Address, Lovelace, Value};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use tracing::Instrument;

use super::{
    answer::{Answer, ApiError},
    assets::parse_asset,
    body::BoundedBody,
};
use crate::{
    chain::{DroppedTransactions, Tip},
    devnet::{DevnetError, Node},
};

/// What [OpenMetrics](https://prometheus.io/docs/specs/om/open_metrics_spec/) text is sent as.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The route of a path that is not served, in metrics.
const NO_ROUTE: &str = "none";

/// Routes under `/devnet`, and `/metrics`.
pub(super) fn routes() -> Router<Arc<Node>> {
    Router::new()
        .route("/devnet/advance", post(advance))
        .route("/devnet/blocks", post(blocks))
        .route("/devnet/rollback", post(rollback))
        .route("/devnet/faucet", post(faucet))
        .route("/metrics", get(metrics))
}

/// Counts, times and traces a request.
pub(super) async fn observe(State(node): State<Arc<Node>>, request: Request, next: Next) -> Response {
    let template = request.extensions().get::<MatchedPath>().cloned();
    let route = template.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    // The API is served with and without its prefix.
    let route = route.strip_prefix("/api/v0").filter(|rest| !rest.is_empty()).unwrap_or(route);
    let span = tracing::debug_span!("request", method = %request.method(), route);
    let began = Instant::now();
    let response = next.run(request).instrument(span).await;
    node.metrics().answered(route, response.status().as_u16(), began.elapsed());
    response
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: u64,
}

/// Moves the clock and answers with the new latest block.
async fn advance(State(node): State<Arc<Node>>, body: BoundedBody) -> Answer {
    let Advance { seconds } = read(&body, r#"{"seconds": n}"#)?;
    let tip = node.advance(Duration::from_secs(seconds)).await.map_err(refusal)?;
    Ok(Json(render(tip)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Blocks {
    count: u64,
}

/// Makes blocks now and answers with the last.
async fn blocks(State(node): State<Arc<Node>>, body: BoundedBody) -> Answer {
    let Blocks { count } = read(&body, r#"{"count": n}"#)?;
    let tip = node.make_blocks(count).await.map_err(refusal)?;
    Ok(Json(render(tip)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollbackRequest {
    blocks: u64,
    #[serde(default)]
    drop: bool,
}

/// Takes the latest blocks back and answers with the new latest block, and with what became of the transactions.
async fn rollback(State(node): State<Arc<Node>>, body: BoundedBody) -> Answer {
    let RollbackRequest { blocks, drop } = read(&body, r#"{"blocks": n} or {"blocks": n, "drop": true}"#)?;
    let dropped = if drop { DroppedTransactions::Forget } else { DroppedTransactions::Return };
    let done = node.rollback(blocks, dropped).await.map_err(refusal)?;
    let mut answer = render(done.tip);
    answer["dropped"] = json!(done.dropped);
    answer["waiting"] = json!(done.waiting);
    Ok(Json(answer))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaucetRequest {
    address: String,
    lovelace: u64,
    /// Quantities by unit: policy id and name in hex.
    #[serde(default)]
    assets: BTreeMap<String, u64>,
}

/// Pays an address and answers with the transaction that does.
async fn faucet(State(node): State<Arc<Node>>, body: BoundedBody) -> Answer {
    let request: FaucetRequest =
        read(&body, r#"{"address": "addr_test1…", "lovelace": n} with "assets": {"policy and name": n} if wanted"#)?;
    let address: Address =
        request.address.parse().map_err(|error| ApiError::bad_request(format!("Invalid address: {error}")))?;
    let mut value = Value::lovelace_only(Lovelace(request.lovelace));
    for (unit, quantity) in &request.assets {
        // Units differ in case only when the same asset is asked for twice.
        let added = value.add_asset(parse_asset(unit)?, *quantity);
        added.ok_or_else(|| ApiError::bad_request(format!("more than 2^64 - 1 of {unit}; ask for less")))?;
    }
    let id = node.pay_from_faucet(address, value).await.map_err(refusal)?;
    Ok(Json(json!({ "tx_hash": id })))
}

async fn metrics(State(node): State<Arc<Node>>) -> Response {
    match node.metrics().render() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn read<T: DeserializeOwned>(body: &BoundedBody, form: &str) -> Result<T, ApiError> {
    serde_json::from_slice(&body.bytes)
        .map_err(|error| ApiError::bad_request(format!("the body is not {form}: {error}")))
}

fn render(tip: Tip) -> serde_json::Value {
    json!({
        "height": tip.height,
        "slot": tip.slot,
        "time": tip.time.0 / 1_000,
        "hash": hex::encode(tip.hash),
    })
}

/// What was wrongly asked for is the client's to mend; the rest is not.
fn refusal(error: DevnetError) -> ApiError {
    let status = match error {
        DevnetError::AdvanceTooFar { .. }
        | DevnetError::BlockCount { .. }
        | DevnetError::Rollback(_)
        | DevnetError::Faucet(_) => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    ApiError::new(status, error.to_string())
}

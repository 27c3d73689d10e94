//! The HTTP side: [Blockfrost's API](https://docs.blockfrost.io/) under `/api/v0` and without the prefix, and the
//! devnet's own routes.

mod account_history;
mod accounts;
mod additional;
mod addresses;
mod answer;
mod assets;
mod blocks;
mod body;
mod devnet;
mod epochs;
mod evaluate;
mod metadata;
mod metadatum;
mod native;
mod network;
mod ogmios;
mod page;
mod plutus;
mod pools;
mod scripts;
mod submit;
mod transactions;

use std::sync::Arc;

use axum::{
    Router,
    body::to_bytes,
    extract::Request,
    http::{StatusCode, header::CONTENT_TYPE},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};

use crate::devnet::Node;
use answer::ApiError;

/// The longest explanation of a refusal that is passed on from the HTTP library.
const MAX_REASON: usize = 4_096;

/// All routes over a devnet.
pub(crate) fn router(node: Arc<Node>) -> Router {
    let api = chain_routes()
        .merge(transaction_routes())
        .merge(holder_routes())
        .merge(token_and_script_routes())
        .merge(devnet::routes());
    Router::new()
        .nest("/api/v0", api.clone())
        .route("/api/v0/", get(network::root))
        .merge(api)
        .fallback(no_such_path)
        .with_state(node.clone())
        .layer(middleware::map_response(explain))
        .layer(middleware::from_fn_with_state(node, devnet::observe))
}

/// The network, its blocks and epochs, its pools and representatives.
fn chain_routes() -> Router<Arc<Node>> {
    Router::new()
        .route("/", get(network::root))
        .route("/health", get(network::health))
        .route("/health/clock", get(network::clock))
        .route("/genesis", get(network::genesis))
        .route("/network", get(network::network))
        .route("/network/eras", get(network::eras))
        .route("/epochs/{epoch}", get(epochs::epoch))
        .route("/epochs/{epoch}/next", get(epochs::next))
        .route("/epochs/{epoch}/previous", get(epochs::previous))
        .route("/epochs/{epoch}/parameters", get(epochs::parameters))
        .route("/epochs/{epoch}/blocks", get(epochs::blocks))
        .route("/epochs/{epoch}/stakes", get(epochs::stakes))
        .route("/blocks/{block}", get(blocks::block))
        .route("/blocks/slot/{slot}", get(blocks::by_slot))
        .route("/blocks/epoch/{epoch}/slot/{slot}", get(blocks::by_epoch_slot))
        .route("/blocks/{block}/next", get(blocks::next))
        .route("/blocks/{block}/previous", get(blocks::previous))
        .route("/blocks/{block}/txs", get(blocks::transactions))
        .route("/blocks/{block}/txs/cbor", get(blocks::transactions_cbor))
        .route("/blocks/{block}/addresses", get(blocks::addresses))
        .route("/pools", get(pools::none))
        .route("/pools/extended", get(pools::none))
        .route("/pools/retired", get(pools::none))
        .route("/pools/retiring", get(pools::none))
        .route("/pools/{pool}", get(pools::pool))
        .route("/governance/dreps", get(pools::none))
        .route("/governance/dreps/{drep}", get(pools::representative))
        .route("/governance/proposals", get(pools::none))
}

/// Transactions, those that wait, and their way in.
fn transaction_routes() -> Router<Arc<Node>> {
    Router::new()
        .route("/txs/{id}", get(transactions::transaction))
        .route("/txs/{id}/utxos", get(transactions::utxos))
        .route("/txs/{id}/cbor", get(transactions::cbor))
        .route("/txs/{id}/redeemers", get(transactions::redeemers))
        .route("/txs/{id}/metadata", get(transactions::metadata))
        .route("/txs/{id}/metadata/cbor", get(transactions::metadata_cbor))
        .route("/txs/{id}/withdrawals", get(transactions::withdrawals))
        .route("/txs/{id}/stakes", get(transactions::stakes))
        .route("/txs/{id}/mirs", get(transactions::mirs))
        .route("/txs/{id}/required_signers", get(transactions::required_signers))
        .route("/metadata/txs/labels", get(metadata::labels))
        .route("/metadata/txs/labels/{label}", get(metadata::with_label))
        .route("/metadata/txs/labels/{label}/cbor", get(metadata::with_label_cbor))
        .route("/mempool", get(submit::mempool))
        .route("/tx/submit", post(submit::submit))
        .route("/utils/txs/evaluate", post(evaluate::evaluate))
        .route("/utils/txs/evaluate/utxos", post(evaluate::evaluate_with))
}

/// Addresses and stake accounts.
fn holder_routes() -> Router<Arc<Node>> {
    Router::new()
        .route("/addresses/{address}", get(addresses::address))
        .route("/addresses/{address}/extended", get(addresses::extended))
        .route("/addresses/{address}/total", get(addresses::totals))
        .route("/addresses/{address}/utxos", get(addresses::utxos))
        .route("/addresses/{address}/utxos/{asset}", get(addresses::utxos_of_asset))
        .route("/addresses/{address}/transactions", get(addresses::transactions))
        .route("/addresses/{address}/txs", get(addresses::transaction_ids))
        .route("/accounts/{account}", get(accounts::account))
        .route("/accounts/{account}/addresses", get(accounts::addresses))
        .route("/accounts/{account}/addresses/assets", get(accounts::assets))
        .route("/accounts/{account}/addresses/total", get(accounts::totals))
        .route("/accounts/{account}/utxos", get(accounts::utxos))
        .route("/accounts/{account}/transactions", get(accounts::transactions))
        .route("/accounts/{account}/registrations", get(account_history::registrations))
        .route("/accounts/{account}/withdrawals", get(account_history::withdrawals))
        .route("/accounts/{account}/rewards", get(account_history::nothing))
        .route("/accounts/{account}/history", get(account_history::nothing))
        .route("/accounts/{account}/mirs", get(account_history::nothing))
}

/// Assets, scripts and datums.
fn token_and_script_routes() -> Router<Arc<Node>> {
    Router::new()
        .route("/assets", get(assets::assets))
        .route("/assets/{asset}", get(assets::asset))
        .route("/assets/{asset}/history", get(assets::history))
        .route("/assets/{asset}/transactions", get(assets::transactions))
        .route("/assets/{asset}/txs", get(assets::transaction_ids))
        .route("/assets/{asset}/addresses", get(assets::addresses))
        .route("/assets/policy/{policy}", get(assets::of_policy))
        .route("/scripts", get(scripts::scripts))
        .route("/scripts/{hash}", get(scripts::script))
        .route("/scripts/{hash}/cbor", get(scripts::cbor))
        .route("/scripts/{hash}/json", get(scripts::json))
        .route("/scripts/{hash}/redeemers", get(scripts::redeemers))
        .route("/scripts/datum/{hash}", get(scripts::datum))
        .route("/scripts/datum/{hash}/cbor", get(scripts::datum_cbor))
}

async fn no_such_path(request: Request) -> ApiError {
    let path: String = request.uri().path().chars().take(200).collect();
    ApiError::bad_request(format!("Invalid path: the devnet does not serve {path:?}; see GET / for its version"))
}

/// An address or account of mainnet.
fn network_mismatch(text: &str) -> ApiError {
    let text: String = text.chars().take(120).collect();
    ApiError::bad_request(format!("Invalid address: {text} belongs to another network; the devnet has network id 0"))
}

/// Gives every refusal Blockfrost's error body, also those that the HTTP library makes.
async fn explain(response: Response) -> Response {
    let status = response.status();
    let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == b"application/json");
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let reason = to_bytes(response.into_body(), MAX_REASON).await.unwrap_or_default();
    let reason = String::from_utf8_lossy(&reason).trim().to_owned();
    let reason = match (status, reason.is_empty()) {
        (StatusCode::METHOD_NOT_ALLOWED, true) => "this path takes another method".to_owned(),
        (_, true) => "the request cannot be served".to_owned(),
        (_, false) => reason,
    };
    ApiError::new(status, reason).into_response()
}

//! What the network is: version, health, genesis, supply and eras.

use std::sync::Arc;

use axum::{Json, extract::State};
use nunet_ledger::NetworkMagic;
use serde_json::{Value, json};

use crate::{
    chain::SLOT_LENGTH_MS,
    devnet::Node,
    history::{EPOCH_LENGTH, epoch_of},
};

/// All lovelace there can ever be on mainnet.
const MAX_LOVELACE_SUPPLY: u64 = 45_000_000_000_000_000;

/// Blocks that a rollback takes back at most, on mainnet.
const SECURITY_PARAM: u64 = 2_160;

pub(super) async fn root() -> Json<Value> {
    Json(json!({ "url": "https://docs.blockfrost.io/", "version": env!("CARGO_PKG_VERSION") }))
}

pub(super) async fn health() -> Json<Value> {
    Json(json!({ "is_healthy": true }))
}

/// The devnet's clock in milliseconds, with what `advance` added.
pub(super) async fn clock(State(node): State<Arc<Node>>) -> Json<Value> {
    Json(json!({ "server_time": node.now().0 }))
}

pub(super) async fn genesis(State(node): State<Arc<Node>>) -> Json<Value> {
    Json(json!({
        "active_slots_coefficient": 1.0,
        "update_quorum": 1,
        "max_lovelace_supply": MAX_LOVELACE_SUPPLY.to_string(),
        "network_magic": NetworkMagic::DEVNET.0,
        "epoch_length": EPOCH_LENGTH,
        "system_start": node.history().start().0 / 1_000,
        "slots_per_kes_period": 129_600,
        "slot_length": SLOT_LENGTH_MS / 1_000,
        "max_kes_evolutions": 62,
        "security_param": SECURITY_PARAM,
    }))
}

/// What circulates, what of it scripts lock, and what could still come into circulation. Nothing is staked.
pub(super) async fn network(State(node): State<Arc<Node>>) -> Json<Value> {
    let history = node.history();
    let mut circulating = 0_u128;
    let mut locked = 0_u128;
    for output in history.unspent().values() {
        let lovelace = u128::from(output.value.lovelace().0);
        circulating += lovelace;
        if matches!(output.address.payment(), Some(nunet_ledger::Credential::Script(_))) {
            locked += lovelace;
        }
    }
    let max = u128::from(MAX_LOVELACE_SUPPLY);
    Json(json!({
        "supply": {
            "max": max.to_string(),
            "total": circulating.to_string(),
            "circulating": circulating.to_string(),
            "locked": locked.to_string(),
            "treasury": "0",
            "reserves": max.saturating_sub(circulating).to_string(),
        },
        "stake": { "live": "0", "active": "0" },
    }))
}

/// One era that began with the chain. Its end is the end of the epoch after the next, which is as far ahead as a client
/// can count slots for sure.
pub(super) async fn eras(State(node): State<Arc<Node>>) -> Json<Value> {
    let end = epoch_of(node.history().tip().slot) + 2;
    let slots = end * EPOCH_LENGTH;
    let seconds = u64::from(SLOT_LENGTH_MS) * slots / 1_000;
    Json(json!([{
        "start": { "time": 0, "slot": 0, "epoch": 0 },
        "end": { "time": seconds, "slot": slots, "epoch": end },
        "parameters": {
            "epoch_length": EPOCH_LENGTH,
            "slot_length": SLOT_LENGTH_MS / 1_000,
            // 3k/f, with every slot active.
            "safe_zone": 3 * SECURITY_PARAM,
        },
    }]))
}

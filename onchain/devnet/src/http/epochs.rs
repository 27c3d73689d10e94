//! Epochs and protocol parameters.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, ApiError},
    page::Page,
};
use crate::{
    devnet::Node,
    history::{EPOCH_LENGTH, History, epoch_of},
};

pub(super) async fn epoch(State(node): State<Arc<Node>>, Path(epoch): Path<String>) -> Answer {
    let history = node.history();
    let number = parse_epoch(&history, &epoch)?;
    Ok(Json(render(&history, number)))
}

/// The epochs after one, up to the latest.
pub(super) async fn next(State(node): State<Arc<Node>>, Path(epoch): Path<String>, page: Page) -> Answer {
    let history = node.history();
    let number = parse_epoch(&history, &epoch)?;
    let numbers = page.of(number + 1..=epoch_of(history.tip().slot));
    Ok(Json(numbers.into_iter().map(|number| render(&history, number)).collect()))
}

/// The epochs before one, oldest first; the first page is the nearest, as Blockfrost counts.
pub(super) async fn previous(State(node): State<Arc<Node>>, Path(epoch): Path<String>, page: Page) -> Answer {
    let history = node.history();
    let number = parse_epoch(&history, &epoch)?;
    let mut numbers = page.of((0..number).rev());
    numbers.reverse();
    Ok(Json(numbers.into_iter().map(|number| render(&history, number)).collect()))
}

/// The hashes of an epoch's blocks.
pub(super) async fn blocks(State(node): State<Arc<Node>>, Path(epoch): Path<String>, page: Page) -> Answer {
    let history = node.history();
    let number = parse_epoch(&history, &epoch)?;
    let first = history.first_at_or_after(number * EPOCH_LENGTH);
    let end = history.first_at_or_after((number + 1) * EPOCH_LENGTH);
    let heights = page.of(first..end).into_iter();
    Ok(Json(heights.filter_map(|height| Some(json!(hex::encode(history.block(height)?.tip.hash)))).collect()))
}

/// Nothing: no stake is delegated to pools that make blocks here.
pub(super) async fn stakes(State(node): State<Arc<Node>>, Path(epoch): Path<String>, _page: Page) -> Answer {
    parse_epoch(&node.history(), &epoch)?;
    Ok(Json(json!([])))
}

fn render(history: &History, number: u64) -> Value {
    let none = Default::default();
    let record = history.epoch(number).unwrap_or(&none);
    let start = history.epoch_start(number);
    json!({
        "epoch": number,
        "start_time": start,
        "end_time": history.epoch_start(number + 1),
        "first_block_time": if record.blocks == 0 { start } else { record.first_block_time },
        "last_block_time": if record.blocks == 0 { start } else { record.last_block_time },
        "block_count": record.blocks,
        "tx_count": record.transactions,
        "output": record.output.to_string(),
        "fees": record.fees.to_string(),
        "active_stake": null,
    })
}

pub(super) async fn parameters(State(node): State<Arc<Node>>, Path(epoch): Path<String>) -> Answer {
    let number = parse_epoch(&node.history(), &epoch)?;
    let mut fields = costs(&node);
    fields.extend(limits(&node));
    fields.extend(governance(&node));
    fields.insert("epoch".into(), json!(number));
    Ok(Json(Value::Object(fields)))
}

/// `latest`, or the number of an epoch that has begun.
fn parse_epoch(history: &History, text: &str) -> Result<u64, ApiError> {
    let latest = epoch_of(history.tip().slot);
    if text == "latest" {
        return Ok(latest);
    }
    let number: u64 = text.parse().map_err(|_| ApiError::bad_request("epoch_number must be an integer or latest"))?;
    if number > latest { Err(ApiError::not_found()) } else { Ok(number) }
}

/// What transactions pay.
fn costs(node: &Node) -> Map<String, Value> {
    let params = node.params();
    let models = [
        ("PlutusV1", &params.cost_models.v1),
        ("PlutusV2", &params.cost_models.v2),
        ("PlutusV3", &params.cost_models.v3),
    ];
    // Named by position: sorted by name they are in the ledger's order, which is what clients build from them.
    let named: Map<String, Value> = models
        .iter()
        .map(|(language, costs)| {
            let costs = costs.iter().enumerate().map(|(index, cost)| (format!("{index:03}"), json!(cost)));
            ((*language).to_owned(), Value::Object(costs.collect()))
        })
        .collect();
    let raw: Map<String, Value> =
        models.iter().map(|(language, costs)| ((*language).to_owned(), json!(costs))).collect();
    object(json!({
        "min_fee_a": params.min_fee_a,
        "min_fee_b": params.min_fee_b,
        "key_deposit": params.key_deposit.0.to_string(),
        "pool_deposit": params.pool_deposit.0.to_string(),
        "min_utxo": params.coins_per_utxo_byte.to_string(),
        "min_pool_cost": params.min_pool_cost.0.to_string(),
        "price_mem": params.price_mem.to_f64(),
        "price_step": params.price_step.to_f64(),
        "collateral_percent": params.collateral_percent,
        "coins_per_utxo_size": params.coins_per_utxo_byte.to_string(),
        "coins_per_utxo_word": params.coins_per_utxo_byte.to_string(),
        "min_fee_ref_script_cost_per_byte": params.min_fee_ref_script_coins_per_byte.to_f64(),
        "cost_models": named,
        "cost_models_raw": raw,
    }))
}

/// What transactions, blocks and pools may be.
fn limits(node: &Node) -> Map<String, Value> {
    let params = node.params();
    object(json!({
        "max_block_size": params.max_block_body_size,
        "max_tx_size": params.max_tx_size,
        "max_block_header_size": params.max_block_header_size,
        "max_tx_ex_mem": params.max_tx_ex_units.mem.to_string(),
        "max_tx_ex_steps": params.max_tx_ex_units.steps.to_string(),
        "max_block_ex_mem": params.max_block_ex_units.mem.to_string(),
        "max_block_ex_steps": params.max_block_ex_units.steps.to_string(),
        "max_val_size": params.max_value_size.to_string(),
        "max_collateral_inputs": params.max_collateral_inputs,
        "e_max": params.e_max,
        "n_opt": params.n_opt,
        "a0": params.a0.to_f64(),
        "rho": params.rho.to_f64(),
        "tau": params.tau.to_f64(),
        "decentralisation_param": 0,
        "extra_entropy": null,
        "protocol_major_ver": params.protocol_version.major,
        "protocol_minor_ver": params.protocol_version.minor,
        // The hash of nothing: leaders are not drawn here.
        "nonce": hex::encode(nunet_ledger::hash::blake2b_256(&[])),
    }))
}

/// What is voted on, and by how much.
fn governance(node: &Node) -> Map<String, Value> {
    let rules = &node.params().governance;
    let (pools, representatives) = (&rules.pool_thresholds, &rules.drep_thresholds);
    object(json!({
        "pvt_motion_no_confidence": pools.motion_no_confidence.to_f64(),
        "pvt_committee_normal": pools.committee_normal.to_f64(),
        "pvt_committee_no_confidence": pools.committee_no_confidence.to_f64(),
        "pvt_hard_fork_initiation": pools.hard_fork_initiation.to_f64(),
        "pvtpp_security_group": pools.security_group.to_f64(),
        "pvt_p_p_security_group": pools.security_group.to_f64(),
        "dvt_motion_no_confidence": representatives.motion_no_confidence.to_f64(),
        "dvt_committee_normal": representatives.committee_normal.to_f64(),
        "dvt_committee_no_confidence": representatives.committee_no_confidence.to_f64(),
        "dvt_update_to_constitution": representatives.update_to_constitution.to_f64(),
        "dvt_hard_fork_initiation": representatives.hard_fork_initiation.to_f64(),
        "dvt_p_p_network_group": representatives.network_group.to_f64(),
        "dvt_p_p_economic_group": representatives.economic_group.to_f64(),
        "dvt_p_p_technical_group": representatives.technical_group.to_f64(),
        "dvt_p_p_gov_group": representatives.governance_group.to_f64(),
        "dvt_treasury_withdrawal": representatives.treasury_withdrawal.to_f64(),
        "committee_min_size": rules.committee_min_size.to_string(),
        "committee_max_term_length": rules.committee_max_term_length.to_string(),
        "gov_action_lifetime": rules.gov_action_lifetime.to_string(),
        "gov_action_deposit": rules.gov_action_deposit.0.to_string(),
        "drep_deposit": rules.drep_deposit.0.to_string(),
        "drep_activity": rules.drep_activity.to_string(),
    }))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

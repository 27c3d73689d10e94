//! Confirmed transactions: their facts, inputs and outputs, bytes, redeemers and stake events.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use nunet_ledger::{Credential, NetworkMagic, OutPoint, Purpose, RewardAccount, ScriptHash, TxId};
use pallas_addresses::Address as AnyAddress;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, ApiError, amount, output_fields, total},
    metadata::labelled,
    metadatum::metadatum_to_json,
};
use crate::{
    details::{RedeemerDetail, Runs, StakeEvent},
    devnet::Node,
    history::{History, TxRecord},
};

pub(super) async fn transaction(State(node): State<Arc<Node>>, Path(id): Path<String>) -> Answer {
    let history = node.history();
    let record = find(&history, &id)?;
    let block = history.block(record.height).ok_or_else(ApiError::not_found)?;
    let (applied, details) = (&record.applied, &record.applied.details);
    Ok(Json(json!({
        "hash": applied.id,
        "block": hex::encode(block.tip.hash),
        "block_height": record.height,
        "block_time": block.tip.time.0 / 1_000,
        "slot": block.tip.slot,
        "index": record.index,
        "output_amount": amount(&total(applied.produced.iter().map(|(_, output)| &output.value))),
        "fees": applied.fee.0.to_string(),
        "deposit": applied.deposit.to_string(),
        "size": applied.cbor.len(),
        "invalid_before": details.valid_from.map(|slot| slot.0.to_string()),
        "invalid_hereafter": details.valid_until.map(|slot| slot.0.to_string()),
        "utxo_count": applied.consumed.len() + applied.produced.len(),
        "withdrawal_count": details.withdrawals.len(),
        "mir_cert_count": 0,
        "delegation_count": 0,
        "stake_cert_count": details.stake_events().count(),
        "pool_update_count": 0,
        "pool_retire_count": 0,
        "asset_mint_or_burn_count": details.mint.len(),
        "redeemer_count": details.redeemers.len(),
        "valid_contract": applied.valid,
        "treasury_donation": "0",
    })))
}

pub(super) async fn utxos(State(node): State<Arc<Node>>, Path(id): Path<String>) -> Answer {
    let history = node.history();
    let record = find(&history, &id)?;
    let details = &record.applied.details;
    let spent = details.inputs.iter().filter_map(|outpoint| input(&history, *outpoint, Role::Spent));
    let collateral = details.collateral.iter().filter_map(|outpoint| input(&history, *outpoint, Role::Collateral));
    let references = details.references.iter().filter_map(|outpoint| input(&history, *outpoint, Role::Reference));
    let inputs: Vec<Value> = spent.chain(collateral).chain(references).collect();
    let outputs: Vec<Value> = record
        .applied
        .produced
        .iter()
        .map(|(outpoint, output)| {
            let mut fields = output_fields(output);
            let consumed_by = history.output(outpoint).and_then(|record| record.spent_by);
            fields.insert("output_index".into(), json!(outpoint.index));
            // Only a failed script makes the collateral's return real, and then it is the only output.
            fields.insert("collateral".into(), json!(!record.applied.valid));
            fields.insert("consumed_by_tx".into(), json!(consumed_by));
            Value::Object(fields)
        })
        .collect();
    Ok(Json(json!({ "hash": record.applied.id, "inputs": inputs, "outputs": outputs })))
}

pub(super) async fn cbor(State(node): State<Arc<Node>>, Path(id): Path<String>) -> Answer {
    let history = node.history();
    Ok(Json(json!({ "cbor": hex::encode(&find(&history, &id)?.applied.cbor) })))
}

pub(super) async fn redeemers(State(node): State<Arc<Node>>, Path(id): Path<String>) -> Answer {
    let history = node.history();
    let record = find(&history, &id)?;
    let rows = record.applied.details.redeemers.iter().map(|redeemer| {
        let mut fields = redeemer_fields(&node, redeemer);
        let script = script_of(&history, redeemer).map(|hash| hash.to_string());
        fields.insert("script_hash".into(), json!(script.unwrap_or_default()));
        Value::Object(fields)
    });
    Ok(Json(rows.collect()))
}

/// What every form of a redeemer shows.
pub(super) fn redeemer_fields(node: &Node, redeemer: &RedeemerDetail) -> Map<String, Value> {
    let (params, units) = (node.params(), redeemer.units);
    let fee = priced(units.mem, params.price_mem) + priced(units.steps, params.price_step);
    let data_hash = hex::encode(redeemer.data_hash);
    let mut fields = Map::new();
    fields.insert("tx_index".into(), json!(redeemer.index));
    fields.insert("purpose".into(), json!(purpose(redeemer.purpose)));
    fields.insert("redeemer_data_hash".into(), json!(data_hash));
    // Blockfrost keeps the old name of the same hash.
    fields.insert("datum_hash".into(), json!(data_hash));
    fields.insert("unit_mem".into(), json!(units.mem.to_string()));
    fields.insert("unit_steps".into(), json!(units.steps.to_string()));
    fields.insert("fee".into(), json!(fee.to_string()));
    fields
}

pub(super) async fn metadata(State(node): State<Arc<Node>>, Path(id): Path<String>) -> Answer {
    let history = node.history();
    let rows = find(&history, &id)?.applied.details.metadata.iter();
    let row = |(label, value): (&u64, &Vec<u8>)| json!({ "label": label.to_string(), "json_metadata": metadatum_to_json(value) });
    Ok(Json(rows.map(row).collect()))
}

pub(super) async fn metadata_cbor(State(node): State<Arc<Node>>, Path(id): Path<String>) -> Answer {
    let history = node.history();
    let rows = find(&history, &id)?.applied.details.metadata.iter().map(|(label, value)| {
        let cbor = labelled(*label, value);
        json!({ "label": label.to_string(), "cbor_metadata": format!("\\x{cbor}"), "metadata": cbor })
    });
    Ok(Json(rows.collect()))
}

/// Nothing: the Conway era has no such certificates.
pub(super) async fn mirs(State(node): State<Arc<Node>>, Path(id): Path<String>) -> Answer {
    find(&node.history(), &id)?;
    Ok(Json(json!([])))
}

pub(super) async fn withdrawals(State(node): State<Arc<Node>>, Path(id): Path<String>) -> Answer {
    let history = node.history();
    let rows = find(&history, &id)?.applied.details.withdrawals.iter().map(
        |(account, amount)| json!({ "address": stake_address(account.credential), "amount": amount.0.to_string() }),
    );
    Ok(Json(rows.collect()))
}

pub(super) async fn stakes(State(node): State<Arc<Node>>, Path(id): Path<String>) -> Answer {
    let history = node.history();
    let rows = find(&history, &id)?.applied.details.stake_events().map(|(index, credential, event)| {
        json!({
            "cert_index": index,
            "address": stake_address(credential),
            "registration": event == StakeEvent::Registered,
        })
    });
    Ok(Json(rows.collect()))
}

pub(super) async fn required_signers(State(node): State<Arc<Node>>, Path(id): Path<String>) -> Answer {
    let history = node.history();
    let signers = find(&history, &id)?.applied.details.required_signers.iter();
    Ok(Json(signers.map(|hash| json!({ "witness_hash": hash })).collect()))
}

/// The text form of a stake account on the devnet.
pub(super) fn stake_address(credential: Credential) -> String {
    let account = RewardAccount { network_id: NetworkMagic::DEVNET.network_id(), credential };
    let bytes = account.to_bytes();
    AnyAddress::from_bytes(&bytes).map_or_else(|_| hex::encode(bytes), |address| address.to_string())
}

fn find<'a>(history: &'a History, text: &str) -> Result<&'a TxRecord, ApiError> {
    let id: TxId =
        text.parse().map_err(|error: nunet_ledger::ParseIdError| ApiError::bad_request(error.to_string()))?;
    history.transaction(&id).ok_or_else(ApiError::not_found)
}

/// What a transaction does with an input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Consumes it, unless a script fails.
    Spent,
    /// Consumes it if a script fails.
    Collateral,
    /// Reads it.
    Reference,
}

fn input(history: &History, outpoint: OutPoint, role: Role) -> Option<Value> {
    let mut fields = output_fields(&history.output(&outpoint)?.output);
    fields.insert("tx_hash".into(), json!(outpoint.tx));
    fields.insert("output_index".into(), json!(outpoint.index));
    fields.insert("collateral".into(), json!(role == Role::Collateral));
    fields.insert("reference".into(), json!(role == Role::Reference));
    Some(Value::Object(fields))
}

/// The script that a redeemer is for.
pub(super) fn script_of(history: &History, redeemer: &RedeemerDetail) -> Option<ScriptHash> {
    let input = match redeemer.runs {
        Runs::Script(hash) => return Some(hash),
        Runs::Nothing => return None,
        Runs::AtInput(input) => input,
    };
    match history.output(&input)?.output.address.payment()? {
        Credential::Script(hash) => Some(hash),
        Credential::Key(_) => None,
    }
}

/// The names that Blockfrost gives the purposes.
fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Spend => "spend",
        Purpose::Mint => "mint",
        Purpose::Certify => "cert",
        Purpose::Withdraw => "reward",
    }
}

/// What units cost, rounded up.
fn priced(units: u64, price: nunet_ledger::parameters::Rational) -> u128 {
    (u128::from(units) * u128::from(price.numerator)).div_ceil(u128::from(price.denominator.max(1)))
}

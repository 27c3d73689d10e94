//! Transactions that wait for a block.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use nunet_ledger::{Address, OutPoint, TxId, TxOut};
use serde_json::{Value, json};

use super::{
    addresses::Holder,
    answer::{Answer, ApiError, output_fields},
    page::Page,
    transactions::{facts, purpose},
};
use crate::{chain::Applied, devnet::Node, history::History};

/// The ids of what waits, in order.
pub(super) async fn all(State(node): State<Arc<Node>>, page: Page) -> Answer {
    let waiting = node.mempool().await?;
    Ok(Json(page.of(waiting.iter()).into_iter().map(|applied| json!({ "tx_hash": applied.id })).collect()))
}

pub(super) async fn transaction(State(node): State<Arc<Node>>, Path(id): Path<String>) -> Answer {
    let id: TxId = id.parse().map_err(|error: nunet_ledger::ParseIdError| ApiError::bad_request(error.to_string()))?;
    let waiting = node.clone().mempool().await?;
    let applied = waiting.iter().find(|applied| applied.id == id).ok_or_else(ApiError::not_found)?;
    Ok(Json(render(&Outputs::new(&node.history(), &waiting), applied)))
}

/// The ids of what waits and touches an address.
pub(super) async fn touching(State(node): State<Arc<Node>>, Path(text): Path<String>, page: Page) -> Answer {
    let holder = Holder::parse(&text)?;
    let waiting = node.mempool().await?;
    let ours = |(_, output): &(OutPoint, TxOut)| holder.holds(&output.address);
    let found = waiting.iter().filter(|applied| applied.consumed.iter().chain(&applied.produced).any(ours));
    Ok(Json(page.of(found).into_iter().map(|applied| json!({ "tx_hash": applied.id })).collect()))
}

/// Where an input's address is found: on chain, or in what waits.
struct Outputs<'a> {
    history: &'a History,
    waiting: HashMap<OutPoint, &'a Address>,
}

impl<'a> Outputs<'a> {
    fn new(history: &'a History, waiting: &'a [Arc<Applied>]) -> Self {
        let produced = waiting.iter().flat_map(|applied| &applied.produced);
        Self { history, waiting: produced.map(|(outpoint, output)| (*outpoint, &output.address)).collect() }
    }

    fn address(&self, outpoint: &OutPoint) -> Option<&Address> {
        let confirmed = self.history.output(outpoint).map(|record| &record.output.address);
        confirmed.or_else(|| self.waiting.get(outpoint).copied())
    }
}

fn render(outputs: &Outputs<'_>, applied: &Applied) -> Value {
    let details = &applied.details;
    let input = |outpoint: &OutPoint, collateral, reference| {
        json!({
            "address": outputs.address(outpoint),
            "tx_hash": outpoint.tx,
            "output_index": outpoint.index,
            "collateral": collateral,
            "reference": reference,
        })
    };
    let spent = details.inputs.iter().map(|outpoint| input(outpoint, false, false));
    let collateral = details.collateral.iter().map(|outpoint| input(outpoint, true, false));
    let references = details.references.iter().map(|outpoint| input(outpoint, false, true));
    let produced = applied.produced.iter().map(|(outpoint, output)| {
        let mut fields = output_fields(output);
        fields.insert("output_index".into(), json!(outpoint.index));
        fields.insert("collateral".into(), json!(!applied.valid));
        Value::Object(fields)
    });
    let redeemers = details.redeemers.iter().map(|redeemer| {
        json!({
            "tx_index": redeemer.index,
            "purpose": purpose(redeemer.purpose),
            "unit_mem": redeemer.units.mem.to_string(),
            "unit_steps": redeemer.units.steps.to_string(),
        })
    });
    json!({
        "tx": facts(applied),
        "inputs": spent.chain(collateral).chain(references).collect::<Value>(),
        "outputs": produced.collect::<Value>(),
        "redeemers": redeemers.collect::<Value>(),
    })
}

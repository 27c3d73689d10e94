//! Addresses: what they hold, their unspent outputs and their transactions.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequestParts, Path, Query, State},
    http::request::Parts,
};
use nunet_ledger::{Address, AssetId, Credential, NetworkMagic, OutPoint, TxOut};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    answer::{Answer, ApiError, amount, output_fields, total},
    assets::parse_asset,
    network_mismatch,
    page::Page,
    transactions::stake_address,
};
use crate::{
    devnet::Node,
    history::{AddressRecord, History, OutputRecord},
};

pub(super) async fn address(State(node): State<Arc<Node>>, Path(text): Path<String>) -> Answer {
    let address = parse_address(&text)?;
    let history = node.history();
    let record = history.address(&address).ok_or_else(ApiError::not_found)?;
    let values = unspent(&history, record).map(|(_, record)| &record.output.value);
    Ok(Json(json!({
        "address": address,
        "amount": amount(&total(values)),
        "stake_address": address.stake().map(stake_address),
        "type": if address.payment().is_some() { "shelley" } else { "byron" },
        "script": matches!(address.payment(), Some(Credential::Script(_))),
    })))
}

pub(super) async fn utxos(State(node): State<Arc<Node>>, Path(text): Path<String>, page: Page) -> Answer {
    let address = parse_address(&text)?;
    let history = node.history();
    let record = history.address(&address).ok_or_else(ApiError::not_found)?;
    let outputs = page.of(unspent(&history, record));
    Ok(Json(outputs.into_iter().map(|(outpoint, record)| render(&history, outpoint, record)).collect()))
}

pub(super) async fn utxos_of_asset(
    State(node): State<Arc<Node>>,
    Path((text, asset)): Path<(String, String)>,
    page: Page,
) -> Answer {
    let address = parse_address(&text)?;
    // Blockfrost takes "lovelace" here too, which every output holds.
    let asset = if asset == "lovelace" { None } else { Some(parse_asset(&asset)?) };
    let history = node.history();
    let record = history.address(&address).ok_or_else(ApiError::not_found)?;
    let holding = unspent(&history, record).filter(|(_, record)| holds(&record.output, asset.as_ref()));
    let outputs = page.of(holding);
    Ok(Json(outputs.into_iter().map(|(outpoint, record)| render(&history, outpoint, record)).collect()))
}

pub(super) async fn transactions(
    State(node): State<Arc<Node>>,
    Path(text): Path<String>,
    page: Page,
    range: BlockRange,
) -> Answer {
    let address = parse_address(&text)?;
    let history = node.history();
    let record = history.address(&address).ok_or_else(ApiError::not_found)?;
    let all = record.transactions.iter().filter_map(|position| history.transactions().get(*position));
    let within = all.filter(|record| range.holds((record.height, record.index)));
    let rows = page.of(within).into_iter().map(|record| {
        let time = history.block(record.height).map(|block| block.tip.time.0 / 1_000);
        json!({
            "tx_hash": record.applied.id,
            "tx_index": record.index,
            "block_height": record.height,
            "block_time": time,
        })
    });
    Ok(Json(rows.collect()))
}

/// The bounds `from` and `to` of a query, each `height` or `height:index`, both inclusive.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockRange {
    from: (usize, usize),
    to: (usize, usize),
}

#[derive(Deserialize)]
struct RawRange {
    from: Option<String>,
    to: Option<String>,
}

impl BlockRange {
    fn holds(self, place: (usize, usize)) -> bool {
        self.from <= place && place <= self.to
    }

    fn bound(text: Option<&str>, missing_height: usize, missing_index: usize) -> Result<(usize, usize), ApiError> {
        let Some(text) = text else { return Ok((missing_height, missing_index)) };
        let (height, index) = text.split_once(':').map_or((text, None), |(height, index)| (height, Some(index)));
        let parsed = height.parse().ok().zip(index.map_or(Some(missing_index), |index| index.parse().ok()));
        parsed.ok_or_else(|| ApiError::bad_request("querystring/from and to must be a block height or height:index"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for BlockRange {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(raw) = Query::<RawRange>::from_request_parts(parts, state)
            .await
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        let from = Self::bound(raw.from.as_deref(), 0, 0)?;
        let to = Self::bound(raw.to.as_deref(), usize::MAX, usize::MAX)?;
        Ok(Self { from, to })
    }
}

/// An address's unspent outputs, oldest first.
pub(super) fn unspent<'a>(
    history: &'a History,
    record: &'a AddressRecord,
) -> impl DoubleEndedIterator<Item = (OutPoint, &'a OutputRecord)> {
    record.unspent.iter().filter_map(|(_, outpoint)| Some((*outpoint, history.output(outpoint)?)))
}

/// An unspent output as a row of a list.
pub(super) fn render(history: &History, outpoint: OutPoint, record: &OutputRecord) -> Value {
    let made_by = history.transactions().get(record.position);
    let block = made_by.and_then(|made_by| history.block(made_by.height)).map(|block| hex::encode(block.tip.hash));
    let mut fields = output_fields(&record.output);
    fields.insert("tx_hash".into(), json!(outpoint.tx));
    fields.insert("tx_index".into(), json!(outpoint.index));
    fields.insert("output_index".into(), json!(outpoint.index));
    fields.insert("block".into(), json!(block));
    Value::Object(fields)
}

fn holds(output: &TxOut, asset: Option<&AssetId>) -> bool {
    asset.is_none_or(|asset| output.value.quantity(asset) > 0)
}

fn parse_address(text: &str) -> Result<Address, ApiError> {
    let address: Address = text
        .parse()
        .map_err(|error: nunet_ledger::ParseIdError| ApiError::bad_request(format!("Invalid address: {error}")))?;
    match address.network_id() {
        Some(id) if id != NetworkMagic::DEVNET.network_id() => Err(network_mismatch(text)),
        _ => Ok(address),
    }
}

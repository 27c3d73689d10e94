//! Addresses: what they hold, their unspent outputs and their transactions.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::{FromRequestParts, Path, Query, State},
    http::request::Parts,
};
use nunet_ledger::{Address, AssetId, Credential, NetworkMagic, OutPoint, TxOut};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, ApiError, Flow, amount, output_fields, place, total},
    assets::{onchain_metadata, parse_asset},
    network_mismatch,
    page::Page,
    transactions::stake_address,
};
use crate::{
    devnet::Node,
    history::{AddressRecord, History, OutputRecord},
};

pub(super) async fn address(State(node): State<Arc<Node>>, Path(text): Path<String>) -> Answer {
    let holder = Holder::parse(&text)?;
    let history = node.history();
    let records = holder.records(&history)?;
    let held = total(unspent(&history, &records).map(|(_, record)| &record.output.value));
    Ok(Json(Value::Object(holder.describe(&text, amount(&held)))))
}

/// The same with what is known of each asset beside the chain, which is nothing.
pub(super) async fn extended(State(node): State<Arc<Node>>, Path(text): Path<String>) -> Answer {
    let holder = Holder::parse(&text)?;
    let history = node.history();
    let records = holder.records(&history)?;
    let held = total(unspent(&history, &records).map(|(_, record)| &record.output.value));
    let lovelace = json!({
        "unit": "lovelace",
        "quantity": held.lovelace().0.to_string(),
        "decimals": 6,
        "has_nft_onchain_metadata": false,
    });
    let assets = held.assets().map(|(asset, quantity)| {
        json!({
            "unit": asset.to_string(),
            "quantity": quantity.to_string(),
            "decimals": null,
            "has_nft_onchain_metadata": onchain_metadata(&history, asset).is_some(),
        })
    });
    Ok(Json(Value::Object(holder.describe(&text, std::iter::once(lovelace).chain(assets).collect()))))
}

/// All that ever came in and went out.
pub(super) async fn totals(State(node): State<Arc<Node>>, Path(text): Path<String>) -> Answer {
    let holder = Holder::parse(&text)?;
    let history = node.history();
    let mut fields = flow(&history, &holder.records(&history)?, |address| holder.holds(address));
    fields.insert("address".into(), json!(text));
    Ok(Json(Value::Object(fields)))
}

pub(super) async fn utxos(State(node): State<Arc<Node>>, Path(text): Path<String>, page: Page) -> Answer {
    let holder = Holder::parse(&text)?;
    let history = node.history();
    let records = holder.records(&history)?;
    let outputs = page.of(unspent(&history, &records));
    Ok(Json(outputs.into_iter().map(|(outpoint, record)| render(&history, outpoint, record)).collect()))
}

pub(super) async fn utxos_of_asset(
    State(node): State<Arc<Node>>,
    Path((text, asset)): Path<(String, String)>,
    page: Page,
) -> Answer {
    let holder = Holder::parse(&text)?;
    // Blockfrost takes "lovelace" here too, which every output holds.
    let asset = if asset == "lovelace" { None } else { Some(parse_asset(&asset)?) };
    let history = node.history();
    let records = holder.records(&history)?;
    let outputs = page.of(unspent(&history, &records).filter(|(_, record)| holds(&record.output, asset.as_ref())));
    Ok(Json(outputs.into_iter().map(|(outpoint, record)| render(&history, outpoint, record)).collect()))
}

pub(super) async fn transactions(
    State(node): State<Arc<Node>>,
    Path(text): Path<String>,
    page: Page,
    range: BlockRange,
) -> Answer {
    let holder = Holder::parse(&text)?;
    let history = node.history();
    let records = holder.records(&history)?;
    let positions = touched_by(&records);
    let all = positions.iter().filter_map(|position| history.transactions().get(*position));
    let within = all.filter(|record| range.holds((record.height, record.index)));
    Ok(Json(page.of(within).into_iter().map(|record| place(&history, record)).collect()))
}

/// The ids alone, as older clients ask for them.
pub(super) async fn transaction_ids(State(node): State<Arc<Node>>, Path(text): Path<String>, page: Page) -> Answer {
    let holder = Holder::parse(&text)?;
    let history = node.history();
    let records = holder.records(&history)?;
    let positions = touched_by(&records);
    let all = positions.iter().filter_map(|position| history.transactions().get(*position));
    Ok(Json(page.of(all).into_iter().map(|record| json!(record.applied.id)).collect()))
}

/// Whom a path names.
#[derive(Debug)]
enum Holder {
    /// One address.
    Address(Address),
    /// Every address with this payment credential, be it a key's hash or a script's: clients name both `addr_vkh`.
    Payment([u8; 28]),
}

impl Holder {
    /// Reads an address, or a payment credential in bech32 (`addr_vkh1…`, `script1…`).
    fn parse(text: &str) -> Result<Self, ApiError> {
        if !text.starts_with("addr_vkh1") && !text.starts_with("script1") {
            return parse_address(text).map(Self::Address);
        }
        let hash = bech32::decode(text).ok().and_then(|(_, bytes)| bytes.try_into().ok());
        hash.map(Self::Payment).ok_or_else(|| {
            ApiError::bad_request("Invalid address: a payment credential is a hash of 28 bytes, addr_vkh1… or script1…")
        })
    }

    /// What is known of the addresses; not found when nothing ever was there.
    fn records<'a>(&self, history: &'a History) -> Result<Vec<&'a AddressRecord>, ApiError> {
        let records: Vec<_> = match self {
            Self::Address(address) => history.address(address).into_iter().collect(),
            Self::Payment(hash) => {
                let addresses = history.lookups().addresses_of(hash);
                addresses.filter_map(|address| history.address(address)).collect()
            }
        };
        if records.is_empty() { Err(ApiError::not_found()) } else { Ok(records) }
    }

    fn holds(&self, address: &Address) -> bool {
        match self {
            Self::Address(own) => own == address,
            Self::Payment(hash) => address.payment().is_some_and(|payment| match payment {
                Credential::Key(key) => key.0 == *hash,
                Credential::Script(script) => script.0 == *hash,
            }),
        }
    }

    fn describe(&self, text: &str, amount: Value) -> Map<String, Value> {
        let (stake, kind, script) = match self {
            Self::Address(address) => (
                address.stake().map(stake_address),
                if address.payment().is_some() { "shelley" } else { "byron" },
                matches!(address.payment(), Some(Credential::Script(_))),
            ),
            Self::Payment(_) => (None, "shelley", text.starts_with("script1")),
        };
        let mut fields = Map::new();
        fields.insert("address".into(), json!(text));
        fields.insert("amount".into(), amount);
        fields.insert("stake_address".into(), json!(stake));
        fields.insert("type".into(), json!(kind));
        fields.insert("script".into(), json!(script));
        fields
    }
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
    pub(super) fn holds(self, place: (usize, usize)) -> bool {
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

/// The unspent outputs of addresses, oldest first.
pub(super) fn unspent<'a>(
    history: &'a History,
    records: &[&'a AddressRecord],
) -> impl DoubleEndedIterator<Item = (OutPoint, &'a OutputRecord)> {
    let places: Box<dyn DoubleEndedIterator<Item = (usize, OutPoint)> + 'a> = match records {
        [record] => Box::new(record.unspent.iter().copied()),
        records => {
            let merged: BTreeSet<_> = records.iter().flat_map(|record| record.unspent.iter().copied()).collect();
            Box::new(merged.into_iter())
        }
    };
    places.filter_map(|(_, outpoint)| Some((outpoint, history.output(&outpoint)?)))
}

/// The positions of the transactions that touch addresses, oldest first.
pub(super) fn touched_by<'a>(records: &[&'a AddressRecord]) -> Cow<'a, BTreeSet<usize>> {
    match records {
        [record] => Cow::Borrowed(&record.transactions),
        records => Cow::Owned(records.iter().flat_map(|record| record.transactions.iter().copied()).collect()),
    }
}

/// What came in and went out over all transactions that touch addresses, `ours` being those addresses.
pub(super) fn flow(
    history: &History,
    records: &[&AddressRecord],
    ours: impl Fn(&Address) -> bool,
) -> Map<String, Value> {
    let (mut received, mut sent) = (Flow::default(), Flow::default());
    let positions = touched_by(records);
    for record in positions.iter().filter_map(|position| history.transactions().get(*position)) {
        let (consumed, produced) = (&record.applied.consumed, &record.applied.produced);
        produced.iter().filter(|(_, one)| ours(&one.address)).for_each(|(_, one)| received.add(&one.value));
        consumed.iter().filter(|(_, one)| ours(&one.address)).for_each(|(_, one)| sent.add(&one.value));
    }
    let mut fields = Map::new();
    fields.insert("received_sum".into(), received.amount());
    fields.insert("sent_sum".into(), sent.amount());
    fields.insert("tx_count".into(), json!(positions.len()));
    fields
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

//! Native assets: their supply and who holds them.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use nunet_ledger::{Address, AssetId, ParseIdError, ScriptHash};
use pallas_crypto::hash::Hasher;
use serde_json::{Value, json};

use super::{
    answer::{Answer, ApiError, bech32_text, place},
    metadatum::metadatum_to_json,
    page::Page,
};
use crate::{
    devnet::Node,
    history::{History, TxRecord, lookups::Subject},
};

/// The label of metadata about tokens.
const NFT_LABEL: u64 = 721;

/// The longest asset name, in bytes.
const MAX_NAME: usize = 32;

pub(super) async fn asset(State(node): State<Arc<Node>>, Path(text): Path<String>) -> Answer {
    let asset = parse_asset(&text)?;
    let history = node.history();
    let record = history.asset(&asset).ok_or_else(ApiError::not_found)?;
    let described = onchain_metadata(&history, &asset);
    Ok(Json(json!({
        "asset": asset.to_string(),
        "policy_id": asset.policy,
        "asset_name": if asset.name.is_empty() { None } else { Some(hex::encode(&asset.name)) },
        "fingerprint": fingerprint(&asset),
        "quantity": record.quantity.to_string(),
        "initial_mint_tx_hash": record.first,
        "mint_or_burn_count": record.changes,
        "onchain_metadata": described.as_ref().map(|(metadata, _)| metadata),
        "onchain_metadata_standard": described.as_ref().map(|(_, standard)| standard),
        "onchain_metadata_extra": null,
        "metadata": null,
    })))
}

pub(super) async fn addresses(State(node): State<Arc<Node>>, Path(text): Path<String>, page: Page) -> Answer {
    let asset = parse_asset(&text)?;
    let history = node.history();
    history.asset(&asset).ok_or_else(ApiError::not_found)?;
    let mut holders: BTreeMap<Address, u64> = BTreeMap::new();
    for (_, output) in history.unspent() {
        let quantity = output.value.quantity(&asset);
        if quantity > 0 {
            // The supply fits 64 bits by the ledger's rules.
            let held = holders.entry(output.address).or_default();
            *held = held.saturating_add(quantity);
        }
    }
    let rows = page.of(holders.into_iter()).into_iter();
    Ok(Json(rows.map(|(address, held)| json!({ "address": address, "quantity": held.to_string() })).collect()))
}

/// Every asset that was ever minted, in the order of first mints.
pub(super) async fn assets(State(node): State<Arc<Node>>, page: Page) -> Answer {
    let history = node.history();
    Ok(Json(page.of(history.lookups().assets()).into_iter().map(|asset| supply(&history, asset)).collect()))
}

/// The assets of a policy, in the order of first mints.
pub(super) async fn of_policy(State(node): State<Arc<Node>>, Path(text): Path<String>, page: Page) -> Answer {
    let policy: ScriptHash = text.parse().map_err(|error: ParseIdError| ApiError::bad_request(error.to_string()))?;
    let history = node.history();
    let all: Vec<_> = history.lookups().assets().filter(|asset| asset.policy == policy).collect();
    if all.is_empty() {
        return Err(ApiError::not_found());
    }
    Ok(Json(page.of(all.into_iter()).into_iter().map(|asset| supply(&history, asset)).collect()))
}

/// Every mint and burn of an asset.
pub(super) async fn history(State(node): State<Arc<Node>>, Path(text): Path<String>, page: Page) -> Answer {
    let asset = parse_asset(&text)?;
    let history = node.history();
    let rows = page.of(touching(&history, &Subject::Mints(asset.clone()))?).into_iter().map(|record| {
        let funded = record.applied.genesis.as_ref().map_or(0, |value| i128::from(value.quantity(&asset)));
        let minted = record.applied.details.mint.get(&asset).map_or(funded, |quantity| i128::from(*quantity));
        json!({
            "tx_hash": record.applied.id,
            "amount": minted.unsigned_abs().to_string(),
            "action": if minted < 0 { "burned" } else { "minted" },
        })
    });
    Ok(Json(rows.collect()))
}

/// The transactions that move an asset.
pub(super) async fn transactions(State(node): State<Arc<Node>>, Path(text): Path<String>, page: Page) -> Answer {
    let subject = Subject::Moves(parse_asset(&text)?);
    let history = node.history();
    Ok(Json(page.of(touching(&history, &subject)?).into_iter().map(|record| place(&history, record)).collect()))
}

/// Their ids alone, as older clients ask for them.
pub(super) async fn transaction_ids(State(node): State<Arc<Node>>, Path(text): Path<String>, page: Page) -> Answer {
    let subject = Subject::Moves(parse_asset(&text)?);
    let history = node.history();
    Ok(Json(page.of(touching(&history, &subject)?).into_iter().map(|record| json!(record.applied.id)).collect()))
}

fn supply(history: &History, asset: &AssetId) -> Value {
    let quantity = history.asset(asset).map_or(0, |record| record.quantity);
    json!({ "asset": asset.to_string(), "quantity": quantity.to_string() })
}

/// The transactions that an asset's subject is about, oldest first; not found when there never was one.
fn touching<'a>(
    history: &'a History,
    subject: &Subject,
) -> Result<impl DoubleEndedIterator<Item = &'a TxRecord>, ApiError> {
    let positions = history.lookups().positions(subject);
    if positions.is_empty() {
        return Err(ApiError::not_found());
    }
    Ok(positions.iter().filter_map(|position| history.transactions().get(*position)))
}

/// What the latest mint's metadata says of an asset under label 721 ([CIP-25](https://cips.cardano.org/cip/CIP-25)),
/// with the version that it says it in.
pub(super) fn onchain_metadata(history: &History, asset: &AssetId) -> Option<(Value, &'static str)> {
    let positions = history.lookups().positions(&Subject::Mints(asset.clone())).iter().rev();
    let mut records = positions.filter_map(|position| history.transactions().get(*position));
    let record = records.find(|record| record.applied.details.mint.get(asset).is_some_and(|minted| *minted > 0))?;
    let metadata = metadatum_to_json(record.applied.details.metadata.get(&NFT_LABEL)?)?;
    let (policy, name) = (asset.policy.to_string(), hex::encode(&asset.name));
    let text = std::str::from_utf8(&asset.name).ok();
    let first = text.and_then(|text| metadata.get(&policy)?.get(text));
    let second = || metadata.get(format!("0x{policy}"))?.get(format!("0x{name}"));
    match first {
        Some(found) => Some((found.clone(), "CIP25v1")),
        None => second().map(|found| (found.clone(), "CIP25v2")),
    }
    .filter(|(found, _)| found.is_object())
}

/// Policy id and asset name in hex, one after the other.
pub(super) fn parse_asset(text: &str) -> Result<AssetId, ApiError> {
    let bad = || ApiError::bad_request("Invalid asset: it is the policy id and the asset name in hex, concatenated");
    let (policy, name) = text.split_at_checked(56).ok_or_else(bad)?;
    let policy: ScriptHash = policy.parse().map_err(|_| bad())?;
    let name = hex::decode(name).map_err(|_| bad())?;
    if name.len() > MAX_NAME { Err(bad()) } else { Ok(AssetId { policy, name }) }
}

/// The asset's fingerprint ([CIP-14](https://cips.cardano.org/cip/CIP-14)).
fn fingerprint(asset: &AssetId) -> String {
    let mut bytes = asset.policy.0.to_vec();
    bytes.extend_from_slice(&asset.name);
    let digest = Hasher::<160>::hash(&bytes);
    bech32_text("asset", digest.as_ref())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_agree_with_the_examples_of_cip_14() {
        let policy = "7eae28af2208be856f7a119668ae52a49b73725e326dc16579dcc373";
        let name = "504154415445";
        for (text, expected) in [
            (policy.to_owned(), "asset1rjklcrnsdzqp65wjgrg55sy9723kw09mlgvlc3"),
            (format!("{policy}{name}"), "asset13n25uv0yaf5kus35fm2k86cqy60z58d9xmde92"),
        ] {
            assert_eq!(fingerprint(&parse_asset(&text).unwrap()), expected);
        }
    }

    #[test]
    fn wrong_assets_are_refused() {
        let too_long = "00".repeat(28 + 33);
        for text in ["", "lovelace", "00", "zz", too_long.as_str(), &"é".repeat(40)] {
            assert!(parse_asset(text).is_err(), "{text}");
        }
    }
}

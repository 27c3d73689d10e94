//! Native assets: their supply and who holds them.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use nunet_ledger::{Address, AssetId, ScriptHash};
use pallas_crypto::hash::Hasher;
use serde_json::json;

use super::{
    answer::{Answer, ApiError, bech32_text},
    page::Page,
};
use crate::devnet::Node;

/// The longest asset name, in bytes.
const MAX_NAME: usize = 32;

pub(super) async fn asset(State(node): State<Arc<Node>>, Path(text): Path<String>) -> Answer {
    let asset = parse_asset(&text)?;
    let history = node.history();
    let record = history.asset(&asset).ok_or_else(ApiError::not_found)?;
    Ok(Json(json!({
        "asset": asset.to_string(),
        "policy_id": asset.policy,
        "asset_name": if asset.name.is_empty() { None } else { Some(hex::encode(&asset.name)) },
        "fingerprint": fingerprint(&asset),
        "quantity": record.quantity.to_string(),
        "initial_mint_tx_hash": record.first,
        "mint_or_burn_count": record.changes,
        "onchain_metadata": null,
        "onchain_metadata_standard": null,
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

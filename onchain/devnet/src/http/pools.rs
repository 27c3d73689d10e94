//! Stake pools as their certificates describe them. None makes blocks here: blocks, rewards and active stake are zero.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use nunet_ledger::{
    Credential, PoolId, TxId,
    certificate::{PoolParams, Relay},
    received::ReceivedCertificate,
};
use serde_json::{Map, Value, json};

use super::{
    accounts::controlled,
    answer::{Answer, ApiError, bech32_text},
    page::Page,
    transactions::stake_address,
};
use crate::{
    devnet::Node,
    history::{History, epoch_of, lookups::Subject},
};

/// Every pool that is registered, in the order of first registrations.
pub(super) async fn pools(State(node): State<Arc<Node>>, page: Page) -> Answer {
    let history = node.history();
    let rows = page.of(registered(&history).into_iter()).into_iter();
    Ok(Json(rows.map(|pool| json!(pool_text(pool.params.id))).collect()))
}

pub(super) async fn extended(State(node): State<Arc<Node>>, page: Page) -> Answer {
    let history = node.history();
    let rows = page.of(registered(&history).into_iter()).into_iter().map(|pool| {
        let params = pool.params;
        json!({
            "pool_id": pool_text(params.id),
            "hex": params.id,
            "active_stake": "0",
            "live_stake": live_stake(&history, params.id).to_string(),
            "live_saturation": 0,
            "blocks_minted": 0,
            "declared_pledge": params.pledge.0.to_string(),
            "margin_cost": params.margin.to_f64(),
            "fixed_cost": params.cost.0.to_string(),
            "metadata": description(params),
        })
    });
    Ok(Json(rows.collect()))
}

/// Pools whose last epoch has not ended.
pub(super) async fn retiring(State(node): State<Arc<Node>>, page: Page) -> Answer {
    let history = node.history();
    let now = epoch_of(history.tip().slot);
    let epochs = last_epochs(&history).into_iter().filter(|(_, epoch)| *epoch > now).collect();
    Ok(Json(leaving(page, epochs)))
}

/// Pools that are gone.
pub(super) async fn retired(State(node): State<Arc<Node>>, page: Page) -> Answer {
    let history = node.history();
    let now = epoch_of(history.tip().slot);
    let epochs = last_epochs(&history).into_iter().filter(|(_, epoch)| *epoch <= now).collect();
    Ok(Json(leaving(page, epochs)))
}

pub(super) async fn pool(State(node): State<Arc<Node>>, Path(text): Path<String>) -> Answer {
    let history = node.history();
    let pool = find(&history, &text)?;
    let params = pool.params;
    let owners = || params.owners.iter().map(|owner| Credential::Key(*owner));
    let pledged: u64 = owners().map(|owner| controlled(&history, &owner)).fold(0, u64::saturating_add);
    let mut fields = terms(params);
    let rest = json!({
        "pool_id": pool_text(params.id),
        "hex": params.id,
        "blocks_minted": 0,
        "blocks_epoch": 0,
        "live_stake": live_stake(&history, params.id).to_string(),
        "live_size": 0,
        "live_saturation": 0,
        "live_delegators": history.delegators(params.id).count(),
        "active_stake": "0",
        "active_size": 0,
        "declared_pledge": params.pledge.0.to_string(),
        "live_pledge": pledged.to_string(),
        "registration": pool.registrations,
        "retirement": pool.retirements,
        "calidus_key": null,
    });
    if let Value::Object(rest) = rest {
        fields.extend(rest);
    }
    Ok(Json(Value::Object(fields)))
}

pub(super) async fn metadata(State(node): State<Arc<Node>>, Path(text): Path<String>) -> Answer {
    let history = node.history();
    let params = find(&history, &text)?.params;
    let mut fields = description(params).unwrap_or_default();
    if !fields.is_empty() {
        fields.insert("pool_id".into(), json!(pool_text(params.id)));
        fields.insert("hex".into(), json!(params.id));
    }
    Ok(Json(Value::Object(fields)))
}

pub(super) async fn pool_relays(State(node): State<Arc<Node>>, Path(text): Path<String>) -> Answer {
    Ok(Json(relays(find(&node.history(), &text)?.params)))
}

pub(super) async fn delegators(State(node): State<Arc<Node>>, Path(text): Path<String>, page: Page) -> Answer {
    let history = node.history();
    let pool = find(&history, &text)?.params.id;
    let all: Vec<_> = history.delegators(pool).map(|(credential, _)| credential).collect();
    let rows = page.of(all.into_iter()).into_iter().map(|credential| {
        json!({
            "address": stake_address(credential),
            "live_stake": controlled(&history, &credential).to_string(),
        })
    });
    Ok(Json(rows.collect()))
}

/// A pool's certificates.
pub(super) async fn updates(State(node): State<Arc<Node>>, Path(text): Path<String>, page: Page) -> Answer {
    let history = node.history();
    let pool = find(&history, &text)?.params.id;
    let all: Vec<_> = certificates(&history, pool).collect();
    let rows = page.of(all.into_iter()).into_iter().map(|(id, index, certificate)| {
        let registers = matches!(certificate, ReceivedCertificate::RegisterPool(_));
        let action = if registers { "registered" } else { "deregistered" };
        json!({ "tx_hash": id, "cert_index": index, "action": action })
    });
    Ok(Json(rows.collect()))
}

/// Nothing, for what needs blocks or votes of a pool; not found when the pool never was.
pub(super) async fn nothing(State(node): State<Arc<Node>>, Path(text): Path<String>, _page: Page) -> Answer {
    find(&node.history(), &text)?;
    Ok(Json(json!([])))
}

/// A pool's id as text.
pub(super) fn pool_text(pool: PoolId) -> String {
    bech32_text("pool", &pool.0)
}

/// What a pool asks for, and for whom.
pub(super) fn terms(params: &PoolParams) -> Map<String, Value> {
    let owners: Vec<_> = params.owners.iter().map(|owner| stake_address(Credential::Key(*owner))).collect();
    let mut fields = Map::new();
    fields.insert("vrf_key".into(), json!(hex::encode(params.vrf)));
    fields.insert("margin_cost".into(), json!(params.margin.to_f64()));
    fields.insert("fixed_cost".into(), json!(params.cost.0.to_string()));
    fields.insert("reward_account".into(), json!(stake_address(params.reward_account.credential)));
    fields.insert("owners".into(), json!(owners));
    fields
}

/// Where a pool's nodes listen; port 0 where none is stated.
pub(super) fn relays(params: &PoolParams) -> Value {
    let relay = |relay: &Relay| {
        let (ipv4, ipv6, dns, dns_srv, port) = match relay {
            Relay::Address { port, ipv4, ipv6 } => (*ipv4, *ipv6, None, None, *port),
            Relay::Name { port, name } => (None, None, Some(name), None, *port),
            Relay::Service { name } => (None, None, None, Some(name), None),
        };
        json!({ "ipv4": ipv4, "ipv6": ipv6, "dns": dns, "dns_srv": dns_srv, "port": port.unwrap_or(0) })
    };
    params.relays.iter().map(relay).collect()
}

/// Where a pool describes itself. The description is not fetched.
pub(super) fn description(params: &PoolParams) -> Option<Map<String, Value>> {
    let metadata = params.metadata.as_ref()?;
    let mut fields = Map::new();
    fields.insert("url".into(), json!(metadata.url));
    fields.insert("hash".into(), json!(hex::encode(&metadata.hash)));
    for name in ["ticker", "name", "description", "homepage"] {
        fields.insert(name.into(), Value::Null);
    }
    Some(fields)
}

/// A pool, by its certificates.
struct Registered<'a> {
    /// The latest registration's.
    params: &'a PoolParams,
    /// The epoch that begins without it, when it has announced one since.
    retires: Option<u64>,
    registrations: Vec<TxId>,
    retirements: Vec<TxId>,
}

/// A pool by its id in bech32 or hex.
fn find<'a>(history: &'a History, text: &str) -> Result<Registered<'a>, ApiError> {
    let bytes = bech32::decode(text).ok().filter(|(prefix, _)| prefix.as_str() == "pool").map(|(_, bytes)| bytes);
    let bytes = bytes.or_else(|| hex::decode(text).ok()).and_then(|bytes| bytes.try_into().ok());
    let pool = bytes
        .map(PoolId)
        .ok_or_else(|| ApiError::bad_request("Invalid pool id: it is a hash of 28 bytes, pool1… or 56 hex digits"))?;
    describe(history, pool).ok_or_else(ApiError::not_found)
}

/// The certificates about a pool, oldest first, with their transactions and their indices there.
fn certificates(history: &History, pool: PoolId) -> impl Iterator<Item = (TxId, usize, &ReceivedCertificate)> {
    let positions = history.lookups().positions(&Subject::Pool(pool)).iter();
    let records = positions.filter_map(|position| history.transactions().get(*position));
    records.flat_map(move |record| {
        let all = record.applied.details.certificates.iter().enumerate();
        let about = all.filter(move |(_, certificate)| match certificate {
            ReceivedCertificate::RegisterPool(params) => params.id == pool,
            ReceivedCertificate::RetirePool { pool: retiring, .. } => *retiring == pool,
            _ => false,
        });
        about.map(|(index, certificate)| (record.applied.id, index, certificate))
    })
}

fn describe(history: &History, pool: PoolId) -> Option<Registered<'_>> {
    let mut found: Option<Registered<'_>> = None;
    for (id, _, certificate) in certificates(history, pool) {
        match (certificate, &mut found) {
            (ReceivedCertificate::RegisterPool(params), Some(found)) => {
                // Registering again takes an announced retirement back.
                (found.params, found.retires) = (params, None);
                found.registrations.push(id);
            }
            (ReceivedCertificate::RegisterPool(params), None) => {
                found = Some(Registered { params, retires: None, registrations: vec![id], retirements: Vec::new() });
            }
            (ReceivedCertificate::RetirePool { epoch, .. }, Some(found)) => {
                found.retires = Some(epoch.0);
                found.retirements.push(id);
            }
            _ => {}
        }
    }
    found
}

/// The pools that are registered now.
fn registered(history: &History) -> Vec<Registered<'_>> {
    let now = epoch_of(history.tip().slot);
    let all = history.lookups().pools().into_iter().filter_map(|pool| describe(history, pool));
    all.filter(|pool| pool.retires.is_none_or(|epoch| epoch > now)).collect()
}

/// The pools that retire or have retired, with the epochs that begin without them.
fn last_epochs(history: &History) -> Vec<(PoolId, u64)> {
    let all = history.lookups().pools().into_iter().filter_map(|pool| describe(history, pool));
    all.filter_map(|pool| Some((pool.params.id, pool.retires?))).collect()
}

fn leaving(page: Page, epochs: Vec<(PoolId, u64)>) -> Value {
    let rows = page.of(epochs.into_iter()).into_iter();
    rows.map(|(pool, epoch)| json!({ "pool_id": pool_text(pool), "epoch": epoch })).collect()
}

/// What the accounts that delegate to a pool hold now.
fn live_stake(history: &History, pool: PoolId) -> u64 {
    let stakes = history.delegators(pool).map(|(credential, _)| controlled(history, &credential));
    stakes.fold(0, u64::saturating_add)
}

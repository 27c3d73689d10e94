//! Every answer of the devnet against the schemas that Blockfrost publishes, on a chain with traffic of many kinds.

use serde_json::{Value as Json, json};

use super::{KEY, SAME_AS_DATUM, start};
use crate::{
    common::Owner,
    foreign::{Client, Ecosystem},
};

/// A script that says yes to everything, `(program 1.1.0 (lam context (con unit ())))`.
const SAYS_YES: &str = "450101002499";

/// The paths of Blockfrost's API for Cardano that the devnet does not serve.
const NOT_SERVED: [&str; 35] = [
    "/governance/committee",
    "/governance/committee/votes",
    "/governance/committee/{cc_id}/votes",
    "/governance/dreps/{drep_id}/delegators",
    "/governance/dreps/{drep_id}/metadata",
    "/governance/dreps/{drep_id}/updates",
    "/governance/dreps/{drep_id}/votes",
    "/governance/proposals/{tx_hash}/{cert_index}",
    "/governance/proposals/{tx_hash}/{cert_index}/parameters",
    "/governance/proposals/{tx_hash}/{cert_index}/withdrawals",
    "/governance/proposals/{tx_hash}/{cert_index}/votes",
    "/governance/proposals/{tx_hash}/{cert_index}/metadata",
    "/governance/proposals/{gov_action_id}",
    "/governance/proposals/{gov_action_id}/parameters",
    "/governance/proposals/{gov_action_id}/withdrawals",
    "/governance/proposals/{gov_action_id}/votes",
    "/governance/proposals/{gov_action_id}/metadata",
    "/epochs/{number}/stakes/{pool_id}",
    "/epochs/{number}/blocks/{pool_id}",
    "/txs/{hash}/delegations",
    "/txs/{hash}/pool_updates",
    "/txs/{hash}/pool_retires",
    "/accounts/{stake_address}/delegations",
    "/mempool/{hash}",
    "/mempool/addresses/{address}",
    "/pools/{pool_id}/history",
    "/pools/{pool_id}/metadata",
    "/pools/{pool_id}/relays",
    "/pools/{pool_id}/delegators",
    "/pools/{pool_id}/blocks",
    "/pools/{pool_id}/updates",
    "/pools/{pool_id}/votes",
    "/assets/{asset}/utxos",
    "/scripts/{script_hash}/utxos",
    "/utils/addresses/xpub/{xpub}/{role}/{index}",
];

/// Paths whose lists are empty: what needs pools that make blocks, votes or eras before Conway's, and the latest block
/// and the mempool of a chain at rest.
const EMPTY: [&str; 14] = [
    "/mempool",
    "/blocks/latest/txs",
    "/epochs/{number}/stakes",
    "/blocks/latest/txs/cbor",
    "/txs/{hash}/mirs",
    "/accounts/{stake_address}/rewards",
    "/accounts/{stake_address}/history",
    "/accounts/{stake_address}/mirs",
    "/pools",
    "/pools/extended",
    "/pools/retired",
    "/pools/retiring",
    "/governance/dreps",
    "/governance/proposals",
];

/// The paths to visit: as the specification writes them, and with what to fill in. A path may be visited several times.
fn visits(made: &Json) -> Vec<(String, String)> {
    let named = |name: &str| made[name].as_str().unwrap_or_else(|| panic!("{name} of {made}")).to_owned();
    let mut visits: Vec<(String, String)> = Vec::new();
    let mut visit = |path: &str, values: &[&str]| {
        let mut at = String::new();
        let mut values = values.iter();
        for part in path.split_inclusive('/') {
            let (name, slash) = part.strip_suffix('/').map_or((part, ""), |name| (name, "/"));
            at += if name.starts_with('{') { values.next().expect("a value for each part in braces") } else { name };
            at += slash;
        }
        visits.push((path.to_owned(), at));
    };
    for path in ["/", "/health", "/health/clock", "/genesis", "/network", "/network/eras", "/mempool"] {
        visit(path, &[]);
    }
    for path in ["/epochs/latest", "/epochs/latest/parameters", "/blocks/latest", "/blocks/latest/txs"] {
        visit(path, &[]);
    }
    for path in ["", "/next", "/previous", "/parameters", "/blocks", "/stakes"] {
        visit(&format!("/epochs/{{number}}{path}"), &["0"]);
    }
    visit("/epochs/{number}/previous", &["1"]);
    visit("/blocks/latest/txs/cbor", &[]);
    let block = named("block");
    for path in ["", "/next", "/previous", "/txs", "/txs/cbor", "/addresses"] {
        visit(&format!("/blocks/{{hash_or_number}}{path}"), &[&block]);
    }
    visit("/blocks/slot/{slot_number}", &["0"]);
    visit("/blocks/epoch/{epoch_number}/slot/{slot_number}", &["0", "0"]);
    for transaction in ["genesis", "minted", "burned", "locked", "spent", "registered", "withdrawn", "removed"] {
        for path in ["", "/utxos", "/cbor", "/metadata", "/metadata/cbor", "/redeemers", "/required_signers"] {
            visit(&format!("/txs/{{hash}}{path}"), &[&named(transaction)]);
        }
        for path in ["/stakes", "/withdrawals", "/mirs"] {
            visit(&format!("/txs/{{hash}}{path}"), &[&named(transaction)]);
        }
    }
    for address in ["owner", "at_script", "payment"] {
        for path in ["", "/extended", "/total", "/utxos", "/transactions", "/txs"] {
            visit(&format!("/addresses/{{address}}{path}"), &[&named(address)]);
        }
        visit("/addresses/{address}/utxos/{asset}", &[&named(address), &named("unit")]);
    }
    for account in ["account", "staked"] {
        for path in ["", "/rewards", "/history", "/registrations", "/withdrawals", "/mirs", "/utxos", "/transactions"] {
            visit(&format!("/accounts/{{stake_address}}{path}"), &[&named(account)]);
        }
        for path in ["/addresses", "/addresses/assets", "/addresses/total"] {
            visit(&format!("/accounts/{{stake_address}}{path}"), &[&named(account)]);
        }
    }
    for path in ["", "/history", "/transactions", "/txs", "/addresses"] {
        visit(&format!("/assets/{{asset}}{path}"), &[&named("unit")]);
    }
    visit("/assets", &[]);
    visit("/assets/policy/{policy_id}", &[&named("policy")]);
    visit("/scripts", &[]);
    for script in ["script", "always", "policy"] {
        for path in ["", "/json", "/cbor", "/redeemers"] {
            visit(&format!("/scripts/{{script_hash}}{path}"), &[&named(script)]);
        }
    }
    visit("/scripts/datum/{datum_hash}", &[&named("datum")]);
    visit("/scripts/datum/{datum_hash}/cbor", &[&named("datum")]);
    visit("/metadata/txs/labels", &[]);
    visit("/metadata/txs/labels/{label}", &["674"]);
    visit("/metadata/txs/labels/{label}/cbor", &["721"]);
    for path in ["/pools", "/pools/extended", "/pools/retired", "/pools/retiring"] {
        visit(path, &[]);
    }
    visit("/governance/dreps", &[]);
    visit("/governance/proposals", &[]);
    visits
}

/// What is well asked for but not there, and what is asked for wrongly.
fn refusals() -> Vec<(&'static str, String, u16)> {
    let (hash, key) = ("00".repeat(32), "00".repeat(28));
    let nobody = Owner::new(77).address;
    vec![
        ("/blocks/{hash_or_number}", format!("/blocks/{hash}"), 404),
        ("/blocks/{hash_or_number}", "/blocks/x".into(), 400),
        ("/txs/{hash}", format!("/txs/{hash}"), 404),
        ("/txs/{hash}/metadata", format!("/txs/{hash}/metadata"), 404),
        ("/addresses/{address}/utxos", format!("/addresses/{nobody}/utxos"), 404),
        ("/addresses/{address}", "/addresses/x".into(), 400),
        ("/assets/{asset}", format!("/assets/{key}"), 404),
        ("/assets/{asset}/history", format!("/assets/{key}/history"), 404),
        ("/assets/policy/{policy_id}", format!("/assets/policy/{key}"), 404),
        ("/scripts/{script_hash}", format!("/scripts/{key}"), 404),
        ("/scripts/datum/{datum_hash}", format!("/scripts/datum/{hash}"), 404),
        ("/metadata/txs/labels/{label}", "/metadata/txs/labels/5".into(), 404),
        ("/pools/{pool_id}", format!("/pools/{key}"), 404),
        ("/governance/dreps/{drep_id}", "/governance/dreps/drep_always_abstain".into(), 404),
        ("/assets", "/assets?count=101".into(), 400),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_shape_that_blockfrost_publishes() {
    let Some(traffic) = Client::installed(Ecosystem::Lucid, "traffic.mjs").await else { return };
    let Some(schemas) = Client::installed(Ecosystem::OpenApi, "conform.mjs").await else { return };
    let (devnet, api) = start().await;
    let task = json!({
        "url": devnet.url(),
        "key": hex::encode([KEY; 32]),
        "script": SAME_AS_DATUM,
        "always": SAYS_YES,
    });
    let mut made = traffic.run(task).await;
    let spent = api.transaction_by_hash(made["spent"].as_str().unwrap()).await.unwrap();
    made["block"] = json!(spent.block);
    made["genesis"] = json!(devnet.transactions()[0].id);
    made["datum"] = json!(hex::encode(nunet_ledger::hash::blake2b_256(&super::DATUM)));
    made["staked"] = json!(super::staked_account());
    // A second epoch, so that there is one before the latest.
    devnet.advance(std::time::Duration::from_secs(432_000)).await.unwrap();

    let visits = visits(&made).into_iter().map(|(path, at)| json!({ "path": path, "at": at, "status": 200 }));
    let refused = refusals().into_iter().map(|(path, at, status)| json!({ "path": path, "at": at, "status": status }));
    let visits: Vec<_> = visits.chain(refused).collect();
    let report = schemas.run(json!({ "url": devnet.url(), "visits": visits })).await;
    let problems: Vec<String> = serde_json::from_value(report["problems"].clone()).unwrap();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(report["empty"], json!(EMPTY));
    assert_eq!(report["unvisited"], json!(NOT_SERVED.as_slice()));
}

//! `nunet contracts show`.

use nunet::accounts::Accounts;
use nunet_contracts::Protocol;
use nunet_ledger::{NetworkMagic, ScriptHash};
use serde_json::Value;

use super::{devnet, json, nunet, refusal};

fn hash(shown: &Value, name: &str) -> ScriptHash {
    let validators = shown["validators"].as_array().unwrap();
    let entry = validators.iter().find(|entry| entry["name"] == name).unwrap();
    assert!(entry["bytes"].as_u64().unwrap() > 0);
    entry["hash"].as_str().unwrap().parse().unwrap()
}

#[test]
fn the_devnets_validators_are_those_of_the_devnets_token() {
    let shown = json(&["show", "--network", "devnet"]);
    let protocol = Protocol::new(NetworkMagic::DEVNET, Accounts::new().unwrap().ntx).unwrap();
    assert_eq!(hash(&shown, "stub"), protocol.stub().hash());
    assert_eq!(hash(&shown, "logic"), protocol.logic_hash());
    assert_eq!(hash(&shown, "committee"), protocol.committee().hash());
    assert_eq!(shown["addresses"]["escrow"], protocol.escrow_address().to_string());
    assert_eq!(shown["addresses"]["reference"], protocol.reference_address().to_string());
    assert!(shown["addresses"]["logic_account"].as_str().unwrap().starts_with("stake_test1"));
    assert_eq!(shown.get("logic_registered"), None, "nobody looked at a chain");
}

#[test]
fn every_network_and_token_has_validators_of_its_own() {
    let other = format!("{}.4e5458", "ab".repeat(28));
    let all = [
        json(&["show", "--network", "devnet"]),
        json(&["show", "--network", "preview", "--ntx", &other]),
        json(&["show", "--magic", "1", "--ntx", &other]),
        json(&["show", "--magic", "1", "--ntx", &other.replace("4e", "4f")]),
        json(&["show", "--network", "mainnet"]),
    ];
    let mut hashes: Vec<ScriptHash> = all.iter().map(|shown| hash(shown, "logic")).collect();
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), all.len());
    assert_eq!(all[2]["network"], "preprod");
    assert!(all[4]["addresses"]["escrow"].as_str().unwrap().starts_with("addr1"));
    assert!(all[4]["note"].as_str().unwrap().contains("compare"), "mainnet's token is not taken on trust");
    assert_eq!(all[0].get("note"), None);
}

#[test]
fn the_table_has_what_the_json_has() {
    let shown = json(&["show", "--network", "devnet"]);
    let table = String::from_utf8(nunet(&["show", "--network", "devnet"]).stdout).unwrap();
    for entry in shown["validators"].as_array().unwrap() {
        assert!(table.contains(entry["hash"].as_str().unwrap()) && table.contains(&entry["bytes"].to_string()));
    }
    for address in shown["addresses"].as_object().unwrap().values() {
        assert!(table.contains(address.as_str().unwrap()));
    }
}

#[test]
fn what_is_missing_is_named() {
    assert!(refusal(&["show"]).contains("--network"));
    assert!(refusal(&["show", "--network", "preprod"]).contains("--ntx"));
    assert!(refusal(&["show", "--network", "preprod", "--ntx", "NTX"]).contains("POLICY.NAMEHEX"));
    assert!(refusal(&["show", "--network", "devnet", "--committee", &"00".repeat(32)]).contains("--url"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_chain_has_nothing_of_it_and_another_networks_is_refused() {
    let devnet = devnet().await;
    let url = devnet.url();
    let shown = tokio::task::spawn_blocking(move || {
        let shown = json(&["show", "--url", &url]);
        let wrong = refusal(&["show", "--url", &url, "--network", "mainnet"]);
        assert!(wrong.contains("magic 42") && wrong.contains("mainnet"), "{wrong}");
        let nobody = nunet(&["show", "--url", &url, "--committee", &"07".repeat(32)]);
        assert!(!nobody.status.success(), "a committee that is not there is a failure");
        shown
    });
    let shown = shown.await.unwrap();
    assert_eq!(shown["logic_registered"], false);
    for entry in shown["validators"].as_array().unwrap() {
        assert!(entry.get("reference").is_none_or(Value::is_null), "{entry}");
    }
    devnet.shutdown().await;
}

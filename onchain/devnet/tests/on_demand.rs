//! Blocks when they are asked for, full blocks, and the faucet.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;

use common::{FEE, client, confirmed, funds_of, genesis, ntx, owners};
use nunet_devnet::{
    Devnet, DevnetConfig, DevnetError, DroppedTransactions, FaucetError, MAX_BLOCKS_PER_CALL, MAX_FAUCET_LOVELACE,
};
use nunet_ledger::{Address, Credential, KeyHash, Lovelace, OutPoint, TxOut, Value, parameters::ProtocolParameters};
use serde_json::{Value as Json, json};

/// What the faucet holds here.
const IN_FAUCET: u64 = 3_000_000_000_000;

async fn on_demand() -> Devnet {
    let faucet = Value::lovelace_only(Lovelace(IN_FAUCET)).with(ntx(), 1_000_000).unwrap();
    let config =
        DevnetConfig { block_interval: None, genesis: genesis(), faucet: Some(faucet), ..DevnetConfig::default() };
    Devnet::start(config).await.unwrap()
}

async fn post(devnet: &Devnet, path: &str, body: Json) -> (u16, Json) {
    let url = format!("{}{path}", devnet.url());
    let answer = reqwest::Client::new().post(url).body(body.to_string()).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn blocks_come_when_they_are_asked_for() {
    let (devnet, (alice, bob)) = (on_demand().await, owners());
    let (from, held) = funds_of(&devnet, &alice.address);
    let payment = alice.pay(from, held, &bob.address, 2_000_000);
    client(&devnet).transactions_submit(payment.to_cbor()).await.unwrap();
    assert!(devnet.transaction(&payment.id()).is_none());
    let (status, tip) = post(&devnet, "/devnet/blocks", json!({"count": 3})).await;
    assert_eq!((status, &tip["height"]), (200, &json!(3)));
    assert_eq!(tip["hash"], json!(hex::encode(devnet.latest().hash)));
    assert!(devnet.transaction(&payment.id()).is_some());
    for count in [0, MAX_BLOCKS_PER_CALL + 1] {
        let (status, body) = post(&devnet, "/devnet/blocks", json!({"count": count})).await;
        assert!(status == 400 && body["message"].as_str().unwrap().contains("ask for 1 to"), "{body}");
    }
    assert_eq!(devnet.latest().height, 3);
}

#[tokio::test]
async fn under_load_blocks_are_full_and_keep_the_mempools_order() {
    let (devnet, (alice, bob)) = (on_demand().await, owners());
    let (mut from, mut held) = funds_of(&devnet, &alice.address);
    let (mut submitted, mut size) = (Vec::new(), 0);
    let api = client(&devnet);
    for _ in 0..650 {
        let payment = alice.pay(from, held, &bob.address, 1_000_000);
        (from, held) = (OutPoint { tx: payment.id(), index: 1 }, held - 1_000_000 - FEE);
        let cbor = payment.to_cbor();
        size = cbor.len() as u64;
        submitted.push(payment.id());
        api.transactions_submit(cbor).await.unwrap();
    }
    let limit = ProtocolParameters::mainnet().max_block_body_size;
    let mut confirmed = Vec::new();
    for full in [true, true, false] {
        let tip = devnet.make_blocks(1).await.unwrap();
        let block = api.blocks_by_id(&hex::encode(tip.hash)).await.unwrap();
        let bytes = u64::try_from(block.size).unwrap();
        assert!(bytes <= limit);
        assert_eq!(bytes + size > limit, full, "{bytes} bytes of {limit}");
        assert_eq!(u64::try_from(block.tx_count).unwrap() * size, bytes);
    }
    confirmed.extend(devnet.transactions()[1..].iter().map(|applied| applied.id));
    assert_eq!(confirmed, submitted);
}

#[tokio::test]
async fn the_faucet_pays_by_transactions_that_follow_the_rules() {
    let (devnet, (alice, _)) = (on_demand().await, owners());
    let nobody = Address::new(0, Credential::Key(KeyHash([7; 28])), None);
    let mut ids = Vec::new();
    for lovelace in [10_000_000_000_u64, 1_000_000, 5_000_000] {
        let (status, body) =
            post(&devnet, "/devnet/faucet", json!({"address": nobody.to_string(), "lovelace": lovelace})).await;
        assert_eq!(status, 200, "{body}");
        ids.push(body["tx_hash"].as_str().unwrap().parse().unwrap());
    }
    let asked =
        json!({"address": alice.address.to_string(), "lovelace": 2_000_000, "assets": {ntx().to_string(): 777}});
    let (status, body) = post(&devnet, "/devnet/faucet", asked).await;
    assert_eq!(status, 200, "{body}");
    devnet.make_blocks(1).await.unwrap();
    for id in &ids {
        confirmed(&devnet, *id).await;
    }
    let held: u64 = devnet
        .snapshot()
        .iter()
        .filter(|(_, output)| output.address == nobody)
        .map(|(_, output)| output.value.lovelace().0)
        .sum();
    assert_eq!(held, 10_006_000_000);
    let paid = TxOut::new(alice.address, Value::lovelace_only(Lovelace(2_000_000)).with(ntx(), 777).unwrap());
    assert!(devnet.snapshot().iter().any(|(_, output)| *output == paid));
}

#[tokio::test]
async fn the_faucet_pays_again_after_its_change_was_rolled_back() {
    let devnet = on_demand().await;
    let (alice, bob) = owners();
    let value = || Value::lovelace_only(Lovelace(3_000_000));
    devnet.faucet(&alice.address, value()).await.unwrap();
    devnet.make_blocks(1).await.unwrap();
    devnet.rollback(1, DroppedTransactions::Forget).await.unwrap();
    let id = devnet.faucet(&bob.address, value()).await.unwrap();
    devnet.make_blocks(1).await.unwrap();
    assert_eq!(devnet.transaction(&id).unwrap().consumed[0].1.value.lovelace(), Lovelace(IN_FAUCET));
}

#[tokio::test]
async fn what_the_faucet_cannot_pay_is_refused_with_a_reason() {
    let devnet = on_demand().await;
    let (alice, _) = owners();
    let address = alice.address.to_string();
    let mainnet = Address::new(1, Credential::Key(alice.key_hash()), None).to_string();
    let asset = ntx().to_string();
    for (body, reason) in [
        (json!({"address": address, "lovelace": MAX_FAUCET_LOVELACE.0 + 1}), "pays at most"),
        (json!({"address": address, "lovelace": 1}), "must hold"),
        (json!({"address": mainnet, "lovelace": 5_000_000}), "no address of this devnet"),
        (json!({"address": "addr_test1nonsense", "lovelace": 5_000_000}), "Invalid address"),
        (json!({"address": address, "lovelace": 5_000_000, "assets": {asset.clone(): 1_000_001}}), "does not hold"),
        (json!({"address": address, "lovelace": 5_000_000, "assets": {"00": 1}}), "Invalid asset"),
        (json!({"address": address}), "missing field"),
    ] {
        let (status, answer) = post(&devnet, "/devnet/faucet", body).await;
        assert!(status == 400 && answer["message"].as_str().unwrap().contains(reason), "{answer}");
    }
    // Three full payments empty it.
    for _ in 0..2 {
        devnet.faucet(&alice.address, Value::lovelace_only(MAX_FAUCET_LOVELACE)).await.unwrap();
    }
    let short = devnet.faucet(&alice.address, Value::lovelace_only(MAX_FAUCET_LOVELACE)).await;
    assert!(matches!(short, Err(DevnetError::Faucet(FaucetError::Short { .. }))));

    let without = Devnet::start(DevnetConfig::default()).await.unwrap();
    let (status, answer) = post(&without, "/devnet/faucet", json!({"address": address, "lovelace": 5_000_000})).await;
    assert!(status == 400 && answer["message"].as_str().unwrap().contains("has no faucet"), "{answer}");
}

#[tokio::test]
async fn metrics_count_what_happened_under_few_labels() {
    let (devnet, (alice, bob)) = (on_demand().await, owners());
    let (from, held) = funds_of(&devnet, &alice.address);
    let api = client(&devnet);
    let payment = alice.pay(from, held, &bob.address, 2_000_000);
    api.transactions_submit(payment.to_cbor()).await.unwrap();
    api.transactions_submit(payment.to_cbor()).await.unwrap_err();
    api.transactions_submit(vec![0x00]).await.unwrap_err();
    for unknown in 0..3_u8 {
        api.transaction_by_hash(&hex::encode([unknown; 32])).await.unwrap_err();
        let _ = reqwest::get(format!("{}/no/such/{unknown}", devnet.url())).await.unwrap();
    }
    let metrics = || async {
        let answer = reqwest::get(format!("{}/metrics", devnet.url())).await.unwrap();
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
        answer.text().await.unwrap().lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let lines = metrics().await;
    for line in [
        r#"nunet_devnet_submissions_total{verdict="accepted"} 1"#,
        r#"nunet_devnet_submissions_total{verdict="BadInputsUTxO"} 1"#,
        r#"nunet_devnet_submissions_total{verdict="DecodingFailure"} 1"#,
        r#"nunet_devnet_requests_total{route="/txs/{id}",status="404"} 3"#,
        r#"nunet_devnet_requests_total{route="none",status="400"} 3"#,
        r#"nunet_devnet_requests_total{route="/tx/submit",status="200"} 1"#,
        "nunet_devnet_mempool_transactions 1",
        "nunet_devnet_block_height 0",
    ] {
        assert!(lines.contains(line), "{line} is not in {lines:#?}");
    }
    devnet.make_blocks(2).await.unwrap();
    devnet.rollback(1, DroppedTransactions::Return).await.unwrap();
    let lines = metrics().await;
    for line in [
        "nunet_devnet_mempool_transactions 0",
        "nunet_devnet_mempool_size_bytes 0",
        "nunet_devnet_block_height 1",
        "nunet_devnet_rollbacks_total 1",
        "nunet_devnet_block_transactions_sum 1.0",
        "nunet_devnet_block_transactions_count 2",
    ] {
        assert!(lines.contains(line), "{line} is not in {lines:#?}");
    }
}

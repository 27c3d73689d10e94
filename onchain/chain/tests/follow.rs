//! Trackers over HTTP: a devnet whose blocks come and go, and an endpoint that is rolled back and falls silent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use nunet_chain::{Chain, Tracker, submit_plan, tracker::OutpointState};
use nunet_contracts::{Spend, TxPlan};
use nunet_devnet::{Devnet, DevnetConfig, DroppedTransactions, Genesis};
use nunet_ledger::{OutPoint, TxId, TxOut};
use prometheus_client::registry::Registry;
use serde_json::{Value as Json, json};
use support::{
    server::{Server, block, output},
    *,
};

#[tokio::test]
async fn an_output_is_followed_from_before_it_is_made_until_it_is_spent() {
    let accounts = vec![(wallet(0).address(), lovelace(1_000_000_000))];
    let config = DevnetConfig {
        block_interval: Some(Duration::from_millis(100)),
        genesis: Genesis { accounts },
        ..DevnetConfig::default()
    };
    let devnet = Devnet::start(config).await.unwrap();
    let chain = Chain::connect(&devnet.url(), None).await.unwrap();
    let tracker = Tracker::start(&chain);
    let (alice, bob) = (wallet(0), wallet(1));
    let pay = TxPlan { outputs: vec![TxOut::new(bob.address(), lovelace(7_000_000))], ..TxPlan::default() };
    let unsigned = chain.balance(&pay, &alice).await.unwrap();
    let mut made = tracker.outpoint(OutPoint { tx: unsigned.id(), index: 0 });
    let mut held = tracker.address(bob.address());
    made.until(|state| *state == OutpointState::Unknown).await.unwrap();
    held.until(Vec::is_empty).await.unwrap();

    chain.send(&unsigned.sign_with(&[&alice]).finish().unwrap()).await.unwrap();
    let seen = made.until(|state| matches!(state, OutpointState::Unspent { depth, .. } if *depth >= 3)).await.unwrap();
    let OutpointState::Unspent { output, .. } = seen.state else { panic!("{:?}", seen.state) };
    assert_eq!(output, pay.outputs[0]);
    let seen = held.until(|deposits| deposits.first().is_some_and(|deposit| deposit.depth >= 3)).await.unwrap();
    assert_eq!(seen.state[0].utxo.output, output);

    let outpoint = seen.state[0].utxo.outpoint;
    let spend = TxPlan { spends: vec![Spend { outpoint, output, redeemer: None }], ..TxPlan::default() };
    let (by, _) = submit_plan(&chain, &spend, &bob).await.unwrap();
    let spent = |state: &OutpointState| matches!(state, OutpointState::Spent { by: spender, depth, .. } if *spender == by && *depth >= 2);
    made.until(spent).await.unwrap();

    let mut registry = Registry::default();
    chain.register_metrics(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(text.contains("chain_requests_total{endpoint=\"blocks/latest\",status=\"200\"}"), "{text}");
    assert!(text.contains("chain_submissions_total{outcome=\"taken\"} 2"), "{text}");
    assert!(text.contains("chain_tracker_targets 2"), "{text}");
    drop(tracker);
    // Nobody follows any more: what was not looked at yet, and then the end.
    while held.changed().await.is_ok() {}
    devnet.shutdown().await;
}

#[tokio::test]
async fn what_a_rollback_forgot_stays_in_flight_and_is_sent_again() {
    let accounts = vec![(wallet(0).address(), lovelace(1_000_000_000))];
    let config = DevnetConfig { block_interval: None, genesis: Genesis { accounts }, ..DevnetConfig::default() };
    let devnet = Devnet::start(config).await.unwrap();
    let chain = Chain::connect(&devnet.url(), None).await.unwrap();
    let tracker = Tracker::start(&chain);
    let alice = wallet(0);
    let free = || async { chain.spendable_at(&[alice.address()]).await.unwrap() };
    let pay = TxPlan { outputs: vec![TxOut::new(wallet(1).address(), lovelace(7_000_000))], ..TxPlan::default() };
    let (id, signed) = submit_plan(&chain, &pay, &alice).await.unwrap();
    let mut made = tracker.outpoint(OutPoint { tx: id, index: 0 });
    devnet.make_blocks(1).await.unwrap();
    made.until(|state| matches!(state, OutpointState::Unspent { depth: 1, .. })).await.unwrap();
    assert_eq!(free().await.len(), 1);

    devnet.rollback(1, DroppedTransactions::Forget).await.unwrap();
    made.until(|state| *state == OutpointState::Unknown).await.unwrap();
    // The chain shows the input as unspent again, and it is not to be had.
    let spendable: Vec<OutPoint> = free().await.into_iter().map(|utxo| utxo.outpoint).collect();
    assert!(spendable.iter().all(|outpoint| !signed.consumed().contains(outpoint)), "{spendable:?}");
    devnet.advance(Duration::from_secs(300)).await.unwrap();
    free().await;
    devnet.make_blocks(1).await.unwrap();
    made.until(|state| matches!(state, OutpointState::Unspent { .. })).await.unwrap();
    devnet.shutdown().await;
}

/// A latest block of its own: hash and height.
fn tip(server: &Server, hash: u8, height: u64) {
    let mut tip = block(5_000 + height);
    tip["height"] = json!(height);
    tip["hash"] = json!(hex::encode([hash; 32]));
    server.set("/blocks/latest", 200, &tip);
    server.set(&format!("/blocks/{}", hex::encode([hash; 32])), 200, &tip);
}

fn transaction(server: &Server, id: TxId, height: u64, spent_by: Json) {
    server.set(&format!("/txs/{id}"), 200, &json!({"block_height": height, "slot": 5_000 + height}));
    let outputs = json!({"outputs": [output(json!({"output_index": 0, "consumed_by_tx": spent_by}))]});
    server.set(&format!("/txs/{id}/utxos"), 200, &outputs);
}

#[tokio::test]
async fn a_rolled_back_output_is_unknown_again_and_comes_back_in_another_block() {
    let (server, url) = Server::start().await;
    tip(&server, 1, 10);
    let chain = Chain::connect(&url, None).await.unwrap();
    let tracker = Tracker::start(&chain);
    let (id, spender) = (TxId([7; 32]), TxId([8; 32]));
    transaction(&server, id, 10, json!(null));
    let mut made = tracker.outpoint(OutPoint { tx: id, index: 0 });
    made.until(|state| matches!(state, OutpointState::Unspent { depth: 1, .. })).await.unwrap();
    // Another block of the same height, without the transaction.
    server.unset(&format!("/blocks/{}", hex::encode([1; 32])));
    server.unset(&format!("/txs/{id}"));
    tip(&server, 2, 10);
    let seen = made.until(|state| *state == OutpointState::Unknown).await.unwrap();
    assert_eq!(seen.at.hash.0, [2; 32]);
    // Several blocks at once: made again, and spent.
    transaction(&server, id, 12, json!(spender));
    transaction(&server, spender, 13, json!(null));
    tip(&server, 3, 15);
    let seen = made.until(|state| matches!(state, OutpointState::Spent { .. })).await.unwrap();
    let OutpointState::Spent { by, depth, .. } = seen.state else { panic!("{:?}", seen.state) };
    assert_eq!((by, depth, seen.at.height), (spender, 3, 15));
}

#[tokio::test]
async fn trouble_is_shown_beside_the_last_known_state_and_ridden_out() {
    let (server, url) = Server::start().await;
    tip(&server, 1, 10);
    let chain = Chain::connect(&url, None).await.unwrap();
    let tracker = Tracker::start(&chain);
    let id = TxId([7; 32]);
    transaction(&server, id, 10, json!(null));
    let mut made = tracker.outpoint(OutPoint { tx: id, index: 0 });
    let known = made.until(|state| matches!(state, OutpointState::Unspent { .. })).await.unwrap();
    server.set("/blocks/latest", 403, &json!({"message": "Invalid project token."}));
    made.latest();
    let view = made.changed().await.unwrap();
    assert_eq!(view.seen, Some(known));
    assert!(view.trouble.unwrap().contains("check the project id"));
    tip(&server, 2, 11);
    let seen = made.until(|state| matches!(state, OutpointState::Unspent { depth: 2, .. })).await.unwrap();
    assert_eq!(seen.at.height, 11);
    assert_eq!(made.latest().trouble, None);
}

#[tokio::test]
async fn nobody_is_asked_about_what_nobody_follows() {
    let (server, url) = Server::start().await;
    let chain = Chain::connect(&url, None).await.unwrap();
    let tracker = Tracker::start(&chain);
    let mut made = tracker.outpoint(OutPoint { tx: TxId([7; 32]), index: 0 });
    made.until(|state| *state == OutpointState::Unknown).await.unwrap();
    drop(made);
    // The poller looks once more at most before it notices; then a new subscription starts a look of its own.
    let mut other = tracker.outpoint(OutPoint { tx: TxId([9; 32]), index: 0 });
    other.until(|state| *state == OutpointState::Unknown).await.unwrap();
    tip(&server, 2, 300);
    other.until(|_| true).await.unwrap();
    let first = format!("/txs/{}", TxId([7; 32]));
    server.set(&first, 500, &json!({}));
    tip(&server, 3, 301);
    loop {
        let view = other.changed().await.unwrap();
        if view.seen.is_some_and(|seen| seen.at.height == 301) {
            assert_eq!(view.trouble, None);
            break;
        }
    }
}

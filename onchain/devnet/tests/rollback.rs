//! Rollbacks: the chain, its index, its mempool and its accounts go back, and time does not.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{FEE, Owner, client, funds_of, genesis, owners};
use nunet_devnet::{Devnet, DevnetConfig, DevnetError, DroppedTransactions, MAX_ROLLBACK, RollbackError};
use nunet_ledger::{Lovelace, OutPoint, Slot, Transaction, TxId};
use serde_json::{Value as Json, json};

/// A devnet that makes blocks only when it is told.
async fn on_demand() -> Devnet {
    let config = DevnetConfig { block_interval: None, genesis: genesis(), ..DevnetConfig::default() };
    Devnet::start(config).await.unwrap()
}

async fn submit(devnet: &Devnet, transaction: &Transaction) {
    client(devnet).transactions_submit(transaction.to_cbor()).await.unwrap();
}

async fn post(devnet: &Devnet, path: &str, body: Json) -> (u16, Json) {
    let url = format!("{}{path}", devnet.url());
    let answer = reqwest::Client::new().post(url).body(body.to_string()).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn mempool(devnet: &Devnet) -> Vec<TxId> {
    let url = format!("{}/mempool", devnet.url());
    let rows: Json = reqwest::get(url).await.unwrap().json().await.unwrap();
    rows.as_array().unwrap().iter().map(|row| row["tx_hash"].as_str().unwrap().parse().unwrap()).collect()
}

/// Three payments of Alice's, each from the change of the one before.
fn chained(devnet: &Devnet, alice: &Owner, bob: &Owner) -> Vec<Transaction> {
    let (mut from, mut held) = funds_of(devnet, &alice.address);
    let mut payments = Vec::new();
    for _ in 0..3 {
        let payment = alice.pay(from, held, &bob.address, 2_000_000);
        (from, held) = (OutPoint { tx: payment.id(), index: 1 }, held - 2_000_000 - FEE);
        payments.push(payment);
    }
    payments
}

#[tokio::test]
async fn the_chain_goes_back_and_the_dropped_transactions_wait_again_before_all_others() {
    let (devnet, (alice, bob)) = (on_demand().await, owners());
    let start = devnet.snapshot();
    let payments = chained(&devnet, &alice, &bob);
    let mut hashes = Vec::new();
    for payment in &payments[..2] {
        submit(&devnet, payment).await;
        hashes.push(devnet.make_blocks(1).await.unwrap().hash);
    }
    submit(&devnet, &payments[2]).await;

    let (status, done) = post(&devnet, "/devnet/rollback", json!({"blocks": 2})).await;
    assert_eq!((status, &done["height"], &done["waiting"]), (200, &json!(0), &json!(3)), "{done}");
    assert_eq!(done["dropped"], json!([payments[0].id(), payments[1].id()]));
    assert_eq!((devnet.latest().height, devnet.snapshot()), (0, start));
    assert!(devnet.transaction(&payments[0].id()).is_none());
    let waiting: Vec<TxId> = payments.iter().map(Transaction::id).collect();
    assert_eq!(mempool(&devnet).await, waiting);

    devnet.make_blocks(2).await.unwrap();
    let confirmed: Vec<TxId> = devnet.transactions()[1..].iter().map(|applied| applied.id).collect();
    assert_eq!(confirmed, waiting);
    let api = client(&devnet);
    for hash in hashes {
        assert!(api.blocks_by_id(&hex::encode(hash)).await.is_err(), "a block of the other fork is gone");
    }
}

#[tokio::test]
async fn forgotten_transactions_take_what_depends_on_them_along_and_free_their_inputs() {
    let (devnet, (alice, bob)) = (on_demand().await, owners());
    let payments = chained(&devnet, &alice, &bob);
    let (from, held) = funds_of(&devnet, &alice.address);
    submit(&devnet, &payments[0]).await;
    devnet.make_blocks(1).await.unwrap();
    submit(&devnet, &payments[1]).await;
    let (from_bob, held_by_bob) = funds_of(&devnet, &bob.address);
    let unrelated = bob.pay(from_bob, held_by_bob, &alice.address, 3_000_000);
    submit(&devnet, &unrelated).await;

    let (status, done) = post(&devnet, "/devnet/rollback", json!({"blocks": 1, "drop": true})).await;
    assert_eq!((status, &done["dropped"]), (200, &json!([payments[0].id()])), "{done}");
    assert_eq!(mempool(&devnet).await, [unrelated.id()]);
    // The other fork may spend the same output otherwise.
    submit(&devnet, &alice.pay(from, held, &bob.address, 9_000_000)).await;
    devnet.make_blocks(1).await.unwrap();
    assert_eq!(devnet.transactions().len(), 3);
}

#[tokio::test]
async fn a_block_made_again_has_another_hash() {
    let devnet = on_demand().await;
    let mut seen = vec![devnet.make_blocks(1).await.unwrap()];
    for _ in 0..20 {
        devnet.rollback(1, DroppedTransactions::Return).await.unwrap();
        let tip = devnet.make_blocks(1).await.unwrap();
        assert_eq!(tip.height, 1);
        assert!(seen.iter().all(|before| before.hash != tip.hash), "{tip:?} was there before");
        seen.push(tip);
    }
}

#[tokio::test]
async fn time_goes_on_and_what_expired_meanwhile_does_not_come_back() {
    let (devnet, (alice, bob)) = (on_demand().await, owners());
    let (from, held) = funds_of(&devnet, &alice.address);
    submit(&devnet, &alice.pay_until(from, held, &bob.address, 2_000_000, Some(Slot(1_000)))).await;
    devnet.make_blocks(1).await.unwrap();
    let late = devnet.advance(Duration::from_secs(5_000)).await.unwrap();
    assert!(late.slot >= Slot(5_000));

    let done = devnet.rollback(2, DroppedTransactions::Return).await.unwrap();
    assert_eq!((done.dropped.len(), done.waiting, done.tip.height), (1, 0, 0));
    assert!(devnet.make_blocks(1).await.unwrap().slot >= late.slot);
}

#[tokio::test]
async fn rewards_go_back_with_the_block_that_paid_them() {
    let (devnet, (alice, _)) = (on_demand().await, owners());
    let register = alice.registers(&devnet);
    submit(&devnet, &register).await;
    devnet.make_blocks(1).await.unwrap();
    let api = client(&devnet);
    let stake = api.addresses(&alice.address.to_string()).await.unwrap().stake_address.unwrap();
    let rewards = || async { api.accounts(&stake).await.map(|account| account.withdrawable_amount) };

    devnet.pay_rewards(alice.stake_credential(), Lovelace(7_000_000)).await.unwrap();
    devnet.pay_rewards(alice.stake_credential(), Lovelace(5_000_000)).await.unwrap();
    assert_eq!(rewards().await.unwrap(), "12000000");
    devnet.rollback(1, DroppedTransactions::Return).await.unwrap();
    assert_eq!(rewards().await.unwrap(), "7000000");
    // With the registration gone there is nobody left to pay, and it is not paid again with it.
    devnet.rollback(2, DroppedTransactions::Return).await.unwrap();
    let refused = devnet.pay_rewards(alice.stake_credential(), Lovelace(1)).await;
    assert!(matches!(refused, Err(DevnetError::NotRegistered { .. })));
    devnet.make_blocks(1).await.unwrap();
    assert_eq!(rewards().await.unwrap(), "0");
}

#[tokio::test]
async fn rollbacks_past_the_genesis_or_the_security_parameter_are_refused() {
    let devnet = on_demand().await;
    devnet.make_blocks(3).await.unwrap();
    let (status, body) = post(&devnet, "/devnet/rollback", json!({"blocks": 4})).await;
    assert!(status == 400 && body["message"].as_str().unwrap().contains("only 3 follow the genesis"), "{body}");
    for bad in [json!({}), json!({"blocks": -1}), json!({"blocks": 1, "drip": true}), json!("1")] {
        let (status, body) = post(&devnet, "/devnet/rollback", bad).await;
        assert_eq!((status, &body["status_code"]), (400, &json!(400)));
    }
    let nothing = devnet.rollback(0, DroppedTransactions::Return).await;
    assert!(matches!(nothing, Err(DevnetError::Rollback(RollbackError::Nothing))));
    devnet.make_blocks(MAX_ROLLBACK + 10).await.unwrap();
    let blocks = MAX_ROLLBACK + 1;
    let deep = devnet.rollback(blocks, DroppedTransactions::Return).await;
    assert!(matches!(deep, Err(DevnetError::Rollback(RollbackError::TooDeep { blocks: found })) if found == blocks));
    let done = devnet.rollback(MAX_ROLLBACK, DroppedTransactions::Return).await.unwrap();
    assert_eq!(done.tip.height, 13);
}

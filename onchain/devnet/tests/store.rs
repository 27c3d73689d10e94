//! A devnet with a data folder goes on where it was, and says clearly when it cannot.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{fs, path::Path, time::Duration};

use common::{FEE, client, funds_of, genesis, owners};
use nunet_devnet::{Devnet, DevnetConfig, DevnetError, DroppedTransactions, StoreError, Tip};
use nunet_ledger::{Lovelace, OutPoint, Value};

fn config(folder: &Path) -> DevnetConfig {
    DevnetConfig {
        block_interval: None,
        genesis: genesis(),
        data: Some(folder.to_owned()),
        faucet: Some(Value::lovelace_only(Lovelace(1_000_000_000_000))),
        ..DevnetConfig::default()
    }
}

async fn start(folder: &Path) -> Devnet {
    Devnet::start(config(folder)).await.unwrap()
}

/// A block with a payment of Alice's.
async fn pay(devnet: &Devnet) -> Tip {
    let (alice, bob) = owners();
    let (from, held) = funds_of(devnet, &alice.address);
    let payment = alice.pay(from, held, &bob.address, 2_000_000);
    client(devnet).transactions_submit(payment.to_cbor()).await.unwrap();
    devnet.make_blocks(1).await.unwrap()
}

fn refused(result: Result<Devnet, DevnetError>) -> StoreError {
    match result {
        Err(DevnetError::Store(error)) => error,
        other => panic!("not refused by the store: {other:?}"),
    }
}

#[tokio::test]
async fn a_restarted_devnet_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let devnet = start(folder.path()).await;
    let slots = devnet.slots();
    for _ in 0..3 {
        pay(&devnet).await;
    }
    let ahead = devnet.advance(Duration::from_secs(100_000)).await.unwrap();
    let before = (devnet.latest(), devnet.snapshot(), devnet.transactions().len());
    devnet.shutdown().await;

    let devnet = start(folder.path()).await;
    assert_eq!((devnet.latest(), devnet.snapshot(), devnet.transactions().len()), before);
    assert_eq!(devnet.slots(), slots);
    let next = pay(&devnet).await;
    assert_eq!(next.height, ahead.height + 1);
    assert!(next.slot >= ahead.slot, "the clock is still ahead");
}

#[tokio::test]
async fn rollbacks_reach_behind_a_restart_and_last_beyond_one() {
    let folder = tempfile::tempdir().unwrap();
    let devnet = start(folder.path()).await;
    let first = pay(&devnet).await;
    let at_first = devnet.snapshot();
    let second = pay(&devnet).await;
    devnet.shutdown().await;

    let devnet = start(folder.path()).await;
    let done = devnet.rollback(1, DroppedTransactions::Forget).await.unwrap();
    assert_eq!((done.tip, devnet.snapshot()), (first, at_first.clone()));
    devnet.shutdown().await;

    let devnet = start(folder.path()).await;
    assert_eq!((devnet.latest(), devnet.snapshot()), (first, at_first));
    let other = pay(&devnet).await;
    assert_eq!(other.height, second.height);
    assert_ne!(other.hash, second.hash, "the fork is remembered");
}

#[tokio::test]
async fn rewards_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let devnet = start(folder.path()).await;
    let (alice, _) = owners();
    let (from, held) = funds_of(&devnet, &alice.address);
    let register = alice.sign(nunet_ledger::TxBody {
        inputs: [from].into(),
        outputs: vec![nunet_ledger::TxOut::new(
            alice.address.clone(),
            Value::lovelace_only(Lovelace(held - FEE - 2_000_000)),
        )],
        fee: Lovelace(FEE),
        certificates: vec![nunet_ledger::Certificate::RegisterStake(alice.stake_credential())],
        ..Default::default()
    });
    client(&devnet).transactions_submit(register.to_cbor()).await.unwrap();
    devnet.make_blocks(1).await.unwrap();
    devnet.pay_rewards(alice.stake_credential(), Lovelace(7_000_000)).await.unwrap();
    devnet.shutdown().await;

    let devnet = start(folder.path()).await;
    let api = client(&devnet);
    let stake = api.addresses(&alice.address.to_string()).await.unwrap().stake_address.unwrap();
    assert_eq!(api.accounts(&stake).await.unwrap().withdrawable_amount, "7000000");
}

#[tokio::test]
async fn the_faucet_finds_its_funds_again() {
    let folder = tempfile::tempdir().unwrap();
    let (alice, _) = owners();
    let devnet = start(folder.path()).await;
    let value = Value::lovelace_only(Lovelace(5_000_000));
    let paid = devnet.faucet(&alice.address, value.clone()).await.unwrap();
    devnet.make_blocks(1).await.unwrap();
    devnet.shutdown().await;

    let devnet = start(folder.path()).await;
    let again = devnet.faucet(&alice.address, value).await.unwrap();
    devnet.make_blocks(1).await.unwrap();
    let consumed: Vec<_> = devnet.transaction(&again).unwrap().consumed.iter().map(|(outpoint, _)| *outpoint).collect();
    assert_eq!(consumed, [OutPoint { tx: paid, index: 1 }]);
}

#[tokio::test]
async fn a_second_devnet_in_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let devnet = start(folder.path()).await;
    let error = refused(Devnet::start(config(folder.path())).await);
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("another devnet uses the data folder"), "{error}");
    devnet.shutdown().await;
    start(folder.path()).await;
}

#[tokio::test]
async fn another_genesis_or_other_parameters_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    start(folder.path()).await.shutdown().await;
    let mut other = config(folder.path());
    other.genesis.accounts.pop();
    assert!(matches!(refused(Devnet::start(other).await), StoreError::OtherGenesis { .. }));
    let mut other = config(folder.path());
    other.params.min_fee_a += 1;
    assert!(matches!(refused(Devnet::start(other).await), StoreError::OtherParameters { .. }));
}

#[tokio::test]
async fn a_damaged_file_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let devnet = start(folder.path()).await;
    let tip = pay(&devnet).await;
    devnet.shutdown().await;
    let database = folder.path().join("chain.sqlite");
    let damage = |offset: usize, bytes: &[u8]| {
        let mut contents = fs::read(&database).unwrap();
        contents[offset..offset + bytes.len()].copy_from_slice(bytes);
        fs::write(&database, contents).unwrap();
    };
    let sound = fs::read(&database).unwrap();

    // A flipped bit in a block that SQLite does not notice.
    let at = sound.windows(32).position(|window| window == tip.hash).expect("the hash is in the file");
    damage(at, &[!tip.hash[0]]);
    let error = refused(Devnet::start(config(folder.path())).await);
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("chain.sqlite is damaged: block 1 differs") && text.contains("restore it"), "{text}");

    // No database at all.
    fs::write(&database, &sound).unwrap();
    damage(0, &[0; 100]);
    let error = refused(Devnet::start(config(folder.path())).await);
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");

    fs::write(&database, &sound).unwrap();
    assert_eq!(start(folder.path()).await.latest(), tip);
}

//! A wallet's addresses are found again on a real chain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use nunet_chain::{
    Chain, Limit, submit_plan,
    wallet::{GAP_LIMIT, KeyPath, Role},
};
use nunet_contracts::TxPlan;
use nunet_devnet::{Devnet, DevnetConfig, Genesis};
use nunet_ledger::{Address, TxOut};
use support::*;

fn path(role: Role, index: u32) -> KeyPath {
    KeyPath::new(role, index).unwrap()
}

async fn start(funded: &[Address]) -> (Devnet, Chain) {
    let accounts = funded.iter().map(|address| (address.clone(), lovelace(5_000_000))).collect();
    let config = DevnetConfig {
        block_interval: Some(Duration::from_millis(200)),
        genesis: Genesis { accounts },
        ..DevnetConfig::default()
    };
    let devnet = Devnet::start(config).await.unwrap();
    let chain = Chain::connect(&devnet.url(), None).await.unwrap();
    (devnet, chain)
}

#[tokio::test]
async fn addresses_are_found_up_to_a_gap_of_twenty() {
    let wallet = wallet(0);
    let account = wallet.account();
    let used = [
        path(Role::External, 2),
        // Exactly as far as the gap limit reaches, twice.
        path(Role::External, 2 + GAP_LIMIT),
        path(Role::External, 2 + 2 * GAP_LIMIT),
        path(Role::Internal, GAP_LIMIT - 1),
    ];
    let beyond = [path(Role::External, 3 + 3 * GAP_LIMIT), path(Role::Internal, 2 * GAP_LIMIT)];
    let addresses: Vec<Address> = used.iter().chain(&beyond).map(|path| account.address(*path)).collect();
    let (devnet, chain) = start(&addresses).await;
    let found = chain.discover(account).await.unwrap();
    assert_eq!(found.used.iter().map(|(path, _)| *path).collect::<Vec<_>>(), used);
    let fresh = path(Role::External, 3 + 2 * GAP_LIMIT);
    assert_eq!(found.fresh, (fresh, account.address(fresh)));
    let all = found.addresses();
    assert_eq!(all.len(), used.len() + 2);
    assert!(all.contains(&wallet.address()) && all.contains(&wallet.enterprise_address()));
    devnet.shutdown().await;
}

#[tokio::test]
async fn an_emptied_address_stays_used_and_every_found_output_can_be_spent() {
    let wallet = wallet(0);
    let account = wallet.account();
    let (first, change) = (account.address(path(Role::External, 1)), account.address(path(Role::Internal, 0)));
    let (devnet, chain) = start(&[first.clone(), change.clone(), wallet.enterprise_address()]).await;
    let funds = chain.spendable_at(&[first.clone(), change]).await.unwrap();
    let spends = funds.into_iter().map(|utxo| nunet_contracts::Spend {
        outpoint: utxo.outpoint,
        output: utxo.output,
        redeemer: None,
    });
    let plan = TxPlan {
        spends: spends.collect(),
        outputs: vec![TxOut::new(support::wallet(1).address(), lovelace(9_000_000))],
        ..TxPlan::default()
    };
    let (id, signed) = submit_plan(&chain, &plan, &wallet).await.unwrap();
    assert_eq!(signed.tx.witnesses.vkeys.len(), 3, "one signature per address that is spent, the fee's too");
    chain.wait_for(&id, 1, Limit::Polls(120)).await.unwrap();
    assert_eq!(chain.utxos_at(&first).await.unwrap(), []);
    assert!(chain.is_used(&first).await.unwrap());
    let found = chain.discover(account).await.unwrap();
    let paths: Vec<String> = found.used.iter().map(|(path, _)| path.to_string()).collect();
    // The change of the payment went to the first base address.
    assert_eq!(paths, ["0/0", "0/1", "1/0"]);
    devnet.shutdown().await;
}

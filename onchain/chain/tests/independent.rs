//! A transaction built here, taken by a node that is not ours.
//!
//! Set `NUNET_TEST_BLOCKFROST_URL` to the base URL of any server of Blockfrost's API, `NUNET_TEST_MNEMONIC` to the recovery
//! phrase of a wallet with a few ADA there, and `NUNET_TEST_BLOCKFROST_PROJECT_ID` where the server asks for one. One
//! payment of the wallet to itself costs about 0.17 ADA.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::env;

use nunet_chain::{Chain, Limit, Outcome, OutputState, Tracker, Wallet, submit_plan, tracker::OutpointState};
use nunet_contracts::TxPlan;
use nunet_ledger::{Lovelace, OutPoint, TxOut, Value};

#[tokio::test]
async fn a_payment_is_taken_by_an_independent_node() {
    let (Ok(url), Ok(words)) = (env::var("NUNET_TEST_BLOCKFROST_URL"), env::var("NUNET_TEST_MNEMONIC")) else {
        println!(
            "skipped: set NUNET_TEST_BLOCKFROST_URL, NUNET_TEST_MNEMONIC and, for hosted services, \
             NUNET_TEST_BLOCKFROST_PROJECT_ID to send a payment of a wallet to itself through that server"
        );
        return;
    };
    let project_id = env::var("NUNET_TEST_BLOCKFROST_PROJECT_ID").ok();
    let chain = Chain::connect(&url, project_id.as_deref()).await.unwrap();
    let wallet = Wallet::from_mnemonic(&words, chain.magic().network_id(), 0).unwrap();
    let output = TxOut::new(wallet.address(), Value::lovelace_only(Lovelace(2_000_000)));
    let plan = TxPlan { outputs: vec![output.clone()], ..TxPlan::default() };
    let (id, signed) = submit_plan(&chain, &plan, &wallet).await.unwrap();
    println!("sent transaction {id} with a fee of {}", signed.tx.body.fee);
    let confirmation = chain.wait_for(&id, 1, Limit::Polls(600)).await.unwrap();
    assert_eq!(confirmation.outcome, Outcome::Applied);
    let outpoint = OutPoint { tx: id, index: 0 };
    assert!(
        matches!(chain.output(&outpoint).await.unwrap(), OutputState::Unspent { output: found, .. } if found == output)
    );
    assert_eq!(chain.transaction_cbor(&id).await.unwrap(), Some(signed.cbor));
    let tracker = Tracker::start(&chain);
    tracker.outpoint(outpoint).until(|state| matches!(state, OutpointState::Unspent { .. })).await.unwrap();
}

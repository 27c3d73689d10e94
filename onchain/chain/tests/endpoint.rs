//! What happens when the endpoint is not there, slow to recover, or not what it claims to be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use nunet_chain::{AccountState, Chain, ChainError, Limit, OutputState};
use nunet_ledger::{Lovelace, NetworkMagic, PosixMs, Script, Slot, TxId};
use serde_json::{Value as Json, json};
use support::{server::*, *};

#[tokio::test]
async fn the_network_is_read_from_the_endpoint() {
    let (server, url) = Server::start().await;
    let chain = Chain::connect(&format!("{url}/"), Some("preprodSecret")).await.unwrap();
    assert_eq!(chain.magic(), NetworkMagic(1));
    assert_eq!(chain.slots().begin(Slot(5_000)), PosixMs(1_700_005_000_000));
    let params = chain.params();
    assert_eq!((params.price_mem.numerator, params.price_mem.denominator), (577, 10_000));
    assert_eq!((params.price_step.numerator, params.price_step.denominator), (721, 10_000_000));
    assert_eq!(params.cost_models.v1, [1, -2]);
    let tip = chain.tip().await.unwrap();
    assert_eq!((tip.height, tip.slot, tip.time), (250, Slot(5_000), PosixMs(1_700_005_000_000)));
    assert!(server.headers.lock().unwrap().iter().all(|id| id.as_deref() == Some("preprodSecret")));
    assert!(!format!("{chain:?}").contains("preprodSecret"), "the project id is a secret");
}

#[tokio::test]
async fn a_new_epoch_brings_new_parameters() {
    let (server, url) = Server::start().await;
    let chain = Chain::connect(&url, None).await.unwrap();
    let mut changed = parameters();
    changed["epoch"] = json!(1);
    changed["min_fee_a"] = json!(50);
    server.set("/epochs/latest/parameters", 200, &changed);
    chain.tip().await.unwrap();
    assert_eq!(chain.params().min_fee_a, 44);
    server.set("/blocks/latest", 200, &block(432_001));
    chain.clone().tip().await.unwrap();
    assert_eq!(chain.params().min_fee_a, 50);
}

#[tokio::test]
async fn unusable_endpoints_are_refused_before_anything_is_sent() {
    for url in ["", "not a url", "ftp://127.0.0.1/api", "file:///etc/passwd"] {
        let error = Chain::connect(url, None).await.unwrap_err();
        assert!(matches!(error, ChainError::BadEndpoint { .. }), "{error}");
    }
    let error = Chain::connect("http://127.0.0.1:1", Some("line\nbreak")).await.unwrap_err();
    assert!(matches!(error, ChainError::BadEndpoint { .. }) && !error.to_string().contains("break"), "{error}");
}

#[tokio::test]
async fn an_absent_server_is_reported_after_retries() {
    // Bound, then closed: nobody listens there now.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = Chain::connect(&format!("http://127.0.0.1:{port}/api/v0"), None).await.unwrap_err();
    assert!(matches!(error, ChainError::Unreachable { attempts: 5, .. }) && error.is_transient(), "{error}");
}

#[tokio::test]
async fn passing_trouble_is_retried_and_a_refusal_is_not() {
    let (server, url) = Server::start().await;
    let chain = Chain::connect(&url, None).await.unwrap();
    let before = server.count();
    server.set("/blocks/latest", 503, &json!({}));
    let recovery = async {
        while server.count() < before + 2 {
            tokio::task::yield_now().await;
        }
        server.set("/blocks/latest", 200, &block(6_000));
    };
    let (tip, ()) = tokio::join!(chain.tip(), recovery);
    assert_eq!(tip.unwrap().slot, Slot(6_000));
    server.set(
        "/blocks/latest",
        403,
        &json!({"status_code": 403, "error": "Forbidden", "message": "Invalid project token."}),
    );
    let before = server.count();
    let error = chain.tip().await.unwrap_err();
    assert!(matches!(&error, ChainError::Status { status: 403, message, .. } if message == "Invalid project token."));
    assert_eq!(server.count(), before + 1);
}

#[tokio::test]
async fn answers_that_are_no_blockfrost_are_refused() {
    let (server, url) = Server::start().await;
    for body in [&b"<html>hello</html>"[..], b"", b"[]", b"{}", b"null", &[0xff, 0xfe]] {
        server.set_bytes("/genesis", 200, body.to_vec());
        let error = Chain::connect(&url, None).await.unwrap_err();
        assert!(matches!(error, ChainError::Malformed { .. }), "{error}");
    }
    server.set("/genesis", 404, &json!({}));
    let error = Chain::connect(&url, None).await.unwrap_err();
    assert!(matches!(error, ChainError::Status { status: 404, .. }), "{error}");
    server.set("/genesis", 302, &json!({}));
    assert!(matches!(Chain::connect(&url, None).await.unwrap_err(), ChainError::Status { status: 302, .. }));
}

#[tokio::test]
async fn hostile_numbers_are_refused() {
    let (server, url) = Server::start().await;
    for (path, field, value) in [
        ("/blocks/latest", "time", json!(u64::MAX)),
        ("/blocks/latest", "slot", json!(u64::MAX)),
        ("/blocks/latest", "slot", json!(u64::MAX / 1_000)),
        ("/blocks/latest", "hash", json!("abc")),
        ("/genesis", "slot_length", json!(0)),
        ("/genesis", "slot_length", json!(u32::MAX)),
        ("/genesis", "network_magic", json!(-1)),
        ("/epochs/latest/parameters", "price_mem", json!(-0.5)),
        ("/epochs/latest/parameters", "price_mem", json!(1e300)),
        ("/epochs/latest/parameters", "max_tx_ex_mem", json!("99999999999999999999")),
        ("/epochs/latest/parameters", "cost_models_raw", json!(null)),
        ("/epochs/latest/parameters", "cost_models_raw", json!({"PlutusV3": ["one"]})),
    ] {
        let good =
            [("/genesis", genesis()), ("/blocks/latest", block(5_000)), ("/epochs/latest/parameters", parameters())];
        for (known, mut body) in good {
            if known == path {
                body[field] = value.clone();
            }
            server.set(known, 200, &body);
        }
        let error = Chain::connect(&url, None).await.unwrap_err();
        assert!(matches!(error, ChainError::Malformed { .. }), "{path} {field}: {error}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let (server, url) = Server::start().await;
    server.set_bytes("/genesis", 200, vec![b' '; 16 * 1024 * 1024 + 1]);
    let error = Chain::connect(&url, None).await.unwrap_err();
    assert!(error.to_string().contains("longer than"), "{error}");
}

#[tokio::test]
async fn pages_are_joined_without_duplicates() {
    let (server, url) = Server::start().await;
    let chain = Chain::connect(&url, None).await.unwrap();
    let address = wallet(0).address();
    let page = |range: std::ops::Range<u16>| Json::Array(range.map(|n| output(json!({"output_index": n}))).collect());
    let path = |page| format!("/addresses/{address}/utxos?page={page}&count=100&order=asc");
    server.set(&path(1), 200, &page(0..100));
    // One output moved to the second page between the requests.
    server.set(&path(2), 200, &page(99..150));
    let utxos = chain.utxos_at(&address).await.unwrap();
    assert_eq!(utxos.iter().map(|utxo| utxo.outpoint.index).collect::<Vec<_>>(), (0..150).collect::<Vec<_>>());
    assert_eq!(chain.utxos_at(&wallet(1).address()).await.unwrap(), [], "never seen on chain");
}

#[tokio::test]
async fn reference_scripts_are_fetched_once_and_checked_against_their_hash() {
    let (server, url) = Server::start().await;
    let chain = Chain::connect(&url, None).await.unwrap();
    let address = wallet(0).address();
    let (plutus, native) = (always_true(), both([wallet(0).key_hash(), wallet(1).key_hash()]));
    let missing = always_false().hash();
    let entries: Vec<Json> = (0_u16..)
        .zip([plutus.hash(), native.hash(), missing, plutus.hash()])
        .map(|(n, hash)| output(json!({"output_index": n, "reference_script_hash": hash})))
        .collect();
    server.set(&format!("/addresses/{address}/utxos"), 200, &Json::Array(entries));
    // Some servers show the flat bytes with two layers of CBOR around them.
    let wrapped = [&[0x46], plutus.bytes()].concat();
    server.set(&format!("/scripts/{}/cbor", plutus.hash()), 200, &json!({"cbor": hex::encode(wrapped)}));
    server.set(&format!("/scripts/{}/cbor", native.hash()), 200, &json!({"cbor": null}));
    let keys = [wallet(0), wallet(1)].map(|wallet| json!({"type": "sig", "keyHash": wallet.key_hash()}));
    server.set(&format!("/scripts/{}/json", native.hash()), 200, &json!({"json": {"type": "all", "scripts": keys}}));
    // A lie: the bytes of another script.
    server.set(&format!("/scripts/{missing}/cbor"), 200, &json!({"cbor": hex::encode(plutus.bytes())}));
    let utxos = chain.utxos_at(&address).await.unwrap();
    let scripts: Vec<Option<Script>> = utxos.into_iter().map(|utxo| utxo.output.reference_script).collect();
    assert_eq!(scripts, [Some(plutus.clone()), Some(native), Some(plutus)], "the lie is left out");
    assert!(matches!(chain.script(&missing).await.unwrap_err(), ChainError::Malformed { .. }));
}

#[tokio::test]
async fn outputs_of_failed_transactions_and_silent_servers_are_not_taken_for_money() {
    let (server, url) = Server::start().await;
    let chain = Chain::connect(&url, None).await.unwrap();
    let tx = outpoint(7).tx;
    let at = |index| nunet_ledger::OutPoint { tx, index };
    assert_eq!(chain.output(&at(0)).await.unwrap(), OutputState::Unknown);
    let spender = TxId([9; 32]);
    let outputs = json!({"outputs": [
        output(json!({"output_index": 0, "collateral": false, "consumed_by_tx": null})),
        output(json!({"output_index": 1, "collateral": false, "consumed_by_tx": spender})),
        output(json!({"output_index": 2, "collateral": true, "consumed_by_tx": null})),
        output(json!({"output_index": 3, "collateral": false})),
    ]});
    server.set(&format!("/txs/{tx}/utxos"), 200, &outputs);
    let status = |valid| json!({"block_height": 248, "slot": 4_990, "valid_contract": valid});
    server.set(&format!("/txs/{tx}"), 200, &status(true));
    assert!(matches!(chain.output(&at(0)).await.unwrap(), OutputState::Unspent { depth: 3, .. }));
    assert!(matches!(chain.output(&at(1)).await.unwrap(), OutputState::Spent { by, .. } if by == spender));
    assert_eq!(chain.output(&at(2)).await.unwrap(), OutputState::Unknown);
    assert!(chain.output(&at(3)).await.is_err(), "the server does not say whether it is spent");
    assert_eq!(chain.output(&at(9)).await.unwrap(), OutputState::Unknown);
    server.set(&format!("/txs/{tx}"), 200, &status(false));
    assert_eq!(chain.output(&at(0)).await.unwrap(), OutputState::Unknown);
    assert!(matches!(chain.output(&at(2)).await.unwrap(), OutputState::Unspent { .. }));
}

#[tokio::test]
async fn transaction_bytes_must_have_the_id_that_was_asked_for() {
    let (server, url) = Server::start().await;
    let chain = Chain::connect(&url, None).await.unwrap();
    let tx = nunet_ledger::Transaction::default();
    let path = format!("/txs/{}/cbor", tx.id());
    assert_eq!(chain.transaction_cbor(&tx.id()).await.unwrap(), None);
    server.set(&path, 200, &json!({"cbor": hex::encode(tx.to_cbor())}));
    assert_eq!(chain.transaction_cbor(&tx.id()).await.unwrap(), Some(tx.to_cbor()));
    for cbor in ["", "80", "zz", "84a0a0f5f6", "9f"] {
        server.set(&path, 200, &json!({"cbor": cbor}));
        assert!(matches!(chain.transaction_cbor(&tx.id()).await.unwrap_err(), ChainError::Malformed { .. }), "{cbor}");
    }
}

#[tokio::test]
async fn submitting_what_is_already_there_succeeds_and_the_ledgers_words_come_back() {
    let (server, url) = Server::start().await;
    let chain = Chain::connect(&url, None).await.unwrap();
    let tx = nunet_ledger::Transaction::default();
    let refusal = json!({"status_code": 400, "error": "Bad Request", "message": "BadInputsUTxO (…)"});
    server.set("/tx/submit", 400, &refusal);
    let error = chain.submit(&tx.to_cbor()).await.unwrap_err();
    assert!(
        matches!(&error, ChainError::Rejected { id, message } if *id == tx.id() && message.starts_with("BadInputs"))
    );
    server.set(&format!("/mempool/{}", tx.id()), 200, &json!({"tx": {}}));
    assert_eq!(chain.submit(&tx.to_cbor()).await.unwrap(), tx.id());
    server.set("/tx/submit", 200, &json!(TxId([1; 32])));
    assert!(matches!(chain.submit(&tx.to_cbor()).await.unwrap_err(), ChainError::Malformed { .. }));
    assert!(matches!(chain.submit(&[0x40]).await.unwrap_err(), ChainError::NotATransaction { length: 1 }));
}

#[tokio::test]
async fn stake_accounts_are_read() {
    let (server, url) = Server::start().await;
    let chain = Chain::connect(&url, None).await.unwrap();
    let account = wallet(0).stake_account();
    assert_eq!(chain.account(&account).await.unwrap(), AccountState::Unregistered);
    let path = "/accounts/stake_test1uqevw2xnsc0pvn9t9r9c7qryfqfeerchgrlm3ea2nefr9hqp8n5xl";
    server.set(path, 200, &json!({"active": false, "registered": true, "withdrawable_amount": "77"}));
    let state = chain.account(&account).await.unwrap();
    assert_eq!(state, AccountState::Registered { rewards: Lovelace(77) });
    server.set(path, 200, &json!({"active": false, "withdrawable_amount": "0"}));
    assert_eq!(chain.account(&account).await.unwrap(), AccountState::Unregistered);
}

#[tokio::test]
async fn waits_end_at_their_limit_by_chain_time_or_looks() {
    let (server, url) = Server::start().await;
    let chain = Chain::connect(&url, None).await.unwrap();
    let id = TxId([3; 32]);
    let error = chain.wait_for(&id, 1, Limit::Polls(2)).await.unwrap_err();
    assert!(matches!(&error, ChainError::TimedOut { what, .. } if what.contains(&id.to_string())), "{error}");
    let reached = Limit::Until(PosixMs(1_700_005_000_000));
    assert!(matches!(chain.wait_for(&id, 1, reached).await.unwrap_err(), ChainError::TimedOut { .. }));
    server.set(&format!("/txs/{id}"), 200, &json!({"block_height": 250, "slot": 4_999}));
    assert_eq!(chain.wait_for(&id, 1, Limit::Polls(1)).await.unwrap().depth, 1);
    let deeper = async {
        tokio::task::yield_now().await;
        server.set("/blocks/latest", 200, &block(5_100));
    };
    let (confirmation, ()) = tokio::join!(chain.wait_for(&id, 5, Limit::Never), deeper);
    assert_eq!(confirmation.unwrap().depth, 6);
    chain.wait_until(PosixMs(1_700_005_100_000)).await;
    assert_eq!(chain.tip().await.unwrap().slot, Slot(5_100));
}

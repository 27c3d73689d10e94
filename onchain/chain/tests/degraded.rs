//! Endpoints that serve a part of the API, limit requests, or lose answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;

use nunet_chain::{Chain, ChainError, Endpoint, OutputState, RateLimit, submit_plan};
use nunet_contracts::TxPlan;
use nunet_ledger::{OutPoint, TxId, TxOut};
use serde_json::{Value as Json, json};
use support::{
    server::{Server, block, output, parameters},
    *,
};

async fn start() -> (Arc<Server>, Chain) {
    let (server, url) = Server::start().await;
    let chain = Chain::connect(&url, None).await.unwrap();
    (server, chain)
}

fn refusal(message: &str) -> Json {
    json!({"status_code": 400, "error": "Bad Request", "message": message})
}

#[tokio::test]
async fn a_server_without_spenders_is_asked_about_the_address() {
    let (server, chain) = start().await;
    let (made, spender) = (TxId([7; 32]), TxId([9; 32]));
    let outpoint = OutPoint { tx: made, index: 0 };
    let address = wallet(0).address();
    server.set(&format!("/txs/{made}"), 200, &json!({"block_height": 248, "slot": 4_990}));
    server.set(&format!("/txs/{made}/utxos"), 200, &json!({"outputs": [output(json!({}))]}));
    server.set(&format!("/addresses/{address}/utxos"), 200, &json!([output(json!({}))]));
    assert!(matches!(chain.output(&outpoint).await.unwrap(), OutputState::Unspent { depth: 3, .. }));
    server.set(&format!("/addresses/{address}/utxos"), 200, &json!([]));
    let error = chain.output(&outpoint).await.unwrap_err();
    assert!(error.to_string().contains("what spent it"), "{error}");
    server.set(&format!("/addresses/{address}/transactions"), 200, &json!([{"tx_hash": spender}]));
    server.set(&format!("/txs/{spender}/utxos"), 200, &json!({"inputs": [output(json!({}))], "outputs": []}));
    assert!(matches!(chain.output(&outpoint).await.unwrap(), OutputState::Spent { by, .. } if by == spender));
}

#[tokio::test]
async fn a_short_genesis_and_listed_cost_models_will_do() {
    let (server, url) = Server::start().await;
    server.set("/genesis", 200, &json!({"network_magic": 1}));
    let mut listed = parameters();
    listed["cost_models"] = listed["cost_models_raw"].take();
    server.set("/epochs/latest/parameters", 200, &listed);
    let chain = Chain::connect(&url, None).await.unwrap();
    assert_eq!(chain.slots().slot_length_ms, 1_000);
    assert_eq!(chain.poll_interval().as_secs(), 5);
    assert_eq!(chain.params().cost_models.v1, [1, -2]);
    listed["cost_models"] = json!({"PlutusV1": {"addInteger-cpu-arguments-intercept": 1}});
    server.set("/epochs/latest/parameters", 200, &listed);
    let error = Chain::connect(&url, None).await.unwrap_err();
    assert!(error.to_string().contains("order of cost_models"), "{error}");
}

#[tokio::test]
async fn refusals_of_hosted_services_say_what_to_do() {
    let (server, chain) = start().await;
    for (status, words) in [(402, "used up"), (403, "check the project id"), (404, "base URL"), (418, "banned")] {
        server.set("/blocks/latest", status, &json!({"message": "no"}));
        let before = server.count();
        let error = chain.tip().await.unwrap_err();
        assert!(error.to_string().contains(words), "{status}: {error}");
        assert!(!error.is_transient() && server.count() == before + 1, "{status} is not asked again");
    }
}

#[tokio::test]
async fn a_server_that_asks_for_a_pause_gets_it_and_one_that_asks_for_too_much_an_error() {
    let (server, chain) = start().await;
    server.set("/blocks/latest", 429, &json!({"message": "slow down"}));
    *server.retry_after.lock().unwrap() = Some(1);
    let before = server.count();
    let recovery = async {
        while server.count() < before + 1 {
            tokio::task::yield_now().await;
        }
        let asked = tokio::time::Instant::now();
        server.set("/blocks/latest", 200, &block(6_000));
        *server.retry_after.lock().unwrap() = None;
        asked
    };
    let (tip, asked) = tokio::join!(chain.tip(), recovery);
    tip.unwrap();
    assert!(asked.elapsed().as_millis() >= 900, "the pause was a second");
    server.set("/blocks/latest", 429, &json!({"message": "come back tomorrow"}));
    *server.retry_after.lock().unwrap() = Some(86_400);
    let before = server.count();
    let error = chain.tip().await.unwrap_err();
    assert!(matches!(error, ChainError::Status { status: 429, .. }) && server.count() == before + 1, "{error}");
}

#[tokio::test]
async fn requests_keep_to_a_rate_limit() {
    let (_server, url) = Server::start().await;
    // Connecting takes three.
    let rate = Some(RateLimit { per_second: 20, burst: 3 });
    let chain = Chain::connect_to(&Endpoint { rate, ..Endpoint::new(&url, None) }).await.unwrap();
    let begun = tokio::time::Instant::now();
    for _ in 0..4 {
        chain.tip().await.unwrap();
    }
    assert!(begun.elapsed().as_millis() >= 150, "four requests at twenty a second");
}

/// A plan that a wallet with one output can pay, and that wallet's output.
fn payment(server: &Server) -> (TxPlan, OutPoint) {
    let address = wallet(0).address();
    let funds = output(json!({"amount": [{"unit": "lovelace", "quantity": "50000000"}]}));
    server.set(&format!("/addresses/{address}/utxos"), 200, &json!([funds]));
    server.set("/epochs/latest/parameters", 200, &parameters());
    let plan = TxPlan { outputs: vec![TxOut::new(wallet(1).address(), lovelace(5_000_000))], ..TxPlan::default() };
    (plan, OutPoint { tx: TxId([7; 32]), index: 0 })
}

async fn free(chain: &Chain) -> Vec<OutPoint> {
    let address = wallet(0).address();
    chain.spendable_at(&[address]).await.unwrap().into_iter().map(|utxo| utxo.outpoint).collect()
}

#[tokio::test]
async fn a_submission_without_an_answer_keeps_its_inputs_until_its_fate_is_known() {
    let (server, chain) = start().await;
    let (plan, fund) = payment(&server);
    assert_eq!(free(&chain).await, [fund]);
    server.set("/tx/submit", 500, &json!({"message": "internal"}));
    let error = submit_plan(&chain, &plan, &wallet(0)).await.unwrap_err();
    let ChainError::Unclear { id, .. } = error else { panic!("{error}") };
    assert!(error.is_transient() && error.to_string().contains("may pay twice"));
    assert_eq!(free(&chain).await, [], "it may be in a mempool");
    // The server comes back, and takes it when funds are looked for.
    server.set("/tx/submit", 200, &json!(id));
    server.set("/blocks/latest", 200, &block(5_020));
    assert_eq!(free(&chain).await, [OutPoint { tx: id, index: 1 }], "its change can be spent");
    // A block has it.
    server.set(&format!("/txs/{id}"), 200, &json!({"block_height": 252, "slot": 5_040}));
    server.set(&format!("/addresses/{}/utxos", wallet(0).address()), 200, &json!([]));
    server.set("/blocks/latest", 200, &block(5_040));
    assert_eq!(free(&chain).await, []);
}

#[tokio::test]
async fn a_submission_that_is_refused_after_a_lost_answer_is_no_refusal_where_mempools_are_hidden() {
    let (server, chain) = start().await;
    let (plan, fund) = payment(&server);
    server.set("/tx/submit", 500, &json!({"message": "internal"}));
    let alice = wallet(0);
    let submitting = submit_plan(&chain, &plan, &alice);
    let turning = async {
        // The first attempt, whose answer says nothing; those after it are told that the inputs are gone.
        while !server.asked("/tx/submit") {
            tokio::task::yield_now().await;
        }
        server.set("/tx/submit", 400, &refusal("All inputs are spent. Transaction has probably already been included"));
    };
    let (result, ()) = tokio::join!(submitting, turning);
    assert!(matches!(result.unwrap_err(), ChainError::Unclear { .. }));
    assert_eq!(free(&chain).await, []);
    // With a mempool that can be seen it is certain, when it is refused again a while later.
    server.set("/mempool", 200, &json!([]));
    for (slot, spendable) in [(5_020, vec![]), (5_060, vec![]), (5_080, vec![fund])] {
        server.set("/blocks/latest", 200, &block(slot));
        assert_eq!(free(&chain).await, spendable, "{slot}");
    }
}

#[tokio::test]
async fn a_first_submission_that_is_refused_frees_its_inputs_at_once() {
    let (server, chain) = start().await;
    let (plan, fund) = payment(&server);
    for (status, body) in [(400, refusal("OutsideValidityIntervalUTxO")), (403, json!({"message": "no"}))] {
        server.set("/tx/submit", status, &body);
        let error = submit_plan(&chain, &plan, &wallet(0)).await.unwrap_err();
        assert!(!error.is_transient(), "{error}");
        assert_eq!(free(&chain).await, [fund]);
    }
}

#[tokio::test]
async fn a_list_that_changes_while_it_is_read_is_read_again() {
    let (server, chain) = start().await;
    let address = wallet(0).address();
    let page = |range: std::ops::Range<u16>| Json::Array(range.map(|n| output(json!({"output_index": n}))).collect());
    let path = |page| format!("/addresses/{address}/utxos?page={page}&count=100&order=asc");
    server.set(&path(1), 200, &page(0..100));
    server.set(&path(2), 200, &page(101..150));
    let listing = chain.utxos_at(&address);
    let change = async {
        // The second page is asked for in the middle of a listing.
        while !server.asked(&path(2)) {
            tokio::task::yield_now().await;
        }
        // Output 0 was spent, so that 100 moved to the first page, which was read already.
        server.set(&path(1), 200, &page(1..101));
        server.set("/blocks/latest", 200, &block(5_020));
    };
    let (utxos, ()) = tokio::join!(listing, change);
    let indices: Vec<u16> = utxos.unwrap().iter().map(|utxo| utxo.outpoint.index).collect();
    assert_eq!(indices, (1..150).collect::<Vec<_>>());
}

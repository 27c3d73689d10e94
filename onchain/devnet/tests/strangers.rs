//! What strangers send: wrong paths, methods, bodies and media types are refused with Blockfrost's error body.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{owners, start};
use nunet_devnet::Devnet;
use reqwest::{Client, Response, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Checks an error's body, and gives its status and message.
async fn refusal(response: Response) -> (u16, String) {
    let status = response.status();
    let text = response.text().await.unwrap();
    let body: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text:?}"));
    assert_eq!(body["status_code"], status.as_u16(), "{body}");
    assert!(body["error"].as_str().is_some_and(|error| !error.is_empty()), "{body}");
    let message = body["message"].as_str().unwrap();
    assert!(!message.is_empty(), "{body}");
    (status.as_u16(), message.to_owned())
}

async fn get(devnet: &Devnet, path: &str) -> Response {
    Client::new().get(format!("{}{path}", devnet.url())).send().await.unwrap()
}

async fn post(devnet: &Devnet, path: &str, kind: &str, body: Vec<u8>) -> Response {
    let request = Client::new().post(format!("{}{path}", devnet.url())).header("content-type", kind);
    request.body(body).send().await.unwrap()
}

#[tokio::test]
async fn wrong_paths_are_refused() {
    let (devnet, _) = start().await;
    for (path, status) in [
        ("/nothing", 400),
        ("/blocks/latest/nothing", 400),
        ("/blocks/abc", 400),
        ("/blocks/-1", 400),
        ("/blocks/99999999", 404),
        ("/blocks/99999999999999999999999", 400),
        (&format!("/blocks/{}", "00".repeat(32)), 404),
        ("/blocks/slot/x", 400),
        ("/blocks/slot/4000000000", 404),
        ("/epochs/x", 400),
        ("/epochs/12345", 404),
        ("/epochs/x/parameters", 400),
        ("/txs/abc", 400),
        (&format!("/txs/{}", "00".repeat(32)), 404),
        (&format!("/txs/{}/utxos", "00".repeat(32)), 404),
        (&format!("/txs/{}/cbor", "zz".repeat(32)), 400),
        ("/addresses/abc", 400),
        ("/addresses/%ff%fe", 400),
        ("/addresses/addr_test1%00", 400),
        (&format!("/addresses/{}", "a".repeat(4_000)), 400),
        ("/accounts/addr_test1vz", 400),
        ("/accounts/%F0%9F%92%A9", 400),
        ("/assets/lovelace", 400),
        (&format!("/assets/{}", "00".repeat(28)), 404),
        (&format!("/scripts/{}", "00".repeat(28)), 404),
        ("/scripts/xyz/cbor", 400),
        ("/scripts/datum/xyz/cbor", 400),
        (&format!("/scripts/datum/{}/cbor", "00".repeat(32)), 404),
        ("/mempool?count=0", 400),
        ("/mempool?page=0", 400),
        ("/mempool?order=sideways", 400),
        ("/mempool?count=1&count=2", 400),
    ] {
        assert_eq!(refusal(get(&devnet, path).await).await.0, status, "{path}");
    }
    let mainnet = "addr1vx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzers66hrl8";
    let (status, message) = refusal(get(&devnet, &format!("/addresses/{mainnet}")).await).await;
    assert_eq!(status, 400);
    assert!(message.contains("another network"), "{message}");
}

#[tokio::test]
async fn names_that_are_wrong_or_unknown_are_told_apart() {
    let (devnet, _) = start().await;
    let (hash, key) = ("00".repeat(32), "00".repeat(28));
    let alice = owners().0.address;
    for (path, status) in [
        ("/blocks/epoch/x/slot/0", 400),
        ("/blocks/epoch/0/slot/432000", 404),
        ("/blocks/epoch/18446744073709551615/slot/1", 404),
        ("/blocks/x/txs/cbor", 400),
        ("/epochs/x/blocks", 400),
        ("/metadata/txs/labels/x", 400),
        ("/metadata/txs/labels/18446744073709551616", 400),
        ("/metadata/txs/labels/18446744073709551615", 404),
        ("/assets/policy/xyz", 400),
        (&format!("/assets/policy/{key}"), 404),
        (&format!("/assets/{key}/history"), 404),
        (&format!("/assets/{key}{}", "00".repeat(33)), 400),
        (&format!("/addresses/{alice}/utxos/{}", "zz".repeat(28)), 400),
        (&format!("/addresses/{alice}/utxos/{key}"), 200),
        ("/addresses/addr_vkh1nonsense", 400),
        ("/addresses/script1qqqq", 400),
        ("/accounts/stake1u9r76ypf5fskppa0cmttas05cgcswrttn6jrq4yd7jpdnvc7gt0yc", 400),
        (&format!("/txs/{hash}/metadata"), 404),
        (&format!("/scripts/{key}/redeemers"), 404),
        ("/scripts/datum/xyz", 400),
        ("/pools/pool1nonsense", 400),
        (&format!("/pools/{key}"), 404),
        ("/governance/dreps/x", 400),
        ("/governance/dreps/drep_always_abstain", 404),
    ] {
        let response = get(&devnet, path).await;
        assert_eq!(response.status().as_u16(), status, "{path}");
        if status != 200 {
            refusal(response).await;
        }
    }
}

#[tokio::test]
async fn pages_far_beyond_the_end_are_empty_and_larger_ones_refused() {
    let (devnet, _) = start().await;
    let alice = owners().0.address;
    for list in [
        "/blocks/0/next".to_owned(),
        "/blocks/0/txs".to_owned(),
        "/assets".to_owned(),
        "/metadata/txs/labels".to_owned(),
        format!("/addresses/{alice}/utxos"),
        format!("/addresses/{alice}/transactions"),
    ] {
        for order in ["asc", "desc"] {
            let last = get(&devnet, &format!("{list}?page=21474836&count=100&order={order}")).await;
            assert_eq!(last.text().await.unwrap(), "[]", "{list}");
        }
        for query in ["page=21474837", "page=0", "page=-1", "page=1e3", "count=101", "count=99999999999999999999"] {
            assert_eq!(refusal(get(&devnet, &format!("{list}?{query}")).await).await.0, 400, "{list}?{query}");
        }
    }
    for query in ["from=x", "to=-1", "from=1:x", "from=1:2:3", "from=99999999999999999999"] {
        let path = format!("/addresses/{alice}/transactions?{query}");
        assert_eq!(refusal(get(&devnet, &path).await).await.0, 400, "{path}");
    }
}

#[tokio::test]
async fn evaluations_with_outputs_that_make_no_sense_are_refused() {
    let (devnet, _) = start().await;
    let evaluate = |body: String| post(&devnet, "/utils/txs/evaluate/utxos", "application/json", body.into_bytes());
    let deep = "[".repeat(100_000);
    let address = owners().1.address;
    for body in [
        "",
        "{}",
        "[]",
        "null",
        "{\"cbor\": 5}",
        "{\"cbor\": \"zz\"}",
        "{\"cbor\": \"84a0a0f5f6\"}",
        "{\"cbor\": \"84\", \"additionalUtxoSet\": 1}",
        "{\"cbor\": \"84\", \"additionalUtxoSet\": [[{}, {}]]}",
        &format!("{{\"cbor\": \"84\", \"additionalUtxoSet\": {deep}"),
        &format!(
            "{{\"cbor\": \"84\", \"additionalUtxoSet\": [[{{\"txId\": \"00\", \"index\": 0}}, {{\"address\": \"{address}\", \
             \"value\": {{\"coins\": 1}}}}]]}}"
        ),
    ] {
        let shown: String = body.chars().take(80).collect();
        assert_eq!(refusal(evaluate(body.to_owned()).await).await.0, 400, "{shown}");
    }
    assert_eq!(refusal(evaluate(" ".repeat(256 * 1_024 + 1)).await).await.0, 413);
    let cbor = post(&devnet, "/utils/txs/evaluate/utxos", "application/cbor", vec![0x80]).await;
    assert_eq!(refusal(cbor).await.0, 415);
    let version = post(&devnet, "/utils/txs/evaluate?version=7", "application/cbor", vec![0x80]).await;
    assert!(refusal(version).await.1.contains("version"));
}

#[tokio::test]
async fn what_is_no_http_ends_its_connection_and_not_the_server() {
    let (devnet, _) = start().await;
    let host = devnet.url().trim_start_matches("http://").trim_end_matches("/api/v0").to_owned();
    for bytes in [
        "\0\0\0\0\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(20_000)),
        "POST /tx/submit HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n".to_owned(),
        "POST /tx/submit HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(200)),
    ] {
        let mut stream = TcpStream::connect(&host).await.unwrap();
        let _ = stream.write_all(bytes.as_bytes()).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "the connection stayed open: {}", &bytes[..20.min(bytes.len())]);
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(get(&devnet, "/health").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_api_is_served_with_and_without_its_prefix() {
    let (devnet, _) = start().await;
    let host = devnet.url().trim_end_matches("/api/v0").to_owned();
    for path in ["", "/", "/health", "/api/v0", "/api/v0/", "/api/v0/health"] {
        let response = Client::new().get(format!("{host}{path}")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn other_methods_are_refused() {
    let (devnet, _) = start().await;
    assert_eq!(refusal(get(&devnet, "/tx/submit").await).await.0, 405);
    assert_eq!(refusal(post(&devnet, "/genesis", "application/json", vec![]).await).await.0, 405);
}

#[tokio::test]
async fn malformed_transactions_are_refused() {
    let (devnet, _) = start().await;
    // Arrays within arrays, as deep as a body allows.
    let nested = vec![0x81; 64 * 1_024];
    let mut nested_datum = hex::decode("84a300d901028001800200a104d9010281").unwrap();
    nested_datum.extend_from_slice(&nested[..15_000]);
    nested_datum.extend_from_slice(&[0x00, 0xf5, 0xf6]);
    for body in [vec![], vec![0xff], b"hello".to_vec(), vec![0x84, 0xa0, 0xa0, 0xf5, 0xf6], nested] {
        let (status, message) = refusal(post(&devnet, "/tx/submit", "application/cbor", body.clone()).await).await;
        assert_eq!(status, 400, "{message}");
        let text = hex::encode(&body[..body.len().min(30_000)]).into_bytes();
        assert_eq!(refusal(post(&devnet, "/utils/txs/evaluate", "application/cbor", text).await).await.0, 400);
    }
    // Well formed, but without inputs: there is nothing to evaluate, and nothing to submit.
    let text = hex::encode(&nested_datum).into_bytes();
    assert_eq!(post(&devnet, "/utils/txs/evaluate", "application/cbor", text).await.status(), StatusCode::OK);
    let (status, message) = refusal(post(&devnet, "/tx/submit", "application/cbor", nested_datum).await).await;
    assert!(status == 400 && message.contains("InputSetEmptyUTxO"), "{message}");
    assert_eq!(get(&devnet, "/health").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn every_truncation_and_many_mutations_of_a_transaction_are_refused() {
    let ((devnet, _), (alice, bob)) = (start().await, owners());
    let (from, held) = common::funds_of(&devnet, &alice.address);
    let good = alice.pay(from, held, &bob.address, 10_000_000).to_cbor();
    let client = Client::new();
    for index in 0..good.len() {
        let mut flipped = good.clone();
        flipped[index] ^= 1 << (index % 8);
        for body in [good[..index].to_vec(), flipped] {
            let request = client.post(format!("{}/tx/submit", devnet.url())).header("content-type", "application/cbor");
            assert_eq!(refusal(request.body(body).send().await.unwrap()).await.0, 400, "byte {index}");
        }
    }
    assert_eq!(post(&devnet, "/tx/submit", "application/cbor", good).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn large_bodies_and_other_media_types_are_refused() {
    let (devnet, _) = start().await;
    for size in [64 * 1_024 + 1, 1_024 * 1_024] {
        assert_eq!(refusal(post(&devnet, "/tx/submit", "application/cbor", vec![0; size]).await).await.0, 413);
    }
    assert_eq!(refusal(post(&devnet, "/tx/submit", "application/json", vec![0x80]).await).await.0, 415);
    // The devnet's own call takes what `curl -d` sends.
    let form = "application/x-www-form-urlencoded";
    assert_eq!(post(&devnet, "/devnet/advance", form, b"{\"seconds\":1}".to_vec()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_clock_moves_only_forward_and_only_so_far() {
    let (devnet, _) = start().await;
    let before = devnet.latest();
    for body in [
        "",
        "{}",
        "{\"seconds\":-1}",
        "{\"seconds\":1.5}",
        "{\"seconds\":400000000}",
        "{\"seconds\":18446744073709551615}",
    ] {
        let (status, _) = refusal(post(&devnet, "/devnet/advance", "application/json", body.into()).await).await;
        assert_eq!(status, 400, "{body}");
    }
    assert!(devnet.latest().time.0 < before.time.0 + 60_000);
    let answer = post(&devnet, "/devnet/advance", "application/json", b"{\"seconds\":3600}".to_vec()).await;
    let tip: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert!(tip["time"].as_u64().unwrap() >= before.time.0 / 1_000 + 3_600);
    // Ten years at a time do not lead past the last second either.
    let mut steps = 0;
    while post(&devnet, "/devnet/advance", "application/json", b"{\"seconds\":100000000}".to_vec()).await.status()
        == StatusCode::OK
    {
        steps += 1;
        assert!(steps < 30, "time is not bounded");
    }
    assert!(devnet.latest().time.0 / 1_000 <= nunet_devnet::LAST_SECOND);
}

#[tokio::test]
async fn a_request_head_that_is_too_large_ends_the_connection_and_not_the_server() {
    let (devnet, _) = start().await;
    let host = devnet.url().trim_start_matches("http://").trim_end_matches("/api/v0").to_owned();
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let _ = stream.write_all(format!("GET / HTTP/1.1\r\nhost: {host}\r\nx: {}", "x".repeat(200_000)).as_bytes()).await;
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection stayed open");
    assert_eq!(get(&devnet, "/health").await.status(), StatusCode::OK);
}

//! A devnet that is killed under load has every block that anybody saw when it starts again.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use common::{FEE, genesis, owners};
use nunet_devnet::{Devnet, DevnetConfig};
use nunet_ledger::{OutPoint, TxId};
use reqwest::{Client, StatusCode};
use serde_json::Value as Json;

/// Names the data folder to the child.
const FOLDER: &str = "NUNET_DEVNET_CRASH_TEST_FOLDER";

/// Blocks to see before each kill.
const KILLS: [usize; 6] = [2, 9, 1, 25, 6, 14];

/// A devnet in a process of its own, killed when dropped.
struct Running {
    child: Child,
    url: String,
}

impl Running {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "serve_until_killed"])
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines.map_while(Result::ok).find_map(|line| line.find("http://").map(|at| line[at..].to_owned()));
        Self { child, url: url.expect("the devnet says where it serves") }
    }

    /// SIGKILL, in the midst of whatever it does.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
#[ignore = "the process that the test below starts and kills"]
async fn serve_until_killed() {
    let folder = env::var_os(FOLDER).expect("started by the test below");
    let config = DevnetConfig {
        block_interval: Some(Duration::from_millis(3)),
        genesis: genesis(),
        data: Some(folder.into()),
        ..DevnetConfig::default()
    };
    let devnet = Devnet::start(config).await.unwrap();
    println!("{}", devnet.url());
    // Ends with the test that started it, at the latest.
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await.unwrap().unwrap();
}

/// What a client of the devnet has seen in blocks.
#[derive(Default)]
struct Seen {
    hashes: BTreeMap<u64, String>,
    transactions: Vec<TxId>,
}

async fn get(http: &Client, url: String) -> Option<Json> {
    let answer = http.get(url).send().await.unwrap();
    (answer.status() == StatusCode::OK).then_some(())?;
    Some(answer.json().await.unwrap())
}

/// Alice's largest output without tokens.
async fn funds(http: &Client, url: &str) -> (OutPoint, u64) {
    let (alice, _) = owners();
    let rows = get(http, format!("{url}/addresses/{}/utxos", alice.address)).await.unwrap();
    let plain = rows.as_array().unwrap().iter().filter(|row| row["amount"].as_array().unwrap().len() == 1);
    let output = |row: &Json| {
        let tx = row["tx_hash"].as_str().unwrap().parse().unwrap();
        let index = row["output_index"].as_u64().unwrap() as u16;
        (OutPoint { tx, index }, row["amount"][0]["quantity"].as_str().unwrap().parse::<u64>().unwrap())
    };
    plain.map(output).max_by_key(|(_, held)| *held).unwrap()
}

/// Submits payments, each from the change of the one before, until so many new blocks were seen.
async fn load(http: &Client, url: &str, blocks: usize, seen: &mut Seen) {
    let (alice, bob) = owners();
    let (mut from, mut held) = funds(http, url).await;
    let mut waiting = Vec::new();
    let enough = seen.hashes.len() + blocks;
    while seen.hashes.len() < enough {
        let payment = alice.pay(from, held, &bob.address, 1_000_000);
        let post = http.post(format!("{url}/tx/submit")).header("content-type", "application/cbor");
        let answer = post.body(payment.to_cbor()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await.unwrap());
        (from, held) = (OutPoint { tx: payment.id(), index: 1 }, held - 1_000_000 - FEE);
        waiting.push(payment.id());

        let block = get(http, format!("{url}/blocks/latest")).await.unwrap();
        seen.hashes.insert(block["height"].as_u64().unwrap(), block["hash"].as_str().unwrap().to_owned());
        if let Some(first) = waiting.first()
            && get(http, format!("{url}/txs/{first}")).await.is_some()
        {
            seen.transactions.push(waiting.remove(0));
        }
    }
}

#[tokio::test]
async fn every_block_that_was_seen_is_there_after_each_kill() {
    let folder = tempfile::tempdir().unwrap();
    let http = Client::new();
    let mut seen = Seen::default();
    for blocks in KILLS {
        let devnet = Running::start(folder.path());
        load(&http, &devnet.url, blocks, &mut seen).await;
        devnet.kill();

        let devnet = Running::start(folder.path());
        for (height, hash) in &seen.hashes {
            let block = get(&http, format!("{}/blocks/{hash}", devnet.url)).await;
            assert_eq!(block.expect("a block that was seen")["height"].as_u64(), Some(*height));
        }
        for id in &seen.transactions {
            assert!(get(&http, format!("{}/txs/{id}", devnet.url)).await.is_some(), "{id} was in a block");
        }
        devnet.kill();
    }
    assert!(seen.hashes.len() >= KILLS.iter().sum::<usize>());
    assert!(!seen.transactions.is_empty(), "payments were confirmed between the kills");
}

//! Figures through the HTTP API, client and server in this process.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures::future::join_all;
use nunet_devnet::{BLOCK_INTERVAL, Devnet, DevnetConfig, MAX_BLOCKS_PER_CALL};
use nunet_ledger::parameters::ProtocolParameters;
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{runtime::Runtime, time::sleep};

use crate::{
    PER_BLOCK, rate,
    work::{Work, genesis},
};

/// Connections that submit at the same time.
const CONNECTIONS: usize = 8;

/// Where the chain is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    InMemory,
    OnDisk,
}

/// A folder for a chain that is kept on disk. In the working directory: a temporary folder may lie in memory.
fn folder(kept: Kept) -> Option<TempDir> {
    (kept == Kept::OnDisk).then(|| TempDir::new_in(".").unwrap())
}

fn config(data: Option<&TempDir>) -> DevnetConfig {
    let data = data.map(|folder| PathBuf::from(folder.path()));
    DevnetConfig { block_interval: None, genesis: genesis(), data, ..DevnetConfig::default() }
}

/// A devnet that has answered, and how long that took.
async fn started(config: DevnetConfig) -> (Devnet, f64) {
    let client = Client::new();
    let began = Instant::now();
    let devnet = Devnet::start(config).await.unwrap();
    client.get(format!("{}/blocks/latest", devnet.url())).send().await.unwrap().error_for_status().unwrap();
    (devnet, began.elapsed().as_secs_f64())
}

pub(crate) fn ready(kept: Kept) -> Value {
    Runtime::new().unwrap().block_on(async {
        let folder = folder(kept);
        let mut config = config(folder.as_ref());
        config.genesis.accounts.truncate(20);
        let (devnet, seconds) = started(config).await;
        devnet.shutdown().await;
        json!({ "seconds": seconds })
    })
}

/// Submits everything over keep-alive connections. Transactions must not depend on each other.
async fn submit(devnet: &Devnet, transactions: &[Vec<u8>], per_block: Option<usize>) {
    let (client, url, next) = (Client::new(), devnet.url(), AtomicUsize::new(0));
    let connection = || async {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(cbor) = transactions.get(at) else { break };
            let post = client.post(format!("{url}/tx/submit")).header("content-type", "application/cbor");
            let answer = post.body(cbor.clone()).send().await.unwrap();
            assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
            answer.bytes().await.unwrap();
            if per_block.is_some_and(|count| at % count == count - 1) {
                let post = client.post(format!("{url}/devnet/blocks")).body(r#"{"count": 1}"#);
                post.send().await.unwrap().error_for_status().unwrap();
            }
        }
    };
    join_all((0..CONNECTIONS).map(|_| connection())).await;
}

async fn set_up(devnet: &Devnet, work: &Work) {
    for cbor in &work.setup {
        submit(devnet, std::slice::from_ref(cbor), None).await;
        devnet.make_blocks(1).await.unwrap();
    }
}

pub(crate) fn load(work: &Work, kept: Kept) -> Value {
    Runtime::new().unwrap().block_on(async {
        let folder = folder(kept);
        let (devnet, _) = started(config(folder.as_ref())).await;
        set_up(&devnet, work).await;
        let before = devnet.transactions().len();
        let began = Instant::now();
        submit(&devnet, &work.transactions, Some(PER_BLOCK)).await;
        // What blocks had no room for.
        while devnet.transactions().len() - before < work.transactions.len() {
            devnet.make_blocks(1).await.unwrap();
        }
        let line = rate(work.transactions.len(), began);
        devnet.shutdown().await;
        line
    })
}

/// Starts a chain again that is on disk: blocks with the work, and as many empty ones as given.
pub(crate) fn restart(work: &Work, empty: u64) -> Value {
    Runtime::new().unwrap().block_on(async {
        let folder = folder(Kept::OnDisk);
        let (devnet, _) = started(config(folder.as_ref())).await;
        submit(&devnet, &work.transactions, Some(PER_BLOCK)).await;
        let mut left = empty;
        while left > 0 {
            let count = left.min(MAX_BLOCKS_PER_CALL);
            devnet.make_blocks(count).await.unwrap();
            left -= count;
        }
        let tip = devnet.latest();
        devnet.shutdown().await;
        let (devnet, seconds) = started(config(folder.as_ref())).await;
        assert_eq!(devnet.latest(), tip);
        devnet.shutdown().await;
        json!({
            "seconds": seconds,
            "blocks": tip.height,
            "transactions": work.transactions.len(),
            "blocks_per_second": tip.height as f64 / seconds,
            "transactions_per_second": work.transactions.len() as f64 / seconds,
        })
    })
}

/// Fills the mempool at a block a second, and looks how full the blocks become.
pub(crate) fn full_blocks(work: &Work) -> Value {
    Runtime::new().unwrap().block_on(async {
        let config = DevnetConfig { block_interval: Some(BLOCK_INTERVAL), ..config(None) };
        let (devnet, _) = started(config).await;
        submit(&devnet, &work.transactions, None).await;
        while devnet.transactions().len() <= work.transactions.len() {
            sleep(Duration::from_millis(50)).await;
        }
        let (client, limit) = (Client::new(), ProtocolParameters::mainnet().max_block_body_size);
        let mut shares = Vec::new();
        for height in 1..=devnet.latest().height {
            let answer = client.get(format!("{}/blocks/{height}", devnet.url())).send().await.unwrap();
            let block: Value = answer.json().await.unwrap();
            shares.push((block["size"].as_u64().unwrap(), block["tx_count"].as_u64().unwrap()));
        }
        devnet.shutdown().await;
        let smallest = work.transactions.iter().map(|cbor| cbor.len() as u64).min().unwrap();
        let full = shares.iter().filter(|(size, _)| size + smallest > limit).count();
        json!({ "blocks": shares.len(), "full": full, "limit_bytes": limit, "sizes_and_transactions": shares })
    })
}

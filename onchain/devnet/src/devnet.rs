//! A running devnet: the chain's core with a clock, a ticker, and the HTTP server.

mod config;
mod node;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use nunet_ledger::{Address, Credential, Lovelace, OutPoint, SlotConfig, TxId, TxOut, Value};
use tokio::{net::TcpListener, runtime::Handle, task::JoinSet, time};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    chain::{Applied, DroppedTransactions, Rollback, Tip},
    http, server,
};
pub use config::{BLOCK_INTERVAL, DevnetConfig, DevnetError, LAST_SECOND, MAX_ADVANCE, MAX_BLOCKS_PER_CALL};
pub(crate) use node::{Node, blocking};

/// A Cardano devnet in this process. Dropping it stops it; [`Devnet::shutdown`] also waits.
#[derive(Debug)]
pub struct Devnet {
    address: SocketAddr,
    node: Arc<Node>,
    tasks: JoinSet<()>,
    stop: DropGuard,
}

impl Devnet {
    /// Starts a chain, or goes on with the one in the configuration's folder, with its ticker and its HTTP server.
    pub async fn start(config: DevnetConfig) -> Result<Self, DevnetError> {
        let (listen, block_interval) = (config.listen, config.block_interval);
        if block_interval.is_some_and(|interval| interval < Duration::from_millis(1)) {
            return Err(DevnetError::NoInterval);
        }
        let listener = TcpListener::bind(listen).await.map_err(|reason| DevnetError::Listen { listen, reason })?;
        let address = listener.local_addr().map_err(|reason| DevnetError::Listen { listen, reason })?;
        let runtime = Handle::current();
        let node = Arc::new(blocking(move || Node::open(config, runtime)).await??);

        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(server::serve(listener, http::router(node.clone()), stop.clone()));
        if let Some(interval) = block_interval {
            tasks.spawn(tick_until(node.clone(), interval, stop.clone()));
        }
        tracing::info!(%address, height = node.history().tip().height, "devnet started");
        Ok(Self { address, node, tasks, stop: stop.drop_guard() })
    }

    /// The base URL of the Blockfrost API, with the port that was taken.
    pub fn url(&self) -> String {
        format!("http://{}/api/v0", self.address)
    }

    /// The API as a service, for embedding it in another server.
    pub fn router(&self) -> axum::Router {
        http::router(self.node.clone())
    }

    /// Every unspent output of confirmed transactions, in the order of outpoints.
    pub fn snapshot(&self) -> Vec<(OutPoint, TxOut)> {
        self.node.history().unspent().into_iter().collect()
    }

    /// The latest block.
    pub fn latest(&self) -> Tip {
        self.node.history().tip()
    }

    /// The slots of the chain.
    pub fn slots(&self) -> SlotConfig {
        self.node.slots()
    }

    /// Every confirmed transaction in order, the genesis first.
    pub fn transactions(&self) -> Vec<Arc<Applied>> {
        self.node.history().transactions().iter().map(|record| record.applied.clone()).collect()
    }

    /// One confirmed transaction.
    pub fn transaction(&self, id: &TxId) -> Option<Arc<Applied>> {
        self.node.history().transaction(id).map(|record| record.applied.clone())
    }

    /// Moves the clock forward and makes a block at the new time; what waits in the mempool gets a block at the old
    /// time first. Returns the new latest block.
    pub async fn advance(&self, by: Duration) -> Result<Tip, DevnetError> {
        self.node.clone().advance(by).await
    }

    /// Makes blocks now, of the slot that the clock is in, and returns the last: 1 to [`MAX_BLOCKS_PER_CALL`].
    pub async fn make_blocks(&self, count: u64) -> Result<Tip, DevnetError> {
        self.node.clone().make_blocks(count).await
    }

    /// Takes the latest blocks back: at most [`crate::MAX_ROLLBACK`], and never the genesis.
    ///
    /// Their rewards are taken back with them. The clock goes on: a block that is made again has a later slot, if not
    /// the same, and always another hash. What waits for a block afterwards and is no longer valid is dropped.
    pub async fn rollback(&self, blocks: u64, dropped: DroppedTransactions) -> Result<Rollback, DevnetError> {
        self.node.clone().rollback(blocks, dropped).await
    }

    /// Pays an address from the faucet; the transaction waits for the next block. At most
    /// [`crate::MAX_FAUCET_LOVELACE`] at once.
    pub async fn faucet(&self, to: &Address, value: Value) -> Result<TxId, DevnetError> {
        self.node.clone().pay_from_faucet(to.clone(), value).await
    }

    /// Pays rewards into a stake account, as the end of an epoch does on other networks, and makes a block.
    pub async fn pay_rewards(&self, account: Credential, rewards: Lovelace) -> Result<Tip, DevnetError> {
        self.node.clone().pay_rewards(account, rewards).await
    }

    /// Stops the server and the ticker, waits until both have ended, and lets go of the data folder.
    pub async fn shutdown(self) {
        let Self { mut tasks, stop, address, node } = self;
        drop(stop);
        while tasks.join_next().await.is_some() {}
        if let Some(node) = Arc::into_inner(node) {
            node.close().await;
        }
        tracing::info!(%address, "devnet stopped");
    }
}

async fn tick_until(node: Arc<Node>, interval: Duration, stop: CancellationToken) {
    let mut ticks = time::interval(interval);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    // The first tick comes at once, and the latest block has just been made.
    ticks.tick().await;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let node = node.clone();
        // The next tick tries again.
        if let Ok(Err(error)) = blocking(move || node.tick()).await {
            tracing::error!(%error, "no block was made");
        }
    }
}

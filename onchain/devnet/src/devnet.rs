//! A running devnet: the chain's core with a clock, a ticker, and the HTTP server.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nunet_ledger::{Credential, Lovelace, OutPoint, PosixMs, SlotConfig, TxId, TxOut, parameters::ProtocolParameters};
use tokio::{
    net::TcpListener,
    task::{JoinSet, spawn_blocking},
    time,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    chain::{Applied, Chain, SLOT_LENGTH_MS, SubmitError, Tip},
    genesis::{Genesis, GenesisError},
    history::History,
    http, server,
};

/// The farthest that one call can advance the clock: ten years.
pub const MAX_ADVANCE: Duration = Duration::from_secs(10 * 366 * 24 * 3_600);

/// The latest time that a block can have, in seconds since 1970: clients of the Blockfrost API hold times in 31 bits.
pub const LAST_SECOND: u64 = (1 << 31) - 1;

/// How a devnet runs.
#[derive(Clone, Debug)]
pub struct DevnetConfig {
    /// Where to serve HTTP; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Time between two blocks.
    pub block_interval: Duration,
    /// What the chain starts from.
    pub genesis: Genesis,
    /// The protocol parameters, the same in every epoch.
    pub params: ProtocolParameters,
}

impl Default for DevnetConfig {
    /// A free port of the loopback interface, a block per second, nobody funded, mainnet's parameters.
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            block_interval: Duration::from_secs(1),
            genesis: Genesis::default(),
            params: ProtocolParameters::mainnet(),
        }
    }
}

/// Why a devnet did not start, or did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum DevnetError {
    /// The address is taken or not ours.
    #[error("cannot listen on {listen}: {reason}; choose another address or port 0")]
    Listen {
        /// Where.
        listen: SocketAddr,
        /// Why not.
        reason: std::io::Error,
    },
    /// The genesis is wrong.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// A block interval of zero.
    #[error("the block interval is zero; choose at least a millisecond")]
    NoInterval,
    /// The clock was to jump too far.
    #[error(
        "the clock cannot advance by {} s: one call takes at most {} s, and no block may be later than second \
         {LAST_SECOND} of 1970's count; advance by less",
        by.as_secs(), MAX_ADVANCE.as_secs()
    )]
    AdvanceTooFar {
        /// How far.
        by: Duration,
    },
    /// Rewards for nobody.
    #[error("no stake account of {account:?} is registered; register it before it gets rewards")]
    NotRegistered {
        /// Whose account.
        account: Credential,
    },
    /// A task ended before its time.
    #[error("the devnet is shutting down; start another one")]
    Stopped,
}

/// A Cardano devnet in this process. Dropping it stops it; [`Devnet::shutdown`] also waits.
#[derive(Debug)]
pub struct Devnet {
    address: SocketAddr,
    node: Arc<Node>,
    tasks: JoinSet<()>,
    stop: DropGuard,
}

/// What the ticker and the handlers share.
#[derive(Debug)]
pub(crate) struct Node {
    /// Held while a transaction is validated or a block is made. Taken before `history`, never while holding it.
    chain: Mutex<Chain>,
    /// Confirmed blocks only, so that reads never wait for a script.
    history: RwLock<History>,
    slots: SlotConfig,
    params: ProtocolParameters,
    /// How far the devnet's clock is ahead of the wall clock, in milliseconds.
    ahead_ms: AtomicU64,
}

impl Devnet {
    /// Starts a chain, its ticker and its HTTP server.
    pub async fn start(config: DevnetConfig) -> Result<Self, DevnetError> {
        let DevnetConfig { listen, block_interval, genesis, params } = config;
        if block_interval < Duration::from_millis(1) {
            return Err(DevnetError::NoInterval);
        }
        // Slots begin on whole seconds: the API shows times in seconds.
        let start = PosixMs(wall_clock_ms() / 1_000 * 1_000);
        let node = Arc::new(Node::new(&genesis, params, start)?);
        let listener = TcpListener::bind(listen).await.map_err(|reason| DevnetError::Listen { listen, reason })?;
        let address = listener.local_addr().map_err(|reason| DevnetError::Listen { listen, reason })?;

        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(server::serve(listener, http::router(node.clone()), stop.clone()));
        tasks.spawn(tick_until(node.clone(), block_interval, stop.clone()));
        tracing::info!(%address, "devnet started");
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
        self.node.slots
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

    /// Pays rewards into a stake account, as the end of an epoch does on other networks, and makes a block.
    pub async fn pay_rewards(&self, account: Credential, rewards: Lovelace) -> Result<Tip, DevnetError> {
        let node = self.node.clone();
        blocking(move || {
            let mut chain = node.chain();
            chain.pay_rewards(&account, rewards).ok_or(DevnetError::NotRegistered { account })?;
            Ok(node.make_block(&mut chain))
        })
        .await?
    }

    /// Stops the server and the ticker and waits until both have ended.
    pub async fn shutdown(self) {
        let Self { mut tasks, stop, address, .. } = self;
        drop(stop);
        while tasks.join_next().await.is_some() {}
        tracing::info!(%address, "devnet stopped");
    }
}

impl Node {
    fn new(genesis: &Genesis, params: ProtocolParameters, start: PosixMs) -> Result<Self, GenesisError> {
        let (chain, block) = Chain::new(genesis, params.clone(), start)?;
        let slots = chain.slots();
        let mut history = History::new(start);
        history.append(block);
        let ahead_ms = AtomicU64::new(0);
        Ok(Self { chain: Mutex::new(chain), history: RwLock::new(history), slots, params, ahead_ms })
    }

    /// What is confirmed. Take it once per request: a second read in the same thread could wait for a writer that
    /// waits for the first.
    pub(crate) fn history(&self) -> RwLockReadGuard<'_, History> {
        self.history.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn slots(&self) -> SlotConfig {
        self.slots
    }

    pub(crate) fn params(&self) -> &ProtocolParameters {
        &self.params
    }

    /// The devnet's clock: the wall clock plus what `advance` added.
    pub(crate) fn now(&self) -> PosixMs {
        let now = wall_clock_ms().saturating_add(self.ahead_ms.load(Ordering::SeqCst));
        // The last slot takes all later time.
        PosixMs(now.min(LAST_SECOND * 1_000))
    }

    /// What waits for a block, in order.
    pub(crate) async fn mempool(self: Arc<Self>) -> Result<Vec<TxId>, DevnetError> {
        blocking(move || self.chain().mempool().collect()).await
    }

    /// Validates a transaction and takes it into the mempool.
    pub(crate) async fn submit(self: Arc<Self>, cbor: Vec<u8>) -> Result<Result<TxId, SubmitError>, DevnetError> {
        blocking(move || {
            let mut chain = self.chain();
            let now = self.now();
            chain.submit(cbor, now)
        })
        .await
    }

    /// See [`Devnet::advance`].
    pub(crate) async fn advance(self: Arc<Self>, by: Duration) -> Result<Tip, DevnetError> {
        blocking(move || {
            let mut chain = self.chain();
            let target = u128::from(self.now().0) + by.as_millis();
            if by > MAX_ADVANCE || target > u128::from(LAST_SECOND) * 1_000 {
                return Err(DevnetError::AdvanceTooFar { by });
            }
            if chain.mempool().next().is_some() {
                self.make_block(&mut chain);
            }
            // Bounded by MAX_ADVANCE, so it fits.
            self.ahead_ms.fetch_add(u64::try_from(by.as_millis()).unwrap_or(0), Ordering::SeqCst);
            Ok(self.make_block(&mut chain))
        })
        .await?
    }

    fn tick(&self) {
        self.make_block(&mut self.chain());
    }

    fn make_block(&self, chain: &mut Chain) -> Tip {
        let block = chain.tick(self.now());
        let tip = block.tip;
        if !block.transactions.is_empty() {
            tracing::debug!(height = tip.height, slot = tip.slot.0, transactions = block.transactions.len(), "block");
        }
        self.history.write().unwrap_or_else(PoisonError::into_inner).append(block);
        tip
    }

    fn chain(&self) -> MutexGuard<'_, Chain> {
        // Validation only reads the state, so a panic in it leaves nothing half done.
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs what may take long (scripts) where it holds up no other task.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, DevnetError> {
    spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "work on the chain did not finish");
        DevnetError::Stopped
    })
}

async fn tick_until(node: Arc<Node>, interval: Duration, stop: CancellationToken) {
    let mut ticks = time::interval(interval);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    // The first tick comes at once, and the genesis has just been made.
    ticks.tick().await;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let node = node.clone();
        // A failure is logged, and the next tick tries again.
        let _ = blocking(move || node.tick()).await;
    }
}

fn wall_clock_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

const _: () = assert!(SLOT_LENGTH_MS == 1_000, "the devnet starts slots on whole seconds");

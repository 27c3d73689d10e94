//! What the ticker and the handlers share: the chain, its index, its store and its clock.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nunet_ledger::{Address, Credential, Lovelace, PosixMs, SlotConfig, TxId, Value, parameters::ProtocolParameters};
use tokio::{runtime::Handle, task::spawn_blocking};

use super::config::{DevnetConfig, DevnetError, LAST_SECOND, MAX_ADVANCE, MAX_BLOCKS_PER_CALL};
use crate::{
    chain::{Block, Chain, DroppedTransactions, Rollback, SLOT_LENGTH_MS, SubmitError, Tip},
    faucet::{Faucet, FaucetError},
    history::History,
    metrics::Metrics,
    store::{Clockwork, Identity, Store, StoreError},
};

/// What the ticker and the handlers share.
#[derive(Debug)]
pub(crate) struct Node {
    /// Held while a transaction is validated or a block is made. Taken before `history`, never while holding it.
    core: Mutex<Core>,
    /// Confirmed blocks only, so that reads never wait for a script.
    history: RwLock<History>,
    slots: SlotConfig,
    params: ProtocolParameters,
    /// How far the devnet's clock is ahead of the wall clock, in milliseconds.
    ahead_ms: AtomicU64,
    metrics: Metrics,
}

/// What changes together.
#[derive(Debug)]
struct Core {
    chain: Chain,
    store: Option<Store>,
    faucet: Option<Faucet>,
}

impl Node {
    /// A new chain, or the one in the configuration's folder. Blocks its thread; `runtime` runs the store's IO.
    pub(super) fn open(config: DevnetConfig, runtime: Handle) -> Result<Self, DevnetError> {
        let DevnetConfig { mut genesis, params, faucet, data, .. } = config;
        let faucet = faucet.map(|funds| Faucet::funded(&mut genesis, funds));
        let mut store = data.map(|folder| Store::open(&folder, runtime)).transpose()?;
        // Slots begin on whole seconds: the API shows times in seconds.
        let new = Clockwork { start: PosixMs(wall_clock_ms() / 1_000 * 1_000), ahead_ms: 0, fork: 0 };
        let clockwork = match &mut store {
            Some(store) => store.begin(Identity::of(&genesis.transaction()?.id, &params), new)?,
            None => new,
        };
        let (mut chain, first) = Chain::new(&genesis, params.clone(), clockwork.start)?;
        let mut history = History::new(clockwork.start);
        history.append(first);
        if let Some(store) = &mut store {
            let path = store.path().to_owned();
            store.replay(|record| {
                let block = chain.replay(record);
                history.append(
                    block.map_err(|reason| StoreError::Replay { path: path.clone(), reason: Box::new(reason) })?,
                );
                Ok::<_, StoreError>(())
            })?;
        }
        chain.set_fork(clockwork.fork);
        let (slots, metrics) = (chain.slots(), Metrics::new());
        metrics.stands(chain.tip());
        Ok(Self {
            core: Mutex::new(Core { chain, store, faucet }),
            history: RwLock::new(history),
            slots,
            params,
            ahead_ms: AtomicU64::new(clockwork.ahead_ms),
            metrics,
        })
    }

    /// Closes the store. Every block is durable without it.
    pub(super) async fn close(self) {
        let core = self.core.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = core.store
            && let Err(error) = store.close().await
        {
            tracing::warn!(%error, "the data folder was not closed in order");
        }
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

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The devnet's clock: the wall clock plus what `advance` added.
    pub(crate) fn now(&self) -> PosixMs {
        let now = wall_clock_ms().saturating_add(self.ahead_ms.load(Ordering::SeqCst));
        // The last slot takes all later time.
        PosixMs(now.min(LAST_SECOND * 1_000))
    }

    /// What waits for a block, in order.
    pub(crate) async fn mempool(self: Arc<Self>) -> Result<Vec<TxId>, DevnetError> {
        blocking(move || self.core().chain.mempool().collect()).await
    }

    /// Validates a transaction and takes it into the mempool.
    pub(crate) async fn submit(self: Arc<Self>, cbor: Vec<u8>) -> Result<Result<TxId, SubmitError>, DevnetError> {
        blocking(move || self.take(&mut self.core(), cbor)).await
    }

    /// See [`super::Devnet::faucet`].
    pub(crate) async fn pay_from_faucet(self: Arc<Self>, to: Address, value: Value) -> Result<TxId, DevnetError> {
        blocking(move || {
            let mut core = self.core();
            let Core { chain, faucet, .. } = &mut *core;
            let faucet = faucet.as_mut().ok_or(FaucetError::None)?;
            let transaction = faucet.pay(chain.state(), &to, &value)?;
            let taken = self.take(&mut core, transaction);
            taken.map_err(|reason| FaucetError::Refused(Box::new(reason)).into())
        })
        .await?
    }

    /// See [`super::Devnet::advance`].
    pub(crate) async fn advance(self: Arc<Self>, by: Duration) -> Result<Tip, DevnetError> {
        blocking(move || {
            let mut core = self.core();
            let target = u128::from(self.now().0) + by.as_millis();
            if by > MAX_ADVANCE || target > u128::from(LAST_SECOND) * 1_000 {
                return Err(DevnetError::AdvanceTooFar { by });
            }
            if core.chain.mempool().next().is_some() {
                self.make_block(&mut core)?;
            }
            // Bounded by MAX_ADVANCE, so it fits.
            let by = u64::try_from(by.as_millis()).unwrap_or(0);
            let ahead = self.ahead_ms.load(Ordering::SeqCst).saturating_add(by);
            if let Some(store) = &mut core.store {
                store.set_ahead(ahead)?;
            }
            self.ahead_ms.store(ahead, Ordering::SeqCst);
            self.make_block(&mut core)
        })
        .await?
    }

    /// See [`super::Devnet::make_blocks`].
    pub(crate) async fn make_blocks(self: Arc<Self>, count: u64) -> Result<Tip, DevnetError> {
        if count > MAX_BLOCKS_PER_CALL {
            return Err(DevnetError::BlockCount { count });
        }
        blocking(move || {
            let mut latest = Err(DevnetError::BlockCount { count });
            for _ in 0..count {
                // The lock is free between two blocks, so that submissions get through.
                latest = Ok(self.make_block(&mut self.core())?);
            }
            latest
        })
        .await?
    }

    /// See [`super::Devnet::rollback`].
    pub(crate) async fn rollback(
        self: Arc<Self>,
        blocks: u64,
        dropped: DroppedTransactions,
    ) -> Result<Rollback, DevnetError> {
        blocking(move || {
            let mut core = self.core();
            let Core { chain, store, .. } = &mut *core;
            chain.check_rollback(blocks)?;
            if let Some(store) = store {
                store.rollback(chain.tip().height - blocks, chain.fork() + 1)?;
            }
            let done = chain.rollback(blocks, dropped, self.now())?;
            self.history_mut().rollback(blocks);
            self.metrics.rolled_back(done.tip, chain);
            tracing::info!(blocks, height = done.tip.height, transactions = done.dropped.len(), "rolled back");
            Ok(done)
        })
        .await?
    }

    /// See [`super::Devnet::pay_rewards`].
    pub(super) async fn pay_rewards(
        self: Arc<Self>,
        account: Credential,
        rewards: Lovelace,
    ) -> Result<Tip, DevnetError> {
        blocking(move || {
            let mut core = self.core();
            let block = core.chain.pay_rewards(account, rewards, self.now());
            self.publish(&mut core, block.ok_or(DevnetError::NotRegistered { account })?)
        })
        .await?
    }

    /// Makes the next block of what waits.
    pub(super) fn tick(&self) -> Result<Tip, DevnetError> {
        self.make_block(&mut self.core())
    }

    fn make_block(&self, core: &mut Core) -> Result<Tip, DevnetError> {
        let block = core.chain.tick(self.now());
        self.publish(core, block)
    }

    /// Writes the chain's latest block down, then shows it. When it cannot be written it never was: what it held waits
    /// again.
    fn publish(&self, core: &mut Core, block: Block) -> Result<Tip, DevnetError> {
        let Core { chain, store, .. } = core;
        let span = tracing::debug_span!("block", height = block.tip.height, slot = block.tip.slot.0);
        let _entered = span.enter();
        if let Some(store) = store {
            let began = Instant::now();
            if let Err(error) = store.append(&block) {
                chain.rollback(1, DroppedTransactions::Return, self.now())?;
                return Err(error.into());
            }
            self.metrics.stored(began.elapsed());
        }
        let (tip, transactions) = (block.tip, block.transactions.len());
        if transactions > 0 {
            tracing::debug!(transactions, "made");
        }
        self.history_mut().append(block);
        self.metrics.made(tip, transactions, chain);
        Ok(tip)
    }

    fn take(&self, core: &mut Core, cbor: Vec<u8>) -> Result<TxId, SubmitError> {
        let span = tracing::debug_span!("submission", bytes = cbor.len());
        let _entered = span.enter();
        let taken = core.chain.submit(cbor, self.now());
        self.metrics.submitted(&taken, &core.chain);
        match &taken {
            Ok(id) => tracing::debug!(tx = %id, "accepted"),
            Err(error) => tracing::debug!(%error, "refused"),
        }
        taken
    }

    fn history_mut(&self) -> RwLockWriteGuard<'_, History> {
        self.history.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        // Scripts and signatures only read the state, so a panic in them leaves nothing half done.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs what may take long (scripts, the disk) where it holds up no other task.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, DevnetError> {
    spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "work on the chain did not finish");
        DevnetError::Stopped
    })
}

fn wall_clock_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

const _: () = assert!(SLOT_LENGTH_MS == 1_000, "the devnet starts slots on whole seconds");

//! Following outputs and addresses: a subscription always holds the latest known state, with the block that it is of.
//!
//! ```text
//! Tracker::outpoint, ::address ─► Subscription ◄─ latest state ─┐
//!                                                               │
//!       endpoint ◄── questions ── one poller ── answers ──► Core (sans-IO)
//! ```
//!
//! Subscriptions are level-triggered: states in between may be skipped, the last one never is. Missed blocks, rollbacks and
//! lost requests delay the truth and never change it; see [`Core`] for how. While an endpoint cannot be read, the
//! last known state stays, and [`View::trouble`] says why it grows old.

mod core;
mod read;
mod state;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nunet_ledger::{Address, OutPoint};
use tokio::{
    sync::{Notify, Semaphore, watch},
    task::{JoinHandle, JoinSet},
};

pub(crate) use self::read::Heights;
pub use self::{
    core::{Answer, Ask, Change, Core, Presence, Seen},
    state::{AddressState, Deposit, Found, OutpointState, Reading, State, Target},
};
use crate::{chain::Chain, error::ChainError, wait::LONGEST_PAUSE};

/// Questions that are open at an endpoint at the same time.
const CONCURRENT_READS: usize = 8;

/// What is known about a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View<S> {
    /// The latest state and its block; `None` before the first look.
    pub seen: Option<Seen<S>>,
    /// Why the last attempt to read it failed, when it did: the state may have grown old.
    pub trouble: Option<String>,
}

impl<S> Default for View<S> {
    fn default() -> Self {
        Self { seen: None, trouble: None }
    }
}

/// The tracker is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tracker was stopped, so this state is no longer followed")]
pub struct Stopped;

/// Follows any number of outputs and addresses with one poller, which stops when this is dropped.
#[derive(Debug)]
pub struct Tracker {
    shared: Arc<Shared>,
    poller: JoinHandle<()>,
}

/// One followed target. Dropping it ends the following, unless somebody else subscribed to the same.
#[derive(Clone, Debug)]
pub struct Subscription<S> {
    receiver: watch::Receiver<View<S>>,
}

#[derive(Default)]
struct Shared {
    feeds: Mutex<Feeds>,
    /// A subscription came.
    wake: Notify,
}

#[derive(Default)]
struct Feeds {
    outpoints: BTreeMap<OutPoint, watch::Sender<View<OutpointState>>>,
    addresses: BTreeMap<Address, watch::Sender<View<AddressState>>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let feeds = self.feeds();
        let (outpoints, addresses) = (feeds.outpoints.len(), feeds.addresses.len());
        f.debug_struct("Feeds").field("outpoints", &outpoints).field("addresses", &addresses).finish()
    }
}

impl Tracker {
    /// Starts following; needs a running tokio runtime.
    pub fn start(chain: &Chain) -> Self {
        let shared = Arc::new(Shared::default());
        let poller = Poller { chain: chain.clone(), shared: shared.clone(), core: Core::default() };
        Self { shared, poller: tokio::spawn(poller.run()) }
    }

    /// Follows an output, which need not exist yet.
    pub fn outpoint(&self, outpoint: OutPoint) -> Subscription<OutpointState> {
        let receiver = self.shared.feeds().outpoints.entry(outpoint).or_default().subscribe();
        self.shared.wake.notify_one();
        Subscription { receiver }
    }

    /// Follows the unspent outputs at an address.
    pub fn address(&self, address: Address) -> Subscription<AddressState> {
        let receiver = self.shared.feeds().addresses.entry(address).or_default().subscribe();
        self.shared.wake.notify_one();
        Subscription { receiver }
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.poller.abort();
    }
}

impl<S: Clone> Subscription<S> {
    /// What is known now.
    pub fn latest(&mut self) -> View<S> {
        self.receiver.borrow_and_update().clone()
    }

    /// Waits until something changed since the last look, and returns the latest.
    pub async fn changed(&mut self) -> Result<View<S>, Stopped> {
        self.receiver.changed().await.map_err(|_| Stopped)?;
        Ok(self.latest())
    }

    /// Waits until the latest state is such. What was seen may be rolled back afterwards: ask for a depth.
    pub async fn until(&mut self, mut wanted: impl FnMut(&S) -> bool) -> Result<Seen<S>, Stopped> {
        let found = self.receiver.wait_for(|view| view.seen.as_ref().is_some_and(|seen| wanted(&seen.state))).await;
        found.map_err(|_| Stopped)?.seen.clone().ok_or(Stopped)
    }
}

impl Shared {
    fn feeds(&self) -> MutexGuard<'_, Feeds> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops the feeds that nobody reads, and returns the targets of the others.
    fn targets(&self) -> BTreeSet<Target> {
        let mut feeds = self.feeds();
        feeds.outpoints.retain(|_, feed| feed.receiver_count() > 0);
        feeds.addresses.retain(|_, feed| feed.receiver_count() > 0);
        let outpoints = feeds.outpoints.keys().copied().map(Target::Outpoint);
        outpoints.chain(feeds.addresses.keys().cloned().map(Target::Address)).collect()
    }

    fn publish(&self, target: &Target, seen: Seen<State>) {
        let at = seen.at;
        let feeds = self.feeds();
        match (target, seen.state) {
            (Target::Outpoint(outpoint), State::Outpoint(state)) => {
                feeds
                    .outpoints
                    .get(outpoint)
                    .into_iter()
                    .for_each(|feed| send(feed, Seen { at, state: state.clone() }));
            }
            (Target::Address(address), State::Address(state)) => {
                feeds.addresses.get(address).into_iter().for_each(|feed| send(feed, Seen { at, state: state.clone() }));
            }
            (target, state) => tracing::error!(?target, ?state, "a state of the wrong kind was dropped"),
        }
    }

    /// Lets those see the trouble whom it concerns: one target's followers, or all.
    fn report(&self, ask: &Ask, error: &ChainError) {
        let text = error.to_string();
        let feeds = self.feeds();
        match ask {
            Ask::Read(Target::Outpoint(outpoint)) => {
                feeds.outpoints.get(outpoint).into_iter().for_each(|feed| complain(feed, &text));
            }
            Ask::Read(Target::Address(address)) => {
                feeds.addresses.get(address).into_iter().for_each(|feed| complain(feed, &text));
            }
            Ask::Tip => {
                feeds.outpoints.values().for_each(|feed| complain(feed, &text));
                feeds.addresses.values().for_each(|feed| complain(feed, &text));
            }
            // Costs nobody a state.
            Ask::IsOnChain(_) => {}
        }
    }
}

fn send<S>(feed: &watch::Sender<View<S>>, seen: Seen<S>) {
    feed.send_replace(View { seen: Some(seen), trouble: None });
}

fn complain<S>(feed: &watch::Sender<View<S>>, text: &str) {
    feed.send_if_modified(|view| {
        let new = view.trouble.as_deref() != Some(text);
        if new {
            view.trouble = Some(text.to_owned());
        }
        new
    });
}

struct Poller {
    chain: Chain,
    shared: Arc<Shared>,
    core: Core,
}

impl Poller {
    async fn run(mut self) {
        let interval = self.chain.poll_interval();
        let mut pause = interval;
        loop {
            self.follow_subscriptions();
            if self.core.targets().next().is_none() {
                self.shared.wake.notified().await;
                continue;
            }
            pause = match self.look().await {
                Look::Answered => interval,
                Look::Unanswered => (pause * 2).min(LONGEST_PAUSE),
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.shared.wake.notified() => {}
            }
        }
    }

    fn follow_subscriptions(&mut self) {
        let wanted = self.shared.targets();
        let gone: Vec<Target> = self.core.targets().filter(|target| !wanted.contains(target)).cloned().collect();
        gone.iter().for_each(|target| self.core.unwatch(target));
        wanted.into_iter().for_each(|target| self.core.watch(target));
    }

    /// Asks until nothing is to be asked any more.
    async fn look(&mut self) -> Look {
        self.core.poll();
        let mut look = Look::Answered;
        loop {
            let asks = self.core.asks();
            if asks.is_empty() {
                return look;
            }
            for (ask, answer) in self.put(asks).await {
                let answer = answer.unwrap_or_else(|error| {
                    tracing::warn!(%error, ?ask, "the tracker got no answer, it will ask again");
                    self.shared.report(&ask, &error);
                    if ask == Ask::Tip {
                        look = Look::Unanswered;
                    }
                    Answer::Failed(ask)
                });
                for change in self.core.answer(answer) {
                    self.take(change);
                }
                let metrics = &self.chain.inner.transport.metrics;
                metrics.tracked.set(count(self.core.targets().count()));
                metrics.behind.set(count(self.core.behind()));
            }
        }
    }

    fn take(&self, change: Change) {
        match change {
            Change::Seen(target, seen) => self.shared.publish(&target, seen),
            Change::RolledBack(block) => {
                self.chain.inner.transport.metrics.rollbacks.inc();
                tracing::info!(block = %block.hash, height = block.height, "the latest block was rolled back");
            }
        }
    }

    /// Puts questions to the endpoint, some at a time.
    async fn put(&self, asks: Vec<Ask>) -> Vec<(Ask, Result<Answer, ChainError>)> {
        let places = Arc::new(Semaphore::new(CONCURRENT_READS));
        let mut open = JoinSet::new();
        for ask in asks {
            let (chain, places) = (self.chain.clone(), places.clone());
            open.spawn(async move {
                let _place = places.acquire_owned().await;
                let answer = chain.answer(&ask).await;
                (ask, answer)
            });
        }
        open.join_all().await
    }
}

fn count(targets: usize) -> i64 {
    i64::try_from(targets).unwrap_or(i64::MAX)
}

/// Whether the endpoint said which block is the latest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Answered,
    Unanswered,
}

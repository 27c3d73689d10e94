//! The one way to wait for the chain: look, and look again, until a condition holds or a limit is reached.

use std::{future::Future, time::Duration};

use nunet_ledger::{OutPoint, PosixMs, TxId};

use crate::{
    chain::{Chain, Confirmation, OutputState, Tip},
    error::ChainError,
};

/// How many looks in a row may fail for passing reasons before a wait gives up. Each has been retried already.
const MAX_TROUBLE: u32 = 5;

/// The longest pause between two tries to reach an endpoint that is down.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// When a wait gives up. Wall clocks have no say: chain time can stand still or jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Never, as long as the chain answers.
    Never,
    /// When the latest block is of this time or later.
    Until(PosixMs),
    /// After this many looks.
    Polls(u32),
}

impl Chain {
    /// Calls `check` with the tip, once per [`Chain::poll_interval`], until it returns a value. `what` is awaited, in
    /// words for the error. The first look is at once; the limit is only held against a tip that `check` has seen.
    pub async fn poll<T, F, Fut>(&self, what: &str, limit: Limit, mut check: F) -> Result<T, ChainError>
    where
        F: FnMut(Tip) -> Fut,
        Fut: Future<Output = Result<Option<T>, ChainError>>,
    {
        let (mut polls, mut trouble) = (0_u32, 0);
        loop {
            let look = async {
                let tip = self.tip().await?;
                Ok::<_, ChainError>((tip, check(tip).await?))
            };
            match look.await {
                Ok((_, Some(value))) => return Ok(value),
                Ok((tip, None)) => {
                    trouble = 0;
                    polls = polls.saturating_add(1);
                    let reached = match limit {
                        Limit::Never => None,
                        Limit::Until(time) => (tip.time >= time).then(|| format!("at chain time {} ms", tip.time.0)),
                        Limit::Polls(most) => (polls >= most).then(|| format!("after {polls} looks at the chain")),
                    };
                    if let Some(limit) = reached {
                        return Err(ChainError::TimedOut { what: what.into(), limit });
                    }
                }
                Err(error) if error.is_transient() && trouble < MAX_TROUBLE => {
                    trouble += 1;
                    tracing::warn!(%error, what, "the chain cannot be read, waiting on");
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(self.poll_interval()).await;
        }
    }

    /// Waits until a transaction is at least this deep (1: in the latest block).
    pub async fn wait_for(&self, id: &TxId, depth: u64, limit: Limit) -> Result<Confirmation, ChainError> {
        let what = format!("transaction {id} at depth {depth}");
        self.poll(&what, limit, |_| async {
            Ok(self.transaction(id).await?.filter(|confirmation| confirmation.depth >= depth))
        })
        .await
    }

    /// Reads from the chain until it answers. What must not end because an endpoint is down for a while, such as
    /// following money that is locked, goes through this.
    pub async fn persist<T, F, Fut>(&self, what: &str, mut read: F) -> T
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, ChainError>>,
    {
        let mut pause = self.poll_interval();
        loop {
            match read().await {
                Ok(value) => return value,
                Err(error) => tracing::warn!(%error, what, "the chain cannot be read, trying on"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The chain's time, that of its latest block, however long it takes to learn it.
    pub async fn time(&self) -> PosixMs {
        self.persist("the chain's time", || async { Ok(self.tip().await?.time) }).await
    }

    /// What the chain says about an output, however long it takes to learn it.
    pub async fn look_up(&self, outpoint: OutPoint) -> OutputState {
        self.persist("an output's state", || async move { self.output(&outpoint).await }).await
    }

    /// Waits until the latest block's time has reached `time`, riding out trouble with the endpoint.
    pub async fn wait_until(&self, time: PosixMs) {
        while self.time().await < time {
            tokio::time::sleep(self.poll_interval()).await;
        }
    }
}

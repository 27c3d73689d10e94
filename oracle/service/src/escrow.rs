//! Seeing the money: the escrow output on chain, exactly as agreed, before anybody works or signs.
//!
//! Everything here rides out trouble with the endpoint: a job whose money is locked ends when the chain says so, never
//! because a server was down for a while.

use std::time::Duration;

use nunet_chain::{Chain, ChainError, OutputState};
use nunet_ledger::{OutPoint, PosixMs, TxOut};

/// How many blocks an escrow must be deep before anybody relies on it.
pub const ESCROW_DEPTH: u64 = 1;
/// The longest pause between two tries to reach an endpoint that is down.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why there is no money to rely on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EscrowError {
    /// Something else is there.
    #[error("escrow {0}: address, value, datum or script are not as agreed")]
    Wrong(OutPoint),
    /// It was there.
    #[error("escrow {0} is already spent")]
    Spent(OutPoint),
    /// It is not there.
    #[error("escrow {0} did not appear by the agreed time")]
    NeverLocked(OutPoint),
}

/// Whether an output on chain is exactly the escrow that an agreement asks for: address, value, datum bytes, no
/// reference script. Anything else, and no work starts and nothing is signed.
pub fn is_exact_escrow(found: &TxOut, expected: &TxOut) -> bool {
    found == expected
}

/// Reads from the chain until it answers.
async fn persist<T, F, Fut>(what: &str, mut read: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, ChainError>>,
{
    let mut pause = Duration::from_millis(500);
    loop {
        match read().await {
            Ok(value) => return value,
            Err(error) => tracing::warn!(%error, what, "the chain cannot be read, trying on"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The chain's time: that of its latest block.
pub async fn chain_time(chain: &Chain) -> PosixMs {
    persist("the chain's time", || async { Ok(chain.tip().await?.time) }).await
}

/// What the chain says about an output.
pub async fn output_state(chain: &Chain, outpoint: OutPoint) -> OutputState {
    persist("an output's state", || chain.output(&outpoint)).await
}

/// Waits until the chain's time has reached `time`.
pub async fn wait_until(chain: &Chain, time: PosixMs) {
    while chain_time(chain).await < time {
        tokio::time::sleep(chain.poll_interval()).await;
    }
}

/// Waits until the escrow is on chain, exactly as expected and deep enough; gives up when the chain's time has passed
/// `until` without it. A rollback can take it away again: look once more before relying on it later.
pub async fn wait_for_escrow(
    chain: &Chain,
    escrow: OutPoint,
    expected: &TxOut,
    until: PosixMs,
) -> Result<(), EscrowError> {
    loop {
        match output_state(chain, escrow).await {
            OutputState::Unspent { output, .. } if !is_exact_escrow(&output, expected) => {
                return Err(EscrowError::Wrong(escrow));
            }
            OutputState::Unspent { depth, .. } if depth >= ESCROW_DEPTH => return Ok(()),
            OutputState::Spent { .. } => return Err(EscrowError::Spent(escrow)),
            OutputState::Unspent { .. } | OutputState::Unknown => {
                if chain_time(chain).await > until {
                    return Err(EscrowError::NeverLocked(escrow));
                }
            }
        }
        tokio::time::sleep(chain.poll_interval()).await;
    }
}

/// Whether the escrow is spent. An endpoint that does not know it (after a rollback, or because it lags) says nothing.
pub async fn is_spent(chain: &Chain, escrow: OutPoint) -> bool {
    matches!(output_state(chain, escrow).await, OutputState::Spent { .. })
}

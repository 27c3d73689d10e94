//! Seeing the money: the escrow output on chain, exactly as agreed, before anybody works or signs.
//!
//! Everything here rides out trouble with the endpoint: a job whose money is locked ends when the chain says so, never
//! because a server was down for a while.

use nunet_chain::{Chain, OutputState};
use nunet_ledger::{OutPoint, PosixMs, TxOut};

/// How many blocks an escrow must be deep before anybody relies on it.
pub const ESCROW_DEPTH: u64 = 1;

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

/// Waits until the escrow is on chain, exactly as expected and deep enough; gives up when the chain's time has passed
/// `until` without it. A rollback can take it away again: look once more before relying on it later.
pub async fn wait_for_escrow(
    chain: &Chain,
    escrow: OutPoint,
    expected: &TxOut,
    until: PosixMs,
) -> Result<(), EscrowError> {
    loop {
        match chain.look_up(escrow).await {
            OutputState::Unspent { output, .. } if !is_exact_escrow(&output, expected) => {
                return Err(EscrowError::Wrong(escrow));
            }
            OutputState::Unspent { depth, .. } if depth >= ESCROW_DEPTH => return Ok(()),
            OutputState::Spent { .. } => return Err(EscrowError::Spent(escrow)),
            OutputState::Unspent { .. } | OutputState::Unknown => {
                if chain.time().await > until {
                    return Err(EscrowError::NeverLocked(escrow));
                }
            }
        }
        tokio::time::sleep(chain.poll_interval()).await;
    }
}

/// Whether the escrow is spent. An endpoint that does not know it (after a rollback, or because it lags) says nothing.
pub async fn is_spent(chain: &Chain, escrow: OutPoint) -> bool {
    matches!(chain.look_up(escrow).await, OutputState::Spent { .. })
}

/// Waits until the escrow is spent.
pub async fn wait_until_spent(chain: &Chain, escrow: OutPoint) {
    while !is_spent(chain, escrow).await {
        tokio::time::sleep(chain.poll_interval()).await;
    }
}

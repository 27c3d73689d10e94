//! Seeing the money: the escrow output on chain, exactly as agreed, before anybody works or signs.

use nunet_chain::{Chain, ChainError, Limit, OutputState};
use nunet_ledger::{OutPoint, PosixMs, TxOut};

/// How many blocks an escrow must be deep before anybody relies on it.
pub const ESCROW_DEPTH: u64 = 1;

/// Why there is no money to rely on.
#[derive(Debug, thiserror::Error)]
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
    /// The chain's endpoint.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// Whether an output on chain is exactly the escrow that an agreement asks for: address, value, datum bytes, no
/// reference script. Anything else, and no work starts and nothing is signed.
pub fn is_exact_escrow(found: &TxOut, expected: &TxOut) -> bool {
    found == expected
}

/// Waits until the escrow is on chain, exactly as expected and deep enough; gives up when the chain's time has passed
/// `until` without it.
pub async fn wait_for_escrow(
    chain: &Chain,
    escrow: OutPoint,
    expected: &TxOut,
    until: PosixMs,
) -> Result<(), EscrowError> {
    let what = format!("escrow {escrow}");
    let seen = chain.poll(&what, Limit::Never, async |tip| {
        Ok(match chain.output(&escrow).await? {
            OutputState::Unspent { output, .. } if !is_exact_escrow(&output, expected) => {
                Some(Err(EscrowError::Wrong(escrow)))
            }
            OutputState::Unspent { depth, .. } => (depth >= ESCROW_DEPTH).then_some(Ok(())),
            OutputState::Spent { .. } => Some(Err(EscrowError::Spent(escrow))),
            OutputState::Unknown => (tip.time > until).then_some(Err(EscrowError::NeverLocked(escrow))),
        })
    });
    seen.await?
}

/// Whether the escrow is still there, exactly as expected.
pub async fn is_unspent(chain: &Chain, escrow: OutPoint, expected: &TxOut) -> Result<bool, ChainError> {
    // A poll of one successful look rides out passing trouble with the endpoint.
    chain
        .poll("the escrow's state", Limit::Never, async |_| {
            let state = chain.output(&escrow).await?;
            Ok(Some(matches!(state, OutputState::Unspent { output, .. } if is_exact_escrow(&output, expected))))
        })
        .await
}

//! What can go wrong between us and the chain.

use std::time::Duration;

use nunet_ledger::{OutPoint, TxId};

use crate::{
    build::BuildError,
    signed::{CheckError, FileError},
};

/// Why the chain did not answer, or did not take a transaction.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The base URL or the project id is not usable.
    #[error("the chain endpoint {url:?} cannot be used: {reason}")]
    BadEndpoint {
        /// The base URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// Nobody answered, after retries.
    #[error(
        "the chain endpoint did not answer {path} after {attempts} attempts: {reason}; check the URL and the network"
    )]
    Unreachable {
        /// What was asked.
        path: String,
        /// How often.
        attempts: u32,
        /// The last failure.
        reason: String,
    },
    /// The server answered with an error status.
    #[error("the chain endpoint answered {path} with status {status}: {message}{}", advice(*status))]
    Status {
        /// What was asked.
        path: String,
        /// The HTTP status.
        status: u16,
        /// What the server says about it, shortened.
        message: String,
    },
    /// The answer is not what the API promises.
    #[error("the answer of the chain endpoint to {path} cannot be used: {reason}; is it a Blockfrost-compatible API?")]
    Malformed {
        /// What was asked.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What was there a moment ago is not any more.
    #[error("the chain moved while it was read: {path} is gone; ask again")]
    Moved {
        /// What was asked.
        path: String,
    },
    /// The ledger refused the transaction.
    #[error("the ledger refused transaction {id}: {message}")]
    Rejected {
        /// The transaction.
        id: TxId,
        /// The ledger's words.
        message: String,
    },
    /// A transaction was sent, and no answer tells whether it was taken.
    #[error(
        "it is not clear whether transaction {id} was taken ({reason}): wait until it is in a block or can no longer come \
         into one, or send the same again; another payment instead may pay twice"
    )]
    Unclear {
        /// The transaction.
        id: TxId,
        /// What happened.
        reason: String,
    },
    /// The bytes to submit are no transaction.
    #[error("cannot submit these {length} bytes: they are no transaction")]
    NotATransaction {
        /// How many bytes they are.
        length: usize,
    },
    /// A wait reached its limit.
    #[error("gave up waiting for {what} {limit}")]
    TimedOut {
        /// For what.
        what: String,
        /// The limit that was reached, in words.
        limit: String,
    },
    /// An output whose contents are needed is not on chain.
    #[error("output {0} is not on chain (yet): wait for its transaction or check the outpoint")]
    MissingOutput(OutPoint),
    /// An output whose contents are needed is spent.
    #[error("output {outpoint} was spent by transaction {by}")]
    SpentOutput {
        /// The output.
        outpoint: OutPoint,
        /// What spent it.
        by: TxId,
    },
    /// A computation ended without a result.
    #[error("building the transaction was cut short: {0}")]
    Aborted(String),
    /// The plan cannot be paid for, or its scripts fail.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A transaction and the outputs behind it do not fit together.
    #[error(transparent)]
    File(#[from] FileError),
    /// The finished transaction breaks a ledger rule; it was not sent.
    #[error(transparent)]
    Check(#[from] CheckError),
}

impl ChainError {
    /// Whether the same call can succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Moved { .. } | Self::Unclear { .. } => true,
            Self::Status { status, .. } => is_transient_status(*status),
            _ => false,
        }
    }
}

impl ChainError {
    /// Whether a submission that ended so may have been taken all the same. Refusals by status are definite, but for those
    /// of a server in trouble.
    pub(crate) fn leaves_open(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Malformed { .. } | Self::Moved { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status < 400,
            _ => false,
        }
    }
}

/// Statuses after which the same request may succeed: a full mempool (425), rate limits and server trouble.
pub(crate) fn is_transient_status(status: u16) -> bool {
    matches!(status, 425 | 429) || status >= 500
}

/// What to do about a status that Blockfrost gives a meaning of its own (<https://docs.blockfrost.io>, "Errors").
fn advice(status: u16) -> &'static str {
    match status {
        402 => "; the plan's requests for today are used up: wait for tomorrow, or use another plan or endpoint",
        403 => "; check the project id, and that it is for the network of the base URL",
        404 => {
            "; check that the base URL ends with the API's version, such as /api/v0, and that this server has this call"
        }
        418 => "; this address is banned for a while, because it went on after 402 or 429: stop asking and wait",
        425 => "; the server's mempool is full: try again in a minute",
        429 => "; too many requests: ask more slowly, or set a rate limit for this endpoint",
        _ => "",
    }
}

/// The pause before attempt number `attempt` (from 1) is repeated: 0.2 s, doubling, less up to half of it by chance, so that
/// those who failed together do not come back together.
pub(crate) fn backoff(attempt: u32) -> Duration {
    let longest = 200 << attempt.saturating_sub(1).min(5);
    Duration::from_millis(rand::random_range(longest / 2..=longest))
}

//! How a devnet runs, and why it does not.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use nunet_ledger::{Credential, Value, parameters::ProtocolParameters};

use crate::{
    chain::RollbackError,
    faucet::FaucetError,
    genesis::{Genesis, GenesisError},
    store::StoreError,
};

/// The time between two blocks, unless a configuration says otherwise.
pub const BLOCK_INTERVAL: Duration = Duration::from_secs(1);

/// The farthest that one call can advance the clock: ten years.
pub const MAX_ADVANCE: Duration = Duration::from_secs(10 * 366 * 24 * 3_600);

/// The latest time that a block can have, in seconds since 1970: clients of the Blockfrost API hold times in 31 bits.
pub const LAST_SECOND: u64 = (1 << 31) - 1;

/// The most blocks that one call makes.
pub const MAX_BLOCKS_PER_CALL: u64 = 10_000;

/// How a devnet runs.
#[derive(Clone, Debug)]
pub struct DevnetConfig {
    /// Where to serve HTTP; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Time between two blocks; `None` for blocks on demand only.
    pub block_interval: Option<Duration>,
    /// What the chain starts from.
    pub genesis: Genesis,
    /// The protocol parameters, the same in every epoch.
    pub params: ProtocolParameters,
    /// What the faucet holds at the start, on top of the genesis; `None` for no faucet.
    pub faucet: Option<Value>,
    /// The folder that the chain lives in and goes on from; `None` keeps it in memory only.
    pub data: Option<PathBuf>,
}

impl Default for DevnetConfig {
    /// A free port of the loopback interface, a block per second, nobody funded, mainnet's parameters, no faucet, in
    /// memory.
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            block_interval: Some(BLOCK_INTERVAL),
            genesis: Genesis::default(),
            params: ProtocolParameters::mainnet(),
            faucet: None,
            data: None,
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
    /// The data folder cannot be used. What was to be written did not happen.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A block interval of zero.
    #[error("the block interval is zero; choose at least a millisecond, or none for blocks on demand")]
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
    /// None, or too many blocks at once.
    #[error("{count} blocks cannot be made in one call; ask for 1 to {MAX_BLOCKS_PER_CALL}")]
    BlockCount {
        /// How many were asked for.
        count: u64,
    },
    /// The chain cannot go back so far.
    #[error(transparent)]
    Rollback(#[from] RollbackError),
    /// The faucet did not pay.
    #[error(transparent)]
    Faucet(#[from] FaucetError),
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

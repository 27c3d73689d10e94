//! A Cardano devnet in one process: the ledger's rules behind the Blockfrost API.
//!
//! ```text
//!             submit                tick                 append
//!  HTTP  ───────────────▶  Chain  ────────▶  Block  ───────────────▶  History  ───────────────▶  HTTP
//!  POST /tx/submit         ledger state, mempool                      index of confirmed blocks   GET /…
//! ```
//!
//! [`Chain`] is the core and does no IO: transactions and the time come in, blocks go out. [`Devnet`] puts a clock, a
//! ticker and an HTTP server around it. Reads see confirmed blocks only, as Blockfrost's do; a transaction may spend
//! outputs of transactions that still wait in the mempool.
//!
//! A slot is a second, the network magic is 42, and time is the wall clock plus what [`Devnet::advance`] has added:
//! whoever needs a deadline to pass moves the clock instead of waiting.
//!
//! With a data folder every block is on disk before the API shows it, and a devnet that starts there again goes on
//! from the last.
//!
//! Differences from a real network: no rewards but those that [`Devnet::pay_rewards`] pays, rollbacks only on demand,
//! blocks without Cardano's headers, and the genesis is a transaction without inputs.

mod chain;
mod details;
mod devnet;
mod faucet;
mod genesis;
mod history;
mod http;
pub mod judge;
mod metrics;
mod server;
mod store;

pub use chain::{
    Applied, Block, BlockRecord, Chain, DroppedTransactions, MAX_ROLLBACK, MEMPOOL_BLOCKS, ReplayError, Rollback,
    RollbackError, SLOT_LENGTH_MS, SubmitError, Tip,
};
pub use devnet::{BLOCK_INTERVAL, Devnet, DevnetConfig, DevnetError, LAST_SECOND, MAX_ADVANCE, MAX_BLOCKS_PER_CALL};
pub use faucet::{FaucetError, MAX_FAUCET_LOVELACE, MAX_FAUCET_QUANTITY};
pub use genesis::{
    COLLATERAL_OUTPUT, Funding, Genesis, GenesisError, MAX_GENESIS_OUTPUTS, NTX_NAME, NTX_OUTPUT_LOVELACE,
    devnet_genesis, ntx_asset, ntx_policy,
};
pub use history::EPOCH_LENGTH;
pub use store::StoreError;

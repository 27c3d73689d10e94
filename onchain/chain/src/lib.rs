//! The way to the chain: access over the Blockfrost API, wallets, and transactions that pay for themselves.
//!
//! A plan (`nunet-contracts`) says what a transaction must contain; this crate finds the money, and brings it there:
//!
//! ```text
//! TxPlan ─► balance ─► Unsigned ─► sign_with ─► Signed ─► check ─► Chain::send ─► Chain::wait_for
//!             ▲                                             │
//!   Chain::spendable_at                       the ledger's rules, locally
//! ```
//!
//! Whoever signs sees in words what a transaction moves ([`Summary`]), on another machine too: an [`Unsigned`] travels as a
//! file. Keys are in a [`wallet`], encrypted at rest.
//!
//! [`submit_plan`] does all of it for one wallet, and [`batch`] closes any number of escrows with few of these. Several owners
//! pay into one transaction by [`with_shares`], and each signs a copy of it. A [`Tracker`] follows outputs and addresses
//! through rollbacks.
//!
//! The devnet and hosted or self-run endpoints are reached in the same way ([`Endpoint`]). Scripts are always evaluated here,
//! by the ledger's own machine, so that no endpoint has to. Where a server lacks something else, the next best answer is
//! used: what spent an output is then looked for among its address's transactions, and whether a mempool has a
//! transaction stays unknown. Deadlines are held against the time of the latest block ([`Tip::time`]), never against a wall
//! clock.

mod api;
pub mod batch;
mod build;
mod chain;
mod endpoint;
mod error;
mod metrics;
mod native;
mod outputs;
mod pending;
mod signed;
mod submit;
pub mod summary;
pub mod tracker;
mod transport;
mod wait;
pub mod wallet;

pub use build::{BuildError, ChangeStyle, ChangeTo, RefusedDraft, Share, Shortage, balance, balance_with, with_shares};
pub use chain::{AccountState, BlockHash, Chain, Confirmation, Outcome, OutputState, Tip, Utxo};
pub use endpoint::Endpoint;
pub use error::ChainError;
pub use signed::{CheckError, FileError, MAX_FILE, Proof, Resolved, Signed, Unsigned, check};
pub use submit::submit_plan;
pub use summary::Summary;
pub use tracker::Tracker;
pub use transport::RateLimit;
pub use wait::Limit;
pub use wallet::{Wallet, WalletError};

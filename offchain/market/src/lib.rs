//! Demands, quotes and agreements, without IO: what two strangers sign before money moves.
//!
//! ```text
//!  requester ── Demand ──▶ provider
//!  requester ◀── Quote ─── provider      signed by the provider
//!  requester ── Agreement ▶ provider     signed by both; its hash names the job and stands in the escrow's datum
//! ```
//!
//! Times are chain times. Everything signed is a blake2b-256 hash over a domain tag and fixed-width fields; what varies
//! in length is hashed first.

mod agreement;
mod cbor;
mod demand;
mod quote;
mod signing;

pub use agreement::{Agreement, AgreementError, MAX_ACCEPT_WINDOW_MS, MIN_SETTLE_TIME_MS, SignedAgreement};
pub use demand::{Demand, JobSpec};
pub use quote::{Quote, QuoteError, SignedQuote};
pub use signing::{BadSignature, PartyKey};

//! Requester and provider: from a demand to the end of an escrow.
//!
//! ```text
//!  Requester                         Provider                      committee
//!     │ demand ─────────────────────▶ │
//!     │ ◀─────────────────────  quote │
//!     │ agreement, signed ──────────▶ │ fetches, loads, signs
//!     │ locks on chain, tells ──────▶ │ and ───────────────────────▶ │
//!     │                               │ sees the exact escrow, runs  │
//!     │ ◀──────────────── commitment, then reveal ─────────────────▶ │
//!     │ ◀─────────── what each member found, what it signed ───────  │
//!     │                               │ settles on chain             │
//!     │ refunds after the deadline, whatever the others do           │
//! ```
//!
//! What is done next follows from what is on chain, so a missed message can delay a job and never strand its money.

mod blobs;
pub mod messages;
mod party;
mod provider;
mod requester;

pub use party::{AgentError, JobState, OpenJob, PartyConfig};
pub use provider::{Conduct, Offer, Provider, ProviderEvent};
pub use requester::{Job, JobReport, JobTimes, Policy, Requester, RequesterEvent};

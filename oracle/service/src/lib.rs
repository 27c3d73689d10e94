//! The oracle committee: members repeat what a provider claims to have computed, agree on what they found, and sign the
//! verdict that releases or refunds the money.
//!
//! [`ruling`] is the part without IO, from transcripts to a verdict; [`Member`] is the running service; [`Journal`]
//! makes sure that nothing is signed twice differently.

pub mod escrow;
pub mod journal;
pub mod member;
pub mod messages;
pub mod opening;
pub mod ruling;

pub use escrow::{ESCROW_DEPTH, EscrowError, is_exact_escrow, is_spent, wait_for_escrow, wait_until_spent};
pub use journal::{Journal, JournalError, Kind};
pub use member::{Member, MemberConfig, MemberError};
pub use ruling::{Docket, Judgement, RulingError, Rulings};

//! The protocol on Cardano, without IO: datums, redeemers, verdict messages, the compiled validators, and every
//! transaction as a pure function from typed inputs to a [`TxPlan`].
//!
//! ```text
//!  Protocol (validators for one network and token)
//!     │ publish_scripts, create_committee            → Deployment, Committee on chain
//!     │ lock(EscrowTerms) | lock_with_bond            → Escrow on chain
//!     ├ settle(Verdict, signatures) | accept | agree | redeem(Voucher) | refund
//!     │                                               → escrow gone, money where the datum says
//!     │ open_lease(LeaseTerms)                       → Lease on chain
//!     └ LeaseWays: claim | top_up | shorten | fault  → Lease again; close | agree → lease gone
//! ```

pub mod batch;
pub mod closing;
pub mod committee;
pub mod consent;
pub mod data;
pub mod fault;
pub mod job;
pub mod lease;
pub mod ntx;
pub mod plan;
pub mod protocol;
pub mod transactions;
pub mod verdict;
pub mod voucher;

pub use batch::{Obstacle, SignedVerdict};
pub use closing::Closing;
pub use committee::{CommitteeDatum, CommitteeId, MemberKey};
pub use consent::{Consents, ScriptConsent};
pub use data::DataError;
pub use fault::Fault;
pub use job::{AgreementHash, JobAction, JobDatum, SettleItem};
pub use lease::{
    Lease, LeaseAction, LeaseDatum,
    event::LeaseEvent,
    rent::{LeaseError, LeaseParty, LeaseState, Rate},
};
pub use ntx::Ntx;
pub use plan::{Mint, Spend, TxPlan, Withdrawal};
pub use protocol::{Committee, Deployment, Protocol, ProtocolError};
pub use transactions::{BondFunds, Closer, Escrow, EscrowTerms, LeaseTerms, LeaseWays, PlanError, Shortfall};
pub use verdict::{Leaf, Signatures, Verdict, VerdictError};
pub use voucher::{Voucher, voucher_message};

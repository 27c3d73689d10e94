//! Proofs of execution: what a provider commits to, and how members check it and decide about money.
//!
//! Nothing here does IO, reads a clock or draws randomness: salts, keys and times are passed in.
//!
//! ```text
//! provider                                          member
//! execute(model, inputs) ── Execution               execute(model, inputs) ── Execution
//!   │ commit(key, binding, salt)                                                 │
//!   ├─ Commitment ─────────────────────────────────▶ kept, nothing to copy yet   │
//!   └─ Reveal ─────────────────────────────────────▶ Commitment::open ── Opened  │
//!                                                                          └─────┤
//!                                                     Found::exact (check_exact) ◀┘
//!                                                       │ Transcript::sign
//! members exchange transcripts ◀────────────────────────┘
//!   │ decide(transcripts, committee, subject, terms)
//!   └─ Decision ─ EvidenceLeaf ─ EvidenceTree::root ─ the verdict that members sign
//! ```
//!
//! A [`Commitment`] or [`Transcript`] that exists has a valid signature: reading one from bytes checks it.

mod binding;
mod check;
mod commit;
mod decide;
mod equivocation;
mod evidence;
mod execute;
mod hash;
mod key;
mod merkle;
mod model;
mod record;
mod result;
mod trace;
mod transcript;
mod wire;

pub use binding::Binding;
pub use check::{Finding, FindingCode, ProofKind, Where, check_exact};
pub use commit::{Commitment, MAX_COMMITMENT_BYTES, MAX_REVEAL_BYTES, Opened, OpeningError, Reveal, Salt};
pub use decide::{Committee, CommitteeError, Decision, MAX_MEMBERS, NoDecision, Terms, amounts, decide};
pub use equivocation::{Equivocation, SignedOutcome, equivocation};
pub use evidence::{
    EVIDENCE_LEAF_BYTES, EvidenceError, EvidenceLeaf, EvidenceTree, MAX_EVIDENCE_LEAVES, verify_evidence,
};
pub use execute::{ExecutionError, execute};
pub use hash::{Hash32, ZERO};
pub use key::{BadSignature, PublicKey, Signature};
pub use merkle::{InclusionProof, Leaf, MAX_LEAF_BYTES, MerkleError, MerkleTree, RootHasher, RowLayout, Tree};
pub use model::model_root;
pub use record::{MAX_QUANTISERS, MAX_RECORDS, OpRecord, ScaleBits, trace_root};
pub use result::{MAX_RESULT_BYTES, ResultError, RunResult, input_hash};
pub use trace::{Execution, TooLarge, Tracer};
pub use transcript::{Found, MAX_TRANSCRIPT_BYTES, Subject, Timing, Transcript};
pub use wire::DecodeError;

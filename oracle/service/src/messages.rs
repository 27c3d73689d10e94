//! What parties and committee members send each other about a job, with the limits of each message.
//!
//! ```text
//!  requester, provider ── JobNotice ──▶ member     the agreement and where the money is
//!  provider ── Commit, then Reveal ───▶ member     and to the requester
//!  member ── Findings ────────────────▶ members and both parties
//!  member ── Propose ─────────────────▶ members    answered with the member's signature
//!  member ── Ruling ──────────────────▶ members and both parties
//! ```

use std::time::Duration;

use minicbor::{Decode, Encode};
use nunet_contracts::committee::MAX_MEMBERS;
use nunet_market::SignedAgreement;
use nunet_p2p::Request;
use nunet_proof::{MAX_COMMITMENT_BYTES, MAX_REVEAL_BYTES, MAX_TRANSCRIPT_BYTES};

/// The most bytes of a program, and of all inputs together: what a provider takes on, every member must fetch.
pub const MAX_BLOB_BYTES: usize = 256 * 1024 * 1024;

/// Room for CBOR heads and short fields around a payload.
const HEADROOM: usize = 256;
/// The most bytes of an agreement: fixed fields and two addresses.
const MAX_AGREEMENT_BYTES: usize = 2048;
const SHORT: Duration = Duration::from_secs(10);

/// The answer to a message that was taken note of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Noted;

/// Tells a member about a job: what was agreed, and where the money is said to be.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct JobNotice {
    /// What both sides signed.
    #[n(0)]
    pub agreement: SignedAgreement,
    /// The escrow's outpoint, in its fixed-width form.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub escrow: [u8; 34],
}

impl Request for JobNotice {
    const PROTOCOL: &'static str = "/nunet/1/job";
    const MAX_REQUEST: usize = MAX_AGREEMENT_BYTES + HEADROOM;
    const MAX_RESPONSE: usize = HEADROOM;
    const TIMEOUT: Duration = SHORT;
    type Response = Noted;
}

/// A provider's commitment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Commit {
    /// [`nunet_proof::Commitment`], encoded.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub commitment: Vec<u8>,
}

impl Request for Commit {
    const PROTOCOL: &'static str = "/nunet/1/commit";
    const MAX_REQUEST: usize = MAX_COMMITMENT_BYTES + HEADROOM;
    const MAX_RESPONSE: usize = HEADROOM;
    const TIMEOUT: Duration = SHORT;
    type Response = Noted;
}

/// What opens the commitment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RevealResult {
    /// The escrow's outpoint, in its fixed-width form.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub escrow: [u8; 34],
    /// [`nunet_proof::Reveal`], encoded.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub reveal: Vec<u8>,
}

impl Request for RevealResult {
    const PROTOCOL: &'static str = "/nunet/1/reveal";
    const MAX_REQUEST: usize = MAX_REVEAL_BYTES + HEADROOM;
    const MAX_RESPONSE: usize = HEADROOM;
    const TIMEOUT: Duration = Duration::from_secs(120);
    type Response = Noted;
}

/// What one member found.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Findings {
    /// [`nunet_proof::Transcript`], encoded with its signature.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub transcript: Vec<u8>,
}

impl Request for Findings {
    const PROTOCOL: &'static str = "/nunet/1/transcript";
    const MAX_REQUEST: usize = MAX_TRANSCRIPT_BYTES + HEADROOM;
    const MAX_RESPONSE: usize = HEADROOM;
    const TIMEOUT: Duration = SHORT;
    type Response = Noted;
}

/// The set of transcripts that a member proposes to rule by.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Propose {
    /// The escrow's outpoint, in its fixed-width form.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub escrow: [u8; 34],
    /// Encoded transcripts of distinct members, ascending by key, at least threshold.
    #[n(1)]
    pub transcripts: Vec<minicbor::bytes::ByteVec>,
}

impl Request for Propose {
    const PROTOCOL: &'static str = "/nunet/1/proposal";
    const MAX_REQUEST: usize = MAX_MEMBERS * (MAX_TRANSCRIPT_BYTES + 8) + HEADROOM;
    const MAX_RESPONSE: usize = 2048;
    const TIMEOUT: Duration = Duration::from_secs(60);
    type Response = Ruling;
}

/// One member's signature under the verdict for one escrow.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Ruling {
    /// The member.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub member: [u8; 32],
    /// [`nunet_proof::EvidenceLeaf`] in its fixed-width form.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub evidence: Vec<u8>,
    /// The signature over the verdict message.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub signature: [u8; 64],
}

impl Request for Ruling {
    const PROTOCOL: &'static str = "/nunet/1/verdict";
    const MAX_REQUEST: usize = 2048;
    const MAX_RESPONSE: usize = HEADROOM;
    const TIMEOUT: Duration = SHORT;
    type Response = Noted;
}

//! Equivocation: one key that signed two different outcomes for one outpoint.

use crate::{
    check::FindingCode,
    decide::{Terms, amounts},
    evidence::EvidenceLeaf,
    hash::Hash32,
    key::PublicKey,
    transcript::Transcript,
};

/// What a key's signature says about an outpoint. Take it only from something whose signature was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedOutcome {
    /// Who signed.
    pub member: PublicKey,
    /// The network's magic number.
    pub magic: u32,
    /// Transaction id (32 bytes), then output index (u16, big-endian).
    pub outpoint: [u8; 34],
    /// What the provider gets of the price, in NTX base units.
    pub paid: u64,
    /// What the provider loses of the bond, in NTX base units.
    pub slashed: u64,
    /// The finding.
    pub finding: FindingCode,
    /// The trace root.
    pub trace_root: Hash32,
}

/// In what two outcomes under one key differ: the first of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Equivocation {
    /// Different amounts paid.
    Paid,
    /// Different amounts slashed.
    Slashed,
    /// Different findings.
    Finding,
    /// Different trace roots.
    TraceRoot,
}

impl SignedOutcome {
    /// What a member that signed a verdict over this evidence says.
    pub fn of_evidence(member: PublicKey, leaf: &EvidenceLeaf) -> Self {
        Self {
            member,
            magic: leaf.subject.binding.magic,
            outpoint: leaf.subject.binding.outpoint,
            paid: leaf.paid,
            slashed: leaf.slashed,
            finding: leaf.finding,
            trace_root: leaf.trace_root,
        }
    }

    /// What a transcript says, with the amounts that its finding gives under the escrow's terms.
    pub fn of_transcript(transcript: &Transcript, terms: &Terms) -> Self {
        let found = transcript.found();
        let (paid, slashed) = amounts(found.finding().code(), terms);
        Self {
            member: *transcript.member(),
            magic: transcript.subject().binding.magic,
            outpoint: transcript.subject().binding.outpoint,
            paid,
            slashed,
            finding: found.finding().code(),
            trace_root: *found.trace_root(),
        }
    }
}

/// Whether one key signed two outcomes for one outpoint that cannot both be honest (`10-contracts.md`).
///
/// Another evidence root, batch or set of transcripts with the same outcome is none. Compare transcripts with
/// transcripts and evidence with evidence: a member to whom a bad opening came honestly signs a decision that says no
/// reveal.
pub fn equivocation(a: &SignedOutcome, b: &SignedOutcome) -> Option<Equivocation> {
    if (a.member, a.magic, a.outpoint) != (b.member, b.magic, b.outpoint) {
        return None;
    }
    let differences = [
        (a.paid != b.paid, Equivocation::Paid),
        (a.slashed != b.slashed, Equivocation::Slashed),
        (a.finding != b.finding, Equivocation::Finding),
        (a.trace_root != b.trace_root, Equivocation::TraceRoot),
    ];
    differences.into_iter().find_map(|(differs, what)| differs.then_some(what))
}

//! Evidence: the leaf that says all a verdict stands on, and the root over a batch that the members sign.

use crate::{
    binding::Binding,
    check::{FindingCode, ProofKind},
    decide::Decision,
    hash::{Hash32, SignedFields},
    merkle::{InclusionProof, Leaf, MerkleError, MerkleTree, Tree},
    transcript::Subject,
};

/// The most leaves of one verdict.
pub const MAX_EVIDENCE_LEAVES: usize = 256;

/// The width of an evidence leaf in bytes.
pub const EVIDENCE_LEAF_BYTES: usize = 360;

const DOMAIN: &str = "nunet/evidence/1";

/// What was decided about one escrow, and from what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvidenceLeaf {
    /// Escrow, agreement, kind of proof, program and input.
    pub subject: Subject,
    /// The finding, without its place, which the transcripts hold.
    pub finding: FindingCode,
    /// What the provider gets of the price, in NTX base units.
    pub paid: u64,
    /// What the provider loses of the bond, in NTX base units.
    pub slashed: u64,
    /// The model root of the agreed program.
    pub model_root: Hash32,
    /// The trace root that the provider committed to.
    pub trace_root: Hash32,
    /// How many op records it revealed.
    pub op_count: u32,
    /// The result hash that it committed to.
    pub result_hash: Hash32,
    /// blake2b-256 of the requester's address bytes.
    pub requester_address_hash: Hash32,
    /// Hash of the agreed set of transcripts: see [`Decision::transcripts`].
    pub transcripts: Hash32,
}

impl EvidenceLeaf {
    /// The leaf of a decision.
    pub fn new(subject: Subject, decision: &Decision, requester_address_hash: Hash32) -> Self {
        Self {
            subject,
            finding: decision.found.finding().code(),
            paid: decision.paid,
            slashed: decision.slashed,
            model_root: *decision.found.model_root(),
            trace_root: *decision.found.trace_root(),
            op_count: decision.found.op_count(),
            result_hash: *decision.found.result_hash(),
            requester_address_hash,
            transcripts: decision.transcripts,
        }
    }

    /// [`EVIDENCE_LEAF_BYTES`] bytes: `"nunet/evidence/1" ‖ magic u32 ‖ job script hash 28 ‖ outpoint 34 ‖ agreement 32
    /// ‖ kind u8 ‖ finding u8 ‖ paid u64 ‖ slashed u64 ‖ program hash 32 ‖ model root 32 ‖ input hash 32 ‖ trace root
    /// 32 ‖ op count u32 ‖ result hash 32 ‖ requester address hash 32 ‖ transcripts hash 32`.
    pub fn to_bytes(&self) -> Vec<u8> {
        SignedFields::new(DOMAIN)
            .binding(&self.subject.binding)
            .hash32(&self.subject.agreement)
            .u8(self.subject.kind.number())
            .u8(self.finding.number())
            .u64(self.paid)
            .u64(self.slashed)
            .hash32(&self.subject.program_hash)
            .hash32(&self.model_root)
            .hash32(&self.subject.input_hash)
            .hash32(&self.trace_root)
            .u32(self.op_count)
            .hash32(&self.result_hash)
            .hash32(&self.requester_address_hash)
            .hash32(&self.transcripts)
            .into_bytes()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) writes; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = Fields(bytes.strip_prefix(DOMAIN.as_bytes())?);
        let binding = Binding { magic: u32::from_be_bytes(rest.take()?), script: rest.take()?, outpoint: rest.take()? };
        let agreement = rest.hash32()?;
        let kind = ProofKind::from_number(u8::from_be_bytes(rest.take()?))?;
        let finding = FindingCode::from_number(u8::from_be_bytes(rest.take()?))?;
        let (paid, slashed) = (u64::from_be_bytes(rest.take()?), u64::from_be_bytes(rest.take()?));
        let (program_hash, model_root, input_hash) = (rest.hash32()?, rest.hash32()?, rest.hash32()?);
        let leaf = Self {
            subject: Subject { binding, agreement, kind, program_hash, input_hash },
            finding,
            paid,
            slashed,
            model_root,
            trace_root: rest.hash32()?,
            op_count: u32::from_be_bytes(rest.take()?),
            result_hash: rest.hash32()?,
            requester_address_hash: rest.hash32()?,
            transcripts: rest.hash32()?,
        };
        rest.0.is_empty().then_some(leaf)
    }
}

/// Fixed-width fields still to be read.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn hash32(&mut self) -> Option<Hash32> {
        self.take().map(Hash32)
    }
}

/// Why leaves are not the evidence of one verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// None, or too many.
    #[error("a verdict over {count} escrows is not allowed; it has 1 to {MAX_EVIDENCE_LEAVES}, split it")]
    Count {
        /// How many there are.
        count: usize,
    },
    /// Outpoints are not strictly ascending.
    #[error("the evidence for escrow {binding} is out of order or there twice; sort by outpoint")]
    Order {
        /// The first escrow that is not above the one before it.
        binding: Binding,
    },
    /// A verdict names one network and one script.
    #[error("the evidence for escrow {binding} is of another network or script; make it a verdict of its own")]
    OtherScript {
        /// The first escrow that differs from the first one.
        binding: Binding,
    },
    /// The tree refused a leaf.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
}

/// The tree over the evidence of one verdict, in outpoint order.
#[derive(Clone, Debug)]
pub struct EvidenceTree(MerkleTree);

impl EvidenceTree {
    /// The tree over leaves with strictly ascending outpoints, of one network and script.
    ///
    /// Leaf `i` is the leaf's bytes, tagged with row `i`. One leaf is a tree like any other: the root hashes the leaf's
    /// hash once more, with the number 1.
    ///
    /// # Errors
    /// [`EvidenceError`] when the leaves are not like that.
    pub fn new(leaves: &[EvidenceLeaf]) -> Result<Self, EvidenceError> {
        let count = leaves.len();
        if !(1..=MAX_EVIDENCE_LEAVES).contains(&count) {
            return Err(EvidenceError::Count { count });
        }
        for (leaf, next) in leaves.iter().zip(leaves.iter().skip(1)) {
            let (before, binding) = (leaf.subject.binding, next.subject.binding);
            if (before.magic, before.script) != (binding.magic, binding.script) {
                return Err(EvidenceError::OtherScript { binding });
            }
            if before.outpoint >= binding.outpoint {
                return Err(EvidenceError::Order { binding });
            }
        }
        let bytes: Vec<_> = leaves.iter().map(EvidenceLeaf::to_bytes).collect();
        let leaves =
            (0..).zip(&bytes).map(|(row, bytes)| Leaf::new(0, row, 0, bytes)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self(MerkleTree::new(Tree::Evidence, leaves)))
    }

    /// The evidence root, which the verdict message names.
    pub fn root(&self) -> Hash32 {
        self.0.root()
    }

    /// The path from the leaf at `index` to the root.
    ///
    /// # Errors
    /// [`MerkleError::NoSuchLeaf`] when there are not that many.
    pub fn open(&self, index: u64) -> Result<InclusionProof, MerkleError> {
        self.0.open(index)
    }
}

/// Checks that a leaf is in the evidence of a signed root.
///
/// # Errors
/// [`MerkleError`] when it is not.
pub fn verify_evidence(root: &Hash32, leaf: &EvidenceLeaf, proof: &InclusionProof) -> Result<(), MerkleError> {
    proof.verify(Tree::Evidence, root, &Leaf::new(0, proof.index, 0, &leaf.to_bytes())?)
}

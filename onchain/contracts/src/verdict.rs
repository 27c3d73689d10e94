//! What committee members sign: the verdict message over the leaves of a batch.
//!
//! `"nunet/verdict/1" ‖ magic u32 ‖ logic script hash 28 ‖ evidence root 32 ‖ blake2b-256(leaves)`, hashed with
//! blake2b-256, all integers big-endian. Signatures are Ed25519 (RFC 8032) over the 32-byte hash.

use std::collections::BTreeMap;

use nunet_ledger::{NetworkMagic, OutPoint, ScriptHash, hash::blake2b_256};

use crate::{committee::MemberKey, ntx::Ntx};

/// The most leaves in one verdict.
pub const MAX_LEAVES: usize = 256;

const DOMAIN: &[u8] = b"nunet/verdict/1";

/// Members' signatures over one verdict's message.
pub type Signatures = BTreeMap<MemberKey, [u8; 64]>;

/// The outcome for one escrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leaf {
    /// The escrow.
    pub escrow: OutPoint,
    /// What the provider gets of the price.
    pub paid: Ntx,
    /// What the provider loses of the bond.
    pub slashed: Ntx,
}

impl Leaf {
    /// Width of [`Leaf::to_bytes`].
    pub const WIDTH: usize = OutPoint::WIDTH + 16;

    /// Outpoint ‖ paid u64 ‖ slashed u64.
    pub fn to_bytes(self) -> [u8; Self::WIDTH] {
        let mut bytes = [0; Self::WIDTH];
        bytes[..34].copy_from_slice(&self.escrow.to_bytes());
        bytes[34..42].copy_from_slice(&self.paid.0.to_be_bytes());
        bytes[42..].copy_from_slice(&self.slashed.0.to_be_bytes());
        bytes
    }

    /// The inverse of [`Leaf::to_bytes`].
    pub fn from_bytes(bytes: [u8; Self::WIDTH]) -> Self {
        let mut escrow = [0; OutPoint::WIDTH];
        escrow.copy_from_slice(&bytes[..34]);
        let mut paid = [0; 8];
        paid.copy_from_slice(&bytes[34..42]);
        let mut slashed = [0; 8];
        slashed.copy_from_slice(&bytes[42..]);
        Self {
            escrow: OutPoint::from_bytes(escrow),
            paid: Ntx(u64::from_be_bytes(paid)),
            slashed: Ntx(u64::from_be_bytes(slashed)),
        }
    }
}

/// Why leaves make no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerdictError {
    /// None, or too many.
    #[error("a verdict has 1 to {MAX_LEAVES} leaves, not {0}")]
    LeafCount(usize),
    /// Two leaves for one escrow.
    #[error("two leaves of the verdict are for escrow {0}")]
    Duplicate(OutPoint),
}

/// A verdict: the leaves of a batch, in outpoint order, under one evidence root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    magic: NetworkMagic,
    logic: ScriptHash,
    evidence: [u8; 32],
    leaves: Vec<Leaf>,
}

impl Verdict {
    /// A verdict on this network under this version of the job logic; leaves in any order.
    pub fn new(
        magic: NetworkMagic,
        logic: ScriptHash,
        evidence: [u8; 32],
        mut leaves: Vec<Leaf>,
    ) -> Result<Self, VerdictError> {
        if leaves.is_empty() || leaves.len() > MAX_LEAVES {
            return Err(VerdictError::LeafCount(leaves.len()));
        }
        leaves.sort_by_key(|leaf| leaf.escrow);
        if let Some(pair) = leaves.windows(2).find(|pair| pair[0].escrow == pair[1].escrow) {
            return Err(VerdictError::Duplicate(pair[0].escrow));
        }
        Ok(Self { magic, logic, evidence, leaves })
    }

    /// The leaves, in outpoint order.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// The leaf of an escrow.
    pub fn leaf(&self, escrow: OutPoint) -> Option<&Leaf> {
        let place = self.leaves.binary_search_by_key(&escrow, |leaf| leaf.escrow).ok()?;
        self.leaves.get(place)
    }

    /// Whether it is for this network and this version of the job logic.
    pub fn is_under(&self, magic: NetworkMagic, logic: ScriptHash) -> bool {
        self.magic == magic && self.logic == logic
    }

    /// The evidence root.
    pub fn evidence(&self) -> &[u8; 32] {
        &self.evidence
    }

    /// The 32 bytes that a member signs.
    pub fn message(&self) -> [u8; 32] {
        let leaves: Vec<u8> = self.leaves.iter().flat_map(|leaf| leaf.to_bytes()).collect();
        let mut bytes = Vec::with_capacity(DOMAIN.len() + 4 + 28 + 32 + 32);
        bytes.extend_from_slice(DOMAIN);
        bytes.extend_from_slice(&self.magic.0.to_be_bytes());
        bytes.extend_from_slice(&self.logic.0);
        bytes.extend_from_slice(&self.evidence);
        bytes.extend_from_slice(&blake2b_256(&leaves));
        blake2b_256(&bytes)
    }
}

//! SHA-256 Merkle trees: tagged leaves, a shape that the number of leaves fixes, streaming roots, inclusion proofs.
//!
//! ```text
//! leaf  = SHA-256("leaf" ‖ op u32 ‖ row u64 ‖ chunk u32 ‖ length u32 ‖ bytes)
//! node  = SHA-256("node" ‖ left ‖ right)
//! root  = SHA-256("root" ‖ tree u32 ‖ leaves u64 ‖ top)           (no top when there is no leaf)
//! ```
//!
//! Each level pairs its hashes from the left; an odd last one moves up unchanged (the shape of RFC 6962). The root
//! hashes the number of leaves, so index and number fix a leaf's place, and the length of its path. All fields are
//! multiples of four bytes, big-endian: GPUs hash 32-bit words.

use minicbor::{
    Decoder, Encoder,
    encode::{Encode, Write},
};
use sha2::{Digest, Sha256};

use crate::{
    hash::Hash32,
    wire::{self, DecodeError},
};

/// The most bytes in a leaf.
pub const MAX_LEAF_BYTES: usize = 1024;

/// The longest path: leaves are counted with 64 bits.
const MAX_PATH: usize = 64;

/// The most bytes of an encoded [`InclusionProof`].
const MAX_PROOF_BYTES: usize = 24 + MAX_PATH * 34;

/// What a tree is over. Its number is hashed into the root, so a leaf of one kind proves nothing about another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Tree {
    /// Rows of the quantised input of one linear op.
    Rows = 1,
    /// Op records and result of one run.
    Trace = 2,
    /// Columns of the constant weight matrix of one linear op.
    Weights = 3,
    /// Weight matrices of one model.
    Model = 4,
    /// Evidence leaves of one verdict.
    Evidence = 5,
}

/// Why a leaf or a path was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// More bytes than a leaf holds.
    #[error("{len} bytes do not fit into a leaf, which holds {MAX_LEAF_BYTES}; cut them into chunks")]
    LeafTooLong {
        /// The number of bytes.
        len: usize,
    },
    /// There is no such leaf.
    #[error("there is no leaf {index} in a tree of {count}; ask for one below {count}")]
    NoSuchLeaf {
        /// The index asked for.
        index: u64,
        /// How many leaves there are.
        count: u64,
    },
    /// The path has another length than index and number of leaves ask for.
    #[error("a path of {len} hashes cannot lead to leaf {index} of {count}; reject what it should have proved")]
    PathLength {
        /// The path's length.
        len: usize,
        /// The leaf's index.
        index: u64,
        /// How many leaves there are.
        count: u64,
    },
    /// The path ends at another root.
    #[error("the path of leaf {index} of {count} ends at another root; reject what it should have proved")]
    OtherRoot {
        /// The leaf's index.
        index: u64,
        /// How many leaves there are.
        count: u64,
    },
}

/// A leaf before it is hashed: at most [`MAX_LEAF_BYTES`] bytes, tagged with what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf<'a> {
    op: u32,
    row: u64,
    chunk: u32,
    bytes: &'a [u8],
}

impl<'a> Leaf<'a> {
    /// Chunk `chunk` of row `row` of op `op`.
    ///
    /// # Errors
    /// [`MerkleError::LeafTooLong`] over [`MAX_LEAF_BYTES`] bytes.
    pub fn new(op: u32, row: u64, chunk: u32, bytes: &'a [u8]) -> Result<Self, MerkleError> {
        if bytes.len() > MAX_LEAF_BYTES {
            return Err(MerkleError::LeafTooLong { len: bytes.len() });
        }
        Ok(Self { op, row, chunk, bytes })
    }

    /// A leaf that is a hash, as trees over larger things have.
    pub(crate) fn digest(op: u32, digest: &'a Hash32) -> Self {
        Self { op, row: 0, chunk: 0, bytes: &digest.0 }
    }

    /// The leaf's hash.
    pub fn hash(&self) -> Hash32 {
        let mut header = [0; 24];
        header[..4].copy_from_slice(b"leaf");
        header[4..8].copy_from_slice(&self.op.to_be_bytes());
        header[8..16].copy_from_slice(&self.row.to_be_bytes());
        header[16..20].copy_from_slice(&self.chunk.to_be_bytes());
        header[20..].copy_from_slice(&(self.bytes.len() as u32).to_be_bytes());
        Hash32(Sha256::new().chain_update(header).chain_update(self.bytes).finalize().into())
    }
}

fn node(left: &Hash32, right: &Hash32) -> Hash32 {
    Hash32(Sha256::new().chain_update(b"node").chain_update(left.0).chain_update(right.0).finalize().into())
}

fn root(tree: Tree, count: u64, top: Option<&Hash32>) -> Hash32 {
    let mut hasher =
        Sha256::new().chain_update(b"root").chain_update((tree as u32).to_be_bytes()).chain_update(count.to_be_bytes());
    if let Some(top) = top {
        hasher.update(top.0);
    }
    Hash32(hasher.finalize().into())
}

/// Computes a root from leaves in order, and keeps one hash per level.
#[derive(Clone, Debug)]
pub struct RootHasher {
    tree: Tree,
    count: u64,
    /// Roots of the complete subtrees so far, largest first: one for each bit set in `count`.
    peaks: Vec<Hash32>,
}

impl RootHasher {
    /// A tree without leaves.
    pub fn new(tree: Tree) -> Self {
        Self { tree, count: 0, peaks: Vec::new() }
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: &Leaf<'_>) {
        let mut hash = leaf.hash();
        // Each trailing one of the count is a complete subtree that the new one completes a pair with.
        for _ in 0..self.count.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.count += 1;
    }

    /// The root over all leaves pushed.
    pub fn finish(self) -> Hash32 {
        let top = self.peaks.into_iter().rev().reduce(|right, left| node(&left, &right));
        root(self.tree, self.count, top.as_ref())
    }
}

/// A tree with all its hashes in memory, which can prove that a leaf is in it.
#[derive(Clone, Debug)]
pub struct MerkleTree {
    tree: Tree,
    /// Leaf hashes first, each next level half as long (rounded up), the top last.
    levels: Vec<Vec<Hash32>>,
}

impl MerkleTree {
    /// The tree over leaves in order.
    pub fn new<'a>(tree: Tree, leaves: impl IntoIterator<Item = Leaf<'a>>) -> Self {
        let mut level: Vec<Hash32> = leaves.into_iter().map(|leaf| leaf.hash()).collect();
        let mut levels = Vec::new();
        while level.len() > 1 {
            let above = level
                .chunks(2)
                .filter_map(|pair| match pair {
                    [left, right] => Some(node(left, right)),
                    odd => odd.first().copied(),
                })
                .collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        levels.push(level);
        Self { tree, levels }
    }

    /// How many leaves it has.
    pub fn count(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// Its root.
    pub fn root(&self) -> Hash32 {
        root(self.tree, self.count(), self.levels.last().and_then(|top| top.first()))
    }

    /// The path from leaf `index` to the root.
    ///
    /// # Errors
    /// [`MerkleError::NoSuchLeaf`] when the tree is not that large.
    pub fn open(&self, index: u64) -> Result<InclusionProof, MerkleError> {
        let count = self.count();
        if index >= count {
            return Err(MerkleError::NoSuchLeaf { index, count });
        }
        let path = self
            .levels
            .iter()
            .enumerate()
            .filter_map(|(height, level)| level.get((index >> height) as usize ^ 1).copied())
            .collect();
        Ok(InclusionProof { index, count, path })
    }
}

/// Where a leaf stands, and the hashes beside its way to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// The leaf's index.
    pub index: u64,
    /// How many leaves the tree has.
    pub count: u64,
    /// Sibling hashes, from the leaf upwards; a level on which the way has no sibling has no entry.
    pub path: Vec<Hash32>,
}

impl InclusionProof {
    /// Checks that `leaf` stands at this index in the tree of this root and number of leaves.
    ///
    /// The caller compares [`index`](Self::index) with the place where the leaf must stand: see [`RowLayout::place`].
    ///
    /// # Errors
    /// [`MerkleError`] when it does not.
    pub fn verify(&self, tree: Tree, expected: &Hash32, leaf: &Leaf<'_>) -> Result<(), MerkleError> {
        let (index, count) = (self.index, self.count);
        if index >= count {
            return Err(MerkleError::NoSuchLeaf { index, count });
        }
        let wrong_length = MerkleError::PathLength { len: self.path.len(), index, count };
        let (mut place, mut width) = (index, count);
        let mut path = self.path.iter();
        let mut hash = leaf.hash();
        while width > 1 {
            if place % 2 == 1 {
                hash = node(path.next().ok_or(wrong_length)?, &hash);
            } else if place + 1 < width {
                hash = node(&hash, path.next().ok_or(wrong_length)?);
            }
            place /= 2;
            width = width.div_ceil(2);
        }
        if path.next().is_some() {
            return Err(wrong_length);
        }
        if root(tree, count, Some(&hash)) != *expected {
            return Err(MerkleError::OtherRoot { index, count });
        }
        Ok(())
    }

    /// Canonical CBOR: `[index, count, [hash, …]]`.
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::to_vec(self)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) writes.
    ///
    /// # Errors
    /// [`DecodeError`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        wire::decode_canonical("inclusion proof", bytes, MAX_PROOF_BYTES, |d: &mut Decoder<'_>| {
            wire::array_of(d, 3)?;
            let (index, count) = (d.u64()?, d.u64()?);
            let len = wire::array_up_to(d, MAX_PATH as u64)?;
            let path = (0..len).map(|_| wire::hash32(d)).collect::<Result<_, _>>()?;
            Ok(Self { index, count, path })
        })
    }
}

impl<C> Encode<C> for InclusionProof {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(3)?.u64(self.index)?.u64(self.count)?.array(self.path.len() as u64)?;
        for hash in &self.path {
            e.bytes(&hash.0)?;
        }
        Ok(())
    }
}

/// How rows of equal width lie in the leaves of a tree: each row is cut into chunks of [`MAX_LEAF_BYTES`], the last one
/// shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowLayout {
    /// The number of rows.
    pub rows: u64,
    /// Bytes in a row.
    pub row_bytes: u64,
}

impl RowLayout {
    /// Leaves that one row takes.
    pub fn chunks_per_row(&self) -> u64 {
        self.row_bytes.div_ceil(MAX_LEAF_BYTES as u64)
    }

    /// The index of the leaf that holds chunk `chunk` of row `row`, and the number of leaves; `None` when there is no
    /// such leaf or the tree would have 2⁶⁴.
    pub fn place(&self, row: u64, chunk: u32) -> Option<(u64, u64)> {
        let per_row = self.chunks_per_row();
        let count = self.rows.checked_mul(per_row)?;
        if row >= self.rows || u64::from(chunk) >= per_row {
            return None;
        }
        Some((row * per_row + u64::from(chunk), count))
    }
}

impl RootHasher {
    /// Appends a row of op `op`, chunk by chunk.
    pub fn push_row(&mut self, op: u32, row: u64, bytes: &[u8]) {
        for (chunk, bytes) in (0_u32..).zip(bytes.chunks(MAX_LEAF_BYTES)) {
            self.push(&Leaf { op, row, chunk, bytes });
        }
    }
}

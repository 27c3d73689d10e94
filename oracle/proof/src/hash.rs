//! Hashing what is signed: fields of fixed width after a domain tag, big-endian (`10-contracts.md`, rule 6).

use blake2::{Blake2b, Digest, digest::consts::U32};
pub use nunet_compute::Hash32;

/// The hash of nothing: what stands in a fixed-width field that has no value.
pub const ZERO: Hash32 = Hash32([0; 32]);

/// Bytes in the making that will be hashed and signed: a domain tag, then fields of fixed width.
pub(crate) struct SignedFields(Vec<u8>);

impl SignedFields {
    /// Starts with the domain tag, an ASCII string without length or terminator.
    pub(crate) fn new(domain: &str) -> Self {
        Self(domain.as_bytes().to_vec())
    }

    /// A field whose width is its type's.
    #[must_use]
    pub(crate) fn bytes<const N: usize>(mut self, field: &[u8; N]) -> Self {
        self.0.extend_from_slice(field);
        self
    }

    /// One byte.
    #[must_use]
    pub(crate) fn u8(self, field: u8) -> Self {
        self.bytes(&[field])
    }

    /// Four bytes.
    #[must_use]
    pub(crate) fn u32(self, field: u32) -> Self {
        self.bytes(&field.to_be_bytes())
    }

    /// Eight bytes.
    #[must_use]
    pub(crate) fn u64(self, field: u64) -> Self {
        self.bytes(&field.to_be_bytes())
    }

    /// Thirty-two bytes.
    #[must_use]
    pub(crate) fn hash32(self, field: &Hash32) -> Self {
        self.bytes(&field.0)
    }

    /// What was written.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// blake2b-256 of what was written.
    pub(crate) fn digest(self) -> Hash32 {
        Hash32(Blake2b::<U32>::digest(&self.0).into())
    }
}

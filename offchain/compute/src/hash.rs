//! The one hash that names content: programs, tensors, inputs, blobs.

use std::fmt;

use blake2::{Blake2b, Digest, digest::consts::U32};

/// A 32-byte hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash32(pub [u8; 32]);

impl Hash32 {
    /// The bytes of the hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl AsRef<[u8]> for Hash32 {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Hash32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash32({self})")
    }
}

/// Names content: blake2b-256 of the BLAKE3 root of `bytes`.
///
/// BLAKE3 can be checked piece by piece while a blob arrives; blake2b-256 is what the chain can compute.
pub fn content_hash(bytes: &[u8]) -> Hash32 {
    Hash32(Blake2b::<U32>::digest(blake3::hash(bytes).as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::content_hash;

    #[test]
    fn a_content_hash_never_changes() {
        // blake2b-256 of af1349b9…1f3262, which
        // the BLAKE3 specification gives for the empty string; computed apart from this crate.
        assert_eq!(content_hash(b"").to_string(), "1ca92f8ac98dd8050a826bfe5de31f83c77683f1af1ac0d98f969e6f92f37a71");
    }
}

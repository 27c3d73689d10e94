//! The two hash functions of the chain.

use blake2::{Blake2b, Digest, digest::consts};

/// blake2b with a 256-bit digest: transaction ids, datum hashes, signed messages.
pub fn blake2b_256(bytes: &[u8]) -> [u8; 32] {
    Blake2b::<consts::U32>::digest(bytes).into()
}

/// blake2b with a 224-bit digest: key and script hashes.
pub fn blake2b_224(bytes: &[u8]) -> [u8; 28] {
    Blake2b::<consts::U28>::digest(bytes).into()
}

//! Blobs that are handed out as long as a job needs them.

use nunet_p2p::blob::{BlobHash, BlobStore, StoreFull};

/// Blobs that are in the store as long as this value lives.
pub(crate) struct HeldBlobs {
    store: BlobStore,
    hashes: Vec<BlobHash>,
}

impl HeldBlobs {
    /// None yet.
    pub(crate) fn new(store: &BlobStore) -> Self {
        Self { store: store.clone(), hashes: Vec::new() }
    }

    /// Keeps these bytes under their hash.
    pub(crate) fn insert(&mut self, bytes: Vec<u8>) -> Result<BlobHash, StoreFull> {
        let hash = self.store.insert(bytes)?;
        self.hashes.push(hash);
        Ok(hash)
    }
}

impl Drop for HeldBlobs {
    fn drop(&mut self) {
        for hash in &self.hashes {
            self.store.remove(*hash);
        }
    }
}

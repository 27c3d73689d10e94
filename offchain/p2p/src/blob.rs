//! Blobs: big data named by its hash, fetched in parts, checked at the end.
//!
//! A blob's name is blake2b-256 of the BLAKE3 root of its bytes, the hash that agreements carry. Who knows a name may
//! fetch the blob: names of private data are to be treated like the data.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use blake2::{Blake2b, Digest, digest::consts::U32};
use minicbor::{Decode, Encode};

pub use self::fetch::{BlobFetch, FetchError, fetch_blob};
use crate::{message::Request, refusal::Refusal, router::Router};

mod fetch;

/// The most bytes in one part of a blob.
pub const MAX_PART: u32 = 1024 * 1024;

/// A blob's name: blake2b-256 of the BLAKE3 root of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct BlobHash(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

impl BlobHash {
    /// The name of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Blake2b::<U32>::digest(blake3::hash(bytes).as_bytes()).into())
    }
}

impl From<[u8; 32]> for BlobHash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobHash({self})")
    }
}

/// Asks for a part of a blob.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct GetBlob {
    /// Which blob.
    #[n(0)]
    pub hash: BlobHash,
    /// From which byte on.
    #[n(1)]
    pub offset: u64,
    /// At most how many bytes; more than [`MAX_PART`] is served as that.
    #[n(2)]
    pub limit: u32,
}

/// A part of a blob.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct BlobPart {
    /// The length of the whole blob in bytes.
    #[n(0)]
    pub total: u64,
    /// The bytes from the asked offset on; none only at the blob's end.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

impl fmt::Debug for BlobPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobPart").field("total", &self.total).field("bytes", &self.bytes.len()).finish()
    }
}

impl Request for GetBlob {
    const PROTOCOL: &'static str = "/nunet/1/blob";
    const MAX_REQUEST: usize = 64;
    const MAX_RESPONSE: usize = MAX_PART as usize + 32;
    const TIMEOUT: Duration = Duration::from_secs(30);
    type Response = BlobPart;
}

/// There is no room for a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a blob of {size} bytes does not fit: {free} of {capacity} bytes are free; remove some blobs first")]
pub struct StoreFull {
    /// The blob's size in bytes.
    pub size: usize,
    /// What is free.
    pub free: usize,
    /// What the store may hold.
    pub capacity: usize,
}

/// Blobs in memory, bounded in bytes. Clones share the store.
#[derive(Debug, Clone)]
pub struct BlobStore {
    inner: Arc<Mutex<Stored>>,
}

#[derive(Debug)]
struct Stored {
    blobs: HashMap<BlobHash, Kept>,
    used: usize,
    capacity: usize,
}

/// A blob, and how often it was inserted more than removed.
#[derive(Debug)]
struct Kept {
    bytes: Arc<[u8]>,
    holders: usize,
}

impl BlobStore {
    /// An empty store for up to `capacity` bytes.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { inner: Arc::new(Mutex::new(Stored { blobs: HashMap::new(), used: 0, capacity })) }
    }

    /// Keeps the bytes under their name, until they were removed as often as inserted. Nothing is thrown out for them:
    /// evidence must stay as long as it may be asked for, and only its owners know how long.
    ///
    /// # Errors
    /// [`StoreFull`].
    pub fn insert(&self, bytes: impl Into<Arc<[u8]>>) -> Result<BlobHash, StoreFull> {
        let bytes = bytes.into();
        let hash = BlobHash::of(&bytes);
        let mut stored = self.lock();
        if let Some(kept) = stored.blobs.get_mut(&hash) {
            kept.holders += 1;
            return Ok(hash);
        }
        let (size, free, capacity) = (bytes.len(), stored.capacity - stored.used, stored.capacity);
        if size > free {
            return Err(StoreFull { size, free, capacity });
        }
        stored.used += size;
        stored.blobs.insert(hash, Kept { bytes, holders: 1 });
        Ok(hash)
    }

    /// The blob's bytes.
    #[must_use]
    pub fn get(&self, hash: impl Into<BlobHash>) -> Option<Arc<[u8]>> {
        self.lock().blobs.get(&hash.into()).map(|kept| Arc::clone(&kept.bytes))
    }

    /// Takes back one insertion of a blob; true when it is gone now.
    pub fn remove(&self, hash: impl Into<BlobHash>) -> bool {
        let hash = hash.into();
        let mut stored = self.lock();
        let Some(kept) = stored.blobs.get_mut(&hash) else { return false };
        kept.holders -= 1;
        if kept.holders > 0 {
            return false;
        }
        let size = kept.bytes.len();
        stored.blobs.remove(&hash);
        stored.used -= size;
        true
    }

    /// How many bytes the blobs have together.
    #[must_use]
    pub fn used(&self) -> usize {
        self.lock().used
    }

    /// The part that a request asks for.
    ///
    /// # Errors
    /// A refusal when the blob is not here, or shorter than the offset.
    pub fn part(&self, request: &GetBlob) -> Result<BlobPart, Refusal> {
        let blob = self.get(request.hash).ok_or_else(|| Refusal::not_found(format!("no blob {}", request.hash)))?;
        let rest = usize::try_from(request.offset)
            .ok()
            .and_then(|offset| blob.get(offset..))
            .ok_or_else(|| Refusal::rejected(format!("blob {} ends at byte {}", request.hash, blob.len())))?;
        let count = rest.len().min(request.limit.min(MAX_PART) as usize);
        Ok(BlobPart { total: blob.len() as u64, bytes: rest[..count].to_vec() })
    }

    /// Adds the handler that serves this store's blobs to a router.
    #[must_use]
    pub fn serve(&self, router: Router) -> Router {
        let store = self.clone();
        router.on(move |_caller, request: GetBlob| {
            let part = store.part(&request);
            async move { part }
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Stored> {
        // Nothing between lock and unlock can panic half-way through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_name_of_the_empty_blob_is_the_known_one() {
        // blake2b-256 of BLAKE3's published root of the empty input (af1349b9…f3262).
        let expected = "1ca92f8ac98dd8050a826bfe5de31f83c77683f1af1ac0d98f969e6f92f37a71";
        assert_eq!(BlobHash::of(b"").to_string(), expected);
    }

    #[test]
    fn a_full_store_says_so_and_has_room_again_after_a_removal() {
        let store = BlobStore::new(10);
        let first = store.insert(vec![1; 6]).unwrap();
        assert_eq!(store.insert(vec![1; 6]), Ok(first), "the same blob takes no room again");
        assert_eq!(store.insert(vec![2; 6]), Err(StoreFull { size: 6, free: 4, capacity: 10 }));
        assert!(!store.remove(first), "who inserted it first still needs it");
        assert!(store.get(first).is_some());
        assert!(store.remove(first) && !store.remove(first));
        assert_eq!(store.used(), 0);
        store.insert(vec![2; 10]).unwrap();
    }

    proptest! {
        #[test]
        fn no_request_for_a_part_panics(hash: [u8; 32], known: bool, offset: u64, limit: u32) {
            let store = BlobStore::new(100);
            let inserted = store.insert(vec![7; 100]).unwrap();
            let hash = if known { inserted } else { hash.into() };
            let part = store.part(&GetBlob { hash, offset, limit });
            prop_assert_eq!(part.is_ok(), known && offset <= 100);
        }

        #[test]
        fn messages_of_any_content_fit_their_limits(
            hash: [u8; 32],
            offset: u64,
            limit: u32,
            total: u64,
            size in 0..=MAX_PART as usize,
        ) {
            let request = minicbor::to_vec(GetBlob { hash: hash.into(), offset, limit }).unwrap();
            prop_assert!(request.len() <= GetBlob::MAX_REQUEST);
            let part = minicbor::to_vec(BlobPart { total, bytes: vec![0; size] }).unwrap();
            prop_assert!(part.len() <= GetBlob::MAX_RESPONSE);
        }
    }
}

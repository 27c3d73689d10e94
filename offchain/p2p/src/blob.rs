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
use libp2p::PeerId;
use minicbor::{Decode, Encode};

use crate::{error::RequestError, message::Request, node::Node, refusal::Refusal, router::Router};

/// The most bytes in one part of a blob.
pub const MAX_PART: u32 = 1024 * 1024;
/// How often a fetch tries again without progress, with pauses that double from [`FIRST_PAUSE`].
const MAX_TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Above this size, in bytes, hashing leaves the async threads.
const HASH_INLINE: usize = 256 * 1024;

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
    blobs: HashMap<BlobHash, Arc<[u8]>>,
    used: usize,
    capacity: usize,
}

impl BlobStore {
    /// An empty store for up to `capacity` bytes.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { inner: Arc::new(Mutex::new(Stored { blobs: HashMap::new(), used: 0, capacity })) }
    }

    /// Keeps the bytes under their name. Nothing is thrown out for them: evidence must stay as long as it may be asked
    /// for, and only its owner knows how long.
    ///
    /// # Errors
    /// [`StoreFull`].
    pub fn insert(&self, bytes: impl Into<Arc<[u8]>>) -> Result<BlobHash, StoreFull> {
        let bytes = bytes.into();
        let hash = BlobHash::of(&bytes);
        let mut stored = self.lock();
        if stored.blobs.contains_key(&hash) {
            return Ok(hash);
        }
        let (size, free, capacity) = (bytes.len(), stored.capacity - stored.used, stored.capacity);
        if size > free {
            return Err(StoreFull { size, free, capacity });
        }
        stored.used += size;
        stored.blobs.insert(hash, bytes);
        Ok(hash)
    }

    /// The blob's bytes.
    #[must_use]
    pub fn get(&self, hash: impl Into<BlobHash>) -> Option<Arc<[u8]>> {
        self.lock().blobs.get(&hash.into()).cloned()
    }

    /// Forgets a blob; true when it was there.
    pub fn remove(&self, hash: impl Into<BlobHash>) -> bool {
        let mut stored = self.lock();
        let removed = stored.blobs.remove(&hash.into());
        stored.used -= removed.as_ref().map_or(0, |bytes| bytes.len());
        removed.is_some()
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

/// Why a blob was not fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// A request failed.
    #[error("blob {hash} stopped at byte {have}: {error}")]
    Request {
        /// Which blob.
        hash: BlobHash,
        /// How many bytes had arrived; another fetch goes on from there.
        have: usize,
        /// What went wrong.
        error: Box<RequestError>,
    },
    /// The blob is larger than the caller wants it.
    #[error("blob {hash} has {total} bytes according to {peer}; at most {max_size} were wanted")]
    TooLarge {
        /// Which blob.
        hash: BlobHash,
        /// Who says so.
        peer: Box<PeerId>,
        /// The size it claims, in bytes.
        total: u64,
        /// The most that was wanted.
        max_size: usize,
    },
    /// A part contradicts the request or the parts before it.
    #[error("{peer} sent a wrong part of blob {hash}: {what}; do not rely on this peer")]
    WrongPart {
        /// Which blob.
        hash: BlobHash,
        /// Who sent it.
        peer: Box<PeerId>,
        /// What is wrong.
        what: &'static str,
    },
    /// The bytes are not those of the name. What had arrived is thrown away.
    #[error("the bytes for blob {hash} are those of {found}; they came from {}; do not rely on them", list(.peers))]
    WrongBytes {
        /// Which blob.
        hash: BlobHash,
        /// The name of the bytes that came.
        found: BlobHash,
        /// Who sent parts of them.
        peers: Vec<PeerId>,
    },
}

fn list(peers: &[PeerId]) -> String {
    peers.iter().map(PeerId::to_string).collect::<Vec<_>>().join(", ")
}

/// Fetches a whole blob from one peer and checks it.
///
/// # Errors
/// [`FetchError`], naming the peer.
pub async fn fetch_blob(
    node: &Node,
    peer: PeerId,
    hash: impl Into<BlobHash>,
    max_size: usize,
) -> Result<Vec<u8>, FetchError> {
    BlobFetch::new(hash, max_size).from(node, peer).await
}

/// A fetch that survives its sources: what has arrived stays when a peer fails, and the next one goes on from there.
#[derive(Debug)]
pub struct BlobFetch {
    hash: BlobHash,
    max_size: usize,
    total: Option<u64>,
    bytes: Vec<u8>,
    sources: Vec<PeerId>,
}

impl BlobFetch {
    /// A fetch of which nothing has arrived, of at most `max_size` bytes.
    #[must_use]
    pub fn new(hash: impl Into<BlobHash>, max_size: usize) -> Self {
        Self { hash: hash.into(), max_size, total: None, bytes: Vec::new(), sources: Vec::new() }
    }

    /// How many bytes have arrived.
    #[must_use]
    pub fn have(&self) -> usize {
        self.bytes.len()
    }

    /// Fetches what is missing from `peer`, checks the whole and returns it, leaving the fetch empty. Transient failures
    /// are tried again for a few seconds.
    ///
    /// # Errors
    /// [`FetchError`]; after [`FetchError::Request`] another call, also with another peer, goes on where this one
    /// stopped.
    pub async fn from(&mut self, node: &Node, peer: PeerId) -> Result<Vec<u8>, FetchError> {
        let mut tries = 0;
        while self.total != Some(self.bytes.len() as u64) {
            let request = GetBlob { hash: self.hash, offset: self.bytes.len() as u64, limit: MAX_PART };
            match node.request(peer, &request).await {
                Ok(part) => {
                    self.add(peer, part)?;
                    tries = 0;
                }
                Err(error) if error.is_transient() && tries < MAX_TRIES => {
                    tracing::debug!(%peer, hash = %self.hash, have = self.bytes.len(), %error, "trying again");
                    tokio::time::sleep(FIRST_PAUSE * 2u32.saturating_pow(tries)).await;
                    tries += 1;
                }
                Err(error) => {
                    return Err(FetchError::Request {
                        hash: self.hash,
                        have: self.bytes.len(),
                        error: Box::new(error),
                    });
                }
            }
        }
        self.total = None;
        let (bytes, peers) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.sources));
        let (bytes, found) = hash_apart(bytes).await;
        if found != self.hash {
            return Err(FetchError::WrongBytes { hash: self.hash, found, peers });
        }
        Ok(bytes)
    }

    fn add(&mut self, peer: PeerId, part: BlobPart) -> Result<(), FetchError> {
        let hash = self.hash;
        let wrong = |what| Err(FetchError::WrongPart { hash, peer: Box::new(peer), what });
        if part.total > self.max_size as u64 {
            return Err(FetchError::TooLarge {
                hash,
                peer: Box::new(peer),
                total: part.total,
                max_size: self.max_size,
            });
        }
        if self.total.is_some_and(|total| total != part.total) {
            return wrong("the blob's length changed");
        }
        let have = self.bytes.len() as u64 + part.bytes.len() as u64;
        if have > part.total {
            return wrong("it goes on after the blob's end");
        }
        if part.bytes.is_empty() && have < part.total {
            return wrong("it is empty before the blob's end");
        }
        self.total = Some(part.total);
        self.bytes.extend_from_slice(&part.bytes);
        if !self.sources.contains(&peer) {
            self.sources.push(peer);
        }
        Ok(())
    }
}

/// Hashes, on a thread of its own when that takes long.
async fn hash_apart(bytes: Vec<u8>) -> (Vec<u8>, BlobHash) {
    if bytes.len() <= HASH_INLINE {
        let hash = BlobHash::of(&bytes);
        return (bytes, hash);
    }
    let shared: Arc<Vec<u8>> = Arc::new(bytes);
    let for_thread = Arc::clone(&shared);
    let hash = match tokio::task::spawn_blocking(move || BlobHash::of(&for_thread)).await {
        Ok(hash) => hash,
        // The runtime is shutting down and took the thread away.
        Err(_) => BlobHash::of(&shared),
    };
    (Arc::unwrap_or_clone(shared), hash)
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
        assert!(store.remove(first) && !store.remove(first));
        assert_eq!(store.used(), 0);
        store.insert(vec![2; 10]).unwrap();
    }

    proptest! {
        #[test]
        fn parts_put_together_are_the_blob(
            bytes in proptest::collection::vec(any::<u8>(), 0..2000),
            limits in proptest::collection::vec(1u32..700, 1..10),
        ) {
            let store = BlobStore::new(2000);
            let hash = store.insert(bytes.clone()).unwrap();
            let mut fetch = BlobFetch::new(hash, 2000);
            for limit in limits.into_iter().cycle() {
                let part = store.part(&GetBlob { hash, offset: fetch.have() as u64, limit }).unwrap();
                fetch.add(PeerId::random(), part).unwrap();
                if fetch.total == Some(fetch.have() as u64) {
                    break;
                }
            }
            prop_assert_eq!(fetch.bytes, bytes);
        }

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

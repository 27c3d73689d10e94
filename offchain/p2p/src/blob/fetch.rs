//! Fetches a blob part by part, goes on where a source failed, and hands out nothing but the right bytes.

use std::{sync::Arc, time::Duration};

use libp2p::PeerId;

use super::{BlobHash, BlobPart, GetBlob, MAX_PART};
use crate::{error::RequestError, node::Node};

/// How often a fetch tries again without progress, with pauses that double from [`FIRST_PAUSE`].
const MAX_TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Above this size, in bytes, hashing leaves the async threads.
const HASH_INLINE: usize = 256 * 1024;

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
    use crate::blob::BlobStore;

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
    }
}

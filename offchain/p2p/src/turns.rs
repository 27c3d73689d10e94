//! Paces this node's own requests, so that it stays within what peers allow by default.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use libp2p::PeerId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{Limits, TokenBucket};

/// Makes this node's own requests wait their turn, so that it stays within what peers allow by default.
#[derive(Debug)]
pub(crate) struct Turns {
    all: Arc<Semaphore>,
    per_peer: usize,
    rate: f64,
    burst: f64,
    peers: Mutex<HashMap<PeerId, Arc<Lane>>>,
}

#[derive(Debug)]
struct Lane {
    slots: Arc<Semaphore>,
    pace: Mutex<TokenBucket>,
}

/// A request's place among those under way.
pub(crate) struct Turn {
    _of_peer: Option<OwnedSemaphorePermit>,
    _of_all: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// Lanes kept, beyond those in use.
    const MAX_LANES: usize = 4096;

    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.outbound_requests.clamp(1, Semaphore::MAX_PERMITS))),
            per_peer: limits.requests_per_peer.clamp(1, Semaphore::MAX_PERMITS),
            rate: f64::from(limits.rate_per_peer) * 0.9,
            // Delays on the way bunch requests up: the other half of the burst is for that.
            burst: f64::from(limits.burst_per_peer) * 0.5,
            peers: Mutex::default(),
        }
    }

    /// Waits until a request to `peer` may go, and holds its place until the turn is dropped.
    pub(crate) async fn take(&self, peer: PeerId) -> Turn {
        let lane = self.lane(peer);
        // The semaphores are never closed, so both permits are there.
        let of_peer = Arc::clone(&lane.slots).acquire_owned().await.ok();
        let of_all = Arc::clone(&self.all).acquire_owned().await.ok();
        loop {
            let taken = lane.pace.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
            match taken {
                Ok(()) => return Turn { _of_peer: of_peer, _of_all: of_all },
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    fn lane(&self, peer: PeerId) -> Arc<Lane> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.len() >= Self::MAX_LANES && !peers.contains_key(&peer) {
            peers.retain(|_, lane| Arc::strong_count(lane) > 1);
        }
        let lane = peers.entry(peer).or_insert_with(|| {
            let pace = Mutex::new(TokenBucket::new(self.rate, self.burst, Instant::now()));
            Arc::new(Lane { slots: Arc::new(Semaphore::new(self.per_peer)), pace })
        });
        Arc::clone(lane)
    }
}

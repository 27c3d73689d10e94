//! The limits of a node, and the table that holds every peer to them: rates, concurrency, penalties.
//!
//! The table reads no clock: the time is passed in.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use libp2p::PeerId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::{Refusal, RefusalCode};

/// What a node allows, in total and to each peer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Established links, all peers together.
    pub connections: u32,
    /// Established links with one peer. More than one appear for moments when two nodes dial each other at all their
    /// addresses at once.
    pub connections_per_peer: u32,
    /// Links being set up, in each direction.
    pub pending_connections: u32,
    /// Requests of all peers that are being read, handled or answered.
    pub inbound_requests: usize,
    /// The same for one peer; and the most that this node has under way towards one peer, more wait their turn.
    pub requests_per_peer: usize,
    /// Requests of this node under way to all peers; more wait their turn.
    pub outbound_requests: usize,
    /// Requests per second that one peer may make over time. This node holds itself to nine tenths of the same.
    pub rate_per_peer: u32,
    /// Requests that one peer may make at once, after a pause. This node makes at most half as many.
    pub burst_per_peer: u32,
    /// Bytes of inbound requests in memory.
    pub inbound_bytes: usize,
    /// Inbound requests that wait in the [`Inbox`](crate::Inbox).
    pub inbox: usize,
    /// How long a peer that broke too many rules is blocked.
    pub block_for: Duration,
    /// How long a link without traffic is kept.
    pub idle_connection: Duration,
    /// How long setting up a link may take.
    pub dial_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            connections_per_peer: 8,
            pending_connections: 64,
            inbound_requests: 1024,
            requests_per_peer: 32,
            outbound_requests: 1024,
            rate_per_peer: 100,
            burst_per_peer: 200,
            inbound_bytes: 256 * 1024 * 1024,
            inbox: 256,
            block_for: Duration::from_secs(600),
            idle_connection: Duration::from_secs(600),
            dial_timeout: Duration::from_secs(10),
        }
    }
}

/// What a peer did wrong. Points add up, one point is forgiven per second, and at 100 the peer is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Penalty {
    /// 1 point: a request above the rate. A well-behaved node paces itself, a flood is blocked within seconds.
    TooFast,
    /// 30 points: bytes that no honest node sends. The fourth in a row blocks.
    Malformed,
}

impl Penalty {
    /// The points at which a peer is blocked.
    pub const LIMIT: f64 = 100.0;
    const FORGIVEN_PER_SECOND: f64 = 1.0;

    const fn points(self) -> f64 {
        match self {
            Self::TooFast => 1.0,
            Self::Malformed => 30.0,
        }
    }
}

/// A token bucket: refills at a rate, holds at most a burst.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    tokens: f64,
    rate: f64,
    burst: f64,
    filled_at: Instant,
}

impl TokenBucket {
    /// `rate` in tokens per second, at least one in an hour so that a wait is always finite.
    pub(crate) fn new(rate: f64, burst: f64, now: Instant) -> Self {
        Self { tokens: burst.max(1.0), rate: rate.max(1.0 / 3600.0), burst: burst.max(1.0), filled_at: now }
    }

    /// Takes a token, or says how long until there is one.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.burst);
        self.filled_at = self.filled_at.max(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            Ok(())
        } else {
            Err(Duration::from_secs_f64((1.0 - self.tokens) / self.rate))
        }
    }
}

/// The room that one admitted request takes until it is answered.
#[derive(Debug)]
pub(crate) struct Admission {
    _of_peer: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// What to do with a stream that a peer opened.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Serve it.
    Serve(Admission),
    /// Say why not; writing that takes room too.
    Refuse(Refusal, OwnedSemaphorePermit),
    /// Reset it without a word.
    Drop,
}

/// What is known about the behaviour of one peer.
#[derive(Debug)]
struct Record {
    bucket: TokenBucket,
    requests: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    points: f64,
    seen_at: Instant,
}

impl Record {
    fn forgive(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.seen_at).as_secs_f64();
        self.points = (self.points - passed * Penalty::FORGIVEN_PER_SECOND).max(0.0);
        self.seen_at = self.seen_at.max(now);
    }
}

/// Every peer that was heard of lately, and how it behaved. Survives disconnects, so that a reconnect is no pardon.
#[derive(Debug)]
pub(crate) struct PeerTable {
    limits: Limits,
    all: Arc<Semaphore>,
    records: HashMap<PeerId, Record>,
}

impl PeerTable {
    /// How many peers are remembered; the longest silent one makes room.
    const MAX_RECORDS: usize = 4096;
    /// Refusals being written to one peer; what comes on top is reset.
    const REFUSALS_PER_PEER: usize = 8;

    pub(crate) fn new(limits: Limits) -> Self {
        let all = Arc::new(Semaphore::new(limits.inbound_requests.min(Semaphore::MAX_PERMITS)));
        Self { limits, all, records: HashMap::new() }
    }

    /// Decides about a stream that `peer` has just opened, and whether that alone is worth a penalty.
    pub(crate) fn judge(&mut self, peer: PeerId, now: Instant) -> (Verdict, Option<Penalty>) {
        let all = Arc::clone(&self.all);
        let (rate, per_peer) = (self.limits.rate_per_peer, self.limits.requests_per_peer);
        let record = self.record(peer, now);
        if let Err(wait) = record.bucket.take(now) {
            let text = format!("at most {rate} requests per second; ask again in {} ms", wait.as_millis() + 1);
            let verdict = refuse_if_there_is_room(record, RefusalCode::RateLimited, &text);
            return (verdict, Some(Penalty::TooFast));
        }
        let Ok(of_peer) = Arc::clone(&record.requests).try_acquire_owned() else {
            let text = format!("{per_peer} requests of yours are under way; ask again when one is answered");
            return (refuse_if_there_is_room(record, RefusalCode::Busy, &text), None);
        };
        let Ok(of_all) = all.try_acquire_owned() else {
            return (refuse_if_there_is_room(record, RefusalCode::Busy, "too many requests; ask again later"), None);
        };
        (Verdict::Serve(Admission { _of_peer: of_peer, _of_all: of_all }), None)
    }

    /// Adds a penalty; true when the peer is to be blocked now, which clears its record.
    #[must_use]
    pub(crate) fn penalize(&mut self, peer: PeerId, penalty: Penalty, now: Instant) -> bool {
        let record = self.record(peer, now);
        record.points += penalty.points();
        if record.points < Penalty::LIMIT {
            return false;
        }
        record.points = 0.0;
        true
    }

    fn record(&mut self, peer: PeerId, now: Instant) -> &mut Record {
        if self.records.len() >= Self::MAX_RECORDS && !self.records.contains_key(&peer) {
            let silent = self.records.iter().min_by_key(|(_, record)| record.seen_at).map(|(peer, _)| *peer);
            silent.and_then(|peer| self.records.remove(&peer));
        }
        let limits = &self.limits;
        let record = self.records.entry(peer).or_insert_with(|| Record {
            bucket: TokenBucket::new(f64::from(limits.rate_per_peer), f64::from(limits.burst_per_peer), now),
            requests: Arc::new(Semaphore::new(limits.requests_per_peer.min(Semaphore::MAX_PERMITS))),
            refusals: Arc::new(Semaphore::new(Self::REFUSALS_PER_PEER)),
            points: 0.0,
            seen_at: now,
        });
        record.forgive(now);
        record
    }
}

fn refuse_if_there_is_room(record: &Record, code: RefusalCode, text: &str) -> Verdict {
    match Arc::clone(&record.refusals).try_acquire_owned() {
        Ok(room) => Verdict::Refuse(Refusal::new(code, text), room),
        Err(_) => Verdict::Drop,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(change: impl FnOnce(&mut Limits)) -> PeerTable {
        let mut limits = Limits::default();
        change(&mut limits);
        PeerTable::new(limits)
    }

    #[test]
    fn a_flood_is_refused_at_the_rate_and_another_peer_is_not() {
        let mut table = table(|limits| (limits.rate_per_peer, limits.burst_per_peer) = (10, 5));
        let (flooder, other, now) = (PeerId::random(), PeerId::random(), Instant::now());
        for _ in 0..5 {
            assert!(matches!(table.judge(flooder, now), (Verdict::Serve(_), None)));
        }
        let (verdict, penalty) = table.judge(flooder, now);
        let Verdict::Refuse(refusal, _) = verdict else { panic!("served above the rate") };
        assert_eq!((refusal.code(), penalty), (RefusalCode::RateLimited, Some(Penalty::TooFast)));
        assert!(matches!(table.judge(other, now), (Verdict::Serve(_), None)));
        assert!(matches!(table.judge(flooder, now + Duration::from_millis(101)), (Verdict::Serve(_), None)));
    }

    #[test]
    fn requests_under_way_are_counted_until_they_are_answered() {
        let mut table = table(|limits| limits.requests_per_peer = 2);
        let (peer, now) = (PeerId::random(), Instant::now());
        let (first, _) = table.judge(peer, now);
        let (_second, _) = table.judge(peer, now);
        assert!(
            matches!(table.judge(peer, now).0, Verdict::Refuse(ref refusal, _) if refusal.code() == RefusalCode::Busy)
        );
        drop(first);
        assert!(matches!(table.judge(peer, now).0, Verdict::Serve(_)));
    }

    #[test]
    fn refusals_themselves_are_bounded() {
        let mut table = table(|limits| limits.burst_per_peer = 1);
        let (peer, now) = (PeerId::random(), Instant::now());
        let _served = table.judge(peer, now);
        let refused: Vec<_> = (0..PeerTable::REFUSALS_PER_PEER).map(|_| table.judge(peer, now).0).collect();
        assert!(refused.iter().all(|verdict| matches!(verdict, Verdict::Refuse(..))));
        assert!(matches!(table.judge(peer, now).0, Verdict::Drop));
    }

    #[test]
    fn malformed_messages_block_unless_time_passes_between_them() {
        let mut table = table(|_| {});
        let (peer, mut now) = (PeerId::random(), Instant::now());
        for _ in 0..3 {
            assert!(!table.penalize(peer, Penalty::Malformed, now));
        }
        assert!(table.penalize(peer, Penalty::Malformed, now));
        for _ in 0..20 {
            now += Duration::from_secs(30);
            assert!(!table.penalize(peer, Penalty::Malformed, now));
        }
    }

    #[test]
    fn the_table_forgets_the_longest_silent_peer() {
        let mut table = table(|_| {});
        let (first, mut now) = (PeerId::random(), Instant::now());
        let _ = table.judge(first, now);
        for _ in 0..PeerTable::MAX_RECORDS {
            now += Duration::from_millis(1);
            let _ = table.judge(PeerId::random(), now);
        }
        assert_eq!(table.records.len(), PeerTable::MAX_RECORDS);
        assert!(!table.records.contains_key(&first));
    }

    proptest! {
        #[test]
        fn a_bucket_never_gives_more_than_burst_plus_rate(
            rate in 1u32..50,
            burst in 1u32..50,
            steps in proptest::collection::vec(0u64..200, 1..200),
        ) {
            let start = Instant::now();
            let mut now = start;
            let mut bucket = TokenBucket::new(f64::from(rate), f64::from(burst), start);
            let mut taken = 0u32;
            for step in steps {
                now += Duration::from_millis(step);
                match bucket.take(now) {
                    Ok(()) => taken += 1,
                    Err(wait) => prop_assert!(wait <= Duration::from_secs_f64(1.0 / f64::from(rate) + 1e-6)),
                }
            }
            let most = f64::from(burst) + (now - start).as_secs_f64() * f64::from(rate);
            prop_assert!(f64::from(taken) <= most + 1e-6);
        }
    }
}

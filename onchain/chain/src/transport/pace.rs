//! How fast an endpoint is asked: a bucket of requests that refills, and pauses that the endpoint itself asks for.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How many requests an endpoint takes: `burst` at once, and from then on `per_second`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests a second; at least 1.
    pub per_second: u32,
    /// Requests that may be made at once after a rest; at least 1.
    pub burst: u32,
}

impl RateLimit {
    /// What Blockfrost's hosted service allows every address (<https://docs.blockfrost.io>, "Limits").
    pub const BLOCKFROST: Self = Self { per_second: 10, burst: 500 };
}

/// Keeps to a rate limit. Waiting requests go in the order in which they came.
#[derive(Debug)]
pub(super) struct Pace {
    bucket: Option<Mutex<Bucket>>,
    /// Nobody asks before this, because the endpoint said so.
    pause: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Bucket {
    rate: RateLimit,
    /// Requests that may be made now; below zero, so many are waiting.
    left: f64,
    at: Instant,
}

impl Pace {
    pub(super) fn new(rate: Option<RateLimit>) -> Self {
        let bucket = rate.map(|rate| {
            let rate = RateLimit { per_second: rate.per_second.max(1), burst: rate.burst.max(1) };
            Mutex::new(Bucket { rate, left: rate.burst.into(), at: Instant::now() })
        });
        Self { bucket, pause: Mutex::new(None) }
    }

    /// How long the next request has to wait; its place is taken.
    pub(super) fn take(&self, now: Instant) -> Duration {
        let paced = self.bucket.as_ref().map(|bucket| bucket.lock().unwrap_or_else(PoisonError::into_inner).take(now));
        let paused = *self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let paused = paused.map(|until| until.saturating_duration_since(now));
        paced.unwrap_or_default().max(paused.unwrap_or_default())
    }

    /// Lets everybody wait for a while.
    pub(super) fn pause(&self, now: Instant, wait: Duration) {
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        *pause = (*pause).max(Some(now + wait));
    }
}

impl Bucket {
    fn take(&mut self, now: Instant) -> Duration {
        let rested = now.saturating_duration_since(self.at).as_secs_f64();
        let per_second = f64::from(self.rate.per_second);
        self.left = (self.left + rested * per_second).min(self.rate.burst.into()) - 1.0;
        self.at = now;
        Duration::from_secs_f64((-self.left / per_second).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let pace = Pace::new(Some(RateLimit { per_second: 10, burst: 3 }));
        let start = Instant::now();
        let waits: Vec<u128> = (0..6).map(|_| pace.take(start).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100, 200, 300]);
        // Rest fills the bucket, and no further than a burst.
        let later = start + Duration::from_secs(60);
        let waits: Vec<u128> = (0..4).map(|_| pace.take(later).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100]);
        assert_eq!(Pace::new(None).take(start), Duration::ZERO);
    }

    #[test]
    fn a_pause_holds_for_everybody_and_only_gets_longer() {
        let pace = Pace::new(None);
        let now = Instant::now();
        pace.pause(now, Duration::from_secs(5));
        pace.pause(now, Duration::from_secs(2));
        assert_eq!(pace.take(now), Duration::from_secs(5));
        assert_eq!(pace.take(now + Duration::from_secs(6)), Duration::ZERO);
    }
}

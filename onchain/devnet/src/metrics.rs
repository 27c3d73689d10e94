//! What the devnet counts, for `GET /metrics` in the [OpenMetrics] text format.
//!
//! Labels take few values: route templates, status codes, names of predicates. Nothing that a client can make up
//! becomes a label.
//!
//! [OpenMetrics]: https://prometheus.io/docs/specs/om/open_metrics_spec/

use std::{fmt, sync::atomic::AtomicU64, time::Duration};

use nunet_ledger::TxId;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::chain::{Chain, SubmitError, Tip};

/// A request, as far as it is counted.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    status: u16,
}

/// A submission's verdict: `accepted`, or the name of what refused it.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SubmissionLabels {
    verdict: &'static str,
}

type Number = Gauge<u64, AtomicU64>;

/// The devnet's counters, gauges and histograms.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Histogram,
    submissions: Family<SubmissionLabels, Counter>,
    mempool_transactions: Number,
    mempool_bytes: Number,
    height: Number,
    slot: Number,
    block_transactions: Histogram,
    rollbacks: Counter,
    write_seconds: Histogram,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("nunet_devnet"),
            requests: Family::default(),
            // From a tenth of a millisecond to three seconds.
            request_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 16)),
            submissions: Family::default(),
            mempool_transactions: Number::default(),
            mempool_bytes: Number::default(),
            height: Number::default(),
            slot: Number::default(),
            // Up to more than the smallest transactions that fill a block.
            block_transactions: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            rollbacks: Counter::default(),
            write_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 16)),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let Self { registry, .. } = self;
        registry.register("requests", "Requests by route and status", self.requests.clone());
        registry.register_with_unit(
            "request_duration",
            "Time from a request's head to its answer",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        registry.register("submissions", "Submitted transactions by verdict", self.submissions.clone());
        registry.register("mempool_transactions", "Transactions that wait", self.mempool_transactions.clone());
        registry.register_with_unit("mempool_size", "What waits", Unit::Bytes, self.mempool_bytes.clone());
        registry.register("block_height", "The latest block's height", self.height.clone());
        registry.register("slot", "The latest block's slot", self.slot.clone());
        registry.register("block_transactions", "Transactions in a block", self.block_transactions.clone());
        registry.register("rollbacks", "Rollbacks", self.rollbacks.clone());
        registry.register_with_unit(
            "block_write_duration",
            "Time until a block is durable",
            Unit::Seconds,
            self.write_seconds.clone(),
        );
    }

    /// A request was answered. `route` is a template of the router's, never what the client wrote.
    pub(crate) fn answered(&self, route: &str, status: u16, took: Duration) {
        self.requests.get_or_create(&RequestLabels { route: route.to_owned(), status }).inc();
        self.request_seconds.observe(took.as_secs_f64());
    }

    /// A transaction was judged.
    pub(crate) fn submitted(&self, verdict: &Result<TxId, SubmitError>, chain: &Chain) {
        let verdict = match verdict {
            Ok(_) => "accepted",
            Err(SubmitError::Ledger(error)) => error.predicate(),
            Err(SubmitError::Unreadable(_)) => "Unreadable",
            Err(SubmitError::MempoolFull { .. }) => "MempoolFull",
        };
        self.submissions.get_or_create(&SubmissionLabels { verdict }).inc();
        self.waits(chain);
    }

    /// A block was made.
    pub(crate) fn made(&self, tip: Tip, transactions: usize, chain: &Chain) {
        #[expect(clippy::cast_precision_loss, reason = "a block's transactions are few")]
        self.block_transactions.observe(transactions as f64);
        self.stands(tip);
        self.waits(chain);
    }

    /// A block became durable.
    pub(crate) fn stored(&self, took: Duration) {
        self.write_seconds.observe(took.as_secs_f64());
    }

    /// The chain went back.
    pub(crate) fn rolled_back(&self, tip: Tip, chain: &Chain) {
        self.rollbacks.inc();
        self.stands(tip);
        self.waits(chain);
    }

    /// The latest block is this one.
    pub(crate) fn stands(&self, tip: Tip) {
        self.height.set(tip.height);
        self.slot.set(tip.slot.0);
    }

    fn waits(&self, chain: &Chain) {
        self.mempool_transactions.set(chain.mempool_len() as u64);
        self.mempool_bytes.set(chain.mempool_bytes());
    }

    /// Everything, as OpenMetrics text.
    pub(crate) fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

//! What is counted about the way to the chain, for an OpenMetrics endpoint of whoever runs this.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// Upper ends of the buckets for the time that a request takes, in seconds.
const SECONDS: [f64; 11] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0];

/// Upper ends of the buckets for depths, in blocks.
const DEPTHS: [f64; 9] = [1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 2160.0];

/// The words that stand in paths of the API as they are; everything else is a name of something, and becomes `{}`.
const WORDS: [&str; 19] = [
    "accounts",
    "addresses",
    "blocks",
    "cbor",
    "epochs",
    "genesis",
    "json",
    "latest",
    "mempool",
    "parameters",
    "scripts",
    "submit",
    "transactions",
    "tx",
    "txs",
    "utxos",
    "evaluate",
    "utils",
    "assets",
];

/// Counters, shared by all clones of a chain.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    seconds: Family<EndpointLabels, Histogram>,
    pub(crate) retries: Counter,
    pub(crate) waits: Counter,
    submissions: Family<OutcomeLabels, Counter>,
    depths: Histogram,
    pub(crate) rollbacks: Counter,
    pub(crate) tracked: Gauge,
    pub(crate) behind: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    endpoint: String,
    /// The HTTP status, or `none`.
    status: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    endpoint: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// How a submission ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Submission {
    /// The endpoint took it.
    Taken,
    /// The ledger refused it.
    Refused,
    /// Nobody knows.
    Unclear,
    /// The ledger's rules here refused it before it was sent.
    Withheld,
    /// The endpoint would not take it, for reasons of its own.
    Failed,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            retries: Counter::default(),
            waits: Counter::default(),
            submissions: Family::default(),
            depths: Histogram::new(DEPTHS),
            rollbacks: Counter::default(),
            tracked: Gauge::default(),
            behind: Gauge::default(),
        }
    }
}

impl Metrics {
    /// A request that ended after some seconds, with a status or without any.
    pub(crate) fn request(&self, path: &str, status: Option<u16>, seconds: f64) {
        let endpoint = template(path);
        let status = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        self.requests.get_or_create(&RequestLabels { endpoint: endpoint.clone(), status }).inc();
        self.seconds.get_or_create(&EndpointLabels { endpoint }).observe(seconds);
    }

    pub(crate) fn submission(&self, outcome: Submission) {
        let outcome = match outcome {
            Submission::Taken => "taken",
            Submission::Refused => "refused",
            Submission::Unclear => "unclear",
            Submission::Withheld => "withheld",
            Submission::Failed => "failed",
        };
        self.submissions.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// A depth at which a transaction was seen.
    #[expect(clippy::cast_precision_loss, reason = "depths are far below 2^52")]
    pub(crate) fn depth(&self, depth: u64) {
        self.depths.observe(depth as f64);
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("chain");
        registry.register("requests", "Requests to the chain endpoint by path and HTTP status", self.requests.clone());
        registry.register("request_seconds", "Time until an answer was complete", self.seconds.clone());
        registry.register("request_retries", "Requests that were made again", self.retries.clone());
        registry.register("rate_limit_waits", "Requests that waited for the rate limit", self.waits.clone());
        registry.register("submissions", "Transactions sent, by what became of it", self.submissions.clone());
        registry.register("confirmation_depth", "Depths at which transactions were seen", self.depths.clone());
        registry.register("tracker_rollbacks", "Latest blocks that a tracker saw rolled back", self.rollbacks.clone());
        registry.register("tracker_targets", "Outputs and addresses that are followed", self.tracked.clone());
        registry.register(
            "tracker_behind",
            "Followed ones without a state as of the latest block",
            self.behind.clone(),
        );
    }
}

/// A path with everything that names something left out: few values, whatever is asked.
pub(crate) fn template(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    path.split('/').map(|part| if WORDS.contains(&part) { part } else { "{}" }).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_counted_without_what_they_name() {
        for (path, expected) in [
            ("blocks/latest", "blocks/latest"),
            ("txs/00ff/utxos", "txs/{}/utxos"),
            ("addresses/addr1qx/utxos?page=3&count=100&order=asc", "addresses/{}/utxos"),
            ("addresses/addr1qx/utxos/00ff", "addresses/{}/utxos/{}"),
            ("tx/submit", "tx/submit"),
        ] {
            assert_eq!(template(path), expected);
        }
    }
}

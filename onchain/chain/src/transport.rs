//! HTTP with limits: every request has a deadline, every answer a size, and passing trouble is retried where that is safe.

mod pace;

use std::{sync::Arc, time::Duration};

use reqwest::{
    Client, Method, RequestBuilder, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use serde::de::DeserializeOwned;

use tokio::time::Instant;
use tracing::Instrument;

use self::pace::Pace;
pub use self::pace::RateLimit;
use crate::{
    endpoint::Endpoint,
    error::{ChainError, backoff, is_transient_status},
    metrics::{Metrics, template},
};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one request may take, with its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// How often a request is tried before its failure is reported.
const ATTEMPTS: u32 = 5;

/// The longest pause that an endpoint may ask for (`Retry-After`) and get. Who asks for more is not waited for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Largest answer read, in bytes. A page of 100 outputs with full datums stays far below.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// How much of a server's error text is kept, in characters. The ledger's predicate failures are long.
const MAX_MESSAGE: usize = 4_000;

/// A base URL with the client that talks to it.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    client: Client,
    base: Url,
    pace: Arc<Pace>,
    pub(crate) metrics: Metrics,
}

/// A complete answer.
struct Answer {
    status: u16,
    /// How long the server wants to be left alone.
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

/// When a request may be made again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    /// After any passing trouble: it only reads.
    Always,
    /// Only when the server certainly did nothing with it: no connection, or a rate limit.
    IfUntouched,
}

/// An attempt without an answer.
struct NoAnswer {
    error: ChainError,
    /// Whether the request never left.
    untouched: bool,
}

/// Blockfrost's error body; only the text is read, the status comes from HTTP.
#[derive(serde::Deserialize)]
struct ErrorBody {
    message: String,
}

impl Transport {
    /// A transport for a base URL such as `https://cardano-preprod.blockfrost.io/api/v0`.
    pub(crate) fn new(endpoint: &Endpoint) -> Result<Self, ChainError> {
        let base_url = &endpoint.base_url;
        let bad = |reason: String| ChainError::BadEndpoint { url: base_url.chars().take(200).collect(), reason };
        let mut base =
            Url::parse(base_url).map_err(|e| bad(format!("{e}; give a URL such as http://127.0.0.1:8090/api/v0")))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(bad("only http and https URLs are understood".into()));
        }
        // A relative path replaces what follows the last slash.
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let mut headers = HeaderMap::new();
        if let Some(id) = &endpoint.project_id {
            if base.scheme() == "http" && !is_loopback(&base) {
                return Err(bad("the project id would travel in clear: use https, or leave the project id out".into()));
            }
            let mut value = HeaderValue::from_str(id)
                .map_err(|_| bad("the project id holds characters that no HTTP header can".into()))?;
            value.set_sensitive(true);
            headers.insert("project_id", value);
        }
        let mut client = Client::builder()
            .default_headers(headers)
            .user_agent(concat!("nunet/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            // The project id must not follow a redirect to somebody else.
            .redirect(Policy::none());
        if is_loopback(&base) {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|e| bad(e.to_string()))?;
        let (pace, metrics) = (Arc::new(Pace::new(endpoint.rate)), Metrics::default());
        Ok(Self { client, base, pace, metrics })
    }

    /// `GET path`, as JSON; `None` when the server says 404.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, ChainError> {
        let url = self.url(path)?;
        let answer = self.send(path, Again::Always, || self.client.get(url.clone())).await?;
        match answer.status {
            404 => Ok(None),
            200..=299 => parse(path, &answer.body).map(Some),
            status => Err(status_error(path, status, &answer.body)),
        }
    }

    /// `GET path` where 404 is an error.
    pub(crate) async fn expect<T: DeserializeOwned>(&self, path: &str) -> Result<T, ChainError> {
        self.get(path).await?.ok_or_else(|| ChainError::Status {
            path: path.into(),
            status: 404,
            message: "not found".into(),
        })
    }

    /// `POST path` with CBOR, answered in JSON. After an error that [`ChainError::leaves_open`] it may have been received.
    pub(crate) async fn post_cbor<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, ChainError> {
        let url = self.url(path)?;
        let request = || {
            self.client.request(Method::POST, url.clone()).header(CONTENT_TYPE, "application/cbor").body(body.to_vec())
        };
        let answer = self.send(path, Again::IfUntouched, request).await?;
        match answer.status {
            200..=299 => parse(path, &answer.body),
            status => Err(status_error(path, status, &answer.body)),
        }
    }

    fn url(&self, path: &str) -> Result<Url, ChainError> {
        self.base.join(path).map_err(|e| ChainError::BadEndpoint { url: self.base.to_string(), reason: e.to_string() })
    }

    /// Sends until there is an answer that is worth reading: no connection error, no 429, no 5xx; the last attempt's
    /// answer is returned whatever it is.
    async fn send(&self, path: &str, again: Again, request: impl Fn() -> RequestBuilder) -> Result<Answer, ChainError> {
        // What a request names stays out of the span: spans are kept longer than anybody needs an address.
        let span = tracing::debug_span!("request", endpoint = template(path));
        async {
            let mut attempt = 1;
            loop {
                let result = self.attempt(path, request()).await;
                let pause = match &result {
                    Ok(answer) if is_transient_status(answer.status) => {
                        let untouched = matches!(answer.status, 425 | 429);
                        (again == Again::Always || untouched).then(|| answer.retry_after.unwrap_or(backoff(attempt)))
                    }
                    Err(NoAnswer { error, untouched }) if error.is_transient() => {
                        (again == Again::Always || *untouched).then(|| backoff(attempt))
                    }
                    _ => None,
                };
                let pause = pause.filter(|pause| attempt < ATTEMPTS && *pause <= LONGEST_RETRY_AFTER);
                let Some(pause) = pause else {
                    return result.map_err(|NoAnswer { error, .. }| match error {
                        ChainError::Unreachable { path, reason, .. } => {
                            ChainError::Unreachable { path, attempts: attempt, reason }
                        }
                        other => other,
                    });
                };
                tracing::debug!(attempt, ?pause, "the chain endpoint has trouble, trying again");
                self.metrics.retries.inc();
                if result.is_ok_and(|answer| answer.retry_after.is_some()) {
                    // It holds for everything that is asked.
                    self.pace.pause(Instant::now(), pause);
                } else {
                    tokio::time::sleep(pause).await;
                }
                attempt += 1;
            }
        }
        .instrument(span)
        .await
    }

    /// One request, when it is its turn.
    async fn attempt(&self, path: &str, request: RequestBuilder) -> Result<Answer, NoAnswer> {
        let wait = self.pace.take(Instant::now());
        if !wait.is_zero() {
            self.metrics.waits.inc();
            tokio::time::sleep(wait).await;
        }
        let begun = Instant::now();
        let result = exchange(path, request).await;
        let status = result.as_ref().ok().map(|answer| answer.status);
        self.metrics.request(path, status, begun.elapsed().as_secs_f64());
        result
    }
}

async fn exchange(path: &str, request: RequestBuilder) -> Result<Answer, NoAnswer> {
    let unreachable = |error: reqwest::Error| NoAnswer {
        untouched: error.is_connect(),
        error: ChainError::Unreachable { path: path.into(), attempts: 1, reason: causes(&error.without_url()) },
    };
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            let reason = format!("it is longer than {MAX_ANSWER} bytes");
            return Err(NoAnswer { error: ChainError::Malformed { path: path.into(), reason }, untouched: false });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, retry_after: retry_after.map(Duration::from_secs), body })
}

/// Whether a URL names this machine; such requests never go through a proxy.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn parse<T: DeserializeOwned>(path: &str, body: &[u8]) -> Result<T, ChainError> {
    serde_json::from_slice(body).map_err(|e| ChainError::Malformed { path: path.into(), reason: e.to_string() })
}

fn status_error(path: &str, status: u16, body: &[u8]) -> ChainError {
    let message = match serde_json::from_slice::<ErrorBody>(body) {
        Ok(body) => body.message,
        Err(_) => String::from_utf8_lossy(&body[..body.len().min(4 * MAX_MESSAGE)]).into_owned(),
    };
    // A stranger's text must not steer the terminal that shows it.
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let message: String = message.chars().take(MAX_MESSAGE).map(plain).collect();
    ChainError::Status { path: path.into(), status, message }
}

/// An error with its causes in one line: reqwest keeps "connection refused" three levels down.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

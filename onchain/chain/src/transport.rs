//! HTTP with limits: every request has a deadline, every answer a size, and passing trouble is retried.

use std::time::Duration;

use reqwest::{
    Client, Method, RequestBuilder, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
    redirect::Policy,
};
use serde::de::DeserializeOwned;

use crate::error::{ChainError, backoff, is_transient_status};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one request may take, with its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// How often a request is tried before its failure is reported.
const ATTEMPTS: u32 = 5;

/// Largest answer read, in bytes. A page of 100 outputs with full datums stays far below.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// How much of a server's error text is kept, in characters. The ledger's predicate failures are long.
const MAX_MESSAGE: usize = 4_000;

/// A base URL with the client that talks to it.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    client: Client,
    base: Url,
}

/// A complete answer.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

/// Blockfrost's error body; only the text is read, the status comes from HTTP.
#[derive(serde::Deserialize)]
struct ErrorBody {
    message: String,
}

impl Transport {
    /// A transport for a base URL such as `https://cardano-preprod.blockfrost.io/api/v0`.
    pub(crate) fn new(base_url: &str, project_id: Option<&str>) -> Result<Self, ChainError> {
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
        if let Some(id) = project_id {
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
        Ok(Self { client, base })
    }

    /// `GET path`, as JSON; `None` when the server says 404.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, ChainError> {
        let url = self.url(path)?;
        let answer = self.send(path, || self.client.get(url.clone())).await?;
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

    /// `POST path` with CBOR, answered in JSON.
    pub(crate) async fn post_cbor<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, ChainError> {
        let url = self.url(path)?;
        let request = || {
            self.client.request(Method::POST, url.clone()).header(CONTENT_TYPE, "application/cbor").body(body.to_vec())
        };
        let answer = self.send(path, request).await?;
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
    async fn send(&self, path: &str, request: impl Fn() -> RequestBuilder) -> Result<Answer, ChainError> {
        let mut attempt = 1;
        loop {
            let result = self.attempt(path, request()).await;
            let again = match &result {
                Ok(answer) => is_transient_status(answer.status),
                Err(error) => error.is_transient(),
            };
            if !again || attempt == ATTEMPTS {
                return result.map_err(|error| match error {
                    ChainError::Unreachable { path, reason, .. } => {
                        ChainError::Unreachable { path, attempts: attempt, reason }
                    }
                    other => other,
                });
            }
            tracing::debug!(path, attempt, "the chain endpoint has trouble, trying again");
            tokio::time::sleep(backoff(attempt)).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, path: &str, request: RequestBuilder) -> Result<Answer, ChainError> {
        let unreachable = |error: reqwest::Error| ChainError::Unreachable {
            path: path.into(),
            attempts: 1,
            reason: causes(&error.without_url()),
        };
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(ChainError::Malformed {
                    path: path.into(),
                    reason: format!("it is longer than {MAX_ANSWER} bytes"),
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body })
    }
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
    ChainError::Status { path: path.into(), status, message: message.chars().take(MAX_MESSAGE).collect() }
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

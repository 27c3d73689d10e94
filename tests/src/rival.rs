//! Somebody else who is faster: an endpoint between an agent and the devnet that lets another transaction in first.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use minicbor::Decoder;
use nunet_devnet::Devnet;
use nunet_ledger::{TxId, hash::blake2b_256};
use tokio::{net::TcpListener, task::JoinHandle};

/// The largest body that is passed on.
const MAX_BODY: usize = 1 << 20;

/// What becomes of the agent's first transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It comes to the devnet after the rival's.
    Late,
    /// It is acknowledged and then lost on its way, and the rival's comes to the devnet instead.
    Lost,
}

/// An endpoint in front of a devnet's.
pub struct RivalEndpoint {
    /// Where an agent connects to.
    pub url: String,
    server: JoinHandle<()>,
}

struct Gate {
    upstream: String,
    client: reqwest::Client,
    /// The rival's transaction, until the agent has sent its first one.
    rival: Mutex<Option<(Fate, Vec<u8>)>>,
}

impl RivalEndpoint {
    /// An endpoint that passes everything on, and lets this transaction in before the first one that is submitted.
    pub async fn start(devnet: &Devnet, fate: Fate, rival: Vec<u8>) -> anyhow::Result<Self> {
        const API: &str = "/api/v0";
        let upstream = devnet.url().strip_suffix(API).context("the devnet's URL has another path")?.to_owned();
        let gate = Gate { upstream, client: reqwest::Client::new(), rival: Mutex::new(Some((fate, rival))) };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}{API}", listener.local_addr()?);
        let router = Router::new().fallback(pass).with_state(Arc::new(gate));
        let server = tokio::spawn(async move {
            // It ends when it is dropped.
            drop(axum::serve(listener, router).await);
        });
        Ok(Self { url, server })
    }
}

impl Drop for RivalEndpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn pass(State(gate): State<Arc<Gate>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let answer = match to_bytes(body, MAX_BODY).await {
        Ok(body) => {
            let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            gate.answer(&parts.method, path, &parts.headers, body).await
        }
        Err(error) => Err(error.into()),
    };
    answer.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
}

impl Gate {
    async fn answer(&self, method: &Method, path: &str, headers: &HeaderMap, body: Bytes) -> anyhow::Result<Response> {
        let submits = *method == Method::POST && path.ends_with("/tx/submit");
        let rival = if submits { self.rival.lock().unwrap_or_else(PoisonError::into_inner).take() } else { None };
        let Some((fate, rival)) = rival else { return self.forward(method, path, headers, body).await };
        let taken = self.forward(method, path, headers, rival.into()).await?;
        anyhow::ensure!(taken.status().is_success(), "the rival's transaction was not taken");
        match fate {
            Fate::Late => self.forward(method, path, headers, body).await,
            Fate::Lost => {
                let id = transaction_id(&body)?;
                Ok(([(header::CONTENT_TYPE, "application/json")], format!("\"{id}\"")).into_response())
            }
        }
    }

    async fn forward(&self, method: &Method, path: &str, headers: &HeaderMap, body: Bytes) -> anyhow::Result<Response> {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.upstream)).body(body);
        if let Some(kind) = headers.get(header::CONTENT_TYPE) {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let answer = request.send().await?;
        let (status, kind) = (answer.status(), answer.headers().get(header::CONTENT_TYPE).cloned());
        let mut response = (status, answer.bytes().await?).into_response();
        if let Some(kind) = kind {
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        Ok(response)
    }
}

/// The hash of the body's bytes.
fn transaction_id(tx: &[u8]) -> anyhow::Result<TxId> {
    let mut decoder = Decoder::new(tx);
    decoder.array()?;
    let start = decoder.position();
    decoder.skip()?;
    Ok(TxId(blake2b_256(tx.get(start..decoder.position()).context("no body")?)))
}

//! Hands each inbound request to the handler of its protocol, some at a time, each within its time.

use std::{collections::HashMap, fmt, sync::Arc};

use futures::future::BoxFuture;
use libp2p::PeerId;
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};
use tracing::Instrument;

use crate::{
    error::NodeError,
    identity::{KeyError, public_key_of},
    inbox::{Inbound, Inbox},
    message::{ProtocolSpec, Request},
    node::{Node, NodeConfig},
    refusal::{Refusal, RefusalCode},
};

/// Who asks, and the node that was asked: a handler can ask back, or fetch a blob from the caller.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The caller's authenticated peer id.
    pub peer: PeerId,
    /// The node that received the request.
    pub node: Node,
}

impl Caller {
    /// The caller's Ed25519 public key.
    ///
    /// # Errors
    /// Never for a peer that is connected: only Ed25519 identities can connect.
    pub fn public_key(&self) -> Result<[u8; 32], KeyError> {
        public_key_of(&self.peer)
    }
}

type Handler = Arc<dyn Fn(Node, Inbound) -> BoxFuture<'static, ()> + Send + Sync>;

#[derive(Clone)]
struct Route {
    spec: ProtocolSpec,
    handler: Handler,
    running: Arc<Semaphore>,
}

/// Handlers by protocol.
///
/// A handler is an async function from the [`Caller`] and the request to the answer or a [`Refusal`]. It gets
/// [`Request::TIMEOUT`], then it is dropped: what must be finished once begun belongs into a task of its own. A handler
/// that panics costs its own request only.
#[derive(Clone)]
pub struct Router {
    routes: HashMap<&'static str, Route>,
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Router").field(&self.routes.keys()).finish()
    }
}

impl Default for Router {
    fn default() -> Self {
        Self::new()
    }
}

impl Router {
    /// How many requests of one protocol are handled at once, unless said otherwise; more wait their turn.
    pub const CONCURRENCY: usize = 16;

    /// A router without handlers.
    #[must_use]
    pub fn new() -> Self {
        Self { routes: HashMap::new() }
    }

    /// Adds the handler for `R`, [`CONCURRENCY`](Router::CONCURRENCY) at a time. A second handler for the same protocol
    /// replaces the first.
    #[must_use]
    pub fn on<R, F, Fut>(self, handler: F) -> Self
    where
        R: Request,
        F: Fn(Caller, R) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R::Response, Refusal>> + Send + 'static,
    {
        self.on_at_most(Self::CONCURRENCY, handler)
    }

    /// Adds the handler for `R`, `at_once` (at least 1) at a time.
    #[must_use]
    pub fn on_at_most<R, F, Fut>(mut self, at_once: usize, handler: F) -> Self
    where
        R: Request,
        F: Fn(Caller, R) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R::Response, Refusal>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let erased: Handler = Arc::new(move |node, inbound| {
            let handler = Arc::clone(&handler);
            Box::pin(async move { handle::<R, F, Fut>(&*handler, node, inbound).await })
        });
        let running = Arc::new(Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS)));
        let spec = ProtocolSpec::of::<R>();
        self.routes.insert(spec.name, Route { spec, handler: erased, running });
        self
    }

    /// The protocols that have a handler.
    #[must_use]
    pub fn protocols(&self) -> Vec<ProtocolSpec> {
        self.routes.values().map(|route| route.spec).collect()
    }

    /// Starts a node that serves these protocols. It runs until [`Node::shutdown`].
    ///
    /// # Errors
    /// [`NodeError`], as [`Node::start`].
    pub async fn start(self, config: NodeConfig) -> Result<Node, NodeError> {
        let (node, inbox) = Node::start(config.serve(self.protocols())).await?;
        tokio::spawn(self.serve(node.clone(), inbox));
        Ok(node)
    }

    /// Serves an inbox until its node has stopped; then ends the handlers that still run.
    pub async fn serve(self, node: Node, mut inbox: Inbox) {
        // The number of tasks is bounded by the requests that a node admits.
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                inbound = inbox.next() => match inbound {
                    Some(inbound) => self.dispatch(&node, inbound, &mut tasks),
                    None => break,
                },
                Some(ended) = tasks.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a request handler panicked");
                    }
                }
            }
        }
    }

    fn dispatch(&self, node: &Node, mut inbound: Inbound, tasks: &mut JoinSet<()>) {
        let Some(route) = self.routes.get(inbound.protocol()) else {
            let text = format!("nobody handles {} here", inbound.protocol());
            return inbound.into_reply().refuse(Refusal::failed(text));
        };
        let span = tracing::debug_span!("handle", peer = %inbound.peer(), protocol = inbound.protocol());
        let (route, node) = (route.clone(), node.clone());
        let work = async move {
            tokio::select! {
                // The semaphore is never closed.
                _turn = route.running.acquire() => (route.handler)(node, inbound).await,
                // Whoever waited for its turn in vain is not worked for.
                () = inbound.reply.sender.closed() => {}
            }
        };
        tasks.spawn(work.instrument(span));
    }
}

async fn handle<R, F, Fut>(handler: &F, node: Node, inbound: Inbound)
where
    R: Request,
    F: Fn(Caller, R) -> Fut,
    Fut: Future<Output = Result<R::Response, Refusal>>,
{
    let request = match inbound.decode::<R>() {
        Ok(request) => request,
        Err(refusal) => {
            tracing::debug!(%refusal, "refused");
            return inbound.into_reply().refuse(refusal);
        }
    };
    let caller = Caller { peer: inbound.peer(), node };
    let reply = inbound.into_reply();
    match timeout(R::TIMEOUT, handler(caller, request)).await {
        Ok(Ok(response)) => {
            if let Err(error) = reply.send::<R>(&response) {
                tracing::warn!(%error, "an answer was not sent");
            }
        }
        Ok(Err(refusal)) => {
            tracing::debug!(%refusal, "refused");
            reply.refuse(refusal);
        }
        Err(_) => reply.refuse(Refusal::new(RefusalCode::TimedOut, "the answer was not ready in time")),
    }
}

//! The NuNet node's network shell: typed requests between authenticated peers over libp2p (QUIC and TCP).
//!
//! A [`Node`] is a cheap handle to one task, the manager, that owns the libp2p swarm. What travels is CBOR
//! ([`minicbor`]); what each message may weigh and how long it may take is written at its type ([`Request`]).
//!
//! ```text
//!   node.request(peer, &quote)                          router.on::<Quote, _, _>(|caller, quote| …)
//!        │ open a stream                                        ▲ Inbound { peer, payload, reply }
//!        ▼                                                      │
//!   ┌─────────┐ dial, choose a link ┌───────┐  streams  ┌───────┴──┐
//!   │ manager ├────────────────────▶│ swarm │══════════▶│ doorkeeper│ rate, size, memory, scores
//!   └─────────┘                     └───────┘           └──────────┘
//! ```
//!
//! Every stream carries one request and one answer and is driven by the task that wants it, so dropping a future
//! cancels its request. Everything is bounded ([`Limits`]): links, streams, bytes, requests per second and peer. A peer
//! that breaks rules is refused, and after some [penalties](Penalty) blocked for a while. Nothing that a peer sends
//! panics.
//!
//! ```
//! use std::time::Duration;
//!
//! use nunet_p2p::{Node, NodeConfig, Refusal, Request, Router};
//!
//! /// Asks a peer to add two numbers.
//! #[derive(minicbor::Encode, minicbor::Decode)]
//! struct Add(#[n(0)] u32, #[n(1)] u32);
//!
//! impl Request for Add {
//!     const PROTOCOL: &'static str = "/nunet/1/add";
//!     const MAX_REQUEST: usize = 64;
//!     const MAX_RESPONSE: usize = 64;
//!     const TIMEOUT: Duration = Duration::from_secs(5);
//!     type Response = u32;
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let router = Router::new().on(|_caller, Add(left, right)| async move {
//!     left.checked_add(right).ok_or_else(|| Refusal::rejected("the sum does not fit 32 bits"))
//! });
//! let server = router.start(NodeConfig::new([1; 32])).await?;
//! let client = Router::new().start(NodeConfig::new([2; 32])).await?;
//!
//! let peer = client.connect(server.addresses()[0].clone()).await?;
//! assert_eq!(client.request(peer, &Add(2, 3)).await?, 5);
//! # server.shutdown().await;
//! # client.shutdown().await;
//! # Ok(())
//! # }
//! ```

pub mod blob;
mod doorkeeper;
mod error;
mod frame;
mod identity;
mod inbox;
mod limits;
mod manager;
mod message;
mod node;
mod refusal;
mod router;
mod streams;
mod swarm;
mod turns;
#[cfg(test)]
mod wire_tests;

pub use libp2p::{Multiaddr, PeerId};

pub use crate::{
    error::{ConnectError, NodeError, RequestError, Unreachable},
    identity::{KeyError, peer_id_of, public_key_of},
    inbox::{Inbound, Inbox, Reply, ReplyError},
    limits::{Limits, Penalty},
    message::{ProtocolSpec, Request},
    node::{Node, NodeConfig},
    refusal::{Refusal, RefusalCode},
    router::{Caller, Router},
};

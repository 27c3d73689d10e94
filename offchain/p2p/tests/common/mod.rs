//! What the tests over real sockets share.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use nunet_p2p::{Multiaddr, Node, NodeConfig, PeerId, Request, Router};

pub const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
pub const TCP: &str = "/ip4/127.0.0.1/tcp/0";
pub const TRANSPORTS: [&str; 2] = [QUIC, TCP];

pub const LIMIT: usize = 300_000;

/// Sends bytes there and back.
#[derive(Debug, Clone, PartialEq, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct Echo(#[cbor(n(0), with = "minicbor::bytes")] pub Vec<u8>);

impl Request for Echo {
    const PROTOCOL: &'static str = "/test/1/echo";
    const MAX_REQUEST: usize = LIMIT;
    const MAX_RESPONSE: usize = LIMIT;
    const TIMEOUT: Duration = Duration::from_secs(20);
    type Response = Echo;
}

pub fn echo_router() -> Router {
    Router::new().on(|_, echo: Echo| async move { Ok(echo) })
}

pub fn config(seed: u8, transport: &str) -> NodeConfig {
    NodeConfig::new([seed; 32]).listen([transport.parse::<Multiaddr>().unwrap()])
}

/// A server with these handlers, a client that is connected to it, and the server's peer id.
pub async fn pair(transport: &str, router: Router) -> (Node, Node, PeerId) {
    let server = router.start(config(1, transport)).await.unwrap();
    let client = Router::new().start(config(2, transport)).await.unwrap();
    let peer = client.connect(server.addresses()[0].clone()).await.unwrap();
    assert_eq!(peer, server.peer_id());
    (server, client, peer)
}

pub async fn stop(nodes: impl IntoIterator<Item = Node>) {
    for node in nodes {
        tokio::time::timeout(Duration::from_secs(10), node.shutdown()).await.expect("a node shuts down in time");
    }
}

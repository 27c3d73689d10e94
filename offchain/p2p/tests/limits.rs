//! What a node does to peers that ask too much or speak nonsense, over real sockets.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{sync::Arc, time::Duration};

use common::{Echo, QUIC, TRANSPORTS, config, echo_router, stop};
use nunet_p2p::{RefusalCode, Request, RequestError, Router, Unreachable};
use tokio::{sync::Semaphore, task::JoinSet};

mod common;

/// A text where the echo protocol has bytes.
#[derive(minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
struct Nonsense(#[n(0)] String);

impl Request for Nonsense {
    const PROTOCOL: &'static str = Echo::PROTOCOL;
    const MAX_REQUEST: usize = 100;
    const MAX_RESPONSE: usize = 100;
    const TIMEOUT: Duration = Duration::from_secs(10);
    type Response = ();
}

#[tokio::test]
async fn a_flood_is_refused_above_the_rate_then_blocked_and_others_are_served() {
    for transport in TRANSPORTS {
        let strict = config(1, transport).limits(|limits| (limits.rate_per_peer, limits.burst_per_peer) = (1, 20));
        let server = echo_router().start(strict).await.unwrap();
        let eager =
            config(2, transport).limits(|limits| (limits.rate_per_peer, limits.burst_per_peer) = (10_000, 10_000));
        let flooder = Router::new().start(eager).await.unwrap();
        let other = Router::new().start(config(3, transport)).await.unwrap();
        let peer = flooder.connect(server.addresses()[0].clone()).await.unwrap();
        other.connect(server.addresses()[0].clone()).await.unwrap();

        let (mut served, mut limited, mut rest) = (0, 0, 0);
        for _ in 0..50 {
            match flooder.request(peer, &Echo(vec![1])).await {
                Ok(_) => served += 1,
                Err(RequestError::Refused { code: RefusalCode::RateLimited, .. }) => limited += 1,
                Err(_) => rest += 1,
            }
        }
        // 20 at once and one per second after that.
        assert!((20..30).contains(&served) && limited >= 20 && rest == 0, "{served} {limited} {rest}");
        assert_eq!(other.request(peer, &Echo(vec![1])).await.unwrap(), Echo(vec![1]));

        // It goes on regardless, and is cut off.
        let mut tries = 0;
        while flooder.connected_peers().await.contains(&peer) {
            let _ = flooder.request(peer, &Echo(vec![1])).await;
            tries += 1;
            assert!(tries < 2000, "the flooder was never cut off");
        }
        assert!(other.request(peer, &Echo(vec![1])).await.is_ok());
        stop([server, flooder, other]).await;
    }
}

#[tokio::test]
async fn a_well_behaved_node_paces_itself_below_the_rate() {
    let rate = |limits: &mut nunet_p2p::Limits| (limits.rate_per_peer, limits.burst_per_peer) = (100, 80);
    let server = echo_router().start(config(1, QUIC).limits(rate)).await.unwrap();
    let client = Router::new().start(config(2, QUIC).limits(rate)).await.unwrap();
    let peer = client.connect(server.addresses()[0].clone()).await.unwrap();
    let mut asking = JoinSet::new();
    for _ in 0..150 {
        let client = client.clone();
        asking.spawn(async move { client.request(peer, &Echo(vec![1])).await });
    }
    while let Some(answer) = asking.join_next().await {
        answer.unwrap().unwrap();
    }
    stop([server, client]).await;
}

#[tokio::test]
async fn a_peer_that_keeps_talking_nonsense_is_blocked_for_a_while() {
    for transport in TRANSPORTS {
        let short = config(1, transport).limits(|limits| limits.block_for = Duration::from_millis(500));
        let server = echo_router().start(short).await.unwrap();
        let client = Router::new().start(config(2, transport)).await.unwrap();
        let address = server.addresses()[0].clone();
        let peer = client.connect(address.clone()).await.unwrap();
        for _ in 0..4 {
            let error = client.request(peer, &Nonsense("hello".to_owned())).await.unwrap_err();
            // The last one may lose its answer to the block.
            let expected = matches!(&error, RequestError::Refused { code: RefusalCode::Malformed, .. })
                || matches!(&error, RequestError::Interrupted { .. });
            assert!(expected, "{error}");
        }
        // The server closes the link.
        tokio::time::timeout(Duration::from_secs(5), async {
            while !server.connected_peers().await.is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the peer is cut off");
        // From its own side, the server does not even try while the block lasts.
        server.add_address(client.peer_id(), client.addresses()[0].clone()).await;
        if let Err(RequestError::Unreachable { reason, .. }) = server.request(client.peer_id(), &Echo(vec![1])).await {
            assert_eq!(*reason, Unreachable::Blocked);
        }
        // Later it is served again.
        tokio::time::timeout(Duration::from_secs(10), async {
            while client.request(peer, &Echo(vec![1])).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .expect("the block ends");
        stop([server, client]).await;
    }
}

#[tokio::test]
async fn requests_above_the_concurrency_wait_for_their_turn() {
    let gate = Arc::new(Semaphore::new(0));
    let opener = Arc::clone(&gate);
    let router = Router::new().on_at_most(3, move |_, echo: Echo| {
        let gate = Arc::clone(&gate);
        async move {
            let _passed = gate.acquire().await;
            Ok(echo)
        }
    });
    let server = router.start(config(1, QUIC).limits(|limits| limits.requests_per_peer = 8)).await.unwrap();
    let client = Router::new().start(config(2, QUIC).limits(|limits| limits.requests_per_peer = 8)).await.unwrap();
    let greedy = Router::new().start(config(3, QUIC).limits(|limits| limits.requests_per_peer = 16)).await.unwrap();
    let peer = client.connect(server.addresses()[0].clone()).await.unwrap();
    greedy.connect(server.addresses()[0].clone()).await.unwrap();

    // A node with the same limits is never told to go away, however much it wants at once.
    let mut asking = JoinSet::new();
    for index in 0..30 {
        let client = client.clone();
        asking.spawn(async move { client.request(peer, &Echo(vec![index])).await });
    }
    // One that wants more at once than it may is.
    let mut refused = JoinSet::new();
    for index in 0..16 {
        let greedy = greedy.clone();
        refused.spawn(async move { greedy.request(peer, &Echo(vec![index])).await });
    }
    for _ in 0..8 {
        let error = refused.join_next().await.unwrap().unwrap().unwrap_err();
        assert!(matches!(&error, RequestError::Refused { code: RefusalCode::Busy, .. }), "{error}");
    }
    opener.add_permits(3);
    while let Some(answer) = asking.join_next().await {
        answer.unwrap().unwrap();
    }
    while let Some(answer) = refused.join_next().await {
        answer.unwrap().unwrap();
    }
    stop([server, client, greedy]).await;
}

#[tokio::test]
async fn more_links_than_allowed_are_refused() {
    let server = echo_router().start(config(1, QUIC).limits(|limits| limits.connections = 2)).await.unwrap();
    let address = server.addresses()[0].clone();
    let mut clients = Vec::new();
    for seed in 2..6 {
        let client = Router::new().start(config(seed, QUIC)).await.unwrap();
        // The dialer may believe for a moment that it got in.
        let _ = client.connect(address.clone()).await;
        clients.push(client);
    }
    let mut served = 0;
    for client in &clients {
        served += usize::from(client.request(server.peer_id(), &Echo(vec![1])).await.is_ok());
    }
    assert_eq!(served, 2);
    assert_eq!(server.connected_peers().await.len(), 2);
    stop(clients.into_iter().chain([server])).await;
}

//! Typed requests over real QUIC and TCP sockets of the loopback interface.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use common::{Echo, LIMIT, QUIC, TCP, TRANSPORTS, config, echo_router, pair, stop};
use nunet_p2p::{
    ConnectError, Multiaddr, Node, NodeConfig, NodeError, ProtocolSpec, Refusal, RefusalCode, Request, RequestError,
    Router, Unreachable, peer_id_of, public_key_of,
};
use tokio::task::JoinSet;

mod common;

/// A request type under any of the test's protocol names.
macro_rules! request {
    ($name:ident, $protocol:literal, $request:expr, $response:expr, $timeout:expr) => {
        #[derive(Debug, minicbor::Encode, minicbor::Decode)]
        #[cbor(transparent)]
        struct $name(#[n(0)] u32);

        impl Request for $name {
            const PROTOCOL: &'static str = $protocol;
            const MAX_REQUEST: usize = $request;
            const MAX_RESPONSE: usize = $response;
            const TIMEOUT: Duration = $timeout;
            type Response = String;
        }
    };
}

request!(Repeat, "/test/1/repeat", 16, 1000, Duration::from_secs(10));
request!(Hang, "/test/1/hang", 16, 16, Duration::from_millis(300));

#[tokio::test]
async fn an_answer_comes_back_to_whoever_asked() {
    for transport in TRANSPORTS {
        let (server, client, peer) = pair(transport, echo_router()).await;
        let echo = Echo(vec![1, 2, 3]);
        assert_eq!(client.request(peer, &echo).await.unwrap(), echo);
        assert_eq!(client.connected_peers().await, [peer]);
        assert_eq!(public_key_of(&peer).unwrap(), server.public_key());
        assert_eq!(peer_id_of(&server.public_key()).unwrap(), peer);
        stop([server, client]).await;
    }
}

#[tokio::test]
async fn the_handler_learns_who_asks_and_can_ask_back() {
    let router = Router::new().on(|caller: nunet_p2p::Caller, Repeat(_)| async move {
        let back = caller.node.request(caller.peer, &Echo(vec![9])).await;
        let back = back.map_err(|error| Refusal::failed(error.to_string()))?;
        let key = caller.public_key().map_err(|error| Refusal::failed(error.to_string()))?;
        Ok(format!("{} {:?}", hex::encode(key), back.0))
    });
    let server = router.start(config(1, QUIC)).await.unwrap();
    let client = echo_router().start(config(2, QUIC)).await.unwrap();
    let peer = client.connect(server.addresses()[0].clone()).await.unwrap();
    let answer = client.request(peer, &Repeat(0)).await.unwrap();
    assert_eq!(answer, format!("{} [9]", hex::encode(client.public_key())));
    stop([server, client]).await;
}

#[tokio::test]
async fn a_message_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
    for transport in TRANSPORTS {
        let (server, client, peer) = pair(transport, echo_router()).await;
        // Five bytes are CBOR's head of a long byte string.
        let whole = Echo((0..LIMIT - 5).map(|index| (index % 251) as u8).collect());
        assert_eq!(client.request(peer, &whole).await.unwrap(), whole);
        let error = client.request(peer, &Echo(vec![0; LIMIT - 4])).await.unwrap_err();
        let expected = RequestError::TooLarge { protocol: Echo::PROTOCOL, size: LIMIT + 1, limit: LIMIT };
        assert_eq!(error, expected);
        stop([server, client]).await;
    }
}

#[tokio::test]
async fn a_request_over_the_servers_limit_is_refused_by_the_server() {
    /// The same protocol in a version that allows more.
    #[derive(minicbor::Encode, minicbor::Decode)]
    #[cbor(transparent)]
    struct Big(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>);
    impl Request for Big {
        const PROTOCOL: &'static str = Echo::PROTOCOL;
        const MAX_REQUEST: usize = 2 * LIMIT;
        const MAX_RESPONSE: usize = LIMIT;
        const TIMEOUT: Duration = Duration::from_secs(20);
        type Response = Echo;
    }
    for transport in TRANSPORTS {
        let (server, client, peer) = pair(transport, echo_router()).await;
        let error = client.request(peer, &Big(vec![0; LIMIT])).await.unwrap_err();
        let RequestError::Refused { code, text, .. } = error else { panic!("{error}") };
        assert_eq!((code, &*text), (RefusalCode::TooLarge, "message of 300005 bytes: at most 300000 are allowed"));
        assert_eq!(client.request(peer, &Echo(vec![1])).await.unwrap(), Echo(vec![1]));
        stop([server, client]).await;
    }
}

#[tokio::test]
async fn an_answer_over_the_limit_becomes_a_refusal() {
    for transport in TRANSPORTS {
        let router = Router::new().on(|_, Repeat(count)| async move { Ok("x".repeat(count as usize)) });
        let (server, client, peer) = pair(transport, router).await;
        assert_eq!(client.request(peer, &Repeat(997)).await.unwrap().len(), 997);
        let error = client.request(peer, &Repeat(998)).await.unwrap_err();
        let RequestError::Refused { code, text, .. } = error else { panic!("{error}") };
        assert_eq!((code, &*text), (RefusalCode::Failed, "the answer has 1001 bytes, 1000 are allowed"));
        stop([server, client]).await;
    }
}

#[tokio::test]
async fn malformed_cbor_gets_a_refusal_that_says_so_and_the_node_lives() {
    /// The same protocol name, but a text where the server expects bytes.
    #[derive(minicbor::Encode, minicbor::Decode)]
    #[cbor(transparent)]
    struct Text(#[n(0)] String);
    impl Request for Text {
        const PROTOCOL: &'static str = Echo::PROTOCOL;
        const MAX_REQUEST: usize = 100;
        const MAX_RESPONSE: usize = 100;
        const TIMEOUT: Duration = Duration::from_secs(10);
        type Response = ();
    }
    for transport in TRANSPORTS {
        let (server, client, peer) = pair(transport, echo_router()).await;
        let error = client.request(peer, &Text("hello".to_owned())).await.unwrap_err();
        let RequestError::Refused { code, text, .. } = error else { panic!("{error}") };
        assert_eq!(code, RefusalCode::Malformed);
        assert!(text.starts_with("malformed /test/1/echo request: "), "{text}");
        assert_eq!(client.request(peer, &Echo(vec![1])).await.unwrap(), Echo(vec![1]));
        stop([server, client]).await;
    }
}

#[tokio::test]
async fn a_refusal_travels_with_its_code_and_text() {
    let router = Router::new().on(|_, Repeat(_)| async move { Err(Refusal::rejected("not for you\n")) });
    let (server, client, peer) = pair(QUIC, router).await;
    let error = client.request(peer, &Repeat(1)).await.unwrap_err();
    let text = "not for you\u{fffd}".into();
    assert_eq!(error, RequestError::Refused { peer, protocol: Repeat::PROTOCOL, code: RefusalCode::Rejected, text });
    stop([server, client]).await;
}

#[tokio::test]
async fn a_handler_that_hangs_times_out_on_both_sides() {
    for transport in TRANSPORTS {
        let router = echo_router().on(|_, Hang(_)| std::future::pending());
        let (server, client, peer) = pair(transport, router).await;
        let start = Instant::now();
        let error = client.request(peer, &Hang(0)).await.unwrap_err();
        // The two clocks run almost together: whichever ends first, the requester hears of it in time.
        let timed_out = matches!(&error, RequestError::TimedOut { .. })
            || matches!(&error, RequestError::Refused { code: RefusalCode::TimedOut, .. });
        assert!(timed_out, "{error}");
        assert!(start.elapsed() >= Hang::TIMEOUT && start.elapsed() < Duration::from_secs(5));
        // A requester that waits longer hears it from the server.
        let error = client.request_within(peer, &Hang(0), Duration::from_secs(10)).await.unwrap_err();
        assert!(matches!(&error, RequestError::Refused { code: RefusalCode::TimedOut, .. }), "{error}");
        assert_eq!(client.request(peer, &Echo(vec![1])).await.unwrap(), Echo(vec![1]));
        stop([server, client]).await;
    }
}

#[tokio::test]
async fn a_handler_that_panics_costs_its_own_request_only() {
    let router = echo_router().on(|_, Repeat(count)| async move {
        assert!(count == 0, "this handler only likes zero");
        Ok(String::new())
    });
    let (server, client, peer) = pair(QUIC, router).await;
    let error = client.request(peer, &Repeat(1)).await.unwrap_err();
    assert!(matches!(&error, RequestError::Refused { code: RefusalCode::Failed, .. }), "{error}");
    assert_eq!(client.request(peer, &Repeat(0)).await.unwrap(), "");
    stop([server, client]).await;
}

#[tokio::test]
async fn a_protocol_that_the_peer_does_not_serve_is_named() {
    for transport in TRANSPORTS {
        let (server, client, peer) = pair(transport, echo_router()).await;
        let error = client.request(peer, &Repeat(1)).await.unwrap_err();
        assert_eq!(error, RequestError::Unsupported { peer, protocol: Repeat::PROTOCOL });
        assert_eq!(client.request(peer, &Echo(vec![1])).await.unwrap(), Echo(vec![1]));
        stop([server, client]).await;
    }
}

#[tokio::test]
async fn dialing_the_wrong_peer_fails_and_says_who_answered() {
    for transport in TRANSPORTS {
        let server = echo_router().start(config(1, transport)).await.unwrap();
        let client = Router::new().start(config(2, transport)).await.unwrap();
        let stranger = nunet_p2p::PeerId::random();
        let address = without_peer(&server.addresses()[0]).with_p2p(stranger).unwrap();
        let error = client.connect(address.clone()).await.unwrap_err();
        let reason = Unreachable::WrongPeer { found: server.peer_id() };
        assert_eq!(error, ConnectError::Unreachable { address: address.clone(), reason: reason.clone() });
        // The same through a request.
        client.add_address(stranger, address).await;
        let error = client.request(stranger, &Echo(vec![1])).await.unwrap_err();
        assert_eq!(error, RequestError::Unreachable { peer: stranger, reason: Box::new(reason) });
        stop([server, client]).await;
    }
}

#[tokio::test]
async fn a_peer_without_an_address_and_an_address_without_a_peer_are_told_apart() {
    let server = echo_router().start(config(1, TCP)).await.unwrap();
    let client = Router::new().start(config(2, TCP)).await.unwrap();
    let peer = server.peer_id();
    let error = client.request(peer, &Echo(vec![1])).await.unwrap_err();
    assert_eq!(error, RequestError::Unreachable { peer, reason: Box::new(Unreachable::NoAddress) });
    let address = server.addresses()[0].clone();
    stop([server]).await;
    client.add_address(peer, address.clone()).await;
    let error = client.request(peer, &Echo(vec![1])).await.unwrap_err();
    assert!(matches!(&error, RequestError::Unreachable { reason, .. } if matches!(**reason, Unreachable::Dial(_))));
    assert!(error.is_transient());
    // The address is kept: when the peer is back, the next request finds it.
    let server = echo_router().start(NodeConfig::new([1; 32]).listen([without_peer(&address)])).await.unwrap();
    assert_eq!(client.request(peer, &Echo(vec![1])).await.unwrap(), Echo(vec![1]));
    stop([server, client]).await;
}

fn without_peer(address: &Multiaddr) -> Multiaddr {
    let mut address = address.clone();
    address.pop();
    address
}

#[tokio::test]
async fn a_link_that_the_peer_closed_is_made_anew() {
    for transport in TRANSPORTS {
        let (server, client, peer) = pair(transport, echo_router()).await;
        client.request(peer, &Echo(vec![1])).await.unwrap();
        let address = without_peer(&server.addresses()[0]);
        stop([server]).await;
        let server = loop {
            match echo_router().start(NodeConfig::new([1; 32]).listen([address.clone()])).await {
                // The system may hold the port for some moments.
                Err(NodeError::Listen { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
                other => break other.unwrap(),
            }
        };
        // The first request may still meet the dying link.
        let answer = loop {
            match client.request(peer, &Echo(vec![2])).await {
                Err(error) if error.is_transient() => tokio::task::yield_now().await,
                other => break other,
            }
        };
        assert_eq!(answer.unwrap(), Echo(vec![2]));
        stop([server, client]).await;
    }
}

#[tokio::test]
async fn a_node_asks_neither_itself_nor_after_its_end() {
    let node = echo_router().start(config(1, QUIC)).await.unwrap();
    let other = node.clone();
    let error = node.request(node.peer_id(), &Echo(vec![1])).await.unwrap_err();
    assert_eq!(error, RequestError::Myself(Echo::PROTOCOL));
    let own = node.addresses()[0].clone();
    for address in [own.clone(), without_peer(&own)] {
        let error = node.connect(address.clone()).await.unwrap_err();
        assert_eq!(error, ConnectError::Unreachable { address, reason: Unreachable::Myself });
    }
    stop([node.clone(), node]).await;
    let stranger = nunet_p2p::PeerId::random();
    assert_eq!(other.request(stranger, &Echo(vec![1])).await.unwrap_err(), RequestError::Stopped(Echo::PROTOCOL));
    assert_eq!(other.connect(own.clone()).await.unwrap_err(), ConnectError::Stopped { address: own });
}

#[tokio::test]
async fn a_node_that_dials_itself_by_an_address_it_does_not_know_finds_out() {
    for transport in TRANSPORTS {
        let node = echo_router().start(config(1, &transport.replace("127.0.0.1", "0.0.0.0"))).await.unwrap();
        let known = without_peer(&node.addresses()[0]).to_string();
        let rest = known.splitn(4, '/').nth(3).unwrap();
        let address: Multiaddr = format!("/ip4/127.0.0.2/{rest}").parse().unwrap();
        let error = node.connect(address.clone()).await.unwrap_err();
        assert_eq!(error, ConnectError::Unreachable { address, reason: Unreachable::Myself });
        stop([node]).await;
    }
}

#[tokio::test]
async fn shutdown_ends_what_is_under_way_on_both_sides() {
    for transport in TRANSPORTS {
        request!(Long, "/test/1/long", 16, 16, Duration::from_secs(60));
        let (arrived, mut arrivals) = tokio::sync::mpsc::channel(1);
        let router = Router::new().on(move |_, Long(_)| {
            let arrived = arrived.clone();
            async move {
                arrived.send(()).await.unwrap();
                std::future::pending().await
            }
        });
        let (server, client, peer) = pair(transport, router).await;
        let asking = tokio::spawn({
            let client = client.clone();
            async move { client.request(peer, &Long(0)).await }
        });
        arrivals.recv().await.unwrap();
        stop([server]).await;
        let error = asking.await.unwrap().unwrap_err();
        assert!(matches!(error, RequestError::Interrupted { .. }), "{error}");

        let asking = tokio::spawn({
            let client = client.clone();
            async move { client.request_within(nunet_p2p::PeerId::random(), &Long(0), Duration::MAX).await }
        });
        stop([client]).await;
        asking.await.unwrap().unwrap_err();
    }
}

#[tokio::test]
async fn a_node_ends_when_every_handle_is_dropped() {
    let (node, mut inbox) = Node::start(config(1, QUIC)).await.unwrap();
    drop(node);
    assert!(inbox.next().await.is_none());
}

#[tokio::test]
async fn the_inbox_can_be_served_by_hand() {
    let (server, mut inbox) = Node::start(config(1, QUIC).serve([ProtocolSpec::of::<Repeat>()])).await.unwrap();
    let client = Router::new().start(config(2, QUIC)).await.unwrap();
    let peer = client.connect(server.addresses()[0].clone()).await.unwrap();
    let serving = tokio::spawn(async move {
        let inbound = inbox.next().await.unwrap();
        let Repeat(number) = inbound.decode().unwrap();
        assert!(inbound.decode::<Echo>().is_err(), "it is not an echo request");
        let from = inbound.peer();
        inbound.into_reply().send::<Repeat>(&number.to_string()).unwrap();
        drop(inbox.next().await.unwrap());
        from
    });
    assert_eq!(client.request(peer, &Repeat(42)).await.unwrap(), "42");
    let error = client.request(peer, &Repeat(42)).await.unwrap_err();
    assert!(error.to_string().ends_with("the request was dropped without an answer"), "{error}");
    assert_eq!(serving.await.unwrap(), client.peer_id());
    stop([server, client]).await;
}

#[tokio::test]
async fn an_address_that_cannot_be_listened_on_and_a_protocol_served_twice_are_start_errors() {
    let node = Node::start(config(1, QUIC)).await.unwrap();
    let taken = without_peer(&node.0.addresses()[0]);
    // The first port is taken by a node, the second address is none of this machine's.
    for address in [taken, "/ip4/192.0.2.1/tcp/0".parse().unwrap()] {
        let error = Node::start(NodeConfig::new([2; 32]).listen([address.clone()])).await.unwrap_err();
        assert!(matches!(&error, NodeError::Listen { address: named, .. } if *named == address), "{error}");
        let error = error.to_string();
        assert!(error.contains("in use") || error.contains("Cannot assign"), "{error}");
    }
    let spec = ProtocolSpec::of::<Echo>();
    let error = Node::start(NodeConfig::new([2; 32]).serve([spec, spec])).await.unwrap_err();
    assert!(matches!(error, NodeError::DuplicateProtocol("/test/1/echo")), "{error}");
    stop([node.0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seven_nodes_talk_to_each_other_at_once_over_both_transports() {
    const NODES: usize = 7;
    const EACH: usize = 20;
    let handled = Arc::new(AtomicUsize::new(0));
    let mut nodes = Vec::new();
    for seed in 0..NODES {
        let handled = Arc::clone(&handled);
        let router = Router::new().on(move |_, echo: Echo| {
            handled.fetch_add(1, Ordering::Relaxed);
            async move { Ok(echo) }
        });
        nodes.push(router.start(NodeConfig::new([seed as u8 + 1; 32])).await.unwrap());
    }
    let mut asking = JoinSet::new();
    for (from, node) in nodes.iter().enumerate() {
        for (to, other) in nodes.iter().enumerate().filter(|(to, _)| *to != from) {
            for address in other.addresses() {
                node.add_address(other.peer_id(), address).await;
            }
            for index in 0..EACH {
                let (node, peer) = (node.clone(), other.peer_id());
                let echo = Echo([from, to, index].iter().flat_map(|part| vec![*part as u8; 500]).collect());
                asking.spawn(async move { assert_eq!(node.request(peer, &echo).await.unwrap(), echo) });
            }
        }
    }
    while let Some(done) = asking.join_next().await {
        done.unwrap();
    }
    assert_eq!(handled.load(Ordering::Relaxed), NODES * (NODES - 1) * EACH);
    stop(nodes).await;
}

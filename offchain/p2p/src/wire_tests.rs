//! Hostile bytes on real streams: what a node does with a peer that speaks the transport but not the protocol.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};

use crate::{
    Multiaddr, Node, NodeConfig, PeerId, Refusal, RefusalCode, Request, RequestError, Router,
    frame::{FrameError, read_response},
};

/// Gives back the number it was sent.
#[derive(Debug, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
struct Echo(#[n(0)] u32);

impl Request for Echo {
    const PROTOCOL: &'static str = "/test/1/echo";
    const MAX_REQUEST: usize = 1000;
    const MAX_RESPONSE: usize = 1000;
    const TIMEOUT: Duration = Duration::from_secs(10);
    type Response = u32;
}

const TRANSPORTS: [&str; 2] = ["/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"];

async fn pair(transport: &str) -> (Node, Node, PeerId) {
    let config = |seed| NodeConfig::new([seed; 32]).listen([transport.parse::<Multiaddr>().unwrap()]);
    let router = Router::new().on(|_, Echo(number)| async move { Ok::<_, Refusal>(number) });
    let server = router.start(config(1)).await.unwrap();
    let client = Router::new().start(config(2)).await.unwrap();
    let peer = client.connect(server.addresses()[0].clone()).await.unwrap();
    (server, client, peer)
}

/// Writes raw bytes on a stream of the echo protocol, ends it, and reads what comes back.
async fn send_raw(client: &Node, peer: PeerId, bytes: &[u8]) -> Result<Result<Vec<u8>, Refusal>, FrameError> {
    let mut stream = client.open(peer, Echo::PROTOCOL).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    // The peer may have refused and stopped reading by now.
    let _ = stream.close().await;
    read_response(&mut stream, 1000).await
}

#[tokio::test]
async fn broken_frames_get_a_refusal_that_says_why_and_the_node_lives() {
    for transport in TRANSPORTS {
        let (server, client, peer) = pair(transport).await;
        let cases: [(&[u8], RefusalCode, &str); 4] = [
            (&[0, 0], RefusalCode::Malformed, "malformed stream: it ended early"),
            (&[0, 0, 0, 9, 1], RefusalCode::Malformed, "malformed stream: it ended early"),
            (&[0, 0, 0, 1, 7, 7], RefusalCode::Malformed, "malformed stream: bytes follow the message"),
            (&[0, 0, 3, 233], RefusalCode::TooLarge, "message of 1001 bytes: at most 1000 are allowed"),
        ];
        for (bytes, code, text) in cases {
            let refusal = send_raw(&client, peer, bytes).await.unwrap().unwrap_err();
            assert_eq!((refusal.code(), refusal.text()), (code, text), "{transport}");
        }
        assert_eq!(client.request(peer, &Echo(5)).await.unwrap(), 5, "{transport}");
        server.shutdown().await;
        client.shutdown().await;
    }
}

#[tokio::test]
async fn a_big_announcement_with_a_big_body_is_refused_too() {
    for transport in TRANSPORTS {
        let (server, client, peer) = pair(transport).await;
        // More than the node drains while it refuses, less than fits the transport's windows.
        let body = vec![9; 200_000];
        let bytes = [&200_000u32.to_be_bytes()[..], &body].concat();
        // A peer this rude may find its stream reset before it reads the refusal; the node must not care either way.
        if let Ok(response) = send_raw(&client, peer, &bytes).await {
            assert_eq!(response.unwrap_err().code(), RefusalCode::TooLarge);
        }
        assert_eq!(client.request(peer, &Echo(5)).await.unwrap(), 5, "{transport}");
        server.shutdown().await;
        client.shutdown().await;
    }
}

#[tokio::test]
async fn an_abandoned_stream_frees_its_place() {
    let config = |seed| NodeConfig::new([seed; 32]).limits(|limits| limits.requests_per_peer = 2);
    let router = Router::new().on(|_, Echo(number)| async move { Ok::<_, Refusal>(number) });
    let server = router.start(config(1)).await.unwrap();
    let client = Router::new().start(config(2)).await.unwrap();
    let peer = client.connect(server.addresses()[0].clone()).await.unwrap();
    for _ in 0..10 {
        let mut stream = client.open(peer, Echo::PROTOCOL).await.unwrap();
        stream.write_all(&[0, 0, 1, 0, 1, 2, 3]).await.unwrap();
        stream.flush().await.unwrap();
        drop(stream);
    }
    // Resets travel behind the requests; the places come free when they arrive.
    let answer = loop {
        match client.request(peer, &Echo(5)).await {
            Err(error) if error.is_transient() => tokio::task::yield_now().await,
            other => break other,
        }
    };
    assert_eq!(answer.unwrap(), 5);
    server.shutdown().await;
    client.shutdown().await;
}

#[tokio::test]
async fn answers_that_are_no_answers_are_told_from_broken_links() {
    for transport in TRANSPORTS {
        // The same protocol name with other answers: a text where a number belongs, and longer than the client allows.
        #[derive(minicbor::Encode, minicbor::Decode)]
        #[cbor(transparent)]
        struct Liar(#[n(0)] u32);
        impl Request for Liar {
            const PROTOCOL: &'static str = Echo::PROTOCOL;
            const MAX_REQUEST: usize = 1000;
            const MAX_RESPONSE: usize = 5000;
            const TIMEOUT: Duration = Duration::from_secs(10);
            type Response = String;
        }
        let config = |seed| NodeConfig::new([seed; 32]).listen([transport.parse::<Multiaddr>().unwrap()]);
        let router = Router::new().on(|_, Liar(length)| async move { Ok::<_, Refusal>("x".repeat(length as usize)) });
        let server = router.start(config(1)).await.unwrap();
        let client = Router::new().start(config(2)).await.unwrap();
        let peer = client.connect(server.addresses()[0].clone()).await.unwrap();

        let wrong_type = client.request(peer, &Echo(3)).await.unwrap_err();
        assert!(matches!(wrong_type, RequestError::BadAnswer { peer: who, .. } if who == peer), "{wrong_type}");
        let too_long = client.request(peer, &Echo(4000)).await.unwrap_err().to_string();
        assert!(too_long.contains("message of 4003 bytes: at most 1000 are allowed"), "{too_long}");
        server.shutdown().await;
        client.shutdown().await;
    }
}

#[tokio::test]
async fn a_node_reads_nothing_after_an_answer() {
    // The requester ends its side; a responder that keeps the stream open and sends more is caught by the reader.
    let wire = [&[0u8, 0, 0, 0, 1, 7][..], &[1]].concat();
    let mut reader = futures::io::Cursor::new(wire);
    assert!(matches!(read_response(&mut reader, 10).await, Err(FrameError::Trailing)));
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
}

//! Serves HTTP/1.1 connections with bounds on their number and on the time that a client may take.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet, time};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

/// Connections that are served at the same time; more wait to be accepted.
const MAX_CONNECTIONS: usize = 1_024;

/// How long a client may take to send a request's head, and how long a connection may be idle between requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a client may take to read some of an answer that waits for it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest request head.
const MAX_HEADER_BYTES: usize = 16 * 1_024;

/// How long requests in flight may take to finish at shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// How long to wait after an accept failed, when a resource (file descriptors) is short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What strangers may take of the server.
#[derive(Clone, Copy, Debug)]
struct Limits {
    connections: usize,
    header: Duration,
    write: Duration,
}

/// Accepts and serves connections until `stop` is cancelled.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let limits = Limits { connections: MAX_CONNECTIONS, header: HEADER_TIMEOUT, write: WRITE_TIMEOUT };
    serve_within(limits, listener, router, stop).await;
}

async fn serve_within(limits: Limits, listener: TcpListener, router: Router, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        let accept = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept => accepted,
        };
        // The semaphore is never closed.
        let Ok(place) = place else { break };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(limits.write));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header)
            .max_buf_size(MAX_HEADER_BYTES)
            .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router.clone()));
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    if time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::debug!("requests were still in flight at shutdown");
    }
    connections.shutdown().await;
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        time::timeout,
    };

    use super::*;

    /// Longer than any limit here takes to strike.
    const PATIENCE: Duration = Duration::from_secs(20);

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: devnet\r\n\r\n";

    /// A server with an answer of 64 MiB, more than sockets buffer.
    async fn start(limits: Limits) -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/large", get(|| async { vec![0_u8; 64 * 1_024 * 1_024] }));
        let stop = CancellationToken::new();
        tokio::spawn(serve_within(limits, listener, router, stop.clone()));
        (address, stop)
    }

    const LIMITS: Limits = Limits { connections: 2, header: PATIENCE, write: PATIENCE };

    /// Reads until an answer's body is there.
    async fn answer(stream: &mut TcpStream) -> String {
        let mut text = Vec::new();
        while !text.ends_with(b"hello") {
            let read = timeout(PATIENCE, stream.read_buf(&mut text)).await.expect("an answer").unwrap();
            assert!(read > 0, "the connection ended: {}", String::from_utf8_lossy(&text));
        }
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn a_client_that_does_not_finish_its_head_is_let_go() {
        let (address, _stop) = start(Limits { header: Duration::from_millis(100), ..LIMITS }).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
        let mut rest = Vec::new();
        // The end of the connection, in order or not, is what is waited for.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the connection ends");
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_its_answer_is_let_go() {
        let (address, _stop) = start(Limits { connections: 1, write: Duration::from_millis(100), ..LIMITS }).await;
        let mut deaf = TcpStream::connect(address).await.unwrap();
        deaf.write_all(b"GET /large HTTP/1.1\r\nhost: devnet\r\n\r\n").await.unwrap();
        // There is one place, so this is answered only once the other is gone.
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(REQUEST).await.unwrap();
        assert!(answer(&mut next).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_wait_for_a_place() {
        let (address, _stop) = start(LIMITS).await;
        let mut held = Vec::new();
        for _ in 0..LIMITS.connections {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(REQUEST).await.unwrap();
            answer(&mut stream).await;
            held.push(stream);
        }
        let mut waiting = TcpStream::connect(address).await.unwrap();
        waiting.write_all(REQUEST).await.unwrap();
        held.pop();
        assert!(answer(&mut waiting).await.starts_with("HTTP/1.1 200"));
    }
}

//! Serves one stream that a peer opened: reads the request, queues it, writes the answer, all within limits.

use std::time::Duration;

use libp2p::{PeerId, Stream};
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    time::{Instant, timeout, timeout_at},
};

use crate::{
    frame::{self, Budget, FrameError},
    inbox::{Inbound, Reply},
    limits::Penalty,
    manager::Report,
    message::ProtocolSpec,
    refusal::{Refusal, RefusalCode},
};

/// How long writing a refusal to a peer that we do not serve may take.
const REFUSAL_TIME: Duration = Duration::from_secs(5);
/// What a peer may still send while it is being refused, in bytes.
const REFUSAL_DRAIN: usize = 64 * 1024;

/// What the tasks that serve streams share.
#[derive(Debug, Clone)]
pub(crate) struct Doorkeeper {
    pub(crate) inbox: mpsc::Sender<Inbound>,
    pub(crate) reports: mpsc::Sender<Report>,
    pub(crate) budget: Budget,
}

impl Doorkeeper {
    /// Serves an admitted stream until it is answered.
    ///
    /// Reading and handling take at most the protocol's timeout together, and writing the answer at most as long again.
    pub(crate) async fn serve(self, peer: PeerId, spec: ProtocolSpec, mut stream: Stream) {
        let deadline = Instant::now() + spec.timeout;
        let read = frame::read_request(&mut stream, spec.max_request, &self.budget);
        let payload = match timeout_at(deadline, read).await {
            Ok(Ok(payload)) => payload,
            Ok(Err(error)) => return self.refuse_unread(peer, &spec, stream, error).await,
            Err(_) => {
                tracing::debug!(%peer, protocol = spec.name, "the request did not arrive in time");
                return refuse(stream, Refusal::new(RefusalCode::TimedOut, "the request did not arrive in time")).await;
            }
        };
        let (sender, answer) = oneshot::channel();
        let inbound = Inbound { peer, payload, reply: Reply { spec, sender }, reports: self.reports.clone() };
        let response = match self.inbox.try_send(inbound) {
            Ok(()) => match timeout_at(deadline, answer).await {
                Ok(Ok(response)) => response,
                Ok(Err(_)) => Err(Refusal::failed("the request was dropped without an answer")),
                Err(_) => Err(Refusal::new(RefusalCode::TimedOut, "the answer was not ready in time")),
            },
            Err(TrySendError::Full(_)) => Err(Refusal::busy("too many requests wait; ask again later")),
            Err(TrySendError::Closed(_)) => Err(Refusal::failed("this node takes no requests any more")),
        };
        match timeout(spec.timeout, frame::write_response(&mut stream, &response)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%peer, protocol = spec.name, %error, "the answer was not delivered"),
            Err(_) => tracing::debug!(%peer, protocol = spec.name, "the peer did not take the answer in time"),
        }
    }

    async fn refuse_unread(&self, peer: PeerId, spec: &ProtocolSpec, stream: Stream, error: FrameError) {
        tracing::debug!(%peer, protocol = spec.name, %error, "the request could not be read");
        let (refusal, penalty) = match error {
            FrameError::TooLong { .. } => {
                (Refusal::new(RefusalCode::TooLarge, error.to_string()), Some(Penalty::Malformed))
            }
            FrameError::OutOfBudget => (Refusal::busy("too many bytes wait here; ask again later"), None),
            // A requester that gives up resets its stream or, over QUIC, ends it early: nobody is to blame.
            FrameError::Io(_) => return,
            FrameError::Truncated => (Refusal::malformed("stream: it ended early"), None),
            other => (Refusal::new(RefusalCode::Malformed, other.to_string()), Some(Penalty::Malformed)),
        };
        if let Some(penalty) = penalty {
            // A full report queue means that the manager has plenty to judge this peer by.
            let _ = self.reports.try_send(Report { peer, penalty });
        }
        refuse(stream, refusal).await;
    }
}

/// Writes a refusal, and swallows a little of what the peer still sends, so that it gets to read it.
pub(crate) async fn refuse(mut stream: Stream, refusal: Refusal) {
    let work = async {
        if frame::write_response(&mut stream, &Err(refusal)).await.is_ok() {
            frame::drain(&mut stream, REFUSAL_DRAIN).await;
        }
    };
    // Too slow: the stream is dropped and thereby reset.
    let _ = timeout(REFUSAL_TIME, work).await;
}

//! What arrives: requests of peers, each with a handle to answer it once.

use libp2p::PeerId;
use tokio::sync::{mpsc, oneshot};

use crate::{
    frame::Payload,
    limits::Penalty,
    manager::Report,
    message::{self, ProtocolSpec, Request},
    refusal::Refusal,
};

/// The bounded queue of requests that arrived. When nobody takes them out, further ones are refused as busy.
#[derive(Debug)]
pub struct Inbox {
    pub(crate) receiver: mpsc::Receiver<Inbound>,
}

impl Inbox {
    /// The next request, or `None` once the node is shut down.
    pub async fn next(&mut self) -> Option<Inbound> {
        self.receiver.recv().await
    }
}

/// A request that a peer made. The peer's identity is authenticated by the transport.
#[derive(Debug)]
pub struct Inbound {
    pub(crate) peer: PeerId,
    pub(crate) payload: Payload,
    pub(crate) reply: Reply,
    pub(crate) reports: mpsc::Sender<Report>,
}

impl Inbound {
    /// Who asks.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// In which protocol.
    #[must_use]
    pub fn protocol(&self) -> &'static str {
        self.reply.spec.name
    }

    /// The encoded request.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload.bytes
    }

    /// Decodes the request.
    ///
    /// # Errors
    /// The refusal to answer with: "malformed …" when the bytes are no `R`, which also counts against the peer;
    /// "failed" when the request is of another protocol, which is a mistake of this program.
    pub fn decode<R: Request>(&self) -> Result<R, Refusal> {
        if R::PROTOCOL != self.protocol() {
            tracing::error!(asked = self.protocol(), handler = R::PROTOCOL, "a request reached the wrong handler");
            return Err(Refusal::failed("this node handed the request to the wrong handler"));
        }
        message::decode(&self.payload.bytes).map_err(|what| {
            // A full report queue means that the manager has plenty to judge this peer by.
            let _ = self.reports.try_send(Report { peer: self.peer, penalty: Penalty::Malformed });
            Refusal::malformed(format_args!("{} request: {what}", R::PROTOCOL))
        })
    }

    /// The handle to answer with; drops the request's bytes.
    #[must_use]
    pub fn into_reply(self) -> Reply {
        self.reply
    }
}

/// Answers one request. Dropped without an answer, the peer is told that the request failed.
#[derive(Debug)]
pub struct Reply {
    pub(crate) spec: ProtocolSpec,
    pub(crate) sender: oneshot::Sender<Result<Vec<u8>, Refusal>>,
}

/// Why an answer was not sent.
#[derive(Debug, thiserror::Error)]
pub enum ReplyError {
    /// It is too long; the peer was told that the request failed.
    #[error("an answer of {size} bytes is too long for {protocol}: at most {limit}; send big data as a blob")]
    TooLarge {
        /// The protocol.
        protocol: &'static str,
        /// The encoded size in bytes.
        size: usize,
        /// The protocol's limit in bytes.
        limit: usize,
    },
    /// It could not be encoded, or belongs to another protocol; the peer was told that the request failed.
    #[error("the answer to {protocol} could not be encoded: {reason}")]
    Encode {
        /// The protocol.
        protocol: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The peer or its link is gone, or the time is up.
    #[error("the answer to {protocol} came too late: nobody waits for it any more")]
    Gone {
        /// The protocol.
        protocol: &'static str,
    },
}

impl Reply {
    /// Whether nobody waits for the answer any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends the answer.
    ///
    /// # Errors
    /// [`ReplyError`]; the peer then gets a refusal, if it still waits.
    pub fn send<R: Request>(self, response: &R::Response) -> Result<(), ReplyError> {
        let protocol = self.spec.name;
        let encoded = if R::PROTOCOL == protocol {
            message::encode(response).map_err(|error| error.to_string())
        } else {
            Err(format!("it is an answer to {}", R::PROTOCOL))
        };
        let encoded = match encoded {
            Ok(encoded) => encoded,
            Err(reason) => {
                self.refuse(Refusal::failed("the answer could not be encoded"));
                return Err(ReplyError::Encode { protocol, reason });
            }
        };
        let (size, limit) = (encoded.len(), self.spec.max_response);
        if size > limit {
            self.refuse(Refusal::failed(format!("the answer has {size} bytes, {limit} are allowed")));
            return Err(ReplyError::TooLarge { protocol, size, limit });
        }
        self.sender.send(Ok(encoded)).map_err(|_| ReplyError::Gone { protocol })
    }

    /// Says no. When nobody waits any more, nothing happens.
    pub fn refuse(self, refusal: Refusal) {
        let _ = self.sender.send(Err(refusal));
    }
}

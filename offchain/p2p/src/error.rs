//! What can go wrong when a node starts, connects or asks, in terms of what the caller can do about it.

use std::time::Duration;

use libp2p::{
    Multiaddr, PeerId,
    allow_block_list::Blocked,
    connection_limits::Exceeded,
    swarm::{ConnectionDenied, DialError},
};

use crate::refusal::{Refusal, RefusalCode};

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The transport could not be set up.
    #[error("the network transport could not be set up: {0}")]
    Transport(String),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {reason}; choose another address or port")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// What the transport said.
        reason: String,
    },
    /// Two requests have one protocol name.
    #[error("protocol {0} is served twice; give each request type a name of its own")]
    DuplicateProtocol(&'static str),
}

/// Why there is no link to a peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// Nobody told this node where the peer is.
    #[error("no address is known; add one with add_address or connect to it first")]
    NoAddress,
    /// This node blocks the peer because it broke rules.
    #[error("it is blocked here for breaking the protocol's rules; try again later")]
    Blocked,
    /// This node has as many links as it may have.
    #[error("{0}; close some or raise the limits")]
    Limit(String),
    /// Somebody else answers at the address.
    #[error("{found} answered instead; correct the peer id or the address")]
    WrongPeer {
        /// Who answered.
        found: PeerId,
    },
    /// The address is this node's own.
    #[error("the address is this node's own")]
    Myself,
    /// No address could be reached.
    #[error("no address could be reached: {0}")]
    Dial(String),
}

impl Unreachable {
    pub(crate) fn from_dial(error: DialError) -> Self {
        match error {
            DialError::NoAddresses => Self::NoAddress,
            DialError::LocalPeerId { .. } => Self::Myself,
            DialError::WrongPeerId { obtained, .. } => Self::WrongPeer { found: obtained },
            DialError::Denied { cause } => Self::from_denial(&cause),
            other => Self::Dial(other.to_string()),
        }
    }

    fn from_denial(cause: &ConnectionDenied) -> Self {
        if cause.downcast_ref::<Blocked>().is_some() {
            return Self::Blocked;
        }
        if let Some(exceeded) = cause.downcast_ref::<Exceeded>() {
            return Self::Limit(exceeded.to_string());
        }
        Self::Dial(cause.to_string())
    }
}

/// Why [`Node::connect`](crate::Node::connect) failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The address leads to no link with the expected peer.
    #[error("cannot connect to {address}: {reason}")]
    Unreachable {
        /// The address.
        address: Multiaddr,
        /// Why.
        reason: Unreachable,
    },
    /// The node was shut down.
    #[error("cannot connect to {address}: this node was shut down")]
    Stopped {
        /// The address.
        address: Multiaddr,
    },
}

/// Why [`Node::request`](crate::Node::request) brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The peer said no.
    #[error("{peer} refused {protocol}: {text}")]
    Refused {
        /// Who.
        peer: PeerId,
        /// What.
        protocol: &'static str,
        /// Why, for programs.
        code: RefusalCode,
        /// Why, for people: at most [`Refusal::MAX_TEXT`] bytes, no control characters.
        text: Box<str>,
    },
    /// There is no link to the peer.
    #[error("cannot reach {peer}: {reason}")]
    Unreachable {
        /// Who.
        peer: PeerId,
        /// Why.
        reason: Box<Unreachable>,
    },
    /// The peer does not speak the protocol.
    #[error("{peer} does not serve {protocol}; it plays another role, or another version")]
    Unsupported {
        /// Who.
        peer: PeerId,
        /// What.
        protocol: &'static str,
    },
    /// No answer in time. Whether the request was acted upon is not known.
    #[error("{peer} did not answer {protocol} within {} ms; it may still have acted on it", after.as_millis())]
    TimedOut {
        /// Who.
        peer: PeerId,
        /// What.
        protocol: &'static str,
        /// How long this node waited.
        after: Duration,
    },
    /// The link broke. Whether the request was acted upon is not known.
    #[error("the exchange of {protocol} with {peer} broke off: {reason}; it may still have acted on it")]
    Interrupted {
        /// Who.
        peer: PeerId,
        /// What.
        protocol: &'static str,
        /// What the transport said.
        reason: Box<str>,
    },
    /// The peer's answer is not one of the protocol.
    #[error("{peer} gave no valid answer to {protocol}: {reason}; do not rely on this peer")]
    BadAnswer {
        /// Who.
        peer: PeerId,
        /// What.
        protocol: &'static str,
        /// What is wrong with it.
        reason: Box<str>,
    },
    /// The request is longer than its protocol allows; nothing was sent.
    #[error("a request of {size} bytes is too long for {protocol}: at most {limit}; send big data as a blob")]
    TooLarge {
        /// What.
        protocol: &'static str,
        /// Its encoded size in bytes.
        size: usize,
        /// The protocol's limit in bytes.
        limit: usize,
    },
    /// The request could not be encoded; nothing was sent.
    #[error("the request for {protocol} could not be encoded: {reason}")]
    Encode {
        /// What.
        protocol: &'static str,
        /// What the encoder said.
        reason: Box<str>,
    },
    /// A node does not ask itself.
    #[error("{0} is a request of this node to itself; call the local service instead")]
    Myself(&'static str),
    /// The node was shut down.
    #[error("{0} was not sent: this node was shut down")]
    Stopped(&'static str),
}

impl RequestError {
    pub(crate) fn refused(peer: PeerId, protocol: &'static str, refusal: &Refusal) -> Self {
        Self::Refused { peer, protocol, code: refusal.code(), text: refusal.text().into() }
    }

    /// Whether the same request to the same peer may well succeed in a moment.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused { code, .. } => {
                matches!(code, RefusalCode::Busy | RefusalCode::RateLimited | RefusalCode::TimedOut)
            }
            Self::TimedOut { .. } | Self::Interrupted { .. } => true,
            Self::Unreachable { reason, .. } => matches!(**reason, Unreachable::Dial(_)),
            _ => false,
        }
    }
}

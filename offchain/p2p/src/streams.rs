//! The libp2p behaviour that opens and accepts streams, on a connection of our own choosing.
//!
//! libp2p's request-response offers every protocol it knows with each request, has one timeout for all, and cannot
//! cancel; libp2p-stream picks any connection. Here a stream is asked for by protocol, opened on the best link (QUIC
//! before TCP), and handed to the task that wants it; dropping it resets it.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use libp2p::{
    Multiaddr, PeerId, Stream,
    core::{
        Endpoint,
        transport::PortUse,
        upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo},
    },
    multiaddr::Protocol,
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
        NotifyHandler, StreamUpgradeError, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};
use tokio::sync::oneshot;

/// How long negotiating a protocol on a new stream may take.
const NEGOTIATION: Duration = Duration::from_secs(10);

/// Why a stream could not be opened. A vanished connection shows as a dropped [`Open::reply`].
#[derive(Debug)]
pub(crate) enum OpenError {
    /// The peer does not speak the protocol.
    Unsupported,
    /// Negotiation took too long.
    TimedOut,
    /// The connection failed under the stream.
    Io(std::io::Error),
}

/// Asks for a stream; whoever waits at the other end of `reply` gets it.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) protocol: &'static str,
    pub(crate) reply: oneshot::Sender<Result<Stream, OpenError>>,
}

/// A stream that a peer opened.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) peer: PeerId,
    pub(crate) protocol: &'static str,
    pub(crate) stream: Stream,
}

/// One established connection to a peer.
#[derive(Debug)]
struct Link {
    id: ConnectionId,
    is_quic: bool,
}

/// The addresses that somebody told this node; kept when a dial fails, since a peer may be down for a while.
#[derive(Debug, Default)]
struct AddressBook {
    addresses: HashMap<PeerId, Vec<Multiaddr>>,
    /// Peers in the order they were first told of; the oldest makes room.
    order: VecDeque<PeerId>,
}

impl AddressBook {
    const MAX_PEERS: usize = 4096;
    const MAX_ADDRESSES: usize = 8;

    fn add(&mut self, peer: PeerId, address: Multiaddr) {
        if !self.addresses.contains_key(&peer) {
            if self.order.len() >= Self::MAX_PEERS {
                self.order.pop_front().and_then(|oldest| self.addresses.remove(&oldest));
            }
            self.order.push_back(peer);
        }
        let known = self.addresses.entry(peer).or_default();
        if known.contains(&address) {
            return;
        }
        if known.len() >= Self::MAX_ADDRESSES {
            known.remove(0);
        }
        known.push(address);
    }
}

/// The behaviour: knows the links to every peer, opens streams on them, reports those that peers opened.
#[derive(Debug)]
pub(crate) struct Behaviour {
    served: Arc<[&'static str]>,
    book: AddressBook,
    links: HashMap<PeerId, Vec<Link>>,
    events: VecDeque<ToSwarm<Accepted, Open>>,
}

impl Behaviour {
    /// Accepts streams of the protocols in `served`.
    pub(crate) fn new(served: Arc<[&'static str]>) -> Self {
        Self { served, book: AddressBook::default(), links: HashMap::new(), events: VecDeque::new() }
    }

    /// Remembers an address of a peer for later dials.
    pub(crate) fn add_address(&mut self, peer: PeerId, address: Multiaddr) {
        self.book.add(peer, address);
    }

    /// Opens a stream on the best link to `peer`, or gives the wish back when there is no link.
    pub(crate) fn open(&mut self, peer: PeerId, open: Open) -> Result<(), Open> {
        // The youngest of the best kind: an older one may be dying unnoticed.
        let best = self.links.get(&peer).and_then(|links| links.iter().max_by_key(|link| link.is_quic));
        let Some(link) = best else { return Err(open) };
        self.events.push_back(ToSwarm::NotifyHandler {
            peer_id: peer,
            handler: NotifyHandler::One(link.id),
            event: open,
        });
        Ok(())
    }

    fn handler(&self) -> Handler {
        Handler { served: Arc::clone(&self.served), wanted: VecDeque::new(), accepted: VecDeque::new() }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Accepted;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        Ok(peer.and_then(|peer| self.book.addresses.get(&peer)).cloned().unwrap_or_default())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                let is_quic = established.endpoint.get_remote_address().iter().any(|part| part == Protocol::QuicV1);
                let link = Link { id: established.connection_id, is_quic };
                self.links.entry(established.peer_id).or_default().push(link);
            }
            FromSwarm::ConnectionClosed(closed) => {
                if let Some(links) = self.links.get_mut(&closed.peer_id) {
                    links.retain(|link| link.id != closed.connection_id);
                    if links.is_empty() {
                        self.links.remove(&closed.peer_id);
                    }
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        let (protocol, stream) = event;
        self.events.push_back(ToSwarm::GenerateEvent(Accepted { peer, protocol, stream }));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // No waker is kept: events are added by the swarm, which polls on, or by its owner, which polls it next.
        self.events.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// The part of the behaviour that lives in one connection's task.
#[derive(Debug)]
pub(crate) struct Handler {
    served: Arc<[&'static str]>,
    wanted: VecDeque<Open>,
    accepted: VecDeque<(&'static str, Stream)>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = (&'static str, Stream);
    type InboundProtocol = Offer;
    type OutboundProtocol = Offer;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = oneshot::Sender<Result<Stream, OpenError>>;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol, Self::InboundOpenInfo> {
        SubstreamProtocol::new(Offer(Arc::clone(&self.served)), ()).with_timeout(NEGOTIATION)
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Self::OutboundOpenInfo, Self::ToBehaviour>> {
        if let Some(accepted) = self.accepted.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(accepted));
        }
        while let Some(Open { protocol, reply }) = self.wanted.pop_front() {
            if reply.is_closed() {
                continue;
            }
            let offer = Offer(Arc::from([protocol]));
            let protocol = SubstreamProtocol::new(offer, reply).with_timeout(NEGOTIATION);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        // The connection polls again after every event it passes in.
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, open: Self::FromBehaviour) {
        self.wanted.push_back(open);
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<
            '_,
            Self::InboundProtocol,
            Self::OutboundProtocol,
            Self::InboundOpenInfo,
            Self::OutboundOpenInfo,
        >,
    ) {
        // A reply that cannot be delivered has lost its reader; the stream is dropped and thereby reset.
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                self.accepted.push_back(protocol);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (_, stream),
                info: reply,
            }) => {
                let _ = reply.send(Ok(stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info: reply, error }) => {
                let _ = reply.send(Err(match error {
                    StreamUpgradeError::NegotiationFailed => OpenError::Unsupported,
                    StreamUpgradeError::Timeout => OpenError::TimedOut,
                    StreamUpgradeError::Io(error) => OpenError::Io(error),
                    StreamUpgradeError::Apply(never) => match never {},
                }));
            }
            _ => {}
        }
    }
}

/// Negotiates one of some protocols, and adds nothing to it.
#[derive(Debug, Clone)]
pub(crate) struct Offer(Arc<[&'static str]>);

impl UpgradeInfo for Offer {
    type Info = &'static str;
    type InfoIter = std::vec::IntoIter<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.iter().copied().collect::<Vec<_>>().into_iter()
    }
}

impl InboundUpgrade<Stream> for Offer {
    type Output = (&'static str, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, stream: Stream, protocol: Self::Info) -> Self::Future {
        ready(Ok((protocol, stream)))
    }
}

impl OutboundUpgrade<Stream> for Offer {
    type Output = (&'static str, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, stream: Stream, protocol: Self::Info) -> Self::Future {
        ready(Ok((protocol, stream)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_address_book_is_bounded_in_peers_and_in_addresses() {
        let mut book = AddressBook::default();
        let first = PeerId::random();
        for port in 0..20u16 {
            book.add(first, format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap());
            book.add(first, format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap());
        }
        assert_eq!(book.addresses[&first].len(), AddressBook::MAX_ADDRESSES);
        assert_eq!(book.addresses[&first].last().unwrap().to_string(), "/ip4/127.0.0.1/tcp/19");
        for _ in 0..AddressBook::MAX_PEERS {
            book.add(PeerId::random(), "/ip4/127.0.0.1/tcp/1".parse().unwrap());
        }
        assert_eq!(book.addresses.len(), AddressBook::MAX_PEERS);
        assert!(!book.addresses.contains_key(&first));
    }
}

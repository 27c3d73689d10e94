//! The node: starts the swarm and its manager, and is the handle through which everything else asks for things.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::Arc,
    time::Duration,
};

use futures::AsyncReadExt;
use libp2p::{Multiaddr, PeerId, Stream, identity::Keypair};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    doorkeeper::Doorkeeper,
    error::{ConnectError, NodeError, RequestError, Unreachable},
    frame::{self, Budget, FrameError},
    identity::public_key_of,
    inbox::Inbox,
    limits::{Limits, Penalty},
    manager::{Command, Manager, Report, Wanted, with_peer},
    message::{self, ProtocolSpec, Request},
    streams::{Open, OpenError},
    swarm,
    turns::Turns,
};

/// Commands and reports that may wait for the manager.
const QUEUE: usize = 256;
/// How often a stream is tried to be opened on links that close, and the first pause, which grows with each try.
const OPEN_TRIES: u32 = 6;
const OPEN_PAUSE: Duration = Duration::from_millis(20);

/// How a node starts.
#[derive(Clone)]
pub struct NodeConfig {
    /// The Ed25519 seed that is the node's identity.
    pub secret: [u8; 32],
    /// The addresses to listen on; by default one QUIC and one TCP port of the loopback interface, chosen by the
    /// system.
    pub listen: Vec<Multiaddr>,
    /// The protocols that the node serves. [`Router::start`](crate::Router::start) fills this in.
    pub protocols: Vec<ProtocolSpec>,
    /// What the node allows.
    pub limits: Limits,
}

impl NodeConfig {
    /// The default configuration with this identity: loopback only, nothing served.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        use libp2p::multiaddr::Protocol::{Ip4, QuicV1, Tcp, Udp};
        let loopback = || Multiaddr::empty().with(Ip4(std::net::Ipv4Addr::LOCALHOST));
        Self {
            secret,
            listen: vec![loopback().with(Udp(0)).with(QuicV1), loopback().with(Tcp(0))],
            protocols: Vec::new(),
            limits: Limits::default(),
        }
    }

    /// The same, listening on these addresses.
    #[must_use]
    pub fn listen(mut self, addresses: impl IntoIterator<Item = Multiaddr>) -> Self {
        self.listen = addresses.into_iter().collect();
        self
    }

    /// The same with other limits.
    #[must_use]
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// The same, serving these protocols too.
    #[must_use]
    pub fn serve(mut self, protocols: impl IntoIterator<Item = ProtocolSpec>) -> Self {
        self.protocols.extend(protocols);
        self
    }
}

/// Leaves the secret out.
impl fmt::Debug for NodeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeConfig")
            .field("listen", &self.listen)
            .field("protocols", &self.protocols)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A handle to a running node; clones share it. The node runs until [`shutdown`](Node::shutdown), or until every handle
/// is dropped.
#[derive(Debug, Clone)]
pub struct Node {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    peer_id: PeerId,
    public_key: [u8; 32],
    addresses: watch::Receiver<Vec<Multiaddr>>,
    commands: mpsc::Sender<Command>,
    reports: mpsc::Sender<Report>,
    turns: Turns,
    stop: CancellationToken,
    stopped: CancellationToken,
}

impl Node {
    /// Starts a node; returns once it listens on every address.
    ///
    /// # Errors
    /// [`NodeError`] when an address cannot be listened on, or two protocols have one name.
    pub async fn start(config: NodeConfig) -> Result<(Self, Inbox), NodeError> {
        let NodeConfig { secret, listen, protocols: specs, limits } = config;
        let mut protocols = HashMap::new();
        for spec in specs {
            match protocols.entry(spec.name) {
                Entry::Occupied(_) => return Err(NodeError::DuplicateProtocol(spec.name)),
                Entry::Vacant(entry) => entry.insert(spec),
            };
        }
        let keypair = Keypair::ed25519_from_bytes(secret).map_err(|error| NodeError::Transport(error.to_string()))?;
        let peer_id = keypair.public().to_peer_id();
        let public_key = public_key_of(&peer_id).map_err(|error| NodeError::Transport(error.to_string()))?;
        let mut swarm = swarm::build(keypair, protocols.keys().copied().collect(), &limits)?;
        let heard = swarm::listen(&mut swarm, listen).await?;
        let heard = heard.into_iter().map(|address| with_peer(address, peer_id)).collect();

        let (address_sender, addresses) = watch::channel(heard);
        let (commands, command_queue) = mpsc::channel(QUEUE);
        let (reports, report_queue) = mpsc::channel(QUEUE);
        let (inbox_sender, receiver) = mpsc::channel(limits.inbox.max(1));
        let (stop, stopped) = (CancellationToken::new(), CancellationToken::new());
        let budget = Budget::new(limits.inbound_bytes);
        let doorkeeper = Doorkeeper { inbox: inbox_sender, reports: reports.clone(), budget };
        let turns = Turns::new(&limits);
        let manager = Manager::new(swarm, protocols, limits, doorkeeper, address_sender, stop.clone());
        let done = stopped.clone().drop_guard();
        let run = async move {
            let _done = done;
            manager.run(command_queue, report_queue).await;
        };
        tokio::spawn(run.instrument(tracing::info_span!("node", peer = %peer_id)));
        let shared = Shared { peer_id, public_key, addresses, commands, reports, turns, stop, stopped };
        Ok((Self { shared: Arc::new(shared) }, Inbox { receiver }))
    }

    /// This node's peer id.
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        self.shared.peer_id
    }

    /// The Ed25519 public key inside the peer id.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.shared.public_key
    }

    /// The addresses the node listens on, each with `/p2p/PEER` at its end.
    #[must_use]
    pub fn addresses(&self) -> Vec<Multiaddr> {
        self.shared.addresses.borrow().clone()
    }

    /// The peers that this node has a link with.
    pub async fn connected_peers(&self) -> Vec<PeerId> {
        let (reply, answer) = oneshot::channel();
        // A stopped node has no links.
        let _ = self.shared.commands.send(Command::Peers { reply }).await;
        answer.await.unwrap_or_default()
    }

    /// Makes a link to whoever is at the address and remembers the address. An address that ends in `/p2p/PEER` connects
    /// to that peer only; when there is a link already, nothing is dialed.
    ///
    /// # Errors
    /// [`ConnectError`], naming the address.
    pub async fn connect(&self, address: Multiaddr) -> Result<PeerId, ConnectError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Connect { address: address.clone(), reply };
        // A command that could not be sent is dropped here, and with it the sender that `answer` waits for.
        if self.shared.commands.send(command).await.is_err() {
            return Err(ConnectError::Stopped { address });
        }
        match answer.await {
            Ok(Ok(peer)) => Ok(peer),
            Ok(Err(reason)) => Err(ConnectError::Unreachable { address, reason }),
            Err(_) => Err(ConnectError::Stopped { address }),
        }
    }

    /// Remembers where a peer can be dialed. Up to 8 addresses are kept for each of 4,096 peers.
    pub async fn add_address(&self, peer: PeerId, address: Multiaddr) {
        // A stopped node has no use for it.
        let _ = self.shared.commands.send(Command::AddAddress { peer, address }).await;
    }

    /// Puts a request to a peer and waits for the answer, at most [`Request::TIMEOUT`]. Dials when there is no link and
    /// an address is known. Dropping the future cancels the request.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn request<R: Request>(&self, peer: PeerId, request: &R) -> Result<R::Response, RequestError> {
        self.request_within(peer, request, R::TIMEOUT).await
    }

    /// Like [`request`](Node::request), with another timeout. The peer still gives its handler [`Request::TIMEOUT`].
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn request_within<R: Request>(
        &self,
        peer: PeerId,
        request: &R,
        after: Duration,
    ) -> Result<R::Response, RequestError> {
        let spec = ProtocolSpec::of::<R>();
        let protocol = spec.name;
        if peer == self.shared.peer_id {
            return Err(RequestError::Myself(protocol));
        }
        let encoded = message::encode(request)
            .map_err(|error| RequestError::Encode { protocol, reason: error.to_string().into() })?;
        let (size, limit) = (encoded.len(), spec.max_request);
        if size > limit {
            return Err(RequestError::TooLarge { protocol, size, limit });
        }
        let exchange = tokio::time::timeout(after, self.exchange(peer, &spec, &encoded));
        let span = tracing::debug_span!("request", %peer, protocol);
        let answer = tokio::select! {
            answer = exchange.instrument(span) => answer,
            () = self.shared.stop.cancelled() => return Err(RequestError::Stopped(protocol)),
        };
        let answer = answer.map_err(|_| RequestError::TimedOut { peer, protocol, after })??;
        message::decode(&answer).map_err(|reason| self.bad_answer(peer, protocol, reason))
    }

    /// Stops the node: cancels what is under way, closes every link, ends the inbox. Returns when all has ended; further
    /// calls, through any handle, return then too. The system may hold the QUIC port for some moments longer.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.shared.stopped.cancelled().await;
    }

    /// Waits until the node has stopped, whoever stopped it.
    pub async fn stopped(&self) {
        self.shared.stopped.cancelled().await;
    }

    async fn exchange(&self, peer: PeerId, spec: &ProtocolSpec, request: &[u8]) -> Result<Vec<u8>, RequestError> {
        let protocol = spec.name;
        let _turn = self.shared.turns.take(peer).await;
        let (mut reader, mut writer) = self.open(peer, protocol).await?.split();
        // A peer may refuse, and stop reading, before it has the whole request: it is listened to while we write, and what
        // it says is worth more than an error of writing.
        let reading = frame::read_response(&mut reader, spec.max_response);
        tokio::pin!(reading);
        let (response, written) = tokio::select! {
            response = &mut reading => (response, Ok(())),
            written = frame::write_request(&mut writer, request) => (reading.await, written),
        };
        match (response, written) {
            (Ok(Ok(answer)), _) => Ok(answer),
            (Ok(Err(refusal)), _) => Err(RequestError::refused(peer, protocol, &refusal)),
            (Err(FrameError::Truncated | FrameError::Io(_)), Err(error)) => {
                Err(RequestError::Interrupted { peer, protocol, reason: error.to_string().into() })
            }
            (Err(error @ (FrameError::Truncated | FrameError::Io(_))), Ok(())) => {
                Err(RequestError::Interrupted { peer, protocol, reason: error.to_string().into() })
            }
            (Err(error), _) => Err(self.bad_answer(peer, protocol, error.to_string())),
        }
    }

    /// Opens a stream.
    ///
    /// Nothing is sent before the stream exists, so a link that dies until then is no error yet. It is no rarity either: a
    /// peer that dials us at several addresses at once drops all links but its first, and only we think that the others
    /// were ever made.
    pub(crate) async fn open(&self, peer: PeerId, protocol: &'static str) -> Result<Stream, RequestError> {
        let mut tries = 0;
        loop {
            let (reply, stream) = oneshot::channel();
            let (unreachable, why_not) = oneshot::channel();
            let wanted = Wanted { open: Open { protocol, reply }, unreachable };
            let sent = self.shared.commands.send(Command::Open { peer, wanted }).await;
            sent.map_err(|_| RequestError::Stopped(protocol))?;
            // `unreachable` goes away, unused, when the wish reaches a link.
            if let Ok(reason) = why_not.await {
                return Err(RequestError::Unreachable { peer, reason: Box::new(reason) });
            }
            let reason = match stream.await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(OpenError::Unsupported)) => return Err(RequestError::Unsupported { peer, protocol }),
                Ok(Err(OpenError::TimedOut)) => "the protocol was not negotiated in time".to_owned(),
                Ok(Err(OpenError::Io(error))) => error.to_string(),
                Err(_) => "the link closed as soon as it was made".to_owned(),
            };
            tries += 1;
            if tries == OPEN_TRIES {
                return Err(RequestError::Unreachable { peer, reason: Box::new(Unreachable::Dial(reason)) });
            }
            tracing::debug!(%reason, tries, "opening a stream again");
            tokio::time::sleep(OPEN_PAUSE * tries).await;
        }
    }

    fn bad_answer(&self, peer: PeerId, protocol: &'static str, reason: String) -> RequestError {
        // A full report queue means that the manager has plenty to judge this peer by.
        let _ = self.shared.reports.try_send(Report { peer, penalty: Penalty::Malformed });
        RequestError::BadAnswer { peer, protocol, reason: reason.into() }
    }
}

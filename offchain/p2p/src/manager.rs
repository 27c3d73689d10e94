//! The manager: the one task that owns the swarm. It dials, hands out streams, judges peers, and shuts down in order.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::{Duration, Instant},
};

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm,
    allow_block_list::{self, BlockedPeers},
    connection_limits, identify,
    multiaddr::Protocol,
    swarm::{
        ConnectionId, DialError, NetworkBehaviour, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use crate::{
    doorkeeper::{self, Doorkeeper},
    error::Unreachable,
    limits::{Limits, PeerTable, Penalty, Verdict},
    message::ProtocolSpec,
    streams::{self, Accepted, Open},
};

/// How long a shutdown waits for links and tasks to end before it cuts them.
const SHUTDOWN_TIME: Duration = Duration::from_secs(2);

/// How many peers are blocked at once; the one that was blocked first is let go for another.
const MAX_BLOCKED: usize = 16 * 1024;

/// Everything that runs on each connection.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) limits: connection_limits::Behaviour,
    pub(crate) blocked: allow_block_list::Behaviour<BlockedPeers>,
    pub(crate) identify: identify::Behaviour,
    pub(crate) streams: streams::Behaviour,
}

/// A stream is wanted; unreachable peers are reported here, the rest through [`Open::reply`].
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) open: Open,
    pub(crate) unreachable: oneshot::Sender<Unreachable>,
}

/// What a [`Node`](crate::Node) handle asks of the manager.
#[derive(Debug)]
pub(crate) enum Command {
    /// Dial an address.
    Connect { address: Multiaddr, reply: oneshot::Sender<Result<PeerId, Unreachable>> },
    /// Remember an address.
    AddAddress { peer: PeerId, address: Multiaddr },
    /// Open a stream, dialing if need be.
    Open { peer: PeerId, wanted: Wanted },
    /// Who is connected?
    Peers { reply: oneshot::Sender<Vec<PeerId>> },
}

/// Something a peer did wrong, seen by a task that served or asked it.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) peer: PeerId,
    pub(crate) penalty: Penalty,
}

/// Streams that wait for one dial.
struct Waiting {
    dial: ConnectionId,
    wanted: Vec<Wanted>,
}

/// The task's state.
pub(crate) struct Manager {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) protocols: HashMap<&'static str, ProtocolSpec>,
    pub(crate) limits: Limits,
    pub(crate) table: PeerTable,
    pub(crate) doorkeeper: Doorkeeper,
    pub(crate) addresses: watch::Sender<Vec<Multiaddr>>,
    pub(crate) stop: CancellationToken,
    connects: HashMap<ConnectionId, (Multiaddr, oneshot::Sender<Result<PeerId, Unreachable>>)>,
    waiting: HashMap<PeerId, Waiting>,
    unblock: BinaryHeap<Reverse<(Instant, PeerId)>>,
    tasks: TaskTracker,
}

impl Manager {
    pub(crate) fn new(
        swarm: Swarm<Behaviour>,
        protocols: HashMap<&'static str, ProtocolSpec>,
        limits: Limits,
        doorkeeper: Doorkeeper,
        addresses: watch::Sender<Vec<Multiaddr>>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            swarm,
            protocols,
            table: PeerTable::new(limits.clone()),
            limits,
            doorkeeper,
            addresses,
            stop,
            connects: HashMap::new(),
            waiting: HashMap::new(),
            unblock: BinaryHeap::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Runs until the node is shut down or every handle to it is gone.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>, mut reports: mpsc::Receiver<Report>) {
        let stop = self.stop.clone();
        loop {
            let next_unblock = self.unblock.peek().map(|Reverse((at, _))| (*at).into());
            tokio::select! {
                () = stop.cancelled() => break,
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => break,
                },
                Some(report) = reports.recv() => self.penalize(report.peer, report.penalty),
                () = sleep_until(next_unblock) => self.unblock_due(),
                event = self.swarm.select_next_some() => self.on_event(event),
            }
        }
        self.shut_down().await;
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Connect { address, reply } => self.connect(address, reply),
            Command::AddAddress { peer, address } => self.swarm.behaviour_mut().streams.add_address(peer, address),
            Command::Open { peer, wanted } => self.open(peer, wanted),
            Command::Peers { reply } => {
                // The asker may have stopped waiting.
                let _ = reply.send(self.swarm.connected_peers().copied().collect());
            }
        }
    }

    fn connect(&mut self, address: Multiaddr, reply: oneshot::Sender<Result<PeerId, Unreachable>>) {
        let options = match peer_in(&address) {
            Some(peer) if peer == *self.swarm.local_peer_id() => {
                let _ = reply.send(Err(Unreachable::Myself));
                return;
            }
            Some(peer) if self.swarm.is_connected(&peer) => {
                self.swarm.behaviour_mut().streams.add_address(peer, address);
                let _ = reply.send(Ok(peer));
                return;
            }
            Some(peer) => {
                DialOpts::peer_id(peer).condition(PeerCondition::Always).addresses(vec![address.clone()]).build()
            }
            None => DialOpts::unknown_peer_id().address(address.clone()).build(),
        };
        let id = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => {
                self.connects.insert(id, (address, reply));
            }
            Err(error) => {
                let reason = match Unreachable::from_dial(error) {
                    // The swarm leaves out the addresses that it listens on.
                    Unreachable::NoAddress => Unreachable::Myself,
                    other => other,
                };
                let _ = reply.send(Err(reason));
            }
        }
    }

    fn open(&mut self, peer: PeerId, wanted: Wanted) {
        let Wanted { open, unreachable } = wanted;
        let Err(open) = self.swarm.behaviour_mut().streams.open(peer, open) else { return };
        let wanted = Wanted { open, unreachable };
        if let Some(waiting) = self.waiting.get_mut(&peer) {
            // Bounded by the requests that a node may have under way.
            waiting.wanted.push(wanted);
            return;
        }
        let options = DialOpts::peer_id(peer).condition(PeerCondition::Always).build();
        let dial = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => {
                self.waiting.insert(peer, Waiting { dial, wanted: vec![wanted] });
            }
            Err(error) => {
                let _ = wanted.unreachable.send(Unreachable::from_dial(error));
            }
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Streams(accepted)) => self.on_stream(accepted),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                tracing::debug!(peer = %peer_id, address = %endpoint.get_remote_address(), "connected");
                if let Some((address, reply)) = self.connects.remove(&connection_id) {
                    self.swarm.behaviour_mut().streams.add_address(peer_id, address);
                    let _ = reply.send(Ok(peer_id));
                }
                if let Some(waiting) = self.waiting.remove(&peer_id) {
                    waiting.wanted.into_iter().for_each(|wanted| self.open(peer_id, wanted));
                }
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established, cause, .. } => {
                tracing::debug!(peer = %peer_id, left = num_established, ?cause, "connection closed");
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                self.on_failed_dial(connection_id, peer_id, error);
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                tracing::debug!(address = %send_back_addr, %error, "an incoming connection failed");
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(%address, "listening");
                let address = with_peer(address, *self.swarm.local_peer_id());
                self.addresses.send_modify(|addresses| addresses.push(address));
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                let address = with_peer(address, *self.swarm.local_peer_id());
                self.addresses.send_modify(|addresses| addresses.retain(|known| *known != address));
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a listener has trouble"),
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::warn!(?addresses, ?reason, "a listener closed");
            }
            _ => {}
        }
    }

    fn on_failed_dial(&mut self, dial: ConnectionId, peer: Option<PeerId>, error: DialError) {
        let reason = Unreachable::from_dial(error);
        tracing::debug!(?peer, %reason, "dialing failed");
        if let Some((_, reply)) = self.connects.remove(&dial) {
            let _ = reply.send(Err(reason.clone()));
        }
        let Some(peer) = peer else { return };
        if self.waiting.get(&peer).is_some_and(|waiting| waiting.dial == dial)
            && let Some(waiting) = self.waiting.remove(&peer)
        {
            for wanted in waiting.wanted {
                let _ = wanted.unreachable.send(reason.clone());
            }
        }
    }

    fn on_stream(&mut self, Accepted { peer, protocol, stream }: Accepted) {
        let Some(spec) = self.protocols.get(protocol).copied() else { return };
        let (verdict, penalty) = self.table.judge(peer, Instant::now());
        let span = tracing::debug_span!("serve", %peer, protocol);
        match verdict {
            Verdict::Serve(admission) => {
                let (doorkeeper, stop) = (self.doorkeeper.clone(), self.stop.clone());
                let work = async move {
                    let _admission = admission;
                    stop.run_until_cancelled(doorkeeper.serve(peer, spec, stream)).await;
                };
                self.tasks.spawn(work.instrument(span));
            }
            Verdict::Refuse(refusal, room) => {
                tracing::debug!(parent: &span, %refusal, "refused");
                let stop = self.stop.clone();
                self.tasks.spawn(async move {
                    let _room = room;
                    stop.run_until_cancelled(doorkeeper::refuse(stream, refusal)).await;
                });
            }
            Verdict::Drop => tracing::debug!(parent: &span, "reset"),
        }
        if let Some(penalty) = penalty {
            self.penalize(peer, penalty);
        }
    }

    fn penalize(&mut self, peer: PeerId, penalty: Penalty) {
        let now = Instant::now();
        if self.table.penalize(peer, penalty, now) && self.swarm.behaviour_mut().blocked.block_peer(peer) {
            tracing::warn!(%peer, ?penalty, seconds = self.limits.block_for.as_secs(), "blocked for breaking rules");
            if self.unblock.len() >= MAX_BLOCKED
                && let Some(Reverse((_, first))) = self.unblock.pop()
            {
                self.swarm.behaviour_mut().blocked.unblock_peer(first);
            }
            self.unblock.push(Reverse((now + self.limits.block_for, peer)));
        }
    }

    fn unblock_due(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, peer))) = self.unblock.peek().copied()
            && at <= now
        {
            self.unblock.pop();
            self.swarm.behaviour_mut().blocked.unblock_peer(peer);
        }
    }

    /// Says goodbye on every link and waits a moment for that to leave.
    async fn shut_down(mut self) {
        self.stop.cancel();
        self.tasks.close();
        self.connects.clear();
        self.waiting.clear();
        let peers: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            // An error says that it is gone already.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let farewell = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
            self.tasks.wait().await;
        };
        if tokio::time::timeout(SHUTDOWN_TIME, farewell).await.is_err() {
            tracing::warn!("some links did not close in time and were cut");
        }
    }
}

/// Waits for an instant, or for ever.
async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The peer id at the end of an address.
fn peer_in(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Some(peer),
        _ => None,
    }
}

/// The address with `/p2p/PEER` at its end.
pub(crate) fn with_peer(address: Multiaddr, peer: PeerId) -> Multiaddr {
    // An address that already names another peer cannot be one of ours; it is kept as it is.
    address.with_p2p(peer).unwrap_or_else(|address| address)
}

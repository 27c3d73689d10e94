//! Puts the libp2p swarm together (transports, limits, behaviours) and starts its listeners.

use std::{collections::HashMap, fmt, time::Duration};

use futures::StreamExt;
use libp2p::{
    Multiaddr, Swarm, SwarmBuilder, allow_block_list,
    connection_limits::{self, ConnectionLimits},
    identify,
    identity::Keypair,
    noise,
    swarm::SwarmEvent,
    tcp, yamux,
};

use crate::{error::NodeError, limits::Limits, manager::Behaviour, streams};

/// What the identify protocol tells others about this protocol family.
const PROTOCOL_VERSION: &str = "/nunet/1";
/// What it tells them about this program.
const AGENT_VERSION: &str = concat!("nunet/", env!("CARGO_PKG_VERSION"));
/// How long a new listener may take to find its addresses.
const LISTEN_TIME: Duration = Duration::from_secs(5);
/// Unread bytes that QUIC buffers for one stream and for one link.
const QUIC_STREAM_WINDOW: u32 = 4 * 1024 * 1024;
const QUIC_LINK_WINDOW: u32 = 8 * 1024 * 1024;

/// A swarm that accepts streams of the protocols in `served`.
pub(crate) fn build(
    keypair: Keypair,
    served: Vec<&'static str>,
    limits: &Limits,
) -> Result<Swarm<Behaviour>, NodeError> {
    let connections = ConnectionLimits::default()
        .with_max_pending_incoming(Some(limits.pending_connections))
        .with_max_pending_outgoing(Some(limits.pending_connections))
        .with_max_established(Some(limits.connections))
        // Strangers alone cannot take every place.
        .with_max_established_incoming(Some(limits.connections.div_ceil(4) * 3))
        .with_max_established_per_peer(Some(limits.connections_per_peer));
    let streams_per_link =
        u32::try_from(limits.requests_per_peer.saturating_mul(4)).unwrap_or(u32::MAX).clamp(32, 1024);
    let (idle, dial) = (limits.idle_connection, limits.dial_timeout);
    let transport = |error: &dyn fmt::Display| NodeError::Transport(error.to_string());
    let swarm = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, || {
            let mut config = yamux::Config::default();
            config.set_max_num_streams(streams_per_link as usize);
            config
        })
        .map_err(|error| transport(&error))?
        .with_quic_config(|mut config| {
            config.max_stream_data = QUIC_STREAM_WINDOW;
            config.max_connection_data = QUIC_LINK_WINDOW;
            config.max_concurrent_stream_limit = streams_per_link;
            config
        })
        .with_behaviour(|keypair| Behaviour {
            limits: connection_limits::Behaviour::new(connections),
            blocked: allow_block_list::Behaviour::default(),
            identify: identify::Behaviour::new(
                identify::Config::new(PROTOCOL_VERSION.to_owned(), keypair.public())
                    .with_agent_version(AGENT_VERSION.to_owned()),
            ),
            streams: streams::Behaviour::new(served.into()),
        })
        .map_err(|error| transport(&error))?
        .with_swarm_config(|config| config.with_idle_connection_timeout(idle))
        .with_connection_timeout(dial)
        .build();
    Ok(swarm)
}

/// Listens on every address and returns what that came to, once each listener has at least one.
pub(crate) async fn listen(swarm: &mut Swarm<Behaviour>, listen: Vec<Multiaddr>) -> Result<Vec<Multiaddr>, NodeError> {
    let mut silent = HashMap::new();
    for address in listen {
        match swarm.listen_on(address.clone()) {
            Ok(listener) => silent.insert(listener, address),
            Err(error) => return Err(NodeError::Listen { address, reason: chain(&error) }),
        };
    }
    let mut heard = Vec::new();
    let deadline = tokio::time::Instant::now() + LISTEN_TIME;
    while let Some((_, first)) = silent.iter().next() {
        match tokio::time::timeout_at(deadline, swarm.select_next_some()).await {
            Ok(SwarmEvent::NewListenAddr { listener_id, address }) => {
                silent.remove(&listener_id);
                heard.push(address);
            }
            Ok(SwarmEvent::ListenerClosed { listener_id, reason, .. }) => {
                if let Some(address) = silent.remove(&listener_id) {
                    let reason = reason.err().map_or_else(|| "the listener closed".to_owned(), |error| chain(&error));
                    return Err(NodeError::Listen { address, reason });
                }
            }
            Ok(_) => {}
            Err(_) => {
                let reason = "the listener found no address in time".to_owned();
                return Err(NodeError::Listen { address: first.clone(), reason });
            }
        }
    }
    Ok(heard)
}

/// An error with its causes; libp2p's wrappers often say nothing themselves.
fn chain(error: &dyn std::error::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !text.is_empty() && !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts.join(": ")
}

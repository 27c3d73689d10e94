//! A committee member: takes notice of jobs, checks them, and signs one outcome for each.
//!
//! For each escrow one task goes from notice to ruling:
//!
//! ```text
//!  notice → escrow exactly right on chain → program and inputs fetched
//!         → commitment, reveal (or none by the reveal time) → accept window → own execution
//!         → transcript, journalled → exchanged → proposal → ruling, journalled → sent until the escrow is spent
//! ```

mod case;
mod follow;
mod inbound;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ed25519_dalek::SigningKey;
use nunet_chain::Chain;
use nunet_contracts::{Committee, MemberKey, Ntx, Protocol};
use nunet_ledger::OutPoint;
use nunet_p2p::{Caller, Multiaddr, Node, NodeConfig, Router};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::case::Case;
use crate::{
    journal::Journal,
    messages::{Commit, Findings, JobNotice, Propose, RevealResult, Ruling},
};

/// What a member needs to run.
pub struct MemberConfig {
    /// The member's key: in the committee's datum, and its node's identity.
    pub key: SigningKey,
    /// The network shell's settings (listen addresses, limits); its identity is `key`.
    pub node: NodeConfig,
    /// The chain.
    pub chain: Chain,
    /// The validators.
    pub protocol: Protocol,
    /// The committee that the key is a member of.
    pub committee: Committee,
    /// Where outcomes are written down before they are sent.
    pub journal: Journal,
    /// The least committee fee for which this member checks a job.
    pub min_fee: Ntx,
}

/// Why a member cannot start.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// The key has no seat.
    #[error("key {0} is no member of the committee; check the key file, or rotate the committee")]
    NotAMember(MemberKey),
    /// The node cannot start.
    #[error(transparent)]
    Node(#[from] nunet_p2p::NodeError),
}

/// A running member.
pub struct Member {
    node: Node,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Member {
    /// Starts the node and serves the committee's protocols.
    pub async fn start(config: MemberConfig) -> Result<Self, MemberError> {
        let own = MemberKey(config.key.verifying_key().to_bytes());
        let node_config = NodeConfig { secret: config.key.to_bytes(), ..config.node };
        if config.committee.datum.position(&own).is_none() {
            return Err(MemberError::NotAMember(own));
        }
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let shared = Arc::new(Shared {
            key: config.key,
            chain: config.chain,
            protocol: config.protocol,
            committee: config.committee,
            journal: config.journal,
            min_fee: config.min_fee,
            cases: Mutex::default(),
            executions: Semaphore::new(cores),
            stop: stop.clone(),
            tasks: tasks.clone(),
        });
        let node = router(&shared).start(node_config).await?;
        Ok(Self { node, stop, tasks })
    }

    /// The member's network handle.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Where the member can be reached.
    pub fn addresses(&self) -> Vec<Multiaddr> {
        self.node.addresses()
    }

    /// Stops all work; what was signed is in the journal.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.node.shutdown().await;
    }
}

struct Shared {
    key: SigningKey,
    chain: Chain,
    protocol: Protocol,
    committee: Committee,
    journal: Journal,
    min_fee: Ntx,
    cases: Mutex<HashMap<OutPoint, Arc<Case>>>,
    /// Jobs that run at the same time, one per core.
    executions: Semaphore,
    stop: CancellationToken,
    tasks: TaskTracker,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The guarded maps are valid after every statement, so a panicking holder leaves nothing half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn router(shared: &Arc<Shared>) -> Router {
    let (notice, commit, reveal) = (Arc::clone(shared), Arc::clone(shared), Arc::clone(shared));
    let (findings, proposal, ruling) = (Arc::clone(shared), Arc::clone(shared), Arc::clone(shared));
    Router::new()
        .on(move |caller: Caller, message: JobNotice| {
            let shared = Arc::clone(&notice);
            async move { shared.take_notice(caller.node, message).await }
        })
        .on(move |_: Caller, message: Commit| {
            let answer = commit.take_commitment(&message);
            async move { answer }
        })
        .on(move |caller: Caller, message: RevealResult| {
            let shared = Arc::clone(&reveal);
            async move { shared.take_reveal(&caller, message).await }
        })
        .on(move |_: Caller, message: Findings| {
            let answer = findings.take_findings(&message);
            async move { answer }
        })
        .on(move |caller: Caller, message: Propose| {
            let shared = Arc::clone(&proposal);
            async move { shared.rule_on(&caller, &message).await }
        })
        .on(move |_: Caller, message: Ruling| {
            let answer = ruling.take_ruling(&message);
            async move { answer }
        })
}

//! What requester and provider have in common: a node, a wallet, the chain, and the committee to talk to.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ed25519_dalek::SigningKey;
use nunet_chain::{Chain, ChainError, Wallet, batch::Closings};
use nunet_contracts::{
    Committee, Deployment, Ntx, Obstacle, PlanError, Protocol, Signatures, SignedVerdict, transactions::payout,
};
use nunet_ledger::{Address, Credential, KeyHash, Lovelace, OutPoint, TxId};
use nunet_market::{Agreement, PartyKey, SignedAgreement};
use nunet_oracle::{
    Docket, Journal, JournalError, Judgement, RulingError, Rulings,
    messages::{Findings, JobNotice, Noted, Ruling},
    opening::Opening,
};
use nunet_p2p::{Caller, Multiaddr, Node, NodeConfig, PeerId, Refusal, RequestError, Router, peer_id_of};
use nunet_proof::{EvidenceLeaf, PublicKey, Transcript};
use tokio::sync::watch;

/// What a requester or provider needs to run.
#[derive(Clone)]
pub struct PartyConfig {
    /// The node's key; agreements are signed with it.
    pub key: SigningKey,
    /// Where payouts and rests go, and what pays.
    pub wallet: Arc<Wallet>,
    /// The chain.
    pub chain: Chain,
    /// The validators, and where their reference scripts are.
    pub deployment: Deployment,
    /// The committee that judges.
    pub committee: Committee,
    /// Where the committee's members can be reached; some may be down.
    pub members: Vec<Multiaddr>,
    /// Where everything that is signed is written down first.
    pub journal: Journal,
}

/// Why a party cannot go on with a job.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The network.
    #[error(transparent)]
    Node(#[from] nunet_p2p::NodeError),
    /// The chain's endpoint.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A transaction that cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A message of a member or party.
    #[error(transparent)]
    Ruling(#[from] RulingError),
    /// The other side.
    #[error("{who}: {problem}")]
    Peer {
        /// Which peer.
        who: String,
        /// What it did.
        problem: String,
    },
    /// Too few members for a verdict.
    #[error(
        "{members} members could be reached by the reveal time and {threshold} are needed, so the requester did not get \
         the result and the deadline refunds the money"
    )]
    Undelivered {
        /// Members that took the commitment.
        members: usize,
        /// Members that must.
        threshold: usize,
    },
    /// The job itself.
    #[error("the job cannot be run: {0}")]
    Job(String),
    /// Nobody offers.
    #[error("no provider made a usable offer: {0}")]
    NoQuote(String),
    /// The money is not as agreed.
    #[error(transparent)]
    Money(#[from] nunet_oracle::EscrowError),
    /// The chain says something about the escrow that makes no sense.
    #[error("escrow {escrow}: {problem}")]
    Escrow {
        /// Where.
        escrow: OutPoint,
        /// What is wrong.
        problem: String,
    },
}

impl AgentError {
    pub(crate) fn peer(who: PartyKey, problem: impl std::fmt::Display) -> Self {
        Self::Peer { who: format!("node {}", &who.to_string()[..16]), problem: problem.to_string() }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The guarded values are valid after every statement, so a panicking holder leaves nothing half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A job whose money is locked, as one party follows it.
pub struct OpenJob {
    /// What both sides signed.
    pub agreement: SignedAgreement,
    /// What messages about it must be about.
    pub docket: Docket,
    /// What the provider promised and showed, for the requester.
    pub opening: watch::Sender<Opening>,
    /// What the committee has said.
    pub state: watch::Sender<JobState>,
}

/// What the committee has said about a job.
#[derive(Clone, Debug, Default)]
pub struct JobState {
    /// What each member found.
    pub transcripts: BTreeMap<PublicKey, Transcript>,
    /// What members signed.
    pub rulings: Rulings,
}

/// The jobs of a party by escrow, fed by the network handlers.
#[derive(Clone, Default)]
pub(crate) struct OpenJobs(Arc<Mutex<HashMap<OutPoint, Arc<OpenJob>>>>);

impl OpenJobs {
    pub(crate) fn open(&self, agreement: SignedAgreement, docket: Docket) -> Arc<OpenJob> {
        let escrow = docket.escrow();
        let (opening, state) = (watch::Sender::default(), watch::Sender::default());
        let job = Arc::new(OpenJob { agreement, docket, opening, state });
        Arc::clone(lock(&self.0).entry(escrow).or_insert(job))
    }

    pub(crate) fn close(&self, escrow: &OutPoint) {
        lock(&self.0).remove(escrow);
    }

    pub(crate) fn get(&self, escrow: &[u8; 34]) -> Result<Arc<OpenJob>, Refusal> {
        let escrow = OutPoint::from_bytes(*escrow);
        lock(&self.0).get(&escrow).cloned().ok_or_else(|| Refusal::not_found(format!("no job with escrow {escrow}")))
    }

    /// Adds the handlers that take note of what members say to a router.
    pub(crate) fn serve(&self, router: Router) -> Router {
        let (findings, ruling) = (self.clone(), self.clone());
        router
            .on(move |_: Caller, message: Findings| {
                let answer = findings.take_findings(&message);
                async move { answer }
            })
            .on(move |_: Caller, message: Ruling| {
                let answer = ruling.take_ruling(&message);
                async move { answer }
            })
    }

    fn take_findings(&self, message: &Findings) -> Result<Noted, Refusal> {
        let transcript = Transcript::from_bytes(&message.transcript).map_err(Refusal::rejected)?;
        let job = self.get(&transcript.subject().binding.outpoint)?;
        let transcript = job.docket.accept(transcript).map_err(Refusal::rejected)?;
        job.state.send_modify(|state| {
            state.transcripts.entry(*transcript.member()).or_insert(transcript);
        });
        Ok(Noted)
    }

    fn take_ruling(&self, message: &Ruling) -> Result<Noted, Refusal> {
        let evidence = EvidenceLeaf::from_bytes(&message.evidence)
            .ok_or_else(|| Refusal::rejected("the ruling's evidence is no evidence leaf"))?;
        let job = self.get(&evidence.subject.binding.outpoint)?;
        let (member, judgement) = job.docket.read_ruling(message).map_err(Refusal::rejected)?;
        job.state.send_if_modified(|state| state.rulings.add(member, judgement, message.signature));
        Ok(Noted)
    }
}

impl PartyConfig {
    pub(crate) fn protocol(&self) -> &Protocol {
        &self.deployment.protocol
    }

    pub(crate) fn party_key(&self) -> PartyKey {
        PartyKey(self.key.verifying_key().to_bytes())
    }

    /// A node's settings with this party's identity.
    pub(crate) fn node_config(&self, node: NodeConfig) -> NodeConfig {
        NodeConfig { secret: self.key.to_bytes(), ..node }
    }

    /// The members as peers.
    pub(crate) fn member_peers(&self) -> Vec<PeerId> {
        self.committee.datum.members().iter().filter_map(|member| peer_id_of(&member.0).ok()).collect()
    }

    /// Connects to the members; one that is down is only logged, the threshold decides whether that matters.
    pub(crate) async fn meet_members(&self, node: &Node) {
        for address in &self.members {
            if let Err(error) = node.connect(address.clone()).await {
                tracing::warn!(%address, %error, "a committee member cannot be reached");
            }
        }
    }

    /// Sends something to every member that is not in `done`, all at once; returns the ones that took it.
    pub(crate) async fn reach_members<'a, F, Fut>(&self, node: &Node, done: &BTreeSet<PeerId>, send: F) -> Vec<PeerId>
    where
        F: Fn(Node, PeerId) -> Fut,
        Fut: Future<Output = Result<(), RequestError>> + 'a,
    {
        let missing = self.member_peers().into_iter().filter(|peer| !done.contains(peer));
        let sends = missing.map(|peer| {
            let sending = send(node.clone(), peer);
            async move {
                let sent = sending.await;
                sent.inspect_err(|error| tracing::info!(%peer, %error, "a member did not take a message"))
                    .ok()
                    .map(|()| peer)
            }
        });
        futures::future::join_all(sends).await.into_iter().flatten().collect()
    }

    /// Tells members where the money of an agreement is; the provider does the same, so one try is enough.
    pub(crate) async fn notify_members(&self, node: &Node, agreement: &SignedAgreement, escrow: OutPoint) {
        let notice = JobNotice { agreement: agreement.clone(), escrow: escrow.to_bytes() };
        let notice = &notice;
        self.reach_members(
            node,
            &BTreeSet::new(),
            |node, peer| async move { node.request(peer, notice).await.map(|_| ()) },
        )
        .await;
    }

    /// What an agreement must be whoever proposed it: this network, this validator, this committee.
    pub(crate) fn check_venue(&self, agreement: &Agreement) -> Result<(), String> {
        let protocol = self.protocol();
        if agreement.magic != protocol.magic() {
            return Err(format!("the agreement is for network {}, this is {}", agreement.magic.0, protocol.magic().0));
        }
        if agreement.logic != protocol.logic_hash() {
            return Err("the agreement is for another version of the job validator".into());
        }
        if agreement.committee != self.committee.id {
            return Err(format!("the agreement names committee {}, not {}", agreement.committee, self.committee.id));
        }
        // Those scripts run in every closing transaction, which would count as their consent to anything.
        let ours = [protocol.stub().hash(), protocol.logic_hash()].map(Credential::Script);
        for address in [&agreement.requester_address, &agreement.provider_address] {
            if address.payment().is_some_and(|payment| ours.contains(&payment)) {
                return Err(format!("{address} is the job validator itself; name an address of your own"));
            }
        }
        agreement.check().map_err(|error| error.to_string())
    }

    /// The least lovelace that a payout of this much NTX to an address needs.
    pub(crate) fn least_lovelace(&self, address: &Address, ntx: Ntx) -> Result<Lovelace, PlanError> {
        let output = payout(self.protocol(), &self.chain.params(), address.clone(), ntx, Lovelace(0))?;
        Ok(output.value.lovelace())
    }

    /// The carry of a bond: what the provider's payout needs at most.
    pub(crate) fn carry(&self, provider: &Address, price: Ntx, bond: Ntx) -> Result<Lovelace, PlanError> {
        if bond.0 == 0 {
            return Ok(Lovelace(0));
        }
        let most = price.0.checked_add(bond.0).ok_or(PlanError::Overflow("price and bond"))?;
        self.least_lovelace(provider, Ntx(most))
    }

    /// Every key that the wallet signs with.
    pub(crate) fn wallet_keys(&self) -> BTreeSet<KeyHash> {
        [self.wallet.key_hash(), self.wallet.stake_key_hash()].into()
    }

    /// Settles one escrow by a verdict, or by its deadline when that has passed and the verdict is of no use.
    pub(crate) async fn settle(
        &self,
        outpoint: OutPoint,
        judgement: &Judgement,
        signatures: &Signatures,
    ) -> Result<Option<TxId>, AgentError> {
        let (verdict, signatures) = (judgement.verdict.clone(), signatures.clone());
        self.close(outpoint, vec![SignedVerdict { verdict, signatures, committee: self.committee.id }]).await
    }

    /// Refunds one escrow whose deadline has passed.
    pub(crate) async fn refund(&self, outpoint: OutPoint) -> Result<Option<TxId>, AgentError> {
        self.close(outpoint, Vec::new()).await
    }

    /// Closes one escrow as it can be closed now; `None` when it is not there any more.
    async fn close(&self, outpoint: OutPoint, verdicts: Vec<SignedVerdict>) -> Result<Option<TxId>, AgentError> {
        let closings = Closings::new(&self.chain, &self.deployment, &self.wallet, [outpoint], verdicts);
        let (sent, mut report) = closings.send().await?;
        match report.left.remove(&outpoint) {
            None | Some(Obstacle::NotOnChain) => Ok(sent.first().copied()),
            Some(obstacle) => Err(AgentError::Escrow { escrow: outpoint, problem: obstacle.to_string() }),
        }
    }
}

//! A committee member: takes notice of jobs, checks them, and signs one outcome for each.
//!
//! For each escrow one task goes from notice to ruling:
//!
//! ```text
//!  notice → escrow exactly right on chain → commitment, reveal (or none by the reveal time) → accept window
//!         → own execution → transcript, journalled → exchanged → proposal → ruling, journalled → sent
//! ```

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ed25519_dalek::SigningKey;
use minicbor::bytes::ByteVec;
use nunet_chain::Chain;
use nunet_compute::Model;
use nunet_contracts::{Committee, MemberKey, Protocol, transactions::escrow_output};
use nunet_ledger::{OutPoint, TxOut};
use nunet_market::Agreement;
use nunet_p2p::{Caller, Multiaddr, Node, NodeConfig, PeerId, Refusal, Request, Router, blob::fetch_blob, peer_id_of};
use nunet_proof::{
    Commitment, Finding, Found, Opened, ProofKind, PublicKey, Reveal, RunResult, Timing, Transcript, execute, model_root,
};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    escrow::{EscrowError, is_unspent, wait_for_escrow},
    journal::{Journal, JournalError, Kind},
    messages::{Commit, Findings, JobNotice, Noted, Propose, RevealResult, Ruling},
    ruling::{Docket, Rulings},
};

/// The most jobs that a member follows at a time.
const MAX_CASES: usize = 1024;
/// The most bytes of a program, and of all inputs together, that a member fetches.
const MAX_BLOB_BYTES: usize = 256 * 1024 * 1024;
/// How long a proposer has before it is the next member's turn.
const PROPOSER_TURN: Duration = Duration::from_secs(5);
/// How long a proposer waits for the transcripts that are still missing once it could already propose.
const STRAGGLERS: Duration = Duration::from_millis(1_500);
/// How long a proposal waits for this member's own check before it is answered with "busy".
const OWN_CHECK: Duration = Duration::from_secs(50);

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
        let (node_sender, node) = watch::channel(None);
        let shared = Arc::new(Shared {
            key: config.key,
            chain: config.chain,
            protocol: config.protocol,
            committee: config.committee,
            journal: config.journal,
            node,
            cases: Mutex::default(),
            stop: stop.clone(),
            tasks: tasks.clone(),
        });
        let node = router(&shared).start(node_config).await?;
        node_sender.send_replace(Some(node.clone()));
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
    node: watch::Receiver<Option<Node>>,
    cases: Mutex<HashMap<OutPoint, Arc<Case>>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// One job before the committee, as this member knows it.
struct Case {
    agreement: Agreement,
    expected: TxOut,
    docket: Docket,
    progress: watch::Sender<Progress>,
}

#[derive(Default)]
struct Progress {
    commitment: Option<Commitment>,
    opened: Option<Arc<Opened>>,
    bad_reveal: bool,
    own: Option<Transcript>,
    transcripts: BTreeMap<PublicKey, Transcript>,
    rulings: Rulings,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The guarded maps are valid after every statement, so a panicking holder leaves nothing half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as u64)
}

fn opened_nothing(found: &Found) -> bool {
    matches!(found.finding(), Finding::NoReveal | Finding::BadOpening)
}

fn router(shared: &Arc<Shared>) -> Router {
    let on = |shared: &Arc<Shared>| Arc::clone(shared);
    let (notice, commit, reveal) = (on(shared), on(shared), on(shared));
    let (findings, proposal, ruling) = (on(shared), on(shared), on(shared));
    Router::new()
        .on(move |_: Caller, message: JobNotice| {
            let shared = Arc::clone(&notice);
            async move { shared.take_notice(&message) }
        })
        .on(move |_: Caller, message: Commit| {
            let shared = Arc::clone(&commit);
            async move { shared.take_commitment(&message) }
        })
        .on(move |_: Caller, message: RevealResult| {
            let shared = Arc::clone(&reveal);
            async move { shared.take_reveal(&message) }
        })
        .on(move |_: Caller, message: Findings| {
            let shared = Arc::clone(&findings);
            async move { shared.take_findings(&message) }
        })
        .on(move |_: Caller, message: Propose| {
            let shared = Arc::clone(&proposal);
            async move { shared.rule_on(&message).await }
        })
        .on(move |_: Caller, message: Ruling| {
            let shared = Arc::clone(&ruling);
            async move { shared.take_ruling(&message) }
        })
}

impl Shared {
    fn case(&self, escrow: &[u8; 34]) -> Result<Arc<Case>, Refusal> {
        let escrow = OutPoint::from_bytes(*escrow);
        lock(&self.cases)
            .get(&escrow)
            .cloned()
            .ok_or_else(|| Refusal::not_found(format!("no job with escrow {escrow} is known here; send its notice first")))
    }

    fn take_notice(self: &Arc<Self>, notice: &JobNotice) -> Result<Noted, Refusal> {
        let agreement = notice.agreement.check().map_err(|error| Refusal::rejected(error.to_string()))?;
        let escrow = OutPoint::from_bytes(notice.escrow);
        if agreement.magic != self.protocol.magic() || agreement.logic != self.protocol.logic_hash() {
            return Err(Refusal::rejected("the agreement is for another network or another version of the job validator"));
        }
        if agreement.committee != self.committee.id {
            return Err(Refusal::rejected(format!("the agreement names committee {}", agreement.committee)));
        }
        if agreement.spec.kind != ProofKind::Exact {
            return Err(Refusal::rejected("this member checks only proofs of kind exact"));
        }
        let rejected = |error: &dyn std::fmt::Display| Refusal::rejected(error.to_string());
        let expected = escrow_output(&self.protocol, &agreement.escrow_terms()).map_err(|error| rejected(&error))?;
        let docket = Docket::new(agreement, escrow, &self.committee).map_err(|error| rejected(&error))?;
        let mut cases = lock(&self.cases);
        if let Some(known) = cases.get(&escrow) {
            return if known.agreement == *agreement {
                Ok(Noted)
            } else {
                Err(Refusal::rejected("another agreement is known for this escrow"))
            };
        }
        if cases.len() >= MAX_CASES {
            return Err(Refusal::busy("too many jobs are being checked; try another committee, or later"));
        }
        let case =
            Arc::new(Case { agreement: agreement.clone(), expected, docket, progress: watch::Sender::default() });
        cases.insert(escrow, Arc::clone(&case));
        drop(cases);
        let shared = Arc::clone(self);
        self.tasks.spawn(async move {
            let stop = shared.stop.clone();
            tokio::select! {
                () = stop.cancelled() => {}
                result = shared.follow(&case) => {
                    if let Err(error) = result {
                        tracing::warn!(%escrow, %error, "the job is not ruled on");
                    }
                }
            }
            lock(&shared.cases).remove(&escrow);
        });
        Ok(Noted)
    }

    fn take_commitment(&self, message: &Commit) -> Result<Noted, Refusal> {
        let commitment =
            Commitment::from_bytes(&message.commitment).map_err(|error| Refusal::rejected(error.to_string()))?;
        let case = self.case(&commitment.binding().outpoint)?;
        if commitment.provider().0 != case.agreement.provider.0 || commitment.binding() != &case.docket.subject().binding
        {
            return Err(Refusal::rejected("the commitment is not this provider's, or for another escrow"));
        }
        let mut accepted = true;
        case.progress.send_if_modified(|progress| match &progress.commitment {
            None => {
                progress.commitment = Some(commitment);
                true
            }
            Some(first) => {
                accepted = *first == commitment;
                false
            }
        });
        if accepted { Ok(Noted) } else { Err(Refusal::rejected("another commitment came first, and the first counts")) }
    }

    fn take_reveal(&self, message: &RevealResult) -> Result<Noted, Refusal> {
        let case = self.case(&message.escrow)?;
        let reveal = Reveal::from_bytes(&message.reveal).map_err(|error| Refusal::rejected(error.to_string()))?;
        let Some(commitment) = case.progress.borrow().commitment.clone() else {
            return Err(Refusal::rejected("a reveal came before its commitment; send the commitment first"));
        };
        let provider = PublicKey(case.agreement.provider.0);
        match commitment.open(&provider, &case.docket.subject().binding, &reveal) {
            Ok(opened) => {
                case.progress.send_if_modified(|progress| {
                    let first = progress.opened.is_none();
                    progress.opened.get_or_insert_with(|| Arc::new(opened));
                    first
                });
                Ok(Noted)
            }
            Err(error) => {
                case.progress.send_if_modified(|progress| {
                    progress.bad_reveal = true;
                    false
                });
                Err(Refusal::rejected(error.to_string()))
            }
        }
    }

    fn take_findings(&self, message: &Findings) -> Result<Noted, Refusal> {
        let transcript =
            Transcript::from_bytes(&message.transcript).map_err(|error| Refusal::rejected(error.to_string()))?;
        let case = self.case(&transcript.subject().binding.outpoint)?;
        let transcript =
            case.docket.read_transcript(&message.transcript).map_err(|error| Refusal::rejected(error.to_string()))?;
        case.progress.send_modify(|progress| {
            progress.transcripts.entry(*transcript.member()).or_insert(transcript);
        });
        Ok(Noted)
    }

    fn take_ruling(&self, message: &Ruling) -> Result<Noted, Refusal> {
        let evidence = nunet_proof::EvidenceLeaf::from_bytes(&message.evidence)
            .ok_or_else(|| Refusal::rejected("the ruling's evidence is no evidence leaf"))?;
        let case = self.case(&evidence.subject.binding.outpoint)?;
        let (member, judgement) =
            case.docket.read_ruling(message).map_err(|error| Refusal::rejected(error.to_string()))?;
        case.progress.send_modify(|progress| progress.rulings.add(member, judgement, message.signature));
        Ok(Noted)
    }

    /// Answers a proposal with this member's ruling, if its own finding is what the proposed set decides.
    async fn rule_on(&self, proposal: &Propose) -> Result<Ruling, Refusal> {
        let case = self.case(&proposal.escrow)?;
        let rejected = |error: &dyn std::fmt::Display| Refusal::rejected(error.to_string());
        let transcripts = proposal
            .transcripts
            .iter()
            .map(|bytes| case.docket.read_transcript(bytes))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| rejected(&error))?;
        let mut progress = case.progress.subscribe();
        let own = match tokio::time::timeout(OWN_CHECK, progress.wait_for(|progress| progress.own.is_some())).await {
            Ok(Ok(progress)) => progress.own.clone(),
            _ => None,
        };
        let Some(own) = own else {
            return Err(Refusal::busy("this member's own check is not done yet"));
        };
        self.rule(&case, &own, &transcripts).await.map_err(|error| rejected(&error))
    }

    /// Signs what a set of transcripts decides: journalled first, and never against the member's own finding.
    async fn rule(&self, case: &Case, own: &Transcript, transcripts: &[Transcript]) -> Result<Ruling, FollowError> {
        let (decision, judgement) = case.docket.judge(transcripts)?;
        // A provider chooses who sees its bad reveal, so "none" and "a bad one" are the same finding here.
        let agrees = decision.found == *own.found() || (opened_nothing(&decision.found) && opened_nothing(own.found()));
        if !agrees {
            return Err(FollowError::Disagrees);
        }
        let outpoint = case.docket.escrow().to_bytes();
        self.journal.record(Kind::Outcome, &outpoint, &judgement.outcome()).await?;
        let ruling = judgement.sign(&self.key);
        let member = MemberKey(ruling.member);
        case.progress.send_modify(|progress| progress.rulings.add(member, judgement, ruling.signature));
        Ok(ruling)
    }

    /// One case from notice to ruling.
    async fn follow(self: &Arc<Self>, case: &Arc<Case>) -> Result<(), FollowError> {
        wait_for_escrow(&self.chain, case.docket.escrow(), &case.expected, case.agreement.lock_by).await?;
        let opened = self.wait_for_reveal(case).await?;
        let started = now_ms();
        let found = match opened {
            Some(opened) => {
                tokio::time::sleep(Duration::from_millis(case.agreement.accept_window_ms)).await;
                self.check(case, opened).await?
            }
            None if case.progress.borrow().bad_reveal => Found::bad_opening(),
            None => Found::no_reveal(),
        };
        if !self.is_unspent(case).await? {
            return Err(FollowError::Spent);
        }
        let own = self.own_transcript(case, found, Timing { started, finished: now_ms() }).await?;
        case.progress.send_modify(|progress| {
            progress.transcripts.insert(*own.member(), own.clone());
            progress.own = Some(own.clone());
        });
        let findings = Findings { transcript: own.to_bytes() };
        self.tell_everyone(case, &findings);
        self.reach_ruling(case, &own).await
    }

    async fn is_unspent(&self, case: &Case) -> Result<bool, FollowError> {
        Ok(is_unspent(&self.chain, case.docket.escrow(), &case.expected).await?)
    }

    /// The opened result, or `None` when the reveal time passed without one.
    async fn wait_for_reveal(&self, case: &Case) -> Result<Option<Arc<Opened>>, FollowError> {
        let mut progress = case.progress.subscribe();
        let revealed = async {
            let progress = progress.wait_for(|progress| progress.opened.is_some()).await;
            progress.map_or(None, |progress| progress.opened.clone())
        };
        tokio::select! {
            opened = revealed => Ok(opened),
            passed = self.chain.wait_until(case.agreement.reveal_by) => {
                passed?;
                Ok(case.progress.borrow().opened.clone())
            }
        }
    }

    /// Fetches program and inputs by hash and repeats the whole job.
    async fn check(&self, case: &Case, opened: Arc<Opened>) -> Result<Found, FollowError> {
        let program = self.fetch(case, case.agreement.spec.program).await?;
        let inputs = self.fetch(case, case.agreement.spec.inputs).await?;
        let check = move || -> Result<Found, FollowError> {
            let model = Model::load(&program).map_err(|error| FollowError::Job(error.to_string()))?;
            let inputs = RunResult::from_bytes(&inputs).map_err(|error| FollowError::Job(error.to_string()))?;
            let own = execute(&model, inputs.outputs()).map_err(|error| FollowError::Job(error.to_string()))?;
            Ok(Found::exact(&opened, &own, model_root(&model)))
        };
        tokio::task::spawn_blocking(check).await.map_err(|_| FollowError::Job("the execution was aborted".into()))?
    }

    async fn fetch(&self, case: &Case, hash: [u8; 32]) -> Result<Vec<u8>, FollowError> {
        let node = self.node().await?;
        let mut problem = String::new();
        for party in [case.agreement.requester, case.agreement.provider] {
            let Ok(peer) = peer_id_of(&party.0) else { continue };
            match fetch_blob(&node, peer, hash, MAX_BLOB_BYTES).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => problem = error.to_string(),
            }
        }
        Err(FollowError::Job(format!("neither party hands out {}: {problem}", hex::encode(hash))))
    }

    /// The transcript of an earlier run if there is one: a member signs one per outpoint.
    async fn own_transcript(&self, case: &Case, found: Found, timing: Timing) -> Result<Transcript, FollowError> {
        let key = case.docket.escrow().to_bytes();
        if let Some(earlier) = self.journal.find(Kind::Transcript, &key).await? {
            return Ok(case.docket.read_transcript(&earlier)?);
        }
        let own = Transcript::sign(&self.key, *case.docket.subject(), found, timing);
        self.journal.record(Kind::Transcript, &key, &own.to_bytes()).await?;
        Ok(own)
    }

    /// Takes turns proposing until enough members have ruled, or the escrow is gone.
    async fn reach_ruling(self: &Arc<Self>, case: &Arc<Case>, own: &Transcript) -> Result<(), FollowError> {
        let threshold = case.docket.quorum().threshold();
        let mut progress = case.progress.subscribe();
        for round in 0u32.. {
            if case.docket.quorum().proposer(&case.docket.subject().binding, round) == own.member() {
                self.propose(case, own).await?;
            }
            let settled = progress.wait_for(|progress| progress.rulings.settled(threshold).is_some());
            if tokio::time::timeout(PROPOSER_TURN, settled).await.is_ok() {
                // Later proposals are still answered from the case until the escrow is spent.
                break;
            }
            if !self.is_unspent(case).await? {
                return Ok(());
            }
        }
        while self.is_unspent(case).await? {
            tokio::time::sleep(PROPOSER_TURN).await;
        }
        Ok(())
    }

    async fn propose(self: &Arc<Self>, case: &Arc<Case>, own: &Transcript) -> Result<(), FollowError> {
        let members = case.docket.quorum().members().len();
        let mut progress = case.progress.subscribe();
        let all_in = progress.wait_for(|progress| progress.transcripts.len() >= members);
        // Waiting longer than this only helps the ones that are missing.
        let _ = tokio::time::timeout(STRAGGLERS, all_in).await;
        let transcripts: Vec<Transcript> = case.progress.borrow().transcripts.values().cloned().collect();
        let ruling = match self.rule(case, own, &transcripts).await {
            Ok(ruling) => ruling,
            Err(FollowError::Ruling(error)) => {
                tracing::debug!(%error, "nothing to propose yet");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.tell_everyone(case, &ruling);
        let proposal = Propose {
            escrow: case.docket.escrow().to_bytes(),
            transcripts: transcripts.iter().map(|transcript| ByteVec::from(transcript.to_bytes())).collect(),
        };
        for peer in self.other_members() {
            let (shared, case, proposal) = (Arc::clone(self), Arc::clone(case), proposal.clone());
            self.spawn(async move {
                let node = shared.node().await?;
                match node.request(peer, &proposal).await {
                    Ok(ruling) => {
                        let (member, judgement) = case.docket.read_ruling(&ruling)?;
                        case.progress.send_modify(|progress| progress.rulings.add(member, judgement, ruling.signature));
                        shared.tell_everyone(&case, &ruling);
                    }
                    Err(error) => tracing::info!(%peer, %error, "a member did not rule"),
                }
                Ok(())
            });
        }
        Ok(())
    }

    fn other_members(&self) -> Vec<PeerId> {
        let own = self.key.verifying_key().to_bytes();
        let others = self.committee.datum.members().iter().filter(|member| member.0 != own);
        others.filter_map(|member| peer_id_of(&member.0).ok()).collect()
    }

    /// Sends a message to the other members and both parties, each on its own: nobody waits for the slowest.
    fn tell_everyone<R: Request + Clone>(self: &Arc<Self>, case: &Case, message: &R) {
        let mut peers = self.other_members();
        for party in [case.agreement.requester, case.agreement.provider] {
            peers.extend(peer_id_of(&party.0).ok());
        }
        for peer in peers {
            let (shared, message) = (Arc::clone(self), message.clone());
            self.spawn(async move {
                if let Err(error) = shared.node().await?.request(peer, &message).await {
                    tracing::debug!(%peer, %error, protocol = R::PROTOCOL, "a message did not arrive");
                }
                Ok(())
            });
        }
    }

    fn spawn(&self, work: impl Future<Output = Result<(), FollowError>> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                result = work => {
                    if let Err(error) = result {
                        tracing::debug!(%error, "a message was not sent");
                    }
                }
            }
        });
    }

    /// The node, which starts a moment after the handlers that use it.
    async fn node(&self) -> Result<Node, FollowError> {
        let mut receiver = self.node.clone();
        let node = receiver.wait_for(Option::is_some).await.map_err(|_| FollowError::Stopped)?;
        node.clone().ok_or(FollowError::Stopped)
    }
}

/// Why a case ends without a ruling of this member.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("the escrow is spent")]
    Spent,
    #[error("the proposed outcome is not what this member found")]
    Disagrees,
    #[error("the job cannot be repeated: {0}")]
    Job(String),
    #[error("the member is stopping")]
    Stopped,
    #[error(transparent)]
    Escrow(#[from] EscrowError),
    #[error(transparent)]
    Chain(#[from] nunet_chain::ChainError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Ruling(#[from] crate::ruling::RulingError),
}

//! A committee member: takes notice of jobs, checks them, and signs one outcome for each.
//!
//! For each escrow one task goes from notice to ruling:
//!
//! ```text
//!  notice → escrow exactly right on chain → program and inputs fetched
//!         → commitment, reveal (or none by the reveal time) → accept window → own execution
//!         → transcript, journalled → exchanged → proposal → ruling, journalled → sent until the escrow is spent
//! ```

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ed25519_dalek::SigningKey;
use minicbor::bytes::ByteVec;
use nunet_chain::{Chain, OutputState};
use nunet_compute::Model;
use nunet_contracts::{Committee, MemberKey, Ntx, Protocol, transactions::escrow_output};
use nunet_ledger::{OutPoint, PosixMs};
use nunet_market::Agreement;
use nunet_p2p::{Caller, Multiaddr, Node, NodeConfig, PeerId, Refusal, Request, Router, blob::fetch_blob, peer_id_of};
use nunet_proof::{
    Commitment, EvidenceLeaf, Finding, Found, Opened, ProofKind, PublicKey, Reveal, RunResult, Timing, Transcript,
    execute, model_root,
};
use tokio::sync::{Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    escrow::{ESCROW_DEPTH, is_exact_escrow, is_spent},
    journal::{Journal, JournalError, Kind},
    messages::{Commit, Findings, JobNotice, Noted, Propose, RevealResult, Ruling},
    ruling::{Docket, RulingError, Rulings},
};

/// The most jobs that a member follows at a time. Each has its money on chain, so filling the table costs fees.
const MAX_CASES: usize = 1024;
/// The most bytes of a program, and of all inputs together, that a member fetches.
const MAX_BLOB_BYTES: usize = 256 * 1024 * 1024;
/// The longest pause between two tries to fetch program and inputs.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long a proposer has before it is the next member's turn.
const PROPOSER_TURN: Duration = Duration::from_secs(5);
/// How long a proposer waits for the transcripts that are still missing once it could already propose.
const STRAGGLERS: Duration = Duration::from_millis(1_500);
/// How long a proposal waits for this member's own check before it is answered with "busy".
const OWN_CHECK: Duration = Duration::from_secs(2);
/// The longest pause between two times that a settled verdict is sent to the parties.
const LONGEST_REMINDER: Duration = Duration::from_secs(60);
/// A member that began to watch a job this close to its reveal time (in milliseconds) may have missed the reveal, and
/// does not say that there was none.
const WATCHED_LONG_ENOUGH_MS: u64 = 60_000;

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

/// One job before the committee, as this member knows it.
struct Case {
    node: Node,
    agreement: Agreement,
    docket: Docket,
    /// The chain's time when this member began to watch.
    since: PosixMs,
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

/// Program and inputs of a job.
struct Material {
    program: Vec<u8>,
    inputs: Vec<u8>,
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

fn rejected(error: impl Display) -> Refusal {
    Refusal::rejected(error.to_string())
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

impl Shared {
    fn case(&self, escrow: &[u8; 34]) -> Result<Arc<Case>, Refusal> {
        let escrow = OutPoint::from_bytes(*escrow);
        let case = lock(&self.cases).get(&escrow).cloned();
        case.ok_or_else(|| {
            Refusal::not_found(format!("no job with escrow {escrow} is known here; send its notice first"))
        })
    }

    /// Opens a case for a job whose money is on chain exactly as agreed. Nothing else can open one, so cases cost
    /// money, and nobody can occupy somebody else's escrow with another agreement.
    async fn take_notice(self: &Arc<Self>, node: Node, notice: JobNotice) -> Result<Noted, Refusal> {
        let agreement = notice.agreement.check().map_err(rejected)?;
        let escrow = OutPoint::from_bytes(notice.escrow);
        if agreement.magic != self.protocol.magic() || agreement.logic != self.protocol.logic_hash() {
            return Err(Refusal::rejected(
                "the agreement is for another network or another version of the job validator",
            ));
        }
        if agreement.committee != self.committee.id {
            return Err(Refusal::rejected(format!("the agreement names committee {}", agreement.committee)));
        }
        if agreement.spec.kind != ProofKind::Exact {
            return Err(Refusal::rejected("this member checks only proofs of kind exact"));
        }
        if agreement.fee < self.min_fee {
            return Err(Refusal::rejected(format!("this member's least fee is {}", self.min_fee)));
        }
        if self.knows(escrow, agreement)? {
            return Ok(Noted);
        }
        let expected = escrow_output(&self.protocol, &agreement.escrow_terms()).map_err(rejected)?;
        let docket = Docket::new(agreement, escrow, &self.committee).map_err(rejected)?;
        let unreadable = |_| Refusal::busy("the chain cannot be read at the moment; send the notice again");
        match self.chain.output(&escrow).await.map_err(unreadable)? {
            OutputState::Unspent { output, .. } if !is_exact_escrow(&output, &expected) => {
                let problem = format!("escrow {escrow}: address, value, datum or script are not as agreed");
                return Err(Refusal::rejected(problem));
            }
            OutputState::Unspent { depth, .. } if depth >= ESCROW_DEPTH => {}
            OutputState::Spent { .. } => return Err(Refusal::rejected(format!("escrow {escrow} is already spent"))),
            OutputState::Unspent { .. } | OutputState::Unknown => {
                return Err(Refusal::busy(format!("escrow {escrow} is not on chain yet; send the notice again")));
            }
        }
        let since = self.chain.tip().await.map_err(unreadable)?.time;
        let case = Case { node, agreement: agreement.clone(), docket, since, progress: watch::Sender::default() };
        self.open(escrow, Arc::new(case))
    }

    /// Whether this job has a case already; an error when the table is full.
    fn knows(&self, escrow: OutPoint, agreement: &Agreement) -> Result<bool, Refusal> {
        let cases = lock(&self.cases);
        match cases.get(&escrow) {
            Some(known) if known.agreement == *agreement => Ok(true),
            Some(_) => Err(Refusal::rejected("the escrow is another agreement's")),
            None if cases.len() >= MAX_CASES => Err(Refusal::busy("too many jobs are being checked; try again later")),
            None => Ok(false),
        }
    }

    fn open(self: &Arc<Self>, escrow: OutPoint, case: Arc<Case>) -> Result<Noted, Refusal> {
        // Two notices of one job can get here at the same time.
        if self.knows(escrow, &case.agreement)? {
            return Ok(Noted);
        }
        lock(&self.cases).insert(escrow, Arc::clone(&case));
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
        let commitment = Commitment::from_bytes(&message.commitment).map_err(rejected)?;
        let case = self.case(&commitment.binding().outpoint)?;
        let binding = &case.docket.subject().binding;
        if commitment.provider().0 != case.agreement.provider.0 || commitment.binding() != binding {
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

    async fn take_reveal(&self, caller: &Caller, message: RevealResult) -> Result<Noted, Refusal> {
        let case = self.case(&message.escrow)?;
        let provider = case.agreement.provider.0;
        // Only the provider can make this member hash megabytes.
        if caller.public_key().ok() != Some(provider) {
            return Err(Refusal::rejected("only the provider of a job reveals its result"));
        }
        let (commitment, opened) = {
            let progress = case.progress.borrow();
            (progress.commitment.clone(), progress.opened.is_some())
        };
        if opened {
            return Ok(Noted);
        }
        let commitment = commitment
            .ok_or_else(|| Refusal::rejected("a reveal came before its commitment; send the commitment first"))?;
        let binding = case.docket.subject().binding;
        let open = move || {
            let reveal = Reveal::from_bytes(&message.reveal).map_err(|error| error.to_string())?;
            commitment.open(&PublicKey(provider), &binding, &reveal).map_err(|error| error.to_string())
        };
        let opening = tokio::task::spawn_blocking(open).await;
        match opening.map_err(|_| Refusal::failed("reading the reveal was aborted"))? {
            Ok(opened) => {
                case.progress.send_if_modified(|progress| {
                    let first = progress.opened.is_none();
                    progress.opened.get_or_insert_with(|| Arc::new(opened));
                    first
                });
                Ok(Noted)
            }
            Err(problem) => {
                case.progress.send_if_modified(|progress| {
                    progress.bad_reveal = true;
                    false
                });
                Err(Refusal::rejected(problem))
            }
        }
    }

    fn take_findings(&self, message: &Findings) -> Result<Noted, Refusal> {
        let transcript = Transcript::from_bytes(&message.transcript).map_err(rejected)?;
        let case = self.case(&transcript.subject().binding.outpoint)?;
        case.note(case.docket.read_transcript(&message.transcript).map_err(rejected)?);
        Ok(Noted)
    }

    fn take_ruling(&self, message: &Ruling) -> Result<Noted, Refusal> {
        let evidence = EvidenceLeaf::from_bytes(&message.evidence)
            .ok_or_else(|| Refusal::rejected("the ruling's evidence is no evidence leaf"))?;
        let case = self.case(&evidence.subject.binding.outpoint)?;
        case.note_ruling(message).map_err(rejected)?;
        Ok(Noted)
    }

    /// Answers another member's proposal with this member's ruling, if its own finding is what the set decides.
    async fn rule_on(&self, caller: &Caller, proposal: &Propose) -> Result<Ruling, Refusal> {
        let case = self.case(&proposal.escrow)?;
        let member = caller.public_key().ok().map(MemberKey);
        if member.and_then(|key| self.committee.datum.position(&key)).is_none() {
            return Err(Refusal::rejected("only members of the committee propose"));
        }
        let transcripts = proposal
            .transcripts
            .iter()
            .map(|bytes| case.docket.read_transcript(bytes))
            .collect::<Result<Vec<_>, _>>()
            .map_err(rejected)?;
        for transcript in &transcripts {
            case.note(transcript.clone());
        }
        let mut progress = case.progress.subscribe();
        let own = match tokio::time::timeout(OWN_CHECK, progress.wait_for(|progress| progress.own.is_some())).await {
            Ok(Ok(progress)) => progress.own.clone(),
            _ => None,
        };
        let own = own.ok_or_else(|| Refusal::busy("this member's own check is not done yet; propose again"))?;
        self.rule(&case, &own, &transcripts).await.map_err(rejected)
    }

    /// Signs what a set of transcripts decides: journalled first, and never against the member's own finding.
    async fn rule(&self, case: &Case, own: &Transcript, transcripts: &[Transcript]) -> Result<Ruling, RuleError> {
        let (decision, judgement) = case.docket.judge(transcripts)?;
        // A provider chooses who sees its bad reveal, so "none" and "a bad one" are the same finding here.
        let agrees = decision.found == *own.found() || (opened_nothing(&decision.found) && opened_nothing(own.found()));
        if !agrees {
            return Err(RuleError::Disagrees);
        }
        let outpoint = case.docket.escrow().to_bytes();
        self.journal.record(Kind::Outcome, &outpoint, &judgement.outcome()).await?;
        let ruling = judgement.sign(&self.key);
        let member = MemberKey(ruling.member);
        case.progress.send_modify(|progress| {
            progress.rulings.add(member, judgement, ruling.signature);
        });
        Ok(ruling)
    }

    /// One case from notice to the end of its escrow.
    async fn follow(self: &Arc<Self>, case: &Arc<Case>) -> Result<(), FollowError> {
        // Fetched before the reveal, so that a requester that has its result cannot keep members from checking it.
        let (opened, early) = tokio::join!(self.wait_for_reveal(case), self.fetch_by_reveal_time(case));
        let started = now_ms();
        let found = match opened {
            Some(opened) => {
                let window = PosixMs(self.chain.time().await.0.saturating_add(case.agreement.accept_window_ms));
                self.chain.wait_until(window).await;
                let material = match early {
                    Some(material) => material,
                    None => self.fetch_until_spent(case).await?,
                };
                self.check(material, opened).await?
            }
            None if case.since.0.saturating_add(WATCHED_LONG_ENOUGH_MS) > case.agreement.reveal_by.0 => {
                return Err(FollowError::CameLate);
            }
            None if case.progress.borrow().bad_reveal => Found::bad_opening(),
            None => Found::no_reveal(),
        };
        if is_spent(&self.chain, case.docket.escrow()).await {
            return Ok(());
        }
        let own = self.own_transcript(case, found, Timing { started, finished: now_ms() }).await?;
        case.note(own.clone());
        case.progress.send_modify(|progress| progress.own = Some(own.clone()));
        self.reach_ruling(case, &own).await
    }

    /// The opened result, or `None` when the reveal time passed without one.
    async fn wait_for_reveal(&self, case: &Case) -> Option<Arc<Opened>> {
        let mut progress = case.progress.subscribe();
        let revealed = async {
            let progress = progress.wait_for(|progress| progress.opened.is_some()).await;
            progress.map_or(None, |progress| progress.opened.clone())
        };
        tokio::select! {
            opened = revealed => opened,
            () = self.chain.wait_until(case.agreement.reveal_by) => case.progress.borrow().opened.clone(),
        }
    }

    /// Program and inputs, or `None` when nobody handed them out by the time of the reveal.
    async fn fetch_by_reveal_time(&self, case: &Case) -> Option<Material> {
        let mut progress = case.progress.subscribe();
        let over = async {
            tokio::select! {
                _ = progress.wait_for(|progress| progress.opened.is_some()) => {}
                () = self.chain.wait_until(case.agreement.reveal_by) => {}
            }
            // A fetch that is under way when the reveal comes may still finish.
            tokio::time::sleep(PROPOSER_TURN).await;
        };
        tokio::select! {
            material = self.fetch(case) => Some(material),
            () = over => None,
        }
    }

    async fn fetch_until_spent(&self, case: &Case) -> Result<Material, FollowError> {
        let spent = async {
            while !is_spent(&self.chain, case.docket.escrow()).await {
                tokio::time::sleep(PROPOSER_TURN).await;
            }
        };
        tokio::select! {
            material = self.fetch(case) => Ok(material),
            () = spent => Err(FollowError::NoMaterial),
        }
    }

    /// Asks both parties for program and inputs until one hands them out.
    async fn fetch(&self, case: &Case) -> Material {
        let mut pause = Duration::from_millis(500);
        loop {
            for party in [case.agreement.requester, case.agreement.provider] {
                let Ok(peer) = peer_id_of(&party.0) else { continue };
                let spec = &case.agreement.spec;
                let program = fetch_blob(&case.node, peer, spec.program, MAX_BLOB_BYTES).await;
                let inputs = fetch_blob(&case.node, peer, spec.inputs, MAX_BLOB_BYTES).await;
                match (program, inputs) {
                    (Ok(program), Ok(inputs)) => return Material { program, inputs },
                    (Err(error), _) | (_, Err(error)) => tracing::info!(%peer, %error, "no program or inputs yet"),
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Repeats the whole job and compares.
    async fn check(&self, material: Material, opened: Arc<Opened>) -> Result<Found, FollowError> {
        let _turn = self.executions.acquire().await;
        let check = move || -> Result<Found, FollowError> {
            let model = Model::load(&material.program).map_err(|error| FollowError::Job(error.to_string()))?;
            let inputs =
                RunResult::from_bytes(&material.inputs).map_err(|error| FollowError::Job(error.to_string()))?;
            let own = execute(&model, inputs.outputs()).map_err(|error| FollowError::Job(error.to_string()))?;
            Ok(Found::exact(&opened, &own, model_root(&model)))
        };
        tokio::task::spawn_blocking(check).await.map_err(|_| FollowError::Job("the execution was aborted".into()))?
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

    /// Exchanges transcripts and takes turns proposing until enough members have ruled; then reminds the parties of the
    /// verdict until the escrow is spent.
    async fn reach_ruling(self: &Arc<Self>, case: &Arc<Case>, own: &Transcript) -> Result<(), FollowError> {
        let quorum = case.docket.quorum();
        let threshold = quorum.threshold();
        let mut progress = case.progress.subscribe();
        for round in 0u32.. {
            self.tell_everyone(case, &Findings { transcript: own.to_bytes() });
            if quorum.proposer(&case.docket.subject().binding, round) == own.member() {
                self.propose(case, own).await;
            }
            let settled = progress.wait_for(|progress| progress.rulings.settled(threshold).is_some());
            if tokio::time::timeout(PROPOSER_TURN, settled).await.is_ok() {
                break;
            }
            if is_spent(&self.chain, case.docket.escrow()).await {
                return Ok(());
            }
        }
        let mut pause = PROPOSER_TURN;
        loop {
            let rulings = case.progress.borrow().rulings.settling(threshold);
            for ruling in rulings {
                self.tell(case, case.parties(), &ruling);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_REMINDER);
            if is_spent(&self.chain, case.docket.escrow()).await {
                return Ok(());
            }
        }
    }

    async fn propose(self: &Arc<Self>, case: &Arc<Case>, own: &Transcript) {
        let members = case.docket.quorum().members().len();
        let mut progress = case.progress.subscribe();
        let all_in = progress.wait_for(|progress| progress.transcripts.len() >= members);
        // Waiting longer than this only helps the ones that are missing.
        let _ = tokio::time::timeout(STRAGGLERS, all_in).await;
        let transcripts: Vec<Transcript> = case.progress.borrow().transcripts.values().cloned().collect();
        let ruling = match self.rule(case, own, &transcripts).await {
            Ok(ruling) => ruling,
            Err(error) => {
                tracing::info!(escrow = %case.docket.escrow(), %error, "nothing to propose yet");
                return;
            }
        };
        self.tell_everyone(case, &ruling);
        let proposal = Propose {
            escrow: case.docket.escrow().to_bytes(),
            transcripts: transcripts.iter().map(|transcript| ByteVec::from(transcript.to_bytes())).collect(),
        };
        for peer in self.other_members() {
            let (shared, case, proposal) = (Arc::clone(self), Arc::clone(case), proposal.clone());
            self.spawn(async move {
                match case.node.request(peer, &proposal).await {
                    Ok(ruling) => match case.note_ruling(&ruling) {
                        Ok(()) => shared.tell_everyone(&case, &ruling),
                        Err(error) => tracing::warn!(%peer, %error, "a member answered a proposal with nonsense"),
                    },
                    Err(error) => tracing::info!(%peer, %error, "a member did not rule"),
                }
            });
        }
    }

    fn other_members(&self) -> Vec<PeerId> {
        let own = self.key.verifying_key().to_bytes();
        let others = self.committee.datum.members().iter().filter(|member| member.0 != own);
        others.filter_map(|member| peer_id_of(&member.0).ok()).collect()
    }

    fn tell_everyone<R: Request + Clone>(&self, case: &Case, message: &R) {
        let peers = [self.other_members(), case.parties()].concat();
        self.tell(case, peers, message);
    }

    /// Sends a message to each peer on its own: nobody waits for the slowest.
    fn tell<R: Request + Clone>(&self, case: &Case, peers: Vec<PeerId>, message: &R) {
        for peer in peers {
            let (node, message) = (case.node.clone(), message.clone());
            self.spawn(async move {
                if let Err(error) = node.request(peer, &message).await {
                    tracing::debug!(%peer, %error, protocol = R::PROTOCOL, "a message did not arrive");
                }
            });
        }
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }
}

impl Case {
    fn parties(&self) -> Vec<PeerId> {
        let parties = [self.agreement.requester, self.agreement.provider];
        parties.iter().filter_map(|party| peer_id_of(&party.0).ok()).collect()
    }

    /// Takes note of a transcript that the docket accepted; a member's first one counts.
    fn note(&self, transcript: Transcript) {
        self.progress.send_if_modified(|progress| {
            let new = !progress.transcripts.contains_key(transcript.member());
            progress.transcripts.entry(*transcript.member()).or_insert(transcript);
            new
        });
    }

    fn note_ruling(&self, ruling: &Ruling) -> Result<(), RulingError> {
        let (member, judgement) = self.docket.read_ruling(ruling)?;
        self.progress.send_if_modified(|progress| progress.rulings.add(member, judgement, ruling.signature));
        Ok(())
    }
}

/// Why this member does not sign what a set of transcripts decides.
#[derive(Debug, thiserror::Error)]
enum RuleError {
    #[error("the proposed outcome is not what this member found")]
    Disagrees,
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Ruling(#[from] RulingError),
}

/// Why a case ends without a ruling of this member.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("this member began to watch too late to say that nothing was revealed")]
    CameLate,
    #[error("neither party handed out program and inputs before the escrow was spent")]
    NoMaterial,
    #[error("the job cannot be repeated: {0}")]
    Job(String),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Ruling(#[from] RulingError),
}

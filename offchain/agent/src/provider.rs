//! The provider: quotes, signs agreements, computes once the money is locked, proves, settles.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use nunet_chain::Chain;
use nunet_compute::{Model, Tensor};
use nunet_contracts::{
    AgreementHash, Ntx,
    transactions::{escrow_output, payout},
};
use nunet_ledger::{Address, Lovelace, OutPoint, PosixMs};
use nunet_market::{Agreement, Demand, Quote, SignedAgreement, SignedQuote};
use nunet_oracle::{
    Docket, Kind, is_spent,
    messages::{Commit, Findings, JobNotice, Noted, RevealResult, Ruling},
    wait_for_escrow,
};
use nunet_p2p::{
    Caller, Node, NodeConfig, PeerId, Refusal, RequestError, Router,
    blob::{BlobStore, fetch_blob},
    peer_id_of,
};
use nunet_proof::{Execution, ProofKind, RunResult, Salt, execute};
use rand::Rng;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    blobs::HeldBlobs,
    messages::{Agreed, AskQuote, Locked, ProposeAgreement},
    party::{AgentError, MAX_BLOB_BYTES, OpenJob, OpenJobs, PartyConfig, lock},
};

/// The most agreements that wait for their money, or run, at a time.
const MAX_JOBS: usize = 64;
/// How long a quote stands, in milliseconds of chain time.
const QUOTE_LIFE_MS: u64 = 60_000;
/// How often a settlement that did not get through is tried again.
const SETTLE_RETRY: Duration = Duration::from_secs(5);
/// How long before the reveal time a reveal is too late to be sure of: it would only give the result away.
const REVEAL_MARGIN_MS: u64 = 30_000;
/// The longest time that an agreement may leave between now and the lock, in milliseconds.
const MAX_LOCK_TIME_MS: u64 = 15 * 60_000;
/// Lovelace that a closing transaction's network fee never exceeds.
const CLOSING_FEE: u64 = 400_000;
/// How often links to members and the requester are renewed while a job is open.
const RENEW_LINKS: Duration = Duration::from_secs(30);
/// The pause before a message that a member did not take is sent again.
const RESEND: Duration = Duration::from_secs(1);
/// How long all members have to take a commitment once enough have it.
const STRAGGLERS: Duration = Duration::from_secs(3);

/// What a provider offers.
#[derive(Clone, Debug)]
pub struct Offer {
    /// What a job costs.
    pub price: Ntx,
    /// How long it needs after the lock to reveal, in milliseconds.
    pub run_ms: u64,
    /// How it behaves; anything but honest is for showing what happens then.
    pub conduct: Conduct,
}

/// How a provider behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conduct {
    /// Commits to what it computed.
    #[default]
    Honest,
    /// Commits to its result with one element changed.
    ChangesOneElement,
}

/// What a provider reports as it happens.
#[derive(Clone, Debug)]
pub enum ProviderEvent {
    /// An agreement was signed.
    Agreed(AgreementHash),
    /// The money is where it should be; work starts.
    Started(OutPoint),
    /// The job ran.
    Computed {
        /// The job's escrow.
        escrow: OutPoint,
        /// How long the run took.
        took: Duration,
        /// Linear ops in the trace.
        ops: usize,
    },
    /// Enough members have the commitment.
    Committed(OutPoint),
    /// Too few members can be reached to be sure of a verdict; the result is kept back until more are.
    TooFewMembers {
        /// The job's escrow.
        escrow: OutPoint,
        /// Members that took the commitment.
        members: usize,
        /// Members that must.
        threshold: usize,
    },
    /// The result is with the requester and this many members.
    Revealed {
        /// The job's escrow.
        escrow: OutPoint,
        /// Members who took it.
        members: usize,
    },
    /// A job ended without payment.
    Failed {
        /// The agreement.
        agreement: AgreementHash,
        /// Why.
        reason: String,
    },
}

/// A running provider.
pub struct Provider {
    node: Node,
    stop: CancellationToken,
    tasks: TaskTracker,
}

struct Shared {
    party: PartyConfig,
    offer: Offer,
    jobs: OpenJobs,
    blobs: BlobStore,
    waiting: Mutex<HashMap<AgreementHash, Waiting>>,
    places: Arc<Semaphore>,
    events: mpsc::UnboundedSender<ProviderEvent>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// An agreement whose money is not seen yet.
struct Waiting {
    agreement: SignedAgreement,
    work: Work,
}

/// A job that is ready to run.
struct Work {
    model: Model,
    inputs: Vec<Tensor>,
    /// Program and inputs, handed out to members until the escrow is spent.
    _held: HeldBlobs,
    /// One of the provider's places.
    _place: OwnedSemaphorePermit,
}

impl Provider {
    /// Starts the node and serves demands; events go to `events` for whoever shows them.
    pub async fn start(
        party: PartyConfig,
        node: NodeConfig,
        offer: Offer,
        events: mpsc::UnboundedSender<ProviderEvent>,
    ) -> Result<Self, AgentError> {
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let shared = Arc::new(Shared {
            party,
            offer,
            jobs: OpenJobs::default(),
            blobs: BlobStore::new(MAX_JOBS * MAX_BLOB_BYTES / 16),
            waiting: Mutex::default(),
            places: Arc::new(Semaphore::new(MAX_JOBS)),
            events,
            stop: stop.clone(),
            tasks: tasks.clone(),
        });
        let node = router(&shared).start(shared.party.node_config(node)).await?;
        shared.party.meet_members(&node).await;
        Ok(Self { node, stop, tasks })
    }

    /// The provider's network handle.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Stops all work.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.node.shutdown().await;
    }
}

fn router(shared: &Arc<Shared>) -> Router {
    let (quote, agree, locked) = (Arc::clone(shared), Arc::clone(shared), Arc::clone(shared));
    let (findings, ruling) = (shared.jobs.clone(), shared.jobs.clone());
    let router = Router::new()
        .on(move |_: Caller, message: AskQuote| {
            let shared = Arc::clone(&quote);
            async move { shared.quote(&message.demand).await }
        })
        .on(move |caller: Caller, message: ProposeAgreement| {
            let shared = Arc::clone(&agree);
            async move { shared.agree(&caller, message).await }
        })
        .on(move |caller: Caller, message: Locked| {
            let answer = locked.take_locked(&caller, &message);
            async move { answer }
        })
        .on(move |_: Caller, message: Findings| {
            let answer = findings.take_findings(&message);
            async move { answer }
        })
        .on(move |_: Caller, message: Ruling| {
            let answer = ruling.take_ruling(&message);
            async move { answer }
        });
    shared.blobs.serve(router)
}

impl Shared {
    fn report(&self, event: ProviderEvent) {
        // Nobody has to listen.
        let _ = self.events.send(event);
    }

    async fn now(&self) -> Result<PosixMs, Refusal> {
        let tip = self.party.chain.tip().await;
        tip.map(|tip| tip.time).map_err(|_| Refusal::failed("the provider cannot see the chain at the moment"))
    }

    async fn quote(&self, demand: &Demand) -> Result<SignedQuote, Refusal> {
        let now = self.now().await?;
        if demand.magic != self.party.protocol().magic() {
            return Err(Refusal::rejected("the demand is for another network"));
        }
        if demand.spec.kind != ProofKind::Exact {
            return Err(Refusal::rejected("this provider offers only proofs of kind exact"));
        }
        if demand.expires <= now {
            return Err(Refusal::rejected("the demand expired"));
        }
        if demand.max_price < self.offer.price {
            return Err(Refusal::rejected(format!(
                "a job costs {}, the demand allows {}",
                self.offer.price, demand.max_price
            )));
        }
        if demand.program_bytes > MAX_BLOB_BYTES as u64 || demand.input_bytes > MAX_BLOB_BYTES as u64 {
            return Err(Refusal::rejected("program or inputs are too large for this provider"));
        }
        let quote = Quote {
            demand: demand.hash(),
            provider: self.party.party_key(),
            payout: self.party.wallet.enterprise_address(),
            price: self.offer.price,
            bond: Ntx(0),
            run_ms: self.offer.run_ms,
            expires: PosixMs(now.0.saturating_add(QUOTE_LIFE_MS)),
        };
        Ok(quote.sign(&self.party.key))
    }

    /// Signs an agreement whose job this provider has fetched, loaded and found possible.
    async fn agree(&self, caller: &Caller, message: ProposeAgreement) -> Result<Agreed, Refusal> {
        let agreement = message.agreement;
        agreement.check_requester(&message.signature).map_err(rejected)?;
        let now = self.now().await?;
        self.acceptable(&agreement, now).map_err(rejected)?;
        let hash = agreement.hash();
        let signature = agreement.sign(&self.party.key);
        // Agreements whose money never came make room for others.
        lock(&self.waiting).retain(|_, waiting| waiting.agreement.agreement.lock_by > now);
        if lock(&self.waiting).contains_key(&hash) {
            return Ok(Agreed { signature });
        }
        if self.party.journal.find(Kind::Agreement, &hash.0).await.map_err(rejected)?.is_some() {
            return Err(Refusal::rejected("this agreement was served already; propose a new one with another nonce"));
        }
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| Refusal::busy("this provider is full; ask again later"))?;
        let work = self.prepare(caller, &agreement, place).await.map_err(rejected)?;
        let signed = SignedAgreement { agreement, requester: message.signature, provider: signature };
        let record = minicbor::to_vec(&signed).map_err(|_| Refusal::failed("the agreement has no encoding"))?;
        self.party.journal.record(Kind::Agreement, &hash.0, &record).await.map_err(rejected)?;
        lock(&self.waiting).insert(hash, Waiting { agreement: signed, work });
        self.report(ProviderEvent::Agreed(hash));
        Ok(Agreed { signature })
    }

    fn acceptable(&self, agreement: &Agreement, now: PosixMs) -> Result<(), String> {
        self.party.check_venue(agreement)?;
        if agreement.provider != self.party.party_key() {
            return Err("the agreement names another provider".into());
        }
        if agreement.provider_address != self.party.wallet.enterprise_address() {
            return Err("the agreement pays out to another address than the quote's".into());
        }
        if agreement.spec.kind != ProofKind::Exact {
            return Err("this provider offers only proofs of kind exact".into());
        }
        if agreement.price < self.offer.price || agreement.bond > Ntx(0) {
            return Err(format!("this provider asks {} and locks no bond", self.offer.price));
        }
        let run = agreement.reveal_by.0.saturating_sub(agreement.lock_by.0);
        if run < self.offer.run_ms || agreement.lock_by <= now {
            return Err("the agreement leaves less time than the quote asks for".into());
        }
        if agreement.lock_by.0 > now.0.saturating_add(MAX_LOCK_TIME_MS) {
            return Err(format!("the lock must come within {} minutes", MAX_LOCK_TIME_MS / 60_000));
        }
        self.settling_is_covered(agreement)
    }

    /// The lovelace in the escrow must cover what the settlement costs whoever builds it, which is this provider.
    fn settling_is_covered(&self, agreement: &Agreement) -> Result<(), String> {
        let params = self.party.chain.params();
        let least = |address: &Address, ntx: Ntx| {
            payout(self.party.protocol(), &params, address.clone(), ntx, Lovelace(0))
                .map(|output| output.value.lovelace())
                .map_err(|error| error.to_string())
        };
        let deposit = least(&agreement.requester_address, agreement.price)?;
        if agreement.deposit < deposit {
            return Err(format!("the deposit must be at least {deposit}, what the requester's output needs"));
        }
        let tip = least(self.party.committee.datum.treasury(), agreement.fee)?.0 + CLOSING_FEE;
        if agreement.tip.0 < tip {
            return Err(format!("the tip must be at least {}, what a settlement costs its builder", Lovelace(tip)));
        }
        Ok(())
    }

    async fn prepare(
        &self,
        caller: &Caller,
        agreement: &Agreement,
        place: OwnedSemaphorePermit,
    ) -> Result<Work, String> {
        let peer = peer_id_of(&agreement.requester.0).map_err(|error| error.to_string())?;
        let program = fetch_blob(&caller.node, peer, agreement.spec.program, MAX_BLOB_BYTES).await;
        let program = program.map_err(|error| error.to_string())?;
        let inputs = fetch_blob(&caller.node, peer, agreement.spec.inputs, MAX_BLOB_BYTES).await;
        let inputs = inputs.map_err(|error| error.to_string())?;
        let store = self.blobs.clone();
        let load = move || -> Result<Work, String> {
            let model = Model::load(&program).map_err(|error| error.to_string())?;
            let tensors = RunResult::from_bytes(&inputs).map_err(|error| format!("the inputs: {error}"))?;
            let tensors = tensors.outputs().to_vec();
            model.prepare(&tensors).map_err(|error| error.to_string())?;
            let mut held = HeldBlobs::new(&store);
            for blob in [program, inputs] {
                held.insert(blob).map_err(|error| error.to_string())?;
            }
            Ok(Work { model, inputs: tensors, _held: held, _place: place })
        };
        tokio::task::spawn_blocking(load).await.map_err(|_| "loading the program was aborted".to_owned())?
    }

    fn take_locked(self: &Arc<Self>, caller: &Caller, message: &Locked) -> Result<Noted, Refusal> {
        let hash = AgreementHash(message.agreement);
        let escrow = OutPoint::from_bytes(message.escrow);
        let waiting = {
            let mut all = lock(&self.waiting);
            match all.get(&hash) {
                // Told again after the work began.
                None => return self.jobs.get(&message.escrow).map(|_| Noted),
                Some(waiting) if caller.public_key().ok() != Some(waiting.agreement.agreement.requester.0) => {
                    return Err(Refusal::rejected("only the requester of a job says where its money is"));
                }
                Some(_) => all.remove(&hash),
            }
        };
        let Some(waiting) = waiting else { return Err(Refusal::not_found("no such agreement")) };
        let (shared, node) = (Arc::clone(self), caller.node.clone());
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                result = shared.serve(&node, waiting, escrow) => {
                    if let Err(error) = result {
                        tracing::warn!(%escrow, %error, "a job ended without payment");
                        shared.report(ProviderEvent::Failed { agreement: hash, reason: error.to_string() });
                    }
                }
            }
            shared.jobs.close(&escrow);
        });
        Ok(Noted)
    }

    /// One job from the lock to the end of its escrow.
    async fn serve(&self, node: &Node, waiting: Waiting, escrow: OutPoint) -> Result<(), AgentError> {
        let Waiting { agreement: signed, work } = waiting;
        let agreement = &signed.agreement;
        let chain = &self.party.chain;
        let docket = Docket::new(agreement, escrow, &self.party.committee)?;
        let job = self.jobs.open(signed.clone(), docket);
        // Work starts only on money that is exactly as agreed, in time and deep enough.
        let expected = escrow_output(self.party.protocol(), &agreement.escrow_terms())?;
        wait_for_escrow(chain, escrow, &expected, agreement.lock_by).await?;
        if chain.time().await > agreement.lock_by {
            return Err(AgentError::Job(
                "the money came too late to be sure of the reveal time; no work was done".into(),
            ));
        }
        self.report(ProviderEvent::Started(escrow));

        let started = Instant::now();
        let conduct = self.offer.conduct;
        let run = move || {
            let execution = execute(&work.model, &work.inputs).map_err(|error| AgentError::Job(error.to_string()));
            // The work goes back too: what it holds is needed until the escrow is spent.
            (execution.and_then(|execution| conduct.apply(execution)), work)
        };
        let ran = tokio::task::spawn_blocking(run).await;
        let (execution, _work) = ran.map_err(|_| AgentError::Job("the run was aborted".into()))?;
        let execution = execution?;
        self.report(ProviderEvent::Computed { escrow, took: started.elapsed(), ops: execution.records().len() });

        let salt = self.salt(escrow).await?;
        let (commitment, reveal) = execution.commit(&self.party.key, job.docket.subject().binding, salt);
        let delivery = Delivery {
            notice: JobNotice { agreement: signed.clone(), escrow: escrow.to_bytes() },
            commit: Commit { commitment: commitment.to_bytes() },
            reveal: RevealResult { escrow: escrow.to_bytes(), reveal: reveal.to_bytes() },
        };
        tokio::select! {
            delivered = self.deliver(node, agreement, &delivery) => delivered?,
            () = spent(chain, escrow) => return Ok(()),
        }
        self.collect(node, &job, escrow).await
    }

    /// Brings commitment and result to the members, and to the requester once enough members hold them: a result that
    /// nobody can vouch for is not given away. Members that are down are tried again until the reveal time.
    async fn deliver(&self, node: &Node, agreement: &Agreement, delivery: &Delivery) -> Result<(), AgentError> {
        let threshold = self.party.committee.datum.threshold();
        let chain = &self.party.chain;
        let escrow = OutPoint::from_bytes(delivery.reveal.escrow);
        let requester =
            peer_id_of(&agreement.requester.0).map_err(|error| AgentError::peer(agreement.requester, error))?;
        let mut committed = BTreeSet::new();
        let mut revealed = BTreeSet::new();
        let mut requester_has_it = false;
        let mut enough_since = None;
        let (began, mut warned) = (Instant::now(), false);
        loop {
            if chain.time().await.0.saturating_add(REVEAL_MARGIN_MS) >= agreement.reveal_by.0 {
                // Too few members for a verdict, but none of them shall say that nothing was revealed.
                let strangers = self.others(&committed);
                self.party.reach_members(node, &strangers, |node, peer| delivery.reveal_to(node, peer)).await;
                return Err(AgentError::Undelivered { members: committed.len(), threshold });
            }
            for peer in self.party.reach_members(node, &committed, |node, peer| delivery.commit_to(node, peer)).await {
                committed.insert(peer);
            }
            if committed.len() >= threshold && enough_since.is_none() {
                enough_since = Some(Instant::now());
                self.report(ProviderEvent::Committed(escrow));
            }
            if committed.len() < threshold && began.elapsed() >= STRAGGLERS && !std::mem::replace(&mut warned, true) {
                self.report(ProviderEvent::TooFewMembers { escrow, members: committed.len(), threshold });
            }
            // Everybody gets the commitment before anybody sees the result, but nobody's absence holds it up for long.
            let all_committed = committed.len() == self.party.committee.datum.members().len();
            let long_enough = enough_since.is_some_and(|since: Instant| since.elapsed() >= STRAGGLERS);
            if all_committed || long_enough {
                let skip = &revealed | &self.others(&committed);
                for peer in self.party.reach_members(node, &skip, |node, peer| delivery.reveal_to(node, peer)).await {
                    revealed.insert(peer);
                }
            }
            if revealed.len() >= threshold && !requester_has_it {
                requester_has_it = delivery.show_requester(node, requester).await;
                if requester_has_it {
                    self.report(ProviderEvent::Revealed { escrow, members: revealed.len() });
                }
            }
            if requester_has_it {
                // Enough members can rule now; the others are not needed.
                return Ok(());
            }
            tokio::time::sleep(RESEND).await;
        }
    }

    /// The members that are not in this set.
    fn others(&self, members: &BTreeSet<PeerId>) -> BTreeSet<PeerId> {
        self.party.member_peers().into_iter().filter(|peer| !members.contains(peer)).collect()
    }

    /// A fresh salt for each escrow; the same again after a crash, so that there is one commitment.
    async fn salt(&self, escrow: OutPoint) -> Result<Salt, AgentError> {
        let key = escrow.to_bytes();
        if let Some(earlier) = self.party.journal.find(Kind::Commitment, &key).await?
            && let Ok(salt) = earlier.as_slice().try_into()
        {
            return Ok(Salt(salt));
        }
        let mut salt = [0; 32];
        rand::rng().fill_bytes(&mut salt);
        self.party.journal.record(Kind::Commitment, &key, &salt).await?;
        Ok(Salt(salt))
    }

    /// Settles as soon as enough members signed a payout, and follows the escrow until it is spent.
    async fn collect(&self, node: &Node, job: &OpenJob, escrow: OutPoint) -> Result<(), AgentError> {
        let threshold = self.party.committee.datum.threshold();
        let chain = &self.party.chain;
        let (mut next_try, mut next_renewal) = (Instant::now(), Instant::now() + RENEW_LINKS);
        while !is_spent(chain, escrow).await {
            let settled = job.state.borrow().rulings.settled(threshold);
            // A verdict that pays nothing is for the requester to bring to the chain.
            if let Some((judgement, signatures)) = settled
                && judgement.evidence.paid > 0
                && Instant::now() >= next_try
            {
                next_try = Instant::now() + SETTLE_RETRY;
                if let Err(error) = self.party.settle(escrow, &judgement, &signatures).await {
                    tracing::warn!(%escrow, %error, "the settlement was not taken; trying again");
                }
            }
            if Instant::now() >= next_renewal {
                next_renewal = Instant::now() + RENEW_LINKS;
                self.party.meet_members(node).await;
            }
            tokio::time::sleep(chain.poll_interval()).await;
        }
        Ok(())
    }
}

/// What a provider brings to members and requester about one job.
struct Delivery {
    notice: JobNotice,
    commit: Commit,
    reveal: RevealResult,
}

impl Delivery {
    async fn commit_to(&self, node: Node, peer: PeerId) -> Result<(), RequestError> {
        node.request(peer, &self.notice).await?;
        node.request(peer, &self.commit).await?;
        Ok(())
    }

    async fn reveal_to(&self, node: Node, peer: PeerId) -> Result<(), RequestError> {
        node.request(peer, &self.reveal).await.map(|_| ())
    }

    async fn show_requester(&self, node: &Node, requester: PeerId) -> bool {
        let shown = async {
            node.request(requester, &self.commit).await?;
            node.request(requester, &self.reveal).await
        };
        shown.await.inspect_err(|error| tracing::warn!(%error, "the requester did not take the result yet")).is_ok()
    }
}

/// Returns when the escrow is spent.
async fn spent(chain: &Chain, escrow: OutPoint) {
    while !is_spent(chain, escrow).await {
        tokio::time::sleep(chain.poll_interval()).await;
    }
}

fn rejected(error: impl std::fmt::Display) -> Refusal {
    Refusal::rejected(error.to_string())
}

impl Conduct {
    fn apply(self, execution: Execution) -> Result<Execution, AgentError> {
        match self {
            Self::Honest => Ok(execution),
            Self::ChangesOneElement => {
                let mut outputs = execution.outputs().to_vec();
                if let Some(first) = outputs.first_mut() {
                    *first = changed(first).map_err(AgentError::Job)?;
                }
                Execution::new(RunResult::Outputs(outputs), execution.records().to_vec())
                    .map_err(|error| AgentError::Job(error.to_string()))
            }
        }
    }
}

/// The tensor with the lowest bit of its middle element flipped.
fn changed(tensor: &Tensor) -> Result<Tensor, String> {
    let mut data = tensor.data().to_vec();
    let width = tensor.dtype().size();
    let middle = data.len() / width.max(1) / 2 * width;
    if let Some(byte) = data.get_mut(middle) {
        *byte ^= 1;
    }
    Tensor::new(tensor.name(), tensor.dtype(), tensor.shape().to_vec(), data).map_err(|error| error.to_string())
}

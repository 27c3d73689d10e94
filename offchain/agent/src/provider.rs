//! The provider: quotes, signs agreements, computes once the money is locked, proves, settles.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use nunet_compute::{Model, Tensor};
use nunet_contracts::{AgreementHash, Ntx, transactions::escrow_output};
use nunet_ledger::{OutPoint, PosixMs, TxOut};
use nunet_market::{Agreement, Demand, MIN_SETTLE_TIME_MS, Quote, SignedAgreement, SignedQuote};
use nunet_oracle::{
    Docket, Kind, is_unspent,
    messages::{Commit, Findings, Noted, RevealResult, Ruling},
    wait_for_escrow,
};
use nunet_p2p::{Caller, Node, NodeConfig, Refusal, Router, blob::fetch_blob, peer_id_of};
use nunet_proof::{Execution, ProofKind, RunResult, Salt, execute};
use rand::Rng;
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    messages::{Agreed, AskQuote, Locked, ProposeAgreement},
    party::{AgentError, MAX_BLOB_BYTES, OpenJob, OpenJobs, PartyConfig, lock},
};

/// The most agreements that wait for their money, or run, at a time.
const MAX_JOBS: usize = 64;
/// How long a quote stands, in milliseconds of chain time.
const QUOTE_LIFE_MS: u64 = 60_000;
/// How often a settlement that did not get through is tried again.
const SETTLE_RETRY: Duration = Duration::from_secs(5);

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
    /// The commitment is out.
    Committed(OutPoint),
    /// The result is revealed to this many members.
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
    waiting: Mutex<HashMap<AgreementHash, Waiting>>,
    node: watch::Receiver<Option<Node>>,
    events: mpsc::UnboundedSender<ProviderEvent>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// An agreement whose money is not seen yet.
struct Waiting {
    agreement: SignedAgreement,
    work: Arc<Work>,
}

/// A job that is ready to run.
struct Work {
    model: Model,
    inputs: Vec<Tensor>,
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
        let (node_sender, node_receiver) = watch::channel(None);
        let shared = Arc::new(Shared {
            party,
            offer,
            jobs: OpenJobs::default(),
            waiting: Mutex::default(),
            node: node_receiver,
            events,
            stop: stop.clone(),
            tasks: tasks.clone(),
        });
        let node = router(&shared).start(shared.party.node_config(node)).await?;
        node_sender.send_replace(Some(node.clone()));
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
    Router::new()
        .on(move |_: Caller, message: AskQuote| {
            let shared = Arc::clone(&quote);
            async move { shared.quote(&message.demand).await }
        })
        .on(move |_: Caller, message: ProposeAgreement| {
            let shared = Arc::clone(&agree);
            async move { shared.agree(message).await }
        })
        .on(move |_: Caller, message: Locked| {
            let shared = Arc::clone(&locked);
            async move { shared.take_locked(&message) }
        })
        .on(move |_: Caller, message: Findings| {
            let answer = findings.take_findings(&message);
            async move { answer }
        })
        .on(move |_: Caller, message: Ruling| {
            let answer = ruling.take_ruling(&message);
            async move { answer }
        })
}

impl Shared {
    fn report(&self, event: ProviderEvent) {
        // Nobody has to listen.
        let _ = self.events.send(event);
    }

    async fn node(&self) -> Option<Node> {
        self.node.clone().wait_for(Option::is_some).await.ok()?.clone()
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
            return Err(Refusal::rejected(format!("a job costs {}, the demand allows {}", self.offer.price, demand.max_price)));
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
    async fn agree(&self, message: ProposeAgreement) -> Result<Agreed, Refusal> {
        let agreement = message.agreement;
        let rejected = |error: &dyn std::fmt::Display| Refusal::rejected(error.to_string());
        agreement.check_requester(&message.signature).map_err(|error| rejected(&error))?;
        self.acceptable(&agreement, self.now().await?).map_err(|problem| rejected(&problem))?;
        let hash = agreement.hash();
        if !lock(&self.waiting).contains_key(&hash) && lock(&self.waiting).len() >= MAX_JOBS {
            return Err(Refusal::busy("this provider is full; ask again later"));
        }
        let work = self.prepare(&agreement).await.map_err(|error| rejected(&error))?;
        let signature = agreement.sign(&self.party.key);
        let signed = SignedAgreement { agreement, requester: message.signature, provider: signature };
        let record = minicbor::to_vec(&signed).map_err(|_| Refusal::failed("the agreement has no encoding"))?;
        self.party.journal.record(Kind::Agreement, &hash.0, &record).await.map_err(|error| rejected(&error))?;
        lock(&self.waiting).insert(hash, Waiting { agreement: signed, work: Arc::new(work) });
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
        Ok(())
    }

    async fn prepare(&self, agreement: &Agreement) -> Result<Work, String> {
        let node = self.node().await.ok_or("the provider is stopping")?;
        let peer = peer_id_of(&agreement.requester.0).map_err(|error| error.to_string())?;
        let fetch = async |hash: [u8; 32]| {
            fetch_blob(&node, peer, hash, MAX_BLOB_BYTES).await.map_err(|error| error.to_string())
        };
        let program = fetch(agreement.spec.program).await?;
        let inputs = fetch(agreement.spec.inputs).await?;
        let load = move || -> Result<Work, String> {
            let model = Model::load(&program).map_err(|error| error.to_string())?;
            let inputs = RunResult::from_bytes(&inputs).map_err(|error| format!("the inputs: {error}"))?;
            let inputs = inputs.outputs().to_vec();
            model.prepare(&inputs).map_err(|error| error.to_string())?;
            Ok(Work { model, inputs })
        };
        tokio::task::spawn_blocking(load).await.map_err(|_| "loading the program was aborted".to_owned())?
    }

    fn take_locked(self: &Arc<Self>, message: &Locked) -> Result<Noted, Refusal> {
        let hash = AgreementHash(message.agreement);
        let escrow = OutPoint::from_bytes(message.escrow);
        let Some(waiting) = lock(&self.waiting).remove(&hash) else {
            // Told again after the work began.
            return self.jobs.get(&message.escrow).map(|_| Noted);
        };
        let shared = Arc::clone(self);
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                result = shared.serve(waiting, escrow) => {
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
    async fn serve(&self, waiting: Waiting, escrow: OutPoint) -> Result<(), AgentError> {
        let Waiting { agreement: signed, work } = waiting;
        let agreement = &signed.agreement;
        let node = self.node().await.ok_or_else(|| AgentError::Job("the provider is stopping".into()))?;
        let docket = Docket::new(agreement, escrow, &self.party.committee)?;
        let job = self.jobs.open(signed.clone(), docket);
        // Work starts only on money that is exactly as agreed, in time and deep enough.
        let expected = escrow_output(self.party.protocol(), &agreement.escrow_terms())?;
        wait_for_escrow(&self.party.chain, escrow, &expected, agreement.lock_by).await?;
        self.report(ProviderEvent::Started(escrow));
        self.party.notify_members(&node, &signed, escrow).await;

        let started = Instant::now();
        let conduct = self.offer.conduct;
        let run = move || -> Result<Execution, AgentError> {
            let execution = execute(&work.model, &work.inputs).map_err(|error| AgentError::Job(error.to_string()))?;
            conduct.apply(execution)
        };
        let execution =
            tokio::task::spawn_blocking(run).await.map_err(|_| AgentError::Job("the run was aborted".into()))??;
        self.report(ProviderEvent::Computed { escrow, took: started.elapsed(), ops: execution.records().len() });

        let salt = self.salt(escrow).await?;
        let binding = job.docket.subject().binding;
        let (commitment, reveal) = execution.commit(&self.party.key, binding, salt);
        let commitment = commitment.to_bytes();
        let requester = peer_id_of(&agreement.requester.0)
            .map_err(|error| AgentError::peer(agreement.requester, error))?;
        // A member that has no commitment gets no reveal either; the threshold decides whether that matters.
        let commit = Commit { commitment };
        self.party.tell_members(&node, &commit).await;
        if let Err(error) = node.request(requester, &commit).await {
            tracing::warn!(%error, "the requester did not take the commitment");
        }
        self.report(ProviderEvent::Committed(escrow));
        let reveal = RevealResult { escrow: escrow.to_bytes(), reveal: reveal.to_bytes() };
        let members = self.party.tell_members(&node, &reveal).await;
        if let Err(error) = node.request(requester, &reveal).await {
            tracing::warn!(%error, "the requester did not take the result");
        }
        self.report(ProviderEvent::Revealed { escrow, members });
        self.collect(&job, escrow, &expected).await
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
    async fn collect(&self, job: &OpenJob, escrow: OutPoint, expected: &TxOut) -> Result<(), AgentError> {
        let threshold = self.party.committee.datum.threshold();
        let chain = &self.party.chain;
        let mut next_try = Instant::now();
        while is_unspent(chain, escrow, expected).await? {
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
            tokio::time::sleep(chain.poll_interval()).await;
        }
        Ok(())
    }
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

/// The earliest deadline for a reveal time.
pub(crate) fn earliest_deadline(reveal_by: PosixMs) -> PosixMs {
    PosixMs(reveal_by.0.saturating_add(MIN_SETTLE_TIME_MS))
}

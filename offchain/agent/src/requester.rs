//! The requester: asks for quotes, agrees, locks the money, follows the job to the end of its escrow.

mod inbound;
mod lock;

use std::time::{Duration, Instant};

use nunet_chain::OutputState;
use nunet_compute::Tensor;
use nunet_contracts::{
    AgreementHash, BondFunds, MemberKey, Ntx,
    closing::{Closing, read_closing},
};
use nunet_ledger::{Lovelace, OutPoint, PosixMs, TxId};
use nunet_market::{Agreement, Demand, JobSpec, Quote, SignedAgreement};
use nunet_oracle::{Docket, Kind, Rulings, messages::MAX_BLOB_BYTES};
use nunet_p2p::{Multiaddr, Node, NodeConfig, blob::BlobStore, peer_id_of};
use nunet_proof::{Finding, ProofKind, RunResult, Transcript};
use rand::Rng;
use tokio::sync::mpsc;

use self::inbound::{Shown, router};
use crate::{
    blobs::HeldBlobs,
    messages::{AskQuote, Locked, ProposeAgreement},
    party::{AgentError, JobState, OpenJob, OpenJobs, PartyConfig},
};

/// How long a demand and the lock after it may take, in milliseconds of chain time.
const DEMAND_LIFE_MS: u64 = 60_000;
/// The lock transaction is invalid after this much time, so that it cannot appear late.
const LOCK_LIFE_MS: u64 = 10 * 60_000;
/// How long the provider is left to settle a payout before the requester does it.
const PROVIDER_SETTLES: Duration = Duration::from_secs(30);
/// How often a closing transaction that did not get through is tried again.
const CLOSE_RETRY: Duration = Duration::from_secs(5);

/// How often the provider is told where the money is until it takes note.
const TELL_TRIES: u32 = 5;

/// What a requester adds to the price of every job.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// What the committee gets.
    pub fee: Ntx,
    /// The least bond that a provider must lock: it goes to the requester when the result is wrong or does not come.
    pub min_bond: Ntx,
    /// Lovelace that comes back with the rest.
    pub deposit: Lovelace,
    /// Lovelace for whoever builds the closing transaction.
    pub tip: Lovelace,
    /// How long members leave the requester time to accept, in milliseconds.
    pub accept_window_ms: u64,
    /// The longest run time that a quote may ask for, in milliseconds: the money is locked that much longer.
    pub max_run_ms: u64,
}

/// A job to be run.
#[derive(Clone, Debug)]
pub struct Job {
    /// The ONNX file.
    pub program: Vec<u8>,
    /// The inputs, in the model's order.
    pub inputs: Vec<Tensor>,
    /// The most that is paid to the provider.
    pub max_price: Ntx,
}

/// What a requester reports as it happens.
#[derive(Clone, Debug)]
pub enum RequesterEvent {
    /// Quotes are in.
    Quoted {
        /// How many are usable.
        offers: usize,
        /// The one that is taken.
        price: Ntx,
        /// And its bond.
        bond: Ntx,
    },
    /// Both sides signed.
    Agreed(AgreementHash),
    /// The provider signed the lock, and pays its bond with it.
    BondSigned(Ntx),
    /// The lock transaction is sent.
    LockSent(TxId),
    /// The money is locked.
    Locked {
        /// The escrow.
        escrow: OutPoint,
        /// When anyone may refund.
        deadline: PosixMs,
    },
    /// The provider committed.
    Committed,
    /// The result is here and fits the commitment.
    Received,
    /// A member found something.
    Found {
        /// The member.
        member: MemberKey,
        /// What.
        finding: Finding,
    },
    /// A closing transaction of this requester is sent.
    CloseSent(TxId),
}

/// When the steps of a job were done, after its demand.
#[derive(Clone, Copy, Debug)]
pub struct JobTimes {
    /// Both sides signed.
    pub agreed: Duration,
    /// The money was on chain.
    pub locked: Duration,
    /// The escrow was spent.
    pub closed: Duration,
}

/// How a job ended, read from the chain.
#[derive(Clone, Debug)]
pub struct JobReport {
    /// What both sides signed.
    pub agreement: Agreement,
    /// The quote that was taken.
    pub quote: Quote,
    /// The escrow.
    pub escrow: OutPoint,
    /// The transaction that locked it.
    pub lock_tx: TxId,
    /// The network fee of the lock.
    pub lock_fee: Lovelace,
    /// The transaction that closed it.
    pub closing_tx: TxId,
    /// How.
    pub closing: Closing,
    /// What members found.
    pub transcripts: Vec<Transcript>,
    /// What members signed.
    pub rulings: Rulings,
    /// The revealed outputs.
    pub result: Option<RunResult>,
    /// When the steps were done.
    pub times: JobTimes,
}

/// A running requester.
pub struct Requester {
    party: PartyConfig,
    policy: Policy,
    node: Node,
    blobs: BlobStore,
    jobs: OpenJobs,
}

impl Requester {
    /// Starts the node.
    pub async fn start(party: PartyConfig, node: NodeConfig, policy: Policy) -> Result<Self, AgentError> {
        let blobs = BlobStore::new(2 * MAX_BLOB_BYTES);
        let jobs = OpenJobs::default();
        let node = router(&jobs, &blobs).start(party.node_config(node)).await?;
        party.meet_members(&node).await;
        Ok(Self { party, policy, node, blobs, jobs })
    }

    /// The requester's network handle.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Stops the node.
    pub async fn shutdown(self) {
        self.node.shutdown().await;
    }

    /// One job from demand to the end of its escrow, among these providers.
    pub async fn run(
        &self,
        job: Job,
        providers: &[Multiaddr],
        events: &mpsc::UnboundedSender<RequesterEvent>,
    ) -> Result<JobReport, AgentError> {
        let report = |event| drop(events.send(event));
        let started = Instant::now();
        let (demand, _blobs) = self.demand(&job).await?;
        let quote = self.best_quote(&demand, providers, events).await?;
        let (agreement, bond) = self.agree(&demand, &quote).await?;
        let hash = agreement.agreement.hash();
        report(RequesterEvent::Agreed(hash));
        let agreed = started.elapsed();

        let (escrow, lock_fee) = self.lock(&agreement.agreement, bond.as_ref(), events).await?;
        let locked = started.elapsed();
        let docket = Docket::new(&agreement.agreement, escrow, &self.party.committee)?;
        let open = self.jobs.open(agreement.clone(), docket);
        let deadline = agreement.agreement.deadline;
        report(RequesterEvent::Locked { escrow, deadline });
        self.party.notify_members(&self.node, &agreement, escrow).await;
        self.tell_provider(&agreement.agreement, escrow).await;

        let ended = self.follow(&open, escrow, events).await;
        self.jobs.close(&escrow);
        let (closing_tx, closing) = ended?;
        let times = JobTimes { agreed, locked, closed: started.elapsed() };
        let state: JobState = open.state.borrow().clone();
        let result = open.opening.borrow().opened().map(|opened| opened.result().clone());
        Ok(JobReport {
            agreement: agreement.agreement,
            quote,
            escrow,
            lock_tx: escrow.tx,
            lock_fee,
            closing_tx,
            closing,
            transcripts: state.transcripts.into_values().collect(),
            rulings: state.rulings,
            result,
            times,
        })
    }

    /// Publishes program and inputs by hash and describes the job.
    async fn demand(&self, job: &Job) -> Result<(Demand, HeldBlobs), AgentError> {
        let too_large = |error: &dyn std::fmt::Display| AgentError::Job(error.to_string());
        // The input hash is over the inputs in the order of their names, however they were given.
        let mut inputs = job.inputs.clone();
        inputs.sort_by(|one, other| one.name().cmp(other.name()));
        let inputs = RunResult::Outputs(inputs).to_bytes();
        let (program_bytes, input_bytes) = (job.program.len() as u64, inputs.len() as u64);
        let mut held = HeldBlobs::new(&self.blobs);
        let program = held.insert(job.program.clone()).map_err(|error| too_large(&error))?;
        let inputs = held.insert(inputs).map_err(|error| too_large(&error))?;
        let now = self.party.chain.tip().await?.time;
        let demand = Demand {
            magic: self.party.protocol().magic(),
            requester: self.party.party_key(),
            spec: JobSpec { program: program.0, inputs: inputs.0, kind: ProofKind::Exact },
            program_bytes,
            input_bytes,
            max_price: job.max_price,
            expires: PosixMs(now.0.saturating_add(DEMAND_LIFE_MS)),
            nonce: random(),
        };
        Ok((demand, held))
    }

    async fn best_quote(
        &self,
        demand: &Demand,
        providers: &[Multiaddr],
        events: &mpsc::UnboundedSender<RequesterEvent>,
    ) -> Result<Quote, AgentError> {
        let now = self.party.chain.tip().await?.time;
        let mut problems = Vec::new();
        let mut quotes = Vec::new();
        for address in providers {
            let answer = async {
                let peer = self.node.connect(address.clone()).await.map_err(|error| error.to_string())?;
                let ask = AskQuote { demand: demand.clone() };
                let signed = self.node.request(peer, &ask).await.map_err(|error| error.to_string())?;
                let quote = signed.check(demand, now).map_err(|error| error.to_string())?;
                if quote.run_ms > self.policy.max_run_ms {
                    let (asked, most) = (quote.run_ms / 1000, self.policy.max_run_ms / 1000);
                    return Err(format!("it asks for {asked} s to run the job, at most {most} s are allowed"));
                }
                if quote.bond < self.policy.min_bond {
                    return Err(format!(
                        "it locks a bond of {}, at least {} is asked",
                        quote.bond, self.policy.min_bond
                    ));
                }
                match peer_id_of(&quote.provider.0) {
                    Ok(key_peer) if key_peer == peer => Ok::<_, String>(quote.clone()),
                    _ => Err("the quote is another node's".into()),
                }
            };
            match answer.await {
                Ok(quote) => quotes.push(quote),
                Err(problem) => problems.push(format!("{address}: {problem}")),
            }
        }
        let offers = quotes.len();
        let best = quotes.into_iter().min_by_key(|quote| (quote.price, quote.run_ms));
        let best = best.ok_or_else(|| {
            AgentError::NoQuote(if problems.is_empty() { "no provider is known".into() } else { problems.join("; ") })
        })?;
        drop(events.send(RequesterEvent::Quoted { offers, price: best.price, bond: best.bond }));
        Ok(best)
    }

    async fn agree(&self, demand: &Demand, quote: &Quote) -> Result<(SignedAgreement, Option<BondFunds>), AgentError> {
        let now = self.party.chain.tip().await?.time;
        let lock_by = PosixMs(now.0.saturating_add(LOCK_LIFE_MS));
        let reveal_by = PosixMs(lock_by.0.saturating_add(quote.run_ms));
        let agreement = Agreement {
            magic: demand.magic,
            logic: self.party.protocol().logic_hash(),
            committee: self.party.committee.id,
            requester: demand.requester,
            provider: quote.provider,
            requester_address: self.party.wallet.enterprise_address(),
            provider_address: quote.payout.clone(),
            spec: demand.spec,
            price: quote.price,
            fee: self.policy.fee,
            bond: quote.bond,
            deposit: self.policy.deposit,
            carry: self.party.carry(&quote.payout, quote.price, quote.bond)?,
            tip: self.policy.tip,
            lock_by,
            reveal_by,
            deadline: Agreement::earliest_deadline(reveal_by, self.policy.accept_window_ms),
            accept_window_ms: self.policy.accept_window_ms,
            nonce: random(),
        };
        self.party.check_venue(&agreement).map_err(AgentError::Job)?;
        let signature = agreement.sign(&self.party.key);
        let proposal = ProposeAgreement { agreement: agreement.clone(), signature };
        self.record(Kind::Agreement, &agreement.hash(), &proposal).await?;
        let peer = peer_id_of(&quote.provider.0).map_err(|error| AgentError::peer(quote.provider, error))?;
        let agreed = self.node.request(peer, &proposal).await;
        let agreed = agreed.map_err(|error| AgentError::peer(quote.provider, error))?;
        let signed = SignedAgreement { agreement, requester: signature, provider: agreed.signature };
        signed.check().map_err(|error| AgentError::peer(quote.provider, error))?;
        let bond = match (quote.bond.0 > 0, agreed.bond) {
            (false, _) => None,
            (true, Some(named)) => Some(self.bond_funds(quote.provider, &named).await?),
            (true, None) => return Err(AgentError::peer(quote.provider, "it names no outputs for its bond")),
        };
        Ok((signed, bond))
    }

    async fn record(
        &self,
        kind: Kind,
        agreement: &AgreementHash,
        value: &impl minicbor::Encode<()>,
    ) -> Result<(), AgentError> {
        let bytes = minicbor::to_vec(value).map_err(|error| AgentError::Job(error.to_string()))?;
        Ok(self.party.journal.record(kind, &agreement.0, &bytes).await?)
    }

    async fn tell_provider(&self, agreement: &Agreement, escrow: OutPoint) {
        let told = async {
            let peer = peer_id_of(&agreement.provider.0).map_err(|error| error.to_string())?;
            let locked = Locked { agreement: agreement.hash().0, escrow: escrow.to_bytes() };
            let mut answer = self.node.request(peer, &locked).await;
            for _ in 1..TELL_TRIES {
                if answer.is_ok() {
                    break;
                }
                tokio::time::sleep(CLOSE_RETRY).await;
                answer = self.node.request(peer, &locked).await;
            }
            answer.map_err(|error| error.to_string())
        };
        if let Err(error) = told.await {
            // The money comes back at the deadline whatever the provider does.
            tracing::warn!(%escrow, %error, "the provider does not know that the money is locked");
        }
    }

    /// Follows an escrow until it is spent: brings a verdict to the chain when the provider does not, and refunds
    /// after the deadline. What happened is read from the chain, never assumed.
    async fn follow(
        &self,
        job: &OpenJob,
        escrow: OutPoint,
        events: &mpsc::UnboundedSender<RequesterEvent>,
    ) -> Result<(TxId, Closing), AgentError> {
        let chain = &self.party.chain;
        let mut shown = Shown::default();
        let mut timing = Timing::default();
        loop {
            let state = job.state.borrow().clone();
            shown.report(job, events);
            if let OutputState::Spent { by, .. } = chain.look_up(escrow).await {
                return self.closing(escrow, by).await;
            }
            let now = chain.time().await;
            match self.try_to_close(job, &state, now, &mut timing).await {
                Ok(Some(id)) => drop(events.send(RequesterEvent::CloseSent(id))),
                Ok(None) => {}
                Err(error) => tracing::warn!(%escrow, %error, "the escrow is not closed yet; trying again"),
            }
            tokio::time::sleep(chain.poll_interval()).await;
        }
    }

    /// Refunds after the deadline when there is no verdict; settles a verdict that pays the provider nothing at once, and
    /// one that does when the provider leaves it lying.
    async fn try_to_close(
        &self,
        job: &OpenJob,
        state: &JobState,
        now: PosixMs,
        timing: &mut Timing,
    ) -> Result<Option<TxId>, AgentError> {
        let escrow = job.docket.escrow();
        let settled = state.rulings.settled(self.party.committee.datum.threshold());
        if settled.is_some() {
            timing.settled_since.get_or_insert_with(Instant::now);
        }
        if timing.last_try.is_some_and(|last| last.elapsed() < CLOSE_RETRY) {
            return Ok(None);
        }
        if settled.is_none() && now >= job.agreement.agreement.deadline {
            timing.last_try = Some(Instant::now());
            return self.party.refund(escrow).await;
        }
        let Some((judgement, signatures)) = settled else { return Ok(None) };
        let providers_turn = timing.settled_since.is_some_and(|since| since.elapsed() < PROVIDER_SETTLES);
        if judgement.evidence.paid > 0 && providers_turn {
            return Ok(None);
        }
        timing.last_try = Some(Instant::now());
        self.party.settle(escrow, &judgement, &signatures).await
    }

    async fn closing(&self, escrow: OutPoint, by: TxId) -> Result<(TxId, Closing), AgentError> {
        let wrong = |problem: String| AgentError::Escrow { escrow, problem };
        let chain = &self.party.chain;
        let (Some(cbor), Some(spent)) = (chain.transaction_cbor(&by).await?, chain.consumed_by(&by).await?) else {
            return Err(wrong(format!("transaction {by} spent it and cannot be read")));
        };
        let closing =
            read_closing(self.party.protocol(), &cbor, &spent, escrow).map_err(|error| wrong(error.to_string()))?;
        Ok((by, closing))
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// When closing was possible, and when it was last tried.
#[derive(Default)]
struct Timing {
    settled_since: Option<Instant>,
    last_try: Option<Instant>,
}

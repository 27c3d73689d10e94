//! A member's work on one job, from notice to the end of its escrow.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use minicbor::bytes::ByteVec;
use nunet_compute::Model;
use nunet_ledger::PosixMs;
use nunet_p2p::{PeerId, Request, blob::fetch_blob, peer_id_of};
use nunet_proof::{Found, Opened, RunResult, Timing, Transcript, execute, model_root};

use super::{Shared, case::Case};
use crate::{
    escrow::{is_spent, wait_until_spent},
    journal::{JournalError, Kind},
    messages::{Findings, MAX_BLOB_BYTES, Propose},
    ruling::RulingError,
};

/// The longest pause between two tries to fetch program and inputs.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long a proposer has before it is the next member's turn.
const PROPOSER_TURN: Duration = Duration::from_secs(5);
/// How long a proposer waits for the transcripts that are still missing once it could already propose.
const STRAGGLERS: Duration = Duration::from_millis(1_500);
/// The longest pause between two times that a settled verdict is sent to the parties.
const LONGEST_REMINDER: Duration = Duration::from_secs(60);
/// A member that began to watch a job this close to its reveal time (in milliseconds) may have missed the reveal, and
/// does not say that there was none.
const WATCHED_LONG_ENOUGH_MS: u64 = 60_000;

/// Program and inputs of a job.
struct Material {
    program: Vec<u8>,
    inputs: Vec<u8>,
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as u64)
}

impl Shared {
    /// One case from notice to the end of its escrow.
    pub(super) async fn follow(self: &Arc<Self>, case: &Arc<Case>) -> Result<(), FollowError> {
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
            None if case.opening.borrow().had_bad_reveal() => Found::bad_opening(),
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
        let mut opening = case.opening.subscribe();
        let revealed = async {
            let opening = opening.wait_for(|opening| opening.opened().is_some()).await;
            opening.map_or(None, |opening| opening.opened())
        };
        tokio::select! {
            opened = revealed => opened,
            () = self.chain.wait_until(case.agreement.reveal_by) => case.opening.borrow().opened(),
        }
    }

    /// Program and inputs, or `None` when nobody handed them out by the time of the reveal.
    async fn fetch_by_reveal_time(&self, case: &Case) -> Option<Material> {
        let mut opening = case.opening.subscribe();
        let over = async {
            tokio::select! {
                _ = opening.wait_for(|opening| opening.opened().is_some()) => {}
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
        tokio::select! {
            material = self.fetch(case) => Ok(material),
            () = wait_until_spent(&self.chain, case.docket.escrow()) => Err(FollowError::NoMaterial),
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

/// Why a case ends without a ruling of this member.
#[derive(Debug, thiserror::Error)]
pub(super) enum FollowError {
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

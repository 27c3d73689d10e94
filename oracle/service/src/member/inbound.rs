//! What arrives at a member: each message is checked against the chain and the docket before it counts.

use std::{sync::Arc, time::Duration};

use nunet_chain::OutputState;
use nunet_contracts::{MemberKey, transactions::escrow_output};
use nunet_ledger::OutPoint;
use nunet_market::Agreement;
use nunet_p2p::{Caller, Node, Refusal};
use nunet_proof::{EvidenceLeaf, Finding, Found, ProofKind, Transcript};

use super::{Shared, case::Case, lock};
use crate::{
    escrow::{ESCROW_DEPTH, is_exact_escrow},
    journal::{JournalError, Kind},
    messages::{Commit, Findings, JobNotice, Noted, Propose, RevealResult, Ruling},
    opening::{read_commitment, take_commitment, take_reveal},
    ruling::{Docket, RulingError},
};

/// The most jobs that a member follows at a time. Each has its money on chain, so filling the table costs fees.
const MAX_CASES: usize = 1024;
/// How long a proposal waits for this member's own check before it is answered with "busy".
const OWN_CHECK: Duration = Duration::from_secs(2);

fn opened_nothing(found: &Found) -> bool {
    matches!(found.finding(), Finding::NoReveal | Finding::BadOpening)
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
    pub(super) async fn take_notice(self: &Arc<Self>, node: Node, notice: JobNotice) -> Result<Noted, Refusal> {
        let agreement = notice.agreement.check().map_err(Refusal::rejected)?;
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
        let expected = escrow_output(&self.protocol, &agreement.escrow_terms()).map_err(Refusal::rejected)?;
        let docket = Docket::new(agreement, escrow, &self.committee).map_err(Refusal::rejected)?;
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
        self.open(escrow, Arc::new(Case::new(node, agreement.clone(), docket, since)))
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

    pub(super) fn take_commitment(&self, message: &Commit) -> Result<Noted, Refusal> {
        let commitment = read_commitment(message)?;
        let case = self.case(&commitment.binding().outpoint)?;
        take_commitment(&case.docket, &case.opening, commitment)
    }

    pub(super) async fn take_reveal(&self, caller: &Caller, message: RevealResult) -> Result<Noted, Refusal> {
        let case = self.case(&message.escrow)?;
        take_reveal(&case.docket, &case.opening, caller, message).await
    }

    pub(super) fn take_findings(&self, message: &Findings) -> Result<Noted, Refusal> {
        let transcript = Transcript::from_bytes(&message.transcript).map_err(Refusal::rejected)?;
        let case = self.case(&transcript.subject().binding.outpoint)?;
        case.note(case.docket.accept(transcript).map_err(Refusal::rejected)?);
        Ok(Noted)
    }

    pub(super) fn take_ruling(&self, message: &Ruling) -> Result<Noted, Refusal> {
        let evidence = EvidenceLeaf::from_bytes(&message.evidence)
            .ok_or_else(|| Refusal::rejected("the ruling's evidence is no evidence leaf"))?;
        let case = self.case(&evidence.subject.binding.outpoint)?;
        case.note_ruling(message).map_err(Refusal::rejected)?;
        Ok(Noted)
    }

    /// Answers another member's proposal with this member's ruling, if its own finding is what the set decides.
    pub(super) async fn rule_on(&self, caller: &Caller, proposal: &Propose) -> Result<Ruling, Refusal> {
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
            .map_err(Refusal::rejected)?;
        for transcript in &transcripts {
            case.note(transcript.clone());
        }
        let mut progress = case.progress.subscribe();
        let own = match tokio::time::timeout(OWN_CHECK, progress.wait_for(|progress| progress.own.is_some())).await {
            Ok(Ok(progress)) => progress.own.clone(),
            _ => None,
        };
        let own = own.ok_or_else(|| Refusal::busy("this member's own check is not done yet; propose again"))?;
        self.rule(&case, &own, &transcripts).await.map_err(Refusal::rejected)
    }

    /// Signs what a set of transcripts decides: journalled first, and never against the member's own finding.
    pub(super) async fn rule(
        &self,
        case: &Case,
        own: &Transcript,
        transcripts: &[Transcript],
    ) -> Result<Ruling, RuleError> {
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
}

/// Why this member does not sign what a set of transcripts decides.
#[derive(Debug, thiserror::Error)]
pub(super) enum RuleError {
    #[error("the proposed outcome is not what this member found")]
    Disagrees,
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Ruling(#[from] RulingError),
}

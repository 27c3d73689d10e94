//! A provider's work on one job: run, commit, reveal, settle.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use nunet_contracts::transactions::escrow_output;
use nunet_ledger::OutPoint;
use nunet_market::Agreement;
use nunet_oracle::{
    Docket, Kind, is_spent,
    messages::{Commit, JobNotice, RevealResult},
    wait_for_escrow, wait_until_spent,
};
use nunet_p2p::{Node, PeerId, RequestError, peer_id_of};
use nunet_proof::{Salt, execute};
use rand::Rng;

use super::{ProviderEvent, Shared, Waiting};
use crate::party::{AgentError, OpenJob};

/// How often a settlement that did not get through is tried again.
const SETTLE_RETRY: Duration = Duration::from_secs(5);
/// How long before the reveal time a reveal is too late to be sure of: it would only give the result away.
const REVEAL_MARGIN_MS: u64 = 30_000;
/// How often links to members are renewed, and the result is offered to the requester again.
const RENEW_LINKS: Duration = Duration::from_secs(30);
/// The pause before a message that a member did not take is sent again.
const RESEND: Duration = Duration::from_secs(1);
/// How long all members have to take a commitment once enough have it.
const STRAGGLERS: Duration = Duration::from_secs(3);

impl Shared {
    /// One job from the lock to the end of its escrow.
    pub(super) async fn serve(&self, node: &Node, waiting: Waiting, escrow: OutPoint) -> Result<(), AgentError> {
        let Waiting { agreement: signed, work, .. } = waiting;
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
            () = wait_until_spent(chain, escrow) => return Ok(()),
        }
        let requester =
            peer_id_of(&agreement.requester.0).map_err(|error| AgentError::peer(agreement.requester, error))?;
        tokio::select! {
            () = self.collect(node, &job, escrow) => {}
            () = self.show(node, requester, &delivery) => {}
        }
        Ok(())
    }

    /// Brings commitment and result to enough members for a verdict; those that are down are tried again until the
    /// reveal time. Only after this does the requester see the result: one that nobody can vouch for is not given away.
    async fn deliver(&self, node: &Node, agreement: &Agreement, delivery: &Delivery) -> Result<(), AgentError> {
        let threshold = self.party.committee.datum.threshold();
        let chain = &self.party.chain;
        let escrow = OutPoint::from_bytes(delivery.reveal.escrow);
        let mut committed = BTreeSet::new();
        let mut revealed = BTreeSet::new();
        let mut enough_since = None;
        let (began, mut warned) = (Instant::now(), false);
        loop {
            if chain.time().await.0.saturating_add(REVEAL_MARGIN_MS) >= agreement.reveal_by.0 {
                // Too few members for a verdict, but none of them shall say that nothing was revealed.
                let strangers = self.others(&committed);
                let _ = self.party.reach_members(node, &strangers, |node, peer| delivery.reveal_to(node, peer)).await;
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
            if revealed.len() >= threshold {
                // Enough members can rule now; the others are not needed.
                self.report(ProviderEvent::Revealed { escrow, members: revealed.len() });
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
    async fn collect(&self, node: &Node, job: &OpenJob, escrow: OutPoint) {
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
                let (party, node, stop) = (self.party.clone(), node.clone(), self.stop.clone());
                self.tasks.spawn(async move { stop.run_until_cancelled(party.meet_members(&node)).await });
            }
            tokio::time::sleep(chain.poll_interval()).await;
        }
    }

    /// Shows the requester its result, as often as it takes. A requester that is gone keeps nobody from being paid.
    async fn show(&self, node: &Node, requester: PeerId, delivery: &Delivery) {
        while !delivery.show_to(node, requester).await {
            tokio::time::sleep(RENEW_LINKS).await;
        }
        std::future::pending().await
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

    async fn show_to(&self, node: &Node, requester: PeerId) -> bool {
        let shown = async {
            node.request(requester, &self.commit).await?;
            node.request(requester, &self.reveal).await
        };
        shown.await.inspect_err(|error| tracing::warn!(%error, "the requester did not take the result yet")).is_ok()
    }
}

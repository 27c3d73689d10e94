//! What arrives at a requester, and what it reports of it.

use std::collections::BTreeSet;

use nunet_contracts::MemberKey;
use nunet_oracle::{
    messages::{Commit, Noted, RevealResult},
    opening::{read_commitment, take_commitment, take_reveal},
};
use nunet_p2p::{Caller, Refusal, Router, blob::BlobStore};
use nunet_proof::PublicKey;
use tokio::sync::mpsc;

use super::RequesterEvent;
use crate::party::{OpenJob, OpenJobs};

/// What was reported already.
#[derive(Default)]
pub(super) struct Shown {
    committed: bool,
    received: bool,
    members: BTreeSet<PublicKey>,
}

impl Shown {
    /// Reports what is new.
    pub(super) fn report(&mut self, job: &OpenJob, events: &mpsc::UnboundedSender<RequesterEvent>) {
        let report = |event| drop(events.send(event));
        if job.opening.borrow().is_committed() && !std::mem::replace(&mut self.committed, true) {
            report(RequesterEvent::Committed);
        }
        if job.opening.borrow().opened().is_some() && !std::mem::replace(&mut self.received, true) {
            report(RequesterEvent::Received);
        }
        for (member, transcript) in &job.state.borrow().transcripts {
            if self.members.insert(*member) {
                let finding = transcript.found().finding();
                report(RequesterEvent::Found { member: MemberKey(member.0), finding });
            }
        }
    }
}

pub(super) fn router(jobs: &OpenJobs, blobs: &BlobStore) -> Router {
    let (commit, reveal) = (jobs.clone(), jobs.clone());
    let router = Router::new()
        .on(move |_: Caller, message: Commit| {
            let answer = commitment(&commit, &message);
            async move { answer }
        })
        .on(move |caller: Caller, message: RevealResult| {
            let jobs = reveal.clone();
            async move {
                let job = jobs.get(&message.escrow)?;
                take_reveal(&job.docket, &job.opening, &caller, message).await
            }
        });
    jobs.serve(blobs.serve(router))
}

fn commitment(jobs: &OpenJobs, message: &Commit) -> Result<Noted, Refusal> {
    let commitment = read_commitment(message)?;
    let job = jobs.get(&commitment.binding().outpoint)?;
    take_commitment(&job.docket, &job.opening, commitment)
}

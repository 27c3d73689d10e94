//! One job as a member knows it.

use std::collections::BTreeMap;

use nunet_ledger::PosixMs;
use nunet_market::Agreement;
use nunet_p2p::{Node, PeerId, peer_id_of};
use nunet_proof::{PublicKey, Transcript};
use tokio::sync::watch;

use crate::{
    messages::Ruling,
    opening::Opening,
    ruling::{Docket, RulingError, Rulings},
};

/// One job before the committee, as this member knows it.
pub(super) struct Case {
    pub(super) node: Node,
    pub(super) agreement: Agreement,
    pub(super) docket: Docket,
    /// The chain's time when this member began to watch.
    pub(super) since: PosixMs,
    pub(super) opening: watch::Sender<Opening>,
    pub(super) progress: watch::Sender<Progress>,
}

/// What members have said.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) own: Option<Transcript>,
    pub(super) transcripts: BTreeMap<PublicKey, Transcript>,
    pub(super) rulings: Rulings,
}

impl Case {
    pub(super) fn new(node: Node, agreement: Agreement, docket: Docket, since: PosixMs) -> Self {
        let (opening, progress) = (watch::Sender::default(), watch::Sender::default());
        Self { node, agreement, docket, since, opening, progress }
    }

    pub(super) fn parties(&self) -> Vec<PeerId> {
        let parties = [self.agreement.requester, self.agreement.provider];
        parties.iter().filter_map(|party| peer_id_of(&party.0).ok()).collect()
    }

    /// Takes note of a transcript that the docket accepted; a member's first one counts.
    pub(super) fn note(&self, transcript: Transcript) {
        self.progress.send_if_modified(|progress| {
            let new = !progress.transcripts.contains_key(transcript.member());
            progress.transcripts.entry(*transcript.member()).or_insert(transcript);
            new
        });
    }

    pub(super) fn note_ruling(&self, ruling: &Ruling) -> Result<(), RulingError> {
        let (member, judgement) = self.docket.read_ruling(ruling)?;
        self.progress.send_if_modified(|progress| progress.rulings.add(member, judgement, ruling.signature));
        Ok(())
    }
}

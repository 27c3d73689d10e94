//! How transcripts become a verdict that the chain takes, and how rulings of members are read and collected. No IO.

use std::collections::BTreeMap;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use nunet_contracts::{Committee, Leaf, MemberKey, Ntx, Signatures, Verdict, VerdictError};
use nunet_ledger::{OutPoint, hash::blake2b_256};
use nunet_market::Agreement;
use nunet_proof::{
    Binding, Committee as Quorum, CommitteeError, Decision, DecodeError, EvidenceError, EvidenceLeaf, EvidenceTree,
    Hash32, NoDecision, PublicKey, Subject, Terms, Transcript, amounts, decide,
};

use crate::messages::Ruling;

/// Why a message about a job counts for nothing.
#[derive(Debug, thiserror::Error)]
pub enum RulingError {
    /// The transcripts decide nothing.
    #[error(transparent)]
    NoDecision(#[from] NoDecision),
    /// A transcript that cannot be read, or is not signed.
    #[error(transparent)]
    Transcript(#[from] DecodeError),
    /// The committee on chain is not one that can decide.
    #[error(transparent)]
    Committee(#[from] CommitteeError),
    /// No evidence root.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// No verdict.
    #[error(transparent)]
    Verdict(#[from] VerdictError),
    /// An evidence leaf that cannot be read.
    #[error("the ruling's evidence is no evidence leaf")]
    Malformed,
    /// About another job.
    #[error("the message is about another escrow, agreement, program or input")]
    OtherJob,
    /// Amounts that no decision gives.
    #[error("a ruling of {paid} paid and {slashed} slashed does not follow from its finding")]
    Amounts {
        /// Paid.
        paid: Ntx,
        /// Slashed.
        slashed: Ntx,
    },
    /// Not signed by a member.
    #[error("the ruling is not signed by a member of the committee ({0})")]
    Signature(MemberKey),
}

/// Everything about a job that its escrow fixes: what each transcript and each ruling must be about.
#[derive(Clone, Debug)]
pub struct Docket {
    escrow: OutPoint,
    provider: PublicKey,
    subject: Subject,
    quorum: Quorum,
    terms: Terms,
    requester: Hash32,
    magic: nunet_ledger::NetworkMagic,
    logic: nunet_ledger::ScriptHash,
}

/// What the committee decided, in the form the chain takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The evidence leaf.
    pub evidence: EvidenceLeaf,
    /// The verdict over it.
    pub verdict: Verdict,
}

impl Docket {
    /// The docket of an agreement whose money is in `escrow`, before this committee.
    pub fn new(agreement: &Agreement, escrow: OutPoint, committee: &Committee) -> Result<Self, RulingError> {
        let members = committee.datum.members().iter().map(|key| PublicKey(key.0)).collect();
        let binding = Binding { magic: agreement.magic.0, script: agreement.logic.0, outpoint: escrow.to_bytes() };
        Ok(Self {
            escrow,
            provider: PublicKey(agreement.provider.0),
            subject: Subject {
                binding,
                agreement: Hash32(agreement.hash().0),
                kind: agreement.spec.kind,
                program_hash: Hash32(agreement.spec.program),
                input_hash: Hash32(agreement.spec.inputs),
            },
            quorum: Quorum::new(members, committee.datum.threshold())?,
            terms: Terms { price: agreement.price.0, bond: agreement.bond.0 },
            requester: Hash32(blake2b_256(agreement.requester_address.as_bytes())),
            magic: agreement.magic,
            logic: agreement.logic,
        })
    }

    /// The escrow.
    pub fn escrow(&self) -> OutPoint {
        self.escrow
    }

    /// Whose commitments count.
    pub fn provider(&self) -> &PublicKey {
        &self.provider
    }

    /// What transcripts must be about.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The members and how many must agree.
    pub fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// Reads a transcript of a member about this job.
    pub fn read_transcript(&self, bytes: &[u8]) -> Result<Transcript, RulingError> {
        self.accept(Transcript::from_bytes(bytes)?)
    }

    /// Accepts a transcript, whose signature is good, when it is a member's and about this job.
    pub fn accept(&self, transcript: Transcript) -> Result<Transcript, RulingError> {
        if transcript.subject() != &self.subject {
            return Err(RulingError::OtherJob);
        }
        if self.quorum.members().binary_search(transcript.member()).is_err() {
            return Err(RulingError::Signature(MemberKey(transcript.member().0)));
        }
        Ok(transcript)
    }

    /// What a set of transcripts decides.
    pub fn judge(&self, transcripts: &[Transcript]) -> Result<(Decision, Judgement), RulingError> {
        let decision = decide(transcripts, &self.quorum, &self.subject, &self.terms)?;
        let evidence = EvidenceLeaf::new(self.subject, &decision, self.requester);
        Ok((decision, self.judgement(evidence)?))
    }

    fn judgement(&self, evidence: EvidenceLeaf) -> Result<Judgement, RulingError> {
        let root = EvidenceTree::new(&[evidence])?.root();
        let leaf = Leaf { escrow: self.escrow, paid: Ntx(evidence.paid), slashed: Ntx(evidence.slashed) };
        let verdict = Verdict::new(self.magic, self.logic, root.0, vec![leaf])?;
        Ok(Judgement { evidence, verdict })
    }

    /// Reads a ruling of a member about this job and checks its signature.
    pub fn read_ruling(&self, ruling: &Ruling) -> Result<(MemberKey, Judgement), RulingError> {
        let evidence = EvidenceLeaf::from_bytes(&ruling.evidence).ok_or(RulingError::Malformed)?;
        if evidence.subject != self.subject || evidence.requester_address_hash != self.requester {
            return Err(RulingError::OtherJob);
        }
        if (evidence.paid, evidence.slashed) != amounts(evidence.finding, &self.terms) {
            return Err(RulingError::Amounts { paid: Ntx(evidence.paid), slashed: Ntx(evidence.slashed) });
        }
        let member = MemberKey(ruling.member);
        let judgement = self.judgement(evidence)?;
        let known = self.quorum.members().binary_search(&PublicKey(ruling.member)).is_ok();
        let signed = VerifyingKey::from_bytes(&ruling.member)
            .and_then(|key| key.verify_strict(&judgement.verdict.message(), &Signature::from_bytes(&ruling.signature)))
            .is_ok();
        if known && signed { Ok((member, judgement)) } else { Err(RulingError::Signature(member)) }
    }
}

impl Judgement {
    /// Signs the verdict as a member.
    pub fn sign(&self, key: &SigningKey) -> Ruling {
        Ruling {
            member: key.verifying_key().to_bytes(),
            evidence: self.evidence.to_bytes(),
            signature: key.sign(&self.verdict.message()).to_bytes(),
        }
    }

    /// What one member may decide only once for an outpoint: paid, slashed, finding, trace root. Another evidence root
    /// with these equal is no equivocation.
    pub fn outcome(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + 8 + 1 + 32);
        bytes.extend_from_slice(&self.evidence.paid.to_be_bytes());
        bytes.extend_from_slice(&self.evidence.slashed.to_be_bytes());
        bytes.push(self.evidence.finding.number());
        bytes.extend_from_slice(&self.evidence.trace_root.0);
        bytes
    }
}

/// The rulings on one job: enough of them under one verdict settle it.
#[derive(Clone, Debug, Default)]
pub struct Rulings {
    by_message: BTreeMap<[u8; 32], (Judgement, Signatures)>,
}

impl Rulings {
    /// The most verdicts of one member that are kept. An honest one signs a few, one per proposed set; a liar must not
    /// be able to fill the memory, or to crowd out the others.
    const MAX_PER_MEMBER: usize = 8;

    /// Adds a ruling that [`Docket::read_ruling`] accepted; true when it is new.
    pub fn add(&mut self, member: MemberKey, judgement: Judgement, signature: [u8; 64]) -> bool {
        let message = judgement.verdict.message();
        let signed = |signatures: &Signatures| signatures.contains_key(&member);
        if self.by_message.get(&message).is_some_and(|(_, signatures)| signed(signatures))
            || self.by_message.values().filter(|(_, signatures)| signed(signatures)).count() >= Self::MAX_PER_MEMBER
        {
            return false;
        }
        let (_, signatures) = self.by_message.entry(message).or_insert_with(|| (judgement, Signatures::new()));
        signatures.insert(member, signature);
        true
    }

    /// A verdict with at least `threshold` signatures, cut down to exactly that many: each one costs fees.
    pub fn settled(&self, threshold: usize) -> Option<(Judgement, Signatures)> {
        self.by_message.values().find(|(_, signatures)| signatures.len() >= threshold).map(|(judgement, signatures)| {
            let enough = signatures.iter().take(threshold).map(|(key, signature)| (*key, *signature)).collect();
            (judgement.clone(), enough)
        })
    }

    /// The rulings under a settled verdict, to be sent to whoever may have missed them.
    pub fn settling(&self, threshold: usize) -> Vec<Ruling> {
        let settled = self.settled(threshold);
        let rulings = settled.iter().flat_map(|(judgement, signatures)| {
            signatures.iter().map(|(member, signature)| Ruling {
                member: member.0,
                evidence: judgement.evidence.to_bytes(),
                signature: *signature,
            })
        });
        rulings.collect()
    }

    /// One ruling of each member that made any.
    pub fn by_member(&self) -> BTreeMap<MemberKey, &Judgement> {
        self.by_message
            .values()
            .flat_map(|(judgement, signatures)| signatures.keys().map(move |member| (*member, judgement)))
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use nunet_contracts::{CommitteeDatum, CommitteeId};
    use nunet_ledger::{Address, Credential, KeyHash, Lovelace, NetworkMagic, PosixMs, ScriptHash, TxId, TxOut, Value};
    use nunet_market::{JobSpec, MIN_SETTLE_TIME_MS, PartyKey};
    use nunet_proof::{FindingCode, Found, ProofKind, Timing};

    use super::*;

    const THRESHOLD: usize = 3;

    fn address(seed: u8) -> Address {
        Address::new(0, Credential::Key(KeyHash([seed; 28])), None)
    }

    fn keys() -> Vec<SigningKey> {
        (1..=5).map(|seed| SigningKey::from_bytes(&[seed; 32])).collect()
    }

    fn member(key: &SigningKey) -> MemberKey {
        MemberKey(key.verifying_key().to_bytes())
    }

    fn docket(escrow: OutPoint) -> Docket {
        let agreement = Agreement {
            magic: NetworkMagic::DEVNET,
            logic: ScriptHash([3; 28]),
            committee: CommitteeId([4; 32]),
            requester: PartyKey([5; 32]),
            provider: PartyKey([6; 32]),
            requester_address: address(7),
            provider_address: address(8),
            spec: JobSpec { program: [9; 32], inputs: [10; 32], kind: ProofKind::Exact },
            price: Ntx(5_000_000),
            fee: Ntx(500_000),
            bond: Ntx(2_000_000),
            deposit: Lovelace(0),
            carry: Lovelace(1),
            tip: Lovelace(0),
            lock_by: PosixMs(1),
            reveal_by: PosixMs(2),
            deadline: PosixMs(2 + MIN_SETTLE_TIME_MS),
            accept_window_ms: 0,
            nonce: [0; 16],
        };
        let datum = CommitteeDatum::new(keys().iter().map(member).collect(), THRESHOLD as u8, address(11)).unwrap();
        let output = TxOut::new(address(12), Value::default());
        let committee = Committee { id: CommitteeId([4; 32]), datum, outpoint: escrow, output };
        Docket::new(&agreement, escrow, &committee).unwrap()
    }

    fn escrow(seed: u8) -> OutPoint {
        OutPoint { tx: TxId([seed; 32]), index: 0 }
    }

    fn transcripts(docket: &Docket, by: std::ops::Range<usize>) -> Vec<Transcript> {
        let timing = Timing { started: 1, finished: 2 };
        let keys = &keys()[by];
        keys.iter().map(|key| Transcript::sign(key, *docket.subject(), Found::no_reveal(), timing)).collect()
    }

    #[test]
    fn what_a_threshold_found_becomes_a_verdict_that_every_member_can_sign() {
        let docket = docket(escrow(1));
        let (decision, judgement) = docket.judge(&transcripts(&docket, 0..3)).unwrap();
        assert_eq!((decision.paid, decision.slashed), (0, 2_000_000));
        assert_eq!(judgement.verdict.leaves()[0].slashed, Ntx(2_000_000));
        for key in keys() {
            let (signer, read) = docket.read_ruling(&judgement.sign(&key)).unwrap();
            assert_eq!((signer, read), (member(&key), judgement.clone()));
        }
        let too_few = docket.judge(&transcripts(&docket, 0..2)).unwrap_err();
        assert!(too_few.to_string().contains("3 are needed"), "{too_few}");
    }

    #[test]
    fn another_evidence_root_with_the_same_outcome_is_no_equivocation() {
        let docket = docket(escrow(1));
        let (_, one) = docket.judge(&transcripts(&docket, 0..3)).unwrap();
        let (_, other) = docket.judge(&transcripts(&docket, 1..5)).unwrap();
        assert_ne!(one.verdict.message(), other.verdict.message());
        assert_eq!(one.outcome(), other.outcome());
    }

    #[test]
    fn a_ruling_counts_only_for_its_job_by_a_member_with_amounts_that_follow() {
        let (this, that) = (docket(escrow(1)), docket(escrow(2)));
        let (_, judgement) = this.judge(&transcripts(&this, 0..3)).unwrap();
        let good = judgement.sign(&keys()[0]);

        assert!(matches!(that.read_ruling(&good), Err(RulingError::OtherJob)));
        let stranger = judgement.sign(&SigningKey::from_bytes(&[99; 32]));
        assert!(matches!(this.read_ruling(&stranger), Err(RulingError::Signature(_))));
        let mut borrowed = good.clone();
        borrowed.member = member(&keys()[1]).0;
        assert!(matches!(this.read_ruling(&borrowed), Err(RulingError::Signature(_))));
        let mut cut = good.clone();
        cut.evidence.pop();
        assert!(matches!(this.read_ruling(&cut), Err(RulingError::Malformed)));

        for change in [
            (|leaf: &mut EvidenceLeaf| leaf.paid = 5_000_000) as fn(&mut EvidenceLeaf),
            |leaf| leaf.slashed = 0,
            |leaf| leaf.finding = FindingCode::Accepted,
        ] {
            let mut evidence = judgement.evidence;
            change(&mut evidence);
            let lie = this.judgement(evidence).unwrap().sign(&keys()[0]);
            assert!(
                matches!(this.read_ruling(&lie), Err(RulingError::Amounts { .. })),
                "signed by a member all the same"
            );
        }
    }

    #[test]
    fn a_flooding_member_neither_fills_the_memory_nor_crowds_out_the_others() {
        let docket = docket(escrow(1));
        let mut rulings = Rulings::default();
        let liar = &keys()[0];
        for root in 0..200u8 {
            let (_, mut judgement) = docket.judge(&transcripts(&docket, 0..3)).unwrap();
            judgement.evidence.trace_root = Hash32([root; 32]);
            let lie = docket.judgement(judgement.evidence).unwrap();
            let ruling = lie.sign(liar);
            rulings.add(member(liar), lie, ruling.signature);
        }
        assert_eq!(rulings.by_message.len(), Rulings::MAX_PER_MEMBER);
        let (_, honest) = docket.judge(&transcripts(&docket, 1..5)).unwrap();
        for key in &keys()[1..5] {
            assert!(rulings.settled(THRESHOLD).is_none() || rulings.settling(THRESHOLD).len() == THRESHOLD);
            assert!(rulings.add(member(key), honest.clone(), honest.sign(key).signature));
        }
        let (settled, signatures) = rulings.settled(THRESHOLD).unwrap();
        assert_eq!((settled, signatures.len()), (honest.clone(), THRESHOLD), "exactly as many as the chain needs");
        let again = honest.sign(&keys()[1]);
        assert!(!rulings.add(member(&keys()[1]), honest, again.signature), "a second time is nothing new");
    }
}

//! Evidence leaves and their root.

use nunet_proof::{
    Binding, EVIDENCE_LEAF_BYTES, EvidenceError, EvidenceLeaf, EvidenceTree, Finding, MAX_EVIDENCE_LEAVES, MerkleError,
    RunResult, SignedOutcome, Subject, Terms, decide, equivocation, verify_evidence,
};
use proptest::prelude::*;

use crate::common::{
    binding, committee, execution, execution_of, find, hash, key, labels, records, subject, transcript,
};

pub(crate) fn leaf() -> EvidenceLeaf {
    let transcripts: Vec<_> = (1..=3).map(|member| transcript(member, find(&execution()))).collect();
    let decision =
        decide(&transcripts, &committee(3), &subject(), &Terms { price: 5_000_000, bond: 2_000_000 }).unwrap();
    EvidenceLeaf::new(subject(), &decision, hash(8))
}

fn leaf_of(binding: Binding) -> EvidenceLeaf {
    EvidenceLeaf { subject: Subject { binding, ..subject() }, ..leaf() }
}

#[test]
fn a_leaf_holds_the_decision_and_reads_back() {
    let leaf = leaf();
    let bytes = leaf.to_bytes();
    assert_eq!(bytes.len(), EVIDENCE_LEAF_BYTES);
    assert_eq!(EvidenceLeaf::from_bytes(&bytes), Some(leaf));
    assert_eq!((leaf.finding, leaf.paid, leaf.slashed), (Finding::Accepted.code(), 5_000_000, 0));
    assert_eq!((leaf.trace_root, leaf.op_count), (*execution().trace_root(), 2));
}

#[test]
fn each_leaf_of_a_batch_proves_itself_and_no_other() {
    for count in [1, 2, 3, 100, MAX_EVIDENCE_LEAVES] {
        let leaves: Vec<_> = (0..count as u16).map(|n| leaf_of(Binding::new(42, [7; 28], [1; 32], n))).collect();
        let tree = EvidenceTree::new(&leaves).unwrap();
        for (index, leaf) in (0..).zip(&leaves) {
            let proof = tree.open(index).unwrap();
            assert_eq!(verify_evidence(&tree.root(), leaf, &proof), Ok(()));
            let lie = EvidenceLeaf { paid: leaf.paid - 1, ..*leaf };
            assert!(matches!(verify_evidence(&tree.root(), &lie, &proof), Err(MerkleError::OtherRoot { .. })));
            let next = &leaves[(index as usize + 1) % count];
            assert_eq!(verify_evidence(&tree.root(), next, &proof).is_ok(), count == 1);
        }
    }
}

#[test]
fn a_batch_is_in_outpoint_order_of_one_script() {
    let [a, b] = [leaf_of(binding(1)), leaf_of(binding(2))];
    let network = leaf_of(Binding { magic: 1, ..binding(2) });
    let script = leaf_of(Binding { script: [8; 28], ..binding(2) });
    let refused = |leaves: &[EvidenceLeaf]| EvidenceTree::new(leaves).unwrap_err();
    assert!(EvidenceTree::new(&[a, b]).is_ok());
    assert_eq!(refused(&[b, a]), EvidenceError::Order { binding: binding(1) });
    assert_eq!(refused(&[a, a]), EvidenceError::Order { binding: binding(1) });
    assert_eq!(refused(&[a, network]), EvidenceError::OtherScript { binding: network.subject.binding });
    assert_eq!(refused(&[a, script]), EvidenceError::OtherScript { binding: script.subject.binding });
    assert_eq!(refused(&[]), EvidenceError::Count { count: 0 });
    assert_eq!(refused(&[a; 257]), EvidenceError::Count { count: 257 });
}

#[test]
fn another_set_of_transcripts_is_other_evidence_and_no_equivocation() {
    let member = nunet_proof::PublicKey::of(&key(1));
    let other = EvidenceLeaf { transcripts: hash(1), ..leaf() };
    let root = |leaf: EvidenceLeaf| EvidenceTree::new(&[leaf]).unwrap().root();
    assert_ne!(root(leaf()), root(other));
    let outcome = |leaf: &EvidenceLeaf| SignedOutcome::of_evidence(member, leaf);
    assert_eq!(equivocation(&outcome(&leaf()), &outcome(&other)), None);
    let wrong = find(&execution_of(RunResult::Outputs(vec![labels(&[0; 4])]), records()));
    let other = EvidenceLeaf { trace_root: *wrong.trace_root(), ..leaf() };
    assert_eq!(equivocation(&outcome(&leaf()), &outcome(&other)), Some(nunet_proof::Equivocation::TraceRoot));
}

proptest! {
    #[test]
    fn only_the_bytes_of_a_leaf_are_read_as_one(at in 0..EVIDENCE_LEAF_BYTES, flip: u8, more: Vec<u8>) {
        let bytes = leaf().to_bytes();
        prop_assert_eq!(EvidenceLeaf::from_bytes(&bytes[..at]), None);
        let mut changed = bytes.clone();
        changed[at] ^= flip;
        if let Some(read) = EvidenceLeaf::from_bytes(&changed) {
            prop_assert_eq!(read.to_bytes(), changed);
        }
        let longer = [bytes, more.clone()].concat();
        prop_assert_eq!(EvidenceLeaf::from_bytes(&longer).is_some(), more.is_empty());
    }
}

//! Decisions: a fixed function of what enough members found, which fewer cannot force.

use nunet_proof::{
    Committee, CommitteeError, Decision, Equivocation, Finding, FindingCode, Found, NoDecision, PublicKey, RunResult,
    SignedOutcome, Subject, Terms, Timing, Transcript, Where, decide, equivocation,
};
use proptest::prelude::*;

use crate::common::{
    binding, committee, execution, execution_of, find, hash, key, labels, records, subject, transcript,
};

const TERMS: Terms = Terms { price: 5_000_000, bond: 2_000_000 };

fn accepted() -> Found {
    find(&execution())
}

fn wrong(label: i64) -> Found {
    find(&execution_of(RunResult::Outputs(vec![labels(&[7, 1, 0, label])]), records()))
}

fn by(members: &[u8], found: Found) -> Vec<Transcript> {
    members.iter().map(|member| transcript(*member, found)).collect()
}

fn outcome(transcripts: &[Transcript]) -> Result<Decision, NoDecision> {
    decide(transcripts, &committee(3), &subject(), &TERMS)
}

#[test]
fn a_right_result_is_paid_in_full() {
    let decision = outcome(&by(&[1, 2, 3], accepted())).unwrap();
    assert_eq!((decision.found, decision.paid, decision.slashed), (accepted(), TERMS.price, 0));
}

#[test]
fn a_wrong_result_pays_nothing_and_costs_the_bond() {
    let decision = outcome(&by(&[1, 2, 3, 4, 5], wrong(8))).unwrap();
    assert_eq!(decision.found.finding(), Finding::WrongResult { at: Where { op: 2, row: 3 } });
    assert_eq!((decision.paid, decision.slashed), (0, TERMS.bond));
}

#[test]
fn no_reveal_pays_nothing_and_costs_the_bond() {
    // Whoever saw a bad reveal and whoever saw none agree, so that every set of them decides the same.
    for (bad, none) in
        [(&[][..], &[1, 2, 3][..]), (&[1, 2, 3], &[]), (&[1, 2, 3], &[4, 5]), (&[1, 2], &[3]), (&[1], &[2, 3, 4])]
    {
        let set = [by(bad, Found::bad_opening()), by(none, Found::no_reveal())].concat();
        let decision = outcome(&set).unwrap();
        assert_eq!((decision.found.finding(), decision.paid, decision.slashed), (Finding::NoReveal, 0, TERMS.bond));
    }
}

#[test]
fn fewer_than_the_threshold_decide_nothing() {
    for found in [accepted(), wrong(8), Found::no_reveal(), Found::bad_opening()] {
        let error = outcome(&by(&[1, 2], found)).unwrap_err();
        assert_eq!(error, NoDecision::TooFew { agreeing: 2, threshold: 3 });
    }
    assert_eq!(outcome(&[]).unwrap_err(), NoDecision::TooFew { agreeing: 0, threshold: 3 });
}

#[test]
fn liars_below_the_threshold_force_nothing() {
    // Two lie in any way at all, three are honest: the honest finding decides, whatever it is.
    let findings = [accepted(), wrong(8), wrong(3), Found::no_reveal(), Found::bad_opening()];
    for honest in findings {
        for first in findings {
            for second in findings {
                let lies = [by(&[1], first), by(&[2], second)].concat();
                let money = |found: Found| (found == accepted(), found == wrong(8), found == wrong(3));
                let decision = outcome(&[lies.clone(), by(&[3, 4, 5], honest)].concat()).unwrap();
                assert_eq!(money(decision.found), money(honest));
                // With one honest member away they can stop the decision, and nothing else.
                let held = outcome(&[lies, by(&[3, 4], honest)].concat());
                assert!(held.is_err() || money(held.unwrap().found) == money(honest));
            }
        }
    }
}

#[test]
fn findings_at_different_places_or_roots_do_not_add_up() {
    let set = [by(&[1, 2], wrong(8)), by(&[3, 4], wrong(3)), by(&[5], accepted())].concat();
    assert_eq!(outcome(&set).unwrap_err(), NoDecision::TooFew { agreeing: 2, threshold: 3 });
}

#[test]
fn a_member_counts_once_however_often_it_signs() {
    let again = Transcript::sign(&key(1), subject(), accepted(), Timing { started: 5, finished: 6 });
    let set = [by(&[1, 1, 2], accepted()), vec![again.clone()]].concat();
    assert_eq!(outcome(&set).unwrap_err(), NoDecision::TooFew { agreeing: 2, threshold: 3 });
    // Signed at two times, it stands in the set once, as the same one for everybody.
    let both = outcome(&[by(&[1, 2, 3], accepted()), vec![again.clone()]].concat()).unwrap();
    let reversed = outcome(&[vec![again.clone()], by(&[3, 2, 1], accepted())].concat()).unwrap();
    let first = outcome(&by(&[1, 2, 3], accepted())).unwrap();
    let second = outcome(&[by(&[2, 3], accepted()), vec![again]].concat()).unwrap();
    assert_eq!(both, reversed);
    assert!([first.transcripts, second.transcripts].contains(&both.transcripts));
    assert_ne!(first.transcripts, second.transcripts);
}

#[test]
fn a_member_that_signs_twice_is_named() {
    let set = [by(&[1, 2, 3], accepted()), by(&[2], wrong(8))].concat();
    let member = PublicKey::of(&key(2));
    assert_eq!(outcome(&set).unwrap_err(), NoDecision::SignedTwice { member });
    let signed = |transcript: &Transcript| SignedOutcome::of_transcript(transcript, &TERMS);
    assert_eq!(equivocation(&signed(&set[1]), &signed(&set[3])), Some(Equivocation::Paid));
}

#[test]
fn strangers_and_other_jobs_do_not_count() {
    let stranger = PublicKey::of(&key(6));
    let set = by(&[1, 2, 3, 6], accepted());
    assert_eq!(outcome(&set).unwrap_err(), NoDecision::NotAMember { member: stranger });
    let changes: [fn(&mut Subject); 5] = [
        |s| s.binding = binding(9),
        |s| s.agreement = hash(9),
        |s| s.kind = nunet_proof::ProofKind::Receipt,
        |s| s.program_hash = hash(9),
        |s| s.input_hash = hash(9),
    ];
    for change in changes {
        let mut other = subject();
        change(&mut other);
        let timing = Timing { started: 1, finished: 2 };
        let set = [by(&[1, 2], accepted()), vec![Transcript::sign(&key(3), other, accepted(), timing)]].concat();
        let member = PublicKey::of(&key(3));
        assert_eq!(outcome(&set).unwrap_err(), NoDecision::OtherSubject { member });
    }
}

#[test]
fn a_threshold_of_half_may_be_ambiguous_and_then_decides_nothing() {
    let set = [by(&[1, 2], accepted()), by(&[3, 4], wrong(8))].concat();
    let error = decide(&set, &committee(2), &subject(), &TERMS).unwrap_err();
    assert_eq!(error, NoDecision::Ambiguous { threshold: 2 });
}

#[test]
fn a_committee_is_as_the_validator_wants_it() {
    let keys = committee(3).members().to_vec();
    let mut twice = keys.clone();
    twice[1] = twice[0];
    let unsorted: Vec<_> = keys.iter().rev().copied().collect();
    let many: Vec<_> = (0..33).map(|n| PublicKey([n; 32])).collect();
    assert_eq!(Committee::new(twice.clone(), 3), Err(CommitteeError::Order { member: twice[1] }));
    assert_eq!(Committee::new(unsorted.clone(), 3), Err(CommitteeError::Order { member: unsorted[1] }));
    assert_eq!(Committee::new(vec![], 1), Err(CommitteeError::Count { count: 0 }));
    assert_eq!(Committee::new(many.clone(), 1), Err(CommitteeError::Count { count: 33 }));
    assert!(Committee::new(many[..32].to_vec(), 32).is_ok());
    assert_eq!(Committee::new(keys.clone(), 0), Err(CommitteeError::Threshold { threshold: 0, count: 5 }));
    assert_eq!(Committee::new(keys, 6), Err(CommitteeError::Threshold { threshold: 6, count: 5 }));
}

#[test]
fn proposers_take_turns_and_every_member_has_one() {
    let committee = committee(3);
    let turns: Vec<_> = (0..5).map(|round| *committee.proposer(&subject().binding, round)).collect();
    let mut sorted = turns.clone();
    sorted.sort();
    assert_eq!(sorted, committee.members());
    assert_eq!(*committee.proposer(&subject().binding, 5), turns[0]);
    let first: std::collections::BTreeSet<_> = (0..100).map(|n| *committee.proposer(&binding(n), 0)).collect();
    assert_eq!(first.len(), 5, "the outpoint chooses who begins");
}

#[test]
fn equivocation_is_a_different_outcome_under_one_key_for_one_outpoint() {
    let outcome = SignedOutcome {
        member: PublicKey([1; 32]),
        magic: 42,
        outpoint: [2; 34],
        paid: 5,
        slashed: 0,
        finding: FindingCode::Accepted,
        trace_root: hash(3),
    };
    assert_eq!(equivocation(&outcome, &outcome), None);
    for (other, expected) in [
        (SignedOutcome { paid: 4, ..outcome }, Some(Equivocation::Paid)),
        (SignedOutcome { slashed: 1, ..outcome }, Some(Equivocation::Slashed)),
        (SignedOutcome { finding: FindingCode::WrongResult, ..outcome }, Some(Equivocation::Finding)),
        (SignedOutcome { trace_root: hash(4), ..outcome }, Some(Equivocation::TraceRoot)),
        (SignedOutcome { paid: 4, member: PublicKey([2; 32]), ..outcome }, None),
        (SignedOutcome { paid: 4, outpoint: [3; 34], ..outcome }, None),
        (SignedOutcome { paid: 4, magic: 1, ..outcome }, None),
    ] {
        assert_eq!(equivocation(&outcome, &other), expected);
        assert_eq!(equivocation(&other, &outcome), expected);
    }
}

proptest! {
    #[test]
    fn order_and_repetition_do_not_matter(
        votes in proptest::collection::vec(0_usize..4, 5),
        order in Just((0..5_usize).chain(0..5).collect::<Vec<_>>()).prop_shuffle(),
        repeat in 0_usize..10,
    ) {
        let findings = [accepted(), wrong(8), Found::no_reveal(), Found::bad_opening()];
        let set: Vec<_> = (1..=5).zip(&votes).map(|(member, vote)| transcript(member, findings[*vote])).collect();
        let shuffled: Vec<_> = order.iter().map(|place| set[*place].clone()).chain([set[repeat % 5].clone()]).collect();
        prop_assert_eq!(outcome(&set), outcome(&shuffled));
    }

    #[test]
    fn what_is_paid_and_slashed_stays_within_price_and_bond(
        votes in proptest::collection::vec(0_usize..4, 5),
        threshold in 1_usize..=5,
        price: u64,
        bond: u64,
    ) {
        let findings = [accepted(), wrong(8), Found::no_reveal(), Found::bad_opening()];
        let set: Vec<_> = (1..=5).zip(&votes).map(|(member, vote)| transcript(member, findings[*vote])).collect();
        if let Ok(decision) = decide(&set, &committee(threshold), &subject(), &Terms { price, bond }) {
            prop_assert!(decision.paid <= price && decision.slashed <= bond);
            prop_assert!(decision.paid == 0 || decision.slashed == 0);
        }
    }
}

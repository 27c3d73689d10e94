//! What mutation testing finds in a small project, of whose checks only some are tested.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeSet, fs, path::PathBuf};

use nunet_mutants::{Campaign, Error, Explained, Mutant, Outcome, Sources, Verdict, derive::derive};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/ferry")
}

fn mutants() -> (Sources, Vec<Mutant>) {
    let sources = Sources::read(&root()).unwrap();
    let mutants = derive(&sources).unwrap();
    (sources, mutants)
}

fn tried(sources: &Sources, mutants: &[Mutant]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let campaign = Campaign { workers: 1, cases: 5, seed: 1 };
    campaign.run(sources, mutants, |outcome| outcomes.push(outcome)).unwrap();
    outcomes
}

fn find<'a>(mutants: &'a [Mutant], mutated: &str) -> &'a Mutant {
    mutants.iter().find(|mutant| mutant.mutated == mutated).unwrap_or_else(|| panic!("no mutant {mutated}"))
}

#[test]
fn what_has_no_test_survives_and_all_else_is_killed() {
    let (sources, mutants) = mutants();
    let outcomes = tried(&sources, &mutants);
    assert_eq!(outcomes.len(), mutants.len());
    let survivors: BTreeSet<&str> = outcomes
        .iter()
        .filter(|outcome| outcome.verdict == Verdict::Survived)
        .map(|outcome| mutants[outcome.index].mutated.as_str())
        .collect();
    let expected = [
        "luggage <= 21,",
        "True,",
        // The check is tested for one of the two who call it, and nowhere at its limit.
        "checked(single) + checked_unchecked(return) without `expect 0 <= tickets`",
        "checked(single) + return",
        "expect 0 < tickets",
        "expect 1 <= tickets",
    ];
    assert_eq!(survivors, BTreeSet::from(expected));
    let without_luggage = outcomes
        .iter()
        .filter(|outcome| outcome.verdict == Verdict::Survived && mutants[outcome.index].original == "luggage <= 20,");
    assert_eq!(without_luggage.count(), 2);
}

#[test]
fn a_mutant_that_never_ends_is_killed() {
    let (sources, mutants) = mutants();
    let endless = find(&mutants, "2 + crossings(tickets + 1)").clone();
    let outcomes = tried(&sources, &[endless]);
    assert!(matches!(outcomes[0].verdict, Verdict::Killed { .. }), "{outcomes:?}");
}

#[test]
fn a_mutant_of_the_wrong_type_is_not_viable() {
    let (sources, mutants) = mutants();
    let mut wrong = find(&mutants, "luggage <= 21,").clone();
    wrong.edits[0].text = "\"twenty\"".to_owned();
    let mut broken = wrong.clone();
    broken.edits[0].text = "(".to_owned();
    for outcome in tried(&sources, &[wrong, broken]) {
        assert!(matches!(outcome.verdict, Verdict::NotViable(_)), "{outcome:?}");
    }
}

#[test]
fn one_mutant_leaves_no_trace_for_the_next() {
    let (sources, mutants) = mutants();
    let killed = find(&mutants, "luggage <= 19,").clone();
    let survivor = find(&mutants, "luggage <= 21,").clone();
    let outcomes = tried(&sources, &[survivor.clone(), killed.clone(), survivor.clone(), killed, survivor]);
    let survived: Vec<bool> = outcomes.iter().map(|outcome| outcome.verdict == Verdict::Survived).collect();
    assert_eq!(survived, [true, false, true, false, true]);
}

#[test]
fn a_project_whose_tests_fail_is_not_tried() {
    let (mut sources, mutants) = mutants();
    let module = sources.modules.iter_mut().find(|module| module.name == "ferry").unwrap();
    module.code = module.code.replace("luggage <= 20", "luggage <= 19");
    let campaign = Campaign { workers: 2, cases: 5, seed: 1 };
    let result = campaign.run(&sources, &mutants, |outcome| panic!("{outcome:?}"));
    assert!(matches!(result, Err(Error::Baseline(_))), "{result:?}");
}

#[test]
fn the_list_explains_what_it_names_and_nothing_else() {
    let (_, mutants) = mutants();
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("explained-{}.toml", std::process::id()));
    let entry = "[[survivor]]\nfile = \"lib/ferry.ak\"\nfunction = \"boards\"\noriginal = \"luggage <= 20,\"\n";
    fs::write(&path, format!("{entry}mutated = \"luggage <= 21,\"\nreason = \"the scales stop at 20\"\n")).unwrap();
    let explained = Explained::read(&path).unwrap();
    let named = find(&mutants, "luggage <= 21,");
    assert_eq!(explained.reason(named), Some("the scales stop at 20"));
    let others: Vec<&Mutant> = mutants.iter().filter(|mutant| *mutant != named).collect();
    assert!(others.iter().all(|mutant| explained.reason(mutant).is_none()));
    assert_eq!(explained.about_none(&[named]), Vec::new() as Vec<&nunet_mutants::explained::Entry>);
    assert_eq!(explained.about_none(&others).len(), 1);

    fs::write(&path, format!("{entry}mutated = \"luggage <= 21,\"\nreason = \" \"\n")).unwrap();
    assert!(matches!(Explained::read(&path), Err(Error::Explained(_))));
    fs::remove_file(&path).unwrap();
}

//! A sample of the mutants of the real validators, small enough for every run of the tests.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use nunet_mutants::{Campaign, Explained, Mutant, PROPERTY_SEED, Sources, Verdict, derive::derive, mutant};

/// How many mutants are tried: with two workers, a minute in the dev profile.
const SAMPLE: usize = 60;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn a_sample_of_the_mutants_leaves_no_survivor_that_is_not_explained() {
    let sources = Sources::read(&here("../../validators")).unwrap();
    let explained = Explained::read(&here("survivors.toml")).unwrap();
    let mutants = mutant::sample(derive(&sources).unwrap(), SAMPLE, 2026);
    let campaign = Campaign { workers: 2, cases: 10, seed: PROPERTY_SEED };
    let (mut survivors, mut killed) = (Vec::new(), 0);
    campaign
        .run(&sources, &mutants, |outcome| {
            let mutant = &mutants[outcome.index];
            match outcome.verdict {
                Verdict::Survived if explained.reason(mutant).is_none() => survivors.push(format!("{mutant:#?}")),
                Verdict::Survived | Verdict::NotViable(_) => {}
                Verdict::Killed { .. } => killed += 1,
            }
        })
        .unwrap();
    assert!(survivors.is_empty(), "no test fails for these:\n{}", survivors.join("\n"));
    assert!(killed > SAMPLE / 3, "only {killed} of {SAMPLE} mutants are programs that a test refuses");
}

#[test]
fn every_entry_of_the_list_is_about_a_mutant() {
    let mutants = derive(&Sources::read(&here("../../validators")).unwrap()).unwrap();
    let explained = Explained::read(&here("survivors.toml")).unwrap();
    let none = explained.about_none(&mutants.iter().collect::<Vec<&Mutant>>());
    assert!(none.is_empty(), "these entries of survivors.toml are about no mutant: {none:#?}");
}

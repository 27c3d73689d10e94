//! `cargo run --release -p nunet-mutants`: tries every mutant of the validators.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::Context;
use clap::Parser;
use nunet_mutants::{Campaign, Explained, Mutant, Outcome, PROPERTY_SEED, Sources, Verdict, derive::derive, mutant};
use serde_json::json;

/// Is every check that the validators make tested?
///
/// Changes the validators in one place at a time and runs their tests. Exits with 1 when a change goes unnoticed that the
/// list of explained survivors does not explain, or when that list has an entry that is about no survivor.
#[derive(Parser)]
struct Arguments {
    /// The Aiken project.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../validators"))]
    project: PathBuf,
    /// The list of explained survivors.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/survivors.toml"))]
    explained: PathBuf,
    /// Only files whose path has this in it; may be given several times.
    #[arg(long = "file")]
    files: Vec<String>,
    /// Only functions of this name; may be given several times.
    #[arg(long = "function")]
    functions: Vec<String>,
    /// Only so many mutants, drawn at random.
    #[arg(long)]
    sample: Option<usize>,
    /// What the sample is drawn from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Lists the mutants and tries none.
    #[arg(long)]
    list: bool,
    /// One JSON object per line: each mutant with its outcome, the entries that are about no survivor, and the sums.
    #[arg(long)]
    json: bool,
    /// How many mutants to try at a time; as many as there are cores unless said otherwise.
    #[arg(long)]
    workers: Option<usize>,
    /// How many cases each property test has.
    #[arg(long, default_value_t = 20)]
    cases: usize,
}

impl Arguments {
    fn wants_all(&self) -> bool {
        self.files.is_empty() && self.functions.is_empty() && self.sample.is_none()
    }

    fn wants(&self, mutant: &Mutant) -> bool {
        let file = mutant.file.to_string_lossy();
        (self.files.is_empty() || self.files.iter().any(|part| file.contains(part)))
            && (self.functions.is_empty() || self.functions.contains(&mutant.function))
    }
}

/// The sums of one file, or of all.
#[derive(Clone, Copy, Default)]
struct Sums {
    killed: usize,
    survived: usize,
    explained: usize,
    not_viable: usize,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let sources = Sources::read(&arguments.project)
        .with_context(|| format!("{} is no Aiken project that can be read", arguments.project.display()))?;
    let explained = Explained::read(&arguments.explained)?;
    let mut mutants: Vec<Mutant> = derive(&sources)?.into_iter().filter(|mutant| arguments.wants(mutant)).collect();
    if let Some(count) = arguments.sample {
        mutants = mutant::sample(mutants, count, arguments.seed);
    }
    if arguments.list {
        for mutant in &mutants {
            print_mutant(arguments.json, mutant, "listed", None, None);
        }
        return Ok(true);
    }

    let began = Instant::now();
    let workers = arguments.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into));
    let campaign = Campaign { workers, cases: arguments.cases, seed: PROPERTY_SEED };
    let mut outcomes: Vec<Outcome> = Vec::new();
    campaign.run(&sources, &mutants, |outcome| {
        report(arguments.json, &mutants, &explained, &outcome);
        outcomes.push(outcome);
    })?;

    let mut files: BTreeMap<&Path, Sums> = BTreeMap::new();
    let mut survivors = Vec::new();
    for outcome in &outcomes {
        let Some(mutant) = mutants.get(outcome.index) else { continue };
        let sums = files.entry(&mutant.file).or_default();
        match (&outcome.verdict, explained.reason(mutant)) {
            (Verdict::Killed { .. }, _) => sums.killed += 1,
            (Verdict::NotViable(_), _) => sums.not_viable += 1,
            (Verdict::Survived, None) => sums.survived += 1,
            (Verdict::Survived, Some(_)) => sums.explained += 1,
        }
        if outcome.verdict == Verdict::Survived {
            survivors.push(mutant);
        }
    }
    let stale = if arguments.wants_all() { explained.about_none(&survivors) } else { Vec::new() };
    for entry in &stale {
        if arguments.json {
            let (file, function, mutated) = (&entry.file, &entry.function, &entry.mutated);
            println!("{}", json!({ "outcome": "stale", "file": file, "function": function, "mutated": mutated }));
        } else {
            println!("no survivor, remove it from the list: {} {}: {}", entry.file, entry.function, entry.mutated);
        }
    }
    let all = print_sums(arguments.json, &files, began.elapsed().as_secs_f64());
    Ok(all.survived == 0 && stale.is_empty())
}

fn report(json: bool, mutants: &[Mutant], explained: &Explained, outcome: &Outcome) {
    let Some(mutant) = mutants.get(outcome.index) else { return };
    let (word, why) = match (&outcome.verdict, explained.reason(mutant)) {
        (Verdict::Killed { by }, _) => ("killed", Some(by.as_str())),
        (Verdict::NotViable(why), _) => ("not viable", Some(why.as_str())),
        (Verdict::Survived, None) => ("survived", None),
        (Verdict::Survived, Some(reason)) => ("explained", Some(reason)),
    };
    if json || word == "survived" {
        print_mutant(json, mutant, word, why, Some(outcome));
    }
}

fn print_mutant(json: bool, mutant: &Mutant, word: &str, why: Option<&str>, outcome: Option<&Outcome>) {
    let Mutant { file, function, line, change, original, mutated, place, .. } = mutant;
    if json {
        let object = json!({
            "outcome": word,
            "why": why,
            "file": file,
            "line": line,
            "function": function,
            "change": change,
            "original": original,
            "mutated": mutated,
            "place": place,
            "tests": outcome.map(|outcome| outcome.tests),
            "seconds": outcome.map(|outcome| outcome.took.as_secs_f64()),
        });
        println!("{object}");
    } else {
        let place = if *place > 1 { format!(" (place {place})") } else { String::new() };
        println!("{word}: {}:{line} {function}: {change}{place}", file.display());
        println!("    - {original}\n    + {}", if mutated.is_empty() { "(nothing)" } else { mutated });
    }
}

fn print_sums(json: bool, files: &BTreeMap<&Path, Sums>, seconds: f64) -> Sums {
    let mut all = Sums::default();
    if !json {
        println!("{:>7} {:>9} {:>10} {:>11}  file", "killed", "survived", "explained", "not viable");
    }
    for (file, sums) in files {
        all.killed += sums.killed;
        all.survived += sums.survived;
        all.explained += sums.explained;
        all.not_viable += sums.not_viable;
        if !json {
            print_line(*sums, &file.display().to_string());
        }
    }
    let Sums { killed, survived, explained, not_viable } = all;
    if json {
        println!(
            "{}",
            json!({
                "mutants": killed + survived + explained + not_viable,
                "killed": killed,
                "survived": survived,
                "explained": explained,
                "not_viable": not_viable,
                "seconds": seconds,
            })
        );
    } else {
        print_line(all, &format!("all, in {seconds:.0} s"));
    }
    all
}

fn print_line(sums: Sums, what: &str) {
    println!("{:>7} {:>9} {:>10} {:>11}  {what}", sums.killed, sums.survived, sums.explained, sums.not_viable);
}

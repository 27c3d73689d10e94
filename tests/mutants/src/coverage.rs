//! Which tests run which functions.
//!
//! A test that does not run a function passes whatever is in it. So the tests are run once with a trace at the beginning
//! of every function, which also shows that all of them pass as the project is.

use std::collections::{HashMap, HashSet};

use aiken_lang::ast::{TraceLevel, Tracing};

use crate::{
    Error, Mutant, Program,
    derive::{self, Text},
    program::Test,
    source::{Source, Sources},
    trial::{Cases, Compilation, Trial, attempt},
};

/// What begins the traces that tell of functions.
const MARK: &str = "runs ";

/// What each test runs.
#[derive(Default)]
pub(crate) struct Coverage {
    /// The functions, by the module and the name of the test.
    runs: HashMap<(String, String), HashSet<String>>,
    /// Constants are computed before anything runs: every test may depend on them.
    constants: HashSet<String>,
}

impl Coverage {
    /// Runs every test once whose place among all has this remainder when divided by `workers`, so that several workers
    /// can share them. Fails when one fails.
    pub(crate) fn measure(sources: &Sources, cases: &mut Cases, worker: usize, workers: usize) -> Result<Self, Error> {
        let mut traced = sources.clone();
        let mut constants = HashSet::new();
        for source in traced.modules.iter_mut().filter(|source| !source.is_for_tests()) {
            constants.extend(derive::constants(source)?.iter().map(|name| label(&source.name, name)));
            source.code = trace(source)?;
        }
        let program = Program::compile(&traced, Tracing::UserDefined(TraceLevel::Verbose))?;
        let mut generator = program.generator();
        let mut runs = HashMap::new();
        for test in program.tests().iter().skip(worker).step_by(workers) {
            let failed = |why: &str| Error::Baseline(format!("{}.{} ({why})", test.module, test.name));
            let attempt = attempt(&mut generator, test, program.plutus(), Compilation::Plain, cases);
            let attempt = attempt.map_err(|error| failed(&error))?;
            if attempt.trial != Trial::Passes {
                return Err(failed(&format!("{:?}", attempt.trial)));
            }
            let ran = attempt.traces.iter().filter_map(|trace| trace.strip_prefix(MARK)).map(str::to_owned).collect();
            runs.insert(key(test), ran);
        }
        Ok(Self { runs, constants })
    }

    /// What two workers measured.
    pub(crate) fn joined(mut self, other: Self) -> Self {
        self.runs.extend(other.runs);
        self.constants.extend(other.constants);
        self
    }

    /// Whether a test may run what a mutant changes.
    pub(crate) fn reaches(&self, test: &Test, mutant: &Mutant) -> bool {
        let changed = mutant.edits.first().map(|edit| label(&edit.module, &mutant.function)).unwrap_or_default();
        self.constants.contains(&changed) || self.runs.get(&key(test)).is_none_or(|runs| runs.contains(&changed))
    }

    /// How many functions a test runs.
    pub(crate) fn breadth(&self, test: &Test) -> usize {
        self.runs.get(&key(test)).map_or(0, HashSet::len)
    }
}

fn key(test: &Test) -> (String, String) {
    (test.module.clone(), test.name.clone())
}

fn label(module: &str, function: &str) -> String {
    format!("{module} {function}")
}

/// The text of a module with a trace at the beginning of every function.
fn trace(source: &Source) -> Result<String, Error> {
    let module = derive::parse(source)?;
    let text = Text::new(source)?;
    let mut places = Vec::new();
    for (name, function) in module.definitions().flat_map(derive::functions) {
        if let Some(brace) = text.brace(function.location.end..function.end_position) {
            places.push((brace.end, format!(" trace @\"{MARK}{}\"\n", label(&source.name, &name))));
        }
    }
    let mut code = source.code.clone();
    places.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    for (at, trace) in places {
        code.insert_str(at, &trace);
    }
    Ok(code)
}

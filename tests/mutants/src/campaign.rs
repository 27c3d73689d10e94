//! Trying mutants, one after the other.

use std::{
    cmp::Reverse,
    collections::HashMap,
    path::PathBuf,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    Error, Mutant, Program, Sources,
    coverage::Coverage,
    program::{NotViable, SILENT, Test},
    trial::{Cases, Compilation, Trial, attempt},
};

/// The stack of a worker: the compiler recurses deeply.
const STACK: usize = 512 << 20;

/// What came of a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A test fails, or does not end.
    Killed {
        /// The test's module and name.
        by: String,
    },
    /// Every test passes.
    Survived,
    /// It is no program: it does not parse, type-check or compile.
    NotViable(String),
}

/// A mutant that was tried.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its place in the list that was tried.
    pub index: usize,
    /// What came of it.
    pub verdict: Verdict,
    /// How many tests were run.
    pub tests: usize,
    /// How long it took.
    pub took: Duration,
}

/// How mutants are tried.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// How many are tried at a time.
    pub workers: usize,
    /// How many cases a property test has.
    pub cases: usize,
    /// From which number those cases are drawn.
    pub seed: u32,
}

impl Campaign {
    /// Tries mutants and passes on each outcome as it comes. Fails when a test fails without any mutant.
    pub fn run(&self, sources: &Sources, mutants: &[Mutant], mut tried: impl FnMut(Outcome)) -> Result<(), Error> {
        let coverage = self.coverage(sources)?;
        let next = AtomicUsize::new(0);
        let (sender, outcomes) = mpsc::channel();
        thread::scope(|scope| {
            let mut workers = Vec::new();
            for _ in 0..self.workers() {
                let (sender, next, coverage) = (sender.clone(), &next, &coverage);
                workers.push(started(scope, move || self.work(sources, mutants, coverage, next, &sender))?);
            }
            drop(sender);
            outcomes.iter().for_each(&mut tried);
            workers.into_iter().try_for_each(joined)
        })
    }

    fn workers(&self) -> usize {
        self.workers.max(1)
    }

    fn coverage(&self, sources: &Sources) -> Result<Coverage, Error> {
        let workers = self.workers();
        thread::scope(|scope| {
            let mut measuring = Vec::new();
            for worker in 0..workers {
                let measure =
                    move || Coverage::measure(sources, &mut Cases::new(self.cases, self.seed), worker, workers);
                measuring.push(started(scope, measure)?);
            }
            let measured: Vec<Coverage> = measuring.into_iter().map(joined).collect::<Result<_, Error>>()?;
            Ok(measured.into_iter().fold(Coverage::default(), Coverage::joined))
        })
    }

    fn work(
        &self,
        sources: &Sources,
        mutants: &[Mutant],
        coverage: &Coverage,
        next: &AtomicUsize,
        outcomes: &mpsc::Sender<Outcome>,
    ) -> Result<(), Error> {
        let mut program = Program::compile(sources, SILENT)?;
        let mut worker = Worker { coverage, cases: Cases::new(self.cases, self.seed), kills: Kills::default() };
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(mutant) = mutants.get(index) else { return Ok(()) };
            let began = Instant::now();
            let (verdict, tests) = worker.verdict(&mut program, mutant);
            let outcome = Outcome { index, verdict, tests, took: began.elapsed() };
            if outcomes.send(outcome).is_err() {
                return Ok(());
            }
        }
    }
}

/// A thread with the stack that the compiler needs.
fn started<'scope, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    work: impl FnOnce() -> Result<T, Error> + Send + 'scope,
) -> Result<thread::ScopedJoinHandle<'scope, Result<T, Error>>, Error> {
    let started = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
    started.map_err(|error| Error::Worker(error.to_string()))
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, Result<T, Error>>) -> Result<T, Error> {
    thread.join().map_err(|_| Error::Worker("it panicked".to_owned()))?
}

struct Worker<'a> {
    coverage: &'a Coverage,
    cases: Cases,
    kills: Kills,
}

impl Worker<'_> {
    fn verdict(&mut self, program: &mut Program, mutant: &Mutant) -> (Verdict, usize) {
        let order = self.order(program.tests(), mutant);
        let mut tests = 0;
        let cases = &mut self.cases;
        let verdict = match program.with(mutant, |program| killer(program, &order, cases, &mut tests)) {
            Ok(Ok(Some(at))) => {
                let by = &program.tests()[at];
                self.kills.note(mutant, at);
                Verdict::Killed { by: format!("{}.{}", by.module, by.name) }
            }
            Ok(Ok(None)) => Verdict::Survived,
            Ok(Err(error)) => Verdict::NotViable(format!("it does not compile: {error}")),
            Err(NotViable(error)) => Verdict::NotViable(error),
        };
        (verdict, tests)
    }

    /// The tests that run what the mutant changes: those first that killed most of its neighbours, then those that have
    /// its file's name in theirs, then those with one case, and then those that run least.
    fn order(&self, tests: &[Test], mutant: &Mutant) -> Vec<usize> {
        let stem = mutant.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let mut order: Vec<usize> = (0..tests.len()).filter(|&at| self.coverage.reaches(&tests[at], mutant)).collect();
        order.sort_by_cached_key(|&at| {
            let (in_function, in_file) = self.kills.of(mutant, at);
            let test = &tests[at];
            (
                Reverse(in_function),
                Reverse(in_file),
                !test.module.contains(&stem),
                !test.definition.arguments.is_empty(),
                self.coverage.breadth(test),
            )
        });
        order
    }
}

/// The first of the tests that fails, if one does.
///
/// Tests are compiled plainly, since to optimise takes longer than all else. But the chain runs what is optimised: a
/// failure counts when it is one there too.
fn killer(program: &Program, order: &[usize], cases: &mut Cases, tests: &mut usize) -> Result<Option<usize>, String> {
    let mut generator = program.generator();
    for &at in order {
        let test = &program.tests()[at];
        *tests += 1;
        let mut fails = |compilation| {
            let attempt = attempt(&mut generator, test, program.plutus(), compilation, cases)?;
            Ok::<bool, String>(attempt.trial != Trial::Passes)
        };
        if fails(Compilation::Plain)? && fails(Compilation::Optimised)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// Which tests killed what so far: they will kill its neighbours.
#[derive(Default)]
struct Kills {
    in_function: HashMap<(PathBuf, String, usize), usize>,
    in_file: HashMap<(PathBuf, usize), usize>,
}

impl Kills {
    fn note(&mut self, mutant: &Mutant, test: usize) {
        *self.in_function.entry((mutant.file.clone(), mutant.function.clone(), test)).or_insert(0) += 1;
        *self.in_file.entry((mutant.file.clone(), test)).or_insert(0) += 1;
    }

    /// How much a test killed in the mutant's function, and in its file.
    fn of(&self, mutant: &Mutant, test: usize) -> (usize, usize) {
        let in_function = self.in_function.get(&(mutant.file.clone(), mutant.function.clone(), test));
        let in_file = self.in_file.get(&(mutant.file.clone(), test));
        (in_function.copied().unwrap_or(0), in_file.copied().unwrap_or(0))
    }
}

//! One test, compiled and run.

use std::collections::{HashMap, HashSet};

use aiken_lang::{
    ast::OnTestFailure,
    gen_uplc::CodeGenerator,
    plutus_version::PlutusVersion,
    test_framework::{self, Prng, PropertyTest, RunnableKind},
};
use uplc::{
    PlutusData,
    ast::{Name, NamedDeBruijn, Program},
    machine::{Error as MachineError, cost_model::ExBudget},
    optimize::{aiken_optimize_and_intern, interner::CodeGenInterner},
};

use crate::program::Test;

/// What a test may spend: ten times what the ledger allows a transaction. One that spends more would not end.
const BUDGET: ExBudget = ExBudget { mem: 165_000_000, cpu: 100_000_000_000 };

/// What came of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// It passes.
    Passes,
    /// It fails.
    Fails,
    /// It does not end.
    RunsAway,
}

/// What came of a test, and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) trial: Trial,
    pub(crate) traces: HashSet<String>,
}

/// How a test is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compilation {
    /// As the generator gives it: in a fraction of the time.
    Plain,
    /// With the optimisations that scripts for the chain have.
    Optimised,
}

/// The random cases of property tests.
pub(crate) struct Cases {
    count: usize,
    seed: u32,
    /// What each fuzzer gave, by test, with the fuzzer that gave it.
    drawn: HashMap<(String, String), (Program<Name>, Vec<PlutusData>)>,
}

impl Cases {
    pub(crate) fn new(count: usize, seed: u32) -> Self {
        Self { count, seed, drawn: HashMap::new() }
    }

    /// The values of a property test. Those of the unchanged fuzzer are drawn once.
    fn of(&mut self, test: &PropertyTest) -> Result<Vec<PlutusData>, String> {
        let key = (test.module.clone(), test.name.clone());
        match self.drawn.get(&key) {
            Some((fuzzer, values)) if *fuzzer == test.fuzzer.program => Ok(values.clone()),
            Some(_) => self.draw(test),
            None => {
                let values = self.draw(test)?;
                self.drawn.insert(key, (test.fuzzer.program.clone(), values.clone()));
                Ok(values)
            }
        }
    }

    fn draw(&self, test: &PropertyTest) -> Result<Vec<PlutusData>, String> {
        let fuzzer = aiken_optimize_and_intern(test.fuzzer.program.clone());
        let mut prng = Prng::from_seed(self.seed);
        let mut values = Vec::with_capacity(self.count);
        for _ in 0..self.count {
            let drawn = prng.sample(&fuzzer).map_err(|error| error.to_string())?;
            let (next, value) = drawn.ok_or("the fuzzer gives nothing")?;
            prng = next;
            values.push(value);
        }
        Ok(values)
    }
}

/// Compiles and runs a test. An error says why it could not be compiled.
pub(crate) fn attempt(
    generator: &mut CodeGenerator<'_>,
    test: &Test,
    plutus: &PlutusVersion,
    compilation: Compilation,
    cases: &mut Cases,
) -> Result<Attempt, String> {
    let mut traces = HashSet::new();
    let compiled = test_framework::Test::from_function_definition(
        generator,
        test.definition.clone(),
        test.module.clone(),
        test.path.clone(),
        RunnableKind::Test,
    )
    .map_err(|error| error.to_string())?;
    let trial = match compiled {
        test_framework::Test::UnitTest(unit) => {
            let evaluated = evaluate(prepare(unit.program, compilation), plutus, &mut traces)?;
            match (evaluated, unit.on_test_failure) {
                (Evaluated::RunsAway, _) => Trial::RunsAway,
                (Evaluated::True, OnTestFailure::FailImmediately) => Trial::Passes,
                (Evaluated::False, OnTestFailure::FailImmediately) => Trial::Fails,
                (Evaluated::True, _) => Trial::Fails,
                (Evaluated::False, _) => Trial::Passes,
            }
        }
        test_framework::Test::PropertyTest(property) => match cases.of(&property) {
            Ok(values) => {
                let program = prepare(property.program, compilation);
                all_hold(&program, values, &property.on_test_failure, plutus, &mut traces)?
            }
            // A fuzzer that fails is a test that fails.
            Err(_) => Trial::Fails,
        },
        test_framework::Test::Benchmark(_) => Trial::Passes,
    };
    Ok(Attempt { trial, traces })
}

/// What comes of a property over values.
fn all_hold(
    program: &Program<Name>,
    values: Vec<PlutusData>,
    on_failure: &OnTestFailure,
    plutus: &PlutusVersion,
    traces: &mut HashSet<String>,
) -> Result<Trial, String> {
    let mut refused = false;
    for value in values {
        match (evaluate(program.apply_data(value), plutus, traces)?, on_failure) {
            (Evaluated::RunsAway, _) => return Ok(Trial::RunsAway),
            (Evaluated::False, OnTestFailure::FailImmediately)
            | (Evaluated::True, OnTestFailure::SucceedEventually) => return Ok(Trial::Fails),
            (Evaluated::False, _) => refused = true,
            (Evaluated::True, _) => {}
        }
    }
    let missed = *on_failure == OnTestFailure::SucceedImmediately && !refused;
    Ok(if missed { Trial::Fails } else { Trial::Passes })
}

enum Evaluated {
    True,
    False,
    RunsAway,
}

fn prepare(program: Program<Name>, compilation: Compilation) -> Program<Name> {
    match compilation {
        Compilation::Optimised => aiken_optimize_and_intern(program),
        Compilation::Plain => {
            let mut program = program.clean_up_no_inlines();
            CodeGenInterner::new().program(&mut program);
            program
        }
    }
}

fn evaluate(program: Program<Name>, plutus: &PlutusVersion, traces: &mut HashSet<String>) -> Result<Evaluated, String> {
    let program = Program::<NamedDeBruijn>::try_from(program).map_err(|error| error.to_string())?;
    let result = program.eval_version(BUDGET, &plutus.into());
    traces.extend(result.logs());
    Ok(if matches!(result.result, Err(MachineError::OutOfExError(_))) {
        Evaluated::RunsAway
    } else if result.failed(true, &plutus.into()) {
        Evaluated::False
    } else {
        Evaluated::True
    })
}

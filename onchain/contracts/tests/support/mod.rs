//! Drives the Aiken toolchain as a library, on a copy of the validators, so that a test run changes nothing.

pub(crate) mod context;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use aiken_lang::{
    ast::{TraceLevel, Tracing},
    expr::UntypedExpr,
    format::Formatter,
    test_framework::{PropertyTestResult, TestResult, UnitTestResult},
};
use aiken_project::{
    Project,
    options::BlueprintExport,
    telemetry::{CoverageMode, Event, EventListener},
};

/// The checked-in Aiken project.
pub(crate) fn validators_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../validators")
}

/// A private copy of the validators' source, ready to be checked or built.
pub(crate) struct Aiken {
    root: PathBuf,
}

/// What a run of the validators' own tests gave.
#[derive(Default)]
pub(crate) struct Report {
    /// How many tests passed.
    pub(crate) passed: usize,
    /// The tests that failed, each with what is known about why.
    pub(crate) failed: Vec<String>,
    /// Errors of the compiler, when it came to no test run.
    pub(crate) errors: Vec<String>,
    /// Warnings of the compiler.
    pub(crate) warnings: Vec<String>,
    /// One line for each test: outcome, name, and the units that a unit test spent.
    pub(crate) lines: Vec<String>,
}

impl Aiken {
    /// Copies the validators into a fresh folder `name` under the build's own temporary folder.
    pub(crate) fn copy(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("validators-{name}-{}", std::process::id()));
        if root.exists() {
            fs::remove_dir_all(&root).unwrap();
        }
        copy_tree(&validators_dir(), &root);
        Self { root }
    }

    /// Type-checks the project and runs the tests whose names match `filter`, or all of them.
    pub(crate) fn test(&self, filter: Option<Vec<String>>, seed: u32, cases: usize) -> Report {
        let root = self.root.clone();
        with_deep_stack(move || {
            let listener = Listener::default();
            let mut project = project(root, listener.clone());
            let outcome = project.check(
                false,
                filter,
                false,
                false,
                seed,
                cases,
                CoverageMode::default(),
                Tracing::All(TraceLevel::Silent),
                false,
                None,
            );
            let mut report = std::mem::take(&mut *listener.report.lock().unwrap());
            report.warnings = project.warnings().iter().map(|warning| format!("{warning:?}")).collect();
            if let (Err(errors), true) = (outcome, report.failed.is_empty()) {
                report.errors = errors.iter().map(|error| format!("{error:?}")).collect();
            }
            report
        })
    }

    /// Compiles the project with silent traces and gives the blueprint.
    pub(crate) fn build(&self) -> serde_json::Value {
        let root = self.root.clone();
        with_deep_stack(move || {
            let path = root.join("plutus.json");
            let outcome = project(root, Listener::default()).build(
                false,
                Tracing::All(TraceLevel::Silent),
                path.clone(),
                BlueprintExport::OnlyBinaryInterface,
                None,
            );
            if let Err(errors) = outcome {
                panic!("the validators do not compile:\n{errors:?}");
            }
            serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
        })
    }
}

impl Drop for Aiken {
    fn drop(&mut self) {
        // A folder left behind is harmless: the next run of the same process id replaces it.
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Collects what the toolchain says about a test run.
#[derive(Clone, Default)]
struct Listener {
    report: Arc<Mutex<Report>>,
}

impl EventListener for Listener {
    fn handle_event(&self, event: Event) {
        let Event::FinishedTests { tests, .. } = event else { return };
        let mut report = self.report.lock().unwrap();
        for test in &tests {
            let name = format!("{} {}", test.module(), test.title());
            if test.is_success() {
                report.passed += 1;
                report.lines.push(format!("pass {name}{}", spent(test)));
            } else {
                let failure = format!("{name}{}{}", why(test), logs(test));
                report.lines.push(format!("FAIL {failure}"));
                report.failed.push(failure);
            }
        }
    }
}

fn spent(test: &TestResult<UntypedExpr, UntypedExpr>) -> String {
    match test {
        TestResult::UnitTestResult(UnitTestResult { spent_budget, .. }) => {
            format!(" (memory {}, steps {})", spent_budget.mem, spent_budget.cpu)
        }
        TestResult::PropertyTestResult(PropertyTestResult { iterations, .. }) => format!(" ({iterations} cases)"),
        TestResult::BenchmarkResult(_) => String::new(),
    }
}

fn why(test: &TestResult<UntypedExpr, UntypedExpr>) -> String {
    match test {
        TestResult::PropertyTestResult(PropertyTestResult { counterexample: Ok(Some(value)), .. }) => {
            format!(": counterexample {}", Formatter::new().expr(value, false).to_pretty_string(120))
        }
        TestResult::PropertyTestResult(PropertyTestResult { counterexample: Err(error), .. }) => {
            format!(": the fuzzer failed: {error}")
        }
        _ => String::new(),
    }
}

fn logs(test: &TestResult<UntypedExpr, UntypedExpr>) -> String {
    let logs = test.logs();
    if logs.is_empty() { String::new() } else { format!("\n  {}", logs.join("\n  ")) }
}

fn project(root: PathBuf, listener: Listener) -> Project<Listener> {
    Project::new(root, listener).unwrap_or_else(|error| panic!("validators/aiken.toml cannot be used: {error:?}"))
}

/// The compiler recurses deeper than a test thread's stack allows.
fn with_deep_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(256 << 20).spawn(work).unwrap().join().unwrap()
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            if entry.file_name() != "build" {
                copy_tree(&entry.path(), &target);
            }
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

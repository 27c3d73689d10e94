//! Mutation testing of the validators: is every check that they make tested?
//!
//! A **mutant** is the validators with one small flaw: a condition removed, negated or weakened, a number off by one, a
//! term dropped, two arguments exchanged. At least one of the validators' own tests must fail for it; then the mutant is
//! **killed**. One that passes every test **survives**: a test is missing, or the check is not needed, or, which
//! `survivors.toml` must explain, nothing that could be observed has changed.
//!
//! ```text
//! Sources ── derive ──▶ [Mutant] ── Campaign ──▶ [Outcome] ── explained ──▶ killed · survived · explained · not viable
//!                                      │
//!                    Program: the type-checked project, of which only what a mutant changes is checked again
//! ```
//!
//! The Aiken toolchain is used as a library, in memory. A mutant costs the type check of the module that it changes, and
//! the compilation of the tests that run what it changes, one by one until the first that fails: those first that killed
//! its neighbours.
//!
//! The full run is `cargo run --release -p nunet-mutants`; `--help` says what else there is.

pub mod campaign;
mod coverage;
pub mod derive;
pub mod explained;
pub mod mutant;
pub mod program;
pub mod source;
mod trial;

pub use campaign::{Campaign, Outcome, Verdict};
pub use explained::Explained;
pub use mutant::Mutant;
pub use program::Program;
pub use source::Sources;

/// From which number the cases of property tests are drawn: the one of `nunet-contracts`' own run of them.
pub const PROPERTY_SEED: u32 = 0x6e75_6e65;

/// What keeps mutation testing from starting, or from going on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("{path} cannot be read: {error}")]
    Read {
        /// The file or folder.
        path: String,
        /// Why not.
        error: std::io::Error,
    },
    /// The project's `aiken.toml` cannot be used.
    #[error("the Aiken project cannot be used: {0}")]
    Project(String),
    /// The project does not compile, even without a mutant.
    #[error("{path} does not compile: {error}")]
    Compile {
        /// The module's file.
        path: String,
        /// What the compiler says.
        error: String,
    },
    /// A test fails without a mutant.
    #[error("the project's own test {0} fails without any change: mend it first")]
    Baseline(String),
    /// The list of explained survivors cannot be used.
    #[error("the list of explained survivors cannot be used: {0}")]
    Explained(String),
    /// A thread could not be started, or died.
    #[error("a worker stopped: {0}")]
    Worker(String),
}

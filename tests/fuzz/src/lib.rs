//! What must hold for any bytes of a stranger: the properties that the fuzz targets try to break.
//!
//! `tests/fuzz/run SECONDS` builds the targets with coverage instrumentation and runs each for that long, from the seeds
//! that `fuzz-seeds` writes. The tests hold the same properties on the seeds alone.
#![allow(clippy::panic, reason = "a property that does not hold ends the run")]

mod http;
mod seeds;
mod transaction;

pub use http::request;
pub use seeds::{Seed, seeds};
pub use transaction::transaction;

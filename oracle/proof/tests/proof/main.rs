//! What must hold of proofs, and the attacks on them that must fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
mod decision;
mod digits;
mod evidence;
mod exchange;
mod golden;
mod hostile;
mod merkle;

//! The `nunet` command: thin, so that everything it does can be called from a test too.

pub mod accounts;
pub mod chain;
pub mod cli;
pub mod contracts;
pub mod demo;
pub mod deployment;
pub mod device;
pub mod devnet;
pub mod tx;
pub mod wallet;
pub mod world;

//! The `nunet` command: thin, so that everything it does can be called from a test too.

pub mod accounts;
pub mod cli;
pub mod demo;
pub mod device;
pub mod devnet;
pub mod world;

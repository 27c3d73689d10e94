//! The command line.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{contracts, demo, devnet, tx, wallet};

/// A decentralised compute market on Cardano: pay only for work that was done right.
#[derive(Debug, Parser)]
#[command(name = "nunet", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole economy in one process on a fresh devnet, with one real ML job, and print the receipt.
    #[command(after_help = "Examples:\n  nunet demo\n  nunet demo --cheat result\n  nunet demo --oracle-down --json")]
    Demo(DemoArgs),
    /// Run a Cardano devnet that serves Blockfrost's API, or tell a running one what to do.
    #[command(after_help = "Examples:\n  nunet devnet\n  nunet devnet --data ./chain\n  nunet devnet advance 1h")]
    Devnet(devnet::DevnetArgs),
    /// The validators: what they are on a network, setting them up, what each transaction costs.
    #[command(subcommand)]
    Contracts(Box<contracts::Command>),
    /// Wallets: make, restore, look, send, and sign messages.
    #[command(subcommand)]
    Wallet(Box<wallet::Command>),
    /// Transactions that are built, signed and sent on different machines.
    #[command(subcommand)]
    Tx(Box<tx::Command>),
}

/// How the demo goes.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Let the provider cheat: it is not paid, the money goes back, and its bond goes to the requester.
    #[arg(long, value_enum, conflicts_with = "oracle_down")]
    pub cheat: Option<Cheat>,
    /// Let three of the five oracle members be off: the deadline passes, and the refund goes through without them.
    #[arg(long)]
    pub oracle_down: bool,
    /// End with one JSON object instead of a receipt.
    #[arg(long)]
    pub json: bool,
}

/// How the provider cheats.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Cheat {
    /// Changes one label of the result.
    Result,
}

/// Runs a command; the exit code is 0 when what it names happened.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(async {
        match cli.command {
            Command::Demo(args) => demo::command(args).await,
            Command::Devnet(args) => devnet::command(args).await,
            Command::Contracts(command) => contracts::command(*command).await,
            Command::Wallet(command) => wallet::command(*command).await,
            Command::Tx(command) => tx::command(*command).await,
        }
    })
}

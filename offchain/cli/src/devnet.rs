//! `nunet devnet`: a Cardano devnet in this process, and what one tells a running one.

mod control;
mod judge;
mod run;

use std::process::ExitCode;

use clap::{Args, Subcommand};

pub use control::{AccountsArgs, AdvanceArgs, BlocksArgs, FaucetArgs, RollbackArgs};
pub use judge::JudgeArgs;
pub use run::RunArgs;

/// Runs a devnet, or tells a running one what to do.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DevnetArgs {
    /// What to tell a running devnet; without one, a devnet starts here.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How the devnet runs.
    #[command(flatten)]
    pub run: RunArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the funded accounts of the well-known mnemonic, with what they hold now.
    #[command(after_help = "Example:\n  nunet devnet accounts --json")]
    Accounts(AccountsArgs),
    /// Pay an address from the faucet.
    #[command(
        after_help = "Examples:\n  nunet devnet faucet addr_test1… 1000ada\n  nunet devnet faucet addr_test1… 10ada 50ntx"
    )]
    Faucet(FaucetArgs),
    /// Move the devnet's clock forward, and make a block then.
    #[command(after_help = "Examples:\n  nunet devnet advance 1h\n  nunet devnet advance 5days")]
    Advance(AdvanceArgs),
    /// Make blocks now.
    #[command(after_help = "Example:\n  nunet devnet blocks 10")]
    Blocks(BlocksArgs),
    /// Take the latest blocks back, as a fork of the chain does.
    #[command(
        after_help = "Examples:\n  nunet devnet rollback 3           their transactions wait for a block again\n  nunet devnet rollback 3 --drop    their transactions are forgotten"
    )]
    Rollback(RollbackArgs),
    /// Say what the ledger's rules think of transaction vectors: `Pass`, the name of the broken rule, or `DecodingFailure`.
    #[command(after_help = "Example:\n  nunet devnet judge scenarios/*.json")]
    Judge(JudgeArgs),
}

/// Does what the arguments say.
pub async fn command(args: DevnetArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        None => run::command(args.run).await,
        Some(Command::Accounts(args)) => control::accounts(args).await,
        Some(Command::Faucet(args)) => control::faucet(args).await,
        Some(Command::Advance(args)) => control::advance(args).await,
        Some(Command::Blocks(args)) => control::blocks(args).await,
        Some(Command::Rollback(args)) => control::rollback(args).await,
        Some(Command::Judge(args)) => judge::command(&args),
    }
}

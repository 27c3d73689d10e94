//! `nunet wallet`: make and restore wallets, look at what they hold, send, and sign messages.

pub mod amounts;
pub mod create;
pub mod look;
pub mod message;
pub mod payment;
pub mod secrets;
pub mod send;
pub mod store;

use std::process::ExitCode;

use clap::Subcommand;

/// What to do with a wallet.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a wallet: shows its recovery phrase once, and stores it encrypted.
    #[command(after_help = "Examples:\n  \
        nunet wallet new --network preprod\n  \
        nunet wallet new --network devnet --wallet test --passphrase-file pass.txt --show-words --json")]
    New(create::NewArgs),
    /// Restore a wallet from its recovery phrase.
    #[command(after_help = "Examples:\n  \
        nunet wallet restore --network mainnet --wallet savings\n  \
        nunet wallet restore --network preprod --words-file words.txt --account 1\n  \
        nunet wallet restore --devnet-account 0 --wallet operator")]
    Restore(create::RestoreArgs),
    /// Watch a wallet whose secret key is on another machine: see what it holds, build what is signed there.
    #[command(after_help = "Examples:\n  \
        nunet wallet export --wallet cold > cold.json        (on the machine that signs)\n  \
        nunet wallet watch cold.json --wallet cold           (on the machine with a network)")]
    Watch(create::WatchArgs),
    /// Print the public half of a wallet, to be watched on another machine. Whoever has it sees all payments.
    #[command(after_help = "Example:\n  nunet wallet export --wallet cold > cold.json")]
    Export(create::ExportArgs),
    /// List the wallets on this machine.
    #[command(after_help = "Example:\n  nunet wallet list --json")]
    List(look::ListArgs),
    /// Show an address to receive at.
    #[command(after_help = "Examples:\n  \
        nunet wallet address\n  \
        nunet wallet address --check        asks for the passphrase and proves that the file was not changed\n  \
        nunet wallet address --fresh --chain https://cardano-preprod.blockfrost.io/api/v0\n  \
        nunet wallet address --form stake")]
    Address(look::AddressArgs),
    /// Show what the wallet holds, over all its addresses; needs no passphrase.
    #[command(after_help = "Example:\n  nunet wallet balance --chain devnet --json")]
    Balance(look::BalanceArgs),
    /// Send ADA and tokens.
    #[command(after_help = "Examples:\n  \
        nunet wallet send --to addr_test1… 12.5ada\n  \
        nunet wallet send --to addr_test1… 2ada 5ntx\n  \
        nunet wallet send --to addr_test1… --token POLICY.NAMEHEX=1000 --yes --json\n  \
        nunet wallet send --to addr_test1… --all")]
    Send(Box<send::SendArgs>),
    /// Sign a message with the key of an address, as browser wallets do (CIP-8, CIP-30).
    #[command(after_help = "Examples:\n  \
        nunet wallet sign-message --text 'I am the operator of pool 7'\n  \
        nunet wallet sign-message --stake --file terms.txt --json")]
    SignMessage(message::SignArgs),
    /// Check a message that somebody signed for an address.
    #[command(after_help = "Example:\n  \
        nunet wallet verify-message --signature 8458… --key a401… --address addr_test1… --text 'I am the operator'")]
    VerifyMessage(message::VerifyArgs),
}

/// Runs a command.
pub async fn command(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::New(args) => create::new(args),
        Command::Restore(args) => create::restore(args),
        Command::Watch(args) => create::watch(args),
        Command::Export(args) => create::export(args),
        Command::List(args) => look::list(args),
        Command::Address(args) => look::address(args).await,
        Command::Balance(args) => look::balance(args).await,
        Command::Send(args) => send::command(*args).await,
        Command::SignMessage(args) => message::sign(args),
        Command::VerifyMessage(args) => message::verify(args),
    }
}

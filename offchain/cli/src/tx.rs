//! `nunet tx`: a transaction that is built on one machine, signed on another without a network, and sent from the first.

pub mod file;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use nunet_chain::{Summary, Unsigned};
use serde_json::{Value, json};

use crate::{
    chain::ChainArgs,
    contracts::network_name,
    wallet::{
        payment::{self, PaymentArgs},
        secrets::{PassphraseArgs, confirm},
        send::{FollowArgs, sent_text},
        store::WalletArgs,
    },
};

/// What to do with a transaction.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build a payment into a file, without signing; needs a chain, no passphrase.
    #[command(after_help = "Example:\n  nunet tx build --wallet cold --to addr_test1… 12.5ada --out pay.json")]
    Build(Box<BuildArgs>),
    /// Show in words what a transaction file moves, and who has signed.
    #[command(
        after_help = "Examples:\n  nunet tx show pay.json --wallet cold\n  nunet tx show pay.json --no-wallet --json"
    )]
    Show(ShowArgs),
    /// Sign a transaction file; needs no chain.
    #[command(after_help = "Example:\n  nunet tx sign pay.json --wallet cold --out pay.signed.json")]
    Sign(SignArgs),
    /// Merge the signatures of copies of a transaction file, check it by the ledger's rules, and send it.
    #[command(after_help = "Examples:\n  \
        nunet tx submit pay.signed.json --chain devnet\n  \
        nunet tx submit alice.json bob.json --depth 3 --json")]
    Submit(SubmitArgs),
}

/// What is built.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// What is paid.
    #[command(flatten)]
    pub payment: PaymentArgs,
    /// Who pays.
    #[command(flatten)]
    pub wallet: WalletArgs,
    /// The chain.
    #[command(flatten)]
    pub chain: ChainArgs,
    /// The file to write; it must not be there yet.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// What is shown.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The transaction file.
    pub file: PathBuf,
    /// Whose point of view.
    #[command(flatten)]
    pub wallet: WalletArgs,
    /// From nobody's point of view, whatever wallet is named.
    #[arg(long)]
    pub no_wallet: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// What is signed.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// The transaction file.
    pub file: PathBuf,
    /// Who signs.
    #[command(flatten)]
    pub wallet: WalletArgs,
    /// The wallet's passphrase.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// The file to write; it must not be there yet.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Sign although the file does not prove what is consumed: whoever made it may lie about amounts.
    #[arg(long)]
    pub trust_amounts: bool,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// What is sent.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// Copies of one transaction file, with all signatures between them.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// The chain.
    #[command(flatten)]
    pub chain: ChainArgs,
    /// How it is followed.
    #[command(flatten)]
    pub follow: FollowArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Runs a command.
pub async fn command(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Build(args) => build(*args).await,
        Command::Show(args) => show(args),
        Command::Sign(args) => sign(args),
        Command::Submit(args) => submit(args).await,
    }
}

async fn build(args: BuildArgs) -> anyhow::Result<ExitCode> {
    file::check_free(&args.out)?;
    let stored = args.wallet.stored()?;
    let chain = args.chain.connect(stored.magic(), &format!("wallet {}", args.wallet.name)).await?;
    let unsigned = args.payment.draft(&chain, stored.account()).await?;
    let summary = Summary::of(&unsigned, Some(stored.account()))?;
    payment::show(&summary, Some(&stored))?;
    file::write(&args.out, &unsigned)?;
    report(args.json, &summary, &unsigned, &format!("built {}: sign it with `nunet tx sign`", args.out.display()))
}

fn show(args: ShowArgs) -> anyhow::Result<ExitCode> {
    let unsigned = file::read(&args.file)?;
    let stored = if args.no_wallet { None } else { Some(args.wallet.stored()?) };
    let summary = Summary::of(&unsigned, stored.as_ref().map(|stored| stored.account()))?;
    payment::show(&summary, stored.as_ref())?;
    report(args.json, &summary, &unsigned, &signature_text(&unsigned))
}

fn sign(args: SignArgs) -> anyhow::Result<ExitCode> {
    file::check_free(&args.out)?;
    let unsigned = file::read(&args.file)?;
    let stored = args.wallet.stored()?;
    ensure!(
        unsigned.magic() == stored.magic(),
        "the transaction is for {}, and wallet {} for {}: it was not signed",
        network_name(unsigned.magic()),
        args.wallet.name,
        network_name(stored.magic())
    );
    let summary = Summary::of(&unsigned, Some(stored.account()))?;
    payment::show(&summary, Some(&stored))?;
    ensure!(
        summary.unproven.is_empty() || args.trust_amounts,
        "the file does not prove what {} of its inputs hold: build it again with `nunet tx build`, or add --trust-amounts \
         if you know them",
        summary.unproven.len()
    );
    let missing = unsigned.missing();
    ensure!(
        missing.iter().any(|key| stored.account().path_of(key).is_some()),
        "none of the {} keys that still have to sign is wallet {}'s",
        missing.len(),
        args.wallet.name
    );
    if !args.yes && !confirm("Sign it?")? {
        bail!("nothing was signed");
    }
    let signed = unsigned.sign_with(&[&args.wallet.unlocked(&stored, &args.passphrase)?]);
    file::write(&args.out, &signed)?;
    let text = format!("signed into {}; {}", args.out.display(), signature_text(&signed));
    report(args.json, &summary, &signed, &text)
}

async fn submit(args: SubmitArgs) -> anyhow::Result<ExitCode> {
    let (first, rest) = args.files.split_first().context("which file?")?;
    let mut unsigned = file::read(first)?;
    for path in rest {
        unsigned.merge(&file::read(path)?).with_context(|| format!("merging {}", path.display()))?;
    }
    let magic = unsigned.magic();
    let signed = unsigned.finish().context("sign it with `nunet tx sign` first")?;
    let chain = args.chain.connect(magic, "the transaction").await?;
    let confirmation = args.follow.send(&chain, &signed).await?;
    if args.json {
        println!("{}", json!({"id": signed.id, "confirmation": confirmation}));
    } else {
        println!("{}", sent_text(&signed, &confirmation));
    }
    Ok(ExitCode::SUCCESS)
}

fn signature_text(unsigned: &Unsigned) -> String {
    let missing = unsigned.missing();
    if missing.is_empty() {
        return "all signatures are there: send it with `nunet tx submit`".into();
    }
    let keys: Vec<String> = missing.iter().map(ToString::to_string).collect();
    format!("still to sign: {}", keys.join(", "))
}

fn report(as_json: bool, summary: &Summary, unsigned: &Unsigned, text: &str) -> anyhow::Result<ExitCode> {
    if as_json {
        let mut shown: Value = payment::summary_json(summary)?;
        shown["signers"] = json!(unsigned.signers());
        shown["missing"] = json!(unsigned.missing());
        println!("{shown}");
    } else {
        println!("{text}");
    }
    Ok(ExitCode::SUCCESS)
}

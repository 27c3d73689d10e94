//! `nunet wallet new` and `nunet wallet restore`.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use nunet_chain::{
    Wallet,
    wallet::{
        Account, KeyPath, Phrase, PhraseLength,
        keystore::{KdfCost, KeystoreError, MIN_PASSPHRASE, StoredWallet},
    },
};
use nunet_ledger::NetworkMagic;
use rand::{Rng, seq::index::sample};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    secrets::{self, PassphraseArgs},
    store::{self, WalletArgs},
};
use crate::{
    accounts::MNEMONIC,
    contracts::{Network, network_name},
};

/// How many words are asked for after a new phrase was shown.
const ASKED_WORDS: usize = 3;

/// Which network a wallet is for.
#[derive(Debug, Args)]
pub struct NetworkArgs {
    /// The network that the wallet is for.
    #[arg(long, value_enum, conflicts_with = "magic")]
    pub network: Option<Network>,
    /// The network by its magic.
    #[arg(long, value_name = "N")]
    pub magic: Option<u32>,
}

impl NetworkArgs {
    fn magic(&self) -> Option<NetworkMagic> {
        self.magic.map(NetworkMagic).or(self.network.map(Network::magic))
    }
}

/// How many words a new phrase has.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Words {
    /// 12 words.
    #[value(name = "12")]
    Twelve,
    /// 15 words.
    #[value(name = "15")]
    Fifteen,
    /// 24 words.
    #[value(name = "24")]
    TwentyFour,
}

/// What every new file needs.
#[derive(Debug, Args)]
pub struct FileArgs {
    /// The name to store it under.
    #[command(flatten)]
    pub wallet: WalletArgs,
    /// The network.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// The passphrase that the file is encrypted with.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// Ask for the second factor, a passphrase that belongs to the recovery phrase (BIP-39).
    #[arg(long, conflicts_with = "second_factor_file")]
    pub second_factor: bool,
    /// A file with the second factor.
    #[arg(long, value_name = "FILE")]
    pub second_factor_file: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// A new wallet.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// Where it goes.
    #[command(flatten)]
    pub file: FileArgs,
    /// How many words the recovery phrase has.
    #[arg(long, value_enum, default_value = "24")]
    pub words: Words,
    /// Print the recovery phrase even where standard output is no terminal.
    #[arg(long)]
    pub show_words: bool,
    /// Do not ask for some of the words.
    #[arg(long)]
    pub yes: bool,
}

/// A wallet that was.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Where it goes.
    #[command(flatten)]
    pub file: FileArgs,
    /// A file with the recovery phrase, or - for standard input; asked for on the terminal without it.
    #[arg(long, value_name = "FILE")]
    pub words_file: Option<PathBuf>,
    /// The account of the recovery phrase (CIP-1852).
    #[arg(long, default_value_t = 0)]
    pub account: u32,
    /// An account of the devnet's well-known recovery phrase, which anybody can spend from.
    #[arg(long, value_name = "N", conflicts_with_all = ["words_file", "account", "second_factor", "second_factor_file"])]
    pub devnet_account: Option<u32>,
}

/// A wallet of another machine.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// What `nunet wallet export` printed there, or - for standard input.
    pub file: PathBuf,
    /// The name to store it under.
    #[command(flatten)]
    pub wallet: WalletArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// A wallet that is to be watched elsewhere.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The wallet.
    #[command(flatten)]
    pub wallet: WalletArgs,
}

/// `nunet wallet new`.
pub fn new(args: NewArgs) -> anyhow::Result<ExitCode> {
    let magic = args.file.magic()?;
    store::keystore()?.check_free(&args.file.wallet.name)?;
    let on_terminal = io::stdout().is_terminal();
    ensure!(
        on_terminal || args.show_words,
        "the recovery phrase is shown once, and this is no terminal: add --show-words to print it, and keep the output safe"
    );
    args.file.one_secret_from_stdin(None)?;
    let passphrase = args.file.passphrase.read_new()?;
    // Before the words are shown.
    ensure!(passphrase.chars().count() >= MIN_PASSPHRASE, KeystoreError::WeakPassphrase);
    let second_factor = args.file.new_second_factor()?;
    let mut entropy = Zeroizing::new([0; 32]);
    rand::rng().fill_bytes(entropy.as_mut_slice());
    let length = match args.words {
        Words::Twelve => PhraseLength::Words12,
        Words::Fifteen => PhraseLength::Words15,
        Words::TwentyFour => PhraseLength::Words24,
    };
    let phrase = Phrase::from_entropy(&entropy, length)?;
    if !args.file.json {
        show_words(&phrase);
    }
    if on_terminal && io::stdin().is_terminal() && !args.yes && !args.file.json {
        ask_words(&phrase)?;
    }
    let wallet = Wallet::of_phrase(&phrase, &second_factor, magic.network_id(), 0)?;
    let words = phrase.words();
    args.file.store(&wallet, 0, magic, &passphrase, Some(&words))
}

/// `nunet wallet restore`.
pub fn restore(args: RestoreArgs) -> anyhow::Result<ExitCode> {
    let file = &args.file;
    store::keystore()?.check_free(&file.wallet.name)?;
    if let Some(account) = args.devnet_account {
        ensure!(
            file.network.magic().is_none_or(|magic| magic == NetworkMagic::DEVNET),
            "anybody can spend from the devnet's accounts: they are for --network devnet only"
        );
        let magic = NetworkMagic::DEVNET;
        let wallet = Wallet::from_mnemonic(MNEMONIC, magic.network_id(), account)?;
        return file.store(&wallet, account, magic, &file.passphrase.read_new()?, None);
    }
    let magic = file.magic()?;
    file.one_secret_from_stdin(args.words_file.as_deref())?;
    let words = match &args.words_file {
        Some(path) => secrets::read_file(path).context("the recovery phrase")?,
        None => secrets::ask("Recovery phrase (12 to 24 words, not shown): ")
            .context("no recovery phrase can be asked for here: use --words-file")?,
    };
    let phrase = Phrase::parse(&words)?;
    let second_factor = file.second_factor()?;
    let wallet = Wallet::of_phrase(&phrase, &second_factor, magic.network_id(), args.account)?;
    file.store(&wallet, args.account, magic, &file.passphrase.read_new()?, None)
}

/// `nunet wallet watch`.
pub fn watch(args: WatchArgs) -> anyhow::Result<ExitCode> {
    let text = secrets::read_file(&args.file)?;
    let stored = StoredWallet::from_json(&text).with_context(|| args.file.display().to_string())?;
    ensure!(
        !stored.can_sign(),
        "this file holds a secret key: watch what `nunet wallet export` prints, and keep this one"
    );
    let path = store::keystore()?.add(&args.wallet.name, &stored)?;
    let (account, number) = (stored.account(), stored.account_number());
    let watched = Stored { name: &args.wallet.name, account, number, magic: stored.magic(), file: &path };
    if args.json {
        watched.print_json(None)
    } else {
        watched.print()
    }
    Ok(ExitCode::SUCCESS)
}

/// `nunet wallet export`.
pub fn export(args: ExportArgs) -> anyhow::Result<ExitCode> {
    print!("{}", args.wallet.stored()?.watched().to_json());
    Ok(ExitCode::SUCCESS)
}

impl FileArgs {
    fn magic(&self) -> anyhow::Result<NetworkMagic> {
        self.network.magic().context("for which network? add --network devnet (or preview, preprod, mainnet)")
    }

    /// Standard input is read to its end by the first who reads it.
    fn one_secret_from_stdin(&self, words_file: Option<&Path>) -> anyhow::Result<()> {
        let paths = [words_file, self.passphrase.passphrase_file.as_deref(), self.second_factor_file.as_deref()];
        ensure!(
            paths.into_iter().flatten().filter(|path| path.as_os_str() == "-").count() <= 1,
            "only one secret can come from standard input: put the others into files"
        );
        Ok(())
    }

    fn second_factor(&self) -> anyhow::Result<Zeroizing<String>> {
        let factor = match &self.second_factor_file {
            Some(path) => secrets::read_file(path).context("the second factor")?,
            None if self.second_factor => secrets::ask("Second factor (not shown): ")?,
            None => return Ok(Zeroizing::default()),
        };
        ensure!(!factor.is_empty(), "the second factor is empty: leave the option out for a wallet without one");
        Ok(factor)
    }

    /// The second factor of a new wallet; what is typed unseen is typed twice.
    fn new_second_factor(&self) -> anyhow::Result<Zeroizing<String>> {
        let factor = self.second_factor()?;
        if self.second_factor && self.second_factor_file.is_none() {
            let again = secrets::ask("The same again: ")?;
            ensure!(factor == again, "the two differ: nothing was stored, try again");
        }
        Ok(factor)
    }

    fn store(
        &self,
        wallet: &Wallet,
        account: u32,
        magic: NetworkMagic,
        passphrase: &Zeroizing<String>,
        words: Option<&Zeroizing<String>>,
    ) -> anyhow::Result<ExitCode> {
        let name = &self.wallet.name;
        let cost = KdfCost::RECOMMENDED;
        let path = store::keystore()?.create(name, wallet, account, magic, passphrase, cost)?;
        let stored = Stored { name, account: wallet.account(), number: account, magic, file: &path };
        if self.json {
            stored.print_json(words)
        } else {
            stored.print()
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What is said about a wallet that was just stored.
struct Stored<'a> {
    name: &'a str,
    account: &'a Account,
    number: u32,
    magic: NetworkMagic,
    file: &'a Path,
}

impl Stored<'_> {
    fn print_json(&self, words: Option<&Zeroizing<String>>) {
        let mut shown = json!({
            "name": self.name,
            "network": network_name(self.magic),
            "magic": self.magic.0,
            "account": self.number,
            "address": self.account.address(KeyPath::PAYMENT),
            "stake_address": self.account.stake_account().to_string(),
            "file": self.file.display().to_string(),
        });
        if let Some(words) = words {
            shown["words"] = words.as_str().into();
        }
        println!("{shown}");
    }

    fn print(&self) {
        println!("wallet {} for {} is stored in {}", self.name, network_name(self.magic), self.file.display());
        println!("receives at {}", self.account.address(KeyPath::PAYMENT));
    }
}

fn show_words(phrase: &Phrase) {
    println!("Write these words down, in order, on paper. Whoever has them has the money; without them a lost file or");
    println!("passphrase is a lost wallet. They are not shown again.\n");
    for position in 1..=phrase.word_count() {
        let word = phrase.word(position).unwrap_or_default();
        let end = if position % 4 == 0 || position == phrase.word_count() { "\n" } else { "" };
        print!("{position:>4} {word:<10}{end}");
    }
    println!();
}

/// Asks for some words, until they are right: whoever did not write them down finds out now.
fn ask_words(phrase: &Phrase) -> anyhow::Result<()> {
    for index in sample(&mut rand::rng(), phrase.word_count(), ASKED_WORDS) {
        let position = index + 1;
        let word = secrets::ask(&format!("Word {position} (not shown): "))?;
        if phrase.word(position) != Some(word.trim()) {
            bail!("that is not word {position}: nothing was stored, begin again and write the words down");
        }
    }
    Ok(())
}

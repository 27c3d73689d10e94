//! `nunet wallet list`, `address` and `balance`: what can be seen without a passphrase.

use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use nunet_chain::{
    AccountState,
    wallet::{Account, KeyPath, LOOKAHEAD, Role},
};
use nunet_ledger::{Lovelace, Value};
use serde_json::json;

use super::{payment, secrets::PassphraseArgs, store, store::WalletArgs};
use crate::{chain::ChainArgs, contracts::network_name};

/// How wallets are listed.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Print one JSON object per wallet.
    #[arg(long)]
    pub json: bool,
}

/// `nunet wallet list`.
pub fn list(args: ListArgs) -> anyhow::Result<ExitCode> {
    let keystore = store::keystore()?;
    let names = keystore.list()?;
    if names.is_empty() && !args.json {
        println!("there are no wallets: make one with `nunet wallet new`");
    }
    let mut all_read = true;
    for name in names {
        match keystore.read(&name) {
            Ok(stored) => {
                let (network, address) = (network_name(stored.magic()), stored.account().address(KeyPath::PAYMENT));
                if args.json {
                    let (magic, account) = (stored.magic().0, stored.account_number());
                    let shown = json!({"name": name, "network": network, "magic": magic, "account": account, "address": address, "watched": !stored.can_sign()});
                    println!("{shown}");
                } else {
                    let watched = if stored.can_sign() { "" } else { "  (watched)" };
                    println!("{name}  {network}  {address}{watched}");
                }
            }
            Err(error) => {
                all_read = false;
                eprintln!("error: wallet {name}: {error}");
            }
        }
    }
    Ok(if all_read { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The kinds of addresses.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Form {
    /// Payment key and stake key: for everything.
    Base,
    /// The first payment key alone.
    Enterprise,
    /// The stake account.
    Stake,
}

/// Which address.
#[derive(Debug, Args)]
pub struct AddressArgs {
    /// The wallet.
    #[command(flatten)]
    pub wallet: WalletArgs,
    /// What kind of address.
    #[arg(long, value_enum, default_value = "base")]
    pub form: Form,
    /// The number of the base address.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub index: u32,
    /// Of the addresses for change instead of those for others.
    #[arg(long)]
    pub change: bool,
    /// The first base address that was never used; asks the chain.
    #[arg(long, conflicts_with_all = ["index", "change", "form"])]
    pub fresh: bool,
    /// The chain, for --fresh.
    #[command(flatten)]
    pub chain: ChainArgs,
    /// Ask for the passphrase and prove that the address belongs to the secret key.
    #[arg(long)]
    pub check: bool,
    /// The passphrase, for --check.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `nunet wallet address`.
pub async fn address(args: AddressArgs) -> anyhow::Result<ExitCode> {
    let stored = args.wallet.stored()?;
    if args.check {
        args.wallet.unlocked(&stored, &args.passphrase)?;
    }
    let account = stored.account();
    let (path, address) = if args.fresh {
        let chain = args.chain.connect(stored.magic(), &format!("wallet {}", args.wallet.name)).await?;
        let (path, address) = chain.discover(account).await?.fresh;
        ensure!(
            path.index() < LOOKAHEAD,
            "all of the {LOOKAHEAD} addresses that a wallet looks at are used: use one again"
        );
        (path, address.to_string())
    } else {
        args.address_of(account)?
    };
    if args.json {
        let network = network_name(stored.magic());
        let path = format!("m/1852'/1815'/{}'/{path}", stored.account_number());
        println!("{}", json!({"address": address, "path": path, "network": network, "checked": args.check}));
    } else {
        println!("{address}");
    }
    Ok(ExitCode::SUCCESS)
}

impl AddressArgs {
    fn address_of(&self, account: &Account) -> anyhow::Result<(KeyPath, String)> {
        Ok(match self.form {
            Form::Base => {
                let role = if self.change { Role::Internal } else { Role::External };
                let path = KeyPath::new(role, self.index).filter(|path| path.index() < LOOKAHEAD);
                let path = path.with_context(|| {
                    format!("--index goes up to {}: a wallet looks for money no farther", LOOKAHEAD - 1)
                })?;
                (path, account.address(path).to_string())
            }
            Form::Enterprise => (KeyPath::PAYMENT, account.enterprise_address().to_string()),
            Form::Stake => (KeyPath::STAKE, account.stake_account().to_string()),
        })
    }
}

/// Whose balance.
#[derive(Debug, Args)]
pub struct BalanceArgs {
    /// The wallet.
    #[command(flatten)]
    pub wallet: WalletArgs,
    /// The chain.
    #[command(flatten)]
    pub chain: ChainArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `nunet wallet balance`.
pub async fn balance(args: BalanceArgs) -> anyhow::Result<ExitCode> {
    let stored = args.wallet.stored()?;
    let chain = args.chain.connect(stored.magic(), &format!("wallet {}", args.wallet.name)).await?;
    let found = chain.discover(stored.account()).await?;
    let (mut total, mut outputs) = (Value::default(), 0);
    let mut holders = Vec::new();
    for address in found.addresses() {
        let utxos = chain.utxos_at(&address).await?;
        outputs += utxos.len();
        let sum = utxos.iter().try_fold(Value::default(), |sum, utxo| sum.checked_add(&utxo.output.value));
        let sum = sum.context("an address holds more than fits 64 bits")?;
        total = total.checked_add(&sum).context("the wallet holds more than fits 64 bits")?;
        if !utxos.is_empty() {
            holders.push((address, sum));
        }
    }
    let rewards = match chain.account(&stored.account().stake_account()).await? {
        AccountState::Registered { rewards } => rewards,
        AccountState::Unregistered => Lovelace(0),
    };
    if args.json {
        let holders: Vec<_> = holders
            .iter()
            .map(|(address, value)| {
                let mut shown = payment::value_json(value);
                shown["address"] = address.to_string().into();
                shown
            })
            .collect();
        let mut shown = payment::value_json(&total);
        shown["rewards"] = rewards.0.into();
        shown["outputs"] = outputs.into();
        shown["addresses"] = holders.into();
        println!("{shown}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}", total.lovelace());
    let names = payment::names(stored.magic())?;
    for (asset, quantity) in total.assets() {
        println!("{}", names.amount(asset, quantity));
    }
    if rewards > Lovelace(0) {
        println!("{rewards} of staking rewards, not withdrawn yet");
    }
    println!("in {outputs} output(s) at {} address(es) on {}", holders.len(), network_name(stored.magic()));
    Ok(ExitCode::SUCCESS)
}

//! What one tells a running devnet, over its HTTP API.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use nunet_contracts::Ntx;
use nunet_ledger::{Address, AssetId, Lovelace};
use reqwest::{Client, StatusCode};
use serde_json::{Map, Value, json};

use crate::accounts::Accounts;

/// How long a devnet may take to answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Which devnet, and how to answer.
#[derive(Debug, Args)]
pub struct RunningArgs {
    /// The devnet's API.
    #[arg(long, default_value = "http://127.0.0.1:8090/api/v0", env = "NUNET_DEVNET_URL")]
    pub url: String,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Shows the accounts.
#[derive(Debug, Args)]
pub struct AccountsArgs {
    /// Which devnet.
    #[command(flatten)]
    pub running: RunningArgs,
}

/// Pays an address.
#[derive(Debug, Args)]
pub struct FaucetArgs {
    /// Whom to pay.
    #[arg(value_name = "ADDRESS")]
    pub to: Address,
    /// How much: `1000ada`, `50ntx`.
    #[arg(value_name = "AMOUNT", required = true, num_args = 1..)]
    pub amounts: Vec<FaucetAmount>,
    /// Which devnet.
    #[command(flatten)]
    pub running: RunningArgs,
}

/// Moves the clock.
#[derive(Debug, Args)]
pub struct AdvanceArgs {
    /// By how much: `90s`, `1h`, `5days`; whole seconds.
    #[arg(value_name = "TIME", value_parser = humantime::parse_duration)]
    pub by: Duration,
    /// Which devnet.
    #[command(flatten)]
    pub running: RunningArgs,
}

/// Makes blocks.
#[derive(Debug, Args)]
pub struct BlocksArgs {
    /// How many.
    #[arg(value_name = "N", default_value_t = 1)]
    pub count: u64,
    /// Which devnet.
    #[command(flatten)]
    pub running: RunningArgs,
}

/// Takes blocks back.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// How many.
    #[arg(value_name = "N")]
    pub blocks: u64,
    /// Forget their transactions, instead of letting them wait for a block again.
    #[arg(long)]
    pub drop: bool,
    /// Which devnet.
    #[command(flatten)]
    pub running: RunningArgs,
}

/// An amount that the faucet pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaucetAmount {
    /// ADA.
    Ada(Lovelace),
    /// The devnet's NTX.
    Ntx(Ntx),
}

impl std::str::FromStr for FaucetAmount {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let lower = text.trim().to_ascii_lowercase();
        // Both have six decimals.
        let units = |number: &str| -> anyhow::Result<u64> {
            let Ntx(units) = number.trim_end().parse().map_err(|_| anyhow!("write it as 12.5ada or 12.5ntx"))?;
            Ok(units)
        };
        if let Some(number) = lower.strip_suffix("ada") {
            Ok(Self::Ada(Lovelace(units(number)?)))
        } else if let Some(number) = lower.strip_suffix("ntx") {
            Ok(Self::Ntx(Ntx(units(number)?)))
        } else {
            bail!("it has no unit: write it as 12.5ada or 12.5ntx")
        }
    }
}

pub(super) async fn accounts(args: AccountsArgs) -> anyhow::Result<ExitCode> {
    let accounts = Accounts::new()?;
    let devnet = Running::new(&args.running)?;
    let mut rows = Vec::new();
    for (role, _, _) in Accounts::funded() {
        let address = accounts.wallet(*role).enterprise_address();
        let (lovelace, ntx) = devnet.held(&address, &accounts.ntx).await?;
        rows.push((*role as u32, address, lovelace, ntx));
    }
    if args.running.json {
        let list: Vec<Value> = rows
            .iter()
            .map(|(account, address, lovelace, ntx)| {
                json!({"account": account, "address": address.to_string(), "lovelace": lovelace.0, "ntx": ntx.0})
            })
            .collect();
        println!("{}", json!({"mnemonic": crate::accounts::MNEMONIC, "accounts": list}));
    } else {
        println!("accounts (CIP-1852) of the well-known mnemonic \"{}\":", crate::accounts::MNEMONIC);
        for (account, address, lovelace, ntx) in rows {
            println!("  {account}  {address}  {lovelace}, {ntx}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn faucet(args: FaucetArgs) -> anyhow::Result<ExitCode> {
    let (mut lovelace, mut ntx) = (0_u64, 0_u64);
    for amount in &args.amounts {
        let (sum, more) = match amount {
            FaucetAmount::Ada(more) => (&mut lovelace, more.0),
            FaucetAmount::Ntx(more) => (&mut ntx, more.0),
        };
        *sum = sum.checked_add(more).context("the amounts add up to more than there is")?;
    }
    let mut assets = Map::new();
    if ntx > 0 {
        assets.insert(Accounts::new()?.ntx.to_string(), json!(ntx));
    }
    let request = json!({"address": args.to.to_string(), "lovelace": lovelace, "assets": assets});
    let answer = Running::new(&args.running)?.tell("faucet", &request).await?;
    let moved = format!("{}, {}", Lovelace(lovelace), Ntx(ntx));
    args.running
        .show(&answer, || format!("{moved} are on the way to {}: transaction {}", args.to, text(&answer, "tx_hash")));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn advance(args: AdvanceArgs) -> anyhow::Result<ExitCode> {
    if args.by.subsec_nanos() != 0 {
        bail!("the clock moves by whole seconds; leave the fraction out");
    }
    let answer = Running::new(&args.running)?.tell("advance", &json!({"seconds": args.by.as_secs()})).await?;
    args.running.show(&answer, || format!("the chain is at {}", tip(&answer)));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn blocks(args: BlocksArgs) -> anyhow::Result<ExitCode> {
    let answer = Running::new(&args.running)?.tell("blocks", &json!({"count": args.count})).await?;
    args.running.show(&answer, || format!("the chain is at {}", tip(&answer)));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn rollback(args: RollbackArgs) -> anyhow::Result<ExitCode> {
    let request = json!({"blocks": args.blocks, "drop": args.drop});
    let answer = Running::new(&args.running)?.tell("rollback", &request).await?;
    let count = |key: &str| answer[key].as_array().map_or(0, Vec::len);
    args.running.show(&answer, || {
        format!(
            "the chain is back at {}; {} transactions wait for a block, {} are gone",
            tip(&answer),
            count("waiting"),
            count("dropped")
        )
    });
    Ok(ExitCode::SUCCESS)
}

impl RunningArgs {
    fn show(&self, answer: &Value, sentence: impl FnOnce() -> String) {
        if self.json {
            println!("{answer}");
        } else {
            println!("{}", sentence());
        }
    }
}

fn tip(answer: &Value) -> String {
    format!("block {}, slot {}, {}", answer["height"], answer["slot"], text(answer, "hash"))
}

fn text<'a>(answer: &'a Value, key: &str) -> &'a str {
    answer[key].as_str().unwrap_or_default()
}

/// A devnet that runs elsewhere.
struct Running {
    client: Client,
    url: String,
}

impl Running {
    fn new(args: &RunningArgs) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(TIMEOUT).build().context("making an HTTP client")?;
        Ok(Self { client, url: args.url.trim_end_matches('/').to_owned() })
    }

    /// Posts to one of the devnet's own routes.
    async fn tell(&self, what: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.client.post(format!("{}/devnet/{what}", self.url)).json(body);
        self.answer(request).await?.with_context(|| format!("{} is no devnet of this version", self.url))
    }

    /// What an address holds, of lovelace and NTX.
    async fn held(&self, address: &Address, ntx: &AssetId) -> anyhow::Result<(Lovelace, Ntx)> {
        let answer = self.answer(self.client.get(format!("{}/addresses/{address}", self.url))).await?;
        let unit = ntx.to_string();
        let (mut lovelace, mut tokens) = (Lovelace(0), Ntx(0));
        for amount in answer.iter().flat_map(|answer| answer["amount"].as_array()).flatten() {
            let quantity: u64 =
                text(amount, "quantity").parse().context("the devnet gave an amount that is no number")?;
            match text(amount, "unit") {
                "lovelace" => lovelace = Lovelace(quantity),
                name if name == unit => tokens = Ntx(quantity),
                _ => {}
            }
        }
        Ok((lovelace, tokens))
    }

    /// The answer; `None` when there is no such thing.
    async fn answer(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Option<Value>> {
        let response = request.send().await.map_err(|error| {
            anyhow!(
                "no devnet answers at {}: {error}; start one with `nunet devnet`, or say where it is with --url",
                self.url
            )
        })?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer: Value =
            response.json().await.with_context(|| format!("{} answered with what is no JSON", self.url))?;
        if status.is_success() { Ok(Some(answer)) } else { bail!("the devnet refused: {}", text(&answer, "message")) }
    }
}

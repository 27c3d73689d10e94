//! What one tells a running devnet, over its HTTP API.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use nunet_contracts::Ntx;
use nunet_ledger::{Address, AssetId, Lovelace, NetworkMagic};
use reqwest::{Client, StatusCode};
use serde_json::{Map, Value as Json, json};

use crate::{
    accounts::{Accounts, MNEMONIC},
    chain::DEVNET_URL,
    wallet::{
        amounts::{Amount, parse_amount, total},
        payment::names,
    },
};

/// How long a devnet may take to answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Which devnet, and how to answer.
#[derive(Debug, Args)]
pub struct RunningArgs {
    /// The devnet's API.
    #[arg(long, default_value = DEVNET_URL, env = "NUNET_DEVNET_URL")]
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
    /// How much: 1000ada, 50ntx.
    #[arg(value_name = "AMOUNT", required = true, value_parser = parse_amount)]
    pub amounts: Vec<Amount>,
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
        let list: Vec<Json> = rows
            .iter()
            .map(|(account, address, lovelace, ntx)| {
                json!({"account": account, "address": address.to_string(), "lovelace": lovelace.0, "ntx": ntx.0})
            })
            .collect();
        println!("{}", json!({"mnemonic": MNEMONIC, "accounts": list}));
    } else {
        println!("accounts (CIP-1852) of the well-known mnemonic \"{}\":", MNEMONIC);
        for (account, address, lovelace, ntx) in rows {
            println!("  {account}  {address}  {lovelace}, {ntx}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn faucet(args: FaucetArgs) -> anyhow::Result<ExitCode> {
    let (ada, mut value) = total(&args.amounts, NetworkMagic::DEVNET)?;
    value.set_lovelace(ada.unwrap_or_default());
    let assets: Map<String, Json> =
        value.assets().map(|(asset, quantity)| (asset.to_string(), json!(quantity))).collect();
    let request = json!({"address": args.to.to_string(), "lovelace": value.lovelace().0, "assets": assets});
    let answer = Running::new(&args.running)?.tell("faucet", &request).await?;
    let names = names(NetworkMagic::DEVNET)?;
    args.running.show(&answer, || {
        format!("{} are on the way to {}: transaction {}", names.value(&value), args.to, text(&answer, "tx_hash"))
    });
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
    args.running.show(&answer, || {
        let held = answer["dropped"].as_array().map_or(0, Vec::len);
        format!(
            "the chain is back at {}; the blocks that went held {held} transactions, and {} wait for a block now",
            tip(&answer),
            answer["waiting"]
        )
    });
    Ok(ExitCode::SUCCESS)
}

impl RunningArgs {
    fn show(&self, answer: &Json, sentence: impl FnOnce() -> String) {
        if self.json {
            println!("{answer}");
        } else {
            println!("{}", sentence());
        }
    }
}

fn tip(answer: &Json) -> String {
    format!("block {}, slot {}, {}", answer["height"], answer["slot"], text(answer, "hash"))
}

fn text<'a>(answer: &'a Json, key: &str) -> &'a str {
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
    async fn tell(&self, what: &str, body: &Json) -> anyhow::Result<Json> {
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
    async fn answer(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Option<Json>> {
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
        let answer: Json =
            response.json().await.with_context(|| format!("{} answered with what is no JSON", self.url))?;
        if status.is_success() { Ok(Some(answer)) } else { bail!("the devnet refused: {}", text(&answer, "message")) }
    }
}

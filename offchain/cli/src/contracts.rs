//! `nunet contracts`: what the validators are on a network, setting them up, and what each transaction costs.

pub mod costs;
pub mod deploy;
pub mod show;

use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use nunet_chain::Chain;
use nunet_contracts::{Committee, Protocol};
use nunet_ledger::{AssetId, NetworkMagic, ScriptHash};
use serde_json::{Value, json};

use crate::{accounts::Accounts, deployment::parse_asset};

/// What to do with the validators.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the validators' hashes, sizes and addresses for a network and token, and what of them is on chain.
    #[command(after_help = "Examples:\n  \
        nunet contracts show --network devnet\n  \
        nunet contracts show --network preprod --ntx POLICY.NAMEHEX --json\n  \
        nunet contracts show --url http://127.0.0.1:8090/api/v0 --committee ID")]
    Show(show::ShowArgs),
    /// Publish the reference scripts, register the logic's credential and found a committee, each where it is missing.
    #[command(after_help = "Examples:\n  \
        nunet contracts deploy --url http://127.0.0.1:8090/api/v0 --devnet-account operator \\\n    \
        --member HEX --member HEX --member HEX --threshold 2 --treasury addr_test1…\n  \
        NUNET_PROJECT_ID=… nunet contracts deploy --url https://cardano-preprod.blockfrost.io/api/v0 \\\n    \
        --mnemonic-file words.txt --ntx POLICY.NAMEHEX --member HEX --threshold 1 --treasury addr_test1… --json\n\n\
        Running it again changes nothing and shows what is there.")]
    Deploy(Box<deploy::DeployArgs>),
    /// Make every transaction on a devnet and print what it costs; fails when a mark is missed or a cost grew.
    #[command(after_help = "Examples:\n  nunet contracts costs\n  nunet contracts costs --json > costs.jsonl")]
    Costs(costs::CostsArgs),
}

/// Runs a command.
pub async fn command(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Show(args) => show::command(args).await,
        Command::Deploy(args) => deploy::command(*args).await,
        Command::Costs(args) => costs::command(args).await,
    }
}

/// The networks that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Network {
    /// Mainnet.
    Mainnet,
    /// The preprod testnet.
    Preprod,
    /// The preview testnet.
    Preview,
    /// The built-in devnet.
    Devnet,
}

impl Network {
    const ALL: [Self; 4] = [Self::Mainnet, Self::Preprod, Self::Preview, Self::Devnet];

    /// Its magic.
    pub fn magic(self) -> NetworkMagic {
        match self {
            Self::Mainnet => NetworkMagic::MAINNET,
            Self::Preprod => NetworkMagic(1),
            Self::Preview => NetworkMagic(2),
            Self::Devnet => NetworkMagic::DEVNET,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Mainnet => "mainnet",
            Self::Preprod => "preprod",
            Self::Preview => "preview",
            Self::Devnet => "devnet",
        }
    }
}

/// The network's name where it has one.
pub fn network_name(magic: NetworkMagic) -> &'static str {
    Network::ALL.into_iter().find(|network| network.magic() == magic).map_or("custom", Network::name)
}

/// Which network, and which token.
#[derive(Debug, Args)]
pub struct NetworkArgs {
    /// The network; with a URL, the endpoint must be of it.
    #[arg(long, value_enum, conflicts_with = "magic")]
    pub network: Option<Network>,
    /// The network by its magic.
    #[arg(long, value_name = "N")]
    pub magic: Option<u32>,
    /// The token: policy, a dot, the name in hex. On devnet and mainnet NTX is known.
    #[arg(long, value_name = "POLICY.NAMEHEX", value_parser = parse_asset)]
    pub ntx: Option<AssetId>,
}

/// Mainnet's NTX; whoever releases this program confirms it again.
const MAINNET_NTX: (&str, &[u8]) = ("edfd7a1d77bcb8b884c474bdc92a16002d1fb720e454fa6e99344479", b"NTX");

/// Said wherever mainnet's token was not given.
const MAINNET_NOTE: &str =
    "this is the token known as mainnet's NTX when this program was made; compare it before you trust money to it";

/// The protocol on the network that was asked for.
pub struct Setting {
    /// The validators.
    pub protocol: Protocol,
    /// What to know about the token.
    pub note: Option<&'static str>,
}

impl NetworkArgs {
    /// The protocol on this network, which must be the endpoint's where there is one.
    pub fn setting(&self, chain: Option<&Chain>) -> anyhow::Result<Setting> {
        let asked = self.magic.map(NetworkMagic).or(self.network.map(Network::magic));
        let magic = match (asked, chain.map(Chain::magic)) {
            (Some(asked), Some(found)) => {
                ensure!(
                    asked == found,
                    "the endpoint is of {} (magic {}), not of {} (magic {}): use another URL or network",
                    network_name(found),
                    found.0,
                    network_name(asked),
                    asked.0
                );
                asked
            }
            (Some(magic), None) | (None, Some(magic)) => magic,
            (None, None) => bail!("which network? add --network devnet (or preview, preprod, mainnet), or --url"),
        };
        let note = (magic == NetworkMagic::MAINNET && self.ntx.is_none()).then_some(MAINNET_NOTE);
        let ntx = match &self.ntx {
            Some(ntx) => ntx.clone(),
            None => known_ntx(magic)?.with_context(|| {
                format!("there is no well-known NTX on {}: add --ntx POLICY.NAMEHEX", network_name(magic))
            })?,
        };
        Ok(Setting { protocol: Protocol::new(magic, ntx)?, note })
    }
}

/// The NTX of a network where it is well known.
pub fn known_ntx(magic: NetworkMagic) -> anyhow::Result<Option<AssetId>> {
    match magic {
        NetworkMagic::DEVNET => Ok(Some(Accounts::new()?.ntx)),
        NetworkMagic::MAINNET => {
            let (policy, name) = MAINNET_NTX;
            let policy: ScriptHash = policy.parse().context("mainnet's NTX policy")?;
            Ok(Some(AssetId { policy, name: name.to_vec() }))
        }
        _ => Ok(None),
    }
}

/// Connects to a Blockfrost API.
async fn connect(url: &str, project_id: Option<&str>) -> anyhow::Result<Chain> {
    Ok(Chain::connect(url, project_id).await?)
}

/// A committee as JSON.
fn committee_json(committee: &Committee) -> Value {
    let members: Vec<String> = committee.datum.members().iter().map(ToString::to_string).collect();
    json!({
        "id": committee.id.to_string(),
        "outpoint": committee.outpoint.to_string(),
        "members": members,
        "threshold": committee.datum.threshold(),
        "treasury": committee.datum.treasury().to_string(),
    })
}

/// A committee for people.
fn committee_text(committee: &Committee) -> String {
    let members = committee.datum.members();
    let mut text = format!(
        "committee {}\n  at {}\n  treasury {}\n  {} of {} members must agree:\n",
        committee.id,
        committee.outpoint,
        committee.datum.treasury(),
        committee.datum.threshold(),
        members.len()
    );
    for member in members {
        text.push_str(&format!("    {member}\n"));
    }
    text
}

//! `nunet contracts deploy`: reference scripts, the logic's credential and a committee, each only where it is missing.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail, ensure};
use clap::Args;
use ed25519_dalek::VerifyingKey;
use nunet_chain::{Chain, Wallet};
use nunet_contracts::{Committee, CommitteeDatum, Deployment, MemberKey, Protocol, TxPlan};
use nunet_ledger::{Address, Lovelace, NetworkMagic};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{NetworkArgs, Setting, committee_json, committee_text, connect, network_name};
use crate::{
    accounts::{Accounts, Role},
    deployment::{
        DeploymentFile, Survey, committee_with, deploy, empty_wallet, found_committee, founding, lovelace_of,
    },
    wallet::{secrets::PassphraseArgs, store},
};

/// What to deploy, and who pays.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// The network and the token.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// A Blockfrost API.
    #[arg(long)]
    pub url: String,
    /// The key of a hosted API.
    #[arg(long, env = "NUNET_PROJECT_ID", hide_env_values = true)]
    pub project_id: Option<String>,
    /// Who pays.
    #[command(flatten)]
    pub payer: PayerArgs,
    /// The verification key of a committee member, 64 hex digits; once per member.
    #[arg(long = "member", value_name = "HEX", value_parser = parse_member, required = true)]
    pub members: Vec<MemberKey>,
    /// How many members must agree.
    #[arg(long, value_name = "N")]
    pub threshold: u8,
    /// Where the committee's fees go.
    #[arg(long, value_name = "ADDRESS")]
    pub treasury: Address,
    /// Show what it would spend, and stop.
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Spend on mainnet; other networks need no consent.
    #[arg(long)]
    pub yes: bool,
    /// Print one JSON object, the deployment file, instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Whose wallet pays.
#[derive(Debug, Args)]
#[group(required = true, multiple = false, args = ["mnemonic_file", "devnet_account", "wallet"])]
pub struct PayerArgs {
    /// A file with the recovery phrase of the wallet that pays.
    #[arg(long, value_name = "FILE")]
    pub mnemonic_file: Option<PathBuf>,
    /// A stored wallet (see `nunet wallet`).
    #[arg(long, value_name = "NAME")]
    pub wallet: Option<String>,
    /// Where the passphrase of the stored wallet comes from.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// One of the devnet's well-known accounts.
    #[arg(long, value_enum)]
    pub devnet_account: Option<Role>,
    /// The account of the recovery phrase (CIP-1852).
    #[arg(long, default_value_t = 0, conflicts_with_all = ["devnet_account", "wallet"])]
    pub account: u32,
}

impl PayerArgs {
    fn wallet(&self, magic: NetworkMagic) -> anyhow::Result<Wallet> {
        if let Some(name) = &self.wallet {
            return store::unlock(name, magic, &self.passphrase);
        }
        match (&self.mnemonic_file, self.devnet_account) {
            (Some(path), _) => {
                let words = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
                let words = Zeroizing::new(words);
                Wallet::from_mnemonic(words.trim(), magic.network_id(), self.account)
                    .with_context(|| format!("the recovery phrase in {}", path.display()))
            }
            (None, Some(role)) => {
                ensure!(
                    magic == NetworkMagic::DEVNET,
                    "anybody can spend from the devnet's accounts: use --mnemonic-file on {}",
                    network_name(magic)
                );
                Accounts::wallet_of(role)
            }
            (None, None) => bail!("who pays? add --wallet NAME, --mnemonic-file FILE or --devnet-account operator"),
        }
    }
}

fn parse_member(text: &str) -> Result<MemberKey, String> {
    let shown = || text.chars().take(80).collect::<String>();
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key)
        .map_err(|_| format!("{:?} is no member key: write the 64 hex digits of its verification key", shown()))?;
    match VerifyingKey::from_bytes(&key) {
        Ok(point) if !point.is_weak() => Ok(MemberKey(key)),
        _ => Err(format!("{:?} is no Ed25519 verification key: nobody could sign with it", shown())),
    }
}

/// `nunet contracts deploy`.
pub async fn command(args: DeployArgs) -> anyhow::Result<ExitCode> {
    let chain = connect(&args.url, args.project_id.as_deref()).await?;
    let Setting { protocol, note } = args.network.setting(Some(&chain))?;
    let magic = protocol.magic();
    ensure!(
        args.treasury.network_id() == Some(magic.network_id()),
        "the treasury {} is no address of {}: give one of this network",
        args.treasury,
        network_name(magic)
    );
    let datum = CommitteeDatum::new(args.members.clone(), args.threshold, args.treasury.clone())?;
    let wallet = args.payer.wallet(magic)?;
    let steps = Steps::plan(&chain, &protocol, &wallet, &datum).await?;
    for line in note.into_iter().map(|note| format!("note: {note}")).chain(steps.lines(network_name(magic))) {
        eprintln!("{line}");
    }
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    if magic == NetworkMagic::MAINNET && !args.yes && steps.cost() > Lovelace(0) {
        bail!("this is mainnet, where {} are real money: compare the amounts above and add --yes", steps.cost());
    }
    let deployment = deploy(&chain, &protocol, &wallet).await?;
    let committee = match steps.committee {
        Some(committee) => committee,
        None => found_committee(&chain, &protocol, &wallet, &datum).await?,
    };
    if args.json {
        println!("{}", to_json(&deployment, &committee));
    } else {
        print!("{}", to_text(&deployment, &committee));
    }
    Ok(ExitCode::SUCCESS)
}

/// What is still to do, and what it costs.
struct Steps {
    /// Of the publication, where something is missing.
    publication: Option<Cost>,
    /// Of the founding, where no such committee is there.
    founding: Option<Cost>,
    /// The committee, where it is there.
    committee: Option<Committee>,
}

/// What a transaction takes from the wallet.
#[derive(Clone, Copy)]
struct Cost {
    /// In outputs and deposits.
    locked: Lovelace,
    /// The network fee.
    fee: Lovelace,
}

impl Cost {
    fn total(self) -> Lovelace {
        Lovelace(self.locked.0.saturating_add(self.fee.0))
    }

    async fn of(chain: &Chain, plan: &TxPlan, wallet: &Wallet) -> anyhow::Result<Self> {
        let fee = chain.balance(plan, wallet).await?.fee();
        Ok(Self { locked: lovelace_of(plan, chain), fee })
    }
}

impl Steps {
    async fn plan(chain: &Chain, protocol: &Protocol, wallet: &Wallet, datum: &CommitteeDatum) -> anyhow::Result<Self> {
        let survey = Survey::of(chain, protocol).await?;
        let committee = committee_with(chain, protocol, datum).await?;
        let missing = survey.missing(chain, protocol);
        if missing.is_none() && committee.is_some() {
            return Ok(Self { publication: None, founding: None, committee });
        }
        let funds = chain.spendable_at(&[wallet.address(), wallet.enterprise_address()]).await?;
        ensure!(!funds.is_empty(), empty_wallet(wallet));
        let publication = match &missing {
            Some(plan) => Some(Cost::of(chain, plan, wallet).await.context("publishing the validators")?),
            None => None,
        };
        let founding = match &committee {
            Some(_) => None,
            None => {
                let plan = founding(chain, protocol, wallet, datum).await?;
                Some(Cost::of(chain, &plan, wallet).await.context("founding the committee")?)
            }
        };
        let steps = Self { publication, founding, committee };
        let held = funds.iter().fold(0, |sum: u64, utxo| sum.saturating_add(utxo.output.value.lovelace().0));
        ensure!(
            held >= steps.cost().0,
            "the wallet holds {}, and {} are needed: send ADA to {} and run again",
            Lovelace(held),
            steps.cost(),
            wallet.address()
        );
        Ok(steps)
    }

    fn cost(&self) -> Lovelace {
        let costs = self.publication.iter().chain(&self.founding);
        Lovelace(costs.fold(0, |sum, cost| sum.saturating_add(cost.total().0)))
    }

    /// What will happen, for people.
    fn lines(&self, network: &str) -> Vec<String> {
        let line = |what: &str, cost: &Option<Cost>| match cost {
            Some(Cost { locked, fee }) => format!("{what}: {locked} in outputs and deposits, {fee} network fee"),
            None => format!("{what}: done already"),
        };
        vec![
            line("reference scripts and the logic's account", &self.publication),
            line("committee", &self.founding),
            format!("spends {} on {network}", self.cost()),
        ]
    }
}

fn to_json(deployment: &Deployment, committee: &Committee) -> Value {
    let mut file = DeploymentFile::new(deployment, committee).to_json();
    file["network"] = network_name(deployment.protocol.magic()).into();
    file["logic_account"] = deployment.protocol.logic_account().to_string().into();
    file["committee"] = committee_json(committee);
    file
}

fn to_text(deployment: &Deployment, committee: &Committee) -> String {
    format!(
        "stub   {}\n  at {}\nlogic  {}\n  at {}\n  account {} is registered\n{}",
        deployment.protocol.stub().hash(),
        deployment.stub.0,
        deployment.protocol.logic().hash(),
        deployment.logic.0,
        deployment.protocol.logic_account(),
        committee_text(committee)
    )
}

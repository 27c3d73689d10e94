//! `nunet wallet send`: from the amount to a confirmed transaction.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use nunet_chain::{Chain, ChainError, Limit, Outcome, Signed, Summary};
use serde_json::{Value, json};

use super::{
    payment::{self, PaymentArgs},
    secrets::{PassphraseArgs, confirm},
    store::WalletArgs,
};
use crate::chain::ChainArgs;

/// How often the chain is looked at for a transaction that must come into a block: several minutes on a real network,
/// where blocks are 20 seconds apart on average.
const BLOCK_POLLS: u32 = 100;

/// From which wallet, and what.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// What is paid.
    #[command(flatten)]
    pub payment: PaymentArgs,
    /// Who pays.
    #[command(flatten)]
    pub wallet: WalletArgs,
    /// The wallet's passphrase.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// The chain.
    #[command(flatten)]
    pub chain: ChainArgs,
    /// How it is followed.
    #[command(flatten)]
    pub follow: FollowArgs,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// How long a transaction is followed after it was sent.
#[derive(Debug, Args)]
pub struct FollowArgs {
    /// Wait until it is in this many blocks, its own counted; 0 does not wait.
    #[arg(long, value_name = "BLOCKS", default_value_t = 1)]
    pub depth: u64,
}

/// `nunet wallet send`.
pub async fn command(args: SendArgs) -> anyhow::Result<ExitCode> {
    let stored = args.wallet.stored()?;
    let chain = args.chain.connect(stored.magic(), &format!("wallet {}", args.wallet.name)).await?;
    let _paying = chain.pay().await;
    let unsigned = args.payment.draft(&chain, stored.account()).await?;
    let summary = Summary::of(&unsigned, Some(stored.account()))?;
    payment::show(&summary, Some(&stored))?;
    if !args.yes && !confirm("Sign and send it?")? {
        bail!("nothing was sent");
    }
    let wallet = args.wallet.unlocked(&stored, &args.passphrase)?;
    let signed = unsigned.sign_with(&[&wallet]).finish()?;
    drop(wallet);
    let mut shown = payment::summary_json(&summary)?;
    shown["confirmation"] = args.follow.send(&chain, &signed).await?;
    if args.json {
        println!("{shown}");
    } else {
        println!("{}", sent_text(&signed, &shown["confirmation"]));
    }
    Ok(ExitCode::SUCCESS)
}

impl FollowArgs {
    /// Sends a transaction and waits for it; what the chain says then.
    pub async fn send(&self, chain: &Chain, signed: &Signed) -> anyhow::Result<Value> {
        let depth = match chain.send(signed).await {
            // Whether it was taken shows in the blocks to come; until then it is sent again.
            Err(error @ ChainError::Unclear { .. }) => {
                eprintln!("{error}; waiting for it");
                self.depth.max(1)
            }
            sent => {
                sent?;
                self.depth
            }
        };
        if depth == 0 {
            return Ok(Value::Null);
        }
        let limit = Limit::Polls(BLOCK_POLLS.saturating_mul(depth.min(1_000) as u32));
        let confirmation = chain
            .poll(&format!("transaction {} at depth {depth}", signed.id), limit, |_| async {
                chain.settle().await?;
                Ok(chain.transaction(&signed.id).await?.filter(|confirmation| confirmation.depth >= depth))
            })
            .await
            .with_context(|| {
                format!(
                    "transaction {} was sent, but is not seen in a block yet: look for it before you pay again",
                    signed.id
                )
            })?;
        if confirmation.outcome == Outcome::CollateralTaken {
            bail!("transaction {} is on chain, but a script in it failed and took the collateral", signed.id);
        }
        let (height, slot, depth) = (confirmation.height, confirmation.slot, confirmation.depth);
        Ok(json!({"height": height, "slot": slot, "depth": depth}))
    }
}

/// What was sent, for people.
pub fn sent_text(signed: &Signed, confirmation: &Value) -> String {
    match confirmation {
        Value::Null => format!("sent {}", signed.id),
        seen => format!("sent {}, in block {} (depth {})", signed.id, seen["height"], seen["depth"]),
    }
}

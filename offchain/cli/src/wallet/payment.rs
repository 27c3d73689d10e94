//! A payment as it is asked for on the command line, and the transaction that makes it.

use anyhow::{Context, bail, ensure};
use clap::Args;
use nunet_chain::{
    Chain, ChangeStyle, ChangeTo, Unsigned, Utxo, balance_with,
    summary::{Flow, Names, Summary},
    wallet::{Account, KeyPath, keystore::StoredWallet, message::Signer},
};
use nunet_contracts::{Spend, TxPlan};
use nunet_ledger::{Address, Credential, NetworkMagic, Slot, TxOut, Value, fees};
use serde_json::{Value as Json, json};

use super::amounts::{Amount, parse_amount, parse_token, total};
use crate::contracts::{known_ntx, network_name};

/// What to pay, and to whom.
#[derive(Debug, Args)]
pub struct PaymentArgs {
    /// The recipient's address.
    #[arg(long, value_name = "ADDRESS")]
    pub to: String,
    /// What to send: 12.5ada, 5ntx. With tokens alone, the least ADA that they need goes with them.
    #[arg(value_name = "AMOUNT", value_parser = parse_amount)]
    pub amounts: Vec<Amount>,
    /// Base units of a token: POLICY.NAMEHEX=1000, or 5ntx; once per token.
    #[arg(long = "token", value_name = "UNIT=AMOUNT", value_parser = parse_token)]
    pub tokens: Vec<Amount>,
    /// Send everything that the wallet holds.
    #[arg(long, conflicts_with_all = ["amounts", "tokens"])]
    pub all: bool,
    /// Send to a script's address, where the money may be out of everybody's reach.
    #[arg(long)]
    pub to_script: bool,
    /// For how many minutes the transaction can be sent.
    #[arg(long, value_name = "MINUTES", default_value_t = 120)]
    pub valid_for: u32,
}

impl PaymentArgs {
    /// The recipient, which must be on the network, and no script unless that is meant.
    fn recipient(&self, magic: NetworkMagic) -> anyhow::Result<Address> {
        let signer: Signer = self.to.parse().with_context(|| {
            "the recipient's address cannot be read: compare it letter by letter, or copy it again".to_owned()
        })?;
        let address = match signer {
            Signer::Payment(address) => address,
            Signer::Stake(account) => {
                bail!("{account} is a stake account, which receives no payments: use an addr… address")
            }
        };
        ensure!(
            address.network_id() == Some(magic.network_id()),
            "{address} is an address of {}, but the wallet is for {}: nothing was sent",
            if address.network_id() == Some(1) { "mainnet" } else { "a test network" },
            network_name(magic)
        );
        let is_script = matches!(address.payment(), Some(Credential::Script(_)));
        ensure!(
            self.to_script || !is_script,
            "{address} is a script's: what is sent there without what the script expects is lost. Add --to-script if you \
             mean it"
        );
        Ok(address)
    }

    /// The output that pays it, with at least the ADA that the ledger wants in it.
    fn output(&self, chain: &Chain, to: Address) -> anyhow::Result<TxOut> {
        let (ada, tokens) = total(self.amounts.iter().chain(&self.tokens), chain.magic())?;
        let mut output = TxOut::new(to, tokens);
        // With the lovelace the encoding grows by a few bytes at most, and then no more.
        for _ in 0..3 {
            output.value.set_lovelace(fees::min_ada(&chain.params(), &output).max(ada.unwrap_or_default()));
        }
        let least = output.value.lovelace();
        match ada {
            Some(asked) if asked < least => bail!("{asked} are too little: the ledger wants at least {least} here"),
            None if output.value.assets().len() == 0 => bail!("how much? write 12.5ada, --token UNIT=AMOUNT or --all"),
            _ => Ok(output),
        }
    }

    /// The transaction, not signed yet, with proofs of what it consumes.
    pub async fn draft(&self, chain: &Chain, account: &Account) -> anyhow::Result<Unsigned> {
        let to = self.recipient(chain.magic())?;
        let home = account.address(KeyPath::PAYMENT);
        let output = if self.all { None } else { Some(self.output(chain, to.clone())?) };
        let addresses = chain.discover(account).await?.addresses();
        let funds = chain.spendable_at(&addresses).await?;
        ensure!(!funds.is_empty(), "the wallet is empty: send ADA to {home} first");
        let spend = |utxo: &Utxo| Spend { outpoint: utxo.outpoint, output: utxo.output.clone(), redeemer: None };
        let plan = TxPlan {
            spends: if self.all { funds.iter().map(spend).collect() } else { Vec::new() },
            outputs: output.into_iter().collect(),
            valid_until: Some(self.valid_until(chain).await?),
            ..TxPlan::default()
        };
        // Where all is sent, the recipient gets the change.
        let change = if self.all {
            ChangeTo { address: to, style: ChangeStyle::Single }
        } else {
            ChangeTo { address: home, style: ChangeStyle::Tidy }
        };
        let mut unsigned = balance_with(&plan, &funds, &change, &chain.params(), &chain.slots(), chain.magic())?;
        chain.add_parents(&mut unsigned).await?;
        Ok(unsigned)
    }

    async fn valid_until(&self, chain: &Chain) -> anyhow::Result<Slot> {
        let slots = u64::from(self.valid_for) * 60_000 / u64::from(chain.slots().slot_length_ms.max(1));
        ensure!(slots > 0, "--valid-for 0 is over before it begins: give it some minutes");
        Ok(Slot(chain.tip().await?.slot.0.saturating_add(slots)))
    }
}

/// The names of assets on a network.
pub fn names(magic: NetworkMagic) -> anyhow::Result<Names> {
    Ok(Names { ntx: known_ntx(magic)? })
}

/// What a transaction moves, on the standard error: for people who decide.
pub fn show(summary: &Summary, stored: Option<&StoredWallet>) -> anyhow::Result<()> {
    let magic = summary.magic;
    let real = if magic == NetworkMagic::MAINNET { ", REAL MONEY" } else { "" };
    eprintln!("transaction {} on {} (magic {}{real})", summary.id, network_name(magic), magic.0);
    if stored.is_none() {
        eprintln!("  (no wallet was named: everything is somebody else's)");
    }
    for line in summary.lines(&names(magic)?) {
        eprintln!("  {line}");
    }
    Ok(())
}

/// What a transaction moves, for machines.
pub fn summary_json(summary: &Summary) -> anyhow::Result<Json> {
    let payments: Vec<Json> = summary
        .payments
        .iter()
        .map(|payment| {
            let mut shown = value_json(&payment.value);
            shown["to"] = payment.to.to_string().into();
            shown
        })
        .collect();
    let unproven: Vec<String> = summary.unproven.iter().map(ToString::to_string).collect();
    Ok(json!({
        "id": summary.id,
        "network": network_name(summary.magic),
        "magic": summary.magic.0,
        "payments": payments,
        "fee": summary.fee,
        "leaving": flow_json(&summary.leaving),
        "valid_until_slot": summary.valid_until,
        "unproven": unproven,
        "words": summary.lines(&names(summary.magic)?),
    }))
}

/// A value for machines.
pub fn value_json(value: &Value) -> Json {
    let tokens: Vec<Json> =
        value.assets().map(|(asset, quantity)| json!({"unit": asset.to_string(), "quantity": quantity})).collect();
    json!({"lovelace": value.lovelace(), "tokens": tokens})
}

/// Signed amounts are texts: JSON's numbers do not hold 128 bits everywhere.
fn flow_json(flow: &Flow) -> Json {
    let tokens: Vec<Json> = flow
        .assets
        .iter()
        .map(|(asset, quantity)| json!({"unit": asset.to_string(), "quantity": quantity.to_string()}))
        .collect();
    json!({"lovelace": flow.lovelace.to_string(), "tokens": tokens})
}

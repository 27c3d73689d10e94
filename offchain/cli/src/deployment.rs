//! Setting the protocol up on a chain, one step at a time and each only where it was not done yet.

mod file;

use std::collections::BTreeSet;

use anyhow::Context;
use nunet_chain::{AccountState, Chain, Limit, Wallet, submit_plan};
use nunet_contracts::{
    Committee, CommitteeDatum, Deployment, Protocol, TxPlan,
    transactions::{create_committee, publish_scripts},
};
use nunet_ledger::{Lovelace, OutPoint, ScriptHash, TxId, TxOut};

pub use self::file::{DeploymentFile, dotted, parse_asset, parse_committee};

/// How often the chain is looked at for a transaction that must come into a block: several minutes on a real network,
/// where blocks are 20 seconds apart on average.
const BLOCK_POLLS: u32 = 100;

/// What of the protocol stands on a chain already.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The output that carries each reference script, in the order of [`publish_scripts`]; the oldest where there are
    /// several.
    pub published: Vec<(ScriptHash, Option<(OutPoint, TxOut)>)>,
    /// Whether the logic's stake credential is registered.
    pub registered: bool,
}

impl Survey {
    /// Looks for the reference scripts at the reference address, and for the logic's account.
    pub async fn of(chain: &Chain, protocol: &Protocol) -> anyhow::Result<Self> {
        let hashes = published_by(&publish_scripts(protocol, &chain.params()));
        let wanted: BTreeSet<ScriptHash> = hashes.iter().copied().collect();
        let found = chain.scripts_at(&protocol.reference_address(), &wanted).await?;
        let carrier = |hash: &ScriptHash| {
            let carries = |output: &TxOut| output.reference_script.as_ref().map(|script| script.hash()) == Some(*hash);
            found.iter().find(|utxo| carries(&utxo.output)).map(|utxo| (utxo.outpoint, utxo.output.clone()))
        };
        let published = hashes.iter().map(|hash| (*hash, carrier(hash))).collect();
        let account = chain.account(&protocol.logic_account()).await?;
        Ok(Self { published, registered: matches!(account, AccountState::Registered { .. }) })
    }

    /// The output that carries a script.
    pub fn output_of(&self, hash: &ScriptHash) -> Option<&(OutPoint, TxOut)> {
        self.published.iter().find(|(candidate, _)| candidate == hash).and_then(|(_, output)| output.as_ref())
    }

    /// The deployment, when every script is published and the account registered.
    pub fn deployment(&self, protocol: &Protocol) -> anyhow::Result<Option<Deployment>> {
        let scripts = [protocol.stub(), protocol.logic(), protocol.lease()];
        match (self.registered, scripts.map(|script| self.output_of(&script.hash()).cloned())) {
            (true, [Some(stub), Some(logic), Some(lease)]) => {
                Ok(Some(Deployment::new(protocol.clone(), stub, logic, lease)?))
            }
            _ => Ok(None),
        }
    }

    /// The plan that adds what is missing; `None` when nothing is.
    pub fn missing(&self, chain: &Chain, protocol: &Protocol) -> Option<TxPlan> {
        let mut plan = publish_scripts(protocol, &chain.params());
        plan.outputs.retain(|output| script_of(output).is_some_and(|hash| self.output_of(&hash).is_none()));
        if self.registered {
            plan.certificates.clear();
        }
        (!plan.outputs.is_empty() || !plan.certificates.is_empty()).then_some(plan)
    }
}

fn script_of(output: &TxOut) -> Option<ScriptHash> {
    output.reference_script.as_ref().map(|script| script.hash())
}

fn published_by(plan: &TxPlan) -> Vec<ScriptHash> {
    plan.outputs.iter().filter_map(script_of).collect()
}

/// The lovelace that a plan needs beside the network fee: its outputs and deposits.
pub fn lovelace_of(plan: &TxPlan, chain: &Chain) -> Lovelace {
    let outputs = plan.outputs.iter().map(|output| output.value.lovelace().0);
    let deposits = plan.certificates.iter().map(|_| chain.params().key_deposit.0);
    Lovelace(outputs.chain(deposits).fold(0, u64::saturating_add))
}

/// Submits a plan from a wallet and waits until it is in a block.
pub async fn place(chain: &Chain, plan: &TxPlan, wallet: &Wallet) -> anyhow::Result<TxId> {
    let (id, _) = submit_plan(chain, plan, wallet).await?;
    chain.wait_for(&id, 1, Limit::Polls(BLOCK_POLLS)).await?;
    Ok(id)
}

/// Publishes the reference scripts and registers the logic's credential where that was not done yet.
pub async fn deploy(chain: &Chain, protocol: &Protocol, wallet: &Wallet) -> anyhow::Result<Deployment> {
    if let Some(plan) = Survey::of(chain, protocol).await?.missing(chain, protocol) {
        place(chain, &plan, wallet).await.context("publishing the validators")?;
    }
    let survey = Survey::of(chain, protocol).await?;
    survey.deployment(protocol)?.context("the endpoint does not show the reference scripts that are in a block")
}

/// The plan of founding a committee: its NFT is named by the first of the wallet's outputs.
pub async fn founding(
    chain: &Chain,
    protocol: &Protocol,
    wallet: &Wallet,
    datum: &CommitteeDatum,
) -> anyhow::Result<TxPlan> {
    let funds = chain.spendable_at(&[wallet.address(), wallet.enterprise_address()]).await?;
    let seed = funds.into_iter().min_by_key(|utxo| utxo.outpoint).with_context(|| empty_wallet(wallet))?;
    let (_, plan) = create_committee(protocol, &chain.params(), (seed.outpoint, seed.output), datum)?;
    Ok(plan)
}

/// What to say of a wallet that holds nothing.
pub fn empty_wallet(wallet: &Wallet) -> String {
    format!("the wallet holds nothing: send ADA to {} and run again", wallet.address())
}

/// Founds a committee.
pub async fn found_committee(
    chain: &Chain,
    protocol: &Protocol,
    wallet: &Wallet,
    datum: &CommitteeDatum,
) -> anyhow::Result<Committee> {
    let plan = founding(chain, protocol, wallet, datum).await?;
    let tx = place(chain, &plan, wallet).await.context("founding the committee")?;
    let outpoint = OutPoint { tx, index: 0 };
    Ok(Committee::read(protocol, outpoint, chain.unspent(&outpoint).await?)?)
}

/// The oldest committee with exactly these members, threshold and treasury. Strangers' outputs at the committees'
/// address are none: only the policy makes the NFT.
pub async fn committee_with(
    chain: &Chain,
    protocol: &Protocol,
    datum: &CommitteeDatum,
) -> anyhow::Result<Option<Committee>> {
    let outputs = chain.utxos_at(&protocol.committee_address()).await?;
    let mut committees =
        outputs.into_iter().filter_map(|utxo| Committee::read(protocol, utxo.outpoint, utxo.output).ok());
    Ok(committees.find(|committee| committee.datum == *datum))
}

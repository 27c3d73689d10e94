//! A transaction put together without asking its scripts first, so that it is the node that has to refuse it.
//!
//! The wallet's builder runs the scripts of a plan and gives up where one says no. An attacker's builder does not: it
//! pays a generous fee, declares as many units as there are, and sends.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use nunet::world::World;
use nunet_chain::{ChainError, Limit, Utxo, Wallet};
use nunet_contracts::TxPlan;
use nunet_ledger::{
    Certificate, Credential, ExUnits, Language, Lovelace, OutPoint, Purpose, Redeemer, RewardAccount, Script,
    ScriptHash, Transaction, TxBody, TxId, TxOut, Value, Witnesses, parameters::ProtocolParameters,
    plutus_data_to_cbor, script_data_hash,
};
use pallas_primitives::PlutusData;

/// More than any transaction costs: 16 KiB, all units, and the protocol's reference scripts come to 2.7 ADA.
const FEE: Lovelace = Lovelace(3_000_000);
/// The part of the fee that must be put up as collateral, 150 %.
const COLLATERAL: Lovelace = Lovelace(4_500_000);

/// A transaction that somebody tries.
#[derive(Clone, Debug, Default)]
pub struct Attempt {
    /// What it contains.
    pub plan: TxPlan,
    /// The argument of the script whose credential a certificate removes.
    pub certify: Option<PlutusData>,
    /// The datum of which an input holds only the hash.
    pub datum: Option<PlutusData>,
}

/// What the node says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is in a block.
    Taken(TxId),
    /// Every rule of the ledger holds, and this script says no.
    Refused {
        /// The script.
        by: ScriptHash,
        /// Its words.
        reason: String,
        /// What was sent, for another evaluator to judge.
        sent: Box<Sent>,
    },
    /// It breaks a rule of the ledger, so that no script was asked.
    Broke {
        /// The rule's predicate, as the ledger names it.
        rule: String,
        /// The whole answer.
        message: String,
    },
}

/// A transaction as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its bytes.
    pub cbor: Vec<u8>,
    /// The outputs that it consumes and reads.
    pub resolved: BTreeMap<OutPoint, TxOut>,
}

/// A script that has to allow a part of a transaction.
struct Run<'a> {
    purpose: Purpose,
    index: u32,
    script: ScriptHash,
    argument: Option<&'a PlutusData>,
}

impl From<TxPlan> for Attempt {
    fn from(plan: TxPlan) -> Self {
        Self { plan, ..Self::default() }
    }
}

impl Attempt {
    /// Sends the transaction; these wallets sign it, and the first pays.
    ///
    /// # Errors
    /// When there is no such transaction: the payer cannot pay, a script is missing, units do not suffice.
    pub async fn send(&self, world: &World, wallets: &[&Wallet]) -> anyhow::Result<Answer> {
        let payer = wallets.first().context("nobody pays")?;
        let owned = world.chain.spendable_at(&[payer.address(), payer.enterprise_address()]).await?;
        let funds = self.funds(&owned);
        let params = world.chain.params();
        let mut body = self.body(&funds, payer, &params)?;
        let (redeemers, languages) = {
            let runs = self.runs(&body);
            (redeemers(&runs, params.max_tx_ex_units), self.languages(&runs)?)
        };
        if !redeemers.is_empty() {
            put_up_collateral(&mut body, &owned)?;
            let datums: Vec<_> = self.datum.iter().cloned().collect();
            body.script_data_hash = Some(script_data_hash(&redeemers, &datums, &languages, &params));
        }
        let id = body.id();
        let vkeys: BTreeMap<_, _> =
            wallets.iter().map(|wallet| wallet.sign(&id)).map(|vkey| (vkey.key, vkey)).collect();
        let vkeys = vkeys.into_values().collect();
        let witnesses = Witnesses { vkeys, scripts: self.plan.scripts.clone(), redeemers };
        let tx = Transaction { body, witnesses };
        let sent = Sent { cbor: self.to_cbor(&tx), resolved: self.resolved(&owned) };
        match world.chain.submit(&sent.cbor).await {
            Ok(id) => {
                world.chain.wait_for(&id, 1, Limit::Polls(100)).await?;
                Ok(Answer::Taken(id))
            }
            Err(ChainError::Rejected { message, .. }) => self.refusal(&tx.body, message, sent),
            Err(other) => Err(other.into()),
        }
    }

    /// What the payer has beside what the plan consumes and reads.
    fn funds<'a>(&self, owned: &'a [Utxo]) -> Vec<&'a Utxo> {
        let spends = self.plan.spends.iter().map(|spend| spend.outpoint);
        let planned: BTreeSet<_> = spends.chain(self.plan.references.iter().map(|(outpoint, _)| *outpoint)).collect();
        owned.iter().filter(|utxo| !planned.contains(&utxo.outpoint)).collect()
    }

    /// Every output that the transaction may consume or read.
    fn resolved(&self, owned: &[Utxo]) -> BTreeMap<OutPoint, TxOut> {
        let owned = owned.iter().map(|utxo| (utxo.outpoint, utxo.output.clone()));
        let spent = self.plan.spends.iter().map(|spend| (spend.outpoint, spend.output.clone()));
        owned.chain(spent).chain(self.plan.references.iter().cloned()).collect()
    }

    fn body(&self, funds: &[&Utxo], payer: &Wallet, params: &ProtocolParameters) -> anyhow::Result<TxBody> {
        let plan = &self.plan;
        let spent = plan.spends.iter().map(|spend| (spend.outpoint, &spend.output));
        let inputs: BTreeMap<_, _> = spent.chain(funds.iter().map(|utxo| (utxo.outpoint, &utxo.output))).collect();
        let change = TxOut::new(payer.address(), self.change(inputs.values().copied(), params)?);
        Ok(TxBody {
            inputs: inputs.keys().copied().collect(),
            outputs: plan.outputs.iter().cloned().chain([change]).collect(),
            fee: FEE,
            valid_from: plan.valid_from,
            valid_until: plan.valid_until,
            certificates: plan.certificates.clone(),
            withdrawals: plan.withdrawals.iter().map(|withdrawal| (withdrawal.account, withdrawal.amount)).collect(),
            mint: plan.mints.iter().map(|mint| (mint.asset.clone(), mint.quantity)).collect(),
            required_signers: plan.required_signers.clone(),
            reference_inputs: plan.references.iter().map(|(outpoint, _)| *outpoint).collect(),
            ..TxBody::default()
        })
    }

    /// All that comes in less all that goes out.
    fn change<'a>(
        &self,
        inputs: impl Iterator<Item = &'a TxOut>,
        params: &ProtocolParameters,
    ) -> anyhow::Result<Value> {
        let withdrawn = self.plan.withdrawals.iter().map(|withdrawal| withdrawal.amount.0).sum();
        let mut comes = Value::lovelace_only(Lovelace(withdrawn));
        let mut goes = Value::lovelace_only(FEE);
        for input in inputs {
            comes = comes.checked_add(&input.value).context("what comes in overflows")?;
        }
        for output in &self.plan.outputs {
            goes = goes.checked_add(&output.value).context("what goes out overflows")?;
        }
        for mint in &self.plan.mints {
            let side = if mint.quantity > 0 { &mut comes } else { &mut goes };
            side.add_asset(mint.asset.clone(), mint.quantity.unsigned_abs()).context("what is minted overflows")?;
        }
        for certificate in &self.plan.certificates {
            let side = match certificate {
                Certificate::RegisterStake(_) | Certificate::RegisterAndDelegate { .. } => &mut goes,
                Certificate::DeregisterStake(_) => &mut comes,
                Certificate::Delegate { .. } => continue,
            };
            side.set_lovelace(Lovelace(side.lovelace().0 + params.key_deposit.0));
        }
        comes.checked_sub(&goes).with_context(|| format!("{goes:?} goes out, more than {comes:?}"))
    }

    /// Every part that a script has to allow, as redeemers point at it: withdrawals by scripts come before those by keys.
    fn runs(&self, body: &TxBody) -> Vec<Run<'_>> {
        let plan = &self.plan;
        let mut runs = Vec::new();
        let mut add = |purpose, index: usize, credential: Option<Credential>, argument| {
            if let (Some(Credential::Script(script)), Ok(index)) = (credential, u32::try_from(index)) {
                runs.push(Run { purpose, index, script, argument });
            }
        };
        for (index, outpoint) in body.inputs.iter().enumerate() {
            if let Some(spend) = plan.spends.iter().find(|spend| spend.outpoint == *outpoint) {
                add(Purpose::Spend, index, spend.output.address.payment(), spend.redeemer.as_ref());
            }
        }
        let policies: BTreeSet<ScriptHash> = body.mint.keys().map(|asset| asset.policy).collect();
        for (index, policy) in policies.into_iter().enumerate() {
            let mut of_policy = plan.mints.iter().filter(|mint| mint.asset.policy == policy);
            let argument = of_policy.find_map(|mint| mint.redeemer.as_ref());
            add(Purpose::Mint, index, Some(Credential::Script(policy)), argument);
        }
        for (index, certificate) in body.certificates.iter().enumerate() {
            // To register takes no witness.
            if let Certificate::DeregisterStake(credential) = certificate {
                add(Purpose::Certify, index, Some(*credential), self.certify.as_ref());
            }
        }
        let mut accounts: Vec<RewardAccount> = body.withdrawals.keys().copied().collect();
        accounts.sort_by_key(|account| match account.credential {
            Credential::Script(hash) => (0, hash.0),
            Credential::Key(hash) => (1, hash.0),
        });
        for (index, account) in accounts.into_iter().enumerate() {
            let withdrawal = plan.withdrawals.iter().find(|withdrawal| withdrawal.account == account);
            let argument = withdrawal.and_then(|withdrawal| withdrawal.redeemer.as_ref());
            add(Purpose::Withdraw, index, Some(account.credential), argument);
        }
        runs
    }

    /// The Plutus versions that run.
    fn languages(&self, runs: &[Run<'_>]) -> anyhow::Result<BTreeSet<Language>> {
        let read = self.plan.references.iter().map(|(_, output)| output);
        let outputs = read.chain(self.plan.spends.iter().map(|spend| &spend.output));
        let shown = outputs.filter_map(|output| output.reference_script.as_ref());
        let scripts: BTreeMap<ScriptHash, &Script> =
            self.plan.scripts.iter().chain(shown).map(|script| (script.hash(), script)).collect();
        let mut languages = BTreeSet::new();
        for Run { script, .. } in runs {
            languages.extend(scripts.get(script).with_context(|| format!("script {script} is nowhere"))?.language());
        }
        Ok(languages)
    }

    fn to_cbor(&self, tx: &Transaction) -> Vec<u8> {
        let Some(datum) = &self.datum else { return tx.to_cbor() };
        // Field 4 of the witness set, a map of less than 24 fields: the list of datums.
        let mut witnesses = tx.witnesses.to_cbor();
        if let Some(header) = witnesses.first_mut() {
            *header += 1;
        }
        witnesses.extend([0x04, 0x81]);
        witnesses.extend(plutus_data_to_cbor(datum));
        // A list of four: body, witnesses, true, null.
        [&[0x84], tx.body.to_cbor().as_slice(), &witnesses, &[0xf5, 0xf6]].concat()
    }

    /// Reads a refusal, which names the predicate first: `… "error":["Predicate (words)"] …`.
    fn refusal(&self, body: &TxBody, message: String, sent: Sent) -> anyhow::Result<Answer> {
        let (_, error) = message.split_once("\"error\":[\"").context("the answer names no error")?;
        let (rule, words) = error.split_once(" (").context("the answer names no rule")?;
        if rule != "ValidationTagMismatch" {
            let rule = rule.to_owned();
            return Ok(Answer::Broke { rule, message });
        }
        for reason in ["it went over its budget", "more than its redeemer declares"] {
            anyhow::ensure!(!words.contains(reason), "the units do not suffice: {words}");
        }
        let runs = self.runs(body);
        let refusing = runs.iter().find_map(|run| {
            let reason = words.strip_prefix(&format!("script for {:?} {} failed: ", run.purpose, run.index))?;
            Some((run.script, reason.to_owned()))
        });
        let named = refusing.with_context(|| format!("no script of the transaction is named: {words}"));
        named.map(|(by, reason)| Answer::Refused { by, reason, sent: Box::new(sent) })
    }
}

/// Redeemers that share all units equally.
fn redeemers(runs: &[Run<'_>], limit: ExUnits) -> Vec<Redeemer> {
    let arguments: Vec<_> = runs.iter().filter_map(|run| Some((run.purpose, run.index, run.argument?))).collect();
    let share = arguments.len().max(1) as u64;
    let units = ExUnits { mem: limit.mem / share, steps: limit.steps / share };
    let redeemer =
        |(purpose, index, argument): (_, _, &PlutusData)| Redeemer { purpose, index, data: argument.clone(), units };
    arguments.into_iter().map(redeemer).collect()
}

/// Puts up the richest of the payer's outputs, and takes back what is too much.
fn put_up_collateral(body: &mut TxBody, owned: &[Utxo]) -> anyhow::Result<()> {
    let richest = owned.iter().max_by_key(|utxo| utxo.output.value.lovelace()).context("the payer has nothing")?;
    let mut back = TxOut::new(richest.output.address.clone(), richest.output.value.clone());
    let left = back.value.lovelace().0.checked_sub(COLLATERAL.0).context("the payer has too little for collateral")?;
    back.value.set_lovelace(Lovelace(left));
    body.collateral = [richest.outpoint].into();
    body.collateral_return = Some(back);
    body.total_collateral = Some(COLLATERAL);
    Ok(())
}

//! From a plan to a transaction that pays for itself: inputs, collateral, execution units, fee and change.
//!
//! ```text
//! plan + funds ─► select inputs ─► draft ─► run scripts, measure ─► fee and units as drafted? ─► Unsigned
//!                      ▲                                                   │ no
//!                      └────────────── with the new fee and units ─────────┘
//! ```
//!
//! Everything is a pure function of its arguments: the same plan and funds give the same transaction.

mod change;
mod error;
mod scripts;
mod select;
mod share;
mod sheet;

use std::collections::{BTreeMap, BTreeSet};

use nunet_contracts::TxPlan;
use nunet_ledger::{
    Address, AssetId, ExUnits, KeyHash, Lovelace, NetworkMagic, OutPoint, SlotConfig, Transaction, TxBody, TxOut,
    VKeyWitness, Value, Witnesses,
    evaluate::{EvaluateError, evaluate},
    fees,
    parameters::ProtocolParameters,
    script_data_hash,
};

pub(crate) use self::scripts::signer_of;
pub use self::{
    change::{ChangeStyle, ChangeTo},
    error::{BuildError, RefusedDraft, Shortage},
    share::{Share, with_shares},
};
use self::{
    scripts::{Scripts, Subject},
    select::Funds,
    sheet::{Missing, Sheet},
};
use crate::{chain::Utxo, signed::Unsigned};

/// Rounds in which fee and units must repeat exactly. Three are usual; a change output whose encoding shrinks when the
/// fee grows can make the exact fee jump to and fro for ever.
const EXACT_ROUNDS: usize = 10;

/// Rounds in which fee and units may then only grow, until they suffice.
const GROWING_ROUNDS: usize = 10;

/// About the bytes of an input: an outpoint in its array.
const INPUT_BYTES: u64 = 40;

/// Makes a transaction of a plan: `funds` pay for what the plan lacks and get `change` after the plan's outputs.
///
/// The fee is the least that the ledger takes, with execution units as measured on the final transaction and room for
/// one signature of each key that has to sign. Nothing is sent or signed.
pub fn balance(
    plan: &TxPlan,
    funds: &[Utxo],
    change: &Address,
    params: &ProtocolParameters,
    slots: &SlotConfig,
    magic: NetworkMagic,
) -> Result<Unsigned, BuildError> {
    let change = ChangeTo { address: change.clone(), style: ChangeStyle::Single };
    balance_with(plan, funds, &change, params, slots, magic)
}

/// The same, with change in the form that is asked for. A tidy wallet with very many outputs also gets some of the smallest
/// joined, where no script runs.
pub fn balance_with(
    plan: &TxPlan,
    funds: &[Utxo],
    change: &ChangeTo,
    params: &ProtocolParameters,
    slots: &SlotConfig,
    magic: NetworkMagic,
) -> Result<Unsigned, BuildError> {
    check_plan(plan, params)?;
    let mut builder = Builder {
        plan,
        change,
        params,
        scripts: Scripts::of_plan(plan)?,
        sheet: Sheet::of_plan(plan, params),
        funds: Funds::new(funds, plan),
    };
    if change.style == ChangeStyle::Tidy && !builder.scripts.run() {
        // What an input adds to the fee, twice.
        builder.funds.sweep(Lovelace(2 * INPUT_BYTES * params.min_fee_a));
    }
    let mut terms =
        Terms { fee: fees::min_fee(params, guessed_size(plan), ExUnits::default(), 0), units: BTreeMap::new() };
    for round in 0..EXACT_ROUNDS + GROWING_ROUNDS {
        let draft = builder.draft(&terms)?;
        let measured = draft.measure(params, slots)?;
        let settled = if round < EXACT_ROUNDS { measured == terms } else { terms.suffice(&measured) };
        if settled {
            let Draft { tx, signers, resolved } = draft;
            return Ok(Unsigned::new(tx, signers, resolved, magic));
        }
        terms = if round < EXACT_ROUNDS { measured } else { terms.grown_to(measured) };
    }
    Err(BuildError::Unstable(EXACT_ROUNDS + GROWING_ROUNDS))
}

/// The outputs among `funds` that hold `value`, and with it enough for an output at `change`, or exactly the value.
pub(crate) fn cover(
    value: &Value,
    funds: &[Utxo],
    change: &Address,
    params: &ProtocolParameters,
) -> Result<Vec<Utxo>, BuildError> {
    let mut due = Sheet::default();
    due.add(value, -1);
    let mut funds = Funds::new(funds, &TxPlan::default());
    let change = ChangeTo { address: change.clone(), style: ChangeStyle::Single };
    pay(&due, &mut funds, Lovelace(0), &change, params, 0)?;
    Ok(funds.selected.into_iter().cloned().collect())
}

/// Selects funds until a sheet and the fee are paid; returns the change.
fn pay(
    due: &Sheet,
    funds: &mut Funds<'_>,
    fee: Lovelace,
    change: &ChangeTo,
    params: &ProtocolParameters,
    paid: u64,
) -> Result<Vec<TxOut>, BuildError> {
    loop {
        let mut sheet = due.clone();
        funds.selected.iter().for_each(|utxo| sheet.add(&utxo.output.value, 1));
        match sheet.change(fee, change, &funds.purse(paid), params) {
            Ok(change) => return Ok(change),
            Err(Missing::Some(missing)) => funds.add_for(missing)?,
            Err(overflow @ Missing::Overflow(_)) => return Err(overflow.into()),
        }
    }
}

/// What the rounds settle.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Terms {
    fee: Lovelace,
    units: BTreeMap<Subject, ExUnits>,
}

impl Terms {
    fn suffice(&self, needed: &Self) -> bool {
        self.fee >= needed.fee
            && needed.units.iter().all(|(subject, units)| {
                self.units.get(subject).is_some_and(|have| have.mem >= units.mem && have.steps >= units.steps)
            })
    }

    fn grown_to(mut self, needed: Self) -> Self {
        self.fee = self.fee.max(needed.fee);
        for (subject, units) in needed.units {
            let have = self.units.entry(subject).or_default();
            *have = ExUnits { mem: have.mem.max(units.mem), steps: have.steps.max(units.steps) };
        }
        self
    }
}

struct Builder<'a> {
    plan: &'a TxPlan,
    change: &'a ChangeTo,
    params: &'a ProtocolParameters,
    scripts: Scripts<'a>,
    sheet: Sheet,
    funds: Funds<'a>,
}

/// A transaction without signatures, with what is needed to judge it.
struct Draft {
    tx: Transaction,
    signers: BTreeSet<KeyHash>,
    resolved: BTreeMap<OutPoint, TxOut>,
}

impl Builder<'_> {
    fn draft(&mut self, terms: &Terms) -> Result<Draft, BuildError> {
        let change = self.select(terms.fee)?;
        let plan = self.plan;
        let mut resolved: BTreeMap<OutPoint, TxOut> = plan.references.iter().cloned().collect();
        let spent = plan.spends.iter().map(|spend| (spend.outpoint, &spend.output));
        let selected = self.funds.selected.iter().map(|utxo| (utxo.outpoint, &utxo.output));
        let inputs: BTreeMap<OutPoint, &TxOut> = spent.chain(selected).collect();
        let mut signers = scripts::plan_signers(plan);
        signers.extend(inputs.values().filter_map(|output| scripts::signer_of(output)));

        let mut body = TxBody {
            inputs: inputs.keys().copied().collect(),
            outputs: plan.outputs.iter().cloned().chain(change).collect(),
            fee: terms.fee,
            valid_from: plan.valid_from,
            valid_until: plan.valid_until,
            certificates: plan.certificates.clone(),
            withdrawals: plan.withdrawals.iter().map(|withdrawal| (withdrawal.account, withdrawal.amount)).collect(),
            mint: minted(plan)?,
            required_signers: plan.required_signers.clone(),
            reference_inputs: plan.references.iter().map(|(outpoint, _)| *outpoint).collect(),
            ..TxBody::default()
        };
        resolved.extend(inputs.into_iter().map(|(outpoint, output)| (outpoint, output.clone())));
        let redeemers = self.scripts.redeemers(&body, &terms.units);
        if self.scripts.run() {
            let required = collateral_for(terms.fee, self.params);
            let (collateral, back) = self.funds.collateral(required, self.params)?;
            let put_up: u64 = collateral.iter().map(|utxo| utxo.output.value.lovelace().0).sum();
            let returned = back.as_ref().map_or(0, |output| output.value.lovelace().0);
            body.collateral = collateral.iter().map(|utxo| utxo.outpoint).collect();
            body.collateral_return = back;
            body.total_collateral = Some(Lovelace(put_up.saturating_sub(returned)));
            body.script_data_hash = Some(script_data_hash(&redeemers, &[], &self.scripts.languages, self.params));
            signers.extend(collateral.iter().filter_map(|utxo| scripts::signer_of(&utxo.output)));
            resolved.extend(collateral.into_iter().map(|utxo| (utxo.outpoint, utxo.output.clone())));
        }
        self.scripts.add_signers(&mut signers);
        // One order, so that the same transaction always has the same bytes.
        let scripts: BTreeMap<_, _> = plan.scripts.iter().map(|script| (script.hash(), script.clone())).collect();
        let witnesses = Witnesses { vkeys: Vec::new(), scripts: scripts.into_values().collect(), redeemers };
        Ok(Draft { tx: Transaction { body, witnesses }, signers, resolved })
    }

    /// Selects funds until everything is paid; returns the change.
    fn select(&mut self, fee: Lovelace) -> Result<Vec<TxOut>, BuildError> {
        let paid = self.plan.outputs.iter().map(|output| output.value.lovelace().0).fold(0, u64::saturating_add);
        loop {
            let change = pay(&self.sheet, &mut self.funds, fee, self.change, self.params, paid)?;
            if !self.plan.spends.is_empty() || !self.funds.selected.is_empty() {
                return Ok(change);
            }
            // Every transaction consumes something: its id is unique by that.
            self.funds.add_for(Shortage::Lovelace(Lovelace(1)))?;
        }
    }
}

impl Draft {
    /// The fee and the units that this very transaction needs.
    fn measure(&self, params: &ProtocolParameters, slots: &SlotConfig) -> Result<Terms, BuildError> {
        // The size first: it costs nothing, and scripts may take long.
        let size = signed_size(&self.tx, &self.signers);
        if size as u64 > params.max_tx_size {
            return Err(BuildError::TooBig { size, max: params.max_tx_size });
        }
        let units = self.run_scripts(params, slots)?;
        let total = units.values().fold(ExUnits::default(), |sum, units| sum.plus(*units));
        let max = params.max_tx_ex_units;
        if total.mem > max.mem || total.steps > max.steps {
            return Err(BuildError::TooMuchExecution { used: total, max });
        }
        // What is declared is paid for, even when less is used.
        let declared = self.tx.witnesses.redeemers.iter().fold(ExUnits::default(), |sum, r| sum.plus(r.units));
        let paid = ExUnits { mem: total.mem.max(declared.mem), steps: total.steps.max(declared.steps) };
        Ok(Terms { fee: fees::min_fee(params, size, paid, self.reference_script_bytes()), units })
    }

    fn run_scripts(
        &self,
        params: &ProtocolParameters,
        slots: &SlotConfig,
    ) -> Result<BTreeMap<Subject, ExUnits>, BuildError> {
        if self.tx.witnesses.redeemers.is_empty() {
            return Ok(BTreeMap::new());
        }
        let cbor = self.tx.to_cbor();
        let used = evaluate(&cbor, &self.resolved, params, slots).map_err(|error| match error {
            EvaluateError::OverBudget { .. } => BuildError::OverBudget { max: params.max_tx_ex_units },
            error => BuildError::ScriptFailed {
                reason: error.to_string(),
                draft: Box::new(RefusedDraft { cbor, resolved: self.resolved.clone() }),
            },
        })?;
        let places = scripts::places(&self.tx.body);
        Ok(used
            .into_iter()
            .filter_map(|(purpose, index, units)| Some((*places.get(&(purpose, index))?, units)))
            .collect())
    }

    /// Bytes of reference scripts on inputs and reference inputs, used or not: all are paid for.
    fn reference_script_bytes(&self) -> usize {
        let outpoints = self.tx.body.inputs.union(&self.tx.body.reference_inputs);
        let outputs = outpoints.filter_map(|outpoint| self.resolved.get(outpoint));
        outputs.filter_map(|output| output.reference_script.as_ref()).map(|script| script.bytes().len()).sum()
    }
}

/// About the size of the transaction, from below: what the plan shows, with one input, one signature and change.
fn guessed_size(plan: &TxPlan) -> usize {
    const FRAME: usize = 200;
    const INPUT: usize = 36;
    let outputs: usize = plan.outputs.iter().map(|output| output.to_cbor().len()).sum();
    FRAME + outputs + INPUT * (plan.spends.len() + plan.references.len())
}

/// The size that the ledger will count once all of these have signed.
pub(crate) fn signed_size(tx: &Transaction, signers: &BTreeSet<KeyHash>) -> usize {
    let mut tx = tx.clone();
    // Each key's witness has the same size, whatever its bytes.
    tx.witnesses.vkeys = signers.iter().map(|hash| mock_witness(*hash)).collect();
    tx.ledger_size()
}

fn mock_witness(hash: KeyHash) -> VKeyWitness {
    let mut key = [0; 32];
    key[..28].copy_from_slice(&hash.0);
    VKeyWitness { key, signature: [0; 64] }
}

/// What can be said without any fund.
fn check_plan(plan: &TxPlan, params: &ProtocolParameters) -> Result<(), BuildError> {
    for (index, output) in plan.outputs.iter().enumerate() {
        let least = fees::min_ada(params, output).0;
        if let Some(missing) = least.checked_sub(output.value.lovelace().0).filter(|missing| *missing > 0) {
            return Err(BuildError::OutputTooSmall { index, missing });
        }
    }
    let mut seen = BTreeSet::new();
    let spends = plan.spends.iter().map(|spend| spend.outpoint);
    let mut used = spends.chain(plan.references.iter().map(|(outpoint, _)| *outpoint));
    match used.find(|outpoint| !seen.insert(*outpoint)) {
        Some(twice) => Err(BuildError::InputTwice(twice)),
        None => Ok(()),
    }
}

fn minted(plan: &TxPlan) -> Result<BTreeMap<AssetId, i64>, BuildError> {
    let mut minted = BTreeMap::new();
    for mint in &plan.mints {
        let sum: &mut i64 = minted.entry(mint.asset.clone()).or_default();
        *sum = sum.checked_add(mint.quantity).ok_or_else(|| BuildError::Overflow(mint.asset.to_string()))?;
    }
    minted.retain(|_, quantity| *quantity != 0);
    Ok(minted)
}

/// The least collateral for a fee: a percentage, rounded up (Alonzo ledger specification, `feesOK`).
fn collateral_for(fee: Lovelace, params: &ProtocolParameters) -> Lovelace {
    let percent = u128::from(fee.0) * u128::from(params.collateral_percent);
    Lovelace(u64::try_from(percent.div_ceil(100)).unwrap_or(u64::MAX))
}

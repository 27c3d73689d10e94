//! Several owners pay into one transaction: each puts in a value and gets its own change.

use nunet_contracts::{Spend, TxPlan};
use nunet_ledger::{Lovelace, TxOut, Value, parameters::ProtocolParameters};

use super::{
    ChangeTo,
    change::{self, Purse},
    cover,
    error::BuildError,
};
use crate::chain::Utxo;

/// What one of several owners puts into a transaction.
#[derive(Clone, Debug)]
pub struct Share<'a> {
    /// How much: exactly this, whatever the fee turns out to be.
    pub value: Value,
    /// What it is taken from.
    pub funds: &'a [Utxo],
    /// Where the rest goes.
    pub change: ChangeTo,
}

/// A plan to which owners beside the payer contribute. Their inputs are among its spends and their change follows its outputs;
/// whoever balances it pays fee, deposits and everything that is still missing. Each owner has to sign.
pub fn with_shares(mut plan: TxPlan, shares: &[Share<'_>], params: &ProtocolParameters) -> Result<TxPlan, BuildError> {
    for Share { value, funds, change } in shares {
        let short = |error| BuildError::Share { owner: change.address.clone(), error: Box::new(error) };
        // Each output pays for one owner only.
        let free: Vec<Utxo> = funds.iter().filter(|utxo| !uses(&plan, utxo)).cloned().collect();
        let inputs = cover(value, &free, &change.address, params).map_err(short)?;
        let held = inputs.iter().try_fold(Value::default(), |sum, utxo| sum.checked_add(&utxo.output.value));
        let rest = held.and_then(|held| held.checked_sub(value));
        let rest = rest.ok_or_else(|| short(BuildError::Overflow("a share".into())))?;
        if rest != Value::default() {
            let plain = free.iter().filter(|utxo| utxo.output.value.assets().len() == 0 && !inputs.contains(utxo));
            let amounts: Vec<u64> = plain.map(|utxo| utxo.output.value.lovelace().0).collect();
            let largest = amounts.iter().copied().max().unwrap_or(0);
            let purse = Purse { plain: amounts.len(), largest, paid: value.lovelace().0 };
            let missing =
                |missing| BuildError::NotEnoughFunds { missing: super::Shortage::Lovelace(Lovelace(missing)) };
            let back: Vec<TxOut> =
                change::outputs(&rest, change, &purse, params).map_err(|lovelace| short(missing(lovelace)))?;
            plan.outputs.extend(back);
        }
        let spends =
            inputs.into_iter().map(|utxo| Spend { outpoint: utxo.outpoint, output: utxo.output, redeemer: None });
        plan.spends.extend(spends);
    }
    Ok(plan)
}

fn uses(plan: &TxPlan, utxo: &Utxo) -> bool {
    plan.spends.iter().any(|spend| spend.outpoint == utxo.outpoint)
        || plan.references.iter().any(|(outpoint, _)| *outpoint == utxo.outpoint)
}

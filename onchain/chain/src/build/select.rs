//! Which of the wallet's outputs pay: few and large ones, so that the transaction stays small.

use std::{cmp::Reverse, collections::BTreeSet};

use nunet_contracts::TxPlan;
use nunet_ledger::{AssetId, Credential, Lovelace, OutPoint, TxOut, Value, fees, parameters::ProtocolParameters};

use super::{
    change::Purse,
    error::{BuildError, Shortage},
};
use crate::chain::Utxo;

/// An output with more kinds of assets than this is only touched when nothing else is left: its assets swell the
/// change, and anybody can send such an output.
const CROWDED: usize = 8;

/// A wallet with more outputs of plain lovelace than this gets some of them joined with each payment.
const MANY: usize = 40;

/// How many.
const SWEPT: usize = 6;

/// The wallet's outputs that can be used, and which of them are.
#[derive(Clone, Debug)]
pub(super) struct Funds<'a> {
    free: Vec<&'a Utxo>,
    /// Those that the plan consumes itself: they can still be collateral.
    planned: Vec<&'a Utxo>,
    pub(super) selected: Vec<&'a Utxo>,
}

impl<'a> Funds<'a> {
    /// The outputs that a key alone unlocks, without those that the plan reads.
    pub(super) fn new(funds: &'a [Utxo], plan: &TxPlan) -> Self {
        let spends: BTreeSet<OutPoint> = plan.spends.iter().map(|spend| spend.outpoint).collect();
        let mut used: BTreeSet<OutPoint> = plan.references.iter().map(|(outpoint, _)| *outpoint).collect();
        let usable = funds.iter().filter(|utxo| is_plain(&utxo.output) && used.insert(utxo.outpoint));
        let (planned, free) = usable.partition(|utxo| spends.contains(&utxo.outpoint));
        Self { free, planned, selected: Vec::new() }
    }

    /// Selects one more output towards what is missing; an error when none helps.
    pub(super) fn add_for(&mut self, missing: Shortage) -> Result<(), BuildError> {
        let best = match &missing {
            Shortage::Asset(asset, _) => self.best_for_asset(asset),
            Shortage::Lovelace(lovelace) => self.best_for_lovelace(*lovelace),
        };
        match best {
            Some(index) => {
                self.selected.push(self.free.swap_remove(index));
                Ok(())
            }
            None => Err(BuildError::NotEnoughFunds { missing }),
        }
    }

    /// What the wallet keeps, of a payment of `paid`.
    pub(super) fn purse(&self, paid: u64) -> Purse {
        let plain = self.free.iter().map(|utxo| &utxo.output).filter(|output| is_plain_lovelace(output));
        let amounts = plain.map(|output| output.value.lovelace().0);
        let (count, largest) = amounts.fold((0, 0), |(count, largest), amount| (count + 1, amount.max(largest)));
        Purse { plain: count, largest, paid }
    }

    /// Adds the smallest outputs of plain lovelace to what is selected, when the wallet has many: each costs less than it
    /// brings, and will never be as cheap to spend as beside others.
    pub(super) fn sweep(&mut self, worth: Lovelace) {
        let mut small: Vec<&Utxo> = self.free.iter().copied().filter(|utxo| is_plain_lovelace(&utxo.output)).collect();
        if small.len() <= MANY {
            return;
        }
        small.sort_by_key(|utxo| (utxo.output.value.lovelace(), utxo.outpoint));
        let worthwhile = small.into_iter().filter(|utxo| utxo.output.value.lovelace() >= worth);
        let swept: Vec<&Utxo> = worthwhile.take(SWEPT).collect();
        self.free.retain(|utxo| !swept.iter().any(|other| other.outpoint == utxo.outpoint));
        self.selected.extend(swept);
    }

    /// The largest holding, then the one with the fewest other assets.
    fn best_for_asset(&self, asset: &AssetId) -> Option<usize> {
        let holders = self.free.iter().enumerate().filter(|(_, utxo)| utxo.output.value.quantity(asset) > 0);
        let key = |utxo: &Utxo| {
            let value = &utxo.output.value;
            (is_welcome(utxo), value.quantity(asset), Reverse(value.assets().len()), Reverse(utxo.outpoint))
        };
        holders.max_by_key(|(_, utxo)| key(utxo)).map(|(index, _)| index)
    }

    /// An output of lovelace only when one suffices, the largest otherwise.
    fn best_for_lovelace(&self, missing: Lovelace) -> Option<usize> {
        let key = |utxo: &Utxo| {
            let value = &utxo.output.value;
            let suffices_alone = value.assets().len() == 0 && value.lovelace() >= missing;
            (is_welcome(utxo), suffices_alone, value.lovelace(), Reverse(utxo.outpoint))
        };
        let candidates = self.free.iter().enumerate().filter(|(_, utxo)| utxo.output.value.lovelace() > Lovelace(0));
        candidates.max_by_key(|(_, utxo)| key(utxo)).map(|(index, _)| index)
    }

    /// Inputs that stand for the failure of scripts, with at least `required` lovelace, and what comes back of them.
    ///
    /// The same outputs may be inputs and collateral (Babbage ledger specification, `feesOK`): only one of the two
    /// happens.
    pub(super) fn collateral(
        &self,
        required: Lovelace,
        params: &ProtocolParameters,
    ) -> Result<(Vec<&'a Utxo>, Option<TxOut>), BuildError> {
        let none = || BuildError::NoCollateral { required, max_inputs: params.max_collateral_inputs };
        let mut candidates: Vec<&Utxo> = self.selected.iter().chain(&self.planned).chain(&self.free).copied().collect();
        candidates.sort_by_key(|utxo| {
            let value = &utxo.output.value;
            (value.assets().len(), Reverse(value.lovelace()), utxo.outpoint)
        });
        let mut richest = candidates.clone();
        richest.sort_by_key(|utxo| (Reverse(utxo.output.value.lovelace()), utxo.outpoint));
        let most = usize::try_from(params.max_collateral_inputs).unwrap_or(usize::MAX);
        let first_fit = |order: &[&'a Utxo], rest: Rest| {
            (1..=most.min(order.len())).find_map(|count| {
                let inputs = order.get(..count)?;
                collateral_return(inputs, required, rest, params).map(|back| (inputs.to_vec(), back))
            })
        };
        // One rich output with assets may do what several poor ones without cannot.
        first_fit(&candidates, Rest::Returned)
            .or_else(|| first_fit(&richest, Rest::Returned))
            .or_else(|| first_fit(&candidates, Rest::Forfeit))
            .ok_or_else(none)
    }
}

/// What happens to collateral above the requirement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// It comes back in an output.
    Returned,
    /// It is too little for an output, and goes with the rest should a script fail.
    Forfeit,
}

/// What comes back of collateral inputs; `None` when they do not suffice for `required` and the return.
fn collateral_return(
    inputs: &[&Utxo],
    required: Lovelace,
    rest: Rest,
    params: &ProtocolParameters,
) -> Option<Option<TxOut>> {
    let mut sum = inputs.iter().try_fold(Value::default(), |sum, utxo| sum.checked_add(&utxo.output.value))?;
    let left = sum.lovelace().0.checked_sub(required.0)?;
    sum.set_lovelace(Lovelace(left));
    let back = TxOut::new(inputs.first()?.output.address.clone(), sum);
    if left >= fees::min_ada(params, &back).0 {
        return Some(Some(back));
    }
    // Assets cannot be put up, so they must come back.
    let can_be_lost = back.value.assets().len() == 0 && (left == 0 || rest == Rest::Forfeit);
    can_be_lost.then_some(None)
}

fn is_welcome(utxo: &Utxo) -> bool {
    utxo.output.reference_script.is_none() && utxo.output.value.assets().len() <= CROWDED
}

fn is_plain_lovelace(output: &TxOut) -> bool {
    output.value.assets().len() == 0 && output.reference_script.is_none() && output.datum.is_none()
}

fn is_plain(output: &TxOut) -> bool {
    matches!(output.address.payment(), Some(Credential::Key(_)))
}

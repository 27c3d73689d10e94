//! The balance sheet of a transaction: what comes in less what goes out, per asset.

use std::collections::BTreeMap;

use nunet_contracts::TxPlan;
use nunet_ledger::{AssetId, Certificate, Lovelace, TxOut, Value, parameters::ProtocolParameters};

use super::{
    change::{self, ChangeTo, Purse},
    error::{BuildError, Shortage},
};

/// Inputs less outputs. Sums of 64-bit amounts, far from the ends of 128 bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sheet {
    lovelace: i128,
    assets: BTreeMap<AssetId, i128>,
}

impl Sheet {
    /// The sheet of a plan, before any fee and without any fund: spends, mints, withdrawals and returned deposits less
    /// outputs, burns and deposits (`consumed` and `produced` in the Conway ledger specification).
    pub(super) fn of_plan(plan: &TxPlan, params: &ProtocolParameters) -> Self {
        let mut sheet = Self::default();
        plan.spends.iter().for_each(|spend| sheet.add(&spend.output.value, 1));
        plan.outputs.iter().for_each(|output| sheet.add(&output.value, -1));
        for mint in &plan.mints {
            sheet.add_asset(&mint.asset, mint.quantity.into());
        }
        sheet.lovelace += plan.withdrawals.iter().map(|withdrawal| i128::from(withdrawal.amount.0)).sum::<i128>();
        for certificate in &plan.certificates {
            sheet.lovelace += match certificate {
                Certificate::RegisterStake(_) => -i128::from(params.key_deposit.0),
                Certificate::RegisterAndDelegate { deposit, .. } => -i128::from(deposit.0),
                Certificate::Delegate { .. } => 0,
                Certificate::DeregisterStake(_) => i128::from(params.key_deposit.0),
            };
        }
        sheet
    }

    /// Adds a value, or takes it off with a `sign` of -1.
    pub(super) fn add(&mut self, value: &Value, sign: i128) {
        self.lovelace += sign * i128::from(value.lovelace().0);
        for (asset, quantity) in value.assets() {
            self.add_asset(asset, sign * i128::from(quantity));
        }
    }

    fn add_asset(&mut self, asset: &AssetId, quantity: i128) {
        *self.assets.entry(asset.clone()).or_default() += quantity;
    }

    /// What goes back to the payer after the fee: nothing, or outputs that the ledger accepts; or what is missing.
    pub(super) fn change(
        &self,
        fee: Lovelace,
        to: &ChangeTo,
        purse: &Purse,
        params: &ProtocolParameters,
    ) -> Result<Vec<TxOut>, Missing> {
        let mut value = Value::default();
        for (asset, quantity) in &self.assets {
            if *quantity < 0 {
                return Err(Missing::Some(shortage(Some(asset), -quantity)));
            }
            let quantity = u64::try_from(*quantity).map_err(|_| Missing::Overflow(asset.to_string()))?;
            // Quantities of distinct assets: no sum, no overflow.
            let _ = value.add_asset(asset.clone(), quantity);
        }
        let rest = self.lovelace - i128::from(fee.0);
        if rest == 0 && value.assets().len() == 0 {
            return Ok(Vec::new());
        }
        let held = u64::try_from(rest.max(0)).map_err(|_| Missing::Overflow("lovelace".into()))?;
        value.set_lovelace(Lovelace(held));
        // What is owed already comes on top of what an output must hold.
        let owed = (-rest).max(0);
        match change::outputs(&value, to, purse, params) {
            Ok(outputs) if owed == 0 => Ok(outputs),
            Ok(_) => Err(Missing::Some(shortage(None, owed))),
            Err(missing) => Err(Missing::Some(shortage(None, owed + i128::from(missing)))),
        }
    }
}

/// Why there is no change output.
pub(super) enum Missing {
    /// More inputs are needed.
    Some(Shortage),
    /// No input helps.
    Overflow(String),
}

impl From<Missing> for BuildError {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Some(missing) => Self::NotEnoughFunds { missing },
            Missing::Overflow(what) => Self::Overflow(what),
        }
    }
}

fn shortage(asset: Option<&AssetId>, missing: i128) -> Shortage {
    let missing = u64::try_from(missing).unwrap_or(u64::MAX);
    match asset {
        Some(asset) => Shortage::Asset(asset.clone(), missing),
        None => Shortage::Lovelace(Lovelace(missing)),
    }
}

//! Sums of values, some of them subtracted, whose terms may be negative.

use std::collections::BTreeMap;

use crate::value::{AssetId, Value};

/// A sum of values, some of them subtracted. A transaction has far fewer terms than would overflow 128 bits.
#[derive(Default)]
pub(super) struct Balance<'a> {
    pub(super) lovelace: i128,
    assets: BTreeMap<&'a AssetId, i128>,
}

impl<'a> Balance<'a> {
    /// Adds a value, or subtracts it when `sign` is −1.
    pub(super) fn add(&mut self, value: &'a Value, sign: i128) {
        self.lovelace += sign * i128::from(value.lovelace().0);
        for (asset, quantity) in value.assets() {
            self.add_asset(asset, sign * i128::from(quantity));
        }
    }

    /// Adds a quantity of an asset.
    pub(super) fn add_asset(&mut self, asset: &'a AssetId, quantity: i128) {
        *self.assets.entry(asset).or_default() += quantity;
    }

    /// The assets whose sum is not zero.
    pub(super) fn unequal(&self) -> Vec<(AssetId, i128)> {
        let unequal = self.assets.iter().filter(|(_, quantity)| **quantity != 0);
        unequal.map(|(asset, quantity)| ((*asset).clone(), *quantity)).collect()
    }
}

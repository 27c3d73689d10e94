//! What an output holds: lovelace and native assets.

use std::{collections::BTreeMap, fmt};

use crate::units::{Lovelace, ScriptHash};

/// A native asset: minting policy and name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetId {
    /// The hash of the minting policy.
    pub policy: ScriptHash,
    /// The asset name, at most 32 bytes.
    pub name: Vec<u8>,
}

impl fmt::Display for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.policy, hex::encode(&self.name))
    }
}

impl fmt::Debug for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssetId({self})")
    }
}

/// An amount of lovelace and of any number of native assets. No asset has a quantity of zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    lovelace: Lovelace,
    assets: BTreeMap<AssetId, u64>,
}

impl Value {
    /// Only lovelace.
    pub fn lovelace_only(lovelace: Lovelace) -> Self {
        Self { lovelace, assets: BTreeMap::new() }
    }

    /// The same with a quantity of an asset added; a quantity of zero adds nothing.
    /// Returns `None` when the sum does not fit 64 bits.
    #[must_use]
    pub fn with(mut self, asset: AssetId, quantity: u64) -> Option<Self> {
        self.add_asset(asset, quantity)?;
        Some(self)
    }

    /// The lovelace.
    pub fn lovelace(&self) -> Lovelace {
        self.lovelace
    }

    /// Replaces the lovelace.
    pub fn set_lovelace(&mut self, lovelace: Lovelace) {
        self.lovelace = lovelace;
    }

    /// The quantity of an asset, zero when there is none.
    pub fn quantity(&self, asset: &AssetId) -> u64 {
        self.assets.get(asset).copied().unwrap_or(0)
    }

    /// The assets in canonical order (policy, then name, bytewise), each with a quantity above zero.
    pub fn assets(&self) -> impl ExactSizeIterator<Item = (&AssetId, u64)> {
        self.assets.iter().map(|(asset, quantity)| (asset, *quantity))
    }

    /// Adds a quantity of an asset; `None`, and no change, when the sum does not fit 64 bits.
    #[must_use]
    pub fn add_asset(&mut self, asset: AssetId, quantity: u64) -> Option<()> {
        if quantity == 0 {
            return Some(());
        }
        let sum = self.quantity(&asset).checked_add(quantity)?;
        self.assets.insert(asset, sum);
        Some(())
    }

    /// The sum; `None` when a component does not fit 64 bits.
    #[must_use]
    pub fn checked_add(&self, other: &Self) -> Option<Self> {
        let mut sum = self.clone();
        sum.lovelace.0 = sum.lovelace.0.checked_add(other.lovelace.0)?;
        for (asset, quantity) in other.assets() {
            sum.add_asset(asset.clone(), quantity)?;
        }
        Some(sum)
    }

    /// The difference; `None` when a component would be negative.
    #[must_use]
    pub fn checked_sub(&self, other: &Self) -> Option<Self> {
        let mut rest = self.clone();
        rest.lovelace.0 = rest.lovelace.0.checked_sub(other.lovelace.0)?;
        for (asset, quantity) in other.assets() {
            let left = rest.quantity(asset).checked_sub(quantity)?;
            if left == 0 {
                rest.assets.remove(asset);
            } else {
                rest.assets.insert(asset.clone(), left);
            }
        }
        Some(rest)
    }
}

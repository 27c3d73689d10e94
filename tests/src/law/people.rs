//! Who there is, and what they hold.

use std::fmt;

use nunet_chain::Wallet;
use nunet_devnet::Applied;
use nunet_ledger::{Address, AssetId, KeyHash, OutPoint, TxOut};

/// An amount of both kinds of money, or by how much it changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Money {
    /// NTX base units.
    pub ntx: i128,
    /// Lovelace.
    pub lovelace: i128,
}

impl Money {
    /// What an output holds.
    pub fn in_output(output: &TxOut, ntx: &AssetId) -> Self {
        Self { ntx: output.value.quantity(ntx).into(), lovelace: output.value.lovelace().0.into() }
    }

    /// All that these outputs hold.
    pub fn in_outputs<'a>(outputs: impl Iterator<Item = &'a (OutPoint, TxOut)>, ntx: &AssetId) -> Self {
        outputs.fold(Self::default(), |sum, (_, output)| sum + Self::in_output(output, ntx))
    }
}

impl std::ops::Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { ntx: self.ntx + other.ntx, lovelace: self.lovelace + other.lovelace }
    }
}

impl std::ops::Sub for Money {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { ntx: self.ntx - other.ntx, lovelace: self.lovelace - other.lovelace }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} NTX units and {} lovelace", self.ntx, self.lovelace)
    }
}

/// Everybody who has a wallet.
pub struct People {
    wallets: Vec<Wallet>,
}

impl People {
    /// The holders of these wallets.
    pub fn new(wallets: Vec<Wallet>) -> Self {
        Self { wallets }
    }

    /// A wallet.
    pub fn wallet(&self, who: usize) -> &Wallet {
        &self.wallets[who]
    }

    /// All wallets.
    pub fn wallets(&self) -> Vec<&Wallet> {
        self.wallets.iter().collect()
    }

    /// Everybody.
    pub fn all(&self) -> impl Iterator<Item = usize> + use<> {
        0..self.wallets.len()
    }

    /// Whose address it is: the whole of it counts, with its stake part.
    pub fn owner(&self, address: &Address) -> Option<usize> {
        self.wallets.iter().position(|wallet| wallet.address() == *address || wallet.enterprise_address() == *address)
    }

    /// Whose key it is.
    pub fn holder(&self, key: &KeyHash) -> Option<usize> {
        self.wallets.iter().position(|wallet| wallet.key_hash() == *key)
    }

    /// What somebody gained in a transaction. What they get counts only where nothing is attached to it: a datum or a
    /// reference script can keep a wallet from finding it.
    pub fn gain(&self, who: usize, applied: &Applied, ntx: &AssetId) -> Money {
        let theirs = |output: &TxOut| self.owner(&output.address) == Some(who);
        let plain = |output: &TxOut| output.datum.is_none() && output.reference_script.is_none();
        let lost = applied.consumed.iter().filter(|(_, output)| theirs(output));
        let got = applied.produced.iter().filter(|(_, output)| theirs(output) && plain(output));
        Money::in_outputs(got, ntx) - Money::in_outputs(lost, ntx)
    }
}

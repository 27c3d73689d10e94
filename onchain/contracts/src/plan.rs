//! A transaction of the protocol as a plan: everything the validators look at, before anybody's wallet pays for it.
//!
//! A plan fixes the outputs that validators read by position. Coin selection, collateral, change and the fee are added
//! after them by whoever pays (`nunet-chain`).

use std::collections::BTreeSet;

use nunet_ledger::{AssetId, Certificate, KeyHash, Lovelace, OutPoint, RewardAccount, Script, Slot, TxOut};
use pallas_primitives::PlutusData;

/// An output that is consumed.
#[derive(Clone, Debug, PartialEq)]
pub struct Spend {
    /// Which one.
    pub outpoint: OutPoint,
    /// What it is.
    pub output: TxOut,
    /// The argument for its script; `None` for a key's output.
    pub redeemer: Option<PlutusData>,
}

/// A quantity that is minted (above zero) or burnt (below).
#[derive(Clone, Debug, PartialEq)]
pub struct Mint {
    /// Of which asset.
    pub asset: AssetId,
    /// How much.
    pub quantity: i64,
    /// The argument for the policy; `None` for a native script. One per policy is enough.
    pub redeemer: Option<PlutusData>,
}

/// A withdrawal from a stake account.
#[derive(Clone, Debug, PartialEq)]
pub struct Withdrawal {
    /// From which account.
    pub account: RewardAccount,
    /// How much; the ledger wants the whole balance of the account.
    pub amount: Lovelace,
    /// The argument for its script; `None` for a key's account.
    pub redeemer: Option<PlutusData>,
}

/// What a transaction must contain; the payer's inputs, collateral, change and fee are still missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TxPlan {
    /// Outputs consumed, beside the payer's.
    pub spends: Vec<Spend>,
    /// Outputs read.
    pub references: Vec<(OutPoint, TxOut)>,
    /// Outputs made, at these positions; change comes after them.
    pub outputs: Vec<TxOut>,
    /// What is minted.
    pub mints: Vec<Mint>,
    /// Withdrawals.
    pub withdrawals: Vec<Withdrawal>,
    /// Certificates, in order.
    pub certificates: Vec<Certificate>,
    /// Keys that must sign for a validator to see it.
    pub required_signers: BTreeSet<KeyHash>,
    /// First slot of validity.
    pub valid_from: Option<Slot>,
    /// First slot after it.
    pub valid_until: Option<Slot>,
    /// Scripts that the witness set carries, because no reference input does.
    pub scripts: Vec<Script>,
}

//! Why a plan does not become a transaction.

use std::{collections::BTreeMap, fmt};

use nunet_ledger::{Address, AssetId, ExUnits, KeyHash, Lovelace, OutPoint, ScriptHash, TxId, TxOut};

/// Why a plan does not become a transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The wallet cannot pay.
    #[error(
        "the wallet lacks {missing} for this transaction (outputs, fee and the least that change must hold): add funds"
    )]
    NotEnoughFunds {
        /// What is missing, with everything usable in the wallet counted.
        missing: Shortage,
    },
    /// One of several owners cannot put in its share.
    #[error("the owner of {owner} cannot put in its share: {error}")]
    Share {
        /// Where its change would go.
        owner: Address,
        /// Why not.
        error: Box<BuildError>,
    },
    /// A script runs, and nothing can stand for its failure.
    #[error(
        "the wallet has no collateral of {required}: a transaction that runs scripts needs up to {max_inputs} outputs \
         of the wallet's own with that much lovelace; add one of 5 ADA"
    )]
    NoCollateral {
        /// The lovelace that must be put up.
        required: Lovelace,
        /// How many inputs may do so.
        max_inputs: u64,
    },
    /// An output of the plan is below the ledger's minimum.
    #[error("output {index} of the plan needs {missing} more lovelace to meet the minimum of the ledger")]
    OutputTooSmall {
        /// Its position.
        index: usize,
        /// How much is missing.
        missing: u64,
    },
    /// A script says no.
    #[error("a script refuses the transaction: {reason}")]
    ScriptFailed {
        /// Which one, and its words.
        reason: String,
        /// The transaction.
        draft: Box<RefusedDraft>,
    },
    /// A script that must run is nowhere.
    #[error("{needed_by} needs script {hash}, which is neither in the plan nor among its references")]
    ScriptMissing {
        /// The script.
        hash: ScriptHash,
        /// What needs it.
        needed_by: String,
    },
    /// A redeemer where no script runs.
    #[error("{0} has a redeemer, but no script stands behind it")]
    NoScript(String),
    /// More bytes than a transaction may have.
    #[error("the transaction has {size} bytes, {max} are allowed: do less in one transaction")]
    TooBig {
        /// Its size.
        size: usize,
        /// The limit.
        max: u64,
    },
    /// More execution than a transaction may use.
    #[error(
        "the scripts use {} memory and {} steps, {} and {} are allowed: do less in one transaction",
        used.mem, used.steps, max.mem, max.steps
    )]
    TooMuchExecution {
        /// What they use.
        used: ExUnits,
        /// The limit.
        max: ExUnits,
    },
    /// A single script uses more than a transaction may.
    #[error(
        "a script uses more than the {} memory and {} steps that a transaction may: do less in one transaction",
        max.mem, max.steps
    )]
    OverBudget {
        /// The limit.
        max: ExUnits,
    },
    /// An output is both consumed twice or consumed and read.
    #[error("output {0} appears twice among what the plan consumes and reads")]
    InputTwice(OutPoint),
    /// Amounts beyond 64 bits.
    #[error("the amounts of {0} in this transaction do not fit 64 bits")]
    Overflow(String),
    /// Fee and scripts do not settle.
    #[error("the fee did not settle after {0} rounds: a script's cost depends on the fee in a way that never ends")]
    Unstable(usize),
    /// Signatures are missing.
    #[error("signatures are missing of {}", list(.0))]
    MissingSignatures(Vec<KeyHash>),
    /// A signature nobody asked for, or a wrong one.
    #[error("the signature of key {key} {reason}")]
    BadSignature {
        /// The hash of the key.
        key: KeyHash,
        /// What is wrong.
        reason: &'static str,
    },
    /// Signatures are for another transaction.
    #[error("these signatures are for transaction {found}, not for {expected}")]
    OtherTransaction {
        /// The one that waits for signatures.
        expected: TxId,
        /// The one that was signed.
        found: TxId,
    },
}

/// A transaction as its scripts saw and refused it, for a closer look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedDraft {
    /// Its bytes, without signatures.
    pub cbor: Vec<u8>,
    /// The outputs that it spends and reads.
    pub resolved: BTreeMap<OutPoint, TxOut>,
}

impl BuildError {
    /// Whether less would fit: the plan exceeds what one transaction may have or use.
    pub fn exceeds_a_transaction(&self) -> bool {
        matches!(self, Self::TooBig { .. } | Self::TooMuchExecution { .. } | Self::OverBudget { .. })
    }

    /// Whether the wallet is at fault, and not the plan.
    pub fn wants_funds(&self) -> bool {
        matches!(self, Self::NotEnoughFunds { .. } | Self::NoCollateral { .. })
    }
}

/// An amount that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// Of lovelace.
    Lovelace(Lovelace),
    /// Of an asset, in base units.
    Asset(AssetId, u64),
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lovelace(amount) => amount.fmt(f),
            Self::Asset(asset, quantity) => write!(f, "{quantity} base units of asset {asset}"),
        }
    }
}

fn list(keys: &[KeyHash]) -> String {
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

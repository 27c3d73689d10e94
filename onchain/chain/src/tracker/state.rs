//! What a tracker follows, what an endpoint says about it, and the state that this makes at a block.

use nunet_ledger::{Address, OutPoint, TxId, TxOut};

use crate::chain::{Tip, Utxo};

/// What is followed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// One output, whether it exists yet or not.
    Outpoint(OutPoint),
    /// All unspent outputs at an address.
    Address(Address),
}

/// Where an outpoint stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutpointState {
    /// No transaction in a block made it (or that block was rolled back).
    Unknown,
    /// It can be spent.
    Unspent {
        /// What it is.
        output: TxOut,
        /// Blocks from the one that made it to the latest, both counted: 1 in the latest block.
        depth: u64,
    },
    /// It was spent.
    Spent {
        /// What it was.
        output: TxOut,
        /// By which transaction.
        by: TxId,
        /// Blocks from the one that spent it to the latest, both counted.
        depth: u64,
    },
}

/// An unspent output at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deposit {
    /// The output.
    pub utxo: Utxo,
    /// Blocks from the one that made it to the latest, both counted: 1 in the latest block.
    pub depth: u64,
}

/// The unspent outputs at an address, by outpoint.
pub type AddressState = Vec<Deposit>;

/// A state of either kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Of an outpoint.
    Outpoint(OutpointState),
    /// Of an address.
    Address(AddressState),
}

/// What an endpoint says, in block heights: depths depend on the block that it is seen from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// About an outpoint; `None` when it was never made.
    Outpoint(Option<Found>),
    /// About an address: its unspent outputs, each with the height of the block that made it.
    Address(Vec<(Utxo, u64)>),
}

/// An output that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub output: TxOut,
    /// The height of the block that made it.
    pub height: u64,
    /// The transaction that spent it, with the height of its block.
    pub spent: Option<(TxId, u64)>,
}

impl Reading {
    /// The state as the chain that ends at `at` has it; `None` when the reading knows of later blocks.
    pub(super) fn state(self, at: &Tip) -> Option<State> {
        let depth = |height: u64| at.height.checked_sub(height).and_then(|below| below.checked_add(1));
        Some(match self {
            Self::Outpoint(None) => State::Outpoint(OutpointState::Unknown),
            Self::Outpoint(Some(Found { output, height, spent })) => State::Outpoint(match spent {
                None => OutpointState::Unspent { output, depth: depth(height)? },
                Some((by, spent)) => OutpointState::Spent { output, by, depth: depth(spent.max(height))? },
            }),
            Self::Address(utxos) => {
                let deposits = utxos.into_iter().map(|(utxo, height)| Some(Deposit { utxo, depth: depth(height)? }));
                let mut deposits: AddressState = deposits.collect::<Option<_>>()?;
                deposits.sort_by_key(|deposit| deposit.utxo.outpoint);
                State::Address(deposits)
            }
        })
    }
}

//! Blocks and the transactions in them, as the chain hands them out.

use std::sync::Arc;

use nunet_ledger::{
    Credential, ExUnits, Lovelace, OutPoint, PosixMs, Purpose, Slot, TxId, TxOut, Value,
    hash::blake2b_256,
    rules::{Account, Effects, LedgerState},
};

use crate::details::Details;

/// The latest block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Blocks before it.
    pub height: u64,
    /// Its slot.
    pub slot: Slot,
    /// When its slot begins.
    pub time: PosixMs,
    /// Its hash.
    pub hash: [u8; 32],
}

/// A transaction that a block holds, with all that it moved.
///
/// Lovelace is conserved: consumed + withdrawn = produced + fee + deposit; and per asset, consumed + minted = produced.
/// The outputs of the genesis come from nothing: its `consumed` is empty and `genesis` says so.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub struct Applied {
    /// Its id.
    pub id: TxId,
    /// Its bytes as they were submitted.
    pub cbor: Vec<u8>,
    /// `false` when a script failed and the collateral was taken.
    pub valid: bool,
    /// What the network took: the fee, or the collateral.
    pub fee: Lovelace,
    /// The outputs it consumed.
    pub consumed: Vec<(OutPoint, TxOut)>,
    /// The outputs it made.
    pub produced: Vec<(OutPoint, TxOut)>,
    /// Deposits it paid, less those it got back.
    pub deposit: i64,
    /// What it took out of stake accounts.
    pub withdrawn: Lovelace,
    /// Execution units that its redeemers declare.
    pub units: Vec<(Purpose, u32, ExUnits)>,
    /// All that the genesis funded, for its transaction; otherwise `None`.
    pub genesis: Option<Value>,
    /// The stake accounts it changed, as it left them.
    pub(crate) accounts: Changes,
    pub(crate) details: Details,
}

/// Stake accounts as something left them; `None` for one that was removed.
pub(crate) type Changes = Vec<(Credential, Option<Account>)>;

/// A block.
#[derive(Clone, Debug)]
pub struct Block {
    /// Where it stands.
    pub tip: Tip,
    /// The hash of the block before; `None` for the genesis.
    pub previous: Option<[u8; 32]>,
    /// How many rollbacks the chain had seen when it was made.
    pub fork: u64,
    /// What was paid into stake accounts before its first transaction.
    pub rewards: Vec<(Credential, Lovelace)>,
    /// Its transactions, in order.
    pub transactions: Vec<Arc<Applied>>,
    /// The stake accounts that changed before its first transaction, as they were then.
    pub(crate) accounts: Changes,
}

/// What a block cannot be made again without: the chain's other facts follow from these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRecord {
    /// Its slot.
    pub slot: Slot,
    /// See [`Block::fork`].
    pub fork: u64,
    /// See [`Block::rewards`].
    pub rewards: Vec<(Credential, Lovelace)>,
    /// The bytes of its transactions, in order.
    pub transactions: Vec<Vec<u8>>,
    /// Its hash.
    pub hash: [u8; 32],
}

impl Block {
    /// What [`crate::Chain::replay`] makes this block from again.
    pub fn record(&self) -> BlockRecord {
        BlockRecord {
            slot: self.tip.slot,
            fork: self.fork,
            rewards: self.rewards.clone(),
            transactions: self.transactions.iter().map(|applied| applied.cbor.clone()).collect(),
            hash: self.tip.hash,
        }
    }
}

impl Applied {
    /// Notes what a transaction is about to do to a state.
    pub(super) fn of(state: &LedgerState, cbor: Vec<u8>, details: Details, effects: &Effects) -> Self {
        let held = |outpoint: &OutPoint| Some((*outpoint, state.utxo.get(outpoint)?.clone()));
        let withdrawn = match effects.valid {
            true => details.withdrawals.values().fold(0_u64, |sum, amount| sum.saturating_add(amount.0)),
            false => 0,
        };
        Self {
            id: effects.id,
            cbor,
            valid: effects.valid,
            fee: effects.fee,
            consumed: effects.consumed.iter().filter_map(held).collect(),
            produced: effects.produced.clone(),
            deposit: deposit(state, effects),
            withdrawn: Lovelace(withdrawn),
            units: effects.units.clone(),
            genesis: None,
            accounts: effects.accounts.clone(),
            details,
        }
    }

    /// The genesis as a transaction.
    pub(crate) fn genesis(id: TxId, cbor: Vec<u8>, produced: Vec<(OutPoint, TxOut)>, funded: Value) -> Self {
        Self {
            id,
            cbor,
            valid: true,
            fee: Lovelace(0),
            consumed: Vec::new(),
            produced,
            deposit: 0,
            withdrawn: Lovelace(0),
            units: Vec::new(),
            genesis: Some(funded),
            accounts: Vec::new(),
            details: Details::default(),
        }
    }

    /// The sum of the execution units that its redeemers declare.
    pub(super) fn total_units(&self) -> ExUnits {
        self.units.iter().fold(ExUnits::default(), |sum, (_, _, units)| sum.plus(*units))
    }

    /// Whether its validity interval holds a slot.
    pub(super) fn holds(&self, slot: Slot) -> bool {
        self.details.valid_from.is_none_or(|from| from <= slot)
            && self.details.valid_until.is_none_or(|until| slot < until)
    }
}

/// Deposits that a transaction pays, less those that it gets back.
fn deposit(state: &LedgerState, effects: &Effects) -> i64 {
    let accounts = effects.accounts.iter().map(|(credential, after)| {
        let before = state.accounts.get(credential).map(|account| account.deposit);
        (before, after.as_ref().map(|account| account.deposit))
    });
    let pools = effects.pools.iter().map(|(id, after)| {
        let before = state.pools.get(id).map(|pool| pool.deposit);
        (before, after.as_ref().map(|pool| pool.deposit))
    });
    accounts.chain(pools).fold(0_i64, |sum, (before, after)| {
        let (before, after) = (before.unwrap_or_default().0, after.unwrap_or_default().0);
        sum.saturating_add(after.cast_signed()).saturating_sub(before.cast_signed())
    })
}

/// blake2b-256 over height ‖ slot ‖ fork ‖ previous hash ‖ rewards ‖ transaction ids: blocks here have no header of
/// Cardano's.
///
/// The fork makes a block that is made again after a rollback another one, also in the same slot with the same
/// transactions.
pub(super) fn block_hash<'a>(
    (height, slot, fork): (u64, Slot, u64),
    previous: Option<[u8; 32]>,
    rewards: &[(Credential, Lovelace)],
    transactions: impl IntoIterator<Item = &'a TxId>,
) -> [u8; 32] {
    let mut bytes = b"nunet devnet block".to_vec();
    for number in [height, slot.0, fork, rewards.len() as u64] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(&previous.unwrap_or_default());
    for (credential, Lovelace(amount)) in rewards {
        let (kind, hash) = match credential {
            Credential::Key(hash) => (0, hash.0),
            Credential::Script(hash) => (1, hash.0),
        };
        bytes.push(kind);
        bytes.extend_from_slice(&hash);
        bytes.extend_from_slice(&amount.to_be_bytes());
    }
    for id in transactions {
        bytes.extend_from_slice(&id.0);
    }
    blake2b_256(&bytes)
}

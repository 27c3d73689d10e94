//! The chain's core, without IO: the ledger's state, the mempool on top of it, and the making of blocks.
//!
//! Time comes in as an argument. What a block did goes out as a [`Block`], which `History` indexes for the API.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    sync::Arc,
};

use nunet_ledger::{
    CborError, Credential, ExUnits, Lovelace, NetworkMagic, OutPoint, PosixMs, Purpose, Slot, SlotConfig, TxId, TxOut,
    Value,
    hash::blake2b_256,
    parameters::ProtocolParameters,
    rules::{Account, Effects, LedgerError, LedgerState},
};

use crate::{
    details::Details,
    genesis::{Genesis, GenesisError},
};

/// Length of a slot, in milliseconds.
pub const SLOT_LENGTH_MS: u32 = 1_000;

/// How many blocks' bodies of transactions the mempool holds at most.
pub const MEMPOOL_BLOCKS: u64 = 16;

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
    pub(crate) details: Details,
}

/// A block.
#[derive(Clone, Debug)]
pub struct Block {
    /// Where it stands.
    pub tip: Tip,
    /// The hash of the block before; `None` for the genesis.
    pub previous: Option<[u8; 32]>,
    /// Its transactions, in order.
    pub transactions: Vec<Arc<Applied>>,
    /// Every registered stake account after it.
    pub accounts: BTreeMap<Credential, Account>,
}

/// Why a transaction was not taken into the mempool.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The ledger's rules refuse it.
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    /// The ledger took it, but the index cannot read it.
    #[error("the transaction cannot be read: {0}; encode it as the Conway CDDL says")]
    Unreadable(#[from] CborError),
    /// No room.
    #[error("the mempool is full ({bytes} bytes wait); submit again after the next block")]
    MempoolFull {
        /// What waits already.
        bytes: u64,
    },
}

/// A transaction that waits for a block.
#[derive(Debug)]
struct Pending {
    cbor: Vec<u8>,
    id: TxId,
    details: Details,
}

/// The state of the ledger and what waits to change it.
#[derive(Debug)]
pub struct Chain {
    confirmed: LedgerState,
    /// `confirmed` with every transaction of the mempool applied.
    pending: LedgerState,
    mempool: VecDeque<Pending>,
    mempool_bytes: u64,
    tip: Tip,
}

impl Chain {
    /// A chain whose slot 0 begins at `start`, and its first block.
    pub fn new(genesis: &Genesis, params: ProtocolParameters, start: PosixMs) -> Result<(Self, Block), GenesisError> {
        let transaction = genesis.transaction()?;
        let slots = SlotConfig { zero_time: start, zero_slot: Slot(0), slot_length_ms: SLOT_LENGTH_MS };
        let mut confirmed = LedgerState::new(params, slots, NetworkMagic::DEVNET);
        confirmed.utxo.extend(transaction.produced.iter().cloned());
        let tip = Tip { height: 0, slot: Slot(0), time: start, hash: block_hash(0, Slot(0), None, [&transaction.id]) };
        let accounts = confirmed.accounts.clone();
        let block = Block { tip, previous: None, transactions: vec![Arc::new(transaction)], accounts };
        let pending = confirmed.clone();
        Ok((Self { confirmed, pending, mempool: VecDeque::new(), mempool_bytes: 0, tip }, block))
    }

    /// Pays rewards into a stake account, as the end of an epoch does on other networks; `None` when it is not registered.
    pub fn pay_rewards(&mut self, account: &Credential, rewards: Lovelace) -> Option<()> {
        let paid = |state: &mut LedgerState| {
            let held = &mut state.accounts.get_mut(account)?.rewards;
            held.0 = held.0.checked_add(rewards.0)?;
            Some(())
        };
        paid(&mut self.confirmed)?;
        // The account may be about to be deregistered.
        paid(&mut self.pending);
        Some(())
    }

    /// Takes a transaction into the mempool when it is valid at `now` after all that waits there already.
    pub fn submit(&mut self, cbor: Vec<u8>, now: PosixMs) -> Result<TxId, SubmitError> {
        let size = cbor.len() as u64;
        if self.mempool_bytes.saturating_add(size) > self.confirmed.params.max_block_body_size * MEMPOOL_BLOCKS {
            return Err(SubmitError::MempoolFull { bytes: self.mempool_bytes });
        }
        let effects = self.pending.validate(&cbor, self.slot_at(now))?;
        let id = effects.id;
        let details = Details::read(&cbor)?;
        self.pending.apply(effects);
        self.mempool.push_back(Pending { cbor, id, details });
        self.mempool_bytes += size;
        Ok(id)
    }

    /// Makes the next block, of the slot that `now` falls into (never an earlier one than the latest block's).
    ///
    /// Takes what waits, in order, up to a block's limits, and drops what is no longer valid in this slot. Blocks that
    /// follow within a second share their slot.
    pub fn tick(&mut self, now: PosixMs) -> Block {
        let slot = self.slot_at(now);
        let mut transactions = Vec::new();
        let mut body_left = self.confirmed.params.max_block_body_size;
        let mut units_left = self.confirmed.params.max_block_ex_units;
        // Whether `pending` is still `confirmed` with the mempool applied once this block is made.
        let mut dropped = false;
        while let Some(waiting) = self.mempool.pop_front() {
            let size = waiting.cbor.len() as u64;
            let effects = match self.confirmed.validate(&waiting.cbor, slot) {
                Ok(effects) => effects,
                Err(error) => {
                    tracing::info!(tx = %waiting.id, slot = slot.0, %error, "dropped from the mempool");
                    self.mempool_bytes -= size;
                    dropped = true;
                    continue;
                }
            };
            let units = effects.units.iter().fold(ExUnits::default(), |sum, (_, _, units)| sum.plus(*units));
            let fits = size <= body_left && units.mem <= units_left.mem && units.steps <= units_left.steps;
            // A transaction that no block has room for cannot wait for one.
            if !fits && !transactions.is_empty() {
                self.mempool.push_front(waiting);
                break;
            }
            body_left = body_left.saturating_sub(size);
            units_left.mem = units_left.mem.saturating_sub(units.mem);
            units_left.steps = units_left.steps.saturating_sub(units.steps);
            self.mempool_bytes -= size;
            transactions.push(Arc::new(self.apply(waiting, effects)));
        }
        if dropped {
            self.rebuild_pending(slot);
        }
        self.seal(slot, transactions)
    }

    /// The latest block.
    pub fn tip(&self) -> Tip {
        self.tip
    }

    /// The slots of this chain.
    pub fn slots(&self) -> SlotConfig {
        self.confirmed.slots
    }

    /// The protocol parameters, the same in every epoch.
    pub fn params(&self) -> &ProtocolParameters {
        &self.confirmed.params
    }

    /// What waits for a block, in order.
    pub fn mempool(&self) -> impl Iterator<Item = TxId> {
        self.mempool.iter().map(|waiting| waiting.id)
    }

    fn slot_at(&self, now: PosixMs) -> Slot {
        self.confirmed.slots.at(now).max(self.tip.slot)
    }

    /// Applies a transaction to the confirmed state and notes what it did.
    fn apply(&mut self, waiting: Pending, effects: Effects) -> Applied {
        let consumed = effects
            .consumed
            .iter()
            .filter_map(|outpoint| Some((*outpoint, self.confirmed.utxo.get(outpoint)?.clone())))
            .collect();
        let withdrawn = match effects.valid {
            true => waiting.details.withdrawals.values().fold(0_u64, |sum, amount| sum.saturating_add(amount.0)),
            false => 0,
        };
        let deposit = effects.accounts.iter().fold(0_i64, |sum, (credential, after)| {
            let before = self.confirmed.accounts.get(credential).map_or(0, |account| account.deposit.0);
            let after = after.as_ref().map_or(0, |account| account.deposit.0);
            sum.saturating_add(after.cast_signed()).saturating_sub(before.cast_signed())
        });
        let (id, valid, fee) = (effects.id, effects.valid, effects.fee);
        let (produced, units) = (effects.produced.clone(), effects.units.clone());
        self.confirmed.apply(effects);
        Applied {
            id,
            cbor: waiting.cbor,
            valid,
            fee,
            consumed,
            produced,
            deposit,
            withdrawn: Lovelace(withdrawn),
            units,
            genesis: None,
            details: waiting.details,
        }
    }

    /// Builds `pending` anew after something was dropped: what depended on it goes too.
    fn rebuild_pending(&mut self, slot: Slot) {
        self.pending = self.confirmed.clone();
        for waiting in mem::take(&mut self.mempool) {
            match self.pending.validate(&waiting.cbor, slot) {
                Ok(effects) => {
                    self.pending.apply(effects);
                    self.mempool.push_back(waiting);
                }
                Err(error) => {
                    tracing::info!(tx = %waiting.id, slot = slot.0, %error, "dropped from the mempool");
                    self.mempool_bytes -= waiting.cbor.len() as u64;
                }
            }
        }
    }

    fn seal(&mut self, slot: Slot, transactions: Vec<Arc<Applied>>) -> Block {
        let previous = self.tip.hash;
        let height = self.tip.height + 1;
        let hash = block_hash(height, slot, Some(previous), transactions.iter().map(|tx| &tx.id));
        self.tip = Tip { height, slot, time: self.confirmed.slots.begin(slot), hash };
        Block { tip: self.tip, previous: Some(previous), transactions, accounts: self.confirmed.accounts.clone() }
    }
}

impl Applied {
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
            details: Details::default(),
        }
    }
}

/// blake2b-256 over height ‖ slot ‖ previous hash ‖ transaction ids: blocks here have no header of Cardano's.
fn block_hash<'a>(
    height: u64,
    slot: Slot,
    previous: Option<[u8; 32]>,
    transactions: impl IntoIterator<Item = &'a TxId>,
) -> [u8; 32] {
    let mut bytes = b"nunet devnet block".to_vec();
    bytes.extend_from_slice(&height.to_be_bytes());
    bytes.extend_from_slice(&slot.0.to_be_bytes());
    bytes.extend_from_slice(&previous.unwrap_or_default());
    for id in transactions {
        bytes.extend_from_slice(&id.0);
    }
    blake2b_256(&bytes)
}

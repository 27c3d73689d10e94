//! The chain's core, without IO: the ledger's state, the mempool on top of it, the making of blocks and their undoing.
//!
//! Time comes in as an argument. What a block did goes out as a [`Block`], which `History` indexes for the API.
//!
//! There is one ledger state: that of the latest block with every transaction of the mempool applied. Each step keeps
//! what takes it back ([`Undo`]), so that a block is made by moving transactions from one list to another, and a
//! rollback reverts steps in the opposite order.

mod block;
mod mempool;

use std::{collections::VecDeque, sync::Arc};

use nunet_ledger::{
    CborError, Credential, Epoch, Lovelace, NetworkMagic, PosixMs, Slot, SlotConfig, TxId,
    parameters::ProtocolParameters,
    rules::{Effects, LedgerError, LedgerState, Undo},
};

use crate::{
    details::Details,
    genesis::{Genesis, GenesisError},
};
pub(crate) use block::Changes;
use block::block_hash;
pub use block::{Applied, Block, BlockRecord, Tip};
use mempool::{Done, Mempool};

/// Length of a slot, in milliseconds.
pub const SLOT_LENGTH_MS: u32 = 1_000;

/// How many blocks' bodies of transactions the mempool holds at most; those that a rollback returns come on top.
pub const MEMPOOL_BLOCKS: u64 = 16;

/// The deepest rollback, in blocks: mainnet's security parameter, which bounds rollbacks there too.
pub const MAX_ROLLBACK: u64 = 2_160;

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

/// Why the chain did not go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RollbackError {
    /// Nothing asked for.
    #[error("a rollback of 0 blocks changes nothing; ask for at least 1")]
    Nothing,
    /// The genesis stays.
    #[error("the chain cannot go back {blocks} blocks: only {height} follow the genesis, which stays; ask for fewer")]
    PastGenesis {
        /// How many were asked for.
        blocks: u64,
        /// The latest block's height.
        height: u64,
    },
    /// More than the security parameter.
    #[error("the chain cannot go back {blocks} blocks: the deepest rollback is {MAX_ROLLBACK}; ask for fewer")]
    TooDeep {
        /// How many were asked for.
        blocks: u64,
    },
}

/// Why a recorded block could not be made again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A transaction is not what a block here can hold.
    #[error("transaction {index} of block {height} is not valid there: {reason}")]
    Transaction {
        /// The block.
        height: u64,
        /// The transaction's index in it.
        index: usize,
        /// Why not.
        reason: SubmitError,
    },
    /// Rewards for an account that is not registered.
    #[error("block {height} pays rewards into an account that is not registered")]
    Rewards {
        /// The block.
        height: u64,
    },
    /// Other contents than the hash commits to.
    #[error("block {height} has another hash than its contents")]
    Hash {
        /// The block.
        height: u64,
    },
}

/// What becomes of the transactions in blocks that a rollback takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DroppedTransactions {
    /// They wait for a block again, before all that waits already, as on a network whose other fork lacks them.
    Return,
    /// They are lost, as when the other fork spent their inputs; what depends on them is lost with them.
    Forget,
}

/// What a rollback did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollback {
    /// The latest block now.
    pub tip: Tip,
    /// Transactions of the blocks that went, in order.
    pub dropped: Vec<TxId>,
    /// How many transactions wait for a block now.
    pub waiting: usize,
}

/// A block that can be taken back.
#[derive(Debug)]
struct Past {
    /// The latest block before it.
    before: Tip,
    /// What takes back what came before its first transaction, in order.
    begun: Vec<Undo>,
    transactions: Vec<Done>,
}

/// What came before a block's first transaction.
#[derive(Debug, Default)]
struct Begun {
    /// What takes it back, in order.
    undo: Vec<Undo>,
    /// The accounts that it changed, as they were then.
    accounts: Changes,
}

/// The state of the ledger and what waits to change it.
#[derive(Debug)]
pub struct Chain {
    /// The state after the latest block, with every transaction of the mempool applied.
    state: LedgerState,
    mempool: Mempool,
    tip: Tip,
    /// The latest blocks, at most [`MAX_ROLLBACK`], oldest first.
    past: VecDeque<Past>,
    /// Rollbacks so far.
    fork: u64,
}

impl Chain {
    /// A chain whose slot 0 begins at `start`, and its first block.
    pub fn new(genesis: &Genesis, params: ProtocolParameters, start: PosixMs) -> Result<(Self, Block), GenesisError> {
        let transaction = genesis.transaction()?;
        let slots = SlotConfig { zero_time: start, zero_slot: Slot(0), slot_length_ms: SLOT_LENGTH_MS };
        let mut state = LedgerState::new(params, slots, NetworkMagic::DEVNET);
        state.utxo.extend(transaction.produced.iter().cloned());
        let hash = block_hash((0, Slot(0), 0), None, &[], [&transaction.id]);
        let tip = Tip { height: 0, slot: Slot(0), time: start, hash };
        let block = Block {
            tip,
            previous: None,
            fork: 0,
            rewards: Vec::new(),
            transactions: vec![Arc::new(transaction)],
            accounts: Vec::new(),
        };
        Ok((Self { state, mempool: Mempool::default(), tip, past: VecDeque::new(), fork: 0 }, block))
    }

    /// Takes a transaction into the mempool when it is valid at `now` after all that waits there already.
    pub fn submit(&mut self, cbor: Vec<u8>, now: PosixMs) -> Result<TxId, SubmitError> {
        let bytes = self.mempool.bytes();
        if bytes.saturating_add(cbor.len() as u64) > self.state.params.max_block_body_size * MEMPOOL_BLOCKS {
            return Err(SubmitError::MempoolFull { bytes });
        }
        let effects = self.state.validate(&cbor, self.slot_at(now))?;
        let details = Details::read(&cbor)?;
        Ok(self.admit(cbor, details, effects))
    }

    /// Makes the next block, of the slot that `now` falls into (never an earlier one than the latest block's).
    ///
    /// Takes what waits, in order, up to a block's limits, and drops what is no longer valid in this slot. Blocks that
    /// follow within a second share their slot.
    pub fn tick(&mut self, now: PosixMs) -> Block {
        let slot = self.slot_at(now);
        let mut begun = Begun::default();
        if self.begins_epoch(slot) || !self.mempool.holds(slot) {
            let waiting = self.mempool.unwind(&mut self.state);
            // Without rewards there is no account that could be missing.
            begun = self.begin_block(slot, &[]).unwrap_or_default();
            self.readmit(waiting, slot);
        }
        let transactions = self.mempool.take_block(&self.state.params);
        self.seal(slot, Vec::new(), begun, transactions)
    }

    /// Pays rewards into a stake account, as the end of an epoch does on other networks, and makes the next block;
    /// `None` when the account is not registered.
    pub fn pay_rewards(&mut self, account: Credential, amount: Lovelace, now: PosixMs) -> Option<Block> {
        let slot = self.slot_at(now);
        let rewards = vec![(account, amount)];
        let waiting = self.mempool.unwind(&mut self.state);
        let payable =
            self.state.accounts.get(&account).is_some_and(|held| held.rewards.0.checked_add(amount.0).is_some());
        let begun = if payable { self.begin_block(slot, &rewards) } else { None };
        self.readmit(waiting, slot);
        let begun = begun?;
        let transactions = self.mempool.take_block(&self.state.params);
        Some(self.seal(slot, rewards, begun, transactions))
    }

    /// Whether the chain can go back that far.
    pub fn check_rollback(&self, blocks: u64) -> Result<(), RollbackError> {
        let height = self.tip.height;
        match blocks {
            0 => Err(RollbackError::Nothing),
            _ if blocks > height => Err(RollbackError::PastGenesis { blocks, height }),
            _ if blocks > self.past.len() as u64 => Err(RollbackError::TooDeep { blocks }),
            _ => Ok(()),
        }
    }

    /// Takes the latest blocks back, with the rewards that were paid in them. Time does not go back: the next block is
    /// of the slot that `now` then falls into.
    ///
    /// What waits afterwards, and is no longer valid, is dropped.
    pub fn rollback(
        &mut self,
        blocks: u64,
        dropped: DroppedTransactions,
        now: PosixMs,
    ) -> Result<Rollback, RollbackError> {
        self.check_rollback(blocks)?;
        let waited = self.mempool.unwind(&mut self.state);
        let mut back = Vec::new();
        for _ in 0..blocks {
            let Some(Past { before, begun, transactions }) = self.past.pop_back() else { break };
            for (applied, undo) in transactions.into_iter().rev() {
                self.state.revert(undo);
                back.push(applied);
            }
            for undo in begun.into_iter().rev() {
                self.state.revert(undo);
            }
            self.tip = before;
        }
        back.reverse();
        self.fork += 1;
        let ids = back.iter().map(|applied| applied.id).collect();
        if dropped == DroppedTransactions::Forget {
            back.clear();
        }
        back.extend(waited);
        self.readmit(back, self.slot_at(now));
        Ok(Rollback { tip: self.tip, dropped: ids, waiting: self.mempool.len() })
    }

    /// Makes a block again that this chain, or one with the same genesis and parameters, has made before. Signatures
    /// and scripts are not tried again; what else makes a transaction valid is.
    ///
    /// After an error the chain is of no use any more. Nothing may wait in the mempool.
    pub fn replay(&mut self, record: BlockRecord) -> Result<Block, ReplayError> {
        let height = self.tip.height + 1;
        let BlockRecord { slot, fork, rewards, transactions, hash } = record;
        let begun = self.begin_block(slot, &rewards).ok_or(ReplayError::Rewards { height })?;
        for (index, cbor) in transactions.into_iter().enumerate() {
            let failed = |reason: SubmitError| ReplayError::Transaction { height, index, reason };
            let effects = self.state.revalidate(&cbor, slot).map_err(|error| failed(error.into()))?;
            let details = Details::read(&cbor).map_err(|error| failed(error.into()))?;
            self.admit(cbor, details, effects);
        }
        self.fork = self.fork.max(fork);
        let transactions = self.mempool.take_all();
        let block = self.seal(slot, rewards, begun, transactions);
        if block.tip.hash == hash { Ok(block) } else { Err(ReplayError::Hash { height }) }
    }

    /// Goes on as a chain that has seen that many rollbacks.
    pub(crate) fn set_fork(&mut self, fork: u64) {
        self.fork = self.fork.max(fork);
    }

    /// The latest block.
    pub fn tip(&self) -> Tip {
        self.tip
    }

    /// Rollbacks so far.
    pub fn fork(&self) -> u64 {
        self.fork
    }

    /// The slots of this chain.
    pub fn slots(&self) -> SlotConfig {
        self.state.slots
    }

    /// The protocol parameters, the same in every epoch.
    pub fn params(&self) -> &ProtocolParameters {
        &self.state.params
    }

    /// What waits for a block, in order.
    pub fn mempool(&self) -> impl Iterator<Item = TxId> {
        self.mempool.iter().map(|applied| applied.id)
    }

    /// What waits for a block, in order, with what it does.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Arc<Applied>> {
        self.mempool.iter()
    }

    /// How many transactions wait for a block.
    pub fn mempool_len(&self) -> usize {
        self.mempool.len()
    }

    /// The bytes of what waits for a block.
    pub fn mempool_bytes(&self) -> u64 {
        self.mempool.bytes()
    }

    /// The state after the latest block and all that waits.
    pub(crate) fn state(&self) -> &LedgerState {
        &self.state
    }

    fn slot_at(&self, now: PosixMs) -> Slot {
        self.state.slots.at(now).max(self.tip.slot)
    }

    /// Whether a block of this slot is the first of an epoch: rules that look at the epoch may decide otherwise in it.
    fn begins_epoch(&self, slot: Slot) -> bool {
        self.state.epochs.at(slot) > self.state.epochs.at(self.tip.slot)
    }

    /// Applies a valid transaction and puts it into the mempool.
    fn admit(&mut self, cbor: Vec<u8>, details: Details, effects: Effects) -> TxId {
        let applied = Applied::of(&self.state, cbor, details, &effects);
        let id = applied.id;
        let undo: Undo = self.state.apply(effects);
        self.mempool.push((Arc::new(applied), undo));
        id
    }

    /// Puts transactions into the mempool again, in order; those that are no longer valid are dropped.
    fn readmit(&mut self, transactions: Vec<Arc<Applied>>, slot: Slot) {
        for applied in transactions {
            match self.state.revalidate(&applied.cbor, slot) {
                Ok(effects) => {
                    // The last block that held it is gone, or it was never in one.
                    let Applied { cbor, details, .. } = Arc::unwrap_or_clone(applied);
                    self.admit(cbor, details, effects);
                }
                Err(error) => {
                    tracing::info!(tx = %applied.id, slot = slot.0, %error, "dropped from the mempool");
                }
            }
        }
    }

    /// Does what comes before a block's first transaction, with nothing in the mempool: epochs begin, and then rewards
    /// are paid. `None` when an account to be paid is not registered.
    fn begin_block(&mut self, slot: Slot, rewards: &[(Credential, Lovelace)]) -> Option<Begun> {
        let mut begun = Begun::default();
        let (latest, next) = (self.state.epochs.at(self.tip.slot), self.state.epochs.at(slot));
        for epoch in latest.0 + 1..=next.0 {
            let undo = self.state.begin_epoch(Epoch(epoch));
            let now = |(credential, _): &(Credential, _)| (*credential, self.state.accounts.get(credential).copied());
            begun.accounts.extend(undo.accounts.iter().map(now));
            begun.undo.push(undo);
        }
        for (account, amount) in rewards {
            let held = self.state.accounts.get_mut(account)?;
            let before = *held;
            held.rewards.0 = held.rewards.0.saturating_add(amount.0);
            begun.accounts.push((*account, Some(*held)));
            begun.undo.push(Undo { accounts: vec![(*account, Some(before))], ..Undo::default() });
        }
        Some(begun)
    }

    fn seal(
        &mut self,
        slot: Slot,
        rewards: Vec<(Credential, Lovelace)>,
        begun: Begun,
        transactions: Vec<Done>,
    ) -> Block {
        let Begun { undo, accounts } = begun;
        let before = self.tip;
        let height = before.height + 1;
        let ids = transactions.iter().map(|(applied, _)| &applied.id);
        let hash = block_hash((height, slot, self.fork), Some(before.hash), &rewards, ids);
        self.tip = Tip { height, slot, time: self.state.slots.begin(slot), hash };
        let held = transactions.iter().map(|(applied, _)| applied.clone()).collect();
        self.past.push_back(Past { before, begun: undo, transactions });
        if self.past.len() as u64 > MAX_ROLLBACK {
            self.past.pop_front();
        }
        Block { tip: self.tip, previous: Some(before.hash), fork: self.fork, rewards, transactions: held, accounts }
    }
}

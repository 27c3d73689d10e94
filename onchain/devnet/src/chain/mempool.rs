//! The mempool: transactions that a state has taken, in order, each with what takes it back.

use std::{collections::VecDeque, sync::Arc};

use nunet_ledger::{
    ExUnits, Slot,
    parameters::ProtocolParameters,
    rules::{LedgerState, Undo},
};

use super::block::Applied;

/// A transaction and what takes it back.
pub(super) type Done = (Arc<Applied>, Undo);

/// What waits for a block, in order.
#[derive(Debug, Default)]
pub(super) struct Mempool {
    waiting: VecDeque<Done>,
    bytes: u64,
}

impl Mempool {
    /// Adds a transaction that was just applied to the state.
    pub(super) fn push(&mut self, done: Done) {
        self.bytes += done.0.cbor.len() as u64;
        self.waiting.push_back(done);
    }

    /// Takes what fits a block, in order: the first that does not fit ends it.
    pub(super) fn take_block(&mut self, params: &ProtocolParameters) -> Vec<Done> {
        let mut room = Room { bytes: params.max_block_body_size, units: params.max_block_ex_units };
        let mut taken = Vec::new();
        while let Some((applied, _)) = self.waiting.front() {
            // A transaction that no block has room for cannot wait for one.
            if !room.take(applied) && !taken.is_empty() {
                break;
            }
            taken.extend(self.pop());
        }
        taken
    }

    /// Takes everything, in order.
    pub(super) fn take_all(&mut self) -> Vec<Done> {
        self.bytes = 0;
        self.waiting.drain(..).collect()
    }

    /// Takes the one that has waited longest.
    fn pop(&mut self) -> Option<Done> {
        let done = self.waiting.pop_front()?;
        self.bytes -= done.0.cbor.len() as u64;
        Some(done)
    }

    /// Empties the mempool and the state of it, the last first; returns the transactions in order.
    pub(super) fn unwind(&mut self, state: &mut LedgerState) -> Vec<Arc<Applied>> {
        let mut transactions = Vec::with_capacity(self.waiting.len());
        while let Some((applied, undo)) = self.waiting.pop_back() {
            state.revert(undo);
            transactions.push(applied);
        }
        self.bytes = 0;
        transactions.reverse();
        transactions
    }

    /// Whether everything may be in a block of this slot by its validity interval.
    pub(super) fn holds(&self, slot: Slot) -> bool {
        self.waiting.iter().all(|(applied, _)| applied.holds(slot))
    }

    /// The bytes that wait.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Applied> {
        self.waiting.iter().map(|(applied, _)| applied.as_ref())
    }
}

/// What a block still has room for.
struct Room {
    bytes: u64,
    units: ExUnits,
}

impl Room {
    /// Takes a transaction's share; false when there was not enough.
    fn take(&mut self, applied: &Applied) -> bool {
        let (bytes, units) = (applied.cbor.len() as u64, applied.total_units());
        let fits = bytes <= self.bytes && units.mem <= self.units.mem && units.steps <= self.units.steps;
        self.bytes = self.bytes.saturating_sub(bytes);
        self.units.mem = self.units.mem.saturating_sub(units.mem);
        self.units.steps = self.units.steps.saturating_sub(units.steps);
        fits
    }
}

//! What our own unconfirmed transactions have already spent and made: servers show confirmed blocks only. And what is
//! promised to somebody's transaction.
//!
//! No output is ever both free and in flight, and none is lost for ever:
//!
//! ```text
//!            ┌─── taken by the endpoint ──► Sent ──── in a block ───► InBlock ─── deep enough ──► forgotten
//! add ─► Unclear                            ▲  ▲                         │
//!            │                              │  └───── rolled back ───────┘
//!            └─── still no answer ─► sent again, as is one that no block takes for long
//!
//! refused, or past the end of its validity: forgotten with all that build on it, its inputs are free again
//! ```
//!
//! A transaction counts from before it is sent, so that neither a lost answer nor a caller who goes away loses track of it.
//! What is asked of the endpoint, and what an answer means, is decided here without IO: see [`Pending::next`].

use std::collections::{BTreeMap, BTreeSet};

use nunet_ledger::{Address, OutPoint, Slot, TxId};

use crate::{
    chain::{BlockHash, Tip, Utxo},
    signed::Signed,
};

/// How long a transaction without an end of validity is counted after the endpoint last took it, in slots, when the
/// endpoint cannot tell whether it still has it.
const PATIENCE: u64 = 1_200;

/// After this many slots without a block that takes it, a transaction is sent again: mempools are emptied when a node
/// restarts. Six times the mean time between two blocks of mainnet.
const RESEND: u64 = 120;

/// A transaction this deep is no longer watched for a rollback. Deeper ones are all but unheard of on mainnet, and are
/// harmless: inputs then seem free until the transaction is back in a block.
const DEEP: u64 = 20;

/// Transactions that were submitted and are not yet deep in the chain, and outputs that are promised.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    txs: BTreeMap<TxId, Unconfirmed>,
    /// Counts what was added: parents come before children.
    order: u64,
    /// Outputs that nothing else may spend, and the slot from which on they are free again.
    held: BTreeMap<OutPoint, Slot>,
    /// The latest block when everything was last settled, and the one that it is settled against now.
    settled: Option<Tip>,
    now: Option<Tip>,
}

#[derive(Clone, Debug)]
struct Unconfirmed {
    consumed: BTreeSet<OutPoint>,
    produced: Vec<Utxo>,
    cbor: Vec<u8>,
    order: u64,
    fate: Fate,
    /// When it was last taken, or first sent.
    sent: Slot,
    /// From this slot on it can no longer come into a block.
    valid_until: Option<Slot>,
    /// The latest block when it was last looked for, and last sent again.
    looked: Option<BlockHash>,
    /// The latest block at which it was in none.
    absent: Option<BlockHash>,
    tried: Option<BlockHash>,
}

/// What is known about a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It was sent, and whether it was taken is not known: its inputs are in flight, its outputs are not counted on.
    Unclear,
    /// The endpoint took it.
    Sent,
    /// It is in the block of this height.
    InBlock(u64),
}

/// Whether a transaction was sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// It was, and may be on its way.
    Known,
    /// It was not.
    Unknown,
}

/// What the endpoint is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Whether a block is still on the chain.
    IsOnChain(BlockHash),
    /// The height of a transaction's block.
    HeightOf(TxId),
    /// To take a transaction, again.
    Send(TxId, Vec<u8>),
}

/// What the endpoint said to the question asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The block is on the chain, or not.
    OnChain(bool),
    /// The transaction is in the block of this height, or in none.
    Height(Option<u64>),
    /// The transaction was taken, or is known already.
    Taken,
    /// The ledger refuses it, and it is neither in a block nor in the mempool.
    Refused,
    /// Nothing that helps.
    Nothing,
}

impl Pending {
    /// Counts a transaction that is about to be sent at slot `now`; tells whether it was counted already.
    pub(crate) fn add(&mut self, signed: &Signed, now: Slot) -> Before {
        let before = if self.txs.contains_key(&signed.id) { Before::Known } else { Before::Unknown };
        let (consumed, produced, cbor) = (signed.consumed().clone(), signed.produced(), signed.cbor.clone());
        self.insert(signed.id, consumed, produced, cbor, signed.tx.body.valid_until, now);
        before
    }

    fn insert(
        &mut self,
        id: TxId,
        consumed: BTreeSet<OutPoint>,
        produced: Vec<Utxo>,
        cbor: Vec<u8>,
        valid_until: Option<Slot>,
        now: Slot,
    ) {
        self.order += 1;
        let (order, fate, sent) = (self.order, Fate::Unclear, now);
        let new = Unconfirmed {
            consumed,
            produced,
            cbor,
            order,
            fate,
            sent,
            valid_until,
            looked: None,
            absent: None,
            tried: None,
        };
        // Sending the same once more changes nothing that is known.
        self.txs.entry(id).or_insert(new);
    }

    /// The endpoint took a transaction, or has it.
    pub(crate) fn taken(&mut self, id: &TxId, now: Slot) {
        if let Some(tx) = self.txs.get_mut(id) {
            tx.sent = now;
            if tx.fate == Fate::Unclear {
                tx.fate = Fate::Sent;
            }
        }
    }

    /// The bytes of a transaction that is waited for.
    pub(crate) fn transaction(&self, id: &TxId) -> Option<Vec<u8>> {
        self.txs.get(id).map(|tx| tx.cbor.clone())
    }

    /// Keeps outputs for a transaction that somebody else sends, up to the slot `until`.
    pub(crate) fn hold(&mut self, outpoints: impl IntoIterator<Item = OutPoint>, until: Slot) {
        self.held.extend(outpoints.into_iter().map(|outpoint| (outpoint, until)));
    }

    /// Frees outputs that were held.
    pub(crate) fn release<'a>(&mut self, outpoints: impl IntoIterator<Item = &'a OutPoint>) {
        for outpoint in outpoints {
            self.held.remove(outpoint);
        }
    }

    /// Begins to settle everything against the latest block; then ask [`Pending::next`] until it has no question.
    pub(crate) fn begin(&mut self, tip: Tip) {
        self.held.retain(|_, until| *until > tip.slot);
        self.now = Some(tip);
    }

    /// The next question to the endpoint, parents before children; none when everything is settled.
    pub(crate) fn next(&mut self) -> Option<Question> {
        let now = self.now?;
        match self.settled {
            Some(old) if old.hash != now.hash && self.txs.values().any(Unconfirmed::is_in_block) => {
                return Some(Question::IsOnChain(old.hash));
            }
            _ => self.settled = Some(now),
        }
        let mut waiting: Vec<(&TxId, &Unconfirmed)> = self.txs.iter().filter(|(_, tx)| !tx.is_in_block()).collect();
        waiting.sort_by_key(|(_, tx)| tx.order);
        if let Some((id, _)) = waiting.iter().find(|(_, tx)| tx.looked != Some(now.hash)) {
            return Some(Question::HeightOf(**id));
        }
        self.forget(&now);
        let mut waiting: Vec<(&TxId, &Unconfirmed)> = self.txs.iter().filter(|(_, tx)| tx.is_due(&now)).collect();
        waiting.sort_by_key(|(_, tx)| tx.order);
        waiting.first().map(|(id, tx)| Question::Send(**id, tx.cbor.clone()))
    }

    /// Takes the reply to a question.
    pub(crate) fn reply(&mut self, question: &Question, reply: Reply) {
        let Some(now) = self.now else { return };
        match (question, reply) {
            (Question::IsOnChain(_), reply) => {
                self.settled = Some(now);
                if reply != Reply::OnChain(true) {
                    // All may be gone: look for each again.
                    for tx in self.txs.values_mut().filter(|tx| tx.is_in_block()) {
                        (tx.fate, tx.looked) = (Fate::Sent, None);
                    }
                }
            }
            (Question::HeightOf(id), reply) => {
                if let Some(tx) = self.txs.get_mut(id) {
                    tx.looked = Some(now.hash);
                    match reply {
                        Reply::Height(Some(height)) => tx.fate = Fate::InBlock(height),
                        Reply::Height(None) => tx.absent = Some(now.hash),
                        _ => {}
                    }
                }
            }
            (Question::Send(id, _), Reply::Refused) => self.abandon(vec![*id]),
            (Question::Send(id, _), reply) => {
                if reply == Reply::Taken {
                    self.taken(id, now.slot);
                }
                if let Some(tx) = self.txs.get_mut(id) {
                    tx.tried = Some(now.hash);
                }
            }
        }
    }

    /// Forgets the transactions that are deep in the chain, and those that can no longer get into a block, with all that
    /// depend on these.
    fn forget(&mut self, now: &Tip) {
        self.txs.retain(|_, tx| !matches!(tx.fate, Fate::InBlock(height) if height.saturating_add(DEEP) <= now.height));
        let dead = self.txs.iter().filter(|(_, tx)| !tx.is_in_block() && tx.is_over(now)).map(|(id, _)| *id);
        self.abandon(dead.collect());
    }

    /// Forgets transactions that can no longer get into a block, with all that depend on them.
    pub(crate) fn abandon(&mut self, mut dead: Vec<TxId>) {
        while let Some(id) = dead.pop() {
            if self.txs.remove(&id).is_some() {
                let children = self.txs.iter().filter(|(_, tx)| tx.consumed.iter().any(|input| input.tx == id));
                dead.extend(children.map(|(child, _)| *child));
            }
        }
    }

    /// The outputs at an address that can be spent: confirmed or made by us, not consumed by us and not held.
    pub(crate) fn overlay(&self, confirmed: Vec<Utxo>, address: &Address) -> Vec<Utxo> {
        let consumed: BTreeSet<OutPoint> = self.txs.values().flat_map(|tx| tx.consumed.iter().copied()).collect();
        // What is in a block is confirmed, or already spent by somebody.
        let sent = self.txs.values().filter(|tx| tx.fate == Fate::Sent);
        let made = sent.flat_map(|tx| &tx.produced).filter(|utxo| utxo.output.address == *address).cloned();
        let mut seen = BTreeSet::new();
        confirmed
            .into_iter()
            .chain(made)
            .filter(|utxo| !self.held.contains_key(&utxo.outpoint) && !consumed.contains(&utxo.outpoint))
            .filter(|utxo| seen.insert(utxo.outpoint))
            .collect()
    }
}

impl Unconfirmed {
    fn is_in_block(&self) -> bool {
        matches!(self.fate, Fate::InBlock(_))
    }

    /// Whether it can no longer come into a block, or nobody can tell for too long.
    fn is_over(&self, now: &Tip) -> bool {
        let given_up = self.sent.0.saturating_add(PATIENCE);
        let late = now.slot.0 >= self.valid_until.map_or(given_up, |end| end.0);
        // It may have come into one in time.
        late && self.absent == Some(now.hash)
    }

    /// Whether it is to be sent again.
    fn is_due(&self, now: &Tip) -> bool {
        let waited = now.slot.0.saturating_sub(self.sent.0) >= RESEND;
        let again = match self.fate {
            Fate::Unclear => true,
            Fate::Sent => waited,
            Fate::InBlock(_) => false,
        };
        again && self.tried != Some(now.hash)
    }
}

#[cfg(test)]
#[path = "pending/tests.rs"]
mod tests;

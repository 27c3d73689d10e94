//! What our own unconfirmed transactions have already spent and made: servers show confirmed blocks only. And what is
//! promised to somebody's transaction.

use std::collections::{BTreeMap, BTreeSet};

use nunet_ledger::{Address, OutPoint, Slot, TxId};

use crate::{chain::Utxo, signed::Signed};

/// How long a transaction without an end of validity is counted on, in slots. One that is not in a block by then was
/// dropped by the mempool.
const PATIENCE: u64 = 1_200;

/// Transactions that were submitted and not yet seen in a block, and outputs that are promised.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    txs: BTreeMap<TxId, Unconfirmed>,
    /// Outputs that nothing else may spend, and the slot from which on they are free again.
    held: BTreeMap<OutPoint, Slot>,
}

#[derive(Debug)]
struct Unconfirmed {
    consumed: BTreeSet<OutPoint>,
    produced: Vec<Utxo>,
    cbor: Vec<u8>,
    /// From this slot on it no longer counts.
    end: Slot,
}

impl Pending {
    /// Remembers a transaction that was just accepted at slot `now`.
    pub(crate) fn add(&mut self, signed: &Signed, now: Slot) {
        let end = signed.tx.body.valid_until.unwrap_or(Slot(now.0.saturating_add(PATIENCE)));
        let (consumed, produced, cbor) = (signed.consumed().clone(), signed.produced(), signed.cbor.clone());
        self.txs.insert(signed.id, Unconfirmed { consumed, produced, cbor, end });
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

    /// The transactions that are waited for.
    pub(crate) fn ids(&self) -> Vec<TxId> {
        self.txs.keys().copied().collect()
    }

    /// Forgets the transactions that are in a block, and those that can no longer get into one, with all that depend on
    /// these; and what was held up to now.
    pub(crate) fn forget(&mut self, settled: &[TxId], now: Slot) {
        self.held.retain(|_, until| *until > now);
        for id in settled {
            self.txs.remove(id);
        }
        let dead = self.txs.iter().filter(|(_, tx)| tx.end <= now).map(|(id, _)| *id).collect();
        self.abandon(dead);
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
        let made =
            self.txs.values().flat_map(|tx| &tx.produced).filter(|utxo| utxo.output.address == *address).cloned();
        let mut seen = BTreeSet::new();
        confirmed
            .into_iter()
            .chain(made)
            .filter(|utxo| !self.held.contains_key(&utxo.outpoint))
            .filter(|utxo| !self.txs.values().any(|tx| tx.consumed.contains(&utxo.outpoint)))
            .filter(|utxo| seen.insert(utxo.outpoint))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use nunet_ledger::{Credential, KeyHash, Lovelace, TxOut, Value};

    use super::*;

    fn address() -> Address {
        Address::new(0, Credential::Key(KeyHash([1; 28])), None)
    }

    fn outpoint(tx: u8, index: u16) -> OutPoint {
        OutPoint { tx: TxId([tx; 32]), index }
    }

    fn utxo(tx: u8, index: u16) -> Utxo {
        let output = TxOut::new(address(), Value::lovelace_only(Lovelace(1_000_000)));
        Utxo { outpoint: outpoint(tx, index), output }
    }

    fn spend(pending: &mut Pending, id: u8, consumed: &[OutPoint], until: Option<u64>) {
        let consumed = consumed.iter().copied().collect();
        let end = Slot(until.unwrap_or(100 + PATIENCE));
        let unconfirmed = Unconfirmed { consumed, produced: vec![utxo(id, 0)], cbor: Vec::new(), end };
        pending.txs.insert(TxId([id; 32]), unconfirmed);
    }

    fn outpoints(pending: &Pending, confirmed: &[Utxo]) -> Vec<OutPoint> {
        pending.overlay(confirmed.to_vec(), &address()).into_iter().map(|utxo| utxo.outpoint).collect()
    }

    #[test]
    fn spent_outputs_are_hidden_and_made_ones_shown_until_the_chain_shows_them() {
        let mut pending = Pending::default();
        let confirmed = [utxo(1, 0), utxo(1, 1)];
        spend(&mut pending, 2, &[outpoint(1, 0)], None);
        assert_eq!(outpoints(&pending, &confirmed), [outpoint(1, 1), outpoint(2, 0)]);
        spend(&mut pending, 3, &[outpoint(2, 0)], None);
        assert_eq!(outpoints(&pending, &confirmed), [outpoint(1, 1), outpoint(3, 0)]);
        // Confirmed between two requests: shown once.
        assert_eq!(outpoints(&pending, &[utxo(1, 1), utxo(3, 0)]), [outpoint(1, 1), outpoint(3, 0)]);
        pending.forget(&[TxId([2; 32]), TxId([3; 32])], Slot(100));
        assert_eq!(outpoints(&pending, &confirmed), [outpoint(1, 0), outpoint(1, 1)]);
    }

    #[test]
    fn what_can_no_longer_be_confirmed_is_forgotten_with_its_descendants() {
        let mut pending = Pending::default();
        spend(&mut pending, 2, &[outpoint(1, 0)], Some(150));
        spend(&mut pending, 3, &[outpoint(2, 0)], None);
        spend(&mut pending, 4, &[outpoint(1, 1)], None);
        pending.forget(&[], Slot(149));
        assert_eq!(pending.ids().len(), 3);
        pending.forget(&[], Slot(150));
        assert_eq!(pending.ids(), [TxId([4; 32])]);
        pending.forget(&[], Slot(100 + PATIENCE));
        assert!(pending.ids().is_empty());
    }

    #[test]
    fn what_is_held_is_not_spent_until_it_is_free_again() {
        let mut pending = Pending::default();
        let confirmed = [utxo(1, 0), utxo(1, 1)];
        pending.hold([outpoint(1, 0)], Slot(200));
        assert_eq!(outpoints(&pending, &confirmed), [outpoint(1, 1)]);
        pending.forget(&[], Slot(199));
        assert_eq!(outpoints(&pending, &confirmed), [outpoint(1, 1)]);
        pending.forget(&[], Slot(200));
        assert_eq!(outpoints(&pending, &confirmed), [outpoint(1, 0), outpoint(1, 1)]);
        pending.hold([outpoint(1, 0), outpoint(1, 1)], Slot(300));
        pending.release(&[outpoint(1, 1)]);
        assert_eq!(outpoints(&pending, &confirmed), [outpoint(1, 1)]);
    }

    #[test]
    fn what_lost_a_race_gives_its_inputs_back() {
        let mut pending = Pending::default();
        spend(&mut pending, 2, &[outpoint(1, 0)], None);
        spend(&mut pending, 3, &[outpoint(2, 0)], None);
        spend(&mut pending, 4, &[outpoint(1, 1)], None);
        pending.abandon(vec![TxId([2; 32])]);
        assert_eq!(pending.ids(), [TxId([4; 32])]);
        assert_eq!(outpoints(&pending, &[utxo(1, 0), utxo(1, 1)]), [outpoint(1, 0), outpoint(4, 0)]);
    }

    #[test]
    fn a_child_of_a_confirmed_transaction_stays() {
        let mut pending = Pending::default();
        spend(&mut pending, 2, &[outpoint(1, 0)], Some(150));
        spend(&mut pending, 3, &[outpoint(2, 0)], None);
        pending.forget(&[TxId([2; 32])], Slot(150));
        assert_eq!(pending.ids(), [TxId([3; 32])]);
    }
}

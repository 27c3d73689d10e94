//! Whether the books see what is wrong: each honest transaction, shown to them with a base unit in the wrong place.

use anyhow::ensure;
use nunet_devnet::Applied;
use nunet_ledger::{Lovelace, TxOut, Value, received::ReceivedTx};

use super::books::{Books, Conduct, signers_of};

impl Books {
    /// Shows the books an honest transaction after changes that break the law by one unit each.
    ///
    /// # Errors
    /// When they let one pass.
    pub(super) fn probe(&mut self, applied: &Applied, honest: &Conduct, kind: &str) -> anyhow::Result<()> {
        self.judge(applied, honest)?;
        let outputs = applied.produced.len();
        let signers = signers_of(&ReceivedTx::decode(&applied.cbor)?);
        for (from, to) in (0..outputs).flat_map(|from| (0..outputs).map(move |to| (from, to))) {
            if from == to {
                continue;
            }
            let owner = |place: usize| self.people.owner(&applied.produced[place].1.address);
            let (loser, winner) = (owner(from), owner(to));
            // Whoever moves their own money about harms nobody.
            if loser == winner {
                continue;
            }
            // How much rent a lessee pays in is free.
            if matches!(kind, "open" | "top up") && (loser.is_none() || winner.is_none()) {
                continue;
            }
            if let Some(moved) = self.with_ntx_moved(applied, from, to) {
                ensure!(self.judge(&moved, honest).is_err(), "the books miss an NTX unit from {from} to {to}");
                let theft = loser.is_some_and(|loser| !signers.contains(&self.people.wallet(loser).key_hash()));
                ensure!(
                    !theft || self.judge(&moved, &Conduct::Dishonest).is_err(),
                    "the books miss that somebody took an NTX unit from {from} to {to}"
                );
            }
            // An escrow or lease may hold more lovelace than it must.
            if let (Some(_), Some(_), Some(moved)) = (loser, winner, with_lovelace_moved(applied, from, to)) {
                ensure!(self.judge(&moved, honest).is_err(), "the books miss a lovelace from {from} to {to}");
            }
        }
        self.notice_what_nobody_said(applied, kind)
    }

    /// Nothing passes that needed somebody's word, once the books forget all words.
    fn notice_what_nobody_said(&mut self, applied: &Applied, kind: &str) -> anyhow::Result<()> {
        let spoken = std::mem::take(&mut self.spoken);
        let silent = self.judge(applied, &Conduct::Dishonest);
        self.spoken = spoken;
        let needed = matches!(kind, "settle" | "redeem" | "fault" | "rotate");
        ensure!(needed == silent.is_err(), "with nothing said, the books say of a {kind}: {silent:?}");
        Ok(())
    }

    fn with_ntx_moved(&self, applied: &Applied, from: usize, to: usize) -> Option<Applied> {
        let ntx = self.protocol.ntx();
        let mut moved = applied.clone();
        let unit = Value::default().with(ntx.clone(), 1)?;
        let (giver, taker) = (&applied.produced[from].1, &applied.produced[to].1);
        moved.produced[from].1 = TxOut { value: giver.value.checked_sub(&unit)?, ..giver.clone() };
        moved.produced[to].1 = TxOut { value: taker.value.checked_add(&unit)?, ..taker.clone() };
        Some(moved)
    }
}

fn with_lovelace_moved(applied: &Applied, from: usize, to: usize) -> Option<Applied> {
    let mut moved = applied.clone();
    let value = |place: usize| &applied.produced[place].1.value;
    let (less, more) = (value(from).lovelace().0.checked_sub(1)?, value(to).lovelace().0.checked_add(1)?);
    moved.produced[from].1.value.set_lovelace(Lovelace(less));
    moved.produced[to].1.value.set_lovelace(Lovelace(more));
    Some(moved)
}

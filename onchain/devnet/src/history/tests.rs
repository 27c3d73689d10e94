//! After blocks are added and taken back, the index is what it was.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use nunet_ledger::{
    Address, AssetId, Credential, Datum, KeyHash, Lovelace, OutPoint, PosixMs, RewardAccount, Script, ScriptHash, Slot,
    TxId, TxOut, Value, received::ReceivedCertificate, rules::Account,
};
use proptest::prelude::*;

use super::super::{EPOCH_LENGTH, History};
use crate::{
    chain::{Applied, Block, Tip},
    details::Details,
};

/// A transaction to be made: of small numbers, so that addresses, assets, datums and accounts meet again and again.
#[derive(Clone, Debug)]
struct Draft {
    valid: bool,
    /// Which of the unspent outputs to consume, by position modulo their number.
    consumes: Vec<usize>,
    /// Address, datum and reference script of each output.
    makes: Vec<(u8, Option<u8>, Option<u8>)>,
    mints: Vec<(u8, i64)>,
    /// Registers or removes accounts.
    certificates: Vec<(u8, bool)>,
    withdraws: Vec<(u8, u64)>,
    witnesses: Vec<u8>,
}

fn draft() -> impl Strategy<Value = Draft> {
    let output = (0_u8..6, prop::option::of(0_u8..4), prop::option::of(0_u8..3));
    (
        prop::bool::weighted(0.9),
        prop::collection::vec(any::<usize>(), 0..3),
        prop::collection::vec(output, 0..4),
        prop::collection::vec((0_u8..3, -5_i64..6), 0..2),
        prop::collection::vec((0_u8..4, any::<bool>()), 0..2),
        prop::collection::vec((0_u8..4, 0_u64..9), 0..2),
        prop::collection::vec(0_u8..4, 0..2),
    )
        .prop_map(|(valid, consumes, makes, mints, certificates, withdraws, witnesses)| Draft {
            valid,
            consumes,
            makes,
            mints,
            certificates,
            withdraws,
            witnesses,
        })
}

/// Blocks: how far each is after the one before, in slots, and its transactions.
fn drafts(most: usize) -> impl Strategy<Value = Vec<(u64, Vec<Draft>)>> {
    prop::collection::vec((0..EPOCH_LENGTH, prop::collection::vec(draft(), 0..4)), 1..most)
}

fn credential(of: u8) -> Credential {
    Credential::Key(KeyHash([of; 28]))
}

/// Half of the addresses have a stake part.
fn address(of: u8) -> Address {
    Address::new(0, credential(of), of.is_multiple_of(2).then(|| credential(of / 4)))
}

fn script(of: u8) -> Script {
    Script::PlutusV3(vec![of])
}

/// Makes transactions and blocks, and knows what is unspent.
#[derive(Clone, Default)]
struct Maker {
    transactions: u64,
    unspent: Vec<(OutPoint, TxOut)>,
    tip: Option<Tip>,
}

impl Maker {
    fn transaction(&mut self, draft: &Draft) -> Applied {
        self.transactions += 1;
        let mut id = [0; 32];
        id[..8].copy_from_slice(&self.transactions.to_be_bytes());
        let id = TxId(id);
        let mut consumed = Vec::new();
        for pick in &draft.consumes {
            if !self.unspent.is_empty() {
                consumed.push(self.unspent.remove(pick % self.unspent.len()));
            }
        }
        let output = |(at, datum, reference): &(u8, Option<u8>, Option<u8>)| {
            let mut output = TxOut::new(address(*at), Value::lovelace_only(Lovelace(1_000_000)));
            output.datum = datum.map(|datum| Datum::Inline(vec![datum]));
            output.reference_script = reference.map(script);
            output
        };
        let produced: Vec<_> =
            (0..).zip(&draft.makes).map(|(index, make)| (OutPoint { tx: id, index }, output(make))).collect();
        self.unspent.extend(produced.iter().cloned());
        let mut applied = Applied::genesis(id, vec![0; 100], produced, Value::default());
        applied.valid = draft.valid;
        applied.consumed = consumed;
        applied.genesis = None;
        applied.fee = Lovelace(self.transactions);
        applied.accounts = draft
            .certificates
            .iter()
            .map(|(of, registers)| {
                (
                    credential(*of),
                    registers.then(|| Account { rewards: Lovelace(self.transactions), ..Account::default() }),
                )
            })
            .collect();
        applied.details = details(draft);
        applied
    }

    fn block(&mut self, (slots, drafts): &(u64, Vec<Draft>)) -> Block {
        let transactions = drafts.iter().map(|draft| Arc::new(self.transaction(draft))).collect();
        let (height, slot) = self.tip.map_or((0, 0), |tip| (tip.height + 1, tip.slot.0));
        let slot = Slot(slot + slots);
        let mut hash = [1; 32];
        hash[..8].copy_from_slice(&height.to_be_bytes());
        let tip = Tip { height, slot, time: PosixMs(slot.0 * 1_000), hash };
        let previous = self.tip.replace(tip).map(|tip| tip.hash);
        // Every other block pays a reward.
        let accounts = match height % 2 {
            0 => vec![(credential(0), Some(Account { rewards: Lovelace(height), ..Account::default() }))],
            _ => Vec::new(),
        };
        Block { tip, previous, fork: 0, rewards: Vec::new(), transactions, accounts }
    }
}

fn details(draft: &Draft) -> Details {
    let certificate = |(of, registers): &(u8, bool)| match registers {
        true => ReceivedCertificate::Register { credential: credential(*of), deposit: None },
        false => ReceivedCertificate::Deregister { credential: credential(*of), refund: None },
    };
    let asset = |of: u8| AssetId { policy: ScriptHash([of; 28]), name: vec![of] };
    let account = |of: u8| RewardAccount { network_id: 0, credential: credential(of) };
    Details {
        mint: draft.mints.iter().map(|(of, quantity)| (asset(*of), *quantity)).collect(),
        certificates: draft.certificates.iter().map(certificate).collect(),
        withdrawals: draft.withdraws.iter().map(|(of, amount)| (account(*of), Lovelace(*amount))).collect(),
        scripts: draft.witnesses.iter().map(|of| script(*of)).collect(),
        datums: draft.witnesses.iter().map(|of| vec![*of]).collect(),
        ..Details::default()
    }
}

proptest! {
    #[test]
    fn blocks_taken_back_leave_no_trace(before in drafts(6), after in drafts(6), again in drafts(4)) {
        let mut maker = Maker::default();
        let mut history = History::new(PosixMs(0));
        for block in &before {
            history.append(maker.block(block));
        }
        let (kept, kept_maker) = (history.clone(), maker.clone());
        for block in &after {
            history.append(maker.block(block));
        }
        history.rollback(after.len() as u64);
        prop_assert!(history == kept, "taken back:\n{history:#?}\nbefore:\n{kept:#?}");

        // And it goes on from there as if nothing had been.
        let (mut one, mut other) = (kept_maker.clone(), kept_maker);
        let mut expected = kept;
        for block in &again {
            history.append(one.block(block));
            expected.append(other.block(block));
        }
        prop_assert!(history == expected);
    }
}

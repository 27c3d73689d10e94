//! Bytes of strangers: whatever they are, checking them ends with an answer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::sync::LazyLock;

use nunet_ledger::{
    TxOut,
    evaluate::{EvaluateError, evaluate},
    received::ReceivedTx,
    rules::LedgerState,
};
use proptest::{collection::vec, prelude::*, sample::Index};
use support::{Draft, NOW, no, outpoint, state};

static STATE: LazyLock<LedgerState> = LazyLock::new(state);

/// Transactions that use every part of the decoder.
static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut reading = Draft::scripted();
    reading.tx.body.reference_inputs.insert(outpoint(7));
    reading.tx.witnesses.scripts.clear();
    let mut hashed = Draft::spending(8, support::yes_v2());
    hashed.extra_witnesses.push(vec![0x04, 0x81, 0x18, 0x2a]);
    let mut native = Draft::payment();
    native.tx.body.inputs.insert(outpoint(5));
    native.tx.witnesses.scripts.push(support::needs(2));
    let mut staking = Draft::payment();
    staking.tx.body.withdrawals.insert(support::account(&support::yes()), Default::default());
    staking.tx.body.mint.insert(support::asset(support::yes().hash()), -3);
    staking.tx.body.certificates.push(nunet_ledger::Certificate::RegisterStake(support::key_account(4).credential));
    staking.auxiliary = Some(vec![0xa1, 0x01, 0x62, b'h', b'i']);
    [Draft::payment(), Draft::scripted(), Draft::spending(4, no()), reading, hashed, native, staking]
        .iter()
        .map(Draft::bytes)
        .collect()
});

/// A change to bytes.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Remove(Index),
    Insert(Index, u8),
    Cut(Index),
    Copy(Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        any::<Index>().prop_map(Change::Remove),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Copy(from, to)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: Vec<Change>) -> Vec<u8> {
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match change {
            Change::Set(at, byte) => bytes[at.index(length)] = byte,
            Change::Remove(at) => drop(bytes.remove(at.index(length))),
            Change::Insert(at, byte) => bytes.insert(at.index(length), byte),
            Change::Cut(at) => bytes.truncate(at.index(length)),
            Change::Copy(from, to) => bytes[to.index(length)] = bytes[from.index(length)],
        }
    }
    bytes
}

fn check(bytes: &[u8]) {
    if let Ok(effects) = STATE.validate(bytes, NOW) {
        STATE.clone().apply(effects);
    }
    // A panic in the evaluator would be caught, but it should not get that far.
    let units = evaluate(bytes, &STATE.utxo, &STATE.params, &STATE.slots);
    assert!(!matches!(units, Err(EvaluateError::Stack(_))), "{units:?} for {}", hex::encode(bytes));
    let _ = TxOut::from_cbor(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_bytes_get_an_answer(bytes in vec(any::<u8>(), 0..300)) {
        check(&bytes);
    }

    #[test]
    fn changed_transactions_get_an_answer(seed in any::<Index>(), changes in vec(change(), 1..4)) {
        check(&changed(seed.get(&SEEDS).clone(), changes));
    }

    #[test]
    fn a_signed_body_cannot_be_changed(at in any::<Index>(), byte in 1_u8..) {
        let mut bytes = Draft::payment().bytes();
        let before = STATE.validate(&bytes, NOW).unwrap();
        let body = Draft::payment().tx.body.to_cbor().len();
        let at = 1 + at.index(body);
        bytes[at] ^= byte;
        // Whatever else breaks, the signature no longer holds: the transaction is refused.
        prop_assert!(STATE.validate(&bytes, NOW).is_err(), "byte {at} changed and still {}", before.id);
    }
}

#[test]
fn lengths_that_lie_allocate_nothing() {
    // 84 and a body map, array, byte string, set … that claims 2⁶⁴ − 1 items.
    for head in [0xbb, 0x9b, 0x5b, 0x7b, 0xdb] {
        for prefix in
            [&[][..], &[0x84], &[0x84, 0xa1, 0x00], &[0x84, 0xa1, 0x01], &[0x84, 0xa1, 0x05], &[0x84, 0xa1, 0x09]]
        {
            let bytes = [prefix, &[head], &[0xff; 8]].concat();
            assert!(ReceivedTx::decode(&bytes).is_err());
            check(&bytes);
        }
    }
}

#[test]
fn data_nested_as_deep_as_a_transaction_allows_gets_an_answer() {
    let mut draft = Draft::scripted();
    draft.tx.witnesses.redeemers.clear();
    let deep = [vec![0x81; 15_000], vec![0x80]].concat();
    let redeemer = [
        &[0x05, 0xa1, 0x82, 0x00, 0x01, 0x82][..],
        &deep,
        &[0x82, 0x1a, 0x00, 0x0f, 0x42, 0x40, 0x1a, 0x3b, 0x9a, 0xca, 0x00],
    ];
    draft.extra_witnesses.push(redeemer.concat());
    let stated = match draft.check().unwrap_err() {
        nunet_ledger::rules::LedgerError::PPViewHashesDontMatch { expected, .. } => expected,
        other => panic!("{other}"),
    };
    draft.tx.body.script_data_hash = stated;
    draft.check().unwrap();
}

//! Transactions of strangers: read, judged, applied and taken back, evaluated.

use std::sync::LazyLock;

use nunet_ledger::{
    Address, Credential, ExUnits, KeyHash, Lovelace, NetworkMagic, OutPoint, PosixMs, ProtocolParameters, Slot,
    SlotConfig, TxOut, Value,
    evaluate::{EvaluateError, evaluate},
    hash::blake2b_224,
    received::ReceivedTx,
    rules::{Effects, LedgerState},
};

/// The slot of every judgement.
const NOW: Slot = Slot(1_000);

/// What every output of the made-up state holds.
pub(crate) const HELD: Lovelace = Lovelace(10_000_000);

/// Mainnet's parameters, with scripts cut short: a long one tells no more than a short one.
static PARAMS: LazyLock<ProtocolParameters> = LazyLock::new(|| {
    let mut params = ProtocolParameters::mainnet();
    params.max_tx_ex_units = ExUnits { mem: 300_000, steps: 100_000_000 };
    params
});

/// Reads bytes as a transaction; one that reads is judged on a state on which its inputs exist, and its scripts are run.
///
/// Panics when a property is broken: money that comes from nowhere, a change that cannot be taken back, a second
/// judgement that differs from the first, an evaluator that gives up.
///
/// Returns how many scripts ran to a good end.
pub fn transaction(bytes: &[u8]) -> usize {
    let Ok(received) = ReceivedTx::decode(bytes) else { return 0 };
    assert!(received.size <= bytes.len(), "the size that fees count is larger than the transaction");
    let mut state = state_for(&received);
    let judged = state.validate(bytes, NOW);
    if let Ok(effects) = &judged {
        assert_eq!(state.revalidate(bytes, NOW).as_ref(), Ok(effects), "judged otherwise the second time");
    }
    // Signatures cannot be guessed: what follows them is reached without.
    if let Ok(effects) = judged.or_else(|_| state.revalidate(bytes, NOW)) {
        conserves(&received, &state, &effects);
        let before = state.clone();
        let undo = state.apply(effects);
        state.revert(undo);
        assert_eq!((&state.utxo, state.fees), (&before.utxo, before.fees), "not taken back");
        assert_eq!((&state.accounts, &state.pools), (&before.accounts, &before.pools), "not taken back");
    }
    let units = evaluate(bytes, &state.utxo, &PARAMS, &state.slots);
    assert!(!matches!(units, Err(EvaluateError::Stack(_))), "the evaluator gave up: {units:?}");
    units.map_or(0, |units| units.len())
}

/// A state on which every output that a transaction names exists, locked by its own scripts and keys in turn.
pub(crate) fn state_for(tx: &ReceivedTx<'_>) -> LedgerState {
    let slots = SlotConfig { zero_time: PosixMs(0), zero_slot: Slot(0), slot_length_ms: 1_000 };
    let mut state = LedgerState::new(PARAMS.clone(), slots, NetworkMagic::DEVNET);
    let scripts = tx.witnesses.scripts.keys().map(|hash| Credential::Script(*hash));
    let keys = tx.witnesses.vkeys.iter().map(|witness| Credential::Key(KeyHash(blake2b_224(&witness.key))));
    let mut owners: Vec<Credential> = scripts.chain(keys).collect();
    if owners.is_empty() {
        owners.push(Credential::Key(KeyHash([1; 28])));
    }
    let output = |owner: &Credential| TxOut::new(Address::new(0, *owner, None), Value::lovelace_only(HELD));
    let named = tx.body.inputs.iter().chain(&tx.body.reference_inputs);
    state.utxo.extend(named.copied().zip(owners.iter().cycle().map(output)));
    // Collateral is locked by keys.
    let key = owners.iter().rfind(|owner| matches!(owner, Credential::Key(_))).copied();
    let key = key.unwrap_or(Credential::Key(KeyHash([1; 28])));
    for outpoint in &tx.body.collateral {
        state.utxo.entry(*outpoint).or_insert_with(|| output(&key));
    }
    state
}

/// Lovelace in = lovelace out, counted from the effects and not from the body as the rule does.
fn conserves(tx: &ReceivedTx<'_>, state: &LedgerState, effects: &Effects) {
    let held = |outpoint: &OutPoint| state.utxo.get(outpoint).map_or(0, |output| output.value.lovelace().0);
    let consumed: i128 = effects.consumed.iter().map(|outpoint| i128::from(held(outpoint))).sum();
    let produced: i128 = effects.produced.iter().map(|(_, output)| i128::from(output.value.lovelace().0)).sum();
    let withdrawn: i128 =
        if effects.valid { tx.body.withdrawals.values().map(|amount| i128::from(amount.0)).sum() } else { 0 };
    // Deposits are counted by the accounts that changed; pools have their own, which certificates name.
    if !effects.valid || tx.body.certificates.is_empty() {
        assert_eq!(consumed + withdrawn, produced + i128::from(effects.fee.0), "lovelace is not conserved");
    }
}

//! Plutus scripts in transactions: redeemers, datums, the integrity hash, and the verdict of phase two.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::collections::BTreeMap;

use nunet_ledger::{
    Certificate, Credential, Datum, ExUnits, Language, Lovelace, OutPoint, Purpose, Script, Slot, TxOut,
    evaluate::{EvaluateError, apply_params, evaluate},
    rules::LedgerError,
};
use support::*;

#[test]
fn a_script_input_is_spent() {
    let effects = Draft::scripted().check().unwrap();
    assert!(effects.valid);
    assert_eq!(effects.units, [(Purpose::Spend, 1, ExUnits { mem: 1_000_000, steps: 1_000_000_000 })]);
}

#[test]
fn a_failing_script_is_named_with_its_trace() {
    let error = Draft::spending(4, no()).refused("ValidationTagMismatch");
    let text = error.to_string();
    assert!(text.contains("Spend 1") && text.contains("refused"), "{text}");
}

#[test]
fn a_v3_script_must_return_unit() {
    let error = Draft::spending(10, maybe()).refused("ValidationTagMismatch");
    assert!(error.to_string().contains("unit"), "{error}");
}

/// `(program 1.1.0 (lam context v))` with a variable that nothing binds: index 2, which is beyond `context`, and index 0.
#[test]
fn a_script_with_an_open_variable_fails_like_any_other() {
    for index in [2, 0] {
        let open = Script::PlutusV3(vec![0x46, 0x01, 0x01, 0x00, 0x20, index, 0x01]);
        let mut on = state();
        on.utxo.get_mut(&outpoint(3)).unwrap().address = script_address(&open);
        let mut draft = Draft::spending(3, open);
        refused(draft.check_on(&on), "ValidationTagMismatch");
        draft.valid = false;
        assert!(!draft.check_on(&on).unwrap().valid);
    }
}

#[test]
fn a_script_that_fails_as_announced_costs_the_collateral() {
    let mut draft = Draft::spending(4, no());
    draft.valid = false;
    draft.tx.body.collateral_return = Some(TxOut::new(address(1), ada(6)));
    let effects = draft.check().unwrap();
    assert!(!effects.valid);
    assert_eq!(effects.consumed, [outpoint(2)]);
    assert_eq!(effects.fee, Lovelace(4 * ADA));
    // The return comes after the outputs that are not made.
    let expected = (OutPoint { tx: effects.id, index: 1 }, TxOut::new(address(1), ada(6)));
    assert_eq!(effects.produced, [expected]);
}

#[test]
fn a_script_that_passes_cannot_be_announced_to_fail() {
    let mut draft = Draft::scripted();
    draft.valid = false;
    let LedgerError::ValidationTagMismatch(None) = draft.refused("ValidationTagMismatch") else { panic!() };
    let mut draft = Draft::payment();
    draft.valid = false;
    draft.refused("ValidationTagMismatch");
}

#[test]
fn each_script_stays_within_its_own_redeemer() {
    let used = units(&Draft::scripted())[0].2;
    for (units, passes) in [
        (used, true),
        (ExUnits { mem: used.mem - 1, ..used }, false),
        (ExUnits { steps: used.steps - 1, ..used }, false),
    ] {
        let mut draft = Draft::scripted();
        draft.tx.witnesses.redeemers[0].units = units;
        draft.bind();
        assert_eq!(draft.check().is_ok(), passes, "{units:?}");
    }
    // Another redeemer's generous budget does not help.
    let mut draft = Draft::scripted();
    draft.tx.body.withdrawals.insert(account(&yes()), Lovelace(0));
    draft.run(Purpose::Withdraw, 0, yes());
    draft.check().unwrap();
    draft.tx.witnesses.redeemers[0].units = ExUnits { mem: used.mem - 1, ..used };
    draft.bind();
    draft.refused("ValidationTagMismatch");
}

#[test]
fn redeemers_are_exactly_those_needed() {
    let mut draft = Draft::scripted();
    draft.tx.witnesses.redeemers.clear();
    draft.bind();
    draft.refused("MissingRedeemers");
    let mut draft = Draft::scripted();
    draft.run(Purpose::Spend, 0, yes());
    draft.refused("ExtraRedeemers");
    let mut draft = Draft::scripted();
    draft.tx.witnesses.redeemers[0].index = 2;
    draft.bind();
    draft.refused("ExtraRedeemers");
}

#[test]
fn redeemers_for_votes_and_proposals_are_for_nothing() {
    for tag in [4, 5] {
        let mut draft = Draft::payment();
        draft.extra_witnesses.push(vec![0x05, 0xa1, 0x82, tag, 0x00, 0x82, 0x00, 0x82, 0x00, 0x00]);
        draft.refused("ExtraRedeemers");
    }
    let mut draft = Draft::payment();
    draft.extra_witnesses.push(vec![0x05, 0xa1, 0x82, 0x06, 0x00, 0x82, 0x00, 0x82, 0x00, 0x00]);
    draft.refused("DecodingFailure");
}

#[test]
fn the_integrity_hash_binds_redeemers() {
    let mut draft = Draft::scripted();
    draft.tx.witnesses.redeemers[0].data = int(8);
    draft.refused("PPViewHashesDontMatch");
    draft.bind();
    draft.check().unwrap();
    draft.tx.body.script_data_hash = None;
    draft.refused("PPViewHashesDontMatch");
    let mut draft = Draft::payment();
    draft.tx.body.script_data_hash = Some([0; 32]);
    draft.refused("PPViewHashesDontMatch");
}

#[test]
fn the_integrity_hash_binds_cost_models() {
    let mut on = state();
    on.params.cost_models.v3[0] += 1;
    refused(Draft::scripted().check_on(&on), "PPViewHashesDontMatch");
    let mut on = state();
    on.params.cost_models.v2[0] += 1;
    Draft::scripted().check_on(&on).unwrap();
}

#[test]
fn hashed_datums_are_shown() {
    let with_datum = |number: i64| {
        let mut draft = Draft::spending(8, yes_v2());
        let datum = vec![0x18, u8::try_from(number).unwrap()];
        draft.extra_witnesses.push([&[0x04, 0x81][..], &datum].concat());
        draft.bind_to(&[int(number)], &[Language::PlutusV2].into());
        draft
    };
    with_datum(42).check().unwrap();
    with_datum(43).refused("MissingRequiredDatums");
    Draft::spending(8, yes_v2()).refused("MissingRequiredDatums");
    Draft::spending(9, yes_v2()).refused("UnspendableUTxONoDatumHash");
    // A datum that only an output names is allowed, one that nothing names is not.
    let mut draft = Draft::scripted();
    draft.extra_witnesses.push(vec![0x04, 0x81, 0x18, 0x2a]);
    draft.refused("NotAllowedSupplementalDatums");
}

#[test]
fn the_first_language_is_shown_no_inline_datum() {
    let first = || Script::PlutusV1(plutus("(program 1.0.0 (lam redeemer (lam context (con unit ()))))"));
    let minting = |script: Script| {
        let token = asset(script.hash());
        let mut draft = Draft::payment();
        draft.tx.body.mint.insert(token.clone(), 5);
        draft.tx.body.outputs[0].value.add_asset(token, 5).unwrap();
        draft.tx.body.collateral.insert(outpoint(2));
        draft.run(Purpose::Mint, 0, script);
        draft
    };
    minting(first()).check().unwrap();
    let mut draft = minting(first());
    draft.tx.body.outputs[0].datum = Some(Datum::Inline(vec![0x00]));
    draft.refused("CollectErrors");
    let mut draft = minting(yes());
    draft.tx.body.outputs[0].datum = Some(Datum::Inline(vec![0x00]));
    draft.check().unwrap();
}

#[test]
fn the_first_language_is_found_by_reference_and_sees_nothing_of_it() {
    // It counts its inputs: of four fields and more, the first is the list of inputs, of which there is one.
    let fields = "[(force (force (builtin sndPair))) [(builtin unConstrData) context]]";
    let info =
        format!("[(force (force (builtin sndPair))) [(builtin unConstrData) [(force (builtin headList)) {fields}]]]");
    let inputs = format!("[(builtin unListData) [(force (builtin headList)) {info}]]");
    let rest = format!("[(force (builtin tailList)) {inputs}]");
    let one = format!(
        "[[[(force (builtin ifThenElse)) [(force (builtin nullList)) {rest}]] (delay (con unit ()))] (delay (error))]"
    );
    let counting = Script::PlutusV1(plutus(&format!("(program 1.0.0 (lam redeemer (lam context (force {one}))))")));
    let token = asset(counting.hash());
    let mut on = state();
    on.utxo.insert(outpoint(60), TxOut { reference_script: Some(counting.clone()), ..TxOut::new(address(9), ada(10)) });
    let mut draft = Draft::payment();
    draft.tx.body.mint.insert(token.clone(), 5);
    draft.tx.body.outputs[0].value.add_asset(token, 5).unwrap();
    draft.tx.body.collateral.insert(outpoint(2));
    draft.tx.body.reference_inputs.insert(outpoint(60));
    draft.run(Purpose::Mint, 0, counting);
    draft.tx.witnesses.scripts.clear();
    draft.bind_to(&[], &[Language::PlutusV1].into());
    draft.check_on(&on).unwrap();
    draft.tx.body.inputs.insert(outpoint(5));
    draft.pay(10 * ADA as i64);
    draft.signers.push(2);
    draft.tx.witnesses.scripts.push(needs(2));
    refused(draft.check_on(&on), "ValidationTagMismatch");
}

#[test]
fn a_script_by_reference_is_found() {
    let mut draft = Draft::scripted();
    draft.tx.witnesses.scripts.clear();
    draft.refused("MissingScriptWitnessesUTXOW");
    draft.tx.body.reference_inputs.insert(outpoint(7));
    draft.check().unwrap();
}

#[test]
fn zero_is_withdrawn_only_from_a_registered_script_account() {
    let withdrawing = |script: Script| {
        let mut draft = Draft::payment();
        draft.tx.body.collateral.insert(outpoint(2));
        draft.tx.body.withdrawals.insert(account(&script), Lovelace(0));
        draft.run(Purpose::Withdraw, 0, script);
        draft
    };
    let effects = withdrawing(yes()).check().unwrap();
    assert_eq!(effects.accounts.len(), 1);
    withdrawing(no()).refused("WithdrawalsNotInRewardsCERTS");
    let mut on = state();
    on.accounts.insert(account(&no()).credential, Default::default());
    refused(withdrawing(no()).check_on(&on), "ValidationTagMismatch");
}

#[test]
fn a_script_account_is_removed_only_by_its_script() {
    let removing = |script: Script| {
        let mut draft = Draft::payment();
        draft.tx.body.collateral.insert(outpoint(2));
        draft.tx.body.certificates.push(Certificate::DeregisterStake(Credential::Script(script.hash())));
        draft.pay(2 * ADA as i64);
        draft
    };
    removing(yes()).refused("MissingScriptWitnessesUTXOW");
    let mut draft = removing(yes());
    draft.run(Purpose::Certify, 0, yes());
    draft.check().unwrap();
    let mut on = state();
    let deposit = on.params.key_deposit;
    on.accounts.insert(account(&no()).credential, nunet_ledger::rules::Account { deposit, ..Default::default() });
    let mut draft = removing(no());
    draft.run(Purpose::Certify, 0, no());
    refused(draft.check_on(&on), "ValidationTagMismatch");
}

#[test]
fn a_policy_mints() {
    let mut draft = Draft::payment();
    draft.tx.body.collateral.insert(outpoint(2));
    draft.tx.body.mint.insert(asset(yes().hash()), 5);
    draft.tx.body.outputs[0].value.add_asset(asset(yes().hash()), 5).unwrap();
    draft.run(Purpose::Mint, 0, yes());
    draft.check().unwrap();
}

#[test]
fn withdrawals_are_indexed_scripts_before_keys() {
    let mut on = state();
    let drep = Some(nunet_ledger::DRep::Abstain);
    on.accounts.insert(key_account(5).credential, nunet_ledger::rules::Account { drep, ..Default::default() });
    let mut draft = Draft::payment();
    draft.signers.push(5);
    draft.tx.body.collateral.insert(outpoint(2));
    draft.tx.body.withdrawals.insert(key_account(5), Lovelace(0));
    draft.tx.body.withdrawals.insert(account(&yes()), Lovelace(0));
    draft.run(Purpose::Withdraw, 0, yes());
    draft.check_on(&on).unwrap();
    draft.tx.witnesses.redeemers[0].index = 1;
    draft.bind();
    refused(draft.check_on(&on), "ExtraRedeemers");
}

/// Checks that the validity range in the script context is [lower, upper) in POSIX milliseconds: context → transaction
/// info (field 0) → validity range (its field 7) → bounds → times, compared as data.
#[test]
fn scripts_see_times_in_posix_milliseconds() {
    let finite = |time: u64, closed: &str| format!("Constr 0 [Constr 1 [I {time}], {closed}]");
    let (yes, no) = ("Constr 1 []", "Constr 0 []");
    let range = |from, until| format!("Constr 0 [{}, {}]", finite(from, yes), finite(until, no));
    let script = |from, until| {
        let fields = |data: &str| format!("[(force (force (builtin sndPair))) [(builtin unConstrData) {data}]]");
        let head = |list: &str| format!("[(force (builtin headList)) {list}]");
        let tail = |list: &str| format!("[(force (builtin tailList)) {list}]");
        let info = head(&fields("context"));
        let range_field = head(&(0..7).fold(fields(&info), |list, _| tail(&list)));
        let equal = format!("[(builtin equalsData) {range_field} (con data ({}))]", range(from, until));
        let body = format!("(force [(force (builtin ifThenElse)) {equal} (delay (con unit ())) (delay (error))])");
        Script::PlutusV3(plutus(&format!("(program 1.1.0 (lam context {body}))")))
    };
    let spending = |script: Script| {
        let mut on = state();
        let datum = Some(Datum::Inline(vec![0x00]));
        on.utxo.insert(outpoint(20), TxOut { datum, ..TxOut::new(script_address(&script), ada(10)) });
        let mut draft = Draft::spending(20, script);
        draft.tx.body.valid_from = Some(Slot(900));
        draft.tx.body.valid_until = Some(Slot(1_100));
        draft.check_on(&on)
    };
    spending(script(1_700_000_900_000, 1_700_001_100_000)).unwrap();
    refused(spending(script(1_700_000_900_000, 1_700_001_100_001)), "ValidationTagMismatch");
}

#[test]
fn malformed_scripts_do_not_come_onto_the_chain() {
    let bad = Script::PlutusV3(vec![0x42, 0xff, 0xff]);
    let mut draft = Draft::payment();
    draft.tx.body.outputs[0].reference_script = Some(bad.clone());
    draft.refused("MalformedReferenceScripts");
    let mut on = state();
    on.utxo.insert(outpoint(20), TxOut::new(script_address(&bad), ada(10)));
    refused(Draft::spending(20, bad).check_on(&on), "MalformedScriptWitnesses");
}

fn units(draft: &Draft) -> Vec<(Purpose, u32, ExUnits)> {
    let state = state();
    evaluate(&draft.bytes(), &state.utxo, &state.params, &state.slots).unwrap()
}

#[test]
fn evaluation_finds_the_units_of_a_draft_without_signatures() {
    let mut draft = Draft::scripted();
    draft.signers.clear();
    draft.tx.body.script_data_hash = None;
    draft.tx.body.fee = Lovelace(0);
    draft.tx.witnesses.redeemers[0].units = ExUnits { mem: 14_000_000, steps: 10_000_000_000 };
    let [(purpose, index, used)] = units(&draft)[..] else { panic!() };
    assert_eq!((purpose, index), (Purpose::Spend, 1));
    // Startup 100 and 100, then apply, lambda, constant and the argument at 100 and 16,000 each, on mainnet's V3 costs.
    assert_eq!(used, ExUnits { mem: 500, steps: 64_100 });
}

#[test]
fn evaluation_says_what_is_wrong() {
    let state = state();
    let run = |draft: &Draft, utxo: &BTreeMap<OutPoint, TxOut>| {
        evaluate(&draft.bytes(), utxo, &state.params, &state.slots).unwrap_err()
    };
    let draft = Draft::scripted();
    assert_eq!(run(&draft, &BTreeMap::new()), EvaluateError::UnknownInput(outpoint(1)));
    assert!(matches!(evaluate(&[0], &state.utxo, &state.params, &state.slots), Err(EvaluateError::Decoding(_))));
    let mut draft = Draft::scripted();
    draft.tx.witnesses.scripts.clear();
    assert!(matches!(run(&draft, &state.utxo), EvaluateError::MissingScript { index: 1, .. }));
    let mut draft = Draft::scripted();
    draft.tx.witnesses.redeemers.clear();
    assert!(matches!(run(&draft, &state.utxo), EvaluateError::MissingRedeemer { index: 1, .. }));
    let mut draft = Draft::scripted();
    draft.run(Purpose::Mint, 0, yes());
    assert_eq!(run(&draft, &state.utxo), EvaluateError::ExtraRedeemer { purpose: Purpose::Mint, index: 0 });
    let EvaluateError::ScriptFailed { purpose: Purpose::Spend, index: 1, logs, .. } =
        run(&Draft::spending(4, no()), &state.utxo)
    else {
        panic!()
    };
    assert_eq!(logs, ["refused"]);
}

#[test]
fn a_script_that_never_ends_runs_out_of_its_budget() {
    let diverging = "(program 1.1.0 (lam context [(lam x [x x]) (lam x [x x])]))";
    let script = Script::PlutusV3(plutus(diverging));
    let mut on = state();
    on.utxo.insert(outpoint(20), TxOut::new(script_address(&script), ada(10)));
    refused(Draft::spending(20, script).check_on(&on), "ValidationTagMismatch");
}

#[test]
fn a_script_nested_as_deep_as_a_transaction_allows_does_not_end_the_process() {
    // Flat bytes of (program 1.1.0 …) and 30,000 terms `delay`, four bits each, around an error.
    let mut flat = vec![1, 1, 0];
    flat.extend(vec![0x11; 15_000]);
    flat.extend([0x61]);
    let script = Script::PlutusV3([&[0x59][..], &u16::try_from(flat.len()).unwrap().to_be_bytes(), &flat].concat());
    let mut on = state();
    on.utxo.insert(outpoint(20), TxOut::new(script_address(&script), ada(10)));
    let error = Draft::spending(20, script).check_on(&on).unwrap_err();
    assert_eq!(error.predicate(), "ValidationTagMismatch", "{error}");
}

#[test]
fn parameters_are_applied() {
    let takes_two = plutus("(program 1.1.0 (lam a (lam b (lam context (con unit ())))))");
    let applied = apply_params(&takes_two, &[int(1), unit()]).unwrap();
    let direct = plutus(
        "(program 1.1.0 [[(lam a (lam b (lam context (con unit ())))) (con data (I 1))] (con data (Constr 0 []))])",
    );
    assert_eq!(applied, direct);
    apply_params(&[0x42, 0xff, 0xff], &[]).unwrap_err();
    apply_params(&[], &[int(1)]).unwrap_err();
}

//! The demo as a user runs it: the command, its exit code, and the one line that a program reads.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::{Command, Output};

use nunet::demo::{self, Scenario, audit};
use nunet_compute::{Tensor, npy};
use serde_json::Value;

fn nunet(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nunet")).args(args).env("NO_COLOR", "1").output().unwrap()
}

/// Runs `nunet demo … --json` and reads its last line; the exit code must be 0.
fn demo_json(args: &[&str]) -> Value {
    let output = nunet(&[&["demo", "--json"], args].concat());
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{err}");
    serde_json::from_str(out.lines().last().unwrap_or_else(|| panic!("no output; {err}"))).unwrap()
}

fn amounts(receipt: &Value) -> [u64; 6] {
    ["price", "paid", "refunded", "fee", "bond", "slashed"].map(|name| receipt[name].as_u64().unwrap())
}

fn is_hash(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[test]
fn an_honest_day_ends_settled_and_two_runs_give_the_same_result() {
    let (first, second) = (demo_json(&[]), demo_json(&[]));
    for receipt in [&first, &second] {
        assert_eq!(receipt["outcome"], "settled");
        assert_eq!(receipt["kind"], "exact");
        assert_eq!(receipt["finding"], "accepted");
        assert_eq!(receipt["where"], Value::Null);
        assert_eq!((&receipt["members"], &receipt["signatures"]), (&Value::from(5), &Value::from(3)));
        let [price, paid, refunded, fee, bond, slashed] = amounts(receipt);
        assert_eq!([paid, refunded, slashed], [price, 0, 0]);
        assert!(fee > 0 && price > 0 && bond > 0);
        assert!(receipt["accuracy"].as_f64().unwrap() >= 0.95, "{}", receipt["accuracy"]);
        assert_eq!(receipt["conserved"], true);
        assert!(["job", "lock_tx", "settle_tx", "result_hash"].iter().all(|name| is_hash(&receipt[*name])));
        assert!(!receipt["device"].as_str().unwrap().is_empty());
        assert!(receipt["tx_fees_lovelace"].as_u64().unwrap() > 0 && receipt["seconds"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(first["result_hash"], second["result_hash"], "the same job gives the same bytes");
    assert_ne!(first["job"], second["job"], "two jobs have two names");
}

#[test]
fn a_changed_label_is_found_the_price_goes_back_and_the_bond_to_the_requester() {
    let receipt = demo_json(&["--cheat", "result"]);
    assert_eq!(receipt["outcome"], "slashed");
    assert_eq!(receipt["finding"], "wrong_result");
    // The result comes after the model's three linear ops, and the middle one of 1,797 labels is changed.
    assert_eq!(receipt["where"], serde_json::json!({"op": 3, "row": 898}));
    assert_eq!(receipt["signatures"], 3);
    let [price, paid, refunded, fee, bond, slashed] = amounts(&receipt);
    assert_eq!([paid, refunded, slashed], [0, price, bond]);
    assert!(bond > 0 && fee > 0, "the committee did its work");
    assert_eq!(receipt["conserved"], true);
}

#[test]
fn without_a_committee_the_deadline_refunds() {
    let receipt = demo_json(&["--oracle-down"]);
    assert_eq!(receipt["outcome"], "refunded");
    assert_eq!((&receipt["finding"], &receipt["where"]), (&Value::Null, &Value::Null));
    assert_eq!(receipt["signatures"], 0);
    let [price, paid, refunded, fee, bond, slashed] = amounts(&receipt);
    assert_eq!([paid, fee, slashed], [0, 0, 0]);
    assert!(bond > 0, "and the bond goes back to the provider, which the audit holds against the ledger");
    assert!(refunded > price, "the oracle fee comes back too");
    assert_eq!(receipt["conserved"], true);
}

#[test]
fn wrong_usage_says_what_to_do_and_exits_with_2() {
    for args in [&["demo", "--cheat", "luck"][..], &["demo", "--cheat", "result", "--oracle-down"], &["dmo"]] {
        let output = nunet(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("--help"), "{args:?}");
    }
    let help = String::from_utf8(nunet(&["demo", "--help"]).stdout).unwrap();
    assert!(help.contains("Examples:") && help.contains("--oracle-down"), "{help}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tampering_with_any_partys_money_breaks_conservation() {
    let (lines, _shown) = tokio::sync::mpsc::unbounded_channel();
    let (receipt, books) = demo::run_with_books(Scenario::Honest, lines).await.unwrap();
    assert!(receipt.conserved(), "{:?}", receipt.discrepancies);
    let check = |after: &audit::Snapshot| {
        audit::audit(&books.before, after, &books.ntx, &books.owners, books.escrow, &books.facts)
    };
    assert!(check(&books.after).is_empty());
    for index in 0..books.after.len() {
        let mut stolen = books.after.clone();
        let lovelace = stolen[index].1.value.lovelace().0;
        stolen[index].1.value.set_lovelace(nunet_ledger::Lovelace(lovelace - 1));
        assert!(!check(&stolen).is_empty(), "one lovelace less in output {index} goes unnoticed");
        let mut moved = books.after.clone();
        moved[index].1.value.add_asset(books.ntx.clone(), 1).unwrap();
        assert!(!check(&moved).is_empty(), "one unit of NTX more in output {index} goes unnoticed");
    }
    let mut back = books.after.clone();
    back.push((books.escrow, back[0].1.clone()));
    assert!(check(&back).contains(&audit::Discrepancy::EscrowUnspent(books.escrow)));
}

#[test]
fn the_labels_are_onnxruntimes() {
    let digits = demo::Digits::load().unwrap();
    let model = nunet_compute::Model::load(digits.model).unwrap();
    let outputs =
        model.prepare(std::slice::from_ref(&digits.images)).unwrap().run(&mut nunet_compute::NoTrace).unwrap();
    let reference: &[u8] = include_bytes!("../../compute/fixtures/digits/onnxruntime.npy");
    let reference: Tensor = npy::read("label", reference).unwrap();
    let (ours, theirs) = (outputs[0].to_i64().unwrap(), reference.to_i64().unwrap());
    let same = ours.iter().zip(&theirs).filter(|(our, their)| our == their).count();
    assert_eq!(ours.len(), 1797);
    assert!(same as f64 >= 0.995 * theirs.len() as f64, "{same} of {} labels are equal", theirs.len());
}

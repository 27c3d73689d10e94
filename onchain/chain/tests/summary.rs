//! What a transaction moves, in words, and lies about it that are noticed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::LazyLock;

use nunet_chain::{
    Summary, Unsigned, Wallet, balance,
    summary::{Deposit, Holder, Names, SummaryError},
};
use nunet_contracts::{Mint, Spend, TxPlan, Withdrawal};
use nunet_ledger::{
    Address, AssetId, Certificate, Credential, KeyHash, Lovelace, NetworkMagic, Slot, TxOut, Value,
    parameters::ProtocolParameters,
};
use proptest::prelude::*;
use serde_json::Value as Json;
use support::*;

fn build(plan: &TxPlan, funds: &[nunet_chain::Utxo], change: &Wallet) -> Unsigned {
    let params = ProtocolParameters::mainnet();
    balance(plan, funds, &change.address(), &params, &slots(), NetworkMagic::DEVNET).unwrap()
}

fn ntx() -> AssetId {
    asset(7)
}

fn names() -> Names {
    Names { ntx: Some(ntx()) }
}

/// Alice pays Bob 12.5 ADA and 5 NTX.
fn payment() -> Unsigned {
    let (alice, bob) = (wallet(0), wallet(1));
    let value = lovelace(12_500_000).with(ntx(), 5_000_000).unwrap();
    let held = lovelace(100_000_000).with(ntx(), 8_000_000).unwrap();
    let plan =
        TxPlan { outputs: vec![TxOut::new(bob.address(), value)], valid_until: Some(Slot(5_000)), ..TxPlan::default() };
    build(&plan, &[utxo(1, &alice.address(), held)], &alice)
}

#[test]
fn a_payment_reads_as_what_leaves_for_the_payer_and_as_what_comes_for_the_payee() {
    let unsigned = payment();
    let (alice, bob) = (wallet(0), wallet(1));
    let summary = Summary::of(&unsigned, Some(alice.account())).unwrap();
    let fee = summary.fee;
    let rest = Lovelace(100_000_000 - 12_500_000 - fee.0);
    let total = Lovelace(12_500_000 + fee.0);
    assert_eq!(
        summary.lines(&names()),
        [
            format!("pays 12.500000 ADA + 5 NTX to {}", bob.address()),
            format!("comes back to this wallet: {rest} + 3 NTX"),
            format!("network fee: {fee}"),
            "valid before slot 5000".into(),
            format!("leaves this wallet in total: {total} + 5 NTX"),
            "UNPROVEN: the amounts of 1 consumed output(s) are only claimed by whoever made the file".into(),
        ]
    );
    let lines = Summary::of(&unsigned, Some(bob.account())).unwrap().lines(&names());
    assert!(lines.contains(&"this wallet gets: 12.500000 ADA + 5 NTX".into()), "{lines:?}");
    assert!(lines.contains(&"nothing leaves this wallet".into()), "{lines:?}");
    let nobody = Summary::of(&unsigned, None).unwrap();
    assert_eq!(nobody.payments.len(), 2);
}

#[test]
fn the_same_words_come_out_of_the_file_and_proven_amounts_are_not_called_unproven() {
    let alice = wallet(0);
    let made = nunet_ledger::Transaction {
        body: nunet_ledger::TxBody {
            inputs: [outpoint(9)].into(),
            outputs: vec![TxOut::new(alice.address(), lovelace(30_000_000))],
            fee: Lovelace(200_000),
            ..Default::default()
        },
        ..Default::default()
    };
    let outpoint = nunet_ledger::OutPoint { tx: made.id(), index: 0 };
    let funds = [nunet_chain::Utxo { outpoint, output: made.body.outputs[0].clone() }];
    let plan = TxPlan { outputs: vec![TxOut::new(wallet(1).address(), lovelace(2_000_000))], ..TxPlan::default() };
    let mut unsigned = build(&plan, &funds, &alice);
    unsigned.add_parent(made.to_cbor()).unwrap();
    let summary = Summary::of(&unsigned, Some(alice.account())).unwrap();
    assert_eq!(summary.unproven, []);
    let read = Unsigned::from_bytes(&unsigned.to_bytes()).unwrap();
    assert_eq!(Summary::of(&read, Some(alice.account())).unwrap(), summary);
}

#[test]
fn amounts_in_a_file_that_do_not_add_up_are_a_lie() {
    let alice = wallet(0);
    for lied in [
        lovelace(99_000_000).with(ntx(), 8_000_000).unwrap(),
        lovelace(100_000_000).with(ntx(), 8_000_001).unwrap(),
        lovelace(100_000_000).with(ntx(), 8_000_000).unwrap().with(asset(9), 1).unwrap(),
    ] {
        let mut file: Json = serde_json::from_slice(&payment().to_bytes()).unwrap();
        file["nunet"]["outputs"][0]["cborHex"] = hex(&TxOut::new(alice.address(), lied).to_cbor()).into();
        let unsigned = Unsigned::from_bytes(file.to_string().as_bytes()).unwrap();
        let error = Summary::of(&unsigned, Some(alice.account())).unwrap_err();
        assert!(matches!(error, SummaryError::Unbalanced { .. }), "{error}");
        assert!(error.to_string().contains("Do not sign"), "{error}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn certificates_withdrawals_minting_scripts_and_collateral_are_all_named() {
    let (alice, bob, script) = (wallet(0), wallet(1), always_true());
    let policy = sig(alice.key_hash());
    let minted = AssetId { policy: policy.hash(), name: b"GOLD".to_vec() };
    let account = alice.stake_account();
    let locked = TxOut { datum: inline_zero(), ..TxOut::new(script_address(&script), lovelace(4_000_000)) };
    let back = TxOut { datum: inline_zero(), ..TxOut::new(script_address(&script), lovelace(3_000_000)) };
    let plan = TxPlan {
        spends: vec![
            Spend { outpoint: outpoint(2), output: locked, redeemer: Some(unit()) },
            Spend { outpoint: outpoint(3), output: TxOut::new(bob.address(), lovelace(1_000_000)), redeemer: None },
        ],
        outputs: vec![back],
        mints: vec![Mint { asset: minted.clone(), quantity: 5, redeemer: None }],
        withdrawals: vec![Withdrawal { account, amount: Lovelace(3_000_000), redeemer: None }],
        certificates: vec![Certificate::RegisterStake(bob.stake_account().credential)],
        scripts: vec![script.clone(), policy],
        valid_from: Some(Slot(900)),
        ..TxPlan::default()
    };
    let unsigned = build(&plan, &[utxo(1, &alice.enterprise_address(), lovelace(50_000_000))], &alice);
    let summary = Summary::of(&unsigned, Some(alice.account())).unwrap();
    assert_eq!(summary.deposit, Deposit::Paid(ProtocolParameters::mainnet().key_deposit));
    assert_eq!(summary.payments[0].held_by, Holder::Script);
    // In: 50 of Alice, 4 of the script, 1 of Bob, 3 of rewards. Out: 3 to the script, deposit 2, the fee.
    assert_eq!(summary.leaving.lovelace, i128::from(summary.fee.0) + 3_000_000 + 2_000_000 - 5_000_000);
    assert_eq!(summary.leaving.assets[&minted], -5);
    let words = summary.lines(&names()).join("\n");
    for expected in [
        "a script, with the datum 00".into(),
        format!("registers SOMEBODY ELSE'S stake credential {} (a key)", bob.stake_key_hash()),
        "deposits 2.000000 ADA".into(),
        format!("withdraws 3.000000 ADA of rewards from {account}"),
        format!("mints 5 base units of {}.474f4c44 (calls itself \"GOLD\")", minted.policy),
        "also spends, of others: 5.000000 ADA".into(),
        "runs 1 script(s)".into(),
        "should a script fail, this wallet loses".into(),
        "valid from slot 900, for ever".into(),
        "this wallet gets: 5 base units".into(),
    ] {
        assert!(words.contains(&expected), "{expected:?} is not in\n{words}");
    }
}

#[test]
fn deposits_come_back_and_a_transaction_without_certificates_moves_none() {
    let alice = wallet(0);
    let plan = TxPlan {
        certificates: vec![Certificate::DeregisterStake(alice.stake_account().credential)],
        ..TxPlan::default()
    };
    let unsigned = build(&plan, &[utxo(1, &alice.address(), lovelace(10_000_000))], &alice);
    let summary = Summary::of(&unsigned, Some(alice.account())).unwrap();
    assert_eq!(summary.deposit, Deposit::Returned(Lovelace(2_000_000)));
    // The deposit was the wallet's already: what leaves is the fee.
    assert_eq!(summary.leaving.lovelace, i128::from(summary.fee.0));
    assert!(summary.lines(&names()).iter().any(|line| line.contains("deregisters this wallet's stake credential")));
    assert_eq!(Summary::of(&payment(), None).unwrap().deposit, Deposit::None);
}

#[test]
fn a_deposit_that_goes_to_somebody_else_leaves_the_wallet() {
    let (alice, bob) = (wallet(0), wallet(1));
    let remove = Certificate::DeregisterStake(alice.stake_account().credential);
    let plan = TxPlan {
        certificates: vec![remove.clone()],
        outputs: vec![TxOut::new(bob.address(), lovelace(2_000_000))],
        ..TxPlan::default()
    };
    let funds = [utxo(1, &alice.address(), lovelace(10_000_000))];
    let summary = Summary::of(&build(&plan, &funds, &alice), Some(alice.account())).unwrap();
    assert_eq!(summary.leaving.lovelace, 2_000_000 + i128::from(summary.fee.0));
    // Where another's registration takes it at once, nobody can tell.
    let register = Certificate::RegisterStake(bob.stake_account().credential);
    let plan = TxPlan { certificates: vec![remove, register], ..TxPlan::default() };
    let mixed = Summary::of(&build(&plan, &funds, &alice), Some(alice.account()));
    assert!(matches!(mixed, Err(SummaryError::MixedDeposits { .. })));
}

#[test]
fn a_signature_that_scripts_take_for_consent_is_called_so() {
    let (alice, bob) = (wallet(0), wallet(1));
    let plan = TxPlan { required_signers: [alice.key_hash()].into(), ..TxPlan::default() };
    let unsigned = build(&plan, &[utxo(1, &bob.address(), lovelace(10_000_000))], &bob);
    let says = |reader: &Wallet| Summary::of(&unsigned, Some(reader.account())).unwrap().lines(&names()).join(" ");
    assert!(says(&alice).contains("CONSENT") && !says(&bob).contains("CONSENT"));
}

#[test]
fn money_at_our_key_with_a_strangers_stake_key_counts_as_gone() {
    let alice = wallet(0);
    let mallory = Credential::Key(KeyHash([9; 28]));
    let franken = Address::new(0, Credential::Key(alice.key_hash()), Some(mallory));
    let plan = TxPlan { outputs: vec![TxOut::new(franken, lovelace(8_000_000))], ..TxPlan::default() };
    let unsigned = build(&plan, &[utxo(1, &alice.address(), lovelace(10_000_000))], &alice);
    let summary = Summary::of(&unsigned, Some(alice.account())).unwrap();
    assert_eq!(summary.payments[0].held_by, Holder::OwnKeyForeignStake);
    assert!(summary.lines(&names())[0].contains("somebody else's stake key"));
    assert!(summary.leaving.lovelace > 8_000_000);
}

#[test]
fn names_that_tokens_give_themselves_cannot_pass_for_ntx_or_break_a_line() {
    let fake = AssetId { policy: asset(1).policy, name: b"NTX".to_vec() };
    assert!(names().amount(&fake, 5_000_000).starts_with("5000000 base units of 0101"));
    for name in [&b"A\nB"[..], b"\x1b[2J", "\u{202e}".as_bytes(), b""] {
        let asset = AssetId { policy: asset(1).policy, name: name.to_vec() };
        let text = names().amount(&asset, 1);
        assert!(text.is_ascii() && !text.contains(char::is_control) && !text.contains("calls"), "{text:?}");
    }
    assert_eq!(names().value(&Value::default()), "0.000000 ADA");
}

/// Alice's wallet, whose table of keys is made once.
static ALICE: LazyLock<Wallet> = LazyLock::new(|| wallet(0));
static PAYMENT: LazyLock<Unsigned> = LazyLock::new(payment);

proptest! {
    #[test]
    fn no_change_of_a_file_makes_a_reader_panic_or_changes_words_unseen(
        place in any::<prop::sample::Index>(),
        digit in "[0-9a-f,:\"\\[ ]",
    ) {
        let words = |unsigned| Summary::of(unsigned, Some(ALICE.account())).map(|summary| summary.lines(&names()));
        let mut text = String::from_utf8(PAYMENT.to_bytes()).unwrap();
        let place = place.index(text.len());
        text.replace_range(place..=place, &digit);
        let Ok(read) = Unsigned::from_bytes(text.as_bytes()) else { return Ok(()) };
        let Ok(said) = words(&read) else { return Ok(()) };
        if read.id() == PAYMENT.id() {
            prop_assert_eq!(said, words(&PAYMENT).unwrap());
        }
    }
}

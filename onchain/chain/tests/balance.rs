//! What balancing promises, for made-up wallets and plans: value is conserved, the fee is the least, and the ledger's
//! rules accept the result.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;

use nunet_chain::{BuildError, Shortage, Signed, Utxo, Wallet, balance, check};
use nunet_contracts::{
    Consents, Mint, ScriptConsent, Spend, TxPlan, Withdrawal,
    consent::{Argument, ScriptSource},
};
use nunet_ledger::{
    Address, AssetId, Certificate, Credential, ExUnits, KeyHash, Lovelace, NetworkMagic, OutPoint, Purpose,
    RewardAccount, Script, Slot, TxBody, TxOut, Value, fees, hash::blake2b_224, parameters::ProtocolParameters,
};
use proptest::prelude::*;
use support::*;

const NOW: Slot = Slot(1_000);

fn params() -> ProtocolParameters {
    ProtocolParameters::mainnet()
}

fn build(plan: &TxPlan, funds: &[Utxo], change: &Address) -> Result<nunet_chain::Unsigned, BuildError> {
    balance(plan, funds, change, &params(), &slots(), NetworkMagic::DEVNET)
}

/// Balances, signs, and has the ledger's rules check it.
fn finish(plan: &TxPlan, funds: &[Utxo], wallets: &[&Wallet]) -> Signed {
    let unsigned = build(plan, funds, &wallets[0].address()).unwrap();
    let signed = unsigned.sign_with(wallets).finish().unwrap();
    let effects = check(&signed, &params(), &slots(), NOW).unwrap();
    assert!(effects.valid);
    signed
}

fn outputs(outputs: &[TxOut]) -> TxPlan {
    TxPlan { outputs: outputs.to_vec(), ..TxPlan::default() }
}

fn reference_bytes(plan: &TxPlan) -> usize {
    let references = plan.references.iter().map(|(_, output)| output);
    let all = references.chain(plan.spends.iter().map(|spend| &spend.output));
    all.filter_map(|output| output.reference_script.as_ref()).map(|script| script.bytes().len()).sum()
}

fn least_fee(signed: &Signed, plan: &TxPlan) -> Lovelace {
    let units = signed.tx.witnesses.redeemers.iter().fold(ExUnits::default(), |sum, r| sum.plus(r.units));
    fees::min_fee(&params(), fees::ledger_size(&signed.cbor), units, reference_bytes(plan))
}

fn sum<'a>(values: impl IntoIterator<Item = &'a Value>) -> Value {
    values.into_iter().fold(Value::default(), |sum, value| sum.checked_add(value).unwrap())
}

/// A script output with its spend, at a number that no fund has.
fn script_spend(number: u16, script: &Script, amount: u64) -> Spend {
    let output = TxOut { datum: inline_zero(), ..TxOut::new(script_address(script), lovelace(amount)) };
    Spend { outpoint: outpoint(number), output, redeemer: Some(unit()) }
}

fn script_account(script: &Script) -> RewardAccount {
    RewardAccount { network_id: 0, credential: Credential::Script(script.hash()) }
}

#[test]
fn a_transfer_takes_one_input_and_returns_the_rest() {
    let (alice, bob) = (wallet(0), wallet(1));
    let funds = [utxo(1, &alice.address(), lovelace(3_000_000)), utxo(2, &alice.address(), lovelace(50_000_000))];
    let plan = outputs(&[TxOut::new(bob.address(), lovelace(5_000_000))]);
    let signed = finish(&plan, &funds, &[&alice]);
    let body = &signed.tx.body;
    assert_eq!(body.inputs.iter().collect::<Vec<_>>(), [&outpoint(2)]);
    assert_eq!(body.outputs[0], plan.outputs[0]);
    assert_eq!(body.outputs[1].address, alice.address());
    assert_eq!(body.fee, least_fee(&signed, &plan));
    assert!(body.collateral.is_empty() && body.script_data_hash.is_none());
    assert_eq!(signed.produced()[1].output, body.outputs[1]);
}

#[test]
fn scripts_run_with_exact_units_and_collateral_that_comes_back() {
    let (alice, script) = (wallet(0), always_true());
    let funds = [utxo(1, &alice.address(), lovelace(50_000_000))];
    let reference =
        TxOut { reference_script: Some(script.clone()), ..TxOut::new(alice.address(), lovelace(2_000_000)) };
    let plan = TxPlan {
        spends: vec![script_spend(300, &script, 4_000_000), script_spend(7, &script, 2_000_000)],
        references: vec![(outpoint(400), reference)],
        outputs: vec![TxOut::new(wallet(1).address(), lovelace(20_000_000))],
        withdrawals: vec![Withdrawal { account: script_account(&script), amount: Lovelace(0), redeemer: Some(unit()) }],
        mints: vec![Mint {
            asset: AssetId { policy: script.hash(), name: vec![1] },
            quantity: 3,
            redeemer: Some(unit()),
        }],
        valid_from: Some(Slot(900)),
        valid_until: Some(Slot(2_000)),
        ..TxPlan::default()
    };
    let signed = finish(&plan, &funds, &[&alice]);
    let body = &signed.tx.body;
    let purposes: Vec<_> = signed.tx.witnesses.redeemers.iter().map(|r| (r.purpose, r.index)).collect();
    // The fund sorts first (transaction 1), then 7, then 300 (transaction 49).
    let expected = [(Purpose::Spend, 1), (Purpose::Spend, 2), (Purpose::Mint, 0), (Purpose::Withdraw, 0)];
    assert_eq!(purposes, expected);
    assert!(signed.tx.witnesses.redeemers.iter().all(|r| r.units.mem > 0 && r.units.steps > 0));
    assert_eq!(body.fee, least_fee(&signed, &plan));
    assert_eq!(body.collateral.iter().collect::<Vec<_>>(), [&outpoint(1)]);
    assert_eq!(body.total_collateral, Some(Lovelace((body.fee.0 * 150).div_ceil(100))));
    assert_eq!(body.outputs.last().unwrap().value.quantity(&plan.mints[0].asset), 3);
    // A unit less, and the ledger refuses: the units are exact.
    let mut short = signed.clone();
    short.tx.witnesses.redeemers[0].units.mem -= 1;
    short.cbor = short.tx.to_cbor();
    assert!(check(&short, &params(), &slots(), NOW).is_err());
}

#[test]
fn the_only_output_of_a_wallet_can_be_consumed_by_the_plan_and_stand_for_its_scripts() {
    let (alice, script) = (wallet(0), always_true());
    let funds = [utxo(1, &alice.address(), lovelace(50_000_000))];
    let own = Spend { outpoint: funds[0].outpoint, output: funds[0].output.clone(), redeemer: None };
    let asset = AssetId { policy: script.hash(), name: vec![1] };
    let plan = TxPlan {
        spends: vec![own],
        mints: vec![Mint { asset, quantity: 1, redeemer: Some(unit()) }],
        scripts: vec![script],
        ..TxPlan::default()
    };
    let signed = finish(&plan, &funds, &[&alice]);
    assert_eq!(signed.tx.body.collateral, signed.tx.body.inputs);
}

#[test]
fn a_script_account_is_withdrawn_from_before_a_keys() {
    let (alice, script) = (wallet(0), always_true());
    let funds = [utxo(1, &alice.address(), lovelace(50_000_000))];
    let plan = TxPlan {
        withdrawals: vec![
            Withdrawal { account: alice.stake_account(), amount: Lovelace(7_000_000), redeemer: None },
            Withdrawal { account: script_account(&script), amount: Lovelace(0), redeemer: Some(unit()) },
        ],
        scripts: vec![script],
        ..TxPlan::default()
    };
    let signed = finish(&plan, &funds, &[&alice]);
    assert_eq!(signed.tx.witnesses.redeemers[0].index, 0);
    assert_eq!(signed.tx.witnesses.vkeys.len(), 2, "payment and stake key");
    assert_eq!(signed.tx.body.outputs[0].value.lovelace().0, 57_000_000 - signed.tx.body.fee.0);
}

#[test]
fn deposits_are_taken_and_come_back() {
    let alice = wallet(0);
    let funds = [utxo(1, &alice.address(), lovelace(50_000_000))];
    let credential = alice.stake_account().credential;
    let with = |certificate| TxPlan { certificates: vec![certificate], ..TxPlan::default() };
    let registered = finish(&with(Certificate::RegisterStake(credential)), &funds, &[&alice]);
    let body = &registered.tx.body;
    assert_eq!(body.outputs[0].value.lovelace().0 + body.fee.0 + 2_000_000, 50_000_000);
    assert_eq!(registered.tx.witnesses.vkeys.len(), 1, "registration needs no witness of the stake key");
    let removed = finish(&with(Certificate::DeregisterStake(credential)), &funds, &[&alice]);
    let body = &removed.tx.body;
    assert_eq!(body.outputs[0].value.lovelace().0 + body.fee.0, 52_000_000);
    assert_eq!(removed.tx.witnesses.vkeys.len(), 2);
}

#[test]
fn native_scripts_are_signed_by_their_keys() {
    let (alice, bob) = (wallet(0), wallet(1));
    let policy = both([alice.key_hash(), bob.key_hash()]);
    let funds = [utxo(1, &alice.address(), lovelace(50_000_000))];
    let minted = AssetId { policy: policy.hash(), name: b"NTX".to_vec() };
    let plan = TxPlan {
        mints: vec![Mint { asset: minted.clone(), quantity: 1_000, redeemer: None }],
        scripts: vec![policy],
        ..TxPlan::default()
    };
    let signed = finish(&plan, &funds, &[&alice, &bob]);
    assert_eq!(signed.tx.body.fee, least_fee(&signed, &plan));
    assert!(signed.tx.body.collateral.is_empty());
    assert_eq!(signed.tx.body.outputs[0].value.quantity(&minted), 1_000);
    let unsigned = build(&plan, &funds, &alice.address()).unwrap().sign_with(&[&alice]);
    assert_eq!(unsigned.finish().unwrap_err(), BuildError::MissingSignatures(vec![bob.key_hash()]));
    // Burning them again.
    let funds = [utxo(1, &alice.address(), lovelace(50_000_000).with(minted.clone(), 1_000).unwrap())];
    let plan = TxPlan { mints: vec![Mint { asset: minted.clone(), quantity: -400, redeemer: None }], ..plan };
    let signed = finish(&plan, &funds, &[&alice, &bob]);
    assert_eq!(signed.tx.body.outputs[0].value.quantity(&minted), 600);
}

#[test]
fn a_native_script_withdraws_with_the_signatures_of_the_keys_that_are_named() {
    let (alice, bob, carol) = (wallet(0), wallet(1), wallet(2));
    // CBOR `[3, 1, [[0, bob], [0, carol]]]`: either of two.
    let either = [sig(bob.key_hash()), sig(carol.key_hash())].map(|script| script.bytes().to_vec()).concat();
    let script = Script::Native([&[0x83, 0x03, 0x01, 0x82], either.as_slice()].concat());
    let held_by_script = Address::new(0, Credential::Script(script.hash()), None);
    let funds = [utxo(1, &alice.address(), lovelace(50_000_000))];
    let finished = |signers: &[&Wallet]| {
        let keys = signers.iter().map(|wallet| wallet.key_hash()).collect();
        let source = ScriptSource::Attached(script.clone());
        let consent = ScriptConsent::new(source, Lovelace(3_000_000), Argument::Signers(keys)).unwrap();
        let mut plan = outputs(&[TxOut::new(carol.address(), lovelace(5_000_000))]);
        Consents::none().with(consent).add_to(&mut plan, 0, [&held_by_script]).unwrap();
        let signed = finish(&plan, &funds, &[&alice, &bob, &carol]);
        assert_eq!(signed.tx.body.fee, least_fee(&signed, &plan));
        signed.tx
    };
    for (named, signs) in [(&[][..], &bob), (&[&bob], &bob), (&[&carol], &carol)] {
        let tx = finished(named);
        assert_eq!(tx.body.withdrawals, BTreeMap::from([(script_account(&script), Lovelace(3_000_000))]));
        assert_eq!(tx.body.outputs[1].value.lovelace().0 + tx.body.fee.0, 48_000_000);
        assert!(tx.body.collateral.is_empty() && tx.witnesses.redeemers.is_empty());
        let keys: Vec<_> = tx.witnesses.vkeys.iter().map(|witness| KeyHash(blake2b_224(&witness.key))).collect();
        assert_eq!(keys.len(), 2, "the payer's and one of the script's");
        assert!(keys.contains(&signs.key_hash()));
    }
}

#[test]
fn two_parties_pay_into_one_transaction() {
    let (alice, bob) = (wallet(0), wallet(1));
    let output = TxOut::new(bob.enterprise_address(), lovelace(8_000_000));
    let plan = TxPlan {
        spends: vec![Spend { outpoint: outpoint(9), output, redeemer: None }],
        outputs: vec![TxOut::new(script_address(&always_true()), lovelace(12_000_000))],
        ..TxPlan::default()
    };
    let funds = [utxo(1, &alice.address(), lovelace(50_000_000))];
    let mut unsigned = build(&plan, &funds, &alice.address()).unwrap().sign_with(&[&alice]);
    assert_eq!(unsigned.missing(), [bob.key_hash()]);
    let mut forged = bob.sign(&unsigned.id());
    forged.signature[0] ^= 1;
    assert!(matches!(unsigned.add_witness(forged), Err(BuildError::BadSignature { .. })));
    let stranger = wallet(2).sign(&unsigned.id());
    assert!(matches!(unsigned.add_witness(stranger), Err(BuildError::BadSignature { .. })));
    unsigned.add_witness(bob.sign(&unsigned.id())).unwrap();
    unsigned.add_witness(bob.sign(&unsigned.id())).unwrap();
    let signed = unsigned.finish().unwrap();
    assert_eq!(signed.tx.witnesses.vkeys.len(), 2);
    check(&signed, &params(), &slots(), NOW).unwrap();
}

#[test]
fn assets_of_others_and_reference_scripts_are_left_alone_when_there_is_a_choice() {
    let alice = wallet(0);
    let crowd = (0..60).fold(lovelace(900_000_000), |value, n| value.with(asset(n), 1).unwrap());
    let mut library = utxo(2, &alice.address(), lovelace(800_000_000));
    library.output.reference_script = Some(always_true());
    let funds = [utxo(1, &alice.address(), crowd), library, utxo(3, &alice.address(), lovelace(9_000_000))];
    let plan = outputs(&[TxOut::new(alice.address(), lovelace(3_000_000))]);
    assert_eq!(finish(&plan, &funds, &[&alice]).tx.body.inputs.iter().collect::<Vec<_>>(), [&outpoint(3)]);
    // Without a choice they are used, and the reference script is paid for.
    let signed = finish(&outputs(&[TxOut::new(alice.address(), lovelace(1_650_000_000))]), &funds, &[&alice]);
    assert!(signed.tx.body.inputs.contains(&outpoint(1)) && signed.tx.body.inputs.contains(&outpoint(2)));
}

#[test]
fn errors_say_what_is_missing() {
    let alice = wallet(0);
    let address = alice.address();
    let funds = [utxo(1, &address, lovelace(5_000_000))];
    let pay = |amount| outputs(&[TxOut::new(address.clone(), lovelace(amount))]);
    match build(&pay(5_000_000), &funds, &address) {
        Err(BuildError::NotEnoughFunds { missing: Shortage::Lovelace(missing) }) => {
            let topped_up = [funds[0].clone(), utxo(2, &address, lovelace(missing.0 + 10_000))];
            build(&pay(5_000_000), &topped_up, &address).unwrap();
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(build(&pay(5_000_000), &[], &address), Err(BuildError::NotEnoughFunds { .. })));
    let token = outputs(&[TxOut::new(address.clone(), lovelace(2_000_000).with(asset(1), 10).unwrap())]);
    let some = [utxo(1, &address, lovelace(9_000_000).with(asset(1), 4).unwrap())];
    assert_eq!(
        build(&token, &some, &address).unwrap_err(),
        BuildError::NotEnoughFunds { missing: Shortage::Asset(asset(1), 6) }
    );
    let small = build(&pay(500_000), &funds, &address).unwrap_err();
    let least = fees::min_ada(&params(), &TxOut::new(address.clone(), lovelace(500_000))).0;
    assert_eq!(small, BuildError::OutputTooSmall { index: 0, missing: least - 500_000 });
}

#[test]
fn script_trouble_is_told_apart() {
    let (alice, good, bad) = (wallet(0), always_true(), always_false());
    let address = alice.address();
    let funds = [utxo(1, &address, lovelace(50_000_000))];
    let spend = |script: &Script, scripts| TxPlan {
        spends: vec![script_spend(300, script, 4_000_000)],
        scripts,
        ..TxPlan::default()
    };
    let error = build(&spend(&bad, vec![bad.clone()]), &funds, &address).unwrap_err();
    assert!(matches!(error, BuildError::ScriptFailed { .. }), "{error}");
    let error = build(&spend(&good, vec![]), &funds, &address).unwrap_err();
    assert!(matches!(error, BuildError::ScriptMissing { hash, .. } if hash == good.hash()), "{error}");
    // The script's own money pays, but nothing of the wallet can stand for its failure.
    let error = build(&spend(&good, vec![good.clone()]), &[], &address).unwrap_err();
    assert!(matches!(error, BuildError::NoCollateral { .. }), "{error}");
    let mut twice = spend(&good, vec![good.clone()]);
    twice.spends.push(twice.spends[0].clone());
    assert_eq!(build(&twice, &funds, &address).unwrap_err(), BuildError::InputTwice(outpoint(300)));
    let many: Vec<Spend> = (100..600).map(|number| script_spend(number, &good, 2_000_000)).collect();
    let error = build(&TxPlan { spends: many, ..spend(&good, vec![good.clone()]) }, &funds, &address).unwrap_err();
    assert!(matches!(error, BuildError::TooBig { .. } | BuildError::TooMuchExecution { .. }), "{error}");
}

#[test]
fn collateral_with_assets_comes_back_whole() {
    let (alice, script) = (wallet(0), always_true());
    let funds = [utxo(1, &alice.address(), lovelace(6_000_000).with(asset(1), 99).unwrap())];
    let plan =
        TxPlan { spends: vec![script_spend(300, &script, 4_000_000)], scripts: vec![script], ..TxPlan::default() };
    let signed = finish(&plan, &funds, &[&alice]);
    let back = signed.tx.body.collateral_return.as_ref().unwrap();
    assert_eq!(back.value.quantity(&asset(1)), 99);
    let total = signed.tx.body.total_collateral.unwrap();
    assert_eq!(back.value.lovelace().0 + total.0, 6_000_000);
}

#[test]
fn collateral_may_take_several_inputs_but_not_more_than_allowed() {
    let (alice, script) = (wallet(0), always_true());
    let plan =
        TxPlan { spends: vec![script_spend(300, &script, 4_000_000)], scripts: vec![script], ..TxPlan::default() };
    let funds = |count| (1..=count).map(|n| utxo(n, &alice.address(), lovelace(1_000_000))).collect::<Vec<_>>();
    let demanding = ProtocolParameters { collateral_percent: 1_100, ..params() };
    let build = |params: &ProtocolParameters, funds: Vec<Utxo>| -> Result<TxBody, BuildError> {
        let unsigned = balance(&plan, &funds, &alice.address(), params, &slots(), NetworkMagic::DEVNET)?;
        let signed = unsigned.sign_with(&[&alice]).finish()?;
        check(&signed, params, &slots(), NOW).unwrap();
        Ok(signed.tx.body)
    };
    // About 2 of 3 ADA are required, and 1 comes back.
    let body = build(&demanding, funds(3)).unwrap();
    assert_eq!(body.collateral.len(), 3);
    assert_eq!(body.total_collateral, Some(Lovelace((body.fee.0 * 1_100).div_ceil(100))));
    // A rest too small for an output goes with the collateral, when there is nothing better.
    let body = build(&params(), funds(1)).unwrap();
    assert_eq!((body.collateral_return, body.total_collateral), (None, Some(Lovelace(1_000_000))));
    let excessive = ProtocolParameters { collateral_percent: 3_000, ..params() };
    let error = build(&excessive, funds(9)).unwrap_err();
    assert!(matches!(error, BuildError::NoCollateral { max_inputs: 3, .. }), "{error}");
}

#[derive(Clone, Debug)]
struct Case {
    funds: Vec<(u64, Vec<(u8, u64)>)>,
    outputs: Vec<(u64, Vec<(u8, u64)>)>,
    spends: u16,
}

fn amounts(count: std::ops::Range<usize>, most: u64) -> impl Strategy<Value = Vec<(u64, Vec<(u8, u64)>)>> {
    let assets = proptest::collection::vec((0_u8..3, 1_u64..5_000), 0..3);
    // Amounts on both sides of where their encoding grows.
    let ada = prop_oneof![1_500_000..most, Just(u64::from(u32::MAX) - 200_000), Just(u64::from(u32::MAX) + 200_000)];
    proptest::collection::vec((ada, assets), count)
}

fn case() -> impl Strategy<Value = Case> {
    (amounts(0..12, 60_000_000), amounts(0..4, 20_000_000), 0_u16..3).prop_map(|(funds, outputs, spends)| Case {
        funds,
        outputs,
        spends,
    })
}

fn value(amount: &(u64, Vec<(u8, u64)>)) -> Value {
    amount.1.iter().fold(lovelace(amount.0), |value, (number, quantity)| value.with(asset(*number), *quantity).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_balanced_transaction_is_exact_and_every_refusal_is_true(case in case()) {
        let (alice, script) = (wallet(0), always_true());
        let funds: Vec<Utxo> =
            (0..).zip(&case.funds).map(|(n, amount)| utxo(n, &alice.address(), value(amount))).collect();
        let plan = TxPlan {
            outputs: case.outputs.iter().map(|amount| TxOut::new(wallet(1).address(), value(amount))).collect(),
            spends: (0..case.spends).map(|n| script_spend(500 + n, &script, 3_000_000)).collect(),
            scripts: if case.spends > 0 { vec![script] } else { vec![] },
            ..TxPlan::default()
        };
        let available = sum(funds.iter().map(|u| &u.output.value).chain(plan.spends.iter().map(|s| &s.output.value)));
        let wanted = sum(plan.outputs.iter().map(|output| &output.value));
        match build(&plan, &funds, &alice.address()) {
            Ok(unsigned) => {
                let signed = unsigned.sign_with(&[&alice]).finish().unwrap();
                let body = &signed.tx.body;
                let known: BTreeMap<OutPoint, &Value> = funds.iter().map(|u| (u.outpoint, &u.output.value))
                    .chain(plan.spends.iter().map(|s| (s.outpoint, &s.output.value))).collect();
                let consumed = sum(body.inputs.iter().map(|input| known[input]));
                let produced = sum(body.outputs.iter().map(|output| &output.value));
                prop_assert_eq!(&consumed, &produced.checked_add(&lovelace(body.fee.0)).unwrap());
                prop_assert_eq!(&body.outputs[..plan.outputs.len()], &plan.outputs[..]);
                prop_assert!(body.outputs.len() <= plan.outputs.len() + 1);
                let least = least_fee(&signed, &plan);
                // Where a smaller change would be encoded shorter, no fee is exact: then it is above by a few bytes.
                let most = least.0 + 4 * params().min_fee_a;
                prop_assert!((least.0..=most).contains(&body.fee.0), "{} {}", body.fee, least);
                let checked = check(&signed, &params(), &slots(), NOW);
                prop_assert!(checked.is_ok(), "{}", checked.unwrap_err());
            }
            Err(BuildError::NotEnoughFunds { .. }) => {
                // Refused only when a wallet richer by fee and change's minimum would not have been: 3 ADA covers both.
                let generous = wanted.checked_add(&lovelace(3_000_000)).unwrap();
                prop_assert!(available.checked_sub(&generous).is_none(), "{available:?} covers {wanted:?}");
            }
            Err(BuildError::NoCollateral { .. }) => {
                let richest = funds.iter().map(|utxo| utxo.output.value.lovelace().0).max().unwrap_or(0);
                prop_assert!(case.spends > 0 && richest < 3_000_000);
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
    }

    #[test]
    fn balancing_is_a_function_of_its_arguments(case in case()) {
        let alice = wallet(0);
        let funds: Vec<Utxo> =
            (0..).zip(&case.funds).map(|(n, amount)| utxo(n, &alice.address(), value(amount))).collect();
        let plan = outputs(&case.outputs.iter().map(|a| TxOut::new(alice.address(), value(a))).collect::<Vec<_>>());
        let reversed: Vec<Utxo> = funds.iter().rev().cloned().collect();
        prop_assert_eq!(build(&plan, &funds, &alice.address()), build(&plan, &reversed, &alice.address()));
    }
}

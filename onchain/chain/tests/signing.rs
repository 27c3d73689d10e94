//! Transactions on their way between who builds, who signs and who sends them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::LazyLock;

use nunet_chain::{BuildError, FileError, Proof, Unsigned, Utxo, balance, check};
use nunet_contracts::{Mint, Spend, TxPlan, Withdrawal};
use nunet_ledger::{
    AssetId, Certificate, Lovelace, NetworkMagic, OutPoint, RewardAccount, Slot, Transaction, TxBody, TxId, TxOut,
    hash::blake2b_256, parameters::ProtocolParameters,
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use support::*;

const NOW: Slot = Slot(1_000);

fn params() -> ProtocolParameters {
    ProtocolParameters::mainnet()
}

/// A transaction that pays these outputs from nowhere.
fn parent(outputs: Vec<TxOut>) -> Transaction {
    let body = TxBody { inputs: [outpoint(9)].into(), outputs, fee: Lovelace(200_000), ..TxBody::default() };
    Transaction { body, ..Transaction::default() }
}

/// Outputs of a transaction, as funds.
fn funds_of(tx: &Transaction) -> Vec<Utxo> {
    let id = tx.id();
    let outputs = tx.body.outputs.iter().cloned();
    (0..).zip(outputs).map(|(index, output)| Utxo { outpoint: OutPoint { tx: id, index }, output }).collect()
}

/// Alice and Bob both pay, with everything in it that a transaction of ours can have.
fn of_two() -> (Unsigned, Transaction) {
    let (alice, bob, script, policy) = (wallet(0), wallet(1), always_true(), sig(wallet(1).key_hash()));
    let made = parent(vec![
        TxOut::new(alice.address(), lovelace(50_000_000)),
        TxOut::new(bob.address(), lovelace(8_000_000)),
        TxOut { datum: inline_zero(), ..TxOut::new(script_address(&script), lovelace(4_000_000)) },
    ]);
    let funds = funds_of(&made);
    let account = RewardAccount { network_id: 0, credential: alice.stake_account().credential };
    let spend = |utxo: &Utxo, redeemer| Spend { outpoint: utxo.outpoint, output: utxo.output.clone(), redeemer };
    let plan = TxPlan {
        spends: vec![spend(&funds[1], None), spend(&funds[2], Some(unit()))],
        references: vec![(outpoint(70), TxOut::new(bob.address(), lovelace(1_500_000)))],
        outputs: vec![TxOut::new(wallet(2).address(), lovelace(20_000_000))],
        mints: vec![Mint { asset: AssetId { policy: policy.hash(), name: vec![7] }, quantity: 5, redeemer: None }],
        withdrawals: vec![Withdrawal { account, amount: Lovelace(3_000_000), redeemer: None }],
        certificates: vec![Certificate::RegisterStake(bob.stake_account().credential)],
        required_signers: [bob.key_hash()].into(),
        valid_from: Some(Slot(900)),
        valid_until: Some(Slot(2_000)),
        scripts: vec![script, policy],
    };
    let unsigned = balance(&plan, &funds[..1], &alice.address(), &params(), &slots(), NetworkMagic::DEVNET).unwrap();
    (unsigned, made)
}

fn patched(unsigned: &Unsigned, patch: impl FnOnce(&mut Json)) -> Vec<u8> {
    let mut json: Json = serde_json::from_slice(&unsigned.to_bytes()).unwrap();
    patch(&mut json);
    json.to_string().into_bytes()
}

#[test]
fn each_signer_signs_a_copy_and_the_copies_are_merged() {
    let (mut unsigned, _) = of_two();
    let (alice, bob) = (wallet(0), wallet(1));
    assert_eq!(unsigned.missing().len(), 3, "two payment keys and a stake key");
    let file = unsigned.to_bytes();
    let copy = |signer: &nunet_chain::Wallet| {
        Unsigned::from_bytes(&Unsigned::from_bytes(&file).unwrap().sign_with(&[signer]).to_bytes()).unwrap()
    };
    unsigned.merge(&copy(&bob)).unwrap();
    unsigned.merge(&copy(&bob)).unwrap();
    assert!(matches!(unsigned.clone().finish().unwrap_err(), BuildError::MissingSignatures(keys) if keys.len() == 2));
    unsigned.merge(&copy(&alice)).unwrap();
    let signed = unsigned.finish().unwrap();
    check(&signed, &params(), &slots(), NOW).unwrap();
}

#[test]
fn signatures_for_another_transaction_are_refused() {
    let (mut unsigned, _) = of_two();
    let plan = TxPlan { outputs: vec![TxOut::new(wallet(1).address(), lovelace(2_000_000))], ..TxPlan::default() };
    let funds = [utxo(1, &wallet(0).address(), lovelace(50_000_000))];
    let address = wallet(0).address();
    let other = balance(&plan, &funds, &address, &params(), &slots(), NetworkMagic::DEVNET).unwrap();
    let other = other.sign_with(&[&wallet(0)]);
    assert!(matches!(unsigned.merge(&other).unwrap_err(), BuildError::OtherTransaction { .. }));
    let witness = wallet(0).sign(&other.id());
    assert!(matches!(unsigned.add_witness(witness).unwrap_err(), BuildError::BadSignature { .. }));
    assert_eq!(unsigned.missing().len(), 3);
}

#[test]
fn an_output_is_proven_by_the_transaction_that_made_it() {
    let (mut unsigned, made) = of_two();
    assert!(unsigned.resolved().all(|resolved| resolved.proof == Proof::Claimed));
    unsigned.add_parent(made.to_cbor()).unwrap();
    let read = Unsigned::from_bytes(&unsigned.to_bytes()).unwrap();
    assert_eq!(read, unsigned);
    for resolved in read.resolved() {
        let proven = if resolved.outpoint.tx == made.id() { Proof::Parent } else { Proof::Claimed };
        assert_eq!(resolved.proof, proven, "{}", resolved.outpoint);
    }
    let stranger = parent(vec![TxOut::new(wallet(0).address(), lovelace(1_000_000))]);
    let error = unsigned.add_parent(stranger.to_cbor()).unwrap_err();
    assert_eq!(error, FileError::ParentSurplus(stranger.id()));
    assert!(matches!(unsigned.add_parent(vec![0x00]).unwrap_err(), FileError::Malformed(_)));
}

#[test]
fn a_collateral_return_is_proven_too() {
    let mut made = parent(vec![TxOut::new(wallet(0).address(), lovelace(1_000_000))]);
    let back = TxOut::new(wallet(0).address(), lovelace(70_000_000));
    made.body.collateral_return = Some(back.clone());
    let funds = [Utxo { outpoint: OutPoint { tx: made.id(), index: 1 }, output: back }];
    let plan = TxPlan { outputs: vec![TxOut::new(wallet(1).address(), lovelace(2_000_000))], ..TxPlan::default() };
    let address = wallet(0).address();
    let mut unsigned = balance(&plan, &funds, &address, &params(), &slots(), NetworkMagic::DEVNET).unwrap();
    unsigned.add_parent(made.to_cbor()).unwrap();
    assert!(unsigned.resolved().all(|resolved| resolved.proof == Proof::Parent));
}

#[test]
fn a_file_that_lies_about_an_amount_is_caught_by_the_parent() {
    let (mut unsigned, made) = of_two();
    unsigned.add_parent(made.to_cbor()).unwrap();
    let forged = TxOut::new(wallet(0).address(), lovelace(20_000_000));
    let lie = patched(&unsigned, |json| {
        let outputs = json["nunet"]["outputs"].as_array_mut().unwrap();
        let id = made.id().to_string();
        let output = outputs.iter_mut().find(|o| o["txHash"] == json!(id) && o["index"] == json!(0)).unwrap();
        output["cborHex"] = json!(hex::encode(forged.to_cbor()));
    });
    let outpoint = OutPoint { tx: made.id(), index: 0 };
    assert_eq!(Unsigned::from_bytes(&lie).unwrap_err(), FileError::OutputForged(outpoint));
}

#[test]
fn files_that_do_not_fit_together_are_refused() {
    let (unsigned, _) = of_two();
    let signed = unsigned.clone().sign_with(&[&wallet(0)]);
    let read = |bytes: Vec<u8>| Unsigned::from_bytes(&bytes).unwrap_err();
    let error = read(patched(&unsigned, |json| drop(json["nunet"]["outputs"].as_array_mut().unwrap().pop())));
    assert!(matches!(error, FileError::OutputMissing(_)), "{error}");
    let error = read(patched(&unsigned, |json| {
        let outputs = json["nunet"]["outputs"].as_array_mut().unwrap();
        outputs.push(outputs[0].clone());
    }));
    assert!(matches!(error, FileError::OutputSurplus(_)), "{error}");
    let error = read(patched(&unsigned, |json| json["nunet"]["signers"] = json!([])));
    assert!(matches!(error, FileError::SignerMissing(_)), "{error}");
    assert_eq!(read(patched(&unsigned, |json| json["nunet"]["version"] = json!(2))), FileError::Version(2));
    assert!(matches!(read(b"{}".to_vec()), FileError::Malformed(_)));
    assert_eq!(read(vec![b' '; nunet_chain::MAX_FILE + 1]), FileError::TooLarge(nunet_chain::MAX_FILE + 1));
    // A body that changed after a signature was given.
    let mut tx = signed.transaction().clone();
    tx.body.outputs[0] = TxOut::new(wallet(1).address(), lovelace(20_000_000));
    let error = read(patched(&signed, |json| json["cborHex"] = json!(hex::encode(tx.to_cbor()))));
    assert!(matches!(error, FileError::Signature(BuildError::BadSignature { .. })), "{error}");
}

#[test]
fn what_we_would_never_write_is_not_signed() {
    let (unsigned, _) = of_two();
    let cbor = unsigned.transaction().to_cbor();
    let with = |bytes: Vec<u8>| {
        let file = patched(&unsigned, |json| json["cborHex"] = json!(hex::encode(bytes)));
        Unsigned::from_bytes(&file).unwrap_err()
    };
    // Metadata instead of null, at the very end.
    let metadata = [&cbor[..cbor.len() - 1], &[0xa1, 0x00, 0x01]].concat();
    assert!(matches!(with(metadata), FileError::Transaction(_)));
    // The donation field (22), which the ledger knows and the program does not write.
    let mut donating = cbor.clone();
    let body = unsigned.transaction().body.to_cbor();
    donating[1] += 1;
    donating.splice(1 + body.len()..1 + body.len(), [0x16, 0x01]);
    assert!(matches!(with(donating), FileError::Transaction(_)));
    assert!(matches!(with(cbor[..cbor.len() - 1].to_vec()), FileError::Transaction(_)));
    assert!(matches!(with([cbor, vec![0]].concat()), FileError::Transaction(_)));
}

#[test]
fn the_file_is_a_text_envelope_of_cardano_cli() {
    let (unsigned, _) = of_two();
    let json: Json = serde_json::from_slice(&unsigned.to_bytes()).unwrap();
    assert_eq!(json["type"], "Unwitnessed Tx ConwayEra");
    assert_eq!(json["description"], "Ledger Cddl Format");
    let cbor = hex::decode(json["cborHex"].as_str().unwrap()).unwrap();
    assert_eq!(blake2b_256(&unsigned.transaction().body.to_cbor()), unsigned.id().0);
    assert_eq!(cbor, unsigned.transaction().to_cbor());
    let json: Json = serde_json::from_slice(&unsigned.sign_with(&[&wallet(0)]).to_bytes()).unwrap();
    assert_eq!(json["type"], "Witnessed Tx ConwayEra");
}

/// A file with every signature and proof, and the id of its transaction.
static SIGNED_FILE: LazyLock<(TxId, Vec<u8>)> = LazyLock::new(|| {
    let (mut unsigned, made) = of_two();
    unsigned.add_parent(made.to_cbor()).unwrap();
    (unsigned.id(), unsigned.sign_with(&[&wallet(0), &wallet(1)]).to_bytes())
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_changed_byte_passes_for_the_same_transaction(place in any::<prop::sample::Index>(), value in any::<u8>()) {
        let (id, bytes) = &*SIGNED_FILE;
        let mut bytes = bytes.clone();
        let place = place.index(bytes.len());
        bytes[place] = value;
        // Whatever is read is either refused, or its signatures are good and its id is the hash of its own body.
        if let Ok(read) = Unsigned::from_bytes(&bytes) {
            prop_assert_eq!(read.id(), read.transaction().id());
            prop_assert_eq!(read.id(), *id, "three signatures are over the body");
        }
    }
}

#[test]
fn a_file_cannot_call_real_money_a_test() {
    let (unsigned, _) = of_two();
    let lying = patched(&unsigned, |json| json["nunet"]["networkMagic"] = json!(NetworkMagic::MAINNET.0));
    let refused = Unsigned::from_bytes(&lying).unwrap_err();
    assert!(matches!(&refused, FileError::OtherNetwork { address, .. } if address.contains("_test1")), "{refused}");
}

#[test]
fn a_file_shows_what_its_scripts_are_asked() {
    let (unsigned, _) = of_two();
    let mut hidden = unsigned.transaction().clone();
    assert!(hidden.body.script_data_hash.is_some());
    // Without the redeemers the body, and with it what is signed, stays the same.
    hidden.witnesses.redeemers.clear();
    let hiding = patched(&unsigned, |json| json["cborHex"] = json!(hex::encode(hidden.to_cbor())));
    let refused = Unsigned::from_bytes(&hiding).unwrap_err();
    assert!(matches!(refused, FileError::Transaction(_)) && refused.to_string().contains("does not show"), "{refused}");
}

//! Transactions with Plutus scripts: evaluation, redeemers, references, collateral, and withdrawals of zero.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;

use blockfrost::BlockfrostAPI;
use common::{Owner, confirmed, funds_of, owners, refusal, start};
use nunet_devnet::Devnet;
use nunet_ledger::{
    Address, Certificate, Credential, Datum, ExUnits, Language, Lovelace, OutPoint, ProtocolParameters, Purpose,
    Redeemer, RewardAccount, Script, Transaction, TxBody, TxOut, Value, script_data_hash,
};
use pallas_primitives::{BigInt, PlutusData};

/// `(program 1.1.0 (lam context (con unit ())))`
const SAYS_YES: &str = "450101002499";
/// `(program 1.1.0 (lam context (error)))`
const SAYS_NO: &str = "450101002601";

/// What is locked at a script.
const LOCKED: u64 = 20_000_000;
/// Enough for a transaction with the units below.
const SCRIPT_FEE: u64 = 1_000_000;
const UNITS: ExUnits = ExUnits { mem: 100_000, steps: 100_000_000 };

fn script(hex_text: &str) -> Script {
    Script::PlutusV3(hex::decode(hex_text).unwrap())
}

fn redeemer(purpose: Purpose, index: u32) -> Redeemer {
    Redeemer { purpose, index, data: PlutusData::BigInt(BigInt::Int(7.into())), units: UNITS }
}

/// Completes a body with redeemers: the integrity hash, then the signature.
fn with_redeemers(owner: &Owner, mut body: TxBody, redeemers: Vec<Redeemer>) -> Transaction {
    let languages = BTreeSet::from([Language::PlutusV3]);
    body.script_data_hash = Some(script_data_hash(&redeemers, &[], &languages, &ProtocolParameters::mainnet()));
    let mut transaction = owner.sign(body);
    transaction.witnesses.redeemers = redeemers;
    transaction
}

struct Locked {
    /// At the script's address.
    output: OutPoint,
    /// Holds the script.
    reference: OutPoint,
    /// The owner's rest, for collateral.
    rest: (OutPoint, u64),
}

/// Locks an output at a script's address, and the script itself in another output.
async fn lock(devnet: &Devnet, api: &BlockfrostAPI, owner: &Owner, script: &Script) -> Locked {
    let (from, held) = funds_of(devnet, &owner.address);
    let at_script = Address::new(0, Credential::Script(script.hash()), None);
    let value = |lovelace| Value::lovelace_only(Lovelace(lovelace));
    let mut locked = TxOut::new(at_script, value(LOCKED));
    locked.datum = Some(Datum::Inline(vec![0x01]));
    let mut reference = TxOut::new(owner.address.clone(), value(LOCKED));
    reference.reference_script = Some(script.clone());
    let rest = held - 2 * LOCKED - SCRIPT_FEE;
    let transaction = owner.sign(TxBody {
        inputs: [from].into(),
        outputs: vec![locked, reference, TxOut::new(owner.address.clone(), value(rest))],
        fee: Lovelace(SCRIPT_FEE),
        ..TxBody::default()
    });
    api.transactions_submit(transaction.to_cbor()).await.unwrap();
    confirmed(devnet, transaction.id()).await;
    let outpoint = |index| OutPoint { tx: transaction.id(), index };
    Locked { output: outpoint(0), reference: outpoint(1), rest: (outpoint(2), rest) }
}

/// Takes what is locked.
fn unlock(owner: &Owner, locked: &Locked) -> Transaction {
    let taken = Value::lovelace_only(Lovelace(LOCKED - SCRIPT_FEE));
    let body = TxBody {
        inputs: [locked.output].into(),
        outputs: vec![TxOut::new(owner.address.clone(), taken)],
        fee: Lovelace(SCRIPT_FEE),
        collateral: [locked.rest.0].into(),
        collateral_return: Some(TxOut::new(
            owner.address.clone(),
            Value::lovelace_only(Lovelace(locked.rest.1 - 2 * SCRIPT_FEE)),
        )),
        total_collateral: Some(Lovelace(2 * SCRIPT_FEE)),
        reference_inputs: [locked.reference].into(),
        ..TxBody::default()
    };
    with_redeemers(owner, body, vec![redeemer(Purpose::Spend, 0)])
}

#[tokio::test]
async fn a_script_that_says_yes_releases_its_output() {
    let ((devnet, api), (alice, _)) = (start().await, owners());
    let script = script(SAYS_YES);
    let locked = lock(&devnet, &api, &alice, &script).await;
    let transaction = unlock(&alice, &locked);

    let answer = api.utils_tx_evaluate(hex::encode(transaction.to_cbor()).into_bytes()).await.unwrap();
    let used = &answer["result"]["EvaluationResult"]["spend:0"];
    assert!((1..UNITS.mem).contains(&used["memory"].as_u64().unwrap()), "{answer}");
    assert!((1..UNITS.steps).contains(&used["steps"].as_u64().unwrap()), "{answer}");

    let id = transaction.id().to_string();
    api.transactions_submit(transaction.to_cbor()).await.unwrap();
    confirmed(&devnet, transaction.id()).await;
    let found = api.transaction_by_hash(&id).await.unwrap();
    assert_eq!((found.valid_contract, found.redeemer_count, found.fees), (true, 1, SCRIPT_FEE.to_string()));
    let redeemers = api.transactions_redeemers(&id).await.unwrap();
    assert_eq!(redeemers[0].script_hash, script.hash().to_string());
    assert_eq!(redeemers[0].unit_mem, UNITS.mem.to_string());
    // 100,000 × 0.0577 + 100,000,000 × 0.0000721
    assert_eq!(redeemers[0].fee, (5_770 + 7_210).to_string());

    let shown = api.transactions_utxos(&id).await.unwrap();
    let roles: Vec<_> = shown.inputs.iter().map(|input| (input.collateral, input.reference)).collect();
    assert_eq!(roles, [(false, Some(false)), (true, Some(false)), (false, Some(true))]);
    assert_eq!((shown.outputs.len(), shown.outputs[0].collateral), (1, false));
    let made = api.transactions_utxos(&locked.output.tx.to_string()).await.unwrap();
    let consumed: Vec<_> = made.outputs.into_iter().map(|output| output.consumed_by_tx.flatten()).collect();
    assert_eq!(consumed, [Some(id), None, None], "neither the reference nor the collateral is consumed");
}

#[tokio::test]
async fn a_script_that_says_no_is_refused_or_takes_the_collateral() {
    let ((devnet, api), (alice, _)) = (start().await, owners());
    let locked = lock(&devnet, &api, &alice, &script(SAYS_NO)).await;
    let transaction = unlock(&alice, &locked);
    let mut cbor = transaction.to_cbor();
    let answer = api.utils_tx_evaluate(hex::encode(&cbor).into_bytes()).await.unwrap();
    let failures = &answer["result"]["EvaluationFailure"]["ScriptFailures"]["spend:0"];
    assert!(failures[0]["validatorFailed"]["error"].is_string(), "{answer}");
    let (status, message) = refusal(api.transactions_submit(cbor.clone()).await);
    assert!(status == 400 && message.contains("ValidationTagMismatch"), "{message}");

    // The same, saying of itself that its script fails.
    let flag = cbor.len() - 2;
    assert_eq!(cbor[flag], 0xf5);
    cbor[flag] = 0xf4;
    let id = transaction.id().to_string();
    assert_eq!(api.transactions_submit(cbor).await.unwrap(), id);
    confirmed(&devnet, transaction.id()).await;
    let found = api.transaction_by_hash(&id).await.unwrap();
    assert_eq!((found.valid_contract, found.fees), (false, (2 * SCRIPT_FEE).to_string()));
    let shown = api.transactions_utxos(&id).await.unwrap();
    assert_eq!((shown.outputs.len(), shown.outputs[0].collateral, shown.outputs[0].output_index), (1, true, 1));
    let made = api.transactions_utxos(&locked.output.tx.to_string()).await.unwrap();
    let consumed: Vec<_> = made.outputs.into_iter().map(|output| output.consumed_by_tx.flatten()).collect();
    assert_eq!(consumed, [None, None, Some(id)], "only the collateral is consumed");
    let applied = devnet.transaction(&transaction.id()).unwrap();
    assert_eq!((applied.valid, applied.fee), (false, Lovelace(2 * SCRIPT_FEE)));
}

#[tokio::test]
async fn zero_is_withdrawn_from_a_scripts_account_once_it_is_registered() {
    let ((devnet, api), (alice, _)) = (start().await, owners());
    let script = script(SAYS_YES);
    let locked = lock(&devnet, &api, &alice, &script).await;
    let account = RewardAccount { network_id: 0, credential: Credential::Script(script.hash()) };
    let withdraw = |from: OutPoint, held: u64| {
        let body = TxBody {
            inputs: [from].into(),
            outputs: vec![TxOut::new(alice.address.clone(), Value::lovelace_only(Lovelace(held - SCRIPT_FEE)))],
            fee: Lovelace(SCRIPT_FEE),
            withdrawals: [(account, Lovelace(0))].into(),
            collateral: [from].into(),
            reference_inputs: [locked.reference].into(),
            ..TxBody::default()
        };
        with_redeemers(&alice, body, vec![redeemer(Purpose::Withdraw, 0)])
    };
    let (from, held) = locked.rest;
    let (status, message) = refusal(api.transactions_submit(withdraw(from, held).to_cbor()).await);
    assert!(status == 400 && message.contains("Withdrawal"), "{message}");

    let rest = held - SCRIPT_FEE - 2_000_000;
    let register = alice.sign(TxBody {
        inputs: [from].into(),
        outputs: vec![TxOut::new(alice.address.clone(), Value::lovelace_only(Lovelace(rest)))],
        fee: Lovelace(SCRIPT_FEE),
        certificates: vec![Certificate::RegisterStake(account.credential)],
        ..TxBody::default()
    });
    api.transactions_submit(register.to_cbor()).await.unwrap();
    let transaction = withdraw(OutPoint { tx: register.id(), index: 0 }, rest);
    api.transactions_submit(transaction.to_cbor()).await.unwrap();
    confirmed(&devnet, transaction.id()).await;
    let id = transaction.id().to_string();
    let shown = api.transactions_withdrawals(&id).await.unwrap();
    assert_eq!(shown[0].amount, "0");
    assert!(api.accounts(&shown[0].address).await.unwrap().registered);
    assert_eq!(api.transactions_redeemers(&id).await.unwrap()[0].script_hash, script.hash().to_string());
}

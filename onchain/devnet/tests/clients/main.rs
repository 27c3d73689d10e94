//! Other people's clients against the devnet: each locks at a Plutus script, has the API evaluate the spend, submits it
//! and finds it; then the devnet is asked what happened.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod foreign;
mod schemas;

use std::{collections::BTreeSet, time::Duration};

use blockfrost::{BlockfrostAPI, Pagination};
use common::{FUNDS, NTX, Owner, client, confirmed, funds_of, ntx};
use foreign::{Client, Ecosystem};
use nunet_devnet::{Devnet, DevnetConfig, Funding, devnet_genesis};
use nunet_ledger::{
    Address, Credential, Datum, ExUnits, Language, Lovelace, OutPoint, ProtocolParameters, Purpose, Redeemer,
    RewardAccount, Script, Transaction, TxBody, TxId, TxOut, Value, script_data_hash,
};
use pallas_primitives::{BigInt, PlutusData};
use serde_json::{Value as Json, json};

/// A validator that wants its redeemer to equal its datum, in untyped Plutus Core 1.1.0:
///
/// ```text
/// (lam context [(lam parts
///   if equalsData (headList (tailList parts))                                         -- the redeemer
///                 (headList (sndPair (unConstrData (headList (tailList                -- the datum, out of Some datum,
///                   (sndPair (unConstrData (headList (tailList (tailList parts)))))))))) -- out of the script info
///   then (con unit ()) else (error))
///   (sndPair (unConstrData context))])
/// ```
const SAME_AS_DATUM: &str = "583901010023232325333573466ebc00800452616357426aae78dd51aba1357446aae78dd51aba1357446ae8800\
                             8d5d09aba200135573c6ea80041";

/// What the clients lock with the script, per output.
const LOCKED: u64 = 10_000_000;

/// The datum, 42 as CBOR.
const DATUM: [u8; 2] = [0x18, 0x2a];

/// The seed of the key that every client gets.
const KEY: u8 = 3;

fn script() -> Script {
    Script::PlutusV3(hex::decode(SAME_AS_DATUM).unwrap())
}

/// The address of the clients' key: without stake, because that is what they derive from a key alone.
fn owner() -> Owner {
    let mut owner = Owner::new(KEY);
    owner.address = Address::new(0, Credential::Key(owner.key_hash()), None);
    owner
}

/// The stake account of somebody whose address has one.
fn staked_account() -> String {
    let account = RewardAccount { network_id: 0, credential: Owner::new(1).stake_credential() };
    pallas_addresses::Address::from_bytes(&account.to_bytes()).unwrap().to_string()
}

/// A devnet on which the clients' key and somebody with a stake key are funded.
async fn start() -> (Devnet, BlockfrostAPI) {
    let funding = |address, ntx| Funding { address, lovelace: FUNDS, ntx };
    let config = DevnetConfig {
        block_interval: Some(Duration::from_millis(50)),
        genesis: devnet_genesis(&ntx(), &[funding(owner().address, 0), funding(Owner::new(1).address, NTX)]).unwrap(),
        ..DevnetConfig::default()
    };
    let devnet = Devnet::start(config).await.unwrap();
    let api = client(&devnet);
    (devnet, api)
}

/// Has a client do its work, and gives the ids of its two transactions.
async fn lock_and_spend(devnet: &Devnet, client: Client) -> (TxId, TxId) {
    let task = json!({ "url": devnet.url(), "key": hex::encode([KEY; 32]), "script": SAME_AS_DATUM });
    let report = client.run(task).await;
    let id = |name: &str| report[name].as_str().and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("{report}"));
    (id("locked"), id("spent"))
}

/// What the devnet must know after both outputs at the script were spent.
async fn assert_spent(devnet: &Devnet, api: &BlockfrostAPI, locked: TxId, spent: TxId) {
    let at_script = Address::new(0, Credential::Script(script().hash()), None);
    let applied = devnet.transaction(&spent).expect("the spend is in a block");
    assert!(applied.valid);
    let consumed = applied.consumed.iter().filter(|(_, output)| output.address == at_script);
    let consumed: Vec<_> = consumed.map(|(outpoint, output)| (*outpoint, output.value.lovelace().0)).collect();
    assert_eq!(consumed, [0, 1].map(|index| (OutPoint { tx: locked, index }, LOCKED)));
    assert!(applied.units.iter().all(|(_, _, units)| units.mem > 0 && units.steps > 0), "{:?}", applied.units);

    let id = spent.to_string();
    let shown = api.transaction_by_hash(&id).await.unwrap();
    assert_eq!((shown.valid_contract, shown.redeemer_count), (true, 2));
    let redeemers = api.transactions_redeemers(&id).await.unwrap();
    let hashes: Vec<_> = redeemers.iter().map(|one| one.script_hash.clone()).collect();
    assert_eq!(hashes, [script().hash().to_string(), script().hash().to_string()]);
    let made = api.transactions_utxos(&locked.to_string()).await.unwrap().outputs;
    assert!(made[..2].iter().all(|output| output.consumed_by_tx == Some(Some(id.clone()))), "{made:?}");
    let datum = hex::encode(nunet_ledger::hash::blake2b_256(&DATUM));
    assert!(made[..2].iter().all(|output| output.data_hash.as_ref() == Some(&datum)), "{made:?}");
    assert!(api.addresses_utxos(&at_script.to_string(), Pagination::default()).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn pycardano_spends_from_a_script() {
    let Some(client) = Client::installed(Ecosystem::Python, "spend.py").await else { return };
    let (devnet, api) = start().await;
    let (locked, spent) = lock_and_spend(&devnet, client).await;
    assert_spent(&devnet, &api, locked, spent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lucid_evolution_spends_from_a_script() {
    let Some(client) = Client::installed(Ecosystem::Lucid, "spend.mjs").await else { return };
    let (devnet, api) = start().await;
    let (locked, spent) = lock_and_spend(&devnet, client).await;
    assert_spent(&devnet, &api, locked, spent).await;
}

/// The fee of transactions that are built here.
const FEE: u64 = 1_000_000;

fn lovelace_to(address: &Address, lovelace: u64) -> TxOut {
    TxOut::new(address.clone(), Value::lovelace_only(Lovelace(lovelace)))
}

/// Spends two outputs at the script with the argument and the units given.
fn spend(owner: &Owner, locked: TxId, rest: u64, argument: i64, units: &[ExUnits]) -> Transaction {
    let outpoint = |index| OutPoint { tx: locked, index };
    let redeemers: Vec<_> = (0..)
        .zip(units)
        .map(|(index, units)| {
            let data = PlutusData::BigInt(BigInt::Int(argument.into()));
            Redeemer { purpose: Purpose::Spend, index, data, units: *units }
        })
        .collect();
    let languages = BTreeSet::from([Language::PlutusV3]);
    let params = ProtocolParameters::mainnet();
    let mut transaction = owner.sign(TxBody {
        inputs: [outpoint(0), outpoint(1)].into(),
        outputs: vec![lovelace_to(&owner.address, 2 * LOCKED - FEE)],
        fee: Lovelace(FEE),
        collateral: [outpoint(2)].into(),
        collateral_return: Some(lovelace_to(&owner.address, rest - 2 * FEE)),
        total_collateral: Some(Lovelace(2 * FEE)),
        script_data_hash: Some(script_data_hash(&redeemers, &[], &languages, &params)),
        ..TxBody::default()
    });
    transaction.witnesses.redeemers = redeemers;
    transaction.witnesses.scripts = vec![script()];
    transaction
}

async fn evaluate(api: &BlockfrostAPI, transaction: &Transaction) -> Json {
    api.utils_tx_evaluate(hex::encode(transaction.to_cbor()).into_bytes()).await.unwrap()
}

#[tokio::test]
async fn the_blockfrost_crate_carries_a_spend_from_a_script() {
    let ((devnet, api), owner) = (start().await, owner());
    let (from, held) = funds_of(&devnet, &owner.address);
    let at_script = Address::new(0, Credential::Script(script().hash()), None);
    let mut locked = lovelace_to(&at_script, LOCKED);
    locked.datum = Some(Datum::Inline(DATUM.to_vec()));
    let rest = held - 2 * LOCKED - FEE;
    let lock = owner.sign(TxBody {
        inputs: [from].into(),
        outputs: vec![locked.clone(), locked, lovelace_to(&owner.address, rest)],
        fee: Lovelace(FEE),
        ..TxBody::default()
    });
    api.transactions_submit(lock.to_cbor()).await.unwrap();
    confirmed(&devnet, lock.id()).await;

    let wrong = evaluate(&api, &spend(&owner, lock.id(), rest, 43, &[ExUnits::default(); 2])).await;
    assert!(wrong["result"]["EvaluationFailure"]["ScriptFailures"]["spend:0"].is_array(), "{wrong}");
    let answer = evaluate(&api, &spend(&owner, lock.id(), rest, 42, &[ExUnits::default(); 2])).await;
    let units = ["spend:0", "spend:1"].map(|pointer| {
        let used = &answer["result"]["EvaluationResult"][pointer];
        ExUnits { mem: used["memory"].as_u64().unwrap(), steps: used["steps"].as_u64().unwrap() }
    });
    // Exactly what the evaluation said is enough.
    let transaction = spend(&owner, lock.id(), rest, 42, &units);
    api.transactions_submit(transaction.to_cbor()).await.unwrap();
    confirmed(&devnet, transaction.id()).await;
    assert_spent(&devnet, &api, lock.id(), transaction.id()).await;
}

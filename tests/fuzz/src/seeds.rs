//! Inputs to start from: each reaches another part of what is fuzzed.

use std::collections::BTreeSet;

use nunet_ledger::{
    Address, AssetId, Certificate, Credential, DRep, Datum, Delegation, ExUnits, KeyHash, Language, Lovelace, OutPoint,
    PoolId, ProtocolParameters, Purpose, Redeemer, RewardAccount, Script, Slot, Transaction, TxBody, TxId, TxOut,
    VKeyWitness, Value, Witnesses, script_data_hash,
};
use pallas_primitives::{BigInt, PlutusData};

use crate::{http::known, transaction::HELD};

/// An input, with the target that it is for.
#[derive(Clone, Debug)]
pub enum Seed {
    /// A transaction's bytes.
    Transaction(Vec<u8>),
    /// A request: see [`crate::request`].
    Request(Vec<u8>),
}

/// `(program 1.1.0 (lam context (con unit ())))`, compiled: a Plutus V3 script that always says yes.
const YES: [u8; 6] = [0x45, 0x01, 0x01, 0x00, 0x24, 0x99];

/// All seeds.
pub fn seeds() -> Vec<Seed> {
    let transactions = [payment(), minting(), spending(), staking(), reading()];
    let mut seeds: Vec<Seed> = transactions.iter().map(|tx| Seed::Transaction(tx.to_cbor())).collect();
    seeds.extend(requests().into_iter().map(Seed::Request));
    seeds
}

fn payment() -> Transaction {
    let output = TxOut::new(owner(2), Value::lovelace_only(Lovelace(HELD.0 - 1_000_000)));
    let body = TxBody {
        inputs: BTreeSet::from([outpoint(1)]),
        outputs: vec![output],
        fee: Lovelace(1_000_000),
        valid_from: Some(Slot(10)),
        valid_until: Some(Slot(10_000)),
        ..TxBody::default()
    };
    signed(body, Witnesses::default())
}

fn minting() -> Transaction {
    let mut tx = payment();
    // Any signature of one key: `[0, key hash]`.
    let policy = Script::Native([&[0x82, 0x00, 0x58, 0x1c][..], &[3; 28]].concat());
    let asset = AssetId { policy: policy.hash(), name: b"NTX".to_vec() };
    tx.body.mint.insert(asset.clone(), 5);
    if let Some(output) = tx.body.outputs.first_mut() {
        let _ = output.value.add_asset(asset, 5);
    }
    signed(tx.body, Witnesses { scripts: vec![policy], ..Witnesses::default() })
}

fn spending() -> Transaction {
    let script = yes();
    let redeemer = Redeemer {
        purpose: Purpose::Spend,
        index: 0,
        data: PlutusData::BigInt(BigInt::Int(7.into())),
        units: ExUnits { mem: 10_000, steps: 10_000_000 },
    };
    let mut tx = payment();
    tx.body.collateral.insert(outpoint(2));
    tx.body.total_collateral = Some(HELD);
    let languages = BTreeSet::from([Language::PlutusV3]);
    let redeemers = vec![redeemer];
    tx.body.script_data_hash = Some(script_data_hash(&redeemers, &[], &languages, &ProtocolParameters::mainnet()));
    signed(tx.body, Witnesses { scripts: vec![script], redeemers, ..Witnesses::default() })
}

fn staking() -> Transaction {
    let mut tx = payment();
    let deposit = ProtocolParameters::mainnet().key_deposit;
    tx.body.certificates = vec![
        Certificate::RegisterStake(credential(4)),
        Certificate::Delegate { credential: credential(4), to: Delegation::Vote(DRep::Abstain) },
        Certificate::DeregisterStake(credential(4)),
        Certificate::RegisterAndDelegate {
            credential: credential(5),
            to: Delegation::StakeAndVote(PoolId([6; 28]), DRep::Key(KeyHash([7; 28]))),
            deposit,
        },
    ];
    tx.body.withdrawals.insert(RewardAccount { network_id: 0, credential: credential(6) }, Lovelace(0));
    tx.body.required_signers.insert(KeyHash([7; 28]));
    signed(tx.body, Witnesses::default())
}

fn reading() -> Transaction {
    let mut tx = payment();
    tx.body.reference_inputs.insert(outpoint(9));
    if let Some(output) = tx.body.outputs.first_mut() {
        output.datum = Some(Datum::Inline(vec![0xd8, 0x79, 0x9f, 0x01, 0x42, 0xaa, 0xbb, 0xff]));
        output.reference_script = Some(yes());
    }
    signed(tx.body, Witnesses::default())
}

/// With a signature in form only: none of these keys exists.
fn signed(body: TxBody, mut witnesses: Witnesses) -> Transaction {
    witnesses.vkeys.push(VKeyWitness { key: [8; 32], signature: [9; 64] });
    Transaction { body, witnesses }
}

fn yes() -> Script {
    Script::PlutusV3(YES.to_vec())
}

fn credential(byte: u8) -> Credential {
    Credential::Key(KeyHash([byte; 28]))
}

fn owner(byte: u8) -> Address {
    Address::new(0, credential(byte), None)
}

fn outpoint(byte: u8) -> OutPoint {
    OutPoint { tx: TxId([byte; 32]), index: 0 }
}

fn requests() -> Vec<Vec<u8>> {
    let (ids, addresses) = known();
    let (id, address) = (ids.first().cloned().unwrap_or_default(), addresses.first().cloned().unwrap_or_default());
    let hash = "00".repeat(28);
    let paths = [
        "/".to_owned(),
        "/health/clock".to_owned(),
        "/genesis".to_owned(),
        "/network/eras".to_owned(),
        "/blocks/latest".to_owned(),
        "/blocks/0/txs?page=1&count=100&order=desc".to_owned(),
        "/blocks/slot/0".to_owned(),
        "/epochs/latest/parameters".to_owned(),
        "/epochs/0".to_owned(),
        format!("/addresses/{address}"),
        format!("/addresses/{address}/utxos?page=2&count=1"),
        format!("/addresses/{address}/transactions?from=0:0&to=9:9"),
        format!("/addresses/{address}/utxos/{hash}4e5458"),
        format!("/txs/{id}"),
        format!("/txs/{id}/utxos"),
        format!("/txs/{id}/cbor"),
        format!("/txs/{id}/metadata"),
        format!("/scripts/{hash}/redeemers"),
        format!("/scripts/datum/{id}/cbor"),
        format!("/assets/{hash}4e5458"),
        format!("/assets/policy/{hash}"),
        "/accounts/stake_test1uqehkck0lajq8gr28t9uxnuvgcqrc6070x3k9r8048z8y5gh6ffgw/utxos".to_owned(),
        "/metadata/txs/labels/674".to_owned(),
        "/mempool".to_owned(),
        "/metrics".to_owned(),
        "/api/v0/pools".to_owned(),
    ];
    let mut requests: Vec<Vec<u8>> = paths.iter().map(|path| format!("GET {path}\n\n").into_bytes()).collect();
    let cbor = spending().to_cbor();
    let hex: String = cbor.iter().map(|byte| format!("{byte:02x}")).collect();
    requests.push([b"POST /tx/submit\napplication/cbor\n".to_vec(), cbor].concat());
    requests.push(format!("POST /utils/txs/evaluate\napplication/cbor\n{hex}").into_bytes());
    requests.push(format!("POST /utils/txs/evaluate?version=6\napplication/cbor\n{hex}").into_bytes());
    let both = format!("{{\"cbor\":\"{hex}\",\"additionalUtxoSet\":[[{{\"txId\":\"{id}\",\"index\":0}},{{}}]]}}");
    requests.push(format!("POST /utils/txs/evaluate/utxos\napplication/json\n{both}").into_bytes());
    requests
}

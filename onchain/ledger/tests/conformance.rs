//! Runs public transaction vectors (one transaction, one state, one verdict each) when they are beside the repository.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use nunet_ledger::{
    Credential, KeyHash, Lovelace, NetworkMagic, OutPoint, PosixMs, ProtocolParameters, ScriptHash, Slot, SlotConfig,
    TxId, TxOut,
    parameters::{CostModels, Rational},
    rules::{Account, DRep, LedgerError, LedgerState},
};
use pallas_codec::minicbor::Decoder;
use serde_json::Value as Json;

/// Vectors whose verdict needs delegation, pools or voting, which these rules refuse as unsupported.
const UNSUPPORTED: [&str; 5] = ["00006", "00100", "00101", "00103", "00107"];

/// Predicates that the vectors call otherwise than cardano-ledger does.
const OTHER_NAMES: [(&str, &str); 5] = [
    ("MissingVerificationKeyWitnessesUTXOW", "MissingVKeyWitnessesUTXOW"),
    ("WrongNetworkInTxOutput", "WrongNetwork"),
    ("StakeKeyRegistered", "StakeKeyRegisteredDELEG"),
    ("StakeKeyNotRegistered", "StakeKeyNotRegisteredDELEG"),
    ("StakeKeyHasNonZeroAccountBalance", "StakeKeyHasNonZeroAccountBalanceDELEG"),
];

#[test]
fn public_vectors_get_their_verdict() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/ledger-vectors");
    let Ok(folder) = fs::read_dir(root.join("scenarios")) else {
        eprintln!("no vectors in {}: nothing was compared", root.display());
        return;
    };
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut agree, mut wrong) = (0, Vec::new());
    for file in &files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let vector: Json = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let expected = expected(&vector["expected"]);
        let actual = run(&root, &vector);
        let verdict = actual.as_ref().map_or_else(|error| error.predicate().to_owned(), |()| "Pass".to_owned());
        if verdict == expected {
            agree += 1;
        } else if UNSUPPORTED.iter().any(|id| name.starts_with(id)) {
            assert_eq!(verdict, "Unsupported", "{name}");
            eprintln!("unsupported: {name}");
        } else {
            wrong.push(format!("{name}: expected {expected}, got {verdict}: {actual:?}"));
        }
    }
    eprintln!("{agree} of {} vectors agree", files.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn expected(json: &Json) -> String {
    match json {
        Json::String(text) => text.clone(),
        other if other["decodingFailure"] == Json::Bool(true) => "DecodingFailure".to_owned(),
        other => {
            let name = other["predicate"].as_str().unwrap();
            OTHER_NAMES.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, ours)| ours).to_owned()
        }
    }
}

fn run(root: &Path, vector: &Json) -> Result<(), LedgerError> {
    let era = resolve(root, &vector["eraHistory"]);
    let magic = match vector["network"].as_str().unwrap() {
        "mainnet" => NetworkMagic::MAINNET,
        "preprod" => NetworkMagic(1),
        other => panic!("unknown network {other}"),
    };
    let slots = SlotConfig { zero_time: PosixMs(0), zero_slot: Slot(0), slot_length_ms: 1_000 };
    let mut state = LedgerState::new(parameters(&resolve(root, &vector["protocolParameters"])), slots, magic);
    state.stability_window = era["stabilityWindow"].as_u64().unwrap();
    for entry in vector["initialState"]["utxo"].as_array().unwrap() {
        let input = outpoint(&bytes(&entry["input"]));
        state.utxo.insert(input, TxOut::from_cbor(&bytes(&entry["output"])).unwrap());
    }
    for entry in vector["initialState"]["accounts"].as_array().into_iter().flatten() {
        let account = Account {
            deposit: Lovelace(entry["deposit"].as_u64().unwrap()),
            rewards: Lovelace(entry["rewards"].as_u64().unwrap()),
            drep: entry["drep"]["id"].as_str().map(|id| drep(&hex::decode(id).unwrap())),
        };
        state.accounts.insert(credential(&bytes(&entry["credential"])), account);
    }
    let effects = state.validate(&bytes(&vector["transaction"]), Slot(vector["point"]["slot"].as_u64().unwrap()))?;
    state.apply(effects);
    Ok(())
}

/// A value of a vector, with the file that it refers to and what it overrides there.
fn resolve(root: &Path, json: &Json) -> Json {
    let Some(path) = json["$ref"].as_str() else { return json.clone() };
    let mut value: Json = serde_json::from_str(&fs::read_to_string(root.join(path)).unwrap()).unwrap();
    for (key, replacement) in json["$override"].as_object().into_iter().flatten() {
        value[key] = replacement.clone();
    }
    value
}

fn parameters(json: &Json) -> ProtocolParameters {
    let number = |json: &Json| json.as_u64().unwrap();
    let rational = |json: &Json| Rational::new(number(&json["numerator"]), number(&json["denominator"]));
    let costs = |name: &str| {
        let costs = json["plutusCostModels"][name].as_array();
        costs.into_iter().flatten().map(|cost| cost.as_i64().unwrap()).collect()
    };
    let mut params = ProtocolParameters::mainnet();
    params.min_fee_a = number(&json["minFeeCoefficient"]);
    params.min_fee_b = number(&json["minFeeConstant"]);
    params.max_tx_size = number(&json["maxTransactionSize"]);
    params.max_value_size = number(&json["maxValueSize"]);
    params.coins_per_utxo_byte = number(&json["minUtxoDepositCoefficient"]);
    params.key_deposit = Lovelace(number(&json["stakeCredentialDeposit"]));
    params.collateral_percent = number(&json["collateralPercentage"]);
    params.max_collateral_inputs = number(&json["maxCollateralInputs"]);
    params.max_ref_scripts_size = number(&json["maxReferenceScriptsSize"]);
    params.min_fee_ref_script_coins_per_byte = rational(&json["minFeeReferenceScripts"]["base"]);
    params.price_mem = rational(&json["scriptExecutionPrices"]["memory"]);
    params.price_step = rational(&json["scriptExecutionPrices"]["cpu"]);
    let limit = &json["maxExecutionUnitsPerTransaction"];
    params.max_tx_ex_units.mem = number(&limit["memory"]);
    params.max_tx_ex_units.steps = number(&limit["cpu"]);
    params.protocol_version.major = u16::try_from(number(&json["version"]["major"])).unwrap();
    params.cost_models = CostModels { v1: costs("plutusV1"), v2: costs("plutusV2"), v3: costs("plutusV3") };
    params
}

fn bytes(json: &Json) -> Vec<u8> {
    hex::decode(json.as_str().unwrap()).unwrap()
}

fn outpoint(cbor: &[u8]) -> OutPoint {
    let mut decoder = Decoder::new(cbor);
    assert_eq!(decoder.array().unwrap(), Some(2));
    OutPoint { tx: TxId::try_from(decoder.bytes().unwrap()).unwrap(), index: decoder.u16().unwrap() }
}

fn credential(cbor: &[u8]) -> Credential {
    let mut decoder = Decoder::new(cbor);
    assert_eq!(decoder.array().unwrap(), Some(2));
    match decoder.u8().unwrap() {
        0 => Credential::Key(KeyHash::try_from(decoder.bytes().unwrap()).unwrap()),
        _ => Credential::Script(ScriptHash::try_from(decoder.bytes().unwrap()).unwrap()),
    }
}

fn drep(cbor: &[u8]) -> DRep {
    let mut decoder = Decoder::new(cbor);
    decoder.array().unwrap();
    match decoder.u8().unwrap() {
        0 => DRep::Key(KeyHash::try_from(decoder.bytes().unwrap()).unwrap()),
        1 => DRep::Script(ScriptHash::try_from(decoder.bytes().unwrap()).unwrap()),
        2 => DRep::Abstain,
        _ => DRep::NoConfidence,
    }
}

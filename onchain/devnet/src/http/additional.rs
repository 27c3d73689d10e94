//! Outputs that a client sends along with an evaluation, in the forms of Ogmios 5 and of Ogmios 6.
//!
//! Ogmios 5: `[{txId, index}, {address, value: {coins, assets: {"policy.name": n}}, datumHash, datum, script:
//! {"plutus:v3": hex}}]`. Ogmios 6: `{transaction: {id}, index, address, value: {ada: {lovelace}, policy: {name: n}},
//! datumHash, datum, script: {language: "plutus:v3", cbor: hex}}`.

use std::collections::BTreeMap;

use nunet_ledger::{Address, AssetId, Datum, Lovelace, OutPoint, Script, TxOut, Value};
use serde::Deserialize;
use serde_json::Value as Json;

use super::{answer::ApiError, assets::parse_asset};

/// One output of the set, in either form.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "an additional output is [{txId, index}, {address, value: {coins, assets}, …}] as in Ogmios 5, or \
                 {transaction: {id}, index, address, value: {ada: {lovelace}}, …} as in Ogmios 6"
)]
pub(super) enum AdditionalOutput {
    /// Ogmios 5.
    Pair(PairInput, PairOutput),
    /// Ogmios 6.
    Flat(FlatOutput),
}

#[derive(Deserialize)]
pub(super) struct PairInput {
    #[serde(rename = "txId")]
    id: String,
    index: u16,
}

#[derive(Deserialize)]
pub(super) struct PairOutput {
    address: Address,
    value: PairValue,
    #[serde(rename = "datumHash", alias = "datum_hash")]
    datum_hash: Option<String>,
    datum: Option<String>,
    script: Option<BTreeMap<String, Json>>,
}

#[derive(Deserialize)]
struct PairValue {
    coins: u64,
    assets: Option<BTreeMap<String, u64>>,
}

#[derive(Deserialize)]
pub(super) struct FlatOutput {
    transaction: FlatId,
    index: u16,
    address: Address,
    value: BTreeMap<String, BTreeMap<String, u64>>,
    #[serde(rename = "datumHash")]
    datum_hash: Option<String>,
    datum: Option<String>,
    script: Option<FlatScript>,
}

#[derive(Deserialize)]
struct FlatId {
    id: String,
}

#[derive(Deserialize)]
struct FlatScript {
    language: String,
    cbor: Option<String>,
}

/// The outputs of a set by their outpoints; the error says which of them cannot be read.
pub(super) fn resolve(set: Vec<AdditionalOutput>) -> Result<BTreeMap<OutPoint, TxOut>, ApiError> {
    let outputs = set.into_iter().enumerate();
    let read = outputs.map(|(place, output)| {
        output.read().map_err(|reason| ApiError::bad_request(format!("additionalUtxoSet/{place}: {reason}")))
    });
    read.collect()
}

impl AdditionalOutput {
    fn read(self) -> Result<(OutPoint, TxOut), String> {
        match self {
            Self::Pair(input, output) => {
                let mut value = Value::lovelace_only(Lovelace(output.value.coins));
                for (unit, quantity) in output.value.assets.unwrap_or_default() {
                    let (policy, name) = unit.split_once('.').unwrap_or((&unit, ""));
                    value = add(value, policy, name, quantity)?;
                }
                let script = output.script.and_then(|script| script.into_iter().next());
                let script = script.map(|(language, bytes)| read_script(&language, bytes.as_str())).transpose()?;
                let datum = read_datum(output.datum, output.datum_hash)?;
                let output = TxOut { address: output.address, value, datum, reference_script: script };
                Ok((outpoint(&input.id, input.index)?, output))
            }
            Self::Flat(output) => {
                let mut value = Value::default();
                for (policy, names) in output.value {
                    for (name, quantity) in names {
                        value = match (policy.as_str(), name.as_str()) {
                            ("ada", "lovelace") => {
                                value.set_lovelace(Lovelace(quantity));
                                value
                            }
                            (policy, name) => add(value, policy, name, quantity)?,
                        };
                    }
                }
                let script = output.script.map(|script| read_script(&script.language, script.cbor.as_deref()));
                let datum = read_datum(output.datum, output.datum_hash)?;
                let made = TxOut { address: output.address, value, datum, reference_script: script.transpose()? };
                Ok((outpoint(&output.transaction.id, output.index)?, made))
            }
        }
    }
}

fn outpoint(id: &str, index: u16) -> Result<OutPoint, String> {
    let tx = id.parse().map_err(|error: nunet_ledger::ParseIdError| error.to_string())?;
    Ok(OutPoint { tx, index })
}

fn add(value: Value, policy: &str, name: &str, quantity: u64) -> Result<Value, String> {
    let asset: AssetId =
        parse_asset(&format!("{policy}{name}")).map_err(|_| format!("{policy}.{name} is no policy and asset name"))?;
    value.with(asset, quantity).ok_or_else(|| format!("more than 2^64 - 1 of {policy}.{name}"))
}

fn read_datum(datum: Option<String>, hash: Option<String>) -> Result<Option<Datum>, String> {
    match (datum, hash) {
        (Some(datum), _) => {
            let bytes = hex::decode(&datum).map_err(|error| format!("datum is not CBOR in hex: {error}"))?;
            Ok(Some(Datum::Inline(bytes)))
        }
        (None, Some(hash)) => {
            let mut bytes = [0; 32];
            hex::decode_to_slice(&hash, &mut bytes)
                .map_err(|error| format!("datumHash is not 64 hex digits: {error}"))?;
            Ok(Some(Datum::Hash(bytes)))
        }
        (None, None) => Ok(None),
    }
}

fn read_script(language: &str, cbor: Option<&str>) -> Result<Script, String> {
    let cbor = cbor.ok_or_else(|| format!("a script of {language} is given as its CBOR in hex"))?;
    let bytes = hex::decode(cbor).map_err(|error| format!("the script of {language} is not hex: {error}"))?;
    match language {
        "native" => Ok(Script::Native(bytes)),
        "plutus:v1" => Ok(Script::PlutusV1(bytes)),
        "plutus:v2" => Ok(Script::PlutusV2(bytes)),
        "plutus:v3" => Ok(Script::PlutusV3(bytes)),
        _ => Err(format!("{language:?} is no script language; use native, plutus:v1, plutus:v2 or plutus:v3")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use serde_json::json;

    use super::*;

    const ADDRESS: &str = "addr_test1vz2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzerspjrlsz";

    fn read(set: Json) -> Result<BTreeMap<OutPoint, TxOut>, String> {
        let set: Vec<AdditionalOutput> = serde_json::from_value(set).map_err(|error| error.to_string())?;
        resolve(set).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn both_forms_describe_the_same_output() {
        let (id, policy) = ("07".repeat(32), "ab".repeat(28));
        let pair = json!([[
            { "txId": id, "index": 3 },
            {
                "address": ADDRESS,
                "value": { "coins": 5, "assets": { format!("{policy}.4e54"): 7, policy.clone(): 2 } },
                "datum": "182a",
                "script": { "plutus:v3": "450101002499" },
            },
        ]]);
        let flat = json!([{
            "transaction": { "id": id },
            "index": 3,
            "address": ADDRESS,
            "value": { "ada": { "lovelace": 5 }, policy: { "4e54": 7, "": 2 } },
            "datum": "182a",
            "script": { "language": "plutus:v3", "cbor": "450101002499" },
        }]);
        let pair = read(pair).unwrap();
        assert_eq!(pair, read(flat).unwrap());
        let (outpoint, output) = pair.into_iter().next().unwrap();
        assert_eq!((outpoint.index, output.value.lovelace().0, output.value.assets().len()), (3, 5, 2));
        assert_eq!(output.datum, Some(Datum::Inline(vec![0x18, 0x2a])));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let output = |change: &str, value: Json| {
            let mut output = json!({ "address": ADDRESS, "value": { "coins": 5 } });
            output[change] = value;
            read(json!([[{ "txId": "07".repeat(32), "index": 0 }, output]])).unwrap_err()
        };
        assert!(output("datum", json!("zz")).contains("additionalUtxoSet/0: datum"));
        assert!(output("datumHash", json!("00")).contains("datumHash"));
        assert!(output("script", json!({ "plutus:v9": "00" })).contains("no script language"));
        assert!(output("script", json!({ "native": { "all": [] } })).contains("CBOR in hex"));
        assert!(output("value", json!({ "coins": 1, "assets": { "zz": 1 } })).contains("policy"));
        assert!(output("value", json!({ "coins": -1 })).contains("Ogmios 5"));
        assert!(output("address", json!("addr")).contains("Ogmios 5"));
    }
}

//! The answers of the Blockfrost API that we read, and how they become the ledger's types.
//!
//! Only the fields that are used are named, so that servers may add and leave out others
//! (<https://docs.blockfrost.io>). Every text is a stranger's: hashes are checked, numbers are parsed, nothing is
//! indexed by what an answer says.

use std::{collections::BTreeMap, fmt, str::FromStr};

use nunet_ledger::{
    Address, AssetId, Datum, ExUnits, Lovelace, ScriptHash, TxId, Value,
    hash::blake2b_256,
    parameters::{CostModels, ProtocolParameters, ProtocolVersion, Rational},
};
use serde::{Deserialize, Deserializer, de};

/// `GET /genesis`
#[derive(Debug, Deserialize)]
pub(crate) struct Genesis {
    pub(crate) network_magic: u32,
    /// Seconds. Where it is not said, that of all public networks.
    #[serde(default = "one")]
    pub(crate) slot_length: u32,
    /// The share of slots that have a block; likewise.
    #[serde(default = "one_in_twenty")]
    pub(crate) active_slots_coefficient: f64,
}

/// `GET /blocks/latest`
#[derive(Debug, Deserialize)]
pub(crate) struct Block {
    /// Seconds since 1970.
    pub(crate) time: u64,
    pub(crate) height: Option<u64>,
    pub(crate) slot: Option<u64>,
    pub(crate) epoch: Option<u64>,
    pub(crate) hash: TxId,
}

/// An amount of one asset.
#[derive(Debug, Deserialize)]
pub(crate) struct Amount {
    unit: String,
    quantity: Number,
}

/// An output in `GET /addresses/{address}/utxos`, and an output or input in `GET /txs/{hash}/utxos`.
#[derive(Debug, Deserialize)]
pub(crate) struct Output {
    pub(crate) address: Text<Address>,
    /// In answers about an address, and for a transaction's inputs.
    pub(crate) tx_hash: Option<TxId>,
    pub(crate) output_index: u16,
    /// The hash of the block that made it, in answers about an address.
    pub(crate) block: Option<TxId>,
    amount: Vec<Amount>,
    data_hash: Option<String>,
    inline_datum: Option<String>,
    pub(crate) reference_script_hash: Option<ScriptHash>,
    /// Only in answers about a transaction: this is its collateral return.
    #[serde(default)]
    pub(crate) collateral: bool,
    /// Only in answers about a transaction: this input is read, not consumed.
    #[serde(default)]
    pub(crate) reference: Option<bool>,
    /// Only in answers about a transaction. The outer level tells whether the server knows.
    #[serde(default, deserialize_with = "present")]
    pub(crate) consumed_by_tx: Option<Option<TxId>>,
}

/// `GET /txs/{hash}`
#[derive(Debug, Deserialize)]
pub(crate) struct Tx {
    pub(crate) block_height: u64,
    pub(crate) slot: u64,
    #[serde(default = "yes")]
    pub(crate) valid_contract: bool,
}

/// `GET /txs/{hash}/utxos`
#[derive(Debug, Deserialize)]
pub(crate) struct TxUtxos {
    pub(crate) inputs: Option<Vec<Output>>,
    pub(crate) outputs: Vec<Output>,
}

/// `GET /addresses/{address}/transactions`
#[derive(Debug, Deserialize)]
pub(crate) struct AddressTx {
    pub(crate) tx_hash: TxId,
}

/// `GET /txs/{hash}/cbor` and `GET /scripts/{hash}/cbor`
#[derive(Debug, Deserialize)]
pub(crate) struct Cbor {
    pub(crate) cbor: Option<String>,
}

/// `GET /scripts/{hash}/json`
#[derive(Debug, Deserialize)]
pub(crate) struct ScriptJson {
    pub(crate) json: Option<crate::native::NativeScript>,
}

/// `GET /accounts/{stake_address}`
#[derive(Debug, Deserialize)]
pub(crate) struct Account {
    active: bool,
    /// Newer servers tell registration from delegation.
    registered: Option<bool>,
    withdrawable_amount: Number,
}

/// `GET /epochs/latest/parameters`
#[derive(Debug, Deserialize)]
pub(crate) struct Parameters {
    pub(crate) epoch: u64,
    min_fee_a: Number,
    min_fee_b: Number,
    max_block_size: Number,
    max_tx_size: Number,
    key_deposit: Number,
    pool_deposit: Number,
    protocol_major_ver: u16,
    protocol_minor_ver: u16,
    cost_models_raw: Option<BTreeMap<String, serde_json::Value>>,
    /// Where the other is missing: usable only as lists, since the order of named costs is not defined.
    cost_models: Option<BTreeMap<String, serde_json::Value>>,
    price_mem: f64,
    price_step: f64,
    max_tx_ex_mem: Number,
    max_tx_ex_steps: Number,
    max_block_ex_mem: Number,
    max_block_ex_steps: Number,
    max_val_size: Number,
    collateral_percent: Number,
    max_collateral_inputs: Number,
    coins_per_utxo_size: Number,
    min_fee_ref_script_cost_per_byte: f64,
}

/// A whole number that some fields hold as text and others as a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(pub(crate) u64);

/// A value that is parsed from its text form.
#[derive(Clone, Debug)]
pub(crate) struct Text<T>(pub(crate) T);

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

fn one_in_twenty() -> f64 {
    0.05
}

/// Keeps apart a field that is absent (`None`, by default) and one that is null (`Some(None)`).
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<TxId>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number below 2^64, or its decimal text")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(de::Error::custom)
    }
}

impl Output {
    /// What the output holds.
    pub(crate) fn value(&self) -> Result<Value, String> {
        let mut value = Value::default();
        for Amount { unit, quantity } in &self.amount {
            let grown = if unit == "lovelace" {
                value.lovelace().0.checked_add(quantity.0).map(|sum| value.set_lovelace(Lovelace(sum)))
            } else {
                value.add_asset(asset(unit)?, quantity.0)
            };
            grown.ok_or_else(|| format!("the quantity of {unit} does not fit 64 bits"))?;
        }
        Ok(value)
    }

    /// The datum, with an inline one checked against its hash.
    pub(crate) fn datum(&self) -> Result<Option<Datum>, String> {
        let hash = self.data_hash.as_deref().map(|hex| bytes32(hex, "data_hash")).transpose()?;
        let Some(inline) = &self.inline_datum else { return Ok(hash.map(Datum::Hash)) };
        let bytes = hex::decode(inline).map_err(|e| format!("inline_datum is not hex: {e}"))?;
        match hash {
            Some(hash) if hash != blake2b_256(&bytes) => Err("inline_datum does not have the hash data_hash".into()),
            _ => Ok(Some(Datum::Inline(bytes))),
        }
    }
}

impl Account {
    /// Whether the stake credential is registered.
    pub(crate) fn is_registered(&self) -> bool {
        self.registered.unwrap_or(self.active)
    }

    /// The rewards that can be withdrawn.
    pub(crate) fn rewards(&self) -> Lovelace {
        Lovelace(self.withdrawable_amount.0)
    }
}

impl Parameters {
    /// The ledger's parameters. What the API does not show, and governance and pool parameters, which no transaction
    /// here depends on, are mainnet's.
    pub(crate) fn into_ledger(self) -> Result<ProtocolParameters, String> {
        let lists = |models: &BTreeMap<_, _>| models.values().all(serde_json::Value::is_array);
        let raw = self.cost_models_raw.or(self.cost_models.filter(lists));
        let raw = raw.ok_or("cost_models_raw is missing; the order of cost_models is not defined")?;
        let model = |name: &str| match raw.get(name) {
            None => Ok(Vec::new()),
            Some(list) => Vec::<i64>::deserialize(list).map_err(|e| format!("cost_models_raw.{name}: {e}")),
        };
        let usual = ProtocolParameters::mainnet();
        Ok(ProtocolParameters {
            min_fee_a: credible(self.min_fee_a.0, usual.min_fee_a, "min_fee_a")?,
            min_fee_b: credible(self.min_fee_b.0, usual.min_fee_b, "min_fee_b")?,
            max_block_body_size: self.max_block_size.0,
            max_tx_size: self.max_tx_size.0,
            max_value_size: self.max_val_size.0,
            max_tx_ex_units: ExUnits { mem: self.max_tx_ex_mem.0, steps: self.max_tx_ex_steps.0 },
            max_block_ex_units: ExUnits { mem: self.max_block_ex_mem.0, steps: self.max_block_ex_steps.0 },
            price_mem: price(self.price_mem, "price_mem")?,
            price_step: price(self.price_step, "price_step")?,
            coins_per_utxo_byte: credible(
                self.coins_per_utxo_size.0,
                usual.coins_per_utxo_byte,
                "coins_per_utxo_size",
            )?,
            key_deposit: Lovelace(credible(self.key_deposit.0, usual.key_deposit.0, "key_deposit")?),
            pool_deposit: Lovelace(self.pool_deposit.0),
            collateral_percent: self.collateral_percent.0,
            max_collateral_inputs: self.max_collateral_inputs.0,
            min_fee_ref_script_coins_per_byte: price(
                self.min_fee_ref_script_cost_per_byte,
                "min_fee_ref_script_cost_per_byte",
            )?,
            protocol_version: ProtocolVersion { major: self.protocol_major_ver, minor: self.protocol_minor_ver },
            cost_models: CostModels { v1: model("PlutusV1")?, v2: model("PlutusV2")?, v3: model("PlutusV3")? },
            ..usual
        })
    }
}

/// How many times mainnet's a price may be: an endpoint that asks for more would burn its users' money.
const MOST_OF_MAINNET: u64 = 100;

/// A price that is not beyond all that networks ask.
fn credible(asked: u64, mainnet: u64, field: &str) -> Result<u64, String> {
    if asked <= mainnet.saturating_mul(MOST_OF_MAINNET) {
        Ok(asked)
    } else {
        Err(format!("{field} is {asked}, more than {MOST_OF_MAINNET} times mainnet's {mainnet}"))
    }
}

/// The exact fraction behind a JSON number: its shortest decimal form is what the server wrote.
fn price(number: f64, field: &str) -> Result<Rational, String> {
    Rational::from_decimal(&number.to_string()).ok_or_else(|| format!("{field} is no price: {number}"))
}

/// An asset from Blockfrost's unit: policy and name in hex, joined.
fn asset(unit: &str) -> Result<AssetId, String> {
    let bad = || format!("{:?} is no asset (policy and name in hex)", unit.chars().take(150).collect::<String>());
    let bytes = hex::decode(unit).map_err(|_| bad())?;
    let (policy, name) = bytes.split_at_checked(28).ok_or_else(bad)?;
    if name.len() > 32 {
        return Err(bad());
    }
    Ok(AssetId { policy: ScriptHash::try_from(policy).map_err(|_| bad())?, name: name.to_vec() })
}

fn bytes32(text: &str, field: &str) -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|e| format!("{field} is no hash: {e}"))?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn output(patch: serde_json::Value) -> serde_json::Value {
        let mut output = json!({
            "address": "addr_test1vpu5vlrf4xkxv2qpwngf6cjhtw542ayty80v8dyr49rf5eg57c2qv",
            "tx_hash": "11".repeat(32),
            "output_index": 3,
            "amount": [{"unit": "lovelace", "quantity": "1500000"},
                       {"unit": format!("{}4e5458", "ab".repeat(28)), "quantity": "7"}],
            "data_hash": null, "inline_datum": null, "reference_script_hash": null,
        });
        output.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
        output
    }

    fn read(patch: serde_json::Value) -> Output {
        serde_json::from_value(output(patch)).unwrap()
    }

    #[test]
    fn an_output_keeps_its_assets_and_datum() {
        let plain = read(json!({}));
        let value = plain.value().unwrap();
        assert_eq!(value.lovelace(), Lovelace(1_500_000));
        let ntx = AssetId { policy: ScriptHash([0xab; 28]), name: b"NTX".to_vec() };
        assert_eq!(value.assets().collect::<Vec<_>>(), [(&ntx, 7)]);
        assert_eq!(plain.datum().unwrap(), None);
        let hash = hex::encode(blake2b_256(&[0x18, 0x2a]));
        let inline = read(json!({"inline_datum": "182a", "data_hash": hash}));
        assert_eq!(inline.datum().unwrap(), Some(Datum::Inline(vec![0x18, 0x2a])));
        let by_hash = read(json!({"data_hash": hash}));
        assert_eq!(by_hash.datum().unwrap(), Some(Datum::Hash(blake2b_256(&[0x18, 0x2a]))));
    }

    #[test]
    fn an_answer_that_contradicts_itself_is_refused() {
        assert!(read(json!({"inline_datum": "182a", "data_hash": "00".repeat(32)})).datum().is_err());
        assert!(read(json!({"inline_datum": "zz"})).datum().is_err());
        assert!(read(json!({"data_hash": "00"})).datum().is_err());
        for unit in ["", "zz", &"ab".repeat(27), &"ab".repeat(61)] {
            assert!(read(json!({"amount": [{"unit": unit, "quantity": "1"}]})).value().is_err(), "{unit}");
        }
        let twice = json!({"unit": "lovelace", "quantity": u64::MAX.to_string()});
        assert!(read(json!({"amount": [twice, twice]})).value().is_err());
        for patch in [
            json!({"output_index": 65536}),
            json!({"output_index": -1}),
            json!({"address": "addr1"}),
            json!({"amount": [{"unit": "lovelace", "quantity": "-1"}]}),
            json!({"amount": [{"unit": "lovelace", "quantity": 1.5}]}),
        ] {
            assert!(serde_json::from_value::<Output>(output(patch.clone())).is_err(), "{patch}");
        }
    }

    #[test]
    fn an_absent_spender_is_not_an_unspent_output() {
        assert_eq!(read(json!({})).consumed_by_tx, None);
        assert_eq!(read(json!({"consumed_by_tx": null})).consumed_by_tx, Some(None));
        let spender = TxId([0x22; 32]);
        assert_eq!(read(json!({"consumed_by_tx": spender})).consumed_by_tx, Some(Some(spender)));
    }
}

//! What the tests share: wallets, scripts, and outputs made up from numbers.
#![allow(dead_code, unreachable_pub)]

pub mod server;

use nunet_chain::{Utxo, Wallet};
use nunet_ledger::{
    Address, AssetId, Credential, Datum, KeyHash, Lovelace, OutPoint, PosixMs, Script, ScriptHash, Slot, SlotConfig,
    TxId, TxOut, Value,
};
use pallas_primitives::{BigInt, PlutusData};

const WORDS: [&str; 3] = [
    "test walk nut penalty hip pave soap entry language right filter choice",
    "art forum devote street sure rather head chuckle guard poverty release quote oak craft enemy",
    "eight country switch draw meat scout mystery blade tip drift useless good keep usage title",
];

/// One of three testnet wallets.
pub fn wallet(index: usize) -> Wallet {
    Wallet::from_mnemonic(WORDS[index], 0, 0).unwrap()
}

/// `(program 1.1.0 (lam context (con unit ())))`: allows everything.
pub fn always_true() -> Script {
    Script::PlutusV3(vec![0x45, 0x01, 0x01, 0x00, 0x24, 0x99])
}

/// `(program 1.1.0 (lam context (error)))`: allows nothing.
pub fn always_false() -> Script {
    Script::PlutusV3(vec![0x45, 0x01, 0x01, 0x00, 0x26, 0x01])
}

/// A native script that one key satisfies.
pub fn sig(key: KeyHash) -> Script {
    Script::Native([&[0x82, 0x00, 0x58, 0x1c], key.0.as_slice()].concat())
}

/// A native script that takes both keys.
pub fn both(keys: [KeyHash; 2]) -> Script {
    let parts = keys.map(|key| sig(key).bytes().to_vec()).concat();
    Script::Native([&[0x82, 0x01, 0x82], parts.as_slice()].concat())
}

pub fn script_address(script: &Script) -> Address {
    Address::new(0, Credential::Script(script.hash()), None)
}

pub fn unit() -> PlutusData {
    PlutusData::BigInt(BigInt::Int(0.into()))
}

pub fn inline_zero() -> Option<Datum> {
    Some(Datum::Inline(vec![0x00]))
}

pub fn asset(number: u8) -> AssetId {
    AssetId { policy: ScriptHash([number; 28]), name: vec![b'T', number] }
}

pub fn lovelace(amount: u64) -> Value {
    Value::lovelace_only(Lovelace(amount))
}

pub fn outpoint(number: u16) -> OutPoint {
    OutPoint { tx: TxId([u8::try_from(number % 251).unwrap(); 32]), index: number }
}

pub fn utxo(number: u16, address: &Address, value: Value) -> Utxo {
    Utxo { outpoint: outpoint(number), output: TxOut::new(address.clone(), value) }
}

pub fn slots() -> SlotConfig {
    SlotConfig { zero_time: PosixMs(1_700_000_000_000), zero_slot: Slot(0), slot_length_ms: 1_000 }
}

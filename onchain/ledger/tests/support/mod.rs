//! A small chain with known keys, outputs and scripts, and transactions on it that differ from a good one in one thing.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::collections::BTreeSet;

use nunet_ledger::{
    Address, AssetId, Credential, Datum, ExUnits, KeyHash, Language, Lovelace, NetworkMagic, OutPoint, PosixMs,
    ProtocolParameters, Purpose, Redeemer, RewardAccount, Script, ScriptHash, Slot, SlotConfig, Transaction, TxId,
    TxOut, VKeyWitness, Value,
    hash::{blake2b_224, blake2b_256},
    rules::{Account, Effects, LedgerError, LedgerState},
    script_data_hash,
};
use pallas_crypto::key::ed25519::SecretKey;
use pallas_primitives::{BigInt, Constr, MaybeIndefArray, PlutusData};

/// The slot of every check unless a test says otherwise.
pub const NOW: Slot = Slot(1_000);

/// One ADA.
pub const ADA: u64 = 1_000_000;

pub fn key(seed: u8) -> SecretKey {
    SecretKey::from([seed; 32])
}

pub fn key_hash(seed: u8) -> KeyHash {
    KeyHash(blake2b_224(key(seed).public_key().as_ref()))
}

pub fn address(seed: u8) -> Address {
    Address::new(0, Credential::Key(key_hash(seed)), None)
}

pub fn script_address(script: &Script) -> Address {
    Address::new(0, Credential::Script(script.hash()), None)
}

pub fn outpoint(byte: u8) -> OutPoint {
    OutPoint { tx: TxId([byte; 32]), index: 0 }
}

pub fn ada(amount: u64) -> Value {
    Value::lovelace_only(Lovelace(amount * ADA))
}

pub fn asset(policy: ScriptHash) -> AssetId {
    AssetId { policy, name: b"NTX".to_vec() }
}

/// A Plutus script from its text.
pub fn plutus(text: &str) -> Vec<u8> {
    let program = uplc::parser::program(text).unwrap();
    let program: uplc::ast::Program<uplc::ast::DeBruijn> = program.try_into().unwrap();
    program.to_cbor().unwrap()
}

/// A V3 script that always says yes.
pub fn yes() -> Script {
    Script::PlutusV3(plutus("(program 1.1.0 (lam context (con unit ())))"))
}

/// A V3 script that traces a word and says no.
pub fn no() -> Script {
    let body = "[(force (builtin trace)) (con string \"refused\") (delay (error))]";
    Script::PlutusV3(plutus(&format!("(program 1.1.0 (lam context (force {body})))")))
}

/// A V3 script that returns something other than unit.
pub fn maybe() -> Script {
    Script::PlutusV3(plutus("(program 1.1.0 (lam context (con bool False)))"))
}

/// A V2 script that always says yes, for spending.
pub fn yes_v2() -> Script {
    Script::PlutusV2(plutus("(program 1.0.0 (lam datum (lam redeemer (lam context (con unit ())))))"))
}

/// A native script that needs one key.
pub fn needs(seed: u8) -> Script {
    Script::Native([&[0x82, 0x00, 0x58, 0x1c], &key_hash(seed).0[..]].concat())
}

/// A native script that holds from a slot on.
pub fn from_slot(slot: u8) -> Script {
    Script::Native(vec![0x82, 0x04, 0x18, slot])
}

pub fn unit() -> PlutusData {
    PlutusData::Constr(Constr { tag: 121, any_constructor: None, fields: MaybeIndefArray::Def(vec![]) })
}

pub fn int(number: i64) -> PlutusData {
    PlutusData::BigInt(BigInt::Int(number.into()))
}

pub fn datum_hash() -> [u8; 32] {
    blake2b_256(&[0x18, 0x2a])
}

pub fn account(script: &Script) -> RewardAccount {
    RewardAccount { network_id: 0, credential: Credential::Script(script.hash()) }
}

pub fn key_account(seed: u8) -> RewardAccount {
    RewardAccount { network_id: 0, credential: Credential::Key(key_hash(seed)) }
}

/// A state with:
/// 1: 100 ADA of key 1; 2: 10 ADA of key 1 (for collateral); 3: 10 ADA at [`yes`] with an inline datum;
/// 4: 10 ADA at [`no`]; 5: 10 ADA at [`needs`] key 2; 6: 10 ADA with 50 tokens of key 1; 7: [`yes`] by reference;
/// 8: 10 ADA at [`yes_v2`] with a datum hash; 9: 10 ADA at [`yes_v2`] without a datum; 10: 10 ADA at [`maybe`];
/// and a registered, empty account of [`yes`].
pub fn state() -> LedgerState {
    let slots = SlotConfig { zero_time: PosixMs(1_700_000_000_000), zero_slot: Slot(0), slot_length_ms: 1_000 };
    let mut state = LedgerState::new(ProtocolParameters::mainnet(), slots, NetworkMagic::DEVNET);
    let plain = |address, amount| TxOut::new(address, ada(amount));
    let inline =
        |script: &Script| TxOut { datum: Some(Datum::Inline(vec![0x00])), ..plain(script_address(script), 10) };
    let outputs = [
        plain(address(1), 100),
        plain(address(1), 10),
        inline(&yes()),
        inline(&no()),
        plain(script_address(&needs(2)), 10),
        TxOut::new(address(1), ada(10).with(asset(yes().hash()), 50).unwrap()),
        TxOut { reference_script: Some(yes()), ..plain(address(9), 10) },
        TxOut { datum: Some(Datum::Hash(datum_hash())), ..plain(script_address(&yes_v2()), 10) },
        plain(script_address(&yes_v2()), 10),
        inline(&maybe()),
    ];
    for (number, output) in (1..).zip(outputs) {
        state.utxo.insert(outpoint(number), output);
    }
    let deposit = state.params.key_deposit;
    state.accounts.insert(account(&yes()).credential, Account { deposit, ..Account::default() });
    state
}

/// A transaction that is being made, and who signs it.
#[derive(Clone)]
pub struct Draft {
    pub tx: Transaction,
    pub signers: Vec<u8>,
    pub valid: bool,
    /// Appended to the body's map: key and value.
    pub extra_fields: Vec<Vec<u8>>,
    /// Appended to the witness set's map: key and value.
    pub extra_witnesses: Vec<Vec<u8>>,
    pub auxiliary: Option<Vec<u8>>,
}

impl Draft {
    /// Key 1 sends 98 of its 100 ADA to key 3 and pays 2 ADA as a fee.
    pub fn payment() -> Self {
        let mut tx = Transaction::default();
        tx.body.inputs.insert(outpoint(1));
        tx.body.outputs.push(TxOut::new(address(3), ada(98)));
        tx.body.fee = Lovelace(2 * ADA);
        let (extra_fields, extra_witnesses) = (Vec::new(), Vec::new());
        Self { tx, signers: vec![1], valid: true, extra_fields, extra_witnesses, auxiliary: None }
    }

    /// The same with another output consumed (10 ADA more for key 3), which a Plutus script locks.
    pub fn spending(number: u8, script: Script) -> Self {
        let mut draft = Self::payment();
        draft.tx.body.inputs.insert(outpoint(number));
        draft.tx.body.outputs[0].value = ada(108);
        draft.tx.body.collateral.insert(outpoint(2));
        draft.run(Purpose::Spend, 1, script);
        draft
    }

    /// The good transaction with a script: spends output 3 with [`yes`] in the witness set.
    pub fn scripted() -> Self {
        Self::spending(3, yes())
    }

    /// Adds a redeemer and the script, and binds them.
    pub fn run(&mut self, purpose: Purpose, index: u32, script: Script) {
        let units = ExUnits { mem: 1_000_000, steps: 1_000_000_000 };
        self.tx.witnesses.redeemers.push(Redeemer { purpose, index, data: int(7), units });
        if !self.tx.witnesses.scripts.contains(&script) {
            self.tx.witnesses.scripts.push(script);
        }
        self.bind();
    }

    /// Sets the script data hash for the scripts in the witness set.
    pub fn bind(&mut self) {
        let languages = self.tx.witnesses.scripts.iter().filter_map(Script::language).collect();
        self.bind_to(&[], &languages);
    }

    pub fn bind_to(&mut self, datums: &[PlutusData], languages: &BTreeSet<Language>) {
        let params = ProtocolParameters::mainnet();
        self.tx.body.script_data_hash =
            Some(script_data_hash(&self.tx.witnesses.redeemers, datums, languages, &params));
    }

    /// Adds to the only output's lovelace.
    pub fn pay(&mut self, lovelace: i64) {
        let output = &mut self.tx.body.outputs[0].value;
        let sum = output.lovelace().0.checked_add_signed(lovelace).unwrap();
        output.set_lovelace(Lovelace(sum));
    }

    /// The bytes, signed.
    pub fn bytes(&self) -> Vec<u8> {
        let body = extended(self.tx.body.to_cbor(), &self.extra_fields);
        let id = blake2b_256(&body);
        let mut witnesses = self.tx.witnesses.clone();
        for seed in &self.signers {
            let key = key(*seed);
            let public: [u8; 32] = key.public_key().into();
            let signature = key.sign(id).as_ref().try_into().unwrap();
            witnesses.vkeys.push(VKeyWitness { key: public, signature });
        }
        let witnesses = extended(witnesses.to_cbor(), &self.extra_witnesses);
        let valid = if self.valid { 0xf5 } else { 0xf4 };
        let auxiliary = self.auxiliary.clone().unwrap_or(vec![0xf6]);
        [vec![0x84], body, witnesses, vec![valid], auxiliary].concat()
    }

    pub fn check(&self) -> Result<Effects, LedgerError> {
        self.check_on(&state())
    }

    pub fn check_on(&self, state: &LedgerState) -> Result<Effects, LedgerError> {
        state.validate(&self.bytes(), NOW)
    }

    /// Checks that the rule of that name, and no other, refuses it.
    #[track_caller]
    pub fn refused(&self, predicate: &str) -> LedgerError {
        refused(self.check(), predicate)
    }
}

#[track_caller]
pub fn refused(result: Result<Effects, LedgerError>, predicate: &str) -> LedgerError {
    let error = result.expect_err("the transaction was accepted");
    assert_eq!(error.predicate(), predicate, "{error}");
    error
}

/// A map's bytes (of fewer than 24 pairs) with more pairs at its end.
fn extended(mut map: Vec<u8>, pairs: &[Vec<u8>]) -> Vec<u8> {
    map[0] += u8::try_from(pairs.len()).unwrap();
    map.extend(pairs.iter().flatten());
    map
}

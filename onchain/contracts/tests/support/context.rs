//! Builds what a Plutus V3 script is shown, and runs the compiled validators on it.

use blake2::{Blake2b, Digest, digest::consts::U32};
use ed25519_dalek::{Signer, SigningKey};
use uplc::{
    BigInt, Language, PlutusData,
    ast::{Data, DeBruijn, Program},
    machine::cost_model::ExBudget,
};

/// What a run of a script cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Units {
    /// Memory units.
    pub(crate) memory: i64,
    /// CPU steps.
    pub(crate) steps: i64,
}

/// A validator of the blueprint with its parameters applied.
pub(crate) struct Compiled {
    program: Program<DeBruijn>,
    /// Bytes of the script, parameters included, as a reference script holds it.
    pub(crate) size: usize,
}

impl Compiled {
    /// The first validator whose title starts with `title`, applied to `parameters`.
    pub(crate) fn new(blueprint: &serde_json::Value, title: &str, parameters: &[PlutusData]) -> Self {
        let validator = blueprint["validators"]
            .as_array()
            .unwrap()
            .iter()
            .find(|validator| validator["title"].as_str().unwrap().starts_with(title))
            .unwrap();
        let code = validator["compiledCode"].as_str().unwrap();
        let program = Program::<DeBruijn>::from_hex(code, &mut Vec::new(), &mut Vec::new()).unwrap();
        let program = parameters.iter().fold(program, |program, parameter| program.apply_data(parameter.clone()));
        let size = program.to_cbor().unwrap().len();
        Self { program, size }
    }

    /// Runs the script for a purpose. `None` when it fails.
    pub(crate) fn run(&self, transaction: &PlutusData, redeemer: &PlutusData, purpose: &PlutusData) -> Option<Units> {
        let context = constr(0, vec![transaction.clone(), redeemer.clone(), purpose.clone()]);
        // Transactions may use 14 M memory and 10 G steps.
        let limit = ExBudget { mem: 14_000_000, cpu: 10_000_000_000 };
        let result = self.program.apply_data(context).eval_version(limit, &Language::PlutusV3);
        let cost = result.cost();
        (!result.failed(false, &Language::PlutusV3)).then_some(Units { memory: cost.mem, steps: cost.cpu })
    }
}

/// A constructor with its fields.
pub(crate) fn constr(index: u64, fields: Vec<PlutusData>) -> PlutusData {
    Data::constr(index, fields)
}

/// A number.
pub(crate) fn int(number: i64) -> PlutusData {
    PlutusData::BigInt(BigInt::Int(number.into()))
}

/// Bytes.
pub(crate) fn bytes(bytes: &[u8]) -> PlutusData {
    Data::bytestring(bytes.to_vec())
}

/// A list.
pub(crate) fn list(items: Vec<PlutusData>) -> PlutusData {
    Data::list(items)
}

/// A map with one entry.
pub(crate) fn entry(key: PlutusData, value: PlutusData) -> (PlutusData, PlutusData) {
    (key, value)
}

/// A 28-byte hash that differs for each number.
pub(crate) fn hash(number: u8) -> PlutusData {
    bytes(&[number; 28])
}

/// A base address of two keys.
pub(crate) fn person(number: u8) -> PlutusData {
    let key = |number| constr(0, vec![hash(number)]);
    constr(0, vec![key(number), constr(0, vec![constr(0, vec![key(number.wrapping_add(100))])])])
}

/// A script's credential.
pub(crate) fn script(number: u8) -> PlutusData {
    constr(1, vec![hash(number)])
}

/// A script's address without a stake part.
pub(crate) fn script_address(number: u8) -> PlutusData {
    constr(0, vec![script(number), none()])
}

/// `None`.
pub(crate) fn none() -> PlutusData {
    constr(1, vec![])
}

/// An outpoint.
pub(crate) fn out_point(id: [u8; 32], index: i64) -> PlutusData {
    constr(0, vec![bytes(&id), int(index)])
}

/// The numbers of the scripts and policies in these tests.
pub(crate) mod numbers {
    /// The logic's hash.
    pub(crate) const LOGIC: u8 = 0xaa;
    /// The stub's hash.
    pub(crate) const STUB: u8 = 0xdd;
    /// NTX's policy.
    pub(crate) const NTX: u8 = 0xbb;
    /// The committees' policy.
    pub(crate) const COMMITTEE: u8 = 0xcc;
}

/// A value of lovelace and quantities of assets: policy, name, quantity.
pub(crate) fn value(lovelace: i64, assets: &[(u8, &[u8], i64)]) -> PlutusData {
    let mut entries = vec![entry(bytes(b""), Data::map(vec![entry(bytes(b""), int(lovelace))]))];
    for (policy, name, quantity) in assets.iter().filter(|(.., quantity)| *quantity != 0) {
        entries.push(entry(hash(*policy), Data::map(vec![entry(bytes(name), int(*quantity))])));
    }
    Data::map(entries)
}

/// An output, with an inline datum or none.
pub(crate) fn output(address: PlutusData, value: PlutusData, datum: Option<PlutusData>) -> PlutusData {
    let datum = datum.map_or_else(|| constr(0, vec![]), |datum| constr(2, vec![datum]));
    constr(0, vec![address, value, datum, none()])
}

/// A transaction in which only what these scripts look at differs.
pub(crate) fn transaction(
    inputs: Vec<PlutusData>,
    references: Vec<PlutusData>,
    outputs: Vec<PlutusData>,
    withdrawals: Vec<(PlutusData, PlutusData)>,
) -> PlutusData {
    let bound = |time| constr(0, vec![time, constr(1, vec![])]);
    let always = constr(0, vec![bound(constr(0, vec![])), bound(constr(2, vec![]))]);
    constr(
        0,
        vec![
            list(inputs),
            list(references),
            list(outputs),
            int(300_000),
            Data::map(vec![]),
            list(vec![]),
            Data::map(withdrawals),
            always,
            list(vec![]),
            Data::map(vec![]),
            Data::map(vec![]),
            bytes(&[0xff; 32]),
            Data::map(vec![]),
            list(vec![]),
            none(),
            none(),
        ],
    )
}

/// A settlement of `escrows` jobs of one provider, each with a rest for its requester, signed by 3 of 5 members.
pub(crate) struct Settlement {
    /// The transaction as scripts see it.
    pub(crate) transaction: PlutusData,
    /// The redeemer of the logic's withdrawal.
    pub(crate) redeemer: PlutusData,
    /// The outpoint of the first escrow, for the stub's purpose.
    pub(crate) first: PlutusData,
}

impl Settlement {
    /// Builds it, for the network with this magic.
    pub(crate) fn new(escrows: u16, magic: u32) -> Self {
        let (price, fee, deposit, paid) = (5_000_000, 10_000, 1_200_000, 4_000_000);
        let id = [0x11; 32];
        let committee_name = [0xc0; 32];
        let mut keys: Vec<SigningKey> = (1..=5).map(|seed| SigningKey::from_bytes(&[seed; 32])).collect();
        keys.sort_by_key(|key| key.verifying_key().to_bytes());

        // The last input pays the network fee.
        let mut inputs = Vec::new();
        let mut leaves = Vec::new();
        let mut requesters = Vec::new();
        for index in 0..escrows {
            let requester = person(u8::try_from(index % 50).unwrap());
            let datum = constr(
                0,
                vec![
                    requester.clone(),
                    person(60),
                    int(price),
                    int(fee),
                    int(0),
                    int(deposit),
                    int(0),
                    int(1_900_000_000_000),
                    bytes(&committee_name),
                    bytes(&[0xa9; 32]),
                    bytes(b""),
                ],
            );
            let held = value(2_000_000, &[(numbers::NTX, b"NTX", price + fee)]);
            let escrow = output(script_address(numbers::STUB), held, Some(datum));
            inputs.push(constr(0, vec![out_point(id, index.into()), escrow]));
            leaves.extend_from_slice(&id);
            leaves.extend_from_slice(&index.to_be_bytes());
            leaves.extend_from_slice(&u64::try_from(paid).unwrap().to_be_bytes());
            leaves.extend_from_slice(&0_u64.to_be_bytes());
            requesters.push(output(requester, value(deposit, &[(numbers::NTX, b"NTX", price - paid)]), None));
        }
        let fuel = output(person(60), value(9_000_000, &[]), None);
        inputs.push(constr(0, vec![out_point([0x22; 32], 0), fuel]));

        let count = i64::from(escrows);
        let mut outputs = vec![
            output(person(90), value(1_000_000, &[(numbers::NTX, b"NTX", fee * count)]), None),
            output(person(60), value(1_000_000, &[(numbers::NTX, b"NTX", paid * count)]), None),
        ];
        outputs.extend(requesters);

        let members = keys.iter().map(|key| bytes(&key.verifying_key().to_bytes())).collect();
        let committee = output(
            script_address(numbers::COMMITTEE),
            value(3_000_000, &[(numbers::COMMITTEE, &committee_name, 1)]),
            Some(constr(0, vec![list(members), int(3), person(90)])),
        );
        let references = vec![constr(0, vec![out_point([0x33; 32], 0), committee])];

        let evidence = [0xee; 32];
        let message = verdict(magic, &[numbers::LOGIC; 28], &evidence, &leaves);
        let signatures = keys.iter().take(3).map(|key| bytes(&key.sign(&message).to_bytes())).collect();
        let items = (0..escrows).map(|_| int(0)).collect();
        Self {
            transaction: transaction(inputs, references, outputs, vec![entry(script(numbers::LOGIC), int(0))]),
            redeemer: constr(0, vec![int(0), list(signatures), bytes(&evidence), int(1), list(items)]),
            first: out_point(id, 0),
        }
    }
}

/// What members sign: written a second time, from the specification, so that the validator is held against it.
fn verdict(magic: u32, script: &[u8; 28], evidence: &[u8; 32], leaves: &[u8]) -> [u8; 32] {
    let leaves = Blake2b::<U32>::digest(leaves);
    Blake2b::<U32>::new()
        .chain_update(b"nunet/verdict/1")
        .chain_update(magic.to_be_bytes())
        .chain_update(script)
        .chain_update(evidence)
        .chain_update(leaves)
        .finalize()
        .into()
}

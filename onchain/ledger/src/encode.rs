//! Writing transactions and outputs as CBOR, by the [Conway CDDL]: map keys ascending, definite lengths, sets as
//! plain arrays (their tag is optional, and a settlement holds five), redeemers as a map.
//!
//! [Conway CDDL]: https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/conway/impl/cddl-files/conway.cddl

use std::collections::BTreeSet;

use pallas_codec::minicbor;
use pallas_primitives::PlutusData;

use crate::{
    address::Credential,
    cbor::{ENCODED_CBOR_TAG, Writer},
    certificate::{DRep, Delegation},
    hash::blake2b_256,
    transaction::{Certificate, Datum, Redeemer, Script, Transaction, TxBody, TxOut, Witnesses},
    units::{OutPoint, TxId},
    value::{AssetId, Value},
};

impl TxOut {
    /// The output's bytes: the short array form when there is neither inline datum nor script, the map form otherwise.
    pub fn to_cbor(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        output(&mut writer, self);
        writer.into_bytes()
    }
}

impl Value {
    /// The value's bytes: a number, or a number with the assets by policy and name.
    pub fn to_cbor(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        value(&mut writer, self);
        writer.into_bytes()
    }
}

impl TxBody {
    /// The body's bytes.
    pub fn to_cbor(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        body(&mut writer, self);
        writer.into_bytes()
    }

    /// The transaction's id: blake2b-256 of the body's bytes, which is also what witnesses sign.
    pub fn id(&self) -> TxId {
        TxId(blake2b_256(&self.to_cbor()))
    }
}

impl Witnesses {
    /// The witness set's bytes.
    pub fn to_cbor(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        witnesses(&mut writer, self);
        writer.into_bytes()
    }
}

impl Transaction {
    /// The transaction's bytes.
    pub fn to_cbor(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.array(4);
        body(&mut writer, &self.body);
        witnesses(&mut writer, &self.witnesses);
        writer.boolean(true);
        writer.null();
        writer.into_bytes()
    }

    /// The transaction's id.
    pub fn id(&self) -> TxId {
        self.body.id()
    }

    /// The size in bytes that fees and the size limit count.
    pub fn ledger_size(&self) -> usize {
        crate::fees::ledger_size(&self.to_cbor())
    }
}

/// The bytes of Plutus data, in the form that its own containers ask for.
#[expect(clippy::expect_used, reason = "writing to memory cannot fail, and no Plutus data is without an encoding")]
pub fn plutus_data_to_cbor(data: &PlutusData) -> Vec<u8> {
    minicbor::to_vec(data).expect("Plutus data encodes into memory")
}

/// The map of redeemers that the witness set holds, and that the script data hash covers.
pub(crate) fn redeemers_to_cbor(redeemers: &[Redeemer]) -> Vec<u8> {
    let mut writer = Writer::default();
    let mut sorted: Vec<&Redeemer> = redeemers.iter().collect();
    sorted.sort_by_key(|redeemer| (redeemer.purpose, redeemer.index));
    writer.map(sorted.len());
    for redeemer in sorted {
        writer.array(2);
        writer.uint(redeemer.purpose as u64);
        writer.uint(redeemer.index.into());
        writer.array(2);
        writer.raw(&plutus_data_to_cbor(&redeemer.data));
        writer.array(2);
        writer.uint(redeemer.units.mem);
        writer.uint(redeemer.units.steps);
    }
    writer.into_bytes()
}

fn output(writer: &mut Writer, output: &TxOut) {
    let short = !matches!(output.datum, Some(Datum::Inline(_))) && output.reference_script.is_none();
    if short {
        writer.array(if output.datum.is_some() { 3 } else { 2 });
        writer.bytes(output.address.as_bytes());
        value(writer, &output.value);
        if let Some(Datum::Hash(hash)) = &output.datum {
            writer.bytes(hash);
        }
        return;
    }
    writer.map(2 + usize::from(output.datum.is_some()) + usize::from(output.reference_script.is_some()));
    writer.uint(0);
    writer.bytes(output.address.as_bytes());
    writer.uint(1);
    value(writer, &output.value);
    if let Some(datum) = &output.datum {
        writer.uint(2);
        writer.array(2);
        match datum {
            Datum::Hash(hash) => {
                writer.uint(0);
                writer.bytes(hash);
            }
            Datum::Inline(bytes) => {
                writer.uint(1);
                writer.tag(ENCODED_CBOR_TAG);
                writer.bytes(bytes);
            }
        }
    }
    if let Some(script) = &output.reference_script {
        writer.uint(3);
        writer.tag(ENCODED_CBOR_TAG);
        let mut inner = Writer::default();
        inner.array(2);
        inner.uint(script.language_tag().into());
        match script {
            Script::Native(bytes) => inner.raw(bytes),
            Script::PlutusV1(bytes) | Script::PlutusV2(bytes) | Script::PlutusV3(bytes) => inner.bytes(bytes),
        }
        writer.bytes(&inner.into_bytes());
    }
}

fn value(writer: &mut Writer, value: &Value) {
    if value.assets().len() == 0 {
        writer.uint(value.lovelace().0);
        return;
    }
    writer.array(2);
    writer.uint(value.lovelace().0);
    assets(writer, &value.assets().collect::<Vec<_>>(), |writer, quantity| writer.uint(*quantity));
}

/// Assets in their order, grouped by policy.
fn assets<Q>(writer: &mut Writer, assets: &[(&AssetId, Q)], quantity: impl Fn(&mut Writer, &Q)) {
    let policies: Vec<_> = assets.chunk_by(|(a, _), (b, _)| a.policy == b.policy).collect();
    writer.map(policies.len());
    for names in policies {
        if let Some((asset, _)) = names.first() {
            writer.bytes(&asset.policy.0);
        }
        writer.map(names.len());
        for (asset, amount) in names {
            writer.bytes(&asset.name);
            quantity(writer, amount);
        }
    }
}

fn outpoints(writer: &mut Writer, key: u64, outpoints: &BTreeSet<OutPoint>) {
    writer.uint(key);
    writer.set(outpoints.len());
    for outpoint in outpoints {
        writer.array(2);
        writer.bytes(&outpoint.tx.0);
        writer.uint(outpoint.index.into());
    }
}

fn body(writer: &mut Writer, body: &TxBody) {
    let optional = [
        body.valid_until.is_some(),
        !body.certificates.is_empty(),
        !body.withdrawals.is_empty(),
        body.valid_from.is_some(),
        !body.mint.is_empty(),
        body.script_data_hash.is_some(),
        !body.collateral.is_empty(),
        !body.required_signers.is_empty(),
        body.collateral_return.is_some(),
        body.total_collateral.is_some(),
        !body.reference_inputs.is_empty(),
    ];
    writer.map(3 + optional.iter().filter(|present| **present).count());
    outpoints(writer, 0, &body.inputs);
    writer.uint(1);
    writer.array(body.outputs.len());
    for out in &body.outputs {
        output(writer, out);
    }
    writer.uint(2);
    writer.uint(body.fee.0);
    if let Some(slot) = body.valid_until {
        writer.uint(3);
        writer.uint(slot.0);
    }
    certificates(writer, &body.certificates);
    withdrawals(writer, body);
    if let Some(slot) = body.valid_from {
        writer.uint(8);
        writer.uint(slot.0);
    }
    if !body.mint.is_empty() {
        writer.uint(9);
        let minted: Vec<_> = body.mint.iter().collect();
        assets(writer, &minted, |writer, quantity| writer.int(**quantity));
    }
    if let Some(hash) = &body.script_data_hash {
        writer.uint(11);
        writer.bytes(hash);
    }
    if !body.collateral.is_empty() {
        outpoints(writer, 13, &body.collateral);
    }
    if !body.required_signers.is_empty() {
        writer.uint(14);
        writer.set(body.required_signers.len());
        for key in &body.required_signers {
            writer.bytes(&key.0);
        }
    }
    if let Some(out) = &body.collateral_return {
        writer.uint(16);
        output(writer, out);
    }
    if let Some(total) = body.total_collateral {
        writer.uint(17);
        writer.uint(total.0);
    }
    if !body.reference_inputs.is_empty() {
        outpoints(writer, 18, &body.reference_inputs);
    }
}

fn certificates(writer: &mut Writer, certificates: &[Certificate]) {
    if certificates.is_empty() {
        return;
    }
    writer.uint(4);
    writer.set(certificates.len());
    for one in certificates {
        certificate(writer, one);
    }
}

fn certificate(writer: &mut Writer, certificate: &Certificate) {
    match certificate {
        Certificate::RegisterStake(holder) => {
            writer.array(2);
            writer.uint(0);
            credential(writer, holder);
        }
        Certificate::DeregisterStake(holder) => {
            writer.array(2);
            writer.uint(1);
            credential(writer, holder);
        }
        Certificate::Delegate { credential: holder, to } => {
            let (tag, parts) = match to {
                Delegation::Stake(_) => (2, 3),
                Delegation::Vote(_) => (9, 3),
                Delegation::StakeAndVote(..) => (10, 4),
            };
            writer.array(parts);
            writer.uint(tag);
            credential(writer, holder);
            delegation(writer, to);
        }
        Certificate::RegisterAndDelegate { credential: holder, to, deposit } => {
            let (tag, parts) = match to {
                Delegation::Stake(_) => (11, 4),
                Delegation::Vote(_) => (12, 4),
                Delegation::StakeAndVote(..) => (13, 5),
            };
            writer.array(parts);
            writer.uint(tag);
            credential(writer, holder);
            delegation(writer, to);
            writer.uint(deposit.0);
        }
    }
}

fn delegation(writer: &mut Writer, to: &Delegation) {
    if let Some(pool) = to.pool() {
        writer.bytes(&pool.0);
    }
    match to.drep() {
        None => {}
        Some(DRep::Key(hash)) => tagged_hash(writer, 0, &hash.0),
        Some(DRep::Script(hash)) => tagged_hash(writer, 1, &hash.0),
        Some(DRep::Abstain) => {
            writer.array(1);
            writer.uint(2);
        }
        Some(DRep::NoConfidence) => {
            writer.array(1);
            writer.uint(3);
        }
    }
}

fn credential(writer: &mut Writer, credential: &Credential) {
    match credential {
        Credential::Key(hash) => tagged_hash(writer, 0, &hash.0),
        Credential::Script(hash) => tagged_hash(writer, 1, &hash.0),
    }
}

fn tagged_hash(writer: &mut Writer, tag: u64, hash: &[u8; 28]) {
    writer.array(2);
    writer.uint(tag);
    writer.bytes(hash);
}

fn withdrawals(writer: &mut Writer, body: &TxBody) {
    if body.withdrawals.is_empty() {
        return;
    }
    writer.uint(5);
    writer.map(body.withdrawals.len());
    let mut sorted: Vec<_> = body.withdrawals.iter().map(|(account, amount)| (account.to_bytes(), amount)).collect();
    sorted.sort();
    for (account, amount) in sorted {
        writer.bytes(&account);
        writer.uint(amount.0);
    }
}

fn witnesses(writer: &mut Writer, witnesses: &Witnesses) {
    let scripts_with = |tag: u8| witnesses.scripts.iter().filter(move |script| script.language_tag() == tag);
    // The witness set's key for each language, in ascending order.
    let languages = [(1, 0), (3, 1), (6, 2), (7, 3)];
    let present = languages.iter().filter(|(_, tag)| scripts_with(*tag).count() > 0).count();
    writer.map(usize::from(!witnesses.vkeys.is_empty()) + present + usize::from(!witnesses.redeemers.is_empty()));
    if !witnesses.vkeys.is_empty() {
        writer.uint(0);
        writer.set(witnesses.vkeys.len());
        for witness in &witnesses.vkeys {
            writer.array(2);
            writer.bytes(&witness.key);
            writer.bytes(&witness.signature);
        }
    }
    for (key, tag) in languages {
        // The redeemers' key, 5, stands between Plutus V1 and V2.
        if key == 6 && !witnesses.redeemers.is_empty() {
            writer.uint(5);
            writer.raw(&redeemers_to_cbor(&witnesses.redeemers));
        }
        let count = scripts_with(tag).count();
        if count == 0 {
            continue;
        }
        writer.uint(key);
        writer.set(count);
        for script in scripts_with(tag) {
            match script {
                Script::Native(bytes) => writer.raw(bytes),
                Script::PlutusV1(bytes) | Script::PlutusV2(bytes) | Script::PlutusV3(bytes) => writer.bytes(bytes),
            }
        }
    }
}

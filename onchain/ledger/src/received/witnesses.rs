//! Reading witness sets.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    cbor::{CborError, Major, Reader},
    hash::blake2b_256,
    received::{BootstrapWitness, ReceivedRedeemer, ReceivedWitnesses, output},
    transaction::{Purpose, Script, VKeyWitness},
    units::ExUnits,
};

pub(super) fn witnesses<'a>(reader: &mut Reader<'a>) -> Result<ReceivedWitnesses<'a>, CborError> {
    let mut witnesses = ReceivedWitnesses::default();
    let length = reader.map()?;
    let mut seen = BTreeSet::new();
    while reader.more(length, seen.len() as u64) {
        let error = reader.error("a field of a witness set, each at most once");
        let key = reader.uint()?;
        if !seen.insert(key) || !field(reader, &mut witnesses, key)? {
            return Err(error);
        }
    }
    Ok(witnesses)
}

/// Reads the field of that key; false when there is no such field.
fn field<'a>(reader: &mut Reader<'a>, set: &mut ReceivedWitnesses<'a>, key: u64) -> Result<bool, CborError> {
    match key {
        0 => set.vkeys = filled(reader, vkey)?,
        1 => scripts(reader, set, |reader| Ok(Script::Native(output::native_script(reader)?.to_vec())))?,
        2 => set.bootstrap = filled(reader, bootstrap)?,
        3 => scripts(reader, set, |reader| Ok(Script::PlutusV1(reader.bytes()?.to_vec())))?,
        4 => {
            let start = reader.position();
            for datum in filled(reader, Reader::plutus_data)? {
                set.datums.insert(blake2b_256(datum), datum);
            }
            set.datums_field = reader.since(start);
        }
        5 => {
            let start = reader.position();
            redeemers(reader, set)?;
            set.redeemers_field = reader.since(start);
        }
        6 => scripts(reader, set, |reader| Ok(Script::PlutusV2(reader.bytes()?.to_vec())))?,
        7 => scripts(reader, set, |reader| Ok(Script::PlutusV3(reader.bytes()?.to_vec())))?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// The members of a set that may not be empty. Unlike in a body, a member may come twice (but for Plutus scripts).
fn filled<'a, T>(
    reader: &mut Reader<'a>,
    member: impl FnMut(&mut Reader<'a>) -> Result<T, CborError>,
) -> Result<Vec<T>, CborError> {
    let error = reader.error("witnesses in their field");
    let length = reader.set()?;
    let members = reader.items(length, member)?;
    if members.is_empty() { Err(error) } else { Ok(members) }
}

fn scripts<'a>(
    reader: &mut Reader<'a>,
    set: &mut ReceivedWitnesses<'a>,
    script: impl FnMut(&mut Reader<'a>) -> Result<Script, CborError>,
) -> Result<(), CborError> {
    let error = reader.error("each Plutus script once");
    for script in filled(reader, script)? {
        let is_native = matches!(script, Script::Native(_));
        if set.scripts.insert(script.hash(), script).is_some() && !is_native {
            return Err(error);
        }
    }
    Ok(())
}

fn vkey(reader: &mut Reader<'_>) -> Result<VKeyWitness, CborError> {
    let length = reader.array()?;
    let key = reader.fixed("a verification key (32 bytes)")?;
    let signature = reader.fixed("a signature (64 bytes)")?;
    reader.close(length, 2, "a key witness of two parts")?;
    Ok(VKeyWitness { key, signature })
}

fn bootstrap<'a>(reader: &mut Reader<'a>) -> Result<BootstrapWitness<'a>, CborError> {
    let length = reader.array()?;
    let key = reader.fixed("a verification key (32 bytes)")?;
    let signature = reader.fixed("a signature (64 bytes)")?;
    let chain_code = reader.bytes()?;
    let attributes = reader.bytes()?;
    reader.close(length, 4, "a bootstrap witness of four parts")?;
    Ok(BootstrapWitness { key, signature, chain_code, attributes })
}

/// Redeemers, as a map from purpose and index, or as the list of earlier eras, in which the last of a pointer counts.
fn redeemers<'a>(reader: &mut Reader<'a>, set: &mut ReceivedWitnesses<'a>) -> Result<(), CborError> {
    let empty = reader.error("redeemers in their field");
    let mut read = BTreeMap::new();
    if reader.peek()?.major == Major::Array {
        let length = reader.array()?;
        let all = reader.items(length, |reader| {
            let length = reader.array()?;
            let pointer = pointer(reader)?;
            let redeemer = ReceivedRedeemer { data: reader.plutus_data()?, units: units(reader)? };
            reader.close(length, 4, "a redeemer of four parts")?;
            Ok((pointer, redeemer))
        })?;
        read.extend(all);
    } else {
        let length = reader.map()?;
        while reader.more(length, read.len() as u64) {
            let error = reader.error("each redeemer once");
            let parts = reader.array()?;
            let pointer = pointer(reader)?;
            reader.close(parts, 2, "a redeemer's key of two parts")?;
            let parts = reader.array()?;
            let redeemer = ReceivedRedeemer { data: reader.plutus_data()?, units: units(reader)? };
            reader.close(parts, 2, "a redeemer of two parts")?;
            if read.insert(pointer, redeemer).is_some() {
                return Err(error);
            }
        }
    }
    if read.is_empty() {
        return Err(empty);
    }
    for ((tag, index), redeemer) in read {
        match purpose(tag) {
            Some(purpose) => {
                set.redeemers.insert((purpose, index), redeemer);
            }
            None => set.governance_redeemers.push(index),
        }
    }
    Ok(())
}

fn purpose(tag: u8) -> Option<Purpose> {
    [Purpose::Spend, Purpose::Mint, Purpose::Certify, Purpose::Withdraw]
        .into_iter()
        .find(|purpose| *purpose as u8 == tag)
}

/// The tag of a redeemer's purpose (0 to 5), and its index.
fn pointer(reader: &mut Reader<'_>) -> Result<(u8, u32), CborError> {
    let error = reader.error("a redeemer's purpose (0 to 5)");
    let tag = u8::try_from(reader.uint()?).ok().filter(|tag| *tag <= 5).ok_or(error)?;
    let error = reader.error("a redeemer's index of 32 bits");
    Ok((tag, u32::try_from(reader.uint()?).map_err(|_| error)?))
}

fn units(reader: &mut Reader<'_>) -> Result<ExUnits, CborError> {
    let length = reader.array()?;
    let error = reader.error("execution units of 63 bits");
    let units = ExUnits { mem: reader.uint()?, steps: reader.uint()? };
    reader.close(length, 2, "execution units of two parts")?;
    // The ledger refuses what does not fit a signed number.
    if units.mem.max(units.steps) > i64::MAX as u64 { Err(error) } else { Ok(units) }
}

//! Reading bodies.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    address::RewardAccount,
    cbor::{CborError, Reader},
    received::{
        ReceivedBody,
        certificate::{certificates, reward_account},
        output,
    },
    units::{KeyHash, Lovelace, OutPoint, Slot, TxId},
    value::AssetId,
};

pub(super) fn body(reader: &mut Reader<'_>) -> Result<ReceivedBody, CborError> {
    let mut body = ReceivedBody::default();
    let length = reader.map()?;
    let mut seen = BTreeSet::new();
    while reader.more(length, seen.len() as u64) {
        let error = reader.error("a field of a transaction body, each at most once");
        let key = reader.uint()?;
        if !seen.insert(key) || !field(reader, &mut body, key)? {
            return Err(error);
        }
    }
    if [0, 1, 2].iter().all(|required| seen.contains(required)) {
        Ok(body)
    } else {
        Err(reader.error("inputs, outputs and fee in a transaction body"))
    }
}

/// Reads the field of that key; false when there is no such field.
fn field(reader: &mut Reader<'_>, body: &mut ReceivedBody, key: u64) -> Result<bool, CborError> {
    match key {
        0 => body.inputs = set(reader, outpoint)?,
        1 => {
            let length = reader.array()?;
            body.outputs = reader.items(length, output::sized_output)?;
        }
        2 => body.fee = Lovelace(reader.uint()?),
        3 => body.valid_until = Some(Slot(reader.uint()?)),
        4 => body.certificates = certificates(reader)?,
        5 => body.withdrawals = withdrawals(reader)?,
        7 => body.auxiliary_data_hash = Some(reader.fixed("a hash of auxiliary data")?),
        8 => body.valid_from = Some(Slot(reader.uint()?)),
        9 => body.mint = mint(reader)?,
        11 => body.script_data_hash = Some(reader.fixed("a script data hash")?),
        13 => body.collateral = filled(reader, outpoint)?,
        14 => body.required_signers = filled(reader, |reader| Ok(KeyHash(reader.fixed("a key hash")?)))?,
        15 => body.network_id = Some(network_id(reader)?),
        16 => body.collateral_return = Some(output::sized_output(reader)?),
        17 => body.total_collateral = Some(Lovelace(reader.uint()?)),
        18 => body.reference_inputs = filled(reader, outpoint)?,
        19 => {
            let mut votes = reader.clone();
            let length = votes.map()?;
            with_members(&votes, length, "votes in their field")?;
            unsupported(reader, body, "voting procedures")?;
        }
        20 => {
            let mut proposals = reader.clone();
            let length = proposals.set()?;
            with_members(&proposals, length, "proposals in their field")?;
            unsupported(reader, body, "proposal procedures")?;
        }
        21 => {
            reader.clone().uint()?;
            unsupported(reader, body, "a treasury value")?;
        }
        22 => {
            let error = reader.error("a donation above zero");
            if reader.clone().uint()? == 0 {
                return Err(error);
            }
            unsupported(reader, body, "a treasury donation")?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Refuses a container without members, whose head was just read.
fn with_members(inside: &Reader<'_>, length: Option<u64>, what: &'static str) -> Result<(), CborError> {
    if inside.clone().more(length, 0) { Ok(()) } else { Err(inside.error(what)) }
}

fn unsupported(reader: &mut Reader<'_>, body: &mut ReceivedBody, what: &'static str) -> Result<(), CborError> {
    reader.any()?;
    body.unsupported.get_or_insert(what);
    Ok(())
}

/// A set, refusing a member that comes twice.
pub(super) fn set<T: Ord>(
    reader: &mut Reader<'_>,
    mut member: impl FnMut(&mut Reader<'_>) -> Result<T, CborError>,
) -> Result<BTreeSet<T>, CborError> {
    let length = reader.set()?;
    let mut members = BTreeSet::new();
    while reader.more(length, members.len() as u64) {
        let error = reader.error("each member of a set once");
        if !members.insert(member(reader)?) {
            return Err(error);
        }
    }
    Ok(members)
}

/// A set that may not be empty.
fn filled<T: Ord>(
    reader: &mut Reader<'_>,
    member: impl FnMut(&mut Reader<'_>) -> Result<T, CborError>,
) -> Result<BTreeSet<T>, CborError> {
    let error = reader.error("a set with members");
    let members = set(reader, member)?;
    if members.is_empty() { Err(error) } else { Ok(members) }
}

fn outpoint(reader: &mut Reader<'_>) -> Result<OutPoint, CborError> {
    let length = reader.array()?;
    let tx = TxId(reader.fixed("a transaction id")?);
    let error = reader.error("an output index below 65,536");
    let index = u16::try_from(reader.uint()?).map_err(|_| error)?;
    reader.close(length, 2, "an input of two parts")?;
    Ok(OutPoint { tx, index })
}

fn network_id(reader: &mut Reader<'_>) -> Result<u8, CborError> {
    let error = reader.error("a network id, 0 or 1");
    match reader.uint()? {
        0 => Ok(0),
        1 => Ok(1),
        _ => Err(error),
    }
}

fn withdrawals(reader: &mut Reader<'_>) -> Result<BTreeMap<RewardAccount, Lovelace>, CborError> {
    let length = reader.map()?;
    let mut withdrawals = BTreeMap::new();
    while reader.more(length, withdrawals.len() as u64) {
        let error = reader.error("each stake account once");
        let account = reward_account(reader)?;
        if withdrawals.insert(account, Lovelace(reader.uint()?)).is_some() {
            return Err(error);
        }
    }
    if withdrawals.is_empty() { Err(reader.error("withdrawals in their field")) } else { Ok(withdrawals) }
}

fn mint(reader: &mut Reader<'_>) -> Result<BTreeMap<AssetId, i64>, CborError> {
    let mut mint = BTreeMap::new();
    output::multi_asset(reader, |reader, asset| {
        let error = reader.error("a quantity that is not zero, each asset once");
        let quantity = reader.int()?;
        if quantity == 0 || mint.insert(asset, quantity).is_some() { Err(error) } else { Ok(()) }
    })?;
    if mint.is_empty() { Err(reader.error("assets in the mint field")) } else { Ok(mint) }
}

//! Reading outputs, values and scripts.

use crate::{
    address::Address,
    cbor::{CborError, Major, Reader},
    received::SizedOutput,
    transaction::{Datum, Script, TxOut},
    units::{Lovelace, ScriptHash},
    value::{AssetId, Value},
};

/// Longest name of an asset, in bytes.
const MAX_ASSET_NAME: usize = 32;

impl TxOut {
    /// Reads an output, in the array form or the map form.
    pub fn from_cbor(bytes: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes);
        let output = output(&mut reader)?;
        reader.end()?;
        Ok(output)
    }
}

pub(super) fn sized_output(reader: &mut Reader<'_>) -> Result<SizedOutput, CborError> {
    let start = reader.position();
    let output = output(reader)?;
    Ok(SizedOutput { output, size: reader.since(start).len() })
}

fn output(reader: &mut Reader<'_>) -> Result<TxOut, CborError> {
    match reader.peek()?.major {
        Major::Array => array_output(reader),
        Major::Map => map_output(reader),
        _ => Err(reader.error("an output")),
    }
}

fn array_output(reader: &mut Reader<'_>) -> Result<TxOut, CborError> {
    let length = reader.array()?;
    let error = reader.error("an output of two or three parts");
    if length.is_some_and(|length| length < 2) {
        return Err(error);
    }
    let mut output = TxOut::new(address(reader)?, value(reader)?);
    if reader.more(length, 2) {
        output.datum = Some(Datum::Hash(reader.fixed("a datum hash")?));
        reader.close(length, 3, "an output of two or three parts")?;
    }
    Ok(output)
}

fn map_output(reader: &mut Reader<'_>) -> Result<TxOut, CborError> {
    let length = reader.map()?;
    let (mut holder, mut amount, mut datum, mut reference_script) = (None, None, None, None);
    let mut fields = 0;
    while reader.more(length, fields) {
        let error = reader.error("a field of an output, each at most once");
        let repeated = match reader.uint()? {
            0 => holder.replace(address(reader)?).is_some(),
            1 => amount.replace(value(reader)?).is_some(),
            2 => datum.replace(datum_option(reader)?).is_some(),
            3 => reference_script.replace(script_reference(reader)?).is_some(),
            _ => true,
        };
        if repeated {
            return Err(error);
        }
        fields += 1;
    }
    let (Some(address), Some(value)) = (holder, amount) else {
        return Err(reader.error("an output's address and value"));
    };
    Ok(TxOut { address, value, datum, reference_script })
}

fn datum_option(reader: &mut Reader<'_>) -> Result<Datum, CborError> {
    let length = reader.array()?;
    let error = reader.error("a datum option");
    let datum = match reader.uint()? {
        0 => Datum::Hash(reader.fixed("a datum hash")?),
        1 => {
            let bytes = reader.encoded()?;
            let mut inner = Reader::new(bytes);
            inner.plutus_data()?;
            inner.end()?;
            Datum::Inline(bytes.to_vec())
        }
        _ => return Err(error),
    };
    reader.close(length, 2, "a datum option of two parts")?;
    Ok(datum)
}

fn script_reference(reader: &mut Reader<'_>) -> Result<Script, CborError> {
    let mut inner = Reader::new(reader.encoded()?);
    let length = inner.array()?;
    let error = inner.error("a script's language");
    let script = match inner.uint()? {
        0 => Script::Native(native_script(&mut inner)?.to_vec()),
        1 => Script::PlutusV1(inner.bytes()?.to_vec()),
        2 => Script::PlutusV2(inner.bytes()?.to_vec()),
        3 => Script::PlutusV3(inner.bytes()?.to_vec()),
        _ => return Err(error),
    };
    inner.close(length, 2, "a script of two parts")?;
    inner.end()?;
    Ok(script)
}

/// The bytes of a native script, checked to be one.
pub(super) fn native_script<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], CborError> {
    crate::native::parse(reader)
}

fn address(reader: &mut Reader<'_>) -> Result<Address, CborError> {
    let error = reader.error("a payment address");
    let address = Address::from_bytes(reader.bytes()?).map_err(|_| error.clone())?;
    if address.is_exact() { Ok(address) } else { Err(error) }
}

fn value(reader: &mut Reader<'_>) -> Result<Value, CborError> {
    if reader.peek()?.major != Major::Array {
        return Ok(Value::lovelace_only(Lovelace(reader.uint()?)));
    }
    let length = reader.array()?;
    let mut value = Value::lovelace_only(Lovelace(reader.uint()?));
    multi_asset(reader, |reader, asset| {
        let error = reader.error("a quantity above zero, each asset once");
        let quantity = reader.uint()?;
        if quantity == 0 || value.quantity(&asset) != 0 {
            return Err(error);
        }
        value.add_asset(asset, quantity).ok_or(error)
    })?;
    reader.close(length, 2, "a value of two parts")?;
    Ok(value)
}

/// Reads assets by policy and name, handing each to `quantity`, which reads the number. No policy and no name may come
/// twice, and none be empty of assets.
pub(super) fn multi_asset(
    reader: &mut Reader<'_>,
    mut quantity: impl FnMut(&mut Reader<'_>, AssetId) -> Result<(), CborError>,
) -> Result<(), CborError> {
    let policies = reader.map()?;
    let mut seen = std::collections::BTreeSet::new();
    while reader.more(policies, seen.len() as u64) {
        let error = reader.error("each policy once, with assets");
        let policy = ScriptHash(reader.fixed("a policy id")?);
        let names = reader.map()?;
        let mut count = 0;
        while reader.more(names, count) {
            let error = reader.error("an asset name of at most 32 bytes");
            let name = reader.bytes()?;
            if name.len() > MAX_ASSET_NAME {
                return Err(error);
            }
            quantity(reader, AssetId { policy, name: name.to_vec() })?;
            count += 1;
        }
        if count == 0 || !seen.insert(policy) {
            return Err(error);
        }
    }
    Ok(())
}

//! Metadata as JSON, in the plain form that Blockfrost and cardano-cli write (`no schema`).

use minicbor::{Decoder, data::Type, decode::Error};
use serde_json::{Map, Value};

/// The deepest nesting that is shown. What is deeper is valid on chain, but JSON readers give up there too.
const MAX_DEPTH: usize = 64;

/// A value of metadata as JSON: bytes are hex after `0x`, and keys that are no text become text. `None` when it nests
/// too deeply.
pub(super) fn metadatum_to_json(cbor: &[u8]) -> Option<Value> {
    value(&mut Decoder::new(cbor), MAX_DEPTH).ok()
}

fn value(decoder: &mut Decoder<'_>, depth: usize) -> Result<Value, Error> {
    let depth = depth.checked_sub(1).ok_or_else(|| Error::message("nested too deeply"))?;
    match decoder.datatype()? {
        Type::Bytes | Type::BytesIndef => {
            let mut bytes = Vec::new();
            for chunk in decoder.bytes_iter()? {
                bytes.extend_from_slice(chunk?);
            }
            Ok(Value::String(format!("0x{}", hex::encode(bytes))))
        }
        Type::String | Type::StringIndef => {
            let text: Result<String, Error> = decoder.str_iter()?.collect();
            Ok(Value::String(text?))
        }
        Type::Array | Type::ArrayIndef => {
            let length = decoder.array()?;
            let mut items = Vec::new();
            while more(decoder, length, items.len())? {
                items.push(value(decoder, depth)?);
            }
            Ok(Value::Array(items))
        }
        Type::Map | Type::MapIndef => {
            let length = decoder.map()?;
            let (mut entries, mut read) = (Map::new(), 0);
            while more(decoder, length, read)? {
                let key = match value(decoder, depth)? {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                entries.insert(key, value(decoder, depth)?);
                read += 1;
            }
            Ok(Value::Object(entries))
        }
        _ => Ok(integer(i128::from(decoder.int()?))),
    }
}

/// Whether a list or map of that length has another entry; passes the end of one of indefinite length.
pub(super) fn more(decoder: &mut Decoder<'_>, length: Option<u64>, read: usize) -> Result<bool, Error> {
    match length {
        Some(length) => Ok((read as u64) < length),
        None if decoder.datatype()? == Type::Break => {
            // One byte, 0xff.
            decoder.set_position(decoder.position() + 1);
            Ok(false)
        }
        None => Ok(true),
    }
}

/// An integer of up to 65 bits as a number; those that JSON's usual readers cannot hold, as text.
pub(super) fn integer(integer: i128) -> Value {
    let number = i64::try_from(integer).map(Value::from).or_else(|_| u64::try_from(integer).map(Value::from));
    number.unwrap_or_else(|_| Value::String(integer.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_is_shown() {
        // {"a": [1, -2, h'00ff', "long" in two chunks], 3: {}, h'01': 2^64 - 1}
        let cbor = hex::decode("bf6161840121 4200ff 7f626c6f626e67ff 03a0 4101 1bffffffffffffffff ff".replace(' ', ""));
        let expected = json!({ "a": [1, -2, "0x00ff", "long"], "3": {}, "0x01": u64::MAX });
        assert_eq!(metadatum_to_json(&cbor.unwrap()).unwrap(), expected);
    }

    #[test]
    fn what_is_too_deep_is_not_shown() {
        let deep = |levels: usize| hex::decode("81".repeat(levels) + "00").unwrap();
        assert!(metadatum_to_json(&deep(63)).is_some());
        assert!(metadatum_to_json(&deep(64)).is_none());
        assert!(metadatum_to_json(&deep(16_000)).is_none());
    }
}

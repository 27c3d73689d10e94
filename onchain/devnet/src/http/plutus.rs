//! Plutus data as JSON, in the detailed form that Blockfrost and cardano-cli write
//! (`{"int"}`, `{"bytes"}`, `{"list"}`, `{"map"}`, `{"constructor", "fields"}`).

use minicbor::{Decoder, data::Type, decode::Error};
use serde_json::{Value, json};

use super::metadatum::{integer, more};

/// The deepest nesting that is shown. What is deeper is valid on chain, but JSON readers give up there too.
const MAX_DEPTH: usize = 48;

/// Plutus data as JSON; integers of more than 64 bits are decimal text. The error says what is wrong with the bytes, or
/// that they nest too deeply.
pub(super) fn plutus_to_json(cbor: &[u8]) -> Result<Value, Error> {
    let mut decoder = Decoder::new(cbor);
    let data = data(&mut decoder, MAX_DEPTH)?;
    if decoder.position() == cbor.len() { Ok(data) } else { Err(Error::message("bytes after the data")) }
}

fn data(decoder: &mut Decoder<'_>, depth: usize) -> Result<Value, Error> {
    let depth = depth.checked_sub(1).ok_or_else(|| Error::message("more than 48 values within each other"))?;
    match decoder.datatype()? {
        Type::Bytes | Type::BytesIndef => Ok(json!({ "bytes": hex::encode(bytes(decoder)?) })),
        Type::Array | Type::ArrayIndef => Ok(json!({ "list": list(decoder, depth)? })),
        Type::Map | Type::MapIndef => {
            let length = decoder.map()?;
            let mut entries = Vec::new();
            while more(decoder, length, entries.len())? {
                let key = data(decoder, depth)?;
                entries.push(json!({ "k": key, "v": data(decoder, depth)? }));
            }
            Ok(json!({ "map": entries }))
        }
        Type::Tag => match decoder.tag()?.as_u64() {
            2 => Ok(json!({ "int": big("", &bytes(decoder)?) })),
            // -1 - n
            3 => Ok(json!({ "int": big("-", &plus_one(bytes(decoder)?)) })),
            tag @ 121..=127 => Ok(json!({ "constructor": tag - 121, "fields": list(decoder, depth)? })),
            tag @ 1_280..=1_400 => Ok(json!({ "constructor": tag - 1_280 + 7, "fields": list(decoder, depth)? })),
            102 => {
                let length = decoder.array()?;
                let constructor = decoder.u64()?;
                let fields = list(decoder, depth)?;
                if more(decoder, length, 2)? {
                    return Err(Error::message("a constructor has its number and its fields"));
                }
                Ok(json!({ "constructor": constructor, "fields": fields }))
            }
            _ => Err(Error::message("no tag of Plutus data")),
        },
        _ => Ok(json!({ "int": integer(i128::from(decoder.int()?)) })),
    }
}

fn list(decoder: &mut Decoder<'_>, depth: usize) -> Result<Vec<Value>, Error> {
    let length = decoder.array()?;
    let mut items = Vec::new();
    while more(decoder, length, items.len())? {
        items.push(data(decoder, depth)?);
    }
    Ok(items)
}

fn bytes(decoder: &mut Decoder<'_>) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    for chunk in decoder.bytes_iter()? {
        bytes.extend_from_slice(chunk?);
    }
    Ok(bytes)
}

fn plus_one(mut bytes: Vec<u8>) -> Vec<u8> {
    for byte in bytes.iter_mut().rev() {
        let (sum, carried) = byte.overflowing_add(1);
        *byte = sum;
        if !carried {
            return bytes;
        }
    }
    bytes.insert(0, 1);
    bytes
}

/// The decimal text of a big-endian number.
fn big(sign: &str, bytes: &[u8]) -> String {
    // Digits of 10^9, the least significant first.
    let mut digits: Vec<u64> = vec![0];
    for byte in bytes {
        let mut carried = u64::from(*byte);
        for digit in &mut digits {
            let sum = *digit * 256 + carried;
            (*digit, carried) = (sum % 1_000_000_000, sum / 1_000_000_000);
        }
        if carried > 0 {
            digits.push(carried);
        }
    }
    let mut text = sign.to_owned();
    for (place, digit) in digits.iter().rev().enumerate() {
        text += &if place == 0 { digit.to_string() } else { format!("{digit:09}") };
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Value {
        plutus_to_json(&hex::decode(text.replace(' ', "")).unwrap()).unwrap()
    }

    #[test]
    fn every_kind_is_shown() {
        assert_eq!(shown("182a"), json!({ "int": 42 }));
        assert_eq!(shown("39ffff"), json!({ "int": -65_536 }));
        assert_eq!(shown("5f 4101 4102 ff"), json!({ "bytes": "0102" }));
        assert_eq!(shown("d8799f 01 a1 40 80 ff"), {
            let map = json!({ "map": [{ "k": { "bytes": "" }, "v": { "list": [] } }] });
            json!({ "constructor": 0, "fields": [{ "int": 1 }, map] })
        });
        assert_eq!(shown("d90500 80"), json!({ "constructor": 7, "fields": [] }));
        assert_eq!(shown("d866 82 1903e8 80"), json!({ "constructor": 1_000, "fields": [] }));
    }

    #[test]
    fn big_integers_are_decimal_text() {
        assert_eq!(shown("c2 49 010000000000000000"), json!({ "int": "18446744073709551616" }));
        assert_eq!(shown("c3 49 010000000000000000"), json!({ "int": "-18446744073709551617" }));
        assert_eq!(shown("c3 42 ffff"), json!({ "int": "-65536" }));
        assert_eq!(shown("3bffffffffffffffff"), json!({ "int": "-18446744073709551616" }));
    }

    #[test]
    fn other_bytes_are_refused() {
        for bad in ["", "f5", "d87a00", "c0820000", "0000", "d8668300808000", "9f01", "6161"] {
            assert!(plutus_to_json(&hex::decode(bad).unwrap()).is_err(), "{bad}");
        }
        let deep = |levels: usize| hex::decode("81".repeat(levels) + "00").unwrap();
        assert!(plutus_to_json(&deep(47)).is_ok());
        assert!(plutus_to_json(&deep(16_000)).is_err());
    }
}

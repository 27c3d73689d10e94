//! Native scripts in the JSON that Blockfrost and cardano-cli write.

use minicbor::{Decoder, data::Type, decode::Error};
use serde_json::{Value, json};

/// The deepest nesting that is shown. What is deeper is valid on chain, but JSON readers give up there too.
const MAX_DEPTH: usize = 32;

/// A native script as JSON; the error says what is wrong with the bytes, or that they nest too deeply.
pub(super) fn native_to_json(cbor: &[u8]) -> Result<Value, Error> {
    let mut decoder = Decoder::new(cbor);
    let script = script(&mut decoder, MAX_DEPTH)?;
    if decoder.position() == cbor.len() { Ok(script) } else { Err(Error::message("bytes after the script")) }
}

fn script(decoder: &mut Decoder<'_>, depth: usize) -> Result<Value, Error> {
    let depth = depth.checked_sub(1).ok_or_else(|| Error::message("more than 32 scripts within each other"))?;
    let length = decoder.array()?;
    let script = match decoder.u8()? {
        0 => json!({ "type": "sig", "keyHash": hex::encode(decoder.bytes()?) }),
        1 => json!({ "type": "all", "scripts": scripts(decoder, depth)? }),
        2 => json!({ "type": "any", "scripts": scripts(decoder, depth)? }),
        3 => {
            let required = decoder.i64()?;
            json!({ "type": "atLeast", "required": required, "scripts": scripts(decoder, depth)? })
        }
        4 => json!({ "type": "after", "slot": decoder.u64()? }),
        5 => json!({ "type": "before", "slot": decoder.u64()? }),
        _ => return Err(Error::message("no kind of native script")),
    };
    if length.is_none() {
        end(decoder)?;
    }
    Ok(script)
}

fn scripts(decoder: &mut Decoder<'_>, depth: usize) -> Result<Vec<Value>, Error> {
    let length = decoder.array()?;
    let mut scripts = Vec::new();
    loop {
        match length {
            Some(length) if scripts.len() as u64 == length => return Ok(scripts),
            None if decoder.datatype()? == Type::Break => {
                end(decoder)?;
                return Ok(scripts);
            }
            _ => scripts.push(script(decoder, depth)?),
        }
    }
}

/// The end of a list of indefinite length.
fn end(decoder: &mut Decoder<'_>) -> Result<(), Error> {
    match decoder.datatype()? {
        Type::Break => {
            // One byte, 0xff.
            decoder.set_position(decoder.position() + 1);
            Ok(())
        }
        _ => Err(Error::message("a list does not end where it should")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_shown() {
        let key = "ab".repeat(28);
        // [3, 2, [[0, key], [4, 10], [1, [[5, 1000], [2, []]]]]], the middle list of indefinite length
        let cbor = hex::decode(format!("83030283 8200581c{key} 82040a 82019f 82051903e8 820280 ff").replace(' ', ""));
        let parts = json!([{ "type": "before", "slot": 1_000 }, { "type": "any", "scripts": [] }]);
        assert_eq!(
            native_to_json(&cbor.unwrap()).unwrap(),
            json!({ "type": "atLeast", "required": 2, "scripts": [
                { "type": "sig", "keyHash": key },
                { "type": "after", "slot": 10 },
                { "type": "all", "scripts": parts },
            ]})
        );
    }

    #[test]
    fn what_is_no_script_or_too_deep_is_refused() {
        for bad in ["", "80", "8206", "820400ff", "8201", "82018182", "00"] {
            assert!(native_to_json(&hex::decode(bad).unwrap()).is_err(), "{bad}");
        }
        let deep = |levels: usize| hex::decode("820181".repeat(levels) + "820400").unwrap();
        assert!(native_to_json(&deep(31)).is_ok());
        assert!(native_to_json(&deep(32)).is_err());
        assert!(native_to_json(&deep(5_000)).is_err());
    }
}

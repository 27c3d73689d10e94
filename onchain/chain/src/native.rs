//! Native scripts: from Blockfrost's JSON to the bytes that are hashed, and which keys satisfy one.
//!
//! Strangers put scripts on chain, so nesting is bounded.

use std::collections::BTreeSet;

use nunet_ledger::KeyHash;
use pallas_codec::minicbor::{Decoder, Encoder};
use serde::Deserialize;

/// Deepest nesting that is followed. A useful multisig has two or three levels.
const MAX_DEPTH: usize = 16;

/// `native_script` of the
/// [Conway CDDL](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/conway/impl/cddl-files/conway.cddl),
/// in the shape of Blockfrost's and cardano-cli's JSON.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) enum NativeScript {
    /// The holder of a key signs.
    Sig {
        /// The key.
        #[serde(rename = "keyHash")]
        key: KeyHash,
    },
    /// Each of these holds.
    All {
        /// The parts.
        scripts: Vec<NativeScript>,
    },
    /// One of these holds.
    Any {
        /// The parts.
        scripts: Vec<NativeScript>,
    },
    /// Some number of these hold.
    AtLeast {
        /// How many.
        required: u32,
        /// The parts.
        scripts: Vec<NativeScript>,
    },
    /// From a slot on.
    After {
        /// The slot.
        slot: u64,
    },
    /// Before a slot.
    Before {
        /// The slot.
        slot: u64,
    },
}

/// The bytes are no native script, or nest too deeply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotANativeScript;

impl NativeScript {
    /// Reads the CBOR form.
    pub(crate) fn from_cbor(bytes: &[u8]) -> Result<Self, NotANativeScript> {
        let mut decoder = Decoder::new(bytes);
        let script = read(&mut decoder, MAX_DEPTH)?;
        if decoder.position() == bytes.len() { Ok(script) } else { Err(NotANativeScript) }
    }

    /// The CBOR form with definite lengths, as wallets and nodes write it.
    pub(crate) fn to_cbor(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new());
        // Writing to a vector cannot fail.
        let _ = write(self, &mut encoder);
        encoder.into_writer()
    }

    /// Adds the keys that have to sign for this script to hold, given those that sign anyway. Where there is a choice,
    /// signers that are there count first, then the first parts are taken. Times are left to the ledger's check.
    pub(crate) fn satisfy(&self, signers: &mut BTreeSet<KeyHash>) {
        match self {
            Self::Sig { key } => {
                signers.insert(*key);
            }
            Self::After { .. } | Self::Before { .. } => {}
            Self::All { scripts } => scripts.iter().for_each(|script| script.satisfy(signers)),
            Self::Any { scripts } => satisfy_some(1, scripts, signers),
            Self::AtLeast { required, scripts } => satisfy_some(*required as usize, scripts, signers),
        }
    }

    fn holds(&self, signers: &BTreeSet<KeyHash>) -> bool {
        match self {
            Self::Sig { key } => signers.contains(key),
            Self::After { .. } | Self::Before { .. } => true,
            Self::All { scripts } => scripts.iter().all(|script| script.holds(signers)),
            Self::Any { scripts } => scripts.iter().any(|script| script.holds(signers)),
            Self::AtLeast { required, scripts } => {
                scripts.iter().filter(|script| script.holds(signers)).count() >= *required as usize
            }
        }
    }
}

fn satisfy_some(required: usize, scripts: &[NativeScript], signers: &mut BTreeSet<KeyHash>) {
    let (held, missing): (Vec<_>, Vec<_>) = scripts.iter().partition(|script| script.holds(signers));
    for script in missing.into_iter().take(required.saturating_sub(held.len())) {
        script.satisfy(signers);
    }
}

fn read(decoder: &mut Decoder<'_>, depth: usize) -> Result<NativeScript, NotANativeScript> {
    let depth = depth.checked_sub(1).ok_or(NotANativeScript)?;
    let length = decoder.array().map_err(|_| NotANativeScript)?;
    let script = match decoder.u32().map_err(|_| NotANativeScript)? {
        0 => {
            let hash = decoder.bytes().map_err(|_| NotANativeScript)?;
            NativeScript::Sig { key: KeyHash::try_from(hash).map_err(|_| NotANativeScript)? }
        }
        1 => NativeScript::All { scripts: read_list(decoder, depth)? },
        2 => NativeScript::Any { scripts: read_list(decoder, depth)? },
        3 => {
            let required = decoder.u32().map_err(|_| NotANativeScript)?;
            NativeScript::AtLeast { required, scripts: read_list(decoder, depth)? }
        }
        4 => NativeScript::After { slot: decoder.u64().map_err(|_| NotANativeScript)? },
        5 => NativeScript::Before { slot: decoder.u64().map_err(|_| NotANativeScript)? },
        _ => return Err(NotANativeScript),
    };
    let expected = if matches!(script, NativeScript::AtLeast { .. }) { 3 } else { 2 };
    if length == Some(expected) || (length.is_none() && end_of_list(decoder)) {
        Ok(script)
    } else {
        Err(NotANativeScript)
    }
}

fn read_list(decoder: &mut Decoder<'_>, depth: usize) -> Result<Vec<NativeScript>, NotANativeScript> {
    let length = decoder.array().map_err(|_| NotANativeScript)?;
    // The length is a stranger's: the list grows by what is really there.
    let mut scripts = Vec::new();
    loop {
        match length {
            Some(length) if scripts.len() as u64 == length => return Ok(scripts),
            None if end_of_list(decoder) => return Ok(scripts),
            _ => scripts.push(read(decoder, depth)?),
        }
    }
}

/// Steps over the break that ends an indefinite list, when it is next.
fn end_of_list(decoder: &mut Decoder<'_>) -> bool {
    let at_break = decoder.input().get(decoder.position()) == Some(&0xff);
    if at_break {
        decoder.set_position(decoder.position() + 1);
    }
    at_break
}

type Written = Result<(), pallas_codec::minicbor::encode::Error<std::convert::Infallible>>;

fn write(script: &NativeScript, encoder: &mut Encoder<Vec<u8>>) -> Written {
    match script {
        NativeScript::Sig { key } => {
            encoder.array(2)?.u8(0)?.bytes(&key.0)?;
        }
        NativeScript::All { scripts } => {
            encoder.array(2)?.u8(1)?;
            write_list(scripts, encoder)?;
        }
        NativeScript::Any { scripts } => {
            encoder.array(2)?.u8(2)?;
            write_list(scripts, encoder)?;
        }
        NativeScript::AtLeast { required, scripts } => {
            encoder.array(3)?.u8(3)?.u32(*required)?;
            write_list(scripts, encoder)?;
        }
        NativeScript::After { slot } => {
            encoder.array(2)?.u8(4)?.u64(*slot)?;
        }
        NativeScript::Before { slot } => {
            encoder.array(2)?.u8(5)?.u64(*slot)?;
        }
    }
    Ok(())
}

fn write_list(scripts: &[NativeScript], encoder: &mut Encoder<Vec<u8>>) -> Written {
    encoder.array(scripts.len() as u64)?;
    scripts.iter().try_for_each(|script| write(script, encoder))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use pallas_codec::minicbor;
    use pallas_primitives::alonzo::NativeScript as Reference;

    use super::*;

    fn key(byte: u8) -> KeyHash {
        KeyHash([byte; 28])
    }

    fn sig(byte: u8) -> NativeScript {
        NativeScript::Sig { key: key(byte) }
    }

    #[test]
    fn json_becomes_the_same_bytes_as_elsewhere() {
        let json = serde_json::json!({"type": "atLeast", "required": 2, "scripts": [
            {"type": "sig", "keyHash": key(1).to_string()},
            {"type": "all", "scripts": [{"type": "after", "slot": 7}, {"type": "before", "slot": 90_000_000}]},
            {"type": "any", "scripts": [{"type": "sig", "keyHash": key(2).to_string()}]},
        ]});
        let script: NativeScript = serde_json::from_value(json).unwrap();
        let bytes = script.to_cbor();
        let reference = Reference::ScriptNOfK(
            2,
            vec![
                Reference::ScriptPubkey([1; 28].into()),
                Reference::ScriptAll(vec![Reference::InvalidBefore(7), Reference::InvalidHereafter(90_000_000)]),
                Reference::ScriptAny(vec![Reference::ScriptPubkey([2; 28].into())]),
            ],
        );
        assert_eq!(minicbor::decode::<Reference>(&bytes).unwrap(), reference);
        assert_eq!(NativeScript::from_cbor(&bytes), Ok(script));
    }

    #[test]
    fn signers_that_are_there_count_before_others_are_asked() {
        let script = NativeScript::AtLeast { required: 2, scripts: vec![sig(1), sig(2), sig(3)] };
        let mut signers = BTreeSet::from([key(3)]);
        script.satisfy(&mut signers);
        assert_eq!(signers, BTreeSet::from([key(1), key(3)]));
        NativeScript::All { scripts: vec![sig(1), sig(4)] }.satisfy(&mut signers);
        assert_eq!(signers, BTreeSet::from([key(1), key(3), key(4)]));
        NativeScript::Any { scripts: vec![sig(9), sig(4)] }.satisfy(&mut signers);
        assert_eq!(signers.len(), 3);
    }

    #[test]
    fn deep_nesting_and_garbage_are_refused() {
        let deep = [[0x82, 0x01, 0x81]; 100_000].concat();
        assert_eq!(NativeScript::from_cbor(&deep), Err(NotANativeScript));
        assert_eq!(
            NativeScript::from_cbor(&[0x82, 0x01, 0x9b, 255, 255, 255, 255, 255, 255, 255, 255]),
            Err(NotANativeScript)
        );
        assert_eq!(NativeScript::from_cbor(&[]), Err(NotANativeScript));
        let mut trailing = sig(1).to_cbor();
        trailing.push(0);
        assert_eq!(NativeScript::from_cbor(&trailing), Err(NotANativeScript));
    }
}

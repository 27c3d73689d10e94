//! Which bytes are a Plutus script: they decode, and hold only what their language has in the protocol version
//! ([`PlutusLedgerApi.Common.Versions`], `isValidPlutus`).
//!
//! [`PlutusLedgerApi.Common.Versions`]: https://github.com/IntersectMBO/plutus/blob/master/plutus-ledger-api/src/PlutusLedgerApi/Common/Versions.hs

use uplc::{
    ast::{DeBruijn, Program, Term},
    builtins::DefaultFunction,
};

use crate::{
    cbor::Reader,
    integrity::Language,
    parameters::ProtocolVersion,
    stack::{StackError, with_large_stack},
    transaction::Script,
    units::ScriptHash,
};

/// The scripts among these that are none.
pub(crate) fn malformed<'a>(
    scripts: impl Iterator<Item = &'a Script>,
    version: ProtocolVersion,
) -> Result<Vec<ScriptHash>, StackError> {
    let plutus: Vec<_> = scripts.filter_map(|script| Some((script, script.language()?))).collect();
    if plutus.is_empty() {
        return Ok(Vec::new());
    }
    with_large_stack(|| {
        let bad = plutus.iter().filter(|(script, language)| !is_well_formed(script.bytes(), *language, version.major));
        bad.map(|(script, _)| script.hash()).collect()
    })
}

fn is_well_formed(bytes: &[u8], language: Language, major: u16) -> bool {
    let mut reader = Reader::new(bytes);
    let Ok(flat) = reader.bytes() else { return false };
    // Bytes after the script were overlooked until Plutus V3.
    if language >= Language::PlutusV3 && reader.end().is_err() {
        return false;
    }
    Program::<DeBruijn>::from_flat(flat).is_ok_and(|program| {
        let has_constructors = match program.version {
            (1, 0, 0) => false,
            (1, 1, 0) if language >= Language::PlutusV3 || major >= ALL_BUILTINS => true,
            _ => return false,
        };
        is_known(&program.term, has_constructors, language, major)
    })
}

/// The major protocol version from which every language has every builtin.
const ALL_BUILTINS: u16 = 11;

/// Whether a term holds only what its language has.
fn is_known(term: &Term<DeBruijn>, has_constructors: bool, language: Language, major: u16) -> bool {
    let mut open = vec![term];
    while let Some(term) = open.pop() {
        match term {
            Term::Builtin(builtin) if !is_available(*builtin, language, major) => return false,
            Term::Constr { .. } | Term::Case { .. } if !has_constructors => return false,
            Term::Delay(body) | Term::Lambda { body, .. } | Term::Force(body) => open.push(body),
            Term::Apply { function, argument } => open.extend([function.as_ref(), argument.as_ref()]),
            Term::Constr { fields, .. } => open.extend(fields),
            Term::Case { constr, branches } => {
                open.push(constr);
                open.extend(branches);
            }
            Term::Var(_) | Term::Constant(_) | Term::Error | Term::Builtin(_) => {}
        }
    }
    true
}

/// Whether a language has a builtin function in a major protocol version, by the number of the function's tag.
fn is_available(builtin: DefaultFunction, language: Language, major: u16) -> bool {
    let (since, from) = match builtin as u8 {
        0..=50 => (Language::PlutusV1, 5),
        // serialiseData
        51 => (Language::PlutusV2, 7),
        // Signatures over secp256k1
        52..=53 => (Language::PlutusV2, 8),
        // Integers as bytes, which Plutus V3 had first.
        73..=74 if language == Language::PlutusV2 => (Language::PlutusV2, 10),
        // BLS12-381, Keccak-256, BLAKE2b-224, integers as bytes
        54..=74 => (Language::PlutusV3, 9),
        // Bits of bytes, RIPEMD-160
        75..=86 => (Language::PlutusV3, 10),
        _ => (Language::PlutusV1, ALL_BUILTINS),
    };
    major >= ALL_BUILTINS || (language >= since && major >= from)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        let program = uplc::parser::program(text).unwrap();
        let program: Program<DeBruijn> = program.try_into().unwrap();
        program.to_cbor().unwrap()
    }

    fn holds(text: &str, language: Language, major: u16) -> bool {
        is_well_formed(&bytes(text), language, major)
    }

    #[test]
    fn a_language_has_its_builtins_only() {
        use Language::{PlutusV1, PlutusV2, PlutusV3};
        for (builtin, first) in [
            ("addInteger", (PlutusV1, 5)),
            ("serialiseData", (PlutusV2, 7)),
            ("verifyEcdsaSecp256k1Signature", (PlutusV2, 8)),
            ("integerToByteString", (PlutusV2, 10)),
            ("bls12_381_G1_add", (PlutusV3, 9)),
            ("ripemd_160", (PlutusV3, 10)),
            ("expModInteger", (PlutusV1, 11)),
        ] {
            let text = format!("(program 1.0.0 (lam x (builtin {builtin})))");
            let (language, major) = first;
            assert!(holds(&text, language, major), "{builtin}");
            assert!(!holds(&text, language, major - 1), "{builtin}");
            assert!(holds(&text, PlutusV3, 11), "{builtin}");
            if language == PlutusV3 {
                assert!(!holds(&text, PlutusV2, 10), "{builtin}");
            }
        }
        assert!(!holds("(program 1.0.0 (builtin serialiseData))", PlutusV1, 10));
    }

    #[test]
    fn constructors_came_with_the_third_language() {
        let plain = "(program 1.1.0 (con unit ()))";
        assert!(holds(plain, Language::PlutusV3, 10));
        assert!(!holds(plain, Language::PlutusV2, 10));
        assert!(!holds("(program 1.2.0 (con unit ()))", Language::PlutusV3, 10));
        assert!(holds("(program 1.1.0 (constr 0))", Language::PlutusV3, 10));
    }

    #[test]
    fn bytes_after_a_script_are_refused_since_the_third_language() {
        let longer = [bytes("(program 1.0.0 (con unit ()))"), vec![0]].concat();
        assert!(is_well_formed(&longer, Language::PlutusV2, 10));
        assert!(!is_well_formed(&longer, Language::PlutusV3, 10));
        assert!(!is_well_formed(&[0x41, 0x00], Language::PlutusV3, 10));
    }
}

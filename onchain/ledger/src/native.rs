//! Native scripts (timelocks and multisigs): reading and evaluating them (`evalTimelock` in the Allegra and Mary
//! ledger specification), with heap instead of stack for depth.

use std::collections::BTreeSet;

use crate::{
    cbor::{CborError, Reader},
    units::{KeyHash, Slot},
};

/// What a native script can see.
#[derive(Clone, Copy, Debug)]
pub struct NativeContext<'a> {
    /// Keys that signed.
    pub signers: &'a BTreeSet<KeyHash>,
    /// First slot in which the transaction is valid.
    pub valid_from: Option<Slot>,
    /// First slot in which it no longer is.
    pub valid_until: Option<Slot>,
}

/// Whether a native script, as CBOR, allows the transaction.
pub fn evaluate_native(script: &[u8], context: &NativeContext<'_>) -> Result<bool, CborError> {
    let mut reader = Reader::new(script);
    let verdict = walk(&mut reader, context)?;
    reader.end()?;
    Ok(verdict)
}

/// Moves over a native script and returns its bytes.
pub(crate) fn parse<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], CborError> {
    let start = reader.position();
    let nobody = BTreeSet::new();
    walk(reader, &NativeContext { signers: &nobody, valid_from: None, valid_until: None })?;
    Ok(reader.since(start))
}

/// A script with parts, of which some were evaluated.
struct Open {
    /// Length of the script's own array.
    outer: Option<u64>,
    /// Items that the script's own array has.
    outer_items: u64,
    /// Length of the list of parts.
    length: Option<u64>,
    done: u64,
    satisfied: u64,
    needed: Needed,
}

enum Needed {
    All,
    AtLeast(i64),
}

impl Open {
    fn verdict(&self) -> bool {
        match self.needed {
            Needed::All => self.satisfied == self.done,
            Needed::AtLeast(count) => i64::try_from(self.satisfied).unwrap_or(i64::MAX) >= count,
        }
    }
}

fn walk(reader: &mut Reader<'_>, context: &NativeContext<'_>) -> Result<bool, CborError> {
    let mut open: Vec<Open> = Vec::new();
    loop {
        let mut verdict = match script(reader, context)? {
            Step::Leaf(verdict) => Some(verdict),
            Step::Parts(parts) => {
                open.push(parts);
                None
            }
        };
        // Closes every script whose last part this was.
        loop {
            let Some(parent) = open.last_mut() else {
                return Ok(verdict.unwrap_or(false));
            };
            if let Some(satisfied) = verdict.take() {
                parent.done += 1;
                parent.satisfied += u64::from(satisfied);
            }
            if reader.more(parent.length, parent.done) {
                break;
            }
            verdict = Some(parent.verdict());
            reader.close(parent.outer, parent.outer_items, "a native script of its length")?;
            open.pop();
        }
    }
}

enum Step {
    Leaf(bool),
    Parts(Open),
}

/// Reads a script without parts whole, one with parts up to the first of them.
fn script(reader: &mut Reader<'_>, context: &NativeContext<'_>) -> Result<Step, CborError> {
    let outer = reader.array()?;
    let error = reader.error("a native script (0 to 5)");
    let kind = reader.uint()?;
    let parts = |reader: &mut Reader<'_>, needed, outer_items| {
        let length = reader.array()?;
        Ok(Step::Parts(Open { outer, outer_items, length, done: 0, satisfied: 0, needed }))
    };
    let verdict = match kind {
        0 => context.signers.contains(&KeyHash(reader.fixed("a key hash")?)),
        1 => return parts(reader, Needed::All, 2),
        2 => return parts(reader, Needed::AtLeast(1), 2),
        3 => {
            let count = reader.int()?;
            return parts(reader, Needed::AtLeast(count), 3);
        }
        // An absent bound is no bound, so it satisfies nothing.
        4 => {
            let start = Slot(reader.uint()?);
            context.valid_from.is_some_and(|from| start <= from)
        }
        5 => {
            let end = Slot(reader.uint()?);
            context.valid_until.is_some_and(|until| until <= end)
        }
        _ => return Err(error),
    };
    reader.close(outer, 2, "a native script of two parts")?;
    Ok(Step::Leaf(verdict))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn run(text: &str, signers: &[u8], from: Option<u64>, until: Option<u64>) -> bool {
        let signers = signers.iter().map(|byte| KeyHash([*byte; 28])).collect();
        let context = NativeContext { signers: &signers, valid_from: from.map(Slot), valid_until: until.map(Slot) };
        evaluate_native(&hex::decode(text).unwrap(), &context).unwrap()
    }

    fn key(byte: u8) -> String {
        format!("8200581c{}", hex::encode([byte; 28]))
    }

    #[test]
    fn a_key_must_sign() {
        assert!(run(&key(1), &[1], None, None));
        assert!(!run(&key(1), &[2], None, None));
    }

    #[test]
    fn all_any_and_some_count_their_parts() {
        let parts = format!("83{}{}{}", key(1), key(2), key(3));
        assert!(run(&format!("8201{parts}"), &[1, 2, 3], None, None));
        assert!(!run(&format!("8201{parts}"), &[1, 2], None, None));
        assert!(run(&format!("8202{parts}"), &[2], None, None));
        assert!(!run(&format!("8202{parts}"), &[4], None, None));
        assert!(run(&format!("830302{parts}"), &[1, 3], None, None));
        assert!(!run(&format!("830302{parts}"), &[3], None, None));
        // Nothing is all of nothing, but not one of nothing.
        assert!(run("820180", &[], None, None));
        assert!(!run("820280", &[], None, None));
        assert!(run("83030080", &[], None, None));
    }

    #[test]
    fn scripts_nest() {
        let inner = format!("820282{}{}", key(1), key(2));
        let nested = format!("9f019f{inner}{}ffff", key(3));
        assert!(run(&nested, &[2, 3], None, None));
        assert!(!run(&nested, &[1, 2], None, None));
    }

    #[test]
    fn bounds_compare_with_the_validity_interval() {
        assert!(run("820418c8", &[], Some(200), None));
        assert!(!run("820418c8", &[], Some(199), None));
        assert!(!run("820418c8", &[], None, Some(300)));
        assert!(run("820518c8", &[], None, Some(200)));
        assert!(!run("820518c8", &[], None, Some(201)));
        assert!(!run("820518c8", &[], Some(1), None));
    }

    #[test]
    fn depth_costs_no_stack() {
        let depth = 200_000;
        let script = [[0x82, 0x01, 0x81].repeat(depth), vec![0x82, 0x01, 0x80]].concat();
        let signers = BTreeSet::new();
        let context = NativeContext { signers: &signers, valid_from: None, valid_until: None };
        assert_eq!(evaluate_native(&script, &context), Ok(true));
    }

    #[test]
    fn malformed_scripts_are_refused() {
        let signers = BTreeSet::new();
        let context = NativeContext { signers: &signers, valid_from: None, valid_until: None };
        for text in ["", "80", "8206", "820040", "82018000", "8301", "830180", "9f0180", "820181"] {
            assert!(evaluate_native(&hex::decode(text).unwrap(), &context).is_err(), "{text}");
        }
    }
}

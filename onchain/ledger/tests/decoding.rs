//! What the ledger's own decoder refuses is refused, whatever the rules would say of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use nunet_ledger::{hash::blake2b_256, received::ReceivedTx};
use support::*;

/// The good payment with one more field in its body.
fn with_field(field: &[u8]) -> Draft {
    let mut draft = Draft::payment();
    draft.extra_fields.push(field.to_vec());
    draft
}

#[test]
fn a_plutus_script_comes_once_and_a_native_one_may_come_twice() {
    let field = |key: u8, script: &[u8]| [&[key, 0x82], script, script].concat();
    let mut twice = Draft::payment();
    twice.extra_witnesses.push(field(0x07, &[0x46, 0x45, 0x01, 0x01, 0x00, 0x24, 0x99]));
    twice.refused("DecodingFailure");
    let needs_key = [&[0x82, 0x00, 0x58, 0x1c][..], &key_hash(1).0].concat();
    let mut twice = Draft::payment();
    twice.extra_witnesses.push(field(0x01, &needs_key));
    twice.refused("ExtraneousScriptWitnessesUTXOW");
}

#[test]
fn an_output_has_two_or_three_parts() {
    let good = Draft::payment().bytes();
    let output = Draft::payment().tx.body.outputs[0].to_cbor();
    let at = good.windows(output.len()).position(|part| part == output).expect("the output as it stands");
    let address = address(2);
    let held = ada(98);
    let parts = [&[0x58, 0x1d][..], address.as_bytes(), &[0x1a], &held.lovelace().0.to_be_bytes()[4..]].concat();
    for (length, reads) in [(0x82, true), (0x81, false), (0x80, false), (0x84, false)] {
        let bytes = [&good[..at], &[length], &parts, &good[at + output.len()..]].concat();
        assert_eq!(ReceivedTx::decode(&bytes).is_ok(), reads, "{length:x}");
    }
}

#[test]
fn a_key_of_metadata_has_a_value() {
    for (value, reads) in [(&[0xbf, 0x01, 0x02, 0xff][..], true), (&[0xbf, 0x01, 0xff], false)] {
        let metadata = [&[0xa1, 0x00], value].concat();
        let mut draft = with_field(&[&[0x07, 0x58, 0x20], &blake2b_256(&metadata)[..]].concat());
        draft.auxiliary = Some(metadata);
        match reads {
            true => drop(draft.check().unwrap()),
            false => drop(draft.refused("DecodingFailure")),
        }
    }
}

#[test]
fn what_is_not_covered_must_be_well_formed_all_the_same() {
    for (field, predicate) in [
        (&[0x13, 0xa0][..], "DecodingFailure"),
        (&[0x13, 0xbf, 0xff], "DecodingFailure"),
        (&[0x14, 0x80], "DecodingFailure"),
        (&[0x15, 0x40], "DecodingFailure"),
        (&[0x15, 0x05], "Unsupported"),
        (&[0x16, 0x00], "DecodingFailure"),
        (&[0x16, 0x01], "Unsupported"),
    ] {
        with_field(field).refused(predicate);
    }
}

#[test]
fn a_certificate_comes_once_however_it_is_written() {
    let credential = [&[0x82, 0x00, 0x58, 0x1c][..], &key_hash(5).0].concat();
    let definite = [&[0x82, 0x00][..], &credential].concat();
    let indefinite = [&[0x9f, 0x00][..], &credential, &[0xff]].concat();
    with_field(&[&[0x04, 0x82][..], &definite, &indefinite].concat()).refused("DecodingFailure");
}

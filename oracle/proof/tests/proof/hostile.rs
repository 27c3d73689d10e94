//! Strangers' bytes: truncated, oversized, changed or random messages are refused and never panic.

use nunet_proof::{
    Commitment, DecodeError, Found, MAX_COMMITMENT_BYTES, MAX_REVEAL_BYTES, MAX_TRANSCRIPT_BYTES, OpRecord, PublicKey,
    ResultError, Reveal, RunResult, Transcript,
};
use proptest::prelude::*;

use crate::common::{binding, exchange, execution, find, key, labels, records, transcript};

/// Each kind of message: its name, an honest one, and a reader that writes back what it read.
type Kind = (&'static str, Vec<u8>, fn(&[u8]) -> Option<Vec<u8>>);

fn kinds() -> [Kind; 6] {
    let (commitment, reveal) = exchange();
    [
        ("commitment", commitment.to_bytes(), |b| Commitment::from_bytes(b).ok().map(|m| m.to_bytes())),
        ("reveal", reveal.to_bytes(), |b| Reveal::from_bytes(b).ok().map(|m| m.to_bytes())),
        ("record", records()[0].to_bytes(), |b| OpRecord::from_bytes(b).ok().map(|m| m.to_bytes())),
        ("transcript", transcript(1, find(&execution())).to_bytes(), |b| {
            Transcript::from_bytes(b).ok().map(|m| m.to_bytes())
        }),
        ("outputs", RunResult::Outputs(vec![labels(&[1, 2]), labels(&[3])]).to_bytes(), |b| {
            RunResult::from_bytes(b).ok().map(|m| m.to_bytes())
        }),
        ("fault", RunResult::Fault { op: 300 }.to_bytes(), |b| RunResult::from_bytes(b).ok().map(|m| m.to_bytes())),
    ]
}

#[test]
fn each_message_reads_back_as_itself() {
    for (name, honest, read) in kinds() {
        assert_eq!(read(&honest).as_ref(), Some(&honest), "{name}");
    }
}

#[test]
fn a_message_cut_short_at_any_byte_is_refused_or_a_shorter_result() {
    for (name, honest, read) in kinds() {
        for len in 0..honest.len() {
            let shorter = &honest[..len];
            // Outputs stand one after another, so the first alone is a result of its own, with its own hash.
            let whole = name == "outputs" && len == labels(&[1, 2]).to_canonical().len();
            assert_eq!(read(shorter), whole.then(|| shorter.to_vec()), "{name} cut to {len}");
        }
    }
}

#[test]
fn bytes_after_a_message_are_refused() {
    for (name, honest, read) in kinds() {
        assert_eq!(read(&[honest, vec![0]].concat()), None, "{name}");
    }
}

#[test]
fn any_changed_bit_of_a_signed_message_is_noticed() {
    for (name, honest, read) in kinds() {
        if !["commitment", "transcript"].contains(&name) {
            continue;
        }
        for bit in 0..honest.len() * 8 {
            let mut changed = honest.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&changed), None, "{name}, bit {bit}");
        }
    }
}

#[test]
fn any_changed_bit_of_a_reveal_opens_nothing() {
    let (commitment, reveal) = exchange();
    let honest = reveal.to_bytes();
    for bit in 0..honest.len() * 8 {
        let mut changed = honest.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Ok(reveal) = Reveal::from_bytes(&changed) {
            assert!(commitment.open(&PublicKey::of(&key(9)), &binding(1), &reveal).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn oversized_messages_are_refused_before_they_are_read() {
    let too_long = |error| matches!(error, DecodeError::TooLong { .. });
    assert!(too_long(Commitment::from_bytes(&vec![0; MAX_COMMITMENT_BYTES + 1]).unwrap_err()));
    assert!(too_long(Transcript::from_bytes(&vec![0; MAX_TRANSCRIPT_BYTES + 1]).unwrap_err()));
    assert!(too_long(Reveal::from_bytes(&vec![0; MAX_REVEAL_BYTES + 1]).unwrap_err()));
    let long = vec![0; nunet_proof::MAX_RESULT_BYTES + 1];
    assert!(matches!(RunResult::from_bytes(&long), Err(ResultError::TooLong { .. })));
    // A length that promises more than there is.
    assert!(Reveal::from_bytes(b"\x84\x58\x20").is_err());
    assert!(OpRecord::from_bytes(b"\x8b\x00\x01\x01\x01\x01\x00\x00\x5b\xff\xff\xff\xff\xff\xff\xff\xff").is_err());
    assert!(RunResult::from_bytes(b"\x84\x61a\x62u8\x9b\xff\xff\xff\xff\xff\xff\xff\xff").is_err());
}

#[test]
fn other_spellings_of_a_message_are_refused() {
    let (commitment, _) = exchange();
    let honest = commitment.to_bytes();
    // The same six items in an array of indefinite length, and the magic in a wider integer.
    let indefinite = [&[0x9f], &honest[1..], &[0xff]].concat();
    assert!(matches!(Commitment::from_bytes(&indefinite), Err(DecodeError::Malformed { .. })));
    let wide = [&honest[..1], &[0x19, 0, 42], &honest[3..]].concat();
    assert!(matches!(Commitment::from_bytes(&wide), Err(DecodeError::NotCanonical { .. })));
}

#[test]
fn a_finding_without_an_opening_carries_no_roots() {
    let honest = transcript(1, Found::no_reveal()).to_bytes();
    let accepted = transcript(1, find(&execution())).to_bytes();
    let code = accepted.len() - honest.len();
    assert_eq!(code, 0, "both encode to the same width");
    // The accepted transcript with the finding's number changed to "no reveal".
    let place = (0..honest.len()).find(|i| honest[*i] == 4 && accepted[*i] == 1).unwrap();
    let mut forged = accepted;
    forged[place] = 4;
    assert!(matches!(Transcript::from_bytes(&forged), Err(DecodeError::Malformed { .. })));
}

proptest! {
    #[test]
    fn random_bytes_are_no_message(bytes in proptest::collection::vec(any::<u8>(), 1..400)) {
        for (name, _, read) in kinds() {
            if let Some(written) = read(&bytes) {
                prop_assert_eq!(&written, &bytes, "{}", name);
            }
        }
    }

    #[test]
    fn damaged_messages_are_refused_or_read_as_they_stand(
        at: usize, flip: u8, from: usize, len in 0_usize..40, insert in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        for (name, honest, read) in kinds() {
            let (at, from) = (at % honest.len(), from % honest.len());
            let mut changed = honest.clone();
            changed[at] ^= flip;
            changed.splice(from..(from + len).min(honest.len()), insert.iter().copied());
            if let Some(written) = read(&changed) {
                prop_assert_eq!(&written, &changed, "{}", name);
            }
        }
    }
}

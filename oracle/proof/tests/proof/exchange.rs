//! Commit, reveal and the exact check: what is honest is accepted, whatever differs is found at its place.

use nunet_compute::{DType, LinearKind, Signed, Tensor, WitnessRows};
use nunet_proof::{
    Commitment, DecodeError, Finding, Found, OpRecord, OpeningError, PublicKey, Reveal, RunResult, Salt, ScaleBits,
    Where, trace_root,
};

use crate::common::{
    binding, exchange, execution, execution_of, find, hash, key, labels, records, subject, transcript,
};

fn open(commitment: &Commitment, reveal: &Reveal) -> Result<nunet_proof::Opened, OpeningError> {
    commitment.open(&PublicKey::of(&key(9)), &binding(1), reveal)
}

fn wrong(op: u32, row: u64) -> Finding {
    Finding::WrongResult { at: Where { op, row } }
}

#[test]
fn an_honest_reveal_opens_and_is_accepted() {
    let (commitment, reveal) = exchange();
    let commitment = Commitment::from_bytes(&commitment.to_bytes()).unwrap();
    let reveal = Reveal::from_bytes(&reveal.to_bytes()).unwrap();
    let opened = open(&commitment, &reveal).unwrap();
    assert_eq!(opened.result(), execution().result());
    let found = Found::exact(&opened, &execution(), hash(6));
    assert_eq!(found.finding(), Finding::Accepted);
    assert_eq!((found.trace_root(), found.result_hash()), (execution().trace_root(), execution().result_hash()));
    assert_eq!((*found.model_root(), found.op_count()), (hash(6), 2));
}

#[test]
fn a_fault_is_a_result_that_can_be_right_or_wrong() {
    let fault = |op| execution_of(RunResult::Fault { op }, records());
    assert_eq!(find(&fault(2)).finding(), wrong(2, 0));
    let (commitment, reveal) = fault(2).commit(&key(9), binding(1), Salt([5; 32]));
    let opened = open(&commitment, &reveal).unwrap();
    assert_eq!(Found::exact(&opened, &fault(2), hash(6)).finding(), Finding::Accepted);
    assert_eq!(Found::exact(&opened, &fault(3), hash(6)).finding(), wrong(2, 0));
    assert_eq!(Found::exact(&opened, &execution(), hash(6)).finding(), wrong(2, 0));
}

#[test]
fn copying_anothers_commitment_and_reveal_opens_nothing() {
    let (theirs, reveal) = exchange();
    let thief = PublicKey::of(&key(8));
    // As it is, it names its owner.
    let error = theirs.open(&thief, &binding(1), &reveal).unwrap_err();
    assert!(matches!(error, OpeningError::OtherProvider { .. }));
    // Under the thief's name the owner's signature does not hold.
    let renamed = replace(&theirs.to_bytes(), &theirs.provider().0, &thief.0);
    assert!(matches!(Commitment::from_bytes(&renamed), Err(DecodeError::Signature(_))));
    // The best that a thief can sign before the reveal is the hash it saw; what it hashes names the owner's key.
    let signed = signed_again(&renamed, 8);
    let error = Commitment::from_bytes(&signed).unwrap().open(&thief, &binding(1), &reveal).unwrap_err();
    assert!(matches!(error, OpeningError::CommitmentHash));
}

/// The encoded commitment, signed again by party `n` over the hash inside, as somebody with its own tools would.
fn signed_again(encoded: &[u8], n: u8) -> Vec<u8> {
    use blake2::{Blake2b, Digest, digest::consts::U32};
    use ed25519_dalek::Signer as _;

    // The encoding ends with the commitment hash, the two-byte head of the signature and the signature.
    let head = &encoded[..encoded.len() - 64];
    let (commitment, provider) = (&head[head.len() - 34..head.len() - 2], PublicKey::of(&key(n)).0);
    let binding = binding(1);
    let message = [
        b"nunet/commitment/1".as_slice(),
        &binding.magic.to_be_bytes(),
        &binding.script,
        &binding.outpoint,
        &provider,
        commitment,
    ]
    .concat();
    [head, &key(n).sign(&Blake2b::<U32>::digest(message)).to_bytes()].concat()
}

/// The bytes with the only occurrence of `from` replaced.
fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

#[test]
fn a_commitment_counts_for_its_own_escrow_only() {
    let (commitment, reveal) = exchange();
    let provider = PublicKey::of(&key(9));
    let mut other_network = binding(1);
    other_network.magic = 1;
    let mut other_script = binding(1);
    other_script.script[0] ^= 1;
    for escrow in [binding(2), other_network, other_script] {
        let error = commitment.open(&provider, &escrow, &reveal).unwrap_err();
        assert!(matches!(error, OpeningError::OtherEscrow { .. }));
    }
    // Sent on under another outpoint, the signature does not hold.
    let moved = replace(&commitment.to_bytes(), &binding(1).outpoint, &binding(2).outpoint);
    assert!(matches!(Commitment::from_bytes(&moved), Err(DecodeError::Signature(_))));
    // The provider itself commits for two escrows: the reveal of one does not open the other.
    let (second, _) = execution().commit(&key(9), binding(2), Salt([6; 32]));
    assert!(matches!(second.open(&provider, &binding(2), &reveal), Err(OpeningError::CommitmentHash)));
    let (second, _) = execution().commit(&key(9), binding(2), Salt([5; 32]));
    assert!(second.open(&provider, &binding(2), &reveal).is_ok(), "the same salt and run is the same reveal");
}

#[test]
fn a_reveal_that_is_not_the_committed_one_opens_nothing() {
    let (commitment, honest) = exchange();
    let other = execution_of(RunResult::Outputs(vec![labels(&[7, 1, 0, 8])]), records());
    let (_, other) = other.commit(&key(9), binding(1), Salt([5; 32]));

    let salt = Reveal { salt: Salt([4; 32]), ..honest.clone() };
    assert!(matches!(open(&commitment, &salt), Err(OpeningError::CommitmentHash)));
    assert!(matches!(open(&commitment, &other), Err(OpeningError::CommitmentHash)));
    let root = Reveal { trace_root: hash(1), ..honest.clone() };
    assert!(matches!(open(&commitment, &root), Err(OpeningError::TraceRoot)));
    let result = Reveal { result: other.result.clone(), ..honest.clone() };
    assert!(matches!(open(&commitment, &result), Err(OpeningError::TraceRoot)), "a result that is not the trace's");
    let rewired = Reveal { records: swapped_roots(), ..honest.clone() };
    assert!(matches!(open(&commitment, &rewired), Err(OpeningError::TraceRoot)));
    let mut missing = honest.clone();
    missing.records.pop();
    assert!(matches!(open(&commitment, &missing), Err(OpeningError::TraceRoot)));
    let mut reordered = honest;
    reordered.records.swap(0, 1);
    assert!(matches!(open(&commitment, &reordered), Err(OpeningError::RecordOutOfPlace { place: 0, index: 1 })));
}

fn swapped_roots() -> Vec<OpRecord> {
    let mut records = records();
    let (first, second) = (records[0].root, records[1].root);
    (records[0].root, records[1].root) = (second, first);
    records
}

#[test]
fn a_committed_result_that_cannot_be_read_is_a_bad_opening() {
    let mut garbage = labels(&[7, 1, 0, 9]).to_canonical();
    garbage.push(0);
    let result_hash = RunResult::hash_bytes(&garbage);
    let root = trace_root(&records(), &result_hash);
    let commitment = Commitment::sign(&key(9), binding(1), &Salt([5; 32]), &root, &result_hash);
    let reveal = Reveal { salt: Salt([5; 32]), trace_root: root, records: records(), result: garbage };
    let error = open(&commitment, &reveal).unwrap_err();
    assert!(matches!(error, OpeningError::Result(_)));
    assert!(error.proves_fault());
    let other = Reveal { salt: Salt([4; 32]), ..reveal };
    assert!(!open(&commitment, &other).unwrap_err().proves_fault());
}

#[test]
fn a_wrong_result_is_found_at_its_first_wrong_row() {
    let outputs = |outputs: Vec<Tensor>| find(&execution_of(RunResult::Outputs(outputs), records())).finding();
    assert_eq!(outputs(vec![labels(&[7, 1, 0, 8])]), wrong(2, 3));
    assert_eq!(outputs(vec![labels(&[7, 2, 0, 8])]), wrong(2, 1));
    assert_eq!(outputs(vec![labels(&[7, 1, 0])]), wrong(2, 0), "another shape has no rows to compare");
    assert_eq!(outputs(vec![labels(&[7, 1, 0, 9]), labels(&[1])]), wrong(3, 0), "a second output that should not be");
    assert_eq!(outputs(vec![labels(&[7, 1, 0, 9]).renamed("class").unwrap()]), wrong(2, 0));
    let retyped = Tensor::new("label", DType::F32, vec![4], vec![0; 16]).unwrap();
    assert_eq!(outputs(vec![retyped]), wrong(2, 0));
}

#[test]
fn rows_of_several_elements_and_scalars_have_their_places() {
    let run = |shape: Vec<usize>, values: &[i64]| {
        execution_of(RunResult::Outputs(vec![Tensor::from_i64("y", shape, values).unwrap()]), records())
    };
    let compare = |theirs: &nunet_proof::Execution, ours: &nunet_proof::Execution| {
        let (commitment, reveal) = theirs.commit(&key(9), binding(1), Salt([5; 32]));
        Found::exact(&open(&commitment, &reveal).unwrap(), ours, hash(6)).finding()
    };
    let matrix = |last| run(vec![3, 2], &[1, 2, 3, 4, 5, last]);
    assert_eq!(compare(&matrix(7), &matrix(6)), wrong(2, 2));
    assert_eq!(compare(&run(vec![], &[1]), &run(vec![], &[2])), wrong(2, 0));
    assert_eq!(compare(&run(vec![0], &[]), &run(vec![0], &[])), Finding::Accepted);
    assert_eq!(compare(&run(vec![0, 2], &[]), &run(vec![0, 3], &[])), wrong(2, 0));
}

type Change = (&'static str, fn(&mut OpRecord));

#[test]
fn each_field_of_each_record_counts() {
    let changes: [Change; 14] = [
        ("kind", |r| {
            r.kind = match r.kind {
                LinearKind::MatMulInteger => LinearKind::QLinearMatMul,
                _ => LinearKind::MatMulInteger,
            };
        }),
        ("M", |r| r.m += 1),
        ("K", |r| r.k += 1),
        ("N", |r| r.n += 1),
        ("swapped dimensions", |r| (r.m, r.k) = (r.k, r.m)),
        ("signedness of A", |r| r.signed = Signed { a: !r.signed.a, ..r.signed }),
        ("signedness of B", |r| r.signed = Signed { b: !r.signed.b, ..r.signed }),
        ("zero point of A", |r| r.zero_point_a += 1),
        ("zero points of B", |r| r.zero_points_b.push(0)),
        ("a zero point of B", |r| r.zero_points_b[0] += 1),
        ("a scale", |r| r.scales = vec![ScaleBits(r.scales[0].0 ^ 1)]),
        ("scales", |r| r.scales.clear()),
        ("witness rows", |r| {
            r.witness_rows = match r.witness_rows {
                Some(rows) => Some(WitnessRows { max: rows.max - 1, ..rows }),
                None => Some(WitnessRows { min: 0, max: 0 }),
            };
        }),
        ("root", |r| r.root.0[0] ^= 0x80),
    ];
    for op in 0..2_usize {
        for (field, change) in changes {
            let mut forged = records();
            change(&mut forged[op]);
            let theirs = execution_of(execution().result().clone(), forged);
            assert_ne!(theirs.trace_root(), execution().trace_root(), "{field} of op {op}");
            assert_eq!(find(&theirs).finding(), wrong(op as u32, 0), "{field} of op {op}");
        }
    }
}

#[test]
fn records_too_many_or_too_few_and_rewired_roots_are_found() {
    let with = |records: Vec<OpRecord>| find(&execution_of(execution().result().clone(), records)).finding();
    let [first, second] = records().try_into().unwrap();
    let third = OpRecord { index: 2, ..second.clone() };
    assert_eq!(with(vec![]), wrong(0, 0));
    assert_eq!(with(vec![first.clone()]), wrong(1, 0));
    assert_eq!(with(vec![first, second, third]), wrong(2, 0));
    assert_eq!(with(swapped_roots()), wrong(0, 0));
}

#[test]
fn one_changed_byte_of_any_op_input_changes_the_trace_root() {
    use nunet_compute::{LinearOp, Trace as _, ZeroPoints};
    let root_of = |input: &[u8]| {
        let mut tracer = nunet_proof::Tracer::default();
        tracer.linear(&LinearOp {
            index: 0,
            name: "",
            kind: LinearKind::MatMulInteger,
            m: 3,
            k: 1_500,
            n: 1,
            signed: Signed { a: false, b: false },
            zero_points: ZeroPoints { a: 0, b: &[0] },
            scales: vec![1.0],
            input,
            witness_rows: None,
        });
        *execution_of(RunResult::Fault { op: 0 }, tracer.into_records()).trace_root()
    };
    let honest = vec![9; 4_500];
    let expected = root_of(&honest);
    assert_eq!(root_of(&honest.clone()), expected);
    for place in 0..honest.len() {
        let mut forged = honest.clone();
        forged[place] ^= 1;
        assert_ne!(root_of(&forged), expected, "byte {place}");
    }
}

#[test]
fn a_transcript_says_what_was_found_and_survives_the_wire() {
    for found in [find(&execution()), Found::no_reveal(), Found::bad_opening(), find(&wrong_execution())] {
        let transcript = transcript(1, found);
        let read = nunet_proof::Transcript::from_bytes(&transcript.to_bytes()).unwrap();
        assert_eq!(read, transcript);
        assert_eq!((read.found(), read.subject(), *read.member()), (&found, &subject(), PublicKey::of(&key(1))));
    }
}

fn wrong_execution() -> nunet_proof::Execution {
    execution_of(RunResult::Outputs(vec![labels(&[7, 1, 1, 9])]), records())
}

//! A small job that needs no model: two linear ops and a result of four rows.

use ed25519_dalek::SigningKey;
use nunet_compute::{LinearKind, LinearOp, Signed, Tensor, Trace as _, WitnessRows, ZeroPoints};
use nunet_proof::{
    Binding, Commitment, Committee, Execution, Found, Hash32, OpRecord, ProofKind, PublicKey, Reveal, RunResult, Salt,
    Subject, Timing, Tracer, Transcript,
};

/// The key of party `n`.
pub(crate) fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

pub(crate) fn hash(n: u8) -> Hash32 {
    Hash32([n; 32])
}

pub(crate) fn binding(n: u8) -> Binding {
    Binding::new(42, [7; 28], [n; 32], 258)
}

pub(crate) fn subject() -> Subject {
    Subject {
        binding: binding(1),
        agreement: hash(2),
        kind: ProofKind::Exact,
        program_hash: hash(3),
        input_hash: hash(4),
    }
}

/// Records of two ops: one of 4×6 by 6×3 with a dynamic scale, one of 4×3 by 3×2 with a fixed one.
pub(crate) fn records() -> Vec<OpRecord> {
    let mut tracer = Tracer::default();
    tracer.linear(&LinearOp {
        index: 0,
        name: "first",
        kind: LinearKind::MatMulInteger,
        m: 4,
        k: 6,
        n: 3,
        signed: Signed { a: false, b: true },
        zero_points: ZeroPoints { a: 128, b: &[0] },
        scales: vec![0.5],
        input: &std::array::from_fn::<u8, 24, _>(|i| i as u8),
        witness_rows: Some(WitnessRows { min: 0, max: 3 }),
    });
    tracer.linear(&LinearOp {
        index: 1,
        name: "second",
        kind: LinearKind::QLinearMatMul,
        m: 4,
        k: 3,
        n: 2,
        signed: Signed { a: true, b: true },
        zero_points: ZeroPoints { a: -3, b: &[1, -2] },
        scales: vec![0.25],
        input: &std::array::from_fn::<u8, 12, _>(|i| 100 + i as u8),
        witness_rows: None,
    });
    tracer.into_records()
}

pub(crate) fn labels(values: &[i64]) -> Tensor {
    Tensor::from_i64("label", vec![values.len()], values).unwrap()
}

pub(crate) fn execution_of(result: RunResult, records: Vec<OpRecord>) -> Execution {
    Execution::new(result, records).unwrap()
}

pub(crate) fn execution() -> Execution {
    execution_of(RunResult::Outputs(vec![labels(&[7, 1, 0, 9])]), records())
}

/// Party 9's honest commitment and reveal for escrow 1.
pub(crate) fn exchange() -> (Commitment, Reveal) {
    execution().commit(&key(9), binding(1), Salt([5; 32]))
}

/// What a member finds when party 9 commits to `theirs` and the member's own run gives [`execution`].
pub(crate) fn find(theirs: &Execution) -> Found {
    let (commitment, reveal) = theirs.commit(&key(9), binding(1), Salt([5; 32]));
    let opened = commitment.open(&PublicKey::of(&key(9)), &binding(1), &reveal).unwrap();
    Found::exact(&opened, &execution(), hash(6))
}

/// Five members with keys 1 to 5.
pub(crate) fn committee(threshold: usize) -> Committee {
    let mut members: Vec<_> = (1..=5).map(|n| PublicKey::of(&key(n))).collect();
    members.sort();
    Committee::new(members, threshold).unwrap()
}

pub(crate) fn transcript(member: u8, found: Found) -> Transcript {
    Transcript::sign(&key(member), subject(), found, Timing { started: 1_000, finished: 2_000 })
}

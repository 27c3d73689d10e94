//! The trace of a run: each linear op's input becomes a root, and the whole run a trace root.

use nunet_compute::{LinearOp, Tensor, Trace};

use crate::{
    binding::Binding,
    commit::{Commitment, Reveal, Salt},
    hash::Hash32,
    merkle::{RootHasher, Tree},
    record::{MAX_QUANTISERS, MAX_RECORDS, OpRecord, trace_root},
    result::{MAX_RESULT_BYTES, RunResult},
};

/// Turns each linear op's input rows into a root as they pass by; keeps the records and nothing else.
#[derive(Clone, Debug, Default)]
pub struct Tracer {
    records: Vec<OpRecord>,
}

impl Tracer {
    /// The records of the ops that ran, in execution order.
    pub fn into_records(self) -> Vec<OpRecord> {
        self.records
    }
}

impl Trace for Tracer {
    fn linear(&mut self, op: &LinearOp<'_>) {
        let mut root = RootHasher::new(Tree::Rows);
        // K fits: the rows are in memory. Without columns there are no rows to hash, and M says how many there were.
        for (row, bytes) in (0..).zip(op.input.chunks((op.k as usize).max(1))) {
            root.push_row(op.index, row, bytes);
        }
        self.records.push(OpRecord {
            index: op.index,
            kind: op.kind,
            m: op.m,
            k: op.k,
            n: op.n,
            signed: op.signed,
            zero_point_a: op.zero_points.a,
            zero_points_b: op.zero_points.b.to_vec(),
            scales: op.scales.iter().copied().map(Into::into).collect(),
            witness_rows: op.witness_rows,
            root: root.finish(),
        });
    }
}

/// A run of a job with everything that a proof needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    result: RunResult,
    records: Vec<OpRecord>,
    result_hash: Hash32,
    trace_root: Hash32,
}

/// A run whose trace or result does not fit a reveal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the job's {what} is {size}, over the limit of {limit}; split the model or the batch into smaller jobs")]
pub struct TooLarge {
    /// What is too large.
    pub what: &'static str,
    /// How large it is.
    pub size: usize,
    /// The most allowed.
    pub limit: usize,
}

impl Execution {
    /// A run that a [`Tracer`] watched.
    ///
    /// # Errors
    /// [`TooLarge`] when it does not fit a reveal.
    pub fn new(result: RunResult, records: Vec<OpRecord>) -> Result<Self, TooLarge> {
        let quantisers = records.iter().map(|record| record.zero_points_b.len().max(record.scales.len())).max();
        let bytes = result.to_bytes();
        for (what, size, limit) in [
            ("number of linear ops", records.len(), MAX_RECORDS),
            ("number of zero points in one op", quantisers.unwrap_or(0), MAX_QUANTISERS),
            ("result in bytes", bytes.len(), MAX_RESULT_BYTES),
        ] {
            if size > limit {
                return Err(TooLarge { what, size, limit });
            }
        }
        let result_hash = RunResult::hash_bytes(&bytes);
        let trace_root = trace_root(&records, &result_hash);
        Ok(Self { result, records, result_hash, trace_root })
    }

    /// How the run ended.
    pub fn result(&self) -> &RunResult {
        &self.result
    }

    /// The output tensors; none after a fault.
    pub fn outputs(&self) -> &[Tensor] {
        self.result.outputs()
    }

    /// The records of the linear ops, in execution order.
    pub fn records(&self) -> &[OpRecord] {
        &self.records
    }

    /// The content hash of the result's canonical bytes.
    pub fn result_hash(&self) -> &Hash32 {
        &self.result_hash
    }

    /// The Merkle root over op records and result hash.
    pub fn trace_root(&self) -> &Hash32 {
        &self.trace_root
    }

    /// The provider's commitment to this run, and the reveal that will open it. `salt` is fresh and random.
    pub fn commit(&self, key: &ed25519_dalek::SigningKey, binding: Binding, salt: Salt) -> (Commitment, Reveal) {
        let commitment = Commitment::sign(key, binding, &salt, &self.trace_root, &self.result_hash);
        let reveal =
            Reveal { salt, trace_root: self.trace_root, records: self.records.clone(), result: self.result.to_bytes() };
        (commitment, reveal)
    }
}

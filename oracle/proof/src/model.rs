//! The model root: the Merkle root over a model's constant weight matrices, known before any job.

use minicbor::{
    Encoder,
    encode::{Encode, Write},
};
use nunet_compute::{Model, Weights};
use sha2::{Digest, Sha256};

use crate::{
    hash::Hash32,
    merkle::{Leaf, RootHasher, Tree},
    wire,
};

/// Columns that are gathered in one pass over a matrix.
const COLUMNS_PER_PASS: usize = 64;

/// The model root.
///
/// Leaf `i` is the SHA-256 of CBOR `[op, kind, K, N, signedness, zero points, root of the columns]` of the `i`-th linear
/// op with constant weights, tagged with that op; the fields are written as in an [`crate::OpRecord`].
pub fn model_root(model: &Model) -> Hash32 {
    let mut hasher = RootHasher::new(Tree::Model);
    for weights in model.weights() {
        let record = wire::to_vec(&WeightsRecord { root: columns_root(&weights), weights: &weights });
        hasher.push(&Leaf::digest(weights.index, &Hash32(Sha256::digest(record).into())));
    }
    hasher.finish()
}

/// The root over the columns of a weight matrix, K bytes each.
///
/// Columns, not rows: one element of a product is a row of the input times a column of the weights, so whoever disputes it
/// opens K bytes of each.
fn columns_root(weights: &Weights<'_>) -> Hash32 {
    let mut hasher = RootHasher::new(Tree::Weights);
    // Both fit: the matrix is in memory.
    let (k, n) = (weights.k as usize, weights.n as usize);
    let mut columns = vec![Vec::with_capacity(k); COLUMNS_PER_PASS.min(n)];
    for first in (0..n).step_by(COLUMNS_PER_PASS) {
        columns.truncate(n - first);
        columns.iter_mut().for_each(Vec::clear);
        for row in weights.bytes.chunks_exact(n) {
            for (column, element) in columns.iter_mut().zip(row.iter().skip(first)) {
                column.push(*element);
            }
        }
        for (place, column) in (first as u64..).zip(&columns) {
            hasher.push_row(weights.index, place, column);
        }
    }
    hasher.finish()
}

struct WeightsRecord<'a> {
    weights: &'a Weights<'a>,
    root: Hash32,
}

impl<C> Encode<C> for WeightsRecord<'_> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), minicbor::encode::Error<W::Error>> {
        let Weights { index, kind, k, n, signed, zero_points, .. } = self.weights;
        e.array(7)?.u32(*index)?.u8(kind.code())?.u64(*k)?.u64(*n)?;
        e.u8(u8::from(signed.a) | u8::from(signed.b) << 1)?;
        e.bytes(&zero_points.iter().flat_map(|point| point.to_be_bytes()).collect::<Vec<_>>())?;
        e.bytes(&self.root.0)?;
        Ok(())
    }
}

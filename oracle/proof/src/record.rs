//! The record of one linear op in a trace: its shape, quantisation and the root over its input rows.

use minicbor::{
    Decoder, Encoder,
    decode::Error,
    encode::{Encode, Write},
};
use nunet_compute::{LinearKind, Signed, WitnessRows};
use sha2::{Digest, Sha256};

use crate::{
    hash::Hash32,
    merkle::{Leaf, RootHasher, Tree},
    wire::{self, DecodeError},
};

/// The most op records in a trace.
pub const MAX_RECORDS: usize = 16_384;

/// The most zero points, or scales, in a record.
pub const MAX_QUANTISERS: usize = 65_536;

/// The most bytes of an encoded record.
const MAX_RECORD_BYTES: usize = 8 * MAX_QUANTISERS + 256;

/// A binary32 scale by its bits, so that equal means the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScaleBits(pub u32);

impl From<f32> for ScaleBits {
    fn from(scale: f32) -> Self {
        Self(scale.to_bits())
    }
}

/// What a trace holds of one linear op C\[M, N\] = A\[M, K\] · B\[K, N\].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpRecord {
    /// Its place among the run's linear ops, in execution order.
    pub index: u32,
    /// Which op it is.
    pub kind: LinearKind,
    /// Rows of A and C.
    pub m: u64,
    /// Columns of A, rows of B.
    pub k: u64,
    /// Columns of B and C.
    pub n: u64,
    /// Whether the elements of A and B are signed.
    pub signed: Signed,
    /// Zero point of A.
    pub zero_point_a: i32,
    /// Zero points of B: one, or one for each column.
    pub zero_points_b: Vec<i32>,
    /// Scales of A.
    pub scales: Vec<ScaleBits>,
    /// For a dynamic scale, the rows with the least and the greatest value, which justify it.
    pub witness_rows: Option<WitnessRows>,
    /// Root over A's rows, K bytes each.
    pub root: Hash32,
}

impl OpRecord {
    /// Canonical CBOR: `[index, kind, M, K, N, signedness, zero point of A, zero points of B, scales, witness rows,
    /// root]`.
    ///
    /// Signedness is 1 for a signed A plus 2 for a signed B; zero points of B and scales are byte strings, four bytes
    /// each, big-endian; witness rows are `[]` or `[min, max]`.
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::to_vec(self)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) writes.
    ///
    /// # Errors
    /// [`DecodeError`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        wire::decode_canonical("op record", bytes, MAX_RECORD_BYTES, Self::read)
    }

    pub(crate) fn read(d: &mut Decoder<'_>) -> Result<Self, Error> {
        wire::array_of(d, 11)?;
        let index = d.u32()?;
        let kind = LinearKind::from_code(d.u8()?).ok_or_else(|| Error::message("no such kind of linear op"))?;
        let (m, k, n) = (d.u64()?, d.u64()?, d.u64()?);
        let signedness = d.u8()?;
        if signedness > 3 {
            return Err(Error::message("signedness is 0 to 3"));
        }
        let zero_point_a = d.i32()?;
        let zero_points_b = words(d, i32::from_be_bytes)?;
        let scales = words(d, |bits| ScaleBits(u32::from_be_bytes(bits)))?;
        let witness_rows = match wire::array_up_to(d, 2)? {
            0 => None,
            2 => Some(WitnessRows { min: d.u64()?, max: d.u64()? }),
            _ => return Err(Error::message("witness rows are none or two")),
        };
        Ok(Self {
            index,
            kind,
            m,
            k,
            n,
            signed: Signed { a: signedness & 1 != 0, b: signedness & 2 != 0 },
            zero_point_a,
            zero_points_b,
            scales,
            witness_rows,
            root: wire::hash32(d)?,
        })
    }
}

/// A byte string of four-byte words, at most [`MAX_QUANTISERS`].
fn words<T>(d: &mut Decoder<'_>, word: impl Fn([u8; 4]) -> T) -> Result<Vec<T>, Error> {
    let (words, rest) = d.bytes()?.as_chunks::<4>();
    if !rest.is_empty() || words.len() > MAX_QUANTISERS {
        return Err(Error::message(format!("expected up to {MAX_QUANTISERS} words of four bytes")));
    }
    Ok(words.iter().copied().map(word).collect())
}

impl<C> Encode<C> for OpRecord {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(11)?.u32(self.index)?.u8(self.kind.code())?.u64(self.m)?.u64(self.k)?.u64(self.n)?;
        e.u8(u8::from(self.signed.a) | u8::from(self.signed.b) << 1)?.i32(self.zero_point_a)?;
        e.bytes(&self.zero_points_b.iter().flat_map(|point| point.to_be_bytes()).collect::<Vec<_>>())?;
        e.bytes(&self.scales.iter().flat_map(|scale| scale.0.to_be_bytes()).collect::<Vec<_>>())?;
        match &self.witness_rows {
            None => e.array(0)?,
            Some(rows) => e.array(2)?.u64(rows.min)?.u64(rows.max)?,
        };
        e.bytes(&self.root.0)?;
        Ok(())
    }
}

/// The trace root: the Merkle root over op records, in order, and the result hash.
///
/// Leaf `i` is the SHA-256 of record `i`'s canonical bytes, tagged with op `i`; the last leaf is the result hash,
/// tagged with the number of records.
pub fn trace_root(records: &[OpRecord], result_hash: &Hash32) -> Hash32 {
    let mut hasher = RootHasher::new(Tree::Trace);
    for (place, record) in (0..).zip(records) {
        hasher.push(&Leaf::digest(place, &Hash32(Sha256::digest(record.to_bytes()).into())));
    }
    hasher.push(&Leaf::digest(records.len() as u32, result_hash));
    hasher.finish()
}

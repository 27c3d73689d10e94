//! A model: an ONNX file, checked and made ready to run.
//!
//! Loading goes in this order: bound the cost of decoding, decode, name the values, fold constants and infer types node by
//! node, pack the weights of linear ops and prove that their sums fit 32 bits.

mod build;
mod interface;
mod linear;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt, sync::Arc};

use crate::{
    array::{Array, Elements},
    error::{At, ModelError},
    hash::{Hash32, content_hash},
    onnx,
    op::Op,
    tensor::DType,
    trace::{LinearKind, Signed},
};

pub(crate) use linear::{Linear, ScaleSource, ZeroSource};

/// The largest file that is loaded, in bytes (512 MiB).
pub const MAX_MODEL_BYTES: usize = 512 << 20;

/// One dimension of an input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Always this size.
    Fixed(usize),
    /// Any size, but the same wherever the symbol stands.
    Symbol(String),
    /// Any size.
    Any,
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Symbol(symbol) => f.write_str(symbol),
            Self::Any => f.write_str("?"),
        }
    }
}

/// What an input must be, or what an output is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueSpec {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub dtype: DType,
    /// Its dimensions; `None` when the model leaves even their number open.
    pub shape: Option<Vec<Dimension>>,
}

impl ValueSpec {
    /// The shape as people write it, e.g. `[N, 64]`.
    pub fn shape_text(&self) -> String {
        match &self.shape {
            Some(shape) => format!("[{}]", shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
            None => "[…]".into(),
        }
    }
}

/// The constant weights of one linear op.
#[derive(Clone, Debug)]
pub struct Weights<'a> {
    /// The op's place among the linear ops, in execution order from 0; the same as in its trace.
    pub index: u32,
    /// The node's name; may be empty.
    pub name: &'a str,
    /// Which operator it is.
    pub kind: LinearKind,
    /// Rows.
    pub k: u64,
    /// Columns.
    pub n: u64,
    /// Signedness of activation and weights.
    pub signed: Signed,
    /// Zero points of the weights: one, or N.
    pub zero_points: &'a [i32],
    /// The weights as the model has them, K×N row-major, one byte each.
    pub bytes: Cow<'a, [u8]>,
}

/// Where a value is kept during a run.
pub(crate) type Slot = usize;

/// A node, ready to run.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) op: Op,
    /// For linear ops: the index into [`Model::linears`].
    pub(crate) linear: Option<usize>,
    pub(crate) operands: Vec<Option<Slot>>,
    pub(crate) results: Vec<Slot>,
    /// Values that no later node reads and that are no outputs.
    pub(crate) frees: Vec<Slot>,
}

/// A model that was checked in every way that needs no input.
#[derive(Debug)]
pub struct Model {
    pub(crate) program_hash: Hash32,
    pub(crate) inputs: Vec<(Slot, ValueSpec)>,
    pub(crate) outputs: Vec<(Slot, ValueSpec)>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) linears: Vec<Linear>,
    /// One place per value: its constant, if it is one.
    pub(crate) slots: Vec<Option<Arc<Array>>>,
    /// One type per value.
    pub(crate) dtypes: Vec<DType>,
}

impl Model {
    /// Reads an ONNX file.
    ///
    /// # Errors
    /// [`ModelError`] says what the file is not, what the engine does not run, or which sum could overflow.
    pub fn load(file: &[u8]) -> Result<Self, ModelError> {
        if file.len() > MAX_MODEL_BYTES {
            return Err(ModelError::TooLarge { what: "bytes", limit: MAX_MODEL_BYTES });
        }
        build::build(&onnx::decode(file)?, content_hash(file))
    }

    /// What the model takes, in the order of the file.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = &ValueSpec> {
        self.inputs.iter().map(|(_, spec)| spec)
    }

    /// What the model gives, in the order of the file.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = &ValueSpec> {
        self.outputs.iter().map(|(_, spec)| spec)
    }

    /// The content hash of the file.
    pub fn program_hash(&self) -> Hash32 {
        self.program_hash
    }

    /// How many linear ops a trace of this model has.
    pub fn linear_ops(&self) -> usize {
        self.linears.len()
    }

    /// The weights of all linear ops, in execution order.
    pub fn weights(&self) -> impl Iterator<Item = Weights<'_>> {
        self.linears.iter().zip(0..).map(|(linear, index)| Weights {
            index,
            name: &linear.name,
            kind: linear.kind,
            k: linear.k as u64,
            n: linear.n as u64,
            signed: linear.signed,
            zero_points: &linear.weight_zero_points,
            bytes: match &linear.weights.elements {
                Elements::U8(bytes) => Cow::Borrowed(bytes),
                other => Cow::Owned(other.to_le_bytes()),
            },
        })
    }
}

//! Why a model is refused at load, and why a job is refused or ends.

use std::fmt;

use crate::tensor::{DType, TensorError};

/// The node an error is about, as a person finds it in the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The node's place in the file, from 0.
    pub node: u32,
    /// The node's name; may be empty.
    pub name: String,
    /// The op it asks for.
    pub op: String,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, name, op } = self;
        if name.is_empty() { write!(f, "{op} (node {node})") } else { write!(f, "{op} '{name}' (node {node})") }
    }
}

/// Why a file is not a model that can be run exactly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// Larger than what is loaded.
    #[error("the model has more {what} than the limit of {limit}; split it or use a smaller one")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// Not an ONNX file.
    #[error("the file is not an ONNX model ({reason}); pass the .onnx file that the quantiser wrote")]
    NotOnnx {
        /// What is wrong.
        reason: String,
    },
    /// A version of the operators that is not known.
    #[error("the model is written for opset {version}; export it for an opset from 11 to 21")]
    Opset {
        /// The version it imports for the standard domain; 0 if none.
        version: i64,
    },
    /// An op that is not run.
    #[error("{at} is not supported; {advice}")]
    UnknownOp {
        /// The node.
        at: At,
        /// What to do.
        advice: &'static str,
    },
    /// A node of a supported op, used in a way that is not supported.
    #[error("{at}: {reason}")]
    Node {
        /// The node.
        at: At,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// An operand of the wrong type.
    #[error("{at}: '{value}' has type {found}, but the op takes {expected}; quantise the float model again")]
    DType {
        /// The node.
        at: At,
        /// The operand's name.
        value: String,
        /// Its type.
        found: DType,
        /// The types that are taken.
        expected: String,
    },
    /// A value that nothing makes before it is read.
    #[error(
        "{reader} reads '{value}', which is no input, no initialiser and not made by an earlier node; the file lacks a \
         weight, has a cycle or is not sorted: export it again"
    )]
    Undefined {
        /// Who reads it.
        reader: String,
        /// The value's name.
        value: String,
    },
    /// Two definitions of one value.
    #[error("the value '{value}' is defined twice; export the model again")]
    Duplicate {
        /// The value's name.
        value: String,
    },
    /// A weight that cannot be read.
    #[error("initialiser '{name}': {reason}")]
    Initialiser {
        /// Its name.
        name: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// An input or output that is not a tensor of a supported type.
    #[error("the model's {direction} '{name}': {reason}")]
    Interface {
        /// "input" or "output".
        direction: &'static str,
        /// Its name.
        name: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// An integer product that could leave 32 bits.
    #[error(
        "{at}: column {column} can reach {reach} and overflow 32 bits; quantise to 7 bits (reduce_range) or split K"
    )]
    Overflow {
        /// The node.
        at: At,
        /// The first such column.
        column: usize,
        /// The largest magnitude it can reach.
        reach: u64,
    },
    /// A model without integer linear algebra.
    #[error(
        "{at} is float and the model has no integer product; quantise it, e.g. with onnxruntime's quantize_dynamic"
    )]
    NotQuantised {
        /// The first float product.
        at: At,
    },
}

/// Why a job is refused, or how it ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// An input that the model has and the job does not.
    #[error("the job lacks the input '{name}'; pass a tensor of that name")]
    MissingInput {
        /// Its name.
        name: String,
    },
    /// An input that the job has and the model does not, or has twice.
    #[error("the job's input '{name}' is not wanted (once); the model takes {wanted}")]
    UnknownInput {
        /// Its name.
        name: String,
        /// The names that the model takes.
        wanted: String,
    },
    /// An input of the wrong type.
    #[error("input '{name}' has type {found}, but the model takes {expected}; convert it")]
    InputDType {
        /// Its name.
        name: String,
        /// Its type.
        found: DType,
        /// The model's.
        expected: DType,
    },
    /// An input of the wrong shape.
    #[error("input '{name}' has shape {found:?}, but the model takes {expected}; reshape or pad it")]
    InputShape {
        /// Its name.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The model's.
        expected: String,
    },
    /// Shapes that do not fit each other inside the model.
    #[error("{at}: {reason}; pass inputs of the shape that the model was made for")]
    Shape {
        /// The node.
        at: At,
        /// What does not fit.
        reason: String,
    },
    /// More memory than a job may use.
    #[error("the job needs more than {limit} bytes of memory at {at}; split the batch")]
    Memory {
        /// The node at which the limit is passed.
        at: At,
        /// The limit.
        limit: usize,
    },
    /// Too much float linear algebra.
    #[error(
        "{float} of the job's {all} multiply-adds are float, more than a tenth; quantise the model's MatMul and Gemm \
         (MatMulConstBOnly=False for attention)"
    )]
    FloatShare {
        /// Float multiply-adds.
        float: u64,
        /// All multiply-adds.
        all: u64,
    },
    /// A floating-point unit that is not in its IEEE mode.
    #[error("this thread flushes subnormals or rounds otherwise than to even; run the job on a thread of its own")]
    FloatEnvironment,
    /// A NaN met a quantisation, integer cast or ordering: the run's result is `fault(op)`. Every device finds the same.
    #[error("fault at {at}: {reason}; check the input for NaN, infinities and huge values")]
    Fault {
        /// The index in the file of the node at which the run ended: the `op` in `fault(op)`.
        op: u32,
        /// The same node.
        at: At,
        /// What happened.
        reason: &'static str,
    },
    /// An output that is larger than a tensor may be.
    #[error(transparent)]
    Output(#[from] TensorError),
}

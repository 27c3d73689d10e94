//! What a run shows to whoever watches it: the quantised input of every linear op.

/// Which operator of the model a linear op is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LinearKind {
    /// ONNX `MatMulInteger`: integers in, i32 accumulators out.
    MatMulInteger,
    /// ONNX `QLinearMatMul`: integers in, requantised integers out.
    QLinearMatMul,
}

impl LinearKind {
    /// The number that stands for the kind in hashed records. Fixed for ever.
    pub fn code(self) -> u8 {
        match self {
            Self::MatMulInteger => 1,
            Self::QLinearMatMul => 2,
        }
    }

    /// The kind that a number in a record stands for.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::MatMulInteger, Self::QLinearMatMul].into_iter().find(|kind| kind.code() == code)
    }
}

/// The zero points of a linear op, as integers that are subtracted before the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZeroPoints<'a> {
    /// Of the activation: one for the whole tensor. Known only at run time where the quantisation is dynamic.
    pub a: i32,
    /// Of the weights: one for the whole tensor, or N, one per column.
    pub b: &'a [i32],
}

/// Whether the 8-bit operands of a linear op are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The activation holds i8 (else u8).
    pub a: bool,
    /// The weights hold i8 (else u8).
    pub b: bool,
}

/// The rows that justify a dynamic scale: the first row with the smallest and the first with the largest value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WitnessRows {
    /// The row of the linear op's input (0 to M − 1) where the smallest float stood.
    pub min: u64,
    /// The row where the largest float stood.
    pub max: u64,
}

/// One linear op as it runs: `C[M×N] = (A[M×K] − a) · (B[K×N] − b)`.
#[derive(Clone, Debug)]
pub struct LinearOp<'a> {
    /// Its place among the linear ops of the model, in execution order from 0.
    pub index: u32,
    /// The node's name in the model; may be empty.
    pub name: &'a str,
    /// Which operator it is.
    pub kind: LinearKind,
    /// Rows of the input: the product of all its dimensions but the last.
    pub m: u64,
    /// Columns of the input, rows of the weights.
    pub k: u64,
    /// Columns of the weights.
    pub n: u64,
    /// Signedness of both operands.
    pub signed: Signed,
    /// Zero points of both operands.
    pub zero_points: ZeroPoints<'a>,
    /// The activation's scale, where the model says one: from the op itself, or from the quantisation that made it.
    /// Empty when the activation is an input of the model that was quantised elsewhere.
    pub scales: Vec<f32>,
    /// The quantised activation, M×K row-major, one byte each.
    pub input: &'a [u8],
    /// For a dynamic scale of an input that is not empty.
    pub witness_rows: Option<WitnessRows>,
}

/// Watches a run.
pub trait Trace {
    /// Called once for every linear op, in execution order, before its product is computed.
    fn linear(&mut self, op: &LinearOp<'_>);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTrace;

impl Trace for NoTrace {
    fn linear(&mut self, _: &LinearOp<'_>) {}
}

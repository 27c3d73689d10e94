//! A linear op of a model: its packed weights, where its quantisation comes from, and the proof that it cannot overflow.

use std::sync::Arc;

use super::Slot;
use crate::{
    array::{Array, Elements},
    error::{At, ModelError},
    kernel::linear::Packed,
    op::Op,
    tensor::DType,
    trace::{LinearKind, Signed},
};

/// Accumulators stay below this magnitude.
const LIMIT: u64 = 1 << 31;

/// Where the zero point of the activation is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ZeroSource {
    Constant(i32),
    Value(Slot),
}

/// Where the scale of the activation is found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ScaleSource {
    /// The activation was quantised outside the model.
    Unknown,
    /// In the model.
    Constant(Vec<f32>),
    /// Chosen by the DynamicQuantizeLinear whose quantised result is this value.
    Dynamic(Slot),
}

/// How QLinearMatMul turns accumulators into 8 bits.
#[derive(Clone, Debug)]
pub(crate) struct Requantise {
    /// `(s_a · s_w[j]) / s_y`: one, or N.
    pub(crate) multipliers: Vec<f32>,
    pub(crate) zero_point: i32,
    pub(crate) signed: bool,
}

#[derive(Debug)]
pub(crate) struct Linear {
    pub(crate) name: String,
    pub(crate) kind: LinearKind,
    pub(crate) k: usize,
    pub(crate) n: usize,
    pub(crate) signed: Signed,
    pub(crate) weights: Arc<Array>,
    pub(crate) weight_zero_points: Vec<i32>,
    pub(crate) packed: Packed,
    pub(crate) zero: ZeroSource,
    pub(crate) scale: ScaleSource,
    pub(crate) requantise: Option<Requantise>,
}

/// The operands of a linear op that are known at load.
pub(super) struct Operands<'a> {
    pub(super) at: &'a At,
    /// The node's operands: their values.
    pub(super) slots: &'a [Option<Slot>],
    /// Constants by operand.
    pub(super) constants: Vec<Option<Arc<Array>>>,
    /// The activation's type.
    pub(super) activation: DType,
    /// Where its scale comes from, when the op does not say.
    pub(super) scale: ScaleSource,
}

impl Operands<'_> {
    fn error(&self, reason: &str) -> ModelError {
        ModelError::Node { at: self.at.clone(), reason: reason.to_owned() }
    }

    fn constant(&self, operand: usize, what: &str) -> Result<&Arc<Array>, ModelError> {
        self.constants.get(operand).and_then(Option::as_ref).ok_or_else(|| {
            self.error(&format!(
                "{what} is computed at run time, which is not supported: quantise with MatMulConstBOnly=True"
            ))
        })
    }

    /// A positive, finite scale or several.
    fn scales(&self, operand: usize, what: &str) -> Result<&[f32], ModelError> {
        let scales = self.constant(operand, what)?.f32s().unwrap_or_default();
        if scales.is_empty() || !scales.iter().all(|s| s.is_finite() && *s > 0.0) {
            return Err(self.error(&format!("{what} is not positive and finite: quantise the model again")));
        }
        Ok(scales)
    }

    fn zero_points(&self, operand: usize, what: &str) -> Result<Vec<i32>, ModelError> {
        if self.slots.get(operand).copied().flatten().is_none() {
            return Ok(vec![0]);
        }
        let zeros = self.constant(operand, what)?.elements.to_zero_points();
        zeros.filter(|zeros| !zeros.is_empty()).ok_or_else(|| self.error(&format!("{what} is not of 8 bits")))
    }

    /// One number per column, or one for all.
    fn per_column<T>(&self, list: &[T], n: usize, what: &str) -> Result<(), ModelError> {
        if list.len() == 1 || list.len() == n {
            return Ok(());
        }
        Err(self.error(&format!("{what} has {} elements for {n} columns: quantise the model again", list.len())))
    }

    fn only(&self, list: &[i32], what: &str) -> Result<i32, ModelError> {
        match list {
            [one] => Ok(*one),
            _ => Err(self.error(&format!("{what} is not one number: quantise activations per tensor"))),
        }
    }
}

impl Linear {
    /// Packs the weights and checks that no column can overflow.
    pub(super) fn new(op: &Op, operands: &Operands<'_>) -> Result<Self, ModelError> {
        let (kind, weights_at, weight_zero_at) = match op {
            Op::QLinearMatMul => (LinearKind::QLinearMatMul, 3, 5),
            _ => (LinearKind::MatMulInteger, 1, 3),
        };
        let weights = operands.constant(weights_at, "the second operand")?.clone();
        let &[k, n] = &weights.shape[..] else {
            return Err(operands.error("the second operand is no matrix: export two-dimensional weights"));
        };
        if k == 0 || n == 0 {
            return Err(operands.error("the second operand is empty: export the model again"));
        }
        let weight_zero_points = operands.zero_points(weight_zero_at, "the zero point of the second operand")?;
        operands.per_column(&weight_zero_points, n, "the zero point of the second operand")?;

        let zero = match operands.slots.get(2).copied().flatten() {
            Some(slot) if operands.constants.get(2).is_none_or(Option::is_none) => ZeroSource::Value(slot),
            _ => {
                let what = "the zero point of the first operand";
                ZeroSource::Constant(operands.only(&operands.zero_points(2, what)?, what)?)
            }
        };
        let (scale, requantise) = match kind {
            LinearKind::QLinearMatMul => {
                let (scale, requantise) = requantisation(operands, n)?;
                (scale, Some(requantise))
            }
            LinearKind::MatMulInteger => (operands.scale.clone(), None),
        };
        let packed = match &weights.elements {
            Elements::U8(b) => Packed::new(k, n, &weight_zero_points, |i| i32::from(b[i])),
            Elements::I8(b) => Packed::new(k, n, &weight_zero_points, |i| i32::from(b[i])),
            _ => return Err(operands.error("the second operand is not of 8 bits")),
        };
        let signed = Signed { a: operands.activation == DType::I8, b: weights.dtype() == DType::I8 };
        let magnitude = largest_activation(signed.a, zero);
        for column in 0..n {
            let reach = packed.reach(column, magnitude);
            if reach >= LIMIT {
                return Err(ModelError::Overflow { at: operands.at.clone(), column, reach });
            }
        }
        let name = operands.at.name.clone();
        Ok(Self { name, kind, k, n, signed, weights, weight_zero_points, packed, zero, scale, requantise })
    }
}

fn requantisation(operands: &Operands<'_>, n: usize) -> Result<(ScaleSource, Requantise), ModelError> {
    let activation = operands.scales(1, "the scale of the first operand")?;
    let weight = operands.scales(4, "the scale of the second operand")?;
    let result = operands.scales(6, "the scale of the result")?;
    let (&[s_a], &[s_y]) = (activation, result) else {
        return Err(operands.error("quantises activations per row: quantise them per tensor"));
    };
    operands.per_column(weight, n, "the scale of the second operand")?;
    let what = "the zero point of the result";
    let zero_point = operands.only(&operands.zero_points(7, what)?, what)?;
    let signed = operands.constant(7, what)?.dtype() == DType::I8;
    let multipliers = weight.iter().map(|&s_w| (s_a * s_w) / s_y).collect();
    Ok((ScaleSource::Constant(vec![s_a]), Requantise { multipliers, zero_point, signed }))
}

/// The largest magnitude of an 8-bit activation less its zero point.
fn largest_activation(signed: bool, zero: ZeroSource) -> i32 {
    let (low, high) = if signed { (-128, 127) } else { (0, 255) };
    match zero {
        ZeroSource::Constant(zero) => (zero - low).max(high - zero),
        ZeroSource::Value(_) => high - low,
    }
}

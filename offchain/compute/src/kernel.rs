//! The arithmetic of every op, one IEEE binary32 operation at a time and in a fixed order.
//!
//! Banned here: `f32::max` and `min`, `f32::mul_add`, the transcendentals of `std`, `Iterator::sum` over floats. A NaN is
//! stored as 0x7fc00000 only. A NaN that would decide an integer or an order ends the run.

mod elementwise;
pub(crate) mod linear;
mod order;
mod quantise;

use crate::{
    array::{Array, Elements},
    op::Op,
    tensor::elements,
};

pub(crate) use quantise::{DynamicScale, requantise};

/// Why an op has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A NaN where there must be a number.
    Fault(&'static str),
    /// Operands that the checks at load and preparation exclude.
    Mismatch,
}

/// An op's results. `Op::DynamicQuantizeLinear` also says where its scale comes from.
pub(crate) struct Results {
    pub(crate) arrays: Vec<Array>,
    pub(crate) scale: Option<DynamicScale>,
}

/// Computes an op that is not linear. The shapes of the results are those that `shape::results` gives.
pub(crate) fn evaluate(op: &Op, operands: &[Option<&Array>], mut shapes: Vec<Vec<usize>>) -> Result<Results, Stop> {
    let operand = |i: usize| operands.get(i).copied().flatten();
    let needed = |i: usize| operand(i).ok_or(Stop::Mismatch);
    if let Op::DynamicQuantizeLinear = op {
        let (quantised, scale) = quantise::dynamic(needed(0)?.f32s().ok_or(Stop::Mismatch)?)?;
        let mut shapes = shapes.into_iter();
        let mut array = |elements| Some(Array { shape: shapes.next()?, elements });
        let arrays = [
            array(Elements::U8(quantised)),
            array(Elements::F32(vec![scale.scale])),
            array(Elements::U8(vec![scale.zero_point])),
        ];
        let arrays = arrays.into_iter().collect::<Option<_>>().ok_or(Stop::Mismatch)?;
        return Ok(Results { arrays, scale: Some(scale) });
    }
    let shape = shapes.pop().ok_or(Stop::Mismatch)?;
    let elements = match op {
        Op::Arithmetic(kind) => elementwise::arithmetic(*kind, needed(0)?, needed(1)?, &shape)?,
        Op::Relu => elementwise::relu(needed(0)?)?,
        Op::Cast(to) => elementwise::cast(&needed(0)?.elements, *to)?,
        Op::ArgMax { axis, last, .. } => Elements::I64(order::arg_max(needed(0)?, *axis, *last)?),
        Op::QuantizeLinear { axis, .. } => {
            let signed = match operand(2) {
                Some(zero) => matches!(zero.elements, Elements::I8(_)),
                None => matches!(op, Op::QuantizeLinear { to: Some(crate::DType::I8), .. }),
            };
            quantise::quantise(needed(0)?, needed(1)?, operand(2), *axis, signed)?
        }
        Op::DequantizeLinear { axis } => quantise::dequantise(needed(0)?, needed(1)?, operand(2), *axis)?,
        Op::Reshape { .. } | Op::Flatten { .. } | Op::Identity => needed(0)?.elements.clone(),
        Op::MatMul => linear::float_matmul(needed(0)?, needed(1)?)?,
        Op::Gemm { .. } => linear::float_gemm(op, needed(0)?, needed(1)?, operand(2), &shape)?,
        Op::Constant(_) | Op::DynamicQuantizeLinear | Op::MatMulInteger | Op::QLinearMatMul => {
            return Err(Stop::Mismatch);
        }
    };
    Ok(Results { arrays: vec![Array { shape, elements }], scale: None })
}

/// A shape as (outer, along the axis, inner) counts. The axis may be negative.
fn around(shape: &[usize], axis: i64) -> Option<(usize, usize, usize)> {
    let axis = crate::shape::axis(axis, shape.len())?;
    Some((elements(&shape[..axis])?, *shape.get(axis)?, elements(shape.get(axis + 1..)?)?))
}

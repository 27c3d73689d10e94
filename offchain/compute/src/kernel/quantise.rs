//! From floats to 8 bits and back, as ONNX defines QuantizeLinear, DynamicQuantizeLinear and DequantizeLinear.

use super::{Stop, around};
use crate::array::{Array, Elements, canonical};

const NAN: Stop = Stop::Fault("a NaN was quantised");

/// The scale and zero point that DynamicQuantizeLinear chose, and what it chose them by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DynamicScale {
    pub(crate) scale: f32,
    pub(crate) zero_point: u8,
    /// Indices of the first smallest and the first largest element; none of an empty tensor.
    pub(crate) extremes: Option<(usize, usize)>,
}

/// Rounds to the nearest integer, ties to even, and clamps to ±65,536, which is beyond every 8-bit result.
///
/// 1.5·2²³ + x has no bits left for a fraction, so adding it rounds; unlike `round_ties_even` this vectorises everywhere.
#[inline(always)]
fn round(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    let x = if x < -65_536.0 { -65_536.0 } else { x };
    let x = if x > 65_536.0 { 65_536.0 } else { x };
    (x + SHIFT) - SHIFT
}

/// `sat(rint(x) + z)` of numbers that are not NaN.
#[inline(always)]
fn saturate(x: f32, zero_point: i32, low: i32, high: i32) -> i32 {
    // Both are integers below 2¹⁷: exact in either type.
    (round(x) as i32 + zero_point).clamp(low, high)
}

/// DynamicQuantizeLinear: one scale and zero point from the smallest and largest element, zero included.
pub(super) fn dynamic(x: &[f32]) -> Result<(Vec<u8>, DynamicScale), Stop> {
    let (mut low, mut high, mut nan) = (0.0f32, 0.0f32, false);
    for &x in x {
        nan |= x.is_nan();
        low = if x < low { x } else { low };
        high = if high < x { x } else { high };
    }
    if nan {
        return Err(NAN);
    }
    let scale = (high - low) / 255.0;
    let (scale, zero_point) =
        if scale < f32::MIN_POSITIVE { (1.0, 0) } else { (scale, saturate(0.0 - low / scale, 0, 0, 255)) };
    let zero_point = zero_point as u8;
    let quantised = scaled(x, scale, i32::from(zero_point), 0, 255, |q| q as u8)?;
    Ok((quantised, DynamicScale { scale, zero_point, extremes: extremes(x) }))
}

/// Indices of the first smallest and the first largest of numbers that are not NaN.
fn extremes(x: &[f32]) -> Option<(usize, usize)> {
    let first = *x.first()?;
    let (mut low, mut high) = (first, first);
    for &x in x {
        low = if x < low { x } else { low };
        high = if high < x { x } else { high };
    }
    Some((x.iter().position(|&x| x == low)?, x.iter().position(|&x| x == high)?))
}

fn scaled<T>(x: &[f32], scale: f32, zero: i32, low: i32, high: i32, narrow: impl Fn(i32) -> T) -> Result<Vec<T>, Stop> {
    // Infinity by infinity and zero by zero are NaN too, so the quotient is what is looked at.
    if x.iter().fold(false, |nan, &x| nan | (x / scale).is_nan()) {
        return Err(NAN);
    }
    Ok(x.iter().map(|&x| narrow(saturate(x / scale, zero, low, high))).collect())
}

/// QuantizeLinear with one scale, or one per index along the axis.
pub(super) fn quantise(
    x: &Array,
    scale: &Array,
    zero: Option<&Array>,
    axis: i64,
    signed: bool,
) -> Result<Elements, Stop> {
    let values = x.f32s().ok_or(Stop::Mismatch)?;
    let (mut unsigned, mut with_sign) = (Vec::new(), Vec::new());
    for_channels(x, values, scale, zero, axis, |x, scale, zero| {
        if signed {
            with_sign.extend(scaled(x, scale, zero, -128, 127, |q| q as i8)?);
        } else {
            unsigned.extend(scaled(x, scale, zero, 0, 255, |q| q as u8)?);
        }
        Ok(())
    })?;
    Ok(if signed { Elements::I8(with_sign) } else { Elements::U8(unsigned) })
}

/// DequantizeLinear: `f32(x − z) · s`.
pub(super) fn dequantise(x: &Array, scale: &Array, zero: Option<&Array>, axis: i64) -> Result<Elements, Stop> {
    let mut result = Vec::with_capacity(x.shape.iter().product::<usize>());
    match &x.elements {
        Elements::U8(values) => for_channels(x, values, scale, zero, axis, |x, s, z| {
            result.extend(x.iter().map(|&x| canonical((i32::from(x) - z) as f32 * s)));
            Ok(())
        }),
        Elements::I8(values) => for_channels(x, values, scale, zero, axis, |x, s, z| {
            result.extend(x.iter().map(|&x| canonical((i32::from(x) - z) as f32 * s)));
            Ok(())
        }),
        Elements::I32(values) => for_channels(x, values, scale, zero, axis, |x, s, z| {
            result.extend(x.iter().map(|&x| canonical((i64::from(x) - i64::from(z)) as f32 * s)));
            Ok(())
        }),
        _ => Err(Stop::Mismatch),
    }?;
    Ok(Elements::F32(result))
}

/// Requantises a row of N accumulators: `sat(rint(f32(C) · m[j]) + z)`, where m has one element or N.
pub(crate) fn requantise(row: &[i32], multipliers: &[f32], zero: i32, low: i32, high: i32) -> Result<Vec<i32>, Stop> {
    let multiplier = |j: usize| multipliers.get(if multipliers.len() == 1 { 0 } else { j }).copied();
    row.iter()
        .enumerate()
        .map(|(j, &c)| {
            let x = c as f32 * multiplier(j).ok_or(Stop::Mismatch)?;
            if x.is_nan() { Err(NAN) } else { Ok(saturate(x, zero, low, high)) }
        })
        .collect()
}

/// Calls `f` with every run of elements that share a scale and zero point, in order.
fn for_channels<T>(
    x: &Array,
    values: &[T],
    scale: &Array,
    zero: Option<&Array>,
    axis: i64,
    mut f: impl FnMut(&[T], f32, i32) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let scales = scale.f32s().ok_or(Stop::Mismatch)?;
    let zeros = zero.map(|zero| zero.elements.to_zero_points().ok_or(Stop::Mismatch)).transpose()?;
    let zero_of = |i: usize| zeros.as_ref().map_or(Some(0), |zeros| zeros.get(i).copied()).ok_or(Stop::Mismatch);
    if let &[scale] = scales {
        return f(values, scale, zero_of(0)?);
    }
    let (_, channels, inner) = around(&x.shape, axis).ok_or(Stop::Mismatch)?;
    if channels != scales.len() {
        return Err(Stop::Mismatch);
    }
    if inner > 0 {
        for (i, part) in values.chunks_exact(inner).enumerate() {
            f(part, scales[i % channels], zero_of(i % channels)?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rounding_by_shift_is_rounding_to_even(x in -70_000.0f32..70_000.0, halves in -140_000i32..140_000) {
            for x in [x, halves as f32 / 2.0] {
                prop_assert_eq!(round(x), x.round_ties_even().clamp(-65_536.0, 65_536.0));
            }
        }

        #[test]
        fn every_float_quantises_as_defined(bits in any::<u32>(), scale in any::<u32>(), zero in 0i32..256) {
            let (x, scale) = (f32::from_bits(bits), f32::from_bits(scale));
            let quotient = x / scale;
            let found = scaled(&[x], scale, zero, 0, 255, |q| q);
            if quotient.is_nan() {
                prop_assert_eq!(found, Err(NAN));
            } else {
                let rounded = f64::from(quotient).round_ties_even() + f64::from(zero);
                prop_assert_eq!(found.unwrap(), [rounded.clamp(0.0, 255.0) as i32]);
            }
        }
    }

    #[test]
    fn a_scale_that_is_subnormal_becomes_one() {
        let (quantised, scale) = dynamic(&[f32::MIN_POSITIVE, 0.0, -f32::from_bits(1)]).unwrap();
        assert_eq!((quantised, scale.scale, scale.zero_point), (vec![0, 0, 0], 1.0, 0));
        let (_, scale) = dynamic(&[255.0 * f32::MIN_POSITIVE]).unwrap();
        assert_eq!(scale.scale, f32::MIN_POSITIVE);
    }

    #[test]
    fn nan_and_infinity_are_faults() {
        assert_eq!(dynamic(&[1.0, f32::NAN]), Err(NAN));
        // The scale becomes infinite, and infinity by infinity is NaN.
        assert_eq!(dynamic(&[1.0, f32::INFINITY]), Err(NAN));
        // The range overflows: everything finite is zero.
        let (quantised, scale) = dynamic(&[f32::MAX, f32::MIN]).unwrap();
        assert_eq!((quantised, scale.scale, scale.zero_point), (vec![0, 0], f32::INFINITY, 0));
    }

    #[test]
    fn witnesses_are_the_first_extremes_even_on_one_side_of_zero() {
        let extremes = |x: &[f32]| dynamic(x).unwrap().1.extremes;
        assert_eq!(extremes(&[3.0, 2.0, 5.0, 2.0, 5.0]), Some((1, 2)));
        assert_eq!(extremes(&[]), None);
    }
}

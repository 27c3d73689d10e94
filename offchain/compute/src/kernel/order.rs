//! Ops that put elements in order.

use super::{Stop, around};
use crate::array::{Array, Elements};

/// The index of the largest element along an axis: the first of equals, or the last.
pub(super) fn arg_max(x: &Array, axis: i64, last: bool) -> Result<Vec<i64>, Stop> {
    let layout = around(&x.shape, axis).ok_or(Stop::Mismatch)?;
    match &x.elements {
        Elements::F32(x) => {
            if x.iter().any(|x| x.is_nan()) {
                return Err(Stop::Fault("a NaN was compared"));
            }
            largest(x, layout, last)
        }
        Elements::U8(x) => largest(x, layout, last),
        Elements::I8(x) => largest(x, layout, last),
        Elements::I32(x) => largest(x, layout, last),
        Elements::I64(x) => largest(x, layout, last),
        Elements::Bool(_) => Err(Stop::Mismatch),
    }
}

fn largest<T: Copy + PartialOrd>(
    x: &[T],
    (outer, length, inner): (usize, usize, usize),
    last: bool,
) -> Result<Vec<i64>, Stop> {
    let mut result = Vec::with_capacity(outer.saturating_mul(inner).min(x.len()));
    if length == 0 {
        return if outer == 0 || inner == 0 { Ok(result) } else { Err(Stop::Mismatch) };
    }
    if inner == 0 {
        return Ok(result);
    }
    for block in x.chunks_exact(length * inner) {
        for i in 0..inner {
            let (mut at, mut best) = (0, block[i]);
            for (j, &x) in block[i..].iter().step_by(inner).enumerate() {
                if best < x || (last && best == x) {
                    (at, best) = (j, x);
                }
            }
            result.push(at as i64);
        }
    }
    Ok(result)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn array(shape: &[usize], x: &[f32]) -> Array {
        Array { shape: shape.to_vec(), elements: Elements::F32(x.to_vec()) }
    }

    #[test]
    fn arg_max_along_either_axis() {
        let x = array(&[2, 3], &[1.0, 3.0, 3.0, -5.0, -7.0, -5.0]);
        assert_eq!(arg_max(&x, 1, false).unwrap(), [1, 0]);
        assert_eq!(arg_max(&x, -1, true).unwrap(), [2, 2]);
        assert_eq!(arg_max(&x, 0, false).unwrap(), [0, 0, 0]);
        assert_eq!(arg_max(&array(&[1, 2], &[-0.0, 0.0]), 1, false).unwrap(), [0]);
    }

    #[test]
    fn a_nan_has_no_place_in_an_order() {
        assert!(matches!(arg_max(&array(&[1, 2], &[1.0, f32::NAN]), 1, false), Err(Stop::Fault(_))));
    }

    #[test]
    fn empty_batches_have_empty_results() {
        assert!(arg_max(&array(&[0, 3], &[]), 1, false).unwrap().is_empty());
        assert!(arg_max(&array(&[2, 0], &[]), 0, false).unwrap().is_empty());
        assert_eq!(arg_max(&array(&[2, 0], &[]), 1, false), Err(Stop::Mismatch));
    }
}

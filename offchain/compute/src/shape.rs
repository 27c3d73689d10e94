//! The shapes of an op's results, from those of its operands.

use crate::{
    op::Op,
    tensor::{MAX_RANK, elements},
};

/// Shapes of a node's operands; `None` for one that is left out.
pub(crate) type Shapes<'a> = [Option<&'a [usize]>];

/// An axis as an index, counted from the end if negative.
pub(crate) fn axis(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let axis = if axis < 0 { axis + rank } else { axis };
    if (0..rank).contains(&axis) { usize::try_from(axis).ok() } else { None }
}

/// The shapes of the results. `target` is the second operand of Reshape.
///
/// # Errors
/// What does not fit, in words.
pub(crate) fn results(op: &Op, operands: &Shapes<'_>, target: Option<&[i64]>) -> Result<Vec<Vec<usize>>, String> {
    let operand = |i: usize| operands.get(i).copied().flatten();
    let needed = |i: usize| operand(i).ok_or_else(|| format!("operand {i} is missing"));
    let shape = match op {
        Op::Constant(_) => return Ok(Vec::new()),
        Op::Relu | Op::Cast(_) | Op::Identity => needed(0)?.to_vec(),
        Op::Arithmetic(_) => broadcast(needed(0)?, needed(1)?)?,
        Op::DynamicQuantizeLinear => return Ok(vec![needed(0)?.to_vec(), vec![], vec![]]),
        Op::QuantizeLinear { axis, .. } | Op::DequantizeLinear { axis } => {
            let shape = needed(0)?;
            channels(shape, *axis, needed(1)?, "scale")?;
            if let Some(zero) = operand(2)
                && elements(zero) != elements(needed(1)?)
            {
                return Err(format!("the scale has shape {:?} but the zero point {zero:?}", needed(1)?));
            }
            shape.to_vec()
        }
        Op::ArgMax { axis: a, keep, .. } => {
            let mut shape = needed(0)?.to_vec();
            let at = axis(*a, shape.len()).ok_or_else(|| format!("axis {a} is not one of {shape:?}"))?;
            let length = std::mem::replace(&mut shape[at], 1);
            if length == 0 && elements(&shape) != Some(0) {
                return Err("there is no largest of no elements".into());
            }
            if !keep {
                shape.remove(at);
            }
            shape
        }
        Op::Flatten { axis: a } => {
            let shape = needed(0)?;
            // Unlike elsewhere, the axis may be the rank itself.
            let at = axis(*a, shape.len() + 1).filter(|_| *a >= 0).or_else(|| axis(*a, shape.len()));
            let (before, after) = shape.split_at(at.ok_or_else(|| format!("axis {a} is not one of {shape:?}"))?);
            let size = |part| elements(part).ok_or_else(|| format!("{shape:?} is too large"));
            vec![size(before)?, size(after)?]
        }
        Op::Reshape { zero_is_zero } => reshape(needed(0)?, target.ok_or("the shape is not constant")?, *zero_is_zero)?,
        Op::MatMul => product(needed(0)?, needed(1)?)?,
        Op::MatMulInteger => {
            one(operand(2), "the zero point of the first operand")?;
            product(needed(0)?, needed(1)?)?
        }
        Op::QLinearMatMul => {
            for (i, what) in [
                (1, "the scale of the first operand"),
                (2, "the zero point of the first operand"),
                (6, "the scale of the result"),
                (7, "the zero point of the result"),
            ] {
                one(operand(i), what)?;
            }
            product(needed(0)?, needed(3)?)?
        }
        Op::Gemm { transpose_a, transpose_b, .. } => {
            let matrix = |i: usize, transpose: bool| match *needed(i)? {
                [rows, columns] => Ok(if transpose { (columns, rows) } else { (rows, columns) }),
                ref other => Err(format!("operand {i} has shape {other:?} and is no matrix")),
            };
            let ((m, k), (rows, n)) = (matrix(0, *transpose_a)?, matrix(1, *transpose_b)?);
            if k != rows {
                return Err(format!("{k} columns meet {rows} rows"));
            }
            if let Some(c) = operand(2)
                && broadcast(c, &[m, n])? != [m, n]
            {
                return Err(format!("{c:?} cannot be added to [{m}, {n}]"));
            }
            vec![m, n]
        }
    };
    if shape.len() > MAX_RANK {
        Err(format!("the result has more than {MAX_RANK} dimensions"))
    } else {
        Ok(vec![shape])
    }
}

fn one(shape: Option<&[usize]>, what: &str) -> Result<(), String> {
    match shape {
        Some(shape) if elements(shape) != Some(1) => Err(format!("{what} must be one number, but has shape {shape:?}")),
        _ => Ok(()),
    }
}

fn channels(shape: &[usize], at: i64, scale: &[usize], what: &str) -> Result<(), String> {
    if elements(scale) == Some(1) {
        return Ok(());
    }
    let channels = axis(at, shape.len()).and_then(|at| shape.get(at));
    match (scale, channels) {
        ([scales], Some(channels)) if scales == channels => Ok(()),
        _ => Err(format!("a {what} of shape {scale:?} does not fit axis {at} of {shape:?}")),
    }
}

fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let dimension = |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
    (0..rank)
        .map(|i| match (dimension(a, i), dimension(b, i)) {
            (x, 1) => Ok(x),
            (1, y) => Ok(y),
            (x, y) if x == y => Ok(x),
            _ => Err(format!("shapes {a:?} and {b:?} do not go together")),
        })
        .collect()
}

/// `[…, K] · [K, N]`.
fn product(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let (Some((k, outer)), &[rows, n]) = (a.split_last(), b) else {
        return Err(format!("shapes {a:?} and {b:?} are no product: the second must be a matrix"));
    };
    if *k != rows {
        return Err(format!("shapes {a:?} and {b:?} are no product: {k} columns meet {rows} rows"));
    }
    Ok([outer, &[n]].concat())
}

fn reshape(shape: &[usize], target: &[i64], zero_is_zero: bool) -> Result<Vec<usize>, String> {
    let misfit = || format!("{shape:?} cannot be reshaped to {target:?}");
    if target.len() > MAX_RANK {
        return Err(misfit());
    }
    let mut free = None;
    let mut result = Vec::with_capacity(target.len());
    for (i, &d) in target.iter().enumerate() {
        result.push(match d {
            -1 if free.replace(i).is_some() => return Err(misfit()),
            -1 => 1,
            0 if !zero_is_zero => *shape.get(i).ok_or_else(misfit)?,
            d => usize::try_from(d).map_err(|_| misfit())?,
        });
    }
    let (have, want) = (elements(shape).ok_or_else(misfit)?, elements(&result).ok_or_else(misfit)?);
    if let Some(free) = free {
        result[free] = have.checked_div(want).ok_or_else(misfit)?;
    }
    if elements(&result) == Some(have) { Ok(result) } else { Err(misfit()) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reshape_copies_zeros_and_infers_one_dimension() {
        assert_eq!(reshape(&[2, 3, 4], &[0, -1], false).unwrap(), [2, 12]);
        assert_eq!(reshape(&[2, 3], &[6], false).unwrap(), [6]);
        assert_eq!(reshape(&[0, 3], &[3, 0], true).unwrap(), [3, 0]);
        for target in [&[-1, -1][..], &[4], &[-2, 3], &[0, 0, 0], &[i64::MAX, i64::MAX], &[-1, 4]] {
            assert!(reshape(&[2, 3], target, false).is_err(), "{target:?}");
        }
        assert!(reshape(&[0], &[-1, 0], false).is_err());
    }

    #[test]
    fn flatten_takes_an_axis_up_to_the_rank() {
        let flat = |axis| results(&Op::Flatten { axis }, &[Some(&[2, 3, 4])], None);
        assert_eq!(flat(0).unwrap(), [[1, 24]]);
        assert_eq!(flat(3).unwrap(), [[24, 1]]);
        assert_eq!(flat(-1).unwrap(), [[6, 4]]);
        assert!(flat(4).is_err() && flat(-4).is_err() && flat(i64::MIN).is_err());
    }

    #[test]
    fn shapes_broadcast_or_do_not() {
        assert_eq!(broadcast(&[2, 1, 4], &[3, 1]).unwrap(), [2, 3, 4]);
        assert_eq!(broadcast(&[0], &[1]).unwrap(), [0]);
        assert!(broadcast(&[2], &[3]).is_err());
    }
}

//! Ops on one element at a time: arithmetic with broadcasting, Relu, Cast.

use super::Stop;
use crate::{
    array::{Array, Elements, canonical},
    op::Arithmetic,
    tensor::{DType, elements},
};

/// Add, Sub, Mul and Div with ONNX's (NumPy's) broadcasting. Integers wrap; they are never divided.
pub(super) fn arithmetic(op: Arithmetic, a: &Array, b: &Array, shape: &[usize]) -> Result<Elements, Stop> {
    match (&a.elements, &b.elements) {
        (Elements::F32(x), Elements::F32(y)) => {
            let (x, y) = ((&x[..], &a.shape[..]), (&y[..], &b.shape[..]));
            Ok(Elements::F32(match op {
                Arithmetic::Add => broadcast(x, y, shape, |x, y| canonical(x + y)),
                Arithmetic::Sub => broadcast(x, y, shape, |x, y| canonical(x - y)),
                Arithmetic::Mul => broadcast(x, y, shape, |x, y| canonical(x * y)),
                Arithmetic::Div => broadcast(x, y, shape, |x, y| canonical(x / y)),
            }?))
        }
        (Elements::I32(x), Elements::I32(y)) => {
            let f = match op {
                Arithmetic::Add => i32::wrapping_add,
                Arithmetic::Sub => i32::wrapping_sub,
                Arithmetic::Mul => i32::wrapping_mul,
                Arithmetic::Div => return Err(Stop::Mismatch),
            };
            broadcast((x, &a.shape), (y, &b.shape), shape, f).map(Elements::I32)
        }
        (Elements::I64(x), Elements::I64(y)) => {
            let f = match op {
                Arithmetic::Add => i64::wrapping_add,
                Arithmetic::Sub => i64::wrapping_sub,
                Arithmetic::Mul => i64::wrapping_mul,
                Arithmetic::Div => return Err(Stop::Mismatch),
            };
            broadcast((x, &a.shape), (y, &b.shape), shape, f).map(Elements::I64)
        }
        _ => Err(Stop::Mismatch),
    }
}

/// `max(x, 0)` as ONNX writes it; −0.0 and NaN pass.
pub(super) fn relu(x: &Array) -> Result<Elements, Stop> {
    let x = x.f32s().ok_or(Stop::Mismatch)?;
    Ok(Elements::F32(x.iter().map(|&x| if x < 0.0 { 0.0 } else { x }).collect()))
}

/// Converts elements. Out of range saturates, floats lose their fraction, integers round to the nearest float (ties to
/// even), anything but zero is true. A NaN becomes no integer: it is a fault.
pub(super) fn cast(x: &Elements, to: DType) -> Result<Elements, Stop> {
    if x.dtype() == to {
        return Ok(x.clone());
    }
    Ok(match x {
        Elements::F32(x) => {
            if x.iter().any(|x| x.is_nan()) {
                return Err(Stop::Fault("a NaN was cast to an integer"));
            }
            match to {
                DType::F32 => Elements::F32(x.clone()),
                DType::U8 => Elements::U8(x.iter().map(|&x| x as u8).collect()),
                DType::I8 => Elements::I8(x.iter().map(|&x| x as i8).collect()),
                DType::I32 => Elements::I32(x.iter().map(|&x| x as i32).collect()),
                DType::I64 => Elements::I64(x.iter().map(|&x| x as i64).collect()),
                DType::Bool => Elements::Bool(x.iter().map(|&x| x != 0.0).collect()),
            }
        }
        // The common case by far: accumulators to floats.
        Elements::I32(x) if to == DType::F32 => Elements::F32(x.iter().map(|&x| x as f32).collect()),
        Elements::U8(x) => integers(x.iter().map(|&x| i64::from(x)), to),
        Elements::I8(x) => integers(x.iter().map(|&x| i64::from(x)), to),
        Elements::I32(x) => integers(x.iter().map(|&x| i64::from(x)), to),
        Elements::I64(x) => integers(x.iter().copied(), to),
        Elements::Bool(x) => integers(x.iter().map(|&x| i64::from(x)), to),
    })
}

fn integers(x: impl Iterator<Item = i64>, to: DType) -> Elements {
    match to {
        DType::F32 => Elements::F32(x.map(|x| x as f32).collect()),
        DType::U8 => Elements::U8(x.map(|x| x.clamp(0, 255) as u8).collect()),
        DType::I8 => Elements::I8(x.map(|x| x.clamp(-128, 127) as i8).collect()),
        DType::I32 => Elements::I32(x.map(|x| x.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32).collect()),
        DType::I64 => Elements::I64(x.collect()),
        DType::Bool => Elements::Bool(x.map(|x| x != 0).collect()),
    }
}

/// Applies `f` to every pair of elements of two arrays that are broadcast to `shape`.
pub(super) fn broadcast<T: Copy>(
    (x, x_shape): (&[T], &[usize]),
    (y, y_shape): (&[T], &[usize]),
    shape: &[usize],
    f: impl Fn(T, T) -> T,
) -> Result<Vec<T>, Stop> {
    if x_shape == y_shape {
        return Ok(x.iter().zip(y).map(|(&x, &y)| f(x, y)).collect());
    }
    if let &[y] = y
        && x_shape == shape
    {
        return Ok(x.iter().map(|&x| f(x, y)).collect());
    }
    let count = elements(shape).ok_or(Stop::Mismatch)?;
    let mut result = Vec::with_capacity(count);
    let (Some((&width, outer)), true) = (shape.split_last(), count > 0) else { return Ok(result) };
    let (x_steps, y_steps) = (steps(x_shape, shape)?, steps(y_shape, shape)?);
    let row = |array: &'_ [T], at: usize, step: usize| -> Result<(usize, usize), Stop> {
        // One row of the result reads `width` elements from here, or one element over and over.
        let last = at + step * (width - 1);
        if last < array.len() { Ok((at, step)) } else { Err(Stop::Mismatch) }
    };
    let mut index = vec![0usize; outer.len()];
    for _ in 0..count / width {
        let at = |steps: &[usize]| index.iter().zip(steps).map(|(i, step)| i * step).sum::<usize>();
        let (x_at, x_step) = row(x, at(&x_steps), x_steps[outer.len()])?;
        let (y_at, y_step) = row(y, at(&y_steps), y_steps[outer.len()])?;
        match (x_step, y_step) {
            (1, 1) => result.extend(x[x_at..][..width].iter().zip(&y[y_at..][..width]).map(|(&x, &y)| f(x, y))),
            (1, _) => result.extend(x[x_at..][..width].iter().map(|&x| f(x, y[y_at]))),
            (_, 1) => result.extend(y[y_at..][..width].iter().map(|&y| f(x[x_at], y))),
            _ => result.extend((0..width).map(|_| f(x[x_at], y[y_at]))),
        }
        for (i, &size) in index.iter_mut().zip(outer).rev() {
            *i += 1;
            if *i < size {
                break;
            }
            *i = 0;
        }
    }
    Ok(result)
}

/// How far apart neighbours along each dimension of the result lie in an array: 0 where the array is broadcast.
fn steps(array: &[usize], shape: &[usize]) -> Result<Vec<usize>, Stop> {
    let missing = shape.len().checked_sub(array.len()).ok_or(Stop::Mismatch)?;
    let mut steps = vec![0; shape.len()];
    let mut step = 1usize;
    for (i, &size) in array.iter().enumerate().rev() {
        if size != 1 {
            steps[missing + i] = step;
        }
        step = step.checked_mul(size).ok_or(Stop::Mismatch)?;
    }
    Ok(steps)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Broadcasting by its definition: every index of the result on its own.
    fn plain(x: (&[i32], &[usize]), y: (&[i32], &[usize]), shape: &[usize]) -> Vec<i32> {
        let read = |(array, own): (&[i32], &[usize]), mut flat: usize| {
            let (mut at, mut step) = (0, 1);
            for (i, &size) in shape.iter().enumerate().rev() {
                let here = flat % size;
                flat /= size;
                if let Some(&own) = (i + own.len()).checked_sub(shape.len()).and_then(|i| own.get(i)) {
                    at += if own == 1 { 0 } else { here * step };
                    step *= own;
                }
            }
            array[at]
        };
        (0..shape.iter().product()).map(|flat| read(x, flat) * 1000 + read(y, flat)).collect()
    }

    proptest! {
        #[test]
        fn broadcasting_follows_its_definition(
            shape in prop::collection::vec(1usize..4, 0..4), x_ones in any::<u8>(), y_ones in any::<u8>(),
            x_cut in 0usize..4, y_cut in 0usize..4,
        ) {
            let part = |ones: u8, cut: usize| {
                let cut = cut.min(shape.len());
                shape.iter().enumerate().skip(cut).map(|(i, &d)| if ones >> i & 1 == 1 { 1 } else { d }).collect::<Vec<_>>()
            };
            let (x_shape, y_shape) = (part(x_ones, x_cut), part(y_ones, y_cut));
            let rank = x_shape.len().max(y_shape.len());
            let dimension = |own: &[usize], i: usize| (i + own.len()).checked_sub(rank).map_or(1, |i| own[i]);
            let shape: Vec<usize> = (0..rank).map(|i| dimension(&x_shape, i).max(dimension(&y_shape, i))).collect();
            let x: Vec<i32> = (0..x_shape.iter().product::<usize>() as i32).collect();
            let y: Vec<i32> = (0..y_shape.iter().product::<usize>() as i32).collect();
            let found = broadcast((&x, &x_shape), (&y, &y_shape), &shape, |x, y| x * 1000 + y).unwrap();
            prop_assert_eq!(found, plain((&x, &x_shape), (&y, &y_shape), &shape));
        }
    }

    #[test]
    fn casts_saturate_and_a_nan_is_a_fault() {
        let floats = Elements::F32(vec![-1.5, 300.9, f32::INFINITY, -0.0]);
        assert_eq!(cast(&floats, DType::U8).unwrap(), Elements::U8(vec![0, 255, 255, 0]));
        assert_eq!(cast(&floats, DType::I32).unwrap(), Elements::I32(vec![-1, 300, i32::MAX, 0]));
        assert_eq!(cast(&Elements::I64(vec![1 << 40, -1]), DType::I32).unwrap(), Elements::I32(vec![i32::MAX, -1]));
        assert_eq!(cast(&Elements::I32(vec![16_777_217]), DType::F32).unwrap(), Elements::F32(vec![16_777_216.0]));
        assert!(matches!(cast(&Elements::F32(vec![f32::NAN]), DType::I32), Err(Stop::Fault(_))));
    }

    #[test]
    fn relu_keeps_minus_zero_and_nan() {
        let x = Array { shape: vec![4], elements: Elements::F32(vec![-1.0, -0.0, f32::NAN, 2.0]) };
        let Elements::F32(y) = relu(&x).unwrap() else { unreachable!() };
        let bits: Vec<u32> = y.iter().map(|y| y.to_bits()).collect();
        assert_eq!(bits, [0, 0x8000_0000, 0x7fc0_0000, 2.0f32.to_bits()]);
    }

    #[test]
    fn every_result_that_is_nan_has_the_same_bits() {
        let pair = |x: f32, y: f32| {
            let array = |x| Array { shape: vec![1], elements: Elements::F32(vec![x]) };
            (array(x), array(y))
        };
        for (op, (a, b)) in [
            (Arithmetic::Sub, pair(f32::INFINITY, f32::INFINITY)),
            (Arithmetic::Mul, pair(0.0, f32::NEG_INFINITY)),
            (Arithmetic::Div, pair(0.0, -0.0)),
            (Arithmetic::Add, pair(f32::from_bits(0xff80_0001), 1.0)),
        ] {
            let Elements::F32(result) = arithmetic(op, &a, &b, &[1]).unwrap() else { unreachable!() };
            assert_eq!(result[0].to_bits(), 0x7fc0_0000, "{op:?}");
        }
    }
}

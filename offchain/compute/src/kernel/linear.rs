//! Matrix products: 8-bit integers into 32, and floats in a fixed order.
//!
//! The integer kernel is plain Rust that the compiler turns into multiply-and-add-pairs instructions. `unsafe` is denied
//! in this crate, so there are no intrinsics; integer sums are exact, so a faster kernel cannot change a result.

use super::{Stop, elementwise::broadcast};
use crate::{
    array::{Array, Elements, canonical},
    op::Op,
    tensor::elements,
};

/// The weights of a linear op, ready for the kernel: N columns of K elements, zero points subtracted.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    k: usize,
    n: usize,
    columns: Vec<i16>,
}

impl Packed {
    /// Packs a K×N row-major matrix. `zero_points` has one element, or N.
    pub(crate) fn new(k: usize, n: usize, zero_points: &[i32], element: impl Fn(usize) -> i32) -> Self {
        let mut columns = Vec::with_capacity(k * n);
        for j in 0..n {
            let zero = zero_points.get(if zero_points.len() == 1 { 0 } else { j }).copied().unwrap_or(0);
            // The difference of two 8-bit numbers fits 16 bits.
            columns.extend((0..k).map(|i| (element(i * n + j) - zero) as i16));
        }
        Self { k, n, columns }
    }

    /// The largest magnitude that column `j` can reach with activations of at most `magnitude`.
    pub(crate) fn reach(&self, j: usize, magnitude: i32) -> u64 {
        let column = self.columns.get(j * self.k..(j + 1) * self.k).unwrap_or_default();
        column.iter().map(|b| u64::from(b.unsigned_abs())).sum::<u64>() * magnitude.unsigned_abs() as u64
    }

    /// Calls `f` with each row of `(A − a) · B`, N accumulators long. `row` writes row `i` of A − a into its buffer.
    pub(crate) fn product(
        &self,
        m: usize,
        row: impl Fn(usize, &mut [i16]),
        mut f: impl FnMut(&[i32]) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let mut a = vec![0; self.k];
        let mut c = vec![0; self.n];
        for i in 0..m {
            row(i, &mut a);
            self.row(&a, &mut c);
            f(&c)?;
        }
        Ok(())
    }

    fn row(&self, a: &[i16], c: &mut [i32]) {
        if self.k == 0 {
            return c.fill(0);
        }
        let (fours, rest) = c.as_chunks_mut::<4>();
        let mut columns = self.columns.chunks_exact(self.k);
        let mut column = || columns.next().unwrap_or_default();
        for four in fours {
            *four = dot4(a, [column(), column(), column(), column()]);
        }
        for one in rest {
            *one = dot(a, column());
        }
    }
}

fn dot(a: &[i16], b: &[i16]) -> i32 {
    a.iter().zip(b).fold(0, |sum: i32, (&a, &b)| sum.wrapping_add(i32::from(a).wrapping_mul(i32::from(b))))
}

/// Four columns at a time, so that each element of the row is loaded once for all.
fn dot4(a: &[i16], b: [&[i16]; 4]) -> [i32; 4] {
    let k = a.len();
    let [b0, b1, b2, b3] = b.map(|column| column.get(..k).unwrap_or_default());
    if b0.len() != k || b1.len() != k || b2.len() != k || b3.len() != k {
        return [0; 4];
    }
    let mut sums = [0i32; 4];
    for i in 0..k {
        let a = i32::from(a[i]);
        sums[0] = sums[0].wrapping_add(a.wrapping_mul(i32::from(b0[i])));
        sums[1] = sums[1].wrapping_add(a.wrapping_mul(i32::from(b1[i])));
        sums[2] = sums[2].wrapping_add(a.wrapping_mul(i32::from(b2[i])));
        sums[3] = sums[3].wrapping_add(a.wrapping_mul(i32::from(b3[i])));
    }
    sums
}

/// The sum of products in the engine's order: 16 interleaved lanes, then halves. Lanes start at −0.0, which adds nothing.
fn float_dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [-0.0f32; 16];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    for ((lane, a), b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane += a * b;
    }
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
    }
    canonical(lanes[0])
}

/// M×K rows by N columns of K, row-major M×N.
fn float_product(rows: &[f32], columns: &[f32], m: usize, k: usize, n: usize) -> Vec<f32> {
    let line = |array: &'_ [f32], i: usize| i * k..((i + 1) * k).min(array.len());
    let mut result = Vec::with_capacity(m * n);
    for i in 0..if n == 0 { 0 } else { m } {
        let row = rows.get(line(rows, i)).unwrap_or_default();
        result.extend((0..n).map(|j| float_dot(row, columns.get(line(columns, j)).unwrap_or_default())));
    }
    result
}

/// A row-major matrix with rows and columns exchanged.
fn transposed(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|j| x.iter().skip(j).step_by(columns).take(rows).copied()).collect()
}

/// MatMul of floats, `[…, K] · [K, N]`.
pub(super) fn float_matmul(a: &Array, b: &Array) -> Result<Elements, Stop> {
    let (&[k, n], Some((_, outer))) = (&b.shape[..], a.shape.split_last()) else { return Err(Stop::Mismatch) };
    let (a, b) = (a.f32s().ok_or(Stop::Mismatch)?, b.f32s().ok_or(Stop::Mismatch)?);
    let m = elements(outer).ok_or(Stop::Mismatch)?;
    Ok(Elements::F32(float_product(a, &transposed(b, k, n), m, k, n)))
}

/// Gemm of floats: `alpha · A' · B' + beta · C`, each product and sum rounded.
pub(super) fn float_gemm(op: &Op, a: &Array, b: &Array, c: Option<&Array>, shape: &[usize]) -> Result<Elements, Stop> {
    let (Op::Gemm { alpha, beta, transpose_a, transpose_b }, &[m, n]) = (op, shape) else {
        return Err(Stop::Mismatch);
    };
    let (x, y) = (a.f32s().ok_or(Stop::Mismatch)?, b.f32s().ok_or(Stop::Mismatch)?);
    let &[first, second] = &a.shape[..] else { return Err(Stop::Mismatch) };
    let k = if *transpose_a { first } else { second };
    let rows = if *transpose_a { transposed(x, k, m) } else { x.to_vec() };
    let columns = if *transpose_b { y.to_vec() } else { transposed(y, k, n) };
    let scaled = |x: &[f32], by: f32| x.iter().map(|&x| canonical(x * by)).collect::<Vec<_>>();
    let product = scaled(&float_product(&rows, &columns, m, k, n), *alpha);
    Ok(Elements::F32(match c {
        None => product,
        Some(c) => {
            let bias = scaled(c.f32s().ok_or(Stop::Mismatch)?, *beta);
            broadcast((&product, shape), (&bias, &c.shape), shape, |x, y| canonical(x + y))?
        }
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_integer_kernel_is_the_plain_product(
            (m, k, n) in (0usize..4, 0usize..40, 0usize..11), seed in any::<u64>(), zero in -128i32..256,
        ) {
            let byte = |i: usize| (seed.wrapping_mul(i as u64 * 2 + 1) >> 33) as u8;
            let (a, b) = (|i: usize| i32::from(byte(i)) - 128, |i: usize| i32::from(byte(i + 1000)));
            let packed = Packed::new(k, n, &[zero], b);
            let mut found = Vec::new();
            let row = |i: usize, row: &mut [i16]| row.iter_mut().enumerate().for_each(|(p, x)| *x = a(i * k + p) as i16);
            packed.product(m, row, |c| { found.extend_from_slice(c); Ok(()) }).unwrap();
            for i in 0..m {
                for j in 0..n {
                    let plain: i32 = (0..k).map(|p| a(i * k + p) * (b(p * n + j) - zero)).sum();
                    prop_assert_eq!(found[i * n + j], plain);
                    prop_assert!(u64::from(plain.unsigned_abs()) <= packed.reach(j, 128));
                }
            }
        }
    }

    #[test]
    fn floats_are_summed_in_sixteen_lanes_and_halves() {
        // 2²⁴ swallows a one that is added after it; where the ones go shows the order.
        let mut x = vec![0.0f32; 40];
        (x[0], x[16], x[32], x[8], x[24]) = (16_777_216.0, 1.0, 1.0, 1.0, 1.0);
        assert_eq!(float_dot(&x, &[1.0; 40]), 16_777_218.0);
        assert_eq!(float_dot(&[-0.0], &[1.0]).to_bits(), (-0.0f32).to_bits());
    }

    #[test]
    fn gemm_transposes_scales_and_adds() {
        let array = |shape: &[usize], x: &[f32]| Array { shape: shape.to_vec(), elements: Elements::F32(x.to_vec()) };
        let (a, b) = (array(&[3, 2], &[1., 2., 3., 4., 5., 6.]), array(&[2, 3], &[1., 0., 2., 0., 1., 1.]));
        let op = Op::Gemm { alpha: 0.5, beta: 2.0, transpose_a: true, transpose_b: true };
        let c = array(&[2], &[10., 20.]);
        // Aᵀ = [1 3 5; 2 4 6], Bᵀ = [1 0; 0 1; 2 1].
        let expected = Elements::F32(vec![5.5 + 20., 4. + 40., 7. + 20., 5. + 40.]);
        assert_eq!(float_gemm(&op, &a, &b, Some(&c), &[2, 2]).unwrap(), expected);
    }
}

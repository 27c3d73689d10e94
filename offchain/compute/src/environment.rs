//! Whether this thread's floating-point unit follows IEEE 754: subnormals kept, ties to even.

use std::hint::black_box;

/// True when subnormals are neither flushed (FTZ) nor read as zero (DAZ) and rounding is to nearest, ties to even.
///
/// Flushing is a mode of the thread that foreign code may have switched on; results would then differ from everybody
/// else's. The check computes with subnormals, as reading the control register would take `unsafe`.
pub(crate) fn floats_are_ieee() -> bool {
    let smallest = black_box(f32::from_bits(1));
    let normal = black_box(f32::MIN_POSITIVE);
    let keeps_results = (normal * black_box(0.5)).to_bits() == 0x0040_0000;
    let keeps_operands = (smallest + smallest).to_bits() == 2 && (smallest * black_box(16_777_216.0)).to_bits() != 0;

    let half_ulp = black_box(f32::EPSILON / 2.0);
    let one = black_box(1.0_f32);
    let odd = black_box(1.0 + f32::EPSILON);
    let to_even = one + half_ulp == 1.0 && odd + half_ulp == 1.0 + 2.0 * f32::EPSILON;
    let symmetric = -one - half_ulp == -1.0 && -odd - half_ulp == -(1.0 + 2.0 * f32::EPSILON);
    keeps_results && keeps_operands && to_even && symmetric
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_fresh_thread_follows_ieee() {
        assert!(std::thread::spawn(super::floats_are_ieee).join().is_ok_and(|ieee| ieee));
    }
}

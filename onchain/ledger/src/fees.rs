//! What a transaction and an output cost: minimum fee and minimum lovelace, exactly as the ledger computes them.

use crate::{
    parameters::{ProtocolParameters, Rational},
    transaction::TxOut,
    units::{ExUnits, Lovelace},
};

/// Bytes that an entry of the UTxO set is charged for beside the output itself
/// ([CIP-55](https://cips.cardano.org/cip/CIP-55)).
const UTXO_ENTRY_OVERHEAD: u64 = 160;

/// The least fee of a transaction, in lovelace.
///
/// `tx_size` is the size in bytes as the ledger counts it, see [`ledger_size`]; `units` the sum of what the redeemers
/// declare; `ref_script_bytes` the total of the reference scripts on inputs and reference inputs
/// (`getConwayMinFeeTx` in the Conway ledger specification). Saturates at the largest 64-bit number.
pub fn min_fee(params: &ProtocolParameters, tx_size: usize, units: ExUnits, ref_script_bytes: usize) -> Lovelace {
    let linear = u128::from(params.min_fee_a) * tx_size as u128 + u128::from(params.min_fee_b);
    let total = linear
        .saturating_add(script_fee(params, units))
        .saturating_add(ref_script_fee(params, ref_script_bytes as u64).into());
    Lovelace(u64::try_from(total).unwrap_or(u64::MAX))
}

/// The size of a transaction that fees and the size limit count: its bytes less the one for the validity flag, which
/// earlier eras did not have (`toCBORForSizeComputation` in the Alonzo ledger).
pub fn ledger_size(tx: &[u8]) -> usize {
    tx.len().saturating_sub(1)
}

/// The least lovelace that an output must hold: `coins_per_utxo_byte × (160 + size)`.
///
/// The size is that of the encoding which [`TxOut::to_cbor`] writes, with the lovelace that the output has now; when
/// the caller then raises the lovelace, the encoding may grow by a few bytes: set it and ask again.
pub fn min_ada(params: &ProtocolParameters, output: &TxOut) -> Lovelace {
    min_ada_for_size(params, output.to_cbor().len())
}

/// The least lovelace for an output of that many bytes.
pub fn min_ada_for_size(params: &ProtocolParameters, size: usize) -> Lovelace {
    Lovelace(params.coins_per_utxo_byte.saturating_mul(UTXO_ENTRY_OVERHEAD.saturating_add(size as u64)))
}

/// The price of execution units, rounded up once over the sum.
fn script_fee(params: &ProtocolParameters, units: ExUnits) -> u128 {
    let Rational { numerator: mem_up, denominator: mem_down } = params.price_mem;
    let Rational { numerator: step_up, denominator: step_down } = params.price_step;
    // Units fit 64 bits and mainnet's prices 24, so the products stay far below 128 bits.
    let mem = u128::from(units.mem).saturating_mul(u128::from(mem_up)).saturating_mul(u128::from(step_down));
    let steps = u128::from(units.steps).saturating_mul(u128::from(step_up)).saturating_mul(u128::from(mem_down));
    let below = u128::from(mem_down).saturating_mul(u128::from(step_down)).max(1);
    mem.saturating_add(steps).div_ceil(below)
}

/// The price of reference scripts: each tier of bytes dearer than the one before by a factor, rounded down once
/// (`tierRefScriptFee`).
fn ref_script_fee(params: &ProtocolParameters, bytes: u64) -> u64 {
    let tier = u128::from(params.ref_script_tier_bytes.max(1));
    let factor = params.ref_script_tier_factor;
    let (mut left, mut sum) = (u128::from(bytes), (0_u128, 1_u128));
    let base = params.min_fee_ref_script_coins_per_byte;
    let mut price = (u128::from(base.numerator), u128::from(base.denominator.max(1)));
    while left > 0 {
        let charged = left.min(tier);
        let Some(grown) = charged.checked_mul(price.0).and_then(|add| add_fractions(sum, (add, price.1))) else {
            return u64::MAX;
        };
        sum = grown;
        left -= charged;
        let next = (
            price.0.checked_mul(u128::from(factor.numerator)),
            price.1.checked_mul(u128::from(factor.denominator.max(1))),
        );
        match next {
            (Some(up), Some(down)) => price = reduce((up, down)),
            _ if left > 0 => return u64::MAX,
            _ => {}
        }
    }
    u64::try_from(sum.0 / sum.1).unwrap_or(u64::MAX)
}

fn add_fractions(a: (u128, u128), b: (u128, u128)) -> Option<(u128, u128)> {
    let up = a.0.checked_mul(b.1)?.checked_add(b.0.checked_mul(a.1)?)?;
    Some(reduce((up, a.1.checked_mul(b.1)?)))
}

fn reduce((up, down): (u128, u128)) -> (u128, u128) {
    let (mut a, mut b) = (up, down);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    (up / a.max(1), down / a.max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Address, address::Credential, units::KeyHash, value::Value};

    fn fee(size: usize, mem: u64, steps: u64, scripts: usize) -> u64 {
        min_fee(&ProtocolParameters::mainnet(), size, ExUnits { mem, steps }, scripts).0
    }

    #[test]
    fn a_plain_transaction_pays_per_byte() {
        assert_eq!(fee(0, 0, 0, 0), 155_381);
        assert_eq!(fee(300, 0, 0, 0), 155_381 + 300 * 44);
    }

    #[test]
    fn units_are_rounded_up_once() {
        // 1 × 0.0577 + 1 × 0.0000721 rounds up to 1, not to 2.
        assert_eq!(fee(0, 1, 1, 0), 155_382);
        // 577 and 721 exactly: no rounding.
        assert_eq!(fee(0, 10_000, 10_000_000, 0), 155_381 + 577 + 721);
        assert_eq!(fee(0, 10_001, 10_000_000, 0), 155_381 + 577 + 721 + 1);
    }

    #[test]
    fn reference_scripts_get_dearer_by_tiers() {
        assert_eq!(fee(0, 0, 0, 25_600) - 155_381, 15 * 25_600);
        assert_eq!(fee(0, 0, 0, 25_601) - 155_381, 15 * 25_600 + 18);
        // 15 + 18 + 21.6 per byte; the one byte of the third tier rounds down.
        assert_eq!(fee(0, 0, 0, 51_201) - 155_381, (15 + 18) * 25_600 + 21);
        // All eight tiers: 15 × 25,600 × (1.2⁸ − 1) / 0.2 = 6,335,648.4…
        assert_eq!(fee(0, 0, 0, 204_800) - 155_381, 6_335_648);
    }

    #[test]
    fn the_least_lovelace_of_an_enterprise_output_is_known() {
        let output = TxOut::new(
            Address::new(0, Credential::Key(KeyHash([7; 28])), None),
            Value::lovelace_only(Lovelace(1_000_000)),
        );
        // 82 581d <29 bytes> 1a <4 bytes> = 37 bytes
        assert_eq!(output.to_cbor().len(), 37);
        assert_eq!(min_ada(&ProtocolParameters::mainnet(), &output), Lovelace(4_310 * 197));
    }

    proptest! {
        #[test]
        fn the_fee_never_falls_when_anything_grows(
            size in 0_usize..20_000,
            mem in 0_u64..20_000_000,
            steps in 0_u64..20_000_000_000,
            scripts in 0_usize..300_000,
        ) {
            let here = fee(size, mem, steps, scripts);
            prop_assert!(fee(size + 1, mem, steps, scripts) == here + 44);
            prop_assert!(fee(size, mem + 1, steps, scripts) >= here);
            prop_assert!(fee(size, mem, steps + 1, scripts) >= here);
            prop_assert!(fee(size, mem, steps, scripts + 1) > here);
        }

        #[test]
        fn hostile_numbers_saturate(size: usize, mem: u64, steps: u64, scripts in 0_usize..10_000_000) {
            let _ = fee(size, mem, steps, scripts);
        }
    }
}

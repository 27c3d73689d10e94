//! Amounts of NTX, the token.

use std::{fmt, str::FromStr};

/// An amount of NTX in base units (10⁻⁶ NTX).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ntx(pub u64);

/// Base units in one NTX.
pub const BASE_UNITS: u64 = 1_000_000;

impl fmt::Display for Ntx {
    /// As people write it: `12.5 NTX`, no trailing zeros.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:06}", self.0 % BASE_UNITS);
        let fraction = fraction.trim_end_matches('0');
        if fraction.is_empty() {
            write!(f, "{} NTX", self.0 / BASE_UNITS)
        } else {
            write!(f, "{}.{fraction} NTX", self.0 / BASE_UNITS)
        }
    }
}

/// Why a text is no amount of NTX.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no amount of NTX: write a decimal number with at most 6 places, such as 12.5")]
pub struct ParseNtxError(String);

impl FromStr for Ntx {
    type Err = ParseNtxError;

    /// Reads `12.5` or `12.5 NTX`, exactly: no rounding, no sign, no exponent.
    fn from_str(text: &str) -> Result<Self, ParseNtxError> {
        let bad = || ParseNtxError(text.chars().take(40).collect());
        let number = text.trim().strip_suffix("NTX").unwrap_or(text.trim()).trim_end();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 6 {
            return Err(bad());
        }
        let whole: u64 = whole.parse().map_err(|_| bad())?;
        let fraction: u64 = format!("{fraction:0<6}").parse().map_err(|_| bad())?;
        let units = whole.checked_mul(BASE_UNITS).and_then(|units| units.checked_add(fraction)).ok_or_else(bad)?;
        Ok(Self(units))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_read_as_people_write_them() {
        assert_eq!("12.5".parse(), Ok(Ntx(12_500_000)));
        assert_eq!("0.000001 NTX".parse(), Ok(Ntx(1)));
        assert_eq!("18446744073709.551615".parse(), Ok(Ntx(u64::MAX)));
        for bad in ["", ".", "1.", ".5", "-1", "+1", "1e3", "0.0000001", "18446744073709.551616", "1,5", "1 ADA"] {
            assert!(bad.parse::<Ntx>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(units: u64) {
            prop_assert_eq!(Ntx(units).to_string().parse::<Ntx>().unwrap(), Ntx(units));
        }
    }
}

//! Amounts as people type them: `12.5ada`, `5ntx`, `UNIT=1000`; exact, without rounding.

use anyhow::Context;
use nunet_contracts::Ntx;
use nunet_ledger::{AssetId, Lovelace, NetworkMagic, Value};

use crate::{
    contracts::{known_ntx, network_name},
    deployment::parse_asset,
};

/// Digits after the point that lovelace allow.
const ADA_DECIMALS: usize = 6;

/// An amount of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amount {
    /// ADA.
    Ada(Lovelace),
    /// The network's NTX.
    Ntx(Ntx),
    /// Base units of an asset.
    Asset(AssetId, u64),
}

/// Reads `12.5ada`, `12.5 ADA`, `3000000lovelace` or `5ntx`. A bare number is refused: nobody can tell of what it is.
pub fn parse_amount(text: &str) -> Result<Amount, String> {
    let shown = || text.chars().take(40).collect::<String>();
    let lower = text.trim().to_ascii_lowercase();
    if let Some(number) = lower.strip_suffix("ada") {
        return parse_ada(number.trim_end()).map(Amount::Ada).map_err(|why| format!("{:?}: {why}", shown()));
    }
    if let Some(number) = lower.strip_suffix("lovelace") {
        let number = number.trim_end();
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let lovelace = number.parse().ok().filter(|_| digits);
        return lovelace.map(Lovelace).map(Amount::Ada).ok_or_else(|| format!("{:?}: lovelace are whole", shown()));
    }
    if lower.ends_with("ntx") {
        return lower.to_ascii_uppercase().parse().map(Amount::Ntx).map_err(|error| format!("{error}"));
    }
    Err(format!("{:?} does not say of what: write 12.5ada or 5ntx, and --token UNIT=AMOUNT for other tokens", shown()))
}

/// Reads `UNIT=AMOUNT` in base units, or `5ntx`.
pub fn parse_token(text: &str) -> Result<Amount, String> {
    let Some((unit, quantity)) = text.split_once('=') else {
        return match parse_amount(text)? {
            Amount::Ada(_) => Err("ADA is no token: write the amount without --token".into()),
            token => Ok(token),
        };
    };
    let asset = parse_asset(unit)?;
    let digits = !quantity.is_empty() && quantity.bytes().all(|byte| byte.is_ascii_digit());
    match quantity.parse().ok().filter(|quantity| digits && *quantity > 0) {
        Some(quantity) => Ok(Amount::Asset(asset, quantity)),
        None => {
            let shown: String = quantity.chars().take(40).collect();
            Err(format!("{shown:?} is no amount of a token: write its base units, a whole number above 0"))
        }
    }
}

/// What amounts come to on a network; ADA only where it was named.
pub fn total<'a>(
    amounts: impl IntoIterator<Item = &'a Amount>,
    magic: NetworkMagic,
) -> anyhow::Result<(Option<Lovelace>, Value)> {
    let mut ada: Option<Lovelace> = None;
    let mut tokens = Value::default();
    for amount in amounts {
        let (asset, quantity) = match amount {
            Amount::Ada(lovelace) => {
                let sum = ada.unwrap_or_default().0.checked_add(lovelace.0).context("that is too much ADA")?;
                ada = Some(Lovelace(sum));
                continue;
            }
            Amount::Ntx(ntx) => {
                let known = known_ntx(magic)?.with_context(|| {
                    format!("there is no well-known NTX on {}: use --token UNIT=AMOUNT", network_name(magic))
                })?;
                (known, ntx.0)
            }
            Amount::Asset(asset, quantity) => (asset.clone(), *quantity),
        };
        tokens.add_asset(asset, quantity).context("that is more of a token than can be")?;
    }
    Ok((ada, tokens))
}

fn parse_ada(number: &str) -> Result<Lovelace, String> {
    let bad = || "write a number such as 12.5, digits and one point".to_owned();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(bad());
    }
    if fraction.len() > ADA_DECIMALS {
        return Err(format!("ADA has {ADA_DECIMALS} digits after the point, not {}", fraction.len()));
    }
    let too_much = |_| "more than there is".to_owned();
    let whole: u64 = whole.parse().map_err(too_much)?;
    let fraction: u64 = format!("{fraction:0<ADA_DECIMALS$}").parse().map_err(too_much)?;
    let lovelace = whole.checked_mul(1_000_000).and_then(|lovelace| lovelace.checked_add(fraction));
    lovelace.map(Lovelace).ok_or_else(|| "more than there is".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use nunet_ledger::ScriptHash;

    use super::*;

    #[test]
    fn ada_is_read_exactly() {
        for (text, lovelace) in [
            ("12.5ada", 12_500_000),
            ("12.5 ADA", 12_500_000),
            ("0.000001ada", 1),
            ("1.100000Ada", 1_100_000),
            ("45000000000ada", 45_000_000_000_000_000),
            ("18446744073709.551615ada", u64::MAX),
            ("1500000lovelace", 1_500_000),
        ] {
            assert_eq!(parse_amount(text).unwrap(), Amount::Ada(Lovelace(lovelace)), "{text}");
        }
    }

    #[test]
    fn what_is_not_exact_is_refused() {
        for text in [
            "12.5",
            "ada",
            ".5ada",
            "5.ada",
            "1e3ada",
            "-1ada",
            "+1ada",
            "1,5ada",
            "1.0000001ada",
            "1.5.5ada",
            "NaNada",
            "18446744073709.551616ada",
            "99999999999999999999ada",
            "1.5lovelace",
            "+1lovelace",
            "٣ada",
            "",
        ] {
            assert!(parse_amount(text).is_err(), "{text}");
        }
        assert!(parse_amount("1.1234567ada").unwrap_err().contains("6 digits after the point, not 7"));
        assert!(parse_amount("12.5").unwrap_err().contains("of what"));
    }

    #[test]
    fn tokens_are_base_units_and_ntx_has_its_own_decimals() {
        let policy = "ab".repeat(28);
        let asset = AssetId { policy: ScriptHash([0xab; 28]), name: vec![0x4e] };
        for text in [format!("{policy}.4e=7"), format!("{policy}4e=7")] {
            assert_eq!(parse_token(&text).unwrap(), Amount::Asset(asset.clone(), 7));
        }
        assert_eq!(parse_token("5ntx").unwrap(), Amount::Ntx(Ntx(5_000_000)));
        assert_eq!(parse_amount("0.5 NTX").unwrap(), Amount::Ntx(Ntx(500_000)));
        for text in
            [format!("{policy}.4e=0"), format!("{policy}.4e=1.5"), format!("{policy}.4e="), "x=1".into(), "1ada".into()]
        {
            assert!(parse_token(&text).is_err(), "{text}");
        }
    }
}

//! Protocol parameters: the numbers that a network votes on.

use serde::{Deserialize, Serialize};

use crate::units::{ExUnits, Lovelace};

/// An exact fraction, as the ledger holds prices and thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rational {
    /// The number above the line.
    pub numerator: u64,
    /// The number below the line, never zero.
    pub denominator: u64,
}

impl Rational {
    /// A fraction from its two numbers.
    pub const fn new(numerator: u64, denominator: u64) -> Self {
        Self { numerator, denominator }
    }

    /// The nearest floating-point number, for display only.
    pub fn to_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    /// The exact fraction of a decimal text such as `0.0577` or `7.21e-05`, the form in which APIs show prices.
    ///
    /// `None` when the text is no non-negative decimal or has more digits than 64 bits hold.
    pub fn from_decimal(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: String = whole.chars().chain(fraction.chars()).collect();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let mut numerator: u64 = digits.parse().ok()?;
        let mut scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        while scale > 0 && numerator != 0 && numerator.is_multiple_of(10) {
            numerator /= 10;
            scale -= 1;
        }
        if numerator == 0 {
            return Some(Self::new(0, 1));
        }
        let power = 10_u64.checked_pow(scale.unsigned_abs())?;
        if scale >= 0 { Some(Self::new(numerator, power)) } else { Some(Self::new(numerator.checked_mul(power)?, 1)) }
    }
}

/// A protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProtocolVersion {
    /// Selects the era and the behaviour of scripts.
    pub major: u16,
    /// Selects nothing that matters here.
    pub minor: u16,
}

/// What each step of a script costs, in the order that the ledger fixes, per language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostModels {
    /// Plutus V1.
    pub v1: Vec<i64>,
    /// Plutus V2.
    pub v2: Vec<i64>,
    /// Plutus V3.
    pub v3: Vec<i64>,
}

/// The share of stake pools' stake that must agree to each kind of governance action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolThresholds {
    /// A motion of no confidence.
    pub motion_no_confidence: Rational,
    /// A new committee, in a normal state.
    pub committee_normal: Rational,
    /// A new committee, in a state of no confidence.
    pub committee_no_confidence: Rational,
    /// A hard fork.
    pub hard_fork_initiation: Rational,
    /// Parameters that security depends on.
    pub security_group: Rational,
}

/// The share of representatives' stake that must agree to each kind of governance action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DRepThresholds {
    /// A motion of no confidence.
    pub motion_no_confidence: Rational,
    /// A new committee, in a normal state.
    pub committee_normal: Rational,
    /// A new committee, in a state of no confidence.
    pub committee_no_confidence: Rational,
    /// A new constitution.
    pub update_to_constitution: Rational,
    /// A hard fork.
    pub hard_fork_initiation: Rational,
    /// Network parameters.
    pub network_group: Rational,
    /// Economic parameters.
    pub economic_group: Rational,
    /// Technical parameters.
    pub technical_group: Rational,
    /// Governance parameters.
    pub governance_group: Rational,
    /// Withdrawals from the treasury.
    pub treasury_withdrawal: Rational,
}

/// Parameters of on-chain governance (CIP-1694). The rules here use none of them; APIs show them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Governance {
    /// Fewest members of the constitutional committee.
    pub committee_min_size: u64,
    /// Longest term of a committee member, in epochs.
    pub committee_max_term_length: u64,
    /// How long an action can be voted on, in epochs.
    pub gov_action_lifetime: u64,
    /// Deposit of a governance action.
    pub gov_action_deposit: Lovelace,
    /// Deposit of a representative.
    pub drep_deposit: Lovelace,
    /// Epochs after which a silent representative no longer counts.
    pub drep_activity: u64,
    /// What pools must agree to.
    pub pool_thresholds: PoolThresholds,
    /// What representatives must agree to.
    pub drep_thresholds: DRepThresholds,
}

/// The protocol parameters of the Conway era.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolParameters {
    /// Fee per byte of a transaction, in lovelace.
    pub min_fee_a: u64,
    /// Fixed part of the fee, in lovelace.
    pub min_fee_b: u64,
    /// Most bytes in a block's body.
    pub max_block_body_size: u64,
    /// Most bytes in a block's header.
    pub max_block_header_size: u64,
    /// Most bytes in a transaction.
    pub max_tx_size: u64,
    /// Most bytes in an output's value.
    pub max_value_size: u64,
    /// Most execution units in a transaction.
    pub max_tx_ex_units: ExUnits,
    /// Most execution units in a block.
    pub max_block_ex_units: ExUnits,
    /// Lovelace per memory unit.
    pub price_mem: Rational,
    /// Lovelace per CPU step.
    pub price_step: Rational,
    /// Lovelace that an output must hold per byte.
    pub coins_per_utxo_byte: u64,
    /// Deposit of a stake account.
    pub key_deposit: Lovelace,
    /// Deposit of a stake pool.
    pub pool_deposit: Lovelace,
    /// Least fixed cost of a stake pool per epoch.
    pub min_pool_cost: Lovelace,
    /// Collateral that a transaction with scripts must put up, in percent of its fee.
    pub collateral_percent: u64,
    /// Most collateral inputs.
    pub max_collateral_inputs: u64,
    /// Lovelace per byte of reference scripts in the first tier.
    pub min_fee_ref_script_coins_per_byte: Rational,
    /// Bytes of reference scripts in a tier.
    pub ref_script_tier_bytes: u64,
    /// How much dearer each tier is than the one before.
    pub ref_script_tier_factor: Rational,
    /// Most bytes of reference scripts that a transaction may bring in.
    pub max_ref_scripts_size: u64,
    /// Epochs ahead of which a pool may announce its retirement.
    pub e_max: u64,
    /// Desired number of stake pools.
    pub n_opt: u64,
    /// Influence of a pool's pledge on its rewards.
    pub a0: Rational,
    /// Share of the reserve paid out per epoch.
    pub rho: Rational,
    /// Share of rewards that goes to the treasury.
    pub tau: Rational,
    /// The protocol version.
    pub protocol_version: ProtocolVersion,
    /// Parameters of governance.
    pub governance: Governance,
    /// What scripts cost.
    pub cost_models: CostModels,
}

/// The checked-in numbers behind [`ProtocolParameters::mainnet`].
const MAINNET: &str = include_str!("../params/mainnet.json");

impl ProtocolParameters {
    /// The parameters of mainnet, protocol version 10, as checked in. They change by vote: ask the chain for today's.
    #[expect(clippy::expect_used, reason = "the text is part of this crate, and a test parses it")]
    pub fn mainnet() -> Self {
        serde_json::from_str(MAINNET).expect("the checked-in parameters parse")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn mainnet_has_the_known_numbers() {
        let params = ProtocolParameters::mainnet();
        assert_eq!((params.min_fee_a, params.min_fee_b, params.max_tx_size), (44, 155_381, 16_384));
        assert_eq!(params.price_step, Rational::new(721, 10_000_000));
        let lengths = [&params.cost_models.v1, &params.cost_models.v2, &params.cost_models.v3].map(Vec::len);
        assert_eq!(lengths, [166, 175, 297]);
    }

    #[test]
    fn json_round_trips() {
        let params = ProtocolParameters::mainnet();
        let text = serde_json::to_string(&params).unwrap();
        assert_eq!(serde_json::from_str::<ProtocolParameters>(&text).unwrap(), params);
    }

    #[test]
    fn decimals_become_exact_fractions() {
        assert_eq!(Rational::from_decimal("0.0577"), Some(Rational::new(577, 10_000)));
        assert_eq!(Rational::from_decimal("7.21e-05"), Some(Rational::new(721, 10_000_000)));
        assert_eq!(Rational::from_decimal("15"), Some(Rational::new(15, 1)));
        assert_eq!(Rational::from_decimal("1.50"), Some(Rational::new(15, 10)));
        assert_eq!(Rational::from_decimal("2e3"), Some(Rational::new(2_000, 1)));
        assert_eq!(Rational::from_decimal("0.0"), Some(Rational::new(0, 1)));
        for bad in ["", ".", "-1", "1e99", "0x1", "99999999999999999999", "1e"] {
            assert_eq!(Rational::from_decimal(bad), None, "{bad}");
        }
    }
}

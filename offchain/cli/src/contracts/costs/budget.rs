//! The checked-in costs, which may not grow unnoticed.

use std::fmt;

use super::{fit::Cost, row::Row};

/// The checked-in table, a row of JSON per line.
pub const BUDGETS: &str = include_str!("../../../../../validators/costs.jsonl");

/// How the checked-in table is replaced.
pub const BLESS: &str = "if that is intended, run `NUNET_BLESS=1 cargo test -p nunet --test contracts costs` and check in validators/costs.jsonl";

/// How much a cost may grow, in percent.
pub const TOLERANCE_PERCENT: u64 = 1;

/// How a row breaks its budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Excess {
    /// The row is new.
    NoBudget {
        /// Its name.
        transaction: String,
    },
    /// Fewer escrows fit into the transaction.
    FewerEscrows {
        /// The row.
        transaction: String,
        /// How many did.
        budget: u64,
        /// How many do.
        found: u64,
    },
    /// A cost grew, per escrow where there are some.
    Grown {
        /// The row.
        transaction: String,
        /// Which cost.
        cost: Cost,
        /// The budget for as many escrows.
        budget: u64,
        /// What it costs.
        found: u64,
    },
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBudget { transaction } => write!(f, "{transaction:?} has no budget"),
            Self::FewerEscrows { transaction, budget, found } => {
                write!(f, "{transaction:?} takes {found} escrows, it took {budget}")
            }
            Self::Grown { transaction, cost, budget, found } => {
                write!(f, "{} of {transaction:?} grew from {budget} to {found}", cost.name())
            }
        }
    }
}

/// Reads a checked-in table.
pub fn parse(table: &str) -> anyhow::Result<Vec<Row>> {
    table.lines().filter(|line| !line.is_empty()).map(Row::from_json).collect()
}

/// Holds rows against their budgets. A batch that grew is compared by its costs per escrow.
pub fn compare(rows: &[Row], budgets: &[Row]) -> Vec<Excess> {
    rows.iter().flat_map(|row| excesses(row, budgets)).collect()
}

fn excesses(row: &Row, budgets: &[Row]) -> Vec<Excess> {
    let transaction = row.transaction.clone();
    let Some(budget) = budgets.iter().find(|budget| budget.transaction == row.transaction) else {
        return vec![Excess::NoBudget { transaction }];
    };
    let within = |allowed: u128, found: u128| found * 100 <= allowed * u128::from(100 + TOLERANCE_PERCENT);
    if !within(row.escrows.into(), budget.escrows.into()) {
        return vec![Excess::FewerEscrows { transaction, budget: budget.escrows, found: row.escrows }];
    }
    let (counted, budgeted) = (u128::from(row.escrows.max(1)), u128::from(budget.escrows.max(1)));
    Cost::ALL
        .into_iter()
        .filter_map(|cost| {
            let allowed = u128::from(cost.of(budget)) * counted / budgeted;
            let found = cost.of(row);
            (!within(allowed, found.into())).then(|| Excess::Grown {
                transaction: transaction.clone(),
                cost,
                budget: u64::try_from(allowed).unwrap_or(u64::MAX),
                found,
            })
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use nunet_ledger::{ExUnits, Lovelace};

    use super::*;

    fn row(escrows: u64, bytes: u64) -> Row {
        let units = ExUnits { mem: 50_000, steps: 20_000_000 };
        let (fee, min_ada) = (Lovelace(300_000), Lovelace(1_000_000));
        Row { transaction: "settle, some".into(), escrows, bytes, units, fee, min_ada }
    }

    #[test]
    fn a_cost_may_grow_by_one_percent_and_no_more() {
        assert_eq!(compare(&[row(5, 1_010)], &[row(5, 1_000)]), []);
        assert_eq!(compare(&[row(5, 10)], &[row(5, 1_000)]), []);
        let found = compare(&[row(5, 1_011)], &[row(5, 1_000)]);
        let grown =
            Excess::Grown { transaction: "settle, some".into(), cost: Cost::Bytes, budget: 1_000, found: 1_011 };
        assert_eq!(found, [grown]);
    }

    #[test]
    fn a_larger_batch_is_compared_per_escrow_and_a_smaller_one_is_no_gain() {
        let mut larger = row(200, 2_000);
        let budget = row(100, 1_000);
        larger.units = ExUnits { mem: 100_000, steps: 40_000_000 };
        larger.fee = Lovelace(600_000);
        assert_eq!(compare(&[larger], std::slice::from_ref(&budget)), []);
        let smaller = compare(&[row(98, 980)], &[budget]);
        assert!(matches!(smaller[..], [Excess::FewerEscrows { budget: 100, found: 98, .. }]), "{smaller:?}");
    }

    #[test]
    fn every_row_needs_a_budget_and_every_budget_reads_back() {
        assert!(matches!(compare(&[row(1, 1)], &[])[..], [Excess::NoBudget { .. }]));
        let line = row(7, 9).to_json().to_string();
        assert_eq!(parse(&format!("{line}\n{line}\n")).unwrap(), [row(7, 9), row(7, 9)]);
        assert!(parse("{}").is_err() && parse("nonsense").is_err());
    }

    #[test]
    fn the_checked_in_table_reads_and_names_each_row_once() {
        let rows = parse(BUDGETS).unwrap();
        let mut names: Vec<&str> = rows.iter().map(|row| row.transaction.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), rows.len());
    }
}

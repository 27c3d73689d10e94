//! The straight line through a series of batches: what is fixed, what each escrow adds, and how well that says it all.

use super::row::Row;

/// One cost of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Bytes of the transaction.
    Bytes,
    /// Memory units.
    Mem,
    /// CPU steps.
    Steps,
    /// The fee in lovelace.
    Fee,
}

impl Cost {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Bytes, Self::Mem, Self::Steps, Self::Fee];

    /// Its name in the table's JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Mem => "mem",
            Self::Steps => "steps",
            Self::Fee => "fee_lovelace",
        }
    }

    /// What a row says.
    pub fn of(self, row: &Row) -> u64 {
        match self {
            Self::Bytes => row.bytes,
            Self::Mem => row.units.mem,
            Self::Steps => row.units.steps,
            Self::Fee => row.fee.0,
        }
    }
}

/// The least-squares line `fixed + slope × escrows`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// What each escrow adds.
    pub slope: f64,
    /// What a transaction costs before its first escrow.
    pub fixed: f64,
    /// The coefficient of determination, R²: 1 is a line.
    pub r_squared: f64,
    /// The largest distance of a row from the line, as a share of the row.
    pub largest_deviation: f64,
}

impl Fit {
    /// Fits points (escrows, cost); `None` with fewer than two different numbers of escrows.
    pub fn through(points: &[(u64, u64)]) -> Option<Self> {
        // Counts and costs are far below 2^53, where every whole number is a float.
        let points: Vec<(f64, f64)> = points.iter().map(|(x, y)| (*x as f64, *y as f64)).collect();
        let count = points.len() as f64;
        let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
        let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
        let spread = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum::<f64>();
        if points.is_empty() || spread == 0.0 {
            return None;
        }
        let slope = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>() / spread;
        let fixed = mean_y - slope * mean_x;
        let residual = |(x, y): &(f64, f64)| y - (fixed + slope * x);
        let unexplained = points.iter().map(|point| residual(point).powi(2)).sum::<f64>();
        let total = points.iter().map(|(_, y)| (y - mean_y).powi(2)).sum::<f64>();
        let r_squared = if total == 0.0 { 1.0 } else { 1.0 - unexplained / total };
        let largest_deviation =
            points.iter().map(|point| residual(point).abs() / point.1.abs().max(1.0)).fold(0.0, f64::max);
        Some(Self { slope, fixed, r_squared, largest_deviation })
    }

    /// Fits one cost of these rows.
    pub fn of(rows: &[&Row], cost: Cost) -> Option<Self> {
        Self::through(&rows.iter().map(|row| (row.escrows, cost.of(row))).collect::<Vec<_>>())
    }

    /// A line for people.
    pub fn to_text(self, cost: Cost) -> String {
        format!(
            "{:<12} {:>14.1} + {:>12.1} per escrow   R² {:.6}   largest deviation {:.2} %",
            cost.name(),
            self.fixed,
            self.slope,
            self.r_squared,
            100.0 * self.largest_deviation
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_and_a_bend_is_seen() {
        let line = Fit::through(&[(1, 110), (2, 120), (5, 150), (80, 900)]).unwrap();
        assert!((line.slope - 10.0).abs() < 1e-9 && (line.fixed - 100.0).abs() < 1e-9, "{line:?}");
        assert!(line.r_squared > 1.0 - 1e-12 && line.largest_deviation < 1e-12, "{line:?}");
        let square = Fit::through(&[(1, 1), (2, 4), (10, 100), (20, 400)]).unwrap();
        assert!(square.r_squared < 0.99 && square.largest_deviation > 0.1, "{square:?}");
    }

    #[test]
    fn one_size_makes_no_line() {
        assert_eq!(Fit::through(&[]), None);
        assert_eq!(Fit::through(&[(3, 1), (3, 2)]), None);
    }
}

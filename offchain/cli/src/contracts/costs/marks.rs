//! What the protocol promises about its costs, and whether the table keeps it.

use nunet_ledger::Lovelace;

use super::row::{Row, ada};

/// A promise about one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The row.
    pub transaction: &'static str,
    /// What it must keep.
    pub bound: Bound,
    /// What is kept where that is not.
    pub short: Option<Short>,
}

/// A promise that is not kept in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// What is kept of it.
    pub kept: Bound,
    /// Why not all, and what the rest would cost.
    pub because: &'static str,
}

/// What a row must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// At least so many escrows in one transaction.
    Escrows(u64),
    /// At most this network fee.
    Fee(Lovelace),
    /// At most this share of the fee per escrow.
    FeePerEscrow(Lovelace),
}

const fn mark(transaction: &'static str, bound: Bound) -> Mark {
    Mark { transaction, bound, short: None }
}

/// Memory bounds this batch. 14 M is the limit in the checked-in parameters.
const SHARED: Short = Short {
    kept: Bound::Escrows(170),
    because: "an escrow of two merged payouts takes 78 k of 14 M memory: by that line 207 fit the 16.5 M that mainnet voted \
              since. A redeemer item of its own would fit 216 into 14 M and make every other settlement 0.4 % dearer, \
              above the mark of those paid in full",
};

/// All promises.
pub const MARKS: &[Mark] = &[
    mark("settle, distinct requesters, rest", Bound::Escrows(95)),
    mark("settle, distinct requesters, in full", Bound::Escrows(130)),
    mark("settle, enterprise addresses, rest", Bound::Escrows(115)),
    mark("settle, enterprise addresses, in full", Bound::Escrows(170)),
    mark("settle, distinct providers too", Bound::Escrows(55)),
    Mark { transaction: "settle, shared requester", bound: Bound::Escrows(200), short: Some(SHARED) },
    mark("settle, distinct requesters, rest", Bound::FeePerEscrow(Lovelace(17_000))),
    mark("settle, distinct requesters, in full", Bound::FeePerEscrow(Lovelace(13_000))),
    mark("settle, alone", Bound::Fee(Lovelace(320_000))),
    mark("lock", Bound::Fee(Lovelace(200_000))),
];

/// A mark held against a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The mark.
    pub mark: Mark,
    /// What was measured; `None` when the table has no such row.
    pub measured: Option<u64>,
}

impl Bound {
    fn is_met(self, measured: Option<u64>) -> bool {
        match (self, measured) {
            (_, None) => false,
            (Self::Escrows(least), Some(found)) => found >= least,
            (Self::Fee(most) | Self::FeePerEscrow(most), Some(found)) => found <= most.0,
        }
    }
}

impl Judged {
    /// Whether the mark is met.
    pub fn is_met(&self) -> bool {
        self.mark.bound.is_met(self.measured)
    }

    /// Whether the mark is met, or as short of it as is known and explained.
    pub fn is_kept(&self) -> bool {
        self.is_met() || self.mark.short.is_some_and(|short| short.kept.is_met(self.measured))
    }

    /// A line for people, and another one where a mark is knowingly short.
    pub fn to_text(&self) -> String {
        let show = |amount: u64| match self.mark.bound {
            Bound::Escrows(_) => amount.to_string(),
            Bound::Fee(_) | Bound::FeePerEscrow(_) => format!("{} ADA", ada(Lovelace(amount))),
        };
        let (what, bound) = match self.mark.bound {
            Bound::Escrows(least) => ("escrows", format!("≥ {}", show(least))),
            Bound::Fee(most) => ("fee", format!("≤ {}", show(most.0))),
            Bound::FeePerEscrow(most) => ("fee per escrow", format!("≤ {}", show(most.0))),
        };
        let (verdict, because) = match (self.is_met(), self.is_kept(), self.mark.short) {
            (true, ..) => ("met", String::new()),
            (false, true, Some(Short { because, .. })) => ("short", format!("\n         {because}")),
            _ => ("NOT MET", String::new()),
        };
        let found = self.measured.map_or("not measured".into(), show);
        format!("{verdict:<7}  {:<38} {what:<14} {found:>13}  {bound}{because}", self.mark.transaction)
    }
}

/// Holds every mark against a table.
pub fn judge(rows: &[Row]) -> Vec<Judged> {
    MARKS
        .iter()
        .map(|mark| {
            let row = rows.iter().find(|row| row.transaction == mark.transaction);
            let measured = row.map(|row| match mark.bound {
                Bound::Escrows(_) => row.escrows,
                Bound::Fee(_) => row.fee.0,
                Bound::FeePerEscrow(_) => row.fee_per_escrow().0,
            });
            Judged { mark: *mark, measured }
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use nunet_ledger::ExUnits;

    use super::*;

    fn row(transaction: &str, escrows: u64, fee: u64) -> Row {
        let (units, min_ada) = (ExUnits::default(), Lovelace(0));
        Row { transaction: transaction.into(), escrows, bytes: 0, units, fee: Lovelace(fee), min_ada }
    }

    fn met(rows: &[Row], transaction: &'static str, bound: Bound) -> bool {
        let judged = judge(rows);
        let of = |judged: &&Judged| (judged.mark.transaction, judged.mark.bound) == (transaction, bound);
        judged.iter().find(of).unwrap().is_met()
    }

    #[test]
    fn a_mark_is_met_up_to_its_bound() {
        let (batch, lone) = ("settle, distinct requesters, rest", "lock");
        let fee = Bound::Fee(Lovelace(200_000));
        assert!(met(&[row(lone, 1, 200_000)], lone, fee) && !met(&[row(lone, 1, 200_001)], lone, fee));
        let escrows = Bound::Escrows(95);
        assert!(met(&[row(batch, 95, 0)], batch, escrows) && !met(&[row(batch, 94, 0)], batch, escrows));
        let each = Bound::FeePerEscrow(Lovelace(17_000));
        assert!(met(&[row(batch, 100, 1_700_000)], batch, each));
        assert!(!met(&[row(batch, 100, 1_700_001)], batch, each), "shares are rounded up");
    }

    #[test]
    fn a_known_shortfall_is_said_and_no_larger_one_passes() {
        let shared = |escrows| {
            let judged = judge(&[row("settle, shared requester", escrows, 0)]);
            let judged = judged.into_iter().find(|judged| judged.mark.short.is_some()).unwrap();
            (judged.is_met(), judged.is_kept(), judged.to_text())
        };
        let (met, kept, text) = shared(175);
        assert!(!met && kept && text.starts_with("short") && text.contains(SHARED.because), "{text}");
        assert!(!shared(169).1 && shared(169).2.starts_with("NOT MET"));
        assert!(shared(200).0 && !shared(200).2.contains(SHARED.because));
    }

    #[test]
    fn what_was_not_measured_is_not_met() {
        assert!(judge(&[]).iter().all(|judged| !judged.is_met() && !judged.is_kept()));
        assert!(judge(&[])[0].to_text().contains("not measured"));
    }
}

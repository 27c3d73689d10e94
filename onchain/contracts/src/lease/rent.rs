//! The arithmetic of a lease, exactly as the validator does it: what falls due, and how each way moves the money.
//!
//! The rent that falls due by a time is `⌊(time − paid_until) · rate / period⌋`. It can exceed 64 bits, and all the money
//! there is; what is ever paid cannot, because it is cut to what the lease holds.

use std::num::NonZeroU64;

use nunet_ledger::PosixMs;

use super::LeaseDatum;
use crate::{data::DataError, fault::Fault, ntx::Ntx};

/// What a period costs, and how long it is; neither is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    per_period: NonZeroU64,
    period_ms: NonZeroU64,
}

impl Rate {
    /// This much for each period of so many milliseconds.
    ///
    /// # Errors
    /// When either is zero.
    pub fn new(per_period: Ntx, period_ms: u64) -> Result<Self, DataError> {
        let positive =
            |what, value| NonZeroU64::new(value).ok_or_else(|| DataError::new(what, "it must be at least 1"));
        Ok(Self { per_period: positive("rate", per_period.0)?, period_ms: positive("period", period_ms)? })
    }

    /// What a period costs.
    pub fn per_period(self) -> Ntx {
        Ntx(self.per_period.get())
    }

    /// The length of a period in milliseconds.
    pub fn period_ms(self) -> u64 {
        self.period_ms.get()
    }
}

/// Why something cannot be done to a lease, and when or how it can. Times are POSIX milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// No whole period has passed.
    #[error("nothing to claim before {} ms", .0.0)]
    NothingToClaim(PosixMs),
    /// The last period that was left is not whole.
    #[error("no whole period is left before the end: what is due is paid when the lease is closed, from {} ms on", .0.0)]
    LastPeriod(PosixMs),
    /// The rent does not pay for what would be claimed.
    #[error("the lease holds too little rent for another period: the lessee must top it up, or the lessor closes it")]
    UsedUp,
    /// Dust.
    #[error("a top-up of {amount} is too little: add at least one period's rent, {least}")]
    TopUpTooSmall {
        /// What was to be added.
        amount: Ntx,
        /// The least.
        least: Ntx,
    },
    /// The end can only move earlier.
    #[error("the lease ends at {} ms already: choose an earlier end", .0.0)]
    NotEarlier(PosixMs),
    /// Too short a notice, or in the past.
    #[error("the new end is too soon: choose {} ms or later", .0.0)]
    EndTooSoon(PosixMs),
    /// The fault is of another lease.
    #[error("the fault is of another agreement: its signatures do not count for this lease")]
    OtherAgreement,
    /// The fault overlaps one that is charged.
    #[error("faults are charged until {} ms already: charge what comes after", .0.0)]
    AlreadyCharged(PosixMs),
    /// The fault ends before it begins.
    #[error("the fault does not end after it begins")]
    EmptyFault,
    /// Less than the fee.
    #[error("bond and unclaimed rent are {0}, less than the committee's fee: nothing can be charged")]
    NothingToCharge(Ntx),
    /// There is not even the fee.
    #[error("the lease does not hold the committee's fee for the fault")]
    FeeNotHeld,
    /// It is not over.
    #[error("anyone can close the lease from {} ms on; {}", anyone.0, match lessor {
        Some(from) => format!("its lessor from {} ms on, a window after the money is used up", from.0),
        None => "its money lasts until the end".to_owned(),
    })]
    NotOver {
        /// When anyone can close it.
        anyone: PosixMs,
        /// When its lessor can, should nothing be topped up.
        lessor: Option<PosixMs>,
    },
    /// Its output lacks what closing it pays out.
    #[error("it does not hold the lovelace that its datum owes, so that you would pay for it: leave it alone")]
    Unfunded,
    /// Amounts beyond 64 bits.
    #[error("the amounts of the lease do not fit 64 bits")]
    Overflow,
}

/// Who of the two shortens a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseParty {
    /// Who pays the rent; must give notice.
    Lessee,
    /// Who is paid.
    Lessor,
}

/// Why a lease can be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// End and window have passed: anyone closes it.
    Over,
    /// What was due a window ago is all that is left: its lessor closes it.
    UsedUp,
}

/// What a claim does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// For how many periods.
    pub periods: u64,
    /// What the lessor gets for them.
    pub paid: Ntx,
    /// The lease after it.
    pub after: LeaseState,
}

/// How the NTX of a closed lease is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// The bond and the rent that is due.
    pub lessor: Ntx,
    /// The rest of the rent.
    pub lessee: Ntx,
}

/// A lease's terms and the NTX that its output holds, which is never less than the bond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseState {
    datum: LeaseDatum,
    held: Ntx,
}

impl LeaseState {
    /// A lease of these terms that holds so much.
    ///
    /// # Errors
    /// When it holds less than its bond, which no way of a lease leads to.
    pub fn new(datum: LeaseDatum, held: Ntx) -> Result<Self, DataError> {
        if held < datum.bond {
            return Err(DataError::new("lease", format!("it holds {held}, less than its bond of {}", datum.bond)));
        }
        Ok(Self { datum, held })
    }

    /// The terms.
    pub fn datum(&self) -> &LeaseDatum {
        &self.datum
    }

    /// All NTX in the output.
    pub fn held(&self) -> Ntx {
        self.held
    }

    /// The NTX that is rent: what is held beside the bond.
    pub fn rent(&self) -> Ntx {
        Ntx(self.held.0.saturating_sub(self.datum.bond.0))
    }

    /// The lessor's part of the rent if the lease ended at `at` (or at its end, when that is earlier).
    pub fn owed(&self, at: PosixMs) -> Ntx {
        let owed = self.due(at).saturating_sub(u128::from(self.datum.withheld.0));
        Ntx(u64::try_from(owed).map_or(self.rent().0, |owed| owed.min(self.rent().0)))
    }

    /// How many whole periods have passed unpaid at `at`.
    pub fn periods(&self, at: PosixMs) -> u64 {
        self.unpaid_ms(at) / self.datum.rate.period_ms()
    }

    /// For how many periods the rent pays.
    pub fn affordable_periods(&self) -> u64 {
        let periods = self.available() / u128::from(self.datum.rate.per_period().0);
        u64::try_from(periods).unwrap_or(u64::MAX)
    }

    /// When the next whole period has passed; `None` when the lease ends before.
    pub fn next_claim(&self) -> Option<PosixMs> {
        let next = self.datum.paid_until.0.checked_add(self.datum.rate.period_ms())?;
        (next <= self.datum.end.0).then_some(PosixMs(next))
    }

    /// From when on anyone can close the lease.
    pub fn over_at(&self) -> PosixMs {
        PosixMs(self.datum.end.0.saturating_add(self.datum.window_ms))
    }

    /// From when on what is due is all that the lease holds; `None` when the rent lasts until the end.
    pub fn used_up_at(&self) -> Option<PosixMs> {
        // A product beyond 128 bits stands for a time beyond 64.
        let product = self.available().checked_mul(u128::from(self.datum.rate.period_ms()))?;
        let after = product.div_ceil(u128::from(self.datum.rate.per_period().0));
        let time = self.datum.paid_until.0.checked_add(u64::try_from(after).ok()?)?;
        (time <= self.datum.end.0).then_some(PosixMs(time))
    }

    /// From when on the lessor can close the lease, should nothing be topped up: a window after the money is used up, so
    /// that faults in the last time that was paid for can still be charged.
    pub fn used_up_over_at(&self) -> Option<PosixMs> {
        self.used_up_at()?.0.checked_add(self.datum.window_ms).map(PosixMs)
    }

    /// Pays the lessor for the whole periods at the lower bound `at`.
    pub fn claim(&self, at: PosixMs) -> Result<Claimed, LeaseError> {
        let periods = self.periods(at);
        if periods == 0 {
            return Err(self
                .next_claim()
                .map_or_else(|| LeaseError::LastPeriod(self.over_at()), LeaseError::NothingToClaim));
        }
        if periods > self.affordable_periods() {
            return Err(LeaseError::UsedUp);
        }
        let due = u128::from(periods) * u128::from(self.datum.rate.per_period().0);
        let withheld = due.min(u128::from(self.datum.withheld.0));
        let (paid, withheld) = (narrow(due - withheld)?, narrow(withheld)?);
        let mut after = self.clone();
        after.held = Ntx(self.held.0.checked_sub(paid).ok_or(LeaseError::UsedUp)?);
        after.datum.withheld = Ntx(self.datum.withheld.0.saturating_sub(withheld));
        // At most the end, or the bound, which are of 64 bits.
        let moved = periods.checked_mul(self.datum.rate.period_ms()).ok_or(LeaseError::Overflow)?;
        after.datum.paid_until = PosixMs(self.datum.paid_until.0.checked_add(moved).ok_or(LeaseError::Overflow)?);
        Ok(Claimed { periods, paid: Ntx(paid), after })
    }

    /// Adds rent.
    pub fn top_up(&self, amount: Ntx) -> Result<Self, LeaseError> {
        let least = self.datum.rate.per_period();
        if amount < least {
            return Err(LeaseError::TopUpTooSmall { amount, least });
        }
        let held = self.held.0.checked_add(amount.0).ok_or(LeaseError::Overflow)?;
        Ok(Self { datum: self.datum.clone(), held: Ntx(held) })
    }

    /// Moves the end, in a transaction with the upper bound `upper`.
    pub fn shorten(&self, by: LeaseParty, end: PosixMs, upper: PosixMs) -> Result<Self, LeaseError> {
        if end >= self.datum.end {
            return Err(LeaseError::NotEarlier(self.datum.end));
        }
        let earliest = PosixMs(upper.0.checked_add(self.notice_ms(by)).ok_or(LeaseError::Overflow)?);
        if end < earliest {
            return Err(LeaseError::EndTooSoon(earliest));
        }
        Ok(Self { datum: LeaseDatum { end, ..self.datum.clone() }, held: self.held })
    }

    /// How long before the new end this party must shorten, in milliseconds.
    pub fn notice_ms(&self, by: LeaseParty) -> u64 {
        match by {
            LeaseParty::Lessee => self.datum.notice_ms,
            LeaseParty::Lessor => 0,
        }
    }

    /// Charges the lessor for a fault: credit and fee, of the bond first, of the rent to come after, and no more than there
    /// is of both.
    pub fn fault(&self, fault: &Fault) -> Result<Self, LeaseError> {
        let datum = &self.datum;
        if fault.agreement != datum.agreement {
            return Err(LeaseError::OtherAgreement);
        }
        if fault.from < datum.faults_until {
            return Err(LeaseError::AlreadyCharged(datum.faults_until));
        }
        if fault.to <= fault.from {
            return Err(LeaseError::EmptyFault);
        }
        let most = self.most_chargeable(fault.to);
        let charge = most.min(u128::from(fault.credit.0) + u128::from(datum.fee.0));
        if charge < u128::from(datum.fee.0) {
            return Err(LeaseError::NothingToCharge(Ntx(u64::try_from(most).unwrap_or(u64::MAX))));
        }
        let slashed = charge.min(u128::from(datum.bond.0));
        let bond = narrow(u128::from(datum.bond.0) - slashed)?;
        let withheld = narrow(u128::from(datum.withheld.0) + (charge - slashed))?;
        let held = self.held.0.checked_sub(datum.fee.0).filter(|held| *held >= bond).ok_or(LeaseError::FeeNotHeld)?;
        let datum = LeaseDatum { bond: Ntx(bond), withheld: Ntx(withheld), faults_until: fault.to, ..datum.clone() };
        Ok(Self { datum, held: Ntx(held) })
    }

    /// The most, credit and fee together, that a fault until `to` can cost the lessor: bond and unclaimed rent.
    pub fn most_chargeable(&self, to: PosixMs) -> u128 {
        u128::from(self.datum.bond.0) + self.due(to).saturating_sub(u128::from(self.datum.withheld.0))
    }

    /// Why the lease can be closed with the lower bound `at`, if it can.
    pub fn ending(&self, at: PosixMs) -> Option<Ending> {
        let until = PosixMs(at.0.checked_sub(self.datum.window_ms)?);
        if until >= self.datum.end {
            return Some(Ending::Over);
        }
        // Before the time that is paid for is over, less than nothing is due, also where there is no rent to use up.
        let used_up = until >= self.datum.paid_until && self.due(until) >= self.available();
        used_up.then_some(Ending::UsedUp)
    }

    /// Who gets what when the lease is closed with the lower bound `at`.
    pub fn shares(&self, at: PosixMs) -> Shares {
        let lessee = Ntx(self.rent().0.saturating_sub(self.owed(at).0));
        Shares { lessor: Ntx(self.held.0.saturating_sub(lessee.0)), lessee }
    }

    /// The rent due at `at` or at the end, whichever is earlier, before anything is withheld.
    fn due(&self, at: PosixMs) -> u128 {
        let rate = self.datum.rate;
        u128::from(self.unpaid_ms(at)) * u128::from(rate.per_period().0) / u128::from(rate.period_ms())
    }

    /// The time that is unpaid at `at`, within the lease, in milliseconds.
    fn unpaid_ms(&self, at: PosixMs) -> u64 {
        at.0.min(self.datum.end.0).saturating_sub(self.datum.paid_until.0)
    }

    /// The rent with what will be withheld: so much must fall due to use the rent up.
    fn available(&self) -> u128 {
        u128::from(self.rent().0) + u128::from(self.datum.withheld.0)
    }
}

fn narrow(amount: u128) -> Result<u64, LeaseError> {
    u64::try_from(amount).map_err(|_| LeaseError::Overflow)
}

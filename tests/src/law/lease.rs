//! What the rules say about a lease, written again without the arithmetic that builds its transactions.

use anyhow::{Context, ensure};
use nunet_contracts::{LeaseAction, LeaseDatum, Ntx};
use nunet_ledger::PosixMs;

/// A lease as it stands: its terms, and the NTX that its output holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) datum: LeaseDatum,
    pub(super) held: i128,
}

/// What is known of the transaction that spends a lease.
#[derive(Default)]
pub(super) struct Facts {
    /// The beginning of the interval of validity, where it has one.
    pub(super) lower: Option<PosixMs>,
    /// Its end.
    pub(super) upper: Option<PosixMs>,
    pub(super) lessee_signed: bool,
    pub(super) lessor_signed: bool,
    /// The NTX in the lease's next output, where it has one.
    pub(super) next_held: Option<i128>,
}

/// What an action leads to.
pub(super) enum Outcome {
    /// The lease goes on like this, and the committee gets so much.
    GoesOn { next: Box<Standing>, treasury: i128 },
    /// It is over, and its NTX is shared.
    Over { lessor: i128, lessee: i128 },
    /// Both signed, to whatever happens.
    Agreed,
}

impl Standing {
    /// What the action must lead to; an error when the rules do not allow it. Whether members signed a fault is looked at
    /// elsewhere.
    pub(super) fn after(&self, action: &LeaseAction, facts: &Facts) -> anyhow::Result<Outcome> {
        let Facts { lessee_signed, lessor_signed, .. } = *facts;
        let lower = || facts.lower.map(millis).context("without a lower bound");
        let upper = || facts.upper.map(millis).context("without an upper bound");
        match action {
            LeaseAction::Claim => {
                ensure!(lessor_signed, "a claim without the lessor");
                self.claimed(lower()?)
            }
            LeaseAction::TopUp => {
                ensure!(lessee_signed, "a top-up without the lessee");
                let held = facts.next_held.context("a top-up that ends the lease")?;
                ensure!(held - self.held >= self.rate(), "a top-up of dust");
                Ok(goes_on(self.datum.clone(), held))
            }
            LeaseAction::Shorten { end } => {
                let by_lessee = lessee_signed && upper()? + i128::from(self.datum.notice_ms) <= millis(*end);
                let by_lessor = lessor_signed && upper()? <= millis(*end);
                ensure!(by_lessee || by_lessor, "shortened by nobody who may");
                ensure!(*end < self.datum.end, "a later end");
                Ok(goes_on(LeaseDatum { end: *end, ..self.datum.clone() }, self.held))
            }
            LeaseAction::Fault { from, to, credit, .. } => self.charged(*from, *to, i128::from(credit.0)),
            LeaseAction::Close => self.closed(lower()?, lessor_signed),
            LeaseAction::Agree => {
                ensure!(lessee_signed && lessor_signed, "an agreement of one");
                Ok(Outcome::Agreed)
            }
        }
    }

    fn claimed(&self, now: i128) -> anyhow::Result<Outcome> {
        let period = i128::from(self.datum.rate.period_ms());
        let paid_until = millis(self.datum.paid_until);
        let periods = (now.min(millis(self.datum.end)) - paid_until).div_euclid(period);
        ensure!(periods >= 1, "a claim of no period");
        let rent = periods * self.rate();
        let kept_back = rent.min(self.datum.withheld.0.into());
        let held = self.held - (rent - kept_back);
        ensure!(held >= self.bond(), "a claim of more than the rent");
        let withheld = i128::from(self.datum.withheld.0) - kept_back;
        let datum = LeaseDatum {
            paid_until: PosixMs(u64::try_from(paid_until + periods * period)?),
            withheld: Ntx(u64::try_from(withheld)?),
            ..self.datum.clone()
        };
        Ok(goes_on(datum, held))
    }

    fn charged(&self, from: PosixMs, to: PosixMs, credit: i128) -> anyhow::Result<Outcome> {
        ensure!(from >= self.datum.faults_until, "a time charged twice");
        ensure!(from < to, "a fault of no time");
        let fee = i128::from(self.datum.fee.0);
        let charge = credit + fee;
        ensure!(charge <= self.at_stake(to), "more charged than the lessor has to lose");
        let from_bond = charge.min(self.bond());
        let bond = self.bond() - from_bond;
        let held = self.held - fee;
        ensure!(held >= bond, "the bond pays a fee twice");
        let withheld = i128::from(self.datum.withheld.0) + charge - from_bond;
        let datum = LeaseDatum {
            bond: Ntx(u64::try_from(bond)?),
            withheld: Ntx(u64::try_from(withheld)?),
            faults_until: to,
            ..self.datum.clone()
        };
        Ok(Outcome::GoesOn { next: Box::new(Standing { datum, held }), treasury: fee })
    }

    fn closed(&self, now: i128, lessor_signed: bool) -> anyhow::Result<Outcome> {
        let end = millis(self.datum.end);
        let until = (now - i128::from(self.datum.window_ms)).min(end);
        let balance = self.held - self.bond();
        let earned = self.due(until) - i128::from(self.datum.withheld.0);
        let used_up = earned >= balance && lessor_signed;
        ensure!(until == end || used_up, "closed while it runs");
        let paid = earned.clamp(0, balance);
        Ok(Outcome::Over { lessor: self.bond() + paid, lessee: balance - paid })
    }

    /// What a fault until `to` can cost the lessor: bond and unclaimed rent.
    fn at_stake(&self, to: PosixMs) -> i128 {
        let unclaimed = self.due(millis(to).min(millis(self.datum.end))) - i128::from(self.datum.withheld.0);
        self.bond() + unclaimed.max(0)
    }

    /// The most that a fault until `to` can credit beside the fee, if anything.
    pub(super) fn most_credit(&self, to: PosixMs) -> Option<i128> {
        Some(self.at_stake(to) - i128::from(self.datum.fee.0)).filter(|credit| *credit >= 0)
    }

    /// The rent that has fallen due since it was last paid, floored.
    fn due(&self, time: i128) -> i128 {
        ((time - millis(self.datum.paid_until)) * self.rate()).div_euclid(self.datum.rate.period_ms().into())
    }

    fn rate(&self) -> i128 {
        self.datum.rate.per_period().0.into()
    }

    fn bond(&self) -> i128 {
        self.datum.bond.0.into()
    }
}

fn goes_on(datum: LeaseDatum, held: i128) -> Outcome {
    Outcome::GoesOn { next: Box::new(Standing { datum, held }), treasury: 0 }
}

fn millis(time: PosixMs) -> i128 {
    time.0.into()
}

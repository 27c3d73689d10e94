//! Leases: opened, and what happens to one.

use nunet_contracts::{
    Closer, Consents, Fault, Lease, LeaseAction, LeaseDatum, LeaseParty, LeaseTerms, LeaseWays, Ntx, Rate, TxPlan,
    transactions::lease_output,
};
use nunet_ledger::{Lovelace, PosixMs};

use super::{Attempt, LAND_MS, MARGIN_MS, TIP, part};
use crate::law::{
    flaw::Flaw,
    lease::{Facts, Standing},
    people::Money,
    stage::{PARTIES, Stage},
    step::{Op, Step},
};

impl Stage {
    pub(super) fn opening(&mut self, op: &Op) -> anyhow::Result<Option<Attempt>> {
        let Op::Open { lessee, lessor, rate, minutes, periods, paid_for, bond, fee, deposit, carry, notice, committee } =
            op
        else {
            return Ok(None);
        };
        let (lessee, lessor) = (usize::from(*lessee) % PARTIES, usize::from(*lessor) % PARTIES);
        let (now, period) = (self.now(), u64::from(*minutes) * 60_000);
        let datum = LeaseDatum {
            lessee: self.address(lessee, notice.is_multiple_of(3)),
            lessor: self.address(lessor, notice.is_multiple_of(2)),
            rate: Rate::new(Ntx(*rate), period)?,
            paid_until: now,
            // The last period is not a whole one, half of the time.
            end: PosixMs(now.0 + period * u64::from(*periods) + period / 2 * (*rate % 2)),
            notice_ms: u64::from(*notice) * 60_000,
            window_ms: u64::from(*notice) * 60_000,
            faults_until: now,
            bond: Ntx(*bond),
            withheld: Ntx(0),
            deposit: Lovelace(*deposit),
            carry: Lovelace(*carry),
            fee: Ntx(*fee),
            committee: self.committee_at(*committee).id,
            agreement: self.agreement(),
        };
        let rent = Ntx(rate * u64::from(*paid_for));
        let output = lease_output(&self.books.protocol, &LeaseTerms { datum, rent, tip: TIP })?;
        let mut plan = TxPlan { outputs: vec![output], valid_until: Some(self.landing()), ..TxPlan::default() };
        if *bond > 0 && lessor != lessee {
            self.bring(&mut plan, lessor, Money { ntx: (*bond).into(), lovelace: (*carry).into() })?;
        }
        Ok(Some(Attempt::unjudged("open", lessee, plan)))
    }

    pub(super) fn of_lease(&mut self, lease: &Lease, step: &Step, payer: usize) -> anyhow::Result<Option<Attempt>> {
        let (params, slots) = (self.world.chain.params(), self.world.chain.slots());
        let deployment = self.world.deployment.clone();
        let ways = LeaseWays { deployment: &deployment, params: &params, slots: &slots, lease };
        let (now, none, datum) = (self.now(), Consents::none(), lease.datum());
        let standing = Standing { datum: datum.clone(), held: lease.state.held().0.into() };
        let allowed = |action: &LeaseAction, lessor_signed: bool| {
            let facts = Facts { lower: Some(now), lessor_signed, ..Facts::default() };
            standing.after(action, &facts).is_ok()
        };
        let rate = datum.rate.per_period().0;
        Ok(match &step.op {
            Op::Claim(_) => {
                let passed = now.0.min(datum.end.0).saturating_sub(datum.paid_until.0);
                let paid_for = (lease.state.rent().0 + datum.withheld.0) / rate;
                let possible = passed >= datum.rate.period_ms() && paid_for >= 1;
                possible.then(|| ways.claim(now, &none)).transpose()?.map(|plan| Attempt::new("claim", payer, plan))
            }
            Op::TopUp { periods, .. } => {
                let amount = Ntx(rate * u64::from(*periods) + rate / 2);
                let payer = self.books.owner(&datum.lessee)?;
                Some(Attempt::new("top up", payer, ways.top_up(amount, &none)?))
            }
            Op::Shorten { by_lessor, share, .. } => {
                let by = if *by_lessor { LeaseParty::Lessor } else { LeaseParty::Lessee };
                let notice = if *by_lessor { 0 } else { datum.notice_ms };
                let earliest = now.0 + LAND_MS + notice + MARGIN_MS;
                let Some(room) = datum.end.0.checked_sub(earliest + 1) else { return Ok(None) };
                let end = PosixMs(earliest + part(room, *share));
                Some(Attempt::new("shorten", payer, ways.shorten(by, end, now, &none)?))
            }
            Op::Fault { minutes, share, .. } => {
                let from = datum.faults_until;
                let to = PosixMs(now.0.min(from.0 + u64::from(*minutes) * 60_000));
                self.fault(&ways, from, to, *share, payer, &step.flaws)?
            }
            Op::Close(_) => {
                let by = if allowed(&LeaseAction::Close, false) {
                    Closer::Anyone
                } else if allowed(&LeaseAction::Close, true) {
                    Closer::Lessor(&none)
                } else {
                    return Ok(None);
                };
                Some(Attempt::new("close", payer, ways.close(now, by)?))
            }
            Op::AgreeLease { share, .. } => {
                let (outputs, agreed) = self.split(&datum.lessee, lease.state.held().0, *share)?;
                Some(Attempt { agreed, ..Attempt::new("agree on a lease", payer, ways.agree(outputs, &none)?) })
            }
            _ => None,
        })
    }

    fn fault(
        &mut self,
        ways: &LeaseWays<'_>,
        from: PosixMs,
        to: PosixMs,
        share: u8,
        payer: usize,
        flaws: &[Flaw],
    ) -> anyhow::Result<Option<Attempt>> {
        let datum = ways.lease.datum();
        let standing = Standing { datum: datum.clone(), held: ways.lease.state.held().0.into() };
        let Some(credit) = standing.most_credit(to) else { return Ok(None) };
        let credit = Ntx(part(u64::try_from(credit)?, share));
        let (signatures, facts) = (Vec::new(), Facts::default());
        let action = LeaseAction::Fault { committee: 0, signatures, from, to, credit };
        if standing.after(&action, &facts).is_err() {
            return Ok(None);
        }
        let fault = Fault { agreement: datum.agreement, from, to, credit };
        let (judges, count, spoiled) = self.judges(self.books.committee(datum.committee)?, flaws);
        let protocol = &self.books.protocol;
        let message = fault.message(protocol.magic(), protocol.lease_hash());
        let (signatures, signers) = self.sign(&judges.datum, &message, count, share);
        let plan = ways.fault(&judges, &fault, &signatures)?;
        self.books.spoken.faults.push((fault, signers));
        Ok(Some(Attempt { spoiled, ..Attempt::new("fault", payer, plan) }))
    }
}

//! Opening a lease, and everything that happens to one.

use nunet_ledger::{Address, Datum, Lovelace, PosixMs, ProtocolParameters, Slot, SlotConfig, TxOut, Value};

use super::{PlanError, payout, with_min_ada};
use crate::{
    consent::Consents,
    fault::Fault,
    lease::{
        Lease, LeaseAction, LeaseDatum,
        rent::{Ending, LeaseError, LeaseParty, LeaseState},
    },
    ntx::Ntx,
    plan::{Spend, TxPlan},
    protocol::{Committee, Deployment, Protocol},
    verdict::Signatures,
};

/// How long a transaction with an upper bound gets to come into a block, in milliseconds.
pub const TIME_TO_LAND_MS: u64 = 5 * 60 * 1000;

/// What an agreement fixes about the lease's first output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseTerms {
    /// The datum.
    pub datum: LeaseDatum,
    /// The rent that the lessee pays at first.
    pub rent: Ntx,
    /// Lovelace for whoever closes the lease.
    pub tip: Lovelace,
}

/// The one output that satisfies these terms. Agents serve, and members sign, only when the first output of the lease is
/// equal to it in address, value, datum bytes and the absence of a reference script.
pub fn lease_output(protocol: &Protocol, terms: &LeaseTerms) -> Result<TxOut, PlanError> {
    let datum = &terms.datum;
    let held = terms.rent.0.checked_add(datum.bond.0).ok_or(PlanError::Overflow("rent and bond"))?;
    let lovelace = datum.deposit.0.checked_add(datum.carry.0).and_then(|sum| sum.checked_add(terms.tip.0));
    let lovelace = Lovelace(lovelace.ok_or(PlanError::Overflow("deposit, carry and tip"))?);
    output_of(protocol, protocol.lease_address(), lovelace, datum, Ntx(held))
}

fn output_of(
    protocol: &Protocol,
    address: Address,
    lovelace: Lovelace,
    datum: &LeaseDatum,
    held: Ntx,
) -> Result<TxOut, PlanError> {
    let value = Value::lovelace_only(lovelace).with(protocol.ntx().clone(), held.0);
    let mut output = TxOut::new(address, value.ok_or(PlanError::Overflow("a lease"))?);
    output.datum = Some(Datum::Inline(datum.to_cbor()?));
    Ok(output)
}

/// Opens a lease (output 0); not valid from `valid_until` on. Whoever balances the plan pays it all; what the other party
/// puts in, bond and carry, can be added to the spends, and its change after output 0.
pub fn open_lease(protocol: &Protocol, terms: &LeaseTerms, valid_until: Slot) -> Result<TxPlan, PlanError> {
    Ok(TxPlan { outputs: vec![lease_output(protocol, terms)?], valid_until: Some(valid_until), ..TxPlan::default() })
}

/// Who closes a lease.
#[derive(Clone, Copy, Debug)]
pub enum Closer<'a> {
    /// Anyone, once end and window have passed.
    Anyone,
    /// The lessor, who may do so a window after the money is used up; with the consent that a script needs.
    Lessor(&'a Consents),
}

/// The ways of one lease, each as a pure function to a plan. `now` is the time of the latest block.
#[derive(Clone, Copy, Debug)]
pub struct LeaseWays<'a> {
    /// The validators and where they are.
    pub deployment: &'a Deployment,
    /// The ledger's parameters.
    pub params: &'a ProtocolParameters,
    /// The ledger's clock.
    pub slots: &'a SlotConfig,
    /// The lease.
    pub lease: &'a Lease,
}

impl LeaseWays<'_> {
    /// The lessor takes the rent of as many whole periods as have passed at `now` and the rent pays for. It is the
    /// builder's change.
    pub fn claim(&self, now: PosixMs, consents: &Consents) -> Result<TxPlan, PlanError> {
        let state = &self.lease.state;
        let lower = self.claim_bound(now).map_err(|problem| self.refused(problem))?;
        let claimed = state.claim(self.slots.begin(lower)).map_err(|problem| self.refused(problem))?;
        let mut plan = self.continued(&LeaseAction::Claim, &claimed.after)?;
        plan.valid_from = Some(lower);
        self.consented(plan, consents, &[&state.datum().lessor])
    }

    /// The slot at which the claimed periods are as many as have passed and are paid for.
    fn claim_bound(&self, now: PosixMs) -> Result<Slot, LeaseError> {
        let state = &self.lease.state;
        let passed = self.slots.at(now);
        let unpaid = state.periods(self.slots.begin(passed));
        let periods = unpaid.min(state.affordable_periods());
        if periods == unpaid {
            // Says itself when there is nothing to claim.
            let claimed = state.claim(self.slots.begin(passed))?;
            return Ok(self.slots.at_or_after(claimed.after.datum().paid_until));
        }
        let datum = state.datum();
        let moved = periods.checked_mul(datum.rate.period_ms()).ok_or(LeaseError::Overflow)?;
        let slot = self.slots.at_or_after(PosixMs(datum.paid_until.0.saturating_add(moved)));
        // Where a period is shorter than a slot, the next slot may have brought more than is paid for.
        let exact = if state.periods(self.slots.begin(slot)) > periods { Slot(slot.0.saturating_sub(1)) } else { slot };
        if state.periods(self.slots.begin(exact)) == 0 { Err(LeaseError::UsedUp) } else { Ok(exact) }
    }

    /// The lessee adds rent, at least one period's.
    pub fn top_up(&self, amount: Ntx, consents: &Consents) -> Result<TxPlan, PlanError> {
        let after = self.lease.state.top_up(amount).map_err(|problem| self.refused(problem))?;
        let plan = self.continued(&LeaseAction::TopUp, &after)?;
        self.consented(plan, consents, &[&self.lease.datum().lessee])
    }

    /// One of the two moves the end earlier: the lessee with its notice, the lessor to any time to come. The transaction
    /// has [`TIME_TO_LAND_MS`] to come into a block.
    pub fn shorten(
        &self,
        by: LeaseParty,
        end: PosixMs,
        now: PosixMs,
        consents: &Consents,
    ) -> Result<TxPlan, PlanError> {
        let state = &self.lease.state;
        let until = self.slots.at_or_after(PosixMs(now.0.saturating_add(TIME_TO_LAND_MS)));
        // The interval ends before this slot, and its beginning is the bound that the script sees.
        let after = state.shorten(by, end, self.slots.begin(until)).map_err(|problem| self.refused(problem))?;
        let mut plan = self.continued(&LeaseAction::Shorten { end }, &after)?;
        plan.valid_until = Some(until);
        let who = match by {
            LeaseParty::Lessee => &state.datum().lessee,
            LeaseParty::Lessor => &state.datum().lessor,
        };
        self.consented(plan, consents, &[who])
    }

    /// Charges the lessor for a fault that members signed; needs nobody's permission. Signatures of keys that are no
    /// members are ignored.
    pub fn fault(&self, committee: &Committee, fault: &Fault, signatures: &Signatures) -> Result<TxPlan, PlanError> {
        let protocol = &self.deployment.protocol;
        let datum = self.lease.datum();
        if datum.committee != committee.id {
            return Err(PlanError::Committee {
                output: self.lease.outpoint,
                named: datum.committee,
                given: committee.id,
            });
        }
        let after = self.lease.state.fault(fault).map_err(|problem| self.refused(problem))?;
        let action = LeaseAction::Fault {
            committee: u64::from(self.deployment.lease.0 < committee.outpoint),
            signatures: committee.aligned(signatures),
            from: fault.from,
            to: fault.to,
            credit: fault.credit,
        };
        let mut plan = self.continued(&action, &after)?;
        // Only time that is over is charged.
        plan.valid_from = Some(self.slots.at_or_after(fault.to));
        plan.references.push((committee.outpoint, committee.output.clone()));
        if datum.fee.0 > 0 {
            let treasury = committee.datum.treasury().clone();
            plan.outputs.push(payout(protocol, self.params, treasury, datum.fee, Lovelace(0))?);
        }
        Ok(plan)
    }

    /// Gives bond and due rent to the lessor and the rest to the lessee.
    pub fn close(&self, now: PosixMs, by: Closer<'_>) -> Result<TxPlan, PlanError> {
        let state = &self.lease.state;
        let datum = state.datum();
        if !self.lease.is_funded() {
            return Err(self.refused(LeaseError::Unfunded));
        }
        let passed = self.slots.begin(self.slots.at(now));
        let (lower, consents) = match (state.ending(passed), by, state.used_up_over_at()) {
            (Some(Ending::Over), ..) => (state.over_at(), None),
            (Some(Ending::UsedUp), Closer::Lessor(consents), Some(at)) => (at, Some(consents)),
            (_, _, lessor) => {
                return Err(self.refused(LeaseError::NotOver { anyone: state.over_at(), lessor }));
            }
        };
        let lower = self.slots.at_or_after(lower);
        let shares = state.shares(self.slots.begin(lower));
        let mut plan = self.spending(&LeaseAction::Close);
        plan.valid_from = Some(lower);
        let payouts = [(&datum.lessor, shares.lessor, datum.carry), (&datum.lessee, shares.lessee, datum.deposit)];
        for (address, ntx, lovelace) in payouts {
            if ntx.0 > 0 || lovelace.0 > 0 {
                let protocol = &self.deployment.protocol;
                plan.outputs.push(payout(protocol, self.params, address.clone(), ntx, lovelace)?);
            }
        }
        match consents {
            Some(consents) => self.consented(plan, consents, &[&datum.lessor]),
            None => Ok(plan),
        }
    }

    /// Both do as they like with the lease; what they leave is the builder's change.
    pub fn agree(&self, outputs: Vec<TxOut>, consents: &Consents) -> Result<TxPlan, PlanError> {
        let datum = self.lease.datum();
        let mut plan = self.spending(&LeaseAction::Agree);
        plan.outputs = outputs;
        self.consented(plan, consents, &[&datum.lessee, &datum.lessor])
    }

    fn spending(&self, action: &LeaseAction) -> TxPlan {
        let Lease { outpoint, output, .. } = self.lease;
        TxPlan {
            spends: vec![Spend { outpoint: *outpoint, output: output.clone(), redeemer: Some(action.to_data()) }],
            references: vec![self.deployment.lease.clone()],
            ..TxPlan::default()
        }
    }

    /// Spends the lease and makes it again, at output 0, in the state after.
    fn continued(&self, action: &LeaseAction, after: &LeaseState) -> Result<TxPlan, PlanError> {
        let Lease { output, .. } = self.lease;
        let (address, lovelace) = (output.address.clone(), output.value.lovelace());
        let next = output_of(&self.deployment.protocol, address, lovelace, after.datum(), after.held())?;
        let mut plan = self.spending(action);
        plan.outputs.push(with_min_ada(self.params, next));
        Ok(plan)
    }

    fn consented(&self, mut plan: TxPlan, consents: &Consents, who: &[&Address]) -> Result<TxPlan, PlanError> {
        consents.add_to(&mut plan, self.deployment.protocol.network_id(), who.iter().copied())?;
        Ok(plan)
    }

    fn refused(&self, problem: LeaseError) -> PlanError {
        PlanError::Lease { lease: self.lease.outpoint, problem }
    }
}

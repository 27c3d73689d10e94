//! A lease's every way: opened, topped up, claimed, charged for a fault, shortened, closed; and another one that both
//! parties end as they agree.

use anyhow::Context;
use nunet_chain::Signed;
use nunet_contracts::{
    AgreementHash, Closer, Consents, Fault, Lease, LeaseDatum, LeaseParty, LeaseTerms, LeaseWays, Ntx, PlanError, Rate,
    TxPlan,
    transactions::{open_lease, open_lease_with_bond, payout},
};
use nunet_ledger::{Lovelace, PosixMs, SlotConfig};

use super::{Bench, DEADLINE, Role};
use crate::contracts::costs::bench::OPEN_UNTIL;

const HOUR_MS: u64 = 60 * 60 * 1000;

pub(super) async fn leases(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    let terms = terms(bench, 1)?;
    let plan = open_lease(&bench.world.deployment.protocol, &terms, OPEN_UNTIL)?;
    let opened = bench.measure("open", 0, &plan, &[Role::Requester]).await?;
    let mut leased = Leased { lease: lease_of(bench, &opened)?, slots: bench.world.chain.slots() };
    leased.moves(bench, "top up", Role::Requester, |ways, _| ways.top_up(Ntx(100_000), &Consents::none())).await?;
    bench.pass(hours(3)).await?;
    leased.moves(bench, "claim", Role::Provider, |ways, now| ways.claim(now, &Consents::none())).await?;

    let agreement = terms.datum.agreement;
    let fault = Fault { agreement, from: DEADLINE, to: hours(2), credit: Ntx(200_000) };
    let protocol = &bench.world.deployment.protocol;
    let signatures = bench.sign(&fault.message(protocol.magic(), protocol.lease_hash()));
    let committee = bench.world.committee.clone();
    leased.moves(bench, "fault", Role::Operator, |ways, _| ways.fault(&committee, &fault, &signatures)).await?;

    let end = hours(6);
    let shorten = |ways: &LeaseWays<'_>, now| ways.shorten(LeaseParty::Lessee, end, now, &Consents::none());
    leased.moves(bench, "shorten", Role::Requester, shorten).await?;
    bench.pass(PosixMs(end.0 + terms.datum.window_ms)).await?;
    let plan = leased.ways(bench).close(bench.now(), Closer::Anyone)?;
    bench.measure("close", 0, &plan, &[Role::Operator]).await?;
    joint_lease(bench).await
}

/// The lessee opens what the lessor puts its bond in; then both divide it.
async fn joint_lease(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    let terms = terms(bench, 2)?;
    let datum = &terms.datum;
    let funds = bench.bond_funds(Role::Provider, datum.bond, datum.carry).await?;
    let protocol = &bench.world.deployment.protocol;
    let plan = open_lease_with_bond(protocol, &bench.params, &terms, &funds, OPEN_UNTIL)?;
    let opened = bench.measure_bonded("open with a bond", 0, &plan, [Role::Requester, Role::Provider]).await?;
    let leased = Leased { lease: lease_of(bench, &opened)?, slots: bench.world.chain.slots() };
    let protocol = &bench.world.deployment.protocol;
    let lessor = payout(protocol, &bench.params, datum.lessor.clone(), Ntx(datum.bond.0 + 300_000), datum.carry)?;
    let plan = leased.ways(bench).agree(vec![lessor], &Consents::none())?;
    bench.measure("lease agree", 0, &plan, &[Role::Requester, Role::Provider]).await?;
    Ok(())
}

/// So long after the leases begin.
fn hours(hours: u64) -> PosixMs {
    PosixMs(DEADLINE.0 + hours * HOUR_MS)
}

/// A day at 0.1 NTX an hour with all its rent.
fn terms(bench: &Bench<'_>, agreement: u8) -> anyhow::Result<LeaseTerms> {
    Ok(LeaseTerms {
        datum: LeaseDatum {
            lessee: bench.wallet(Role::Requester).enterprise_address(),
            lessor: bench.wallet(Role::Provider).enterprise_address(),
            rate: Rate::new(Ntx(100_000), HOUR_MS)?,
            paid_until: DEADLINE,
            end: hours(24),
            notice_ms: HOUR_MS,
            window_ms: 2 * HOUR_MS,
            faults_until: DEADLINE,
            bond: Ntx(500_000),
            withheld: Ntx(0),
            deposit: Lovelace(1_500_000),
            carry: Lovelace(1_500_000),
            fee: Ntx(20_000),
            committee: bench.world.committee.id,
            agreement: AgreementHash([agreement; 32]),
        },
        rent: Ntx(2_400_000),
        tip: Lovelace(1_000_000),
    })
}

/// The lease that a transaction made or continued.
fn lease_of(bench: &Bench<'_>, signed: &Signed) -> anyhow::Result<Lease> {
    let utxo = signed.produced().into_iter().next().context("a transaction without outputs")?;
    Ok(Lease::read(&bench.world.deployment.protocol, utxo.outpoint, utxo.output)?)
}

/// A lease, followed from one transaction to the next.
struct Leased {
    lease: Lease,
    slots: SlotConfig,
}

impl Leased {
    fn ways<'a>(&'a self, bench: &'a Bench<'_>) -> LeaseWays<'a> {
        LeaseWays { deployment: &bench.world.deployment, params: &bench.params, slots: &self.slots, lease: &self.lease }
    }

    /// Measures what continues the lease, and follows it.
    async fn moves(
        &mut self,
        bench: &mut Bench<'_>,
        name: &str,
        signer: Role,
        way: impl FnOnce(&LeaseWays<'_>, PosixMs) -> Result<TxPlan, PlanError>,
    ) -> anyhow::Result<()> {
        let plan = way(&self.ways(bench), bench.now())?;
        let signed = bench.measure(name, 0, &plan, &[signer]).await?;
        self.lease = lease_of(bench, &signed)?;
        Ok(())
    }
}

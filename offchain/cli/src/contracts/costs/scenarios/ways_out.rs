//! Locking, and the ways out that need neither a verdict nor the deadline.

use nunet_contracts::{
    Consents, Escrow, Ntx, Voucher,
    transactions::{accept, agree, lock_with_bond, payout, redeem},
};
use nunet_ledger::PosixMs;

use super::{Batch, Bench, OWN, Payment, Role, SOME};
use crate::contracts::costs::bench::OPEN_UNTIL;

/// How long a redemption is valid: the ledger puts no end into time that is days away.
const REDEEM_WITHIN_MS: u64 = 10 * 60 * 1000;

/// Escrows whose requester and provider are the roles' wallets, with a bond and with a voucher key.
const BONDED: Batch = Batch { payment: Payment::Bonded, ..OWN };
const BY_VOUCHER: Batch = Batch { payment: Payment::ByVoucher, ..OWN };

pub(super) async fn ways_out(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    accepts(bench).await?;
    bond(bench).await?;
    redemptions(bench).await
}

pub(super) async fn accepts(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    let terms = bench.terms(OWN);
    let plan = bench.lone_lock(&terms)?;
    let lock = bench.measure("lock", 1, &plan, &[Role::Requester]).await?;
    let escrow = bench.escrows_of(&lock, 1)?;
    let plan = accept(&bench.world.deployment, &bench.params, &escrow, &Consents::none())?;
    bench.measure("accept, alone", 1, &plan, &[Role::Requester]).await?;
    let escrows = bench.lock(OWN, SOME).await?;
    let plan = accept(&bench.world.deployment, &bench.params, &escrows, &Consents::none())?;
    bench.measure(&format!("accept, {SOME} at once"), SOME, &plan, &[Role::Requester]).await?;
    Ok(())
}

/// The requester locks what the provider puts its bond in; then both divide it.
async fn bond(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    let terms = bench.terms(BONDED);
    let funds = bench.bond_funds(Role::Provider, terms.datum.bond, terms.datum.carry).await?;
    let protocol = &bench.world.deployment.protocol;
    let plan = lock_with_bond(protocol, &bench.params, &terms, &funds, OPEN_UNTIL)?;
    let lock = bench.measure_bonded("lock with a bond", 1, &plan, [Role::Requester, Role::Provider]).await?;
    let escrow = bench.escrows_of(&lock, 1)?;
    let deployment = &bench.world.deployment;
    let owed = Ntx(terms.datum.bond.0 + terms.datum.price.0 / 2);
    let provider = payout(&deployment.protocol, &bench.params, terms.datum.provider, owed, terms.datum.carry)?;
    let plan = agree(deployment, &escrow, vec![provider], &Consents::none())?;
    bench.measure("agree, alone", 1, &plan, &[Role::Requester, Role::Provider]).await?;
    Ok(())
}

async fn redemptions(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    for (name, count) in [("redeem, alone".to_owned(), 1), (format!("redeem, {SOME} at once"), SOME)] {
        let escrows = bench.lock(BY_VOUCHER, count).await?;
        let vouchers = bench.with_vouchers(&escrows);
        take(bench, &name, &vouchers).await?;
    }
    let escrow = bench.lock(OWN, 1).await?.remove(0);
    take(bench, "decline, alone", &[(escrow, Voucher::DECLINE)]).await
}

async fn take(bench: &mut Bench<'_>, name: &str, vouchers: &[(Escrow, Voucher)]) -> anyhow::Result<()> {
    let until = bench.world.chain.slots().at(PosixMs(bench.now().0 + REDEEM_WITHIN_MS));
    let plan = redeem(&bench.world.deployment, &bench.params, vouchers, &Consents::none(), until)?;
    bench.measure(name, vouchers.len(), &plan, &[Role::Provider]).await?;
    Ok(())
}

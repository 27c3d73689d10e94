//! What the table measures.

use nunet_contracts::{
    Committee, CommitteeDatum, Consents, Escrow, TxPlan,
    transactions::{accept, refund, rotate_committee, rotation_message},
};
use nunet_ledger::OutPoint;

use super::{
    bench::{Batch, Bench, Outcome, Parties},
    row::Row,
};
use crate::{accounts::Role, world::World};

/// What every row of the series begins with.
pub(super) const SERIES: &str = "settle, series of ";

/// The sizes of the series that a line is fitted to.
const SIZES: [usize; 7] = [1, 2, 5, 10, 20, 40, 80];

/// Escrows accepted and refunded at once.
const SOME: usize = 20;

/// Distinct requesters at base addresses, one provider, a rest for each.
const DISTINCT: Batch =
    Batch { requesters: Parties::Base, providers: Parties::One(Role::Provider), outcome: Outcome::Rest };

/// Distinct requesters at enterprise addresses, as agents are by default.
const ENTERPRISE: Batch = Batch { requesters: Parties::Enterprise, ..DISTINCT };

/// Escrows whose requester is the requester's wallet.
const OWN: Batch = Batch { requesters: Parties::One(Role::Requester), ..DISTINCT };

/// The batches whose largest size is looked for.
const LARGEST: [(&str, Batch); 5] = [
    ("settle, distinct requesters, rest", DISTINCT),
    ("settle, distinct requesters, in full", Batch { outcome: Outcome::InFull, ..DISTINCT }),
    ("settle, enterprise addresses, rest", ENTERPRISE),
    ("settle, enterprise addresses, in full", Batch { outcome: Outcome::InFull, ..ENTERPRISE }),
    ("settle, distinct providers too", Batch { providers: Parties::Base, ..DISTINCT }),
];

/// Makes every transaction once, calling `on_row` for each as it is confirmed; returns the rows, and the world in which
/// the transactions were made, which still runs.
pub async fn measure(on_row: &mut (dyn FnMut(&Row) + Send)) -> anyhow::Result<(Vec<Row>, World)> {
    let mut bench = Bench::start(on_row).await?;
    locks_and_accepts(&mut bench).await?;
    settlements(&mut bench).await?;
    rotation(&mut bench).await?;
    bench.pass_deadlines().await?;
    refunds(&mut bench).await?;
    Ok(bench.finish())
}

async fn locks_and_accepts(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    let terms = bench.terms(OWN);
    let plan = bench.lone_lock(&terms)?;
    let lock = bench.measure("lock", 1, &plan, Role::Requester).await?;
    let escrow = bench.escrows_of(&lock, 1)?;
    let plan = accept(&bench.world.deployment, &bench.params, &escrow, &Consents::none())?;
    bench.measure("accept, alone", 1, &plan, Role::Requester).await?;
    let escrows = bench.lock(OWN, SOME).await?;
    let plan = accept(&bench.world.deployment, &bench.params, &escrows, &Consents::none())?;
    bench.measure(&format!("accept, {SOME} at once"), SOME, &plan, Role::Requester).await?;
    Ok(())
}

async fn settlements(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    let escrow = bench.lock(ENTERPRISE, 1).await?;
    let plan = bench.settlement(ENTERPRISE, &escrow)?;
    bench.measure("settle, alone", 1, &plan, Role::Provider).await?;
    for size in SIZES {
        let escrows = bench.lock(DISTINCT, size).await?;
        let plan = bench.settlement(DISTINCT, &escrows)?;
        bench.measure(&format!("{SERIES}{size}"), size, &plan, Role::Provider).await?;
    }
    for (name, batch) in LARGEST {
        let plan = |bench: &Bench<'_>, escrows: &[Escrow]| bench.settlement(batch, escrows);
        bench.largest(name, batch, Role::Provider, plan).await?;
    }
    Ok(())
}

/// Moves the treasury to an address with a stake part; the same members go on.
async fn rotation(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    let Committee { datum, outpoint, .. } = &bench.world.committee;
    let treasury = bench.wallet(Role::Treasury).address();
    let threshold = u8::try_from(datum.threshold())?;
    let next = CommitteeDatum::new(datum.members().to_vec(), threshold, treasury)?;
    let protocol = bench.world.deployment.protocol.clone();
    let message = rotation_message(protocol.magic(), *outpoint, &next)?;
    let signatures = bench.sign(&message);
    let plan = rotate_committee(&protocol, &bench.params, &bench.world.committee, &next, &signatures)?;
    let signed = bench.measure("rotate", 0, &plan, Role::Operator).await?;
    let outpoint = OutPoint { tx: signed.id, index: 0 };
    let output = bench.world.chain.unspent(&outpoint).await?;
    bench.world.committee = Committee::read(&protocol, outpoint, output)?;
    Ok(())
}

async fn refunds(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    let escrow = bench.lock(DISTINCT, 1).await?;
    let plan = refund_plan(bench, &escrow)?;
    bench.measure("refund, alone", 1, &plan, Role::Operator).await?;
    let escrows = bench.lock(DISTINCT, SOME).await?;
    let plan = refund_plan(bench, &escrows)?;
    bench.measure(&format!("refund, {SOME} at once"), SOME, &plan, Role::Operator).await?;
    bench.largest("refund, distinct requesters", DISTINCT, Role::Operator, refund_plan).await
}

fn refund_plan(bench: &Bench<'_>, escrows: &[Escrow]) -> anyhow::Result<TxPlan> {
    Ok(refund(&bench.world.deployment, &bench.params, &bench.world.chain.slots(), escrows)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use nunet_ledger::TxId;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn two_runs_make_the_same_transactions() {
        let mut runs: Vec<Vec<TxId>> = Vec::new();
        for _ in 0..2 {
            let mut ignore = |_: &Row| {};
            let mut bench = Bench::start(&mut ignore).await.unwrap();
            locks_and_accepts(&mut bench).await.unwrap();
            rotation(&mut bench).await.unwrap();
            runs.push(bench.world.devnet.transactions().iter().map(|applied| applied.id).collect());
            bench.finish().1.stop().await;
        }
        assert!(runs[0].len() > 5);
        assert_eq!(runs[0], runs[1]);
    }
}

//! What the table measures.

mod leases;
mod ways_out;

use nunet_contracts::{
    Committee, CommitteeDatum, Escrow, TxPlan,
    transactions::{refund, rotate_committee, rotation_message},
};
use nunet_ledger::OutPoint;

use self::{leases::leases, ways_out::ways_out};
use super::{
    bench::{Batch, Bench, DEADLINE, Outcome, Parties, Payment},
    row::Row,
};
use crate::{accounts::Role, world::World};

/// What every row of the series begins with.
pub(super) const SERIES: &str = "settle, series of ";

/// The sizes of the series that a line is fitted to.
const SIZES: [usize; 7] = [1, 2, 5, 10, 20, 40, 80];

/// Escrows closed at once in rows that are no series.
const SOME: usize = 20;

/// Distinct requesters at base addresses, one provider, a rest for each.
const DISTINCT: Batch = Batch {
    requesters: Parties::Base,
    providers: Parties::One(Role::Provider),
    payment: Payment::ByVerdict,
    outcome: Outcome::Rest,
};

/// Distinct requesters at enterprise addresses, as agents are by default.
const ENTERPRISE: Batch = Batch { requesters: Parties::Enterprise, ..DISTINCT };

/// Escrows whose requester is the requester's wallet.
const OWN: Batch = Batch { requesters: Parties::One(Role::Requester), ..DISTINCT };

/// The same where a lie costs the provider its bond.
const SLASHED: Batch = Batch { payment: Payment::Bonded, outcome: Outcome::Slashed, ..OWN };

/// The batches whose largest size is looked for.
const LARGEST: [(&str, Batch); 6] = [
    ("settle, distinct requesters, rest", DISTINCT),
    ("settle, distinct requesters, in full", Batch { outcome: Outcome::InFull, ..DISTINCT }),
    ("settle, enterprise addresses, rest", ENTERPRISE),
    ("settle, enterprise addresses, in full", Batch { outcome: Outcome::InFull, ..ENTERPRISE }),
    ("settle, distinct providers too", Batch { providers: Parties::Base, ..DISTINCT }),
    ("settle, shared requester", OWN),
];

/// Makes every transaction once, calling `on_row` for each as it is confirmed; returns the rows, and the world in which
/// the transactions were made, which still runs.
pub async fn measure(on_row: &mut (dyn FnMut(&Row) + Send)) -> anyhow::Result<(Vec<Row>, World)> {
    let mut bench = Bench::start(on_row).await?;
    ways_out(&mut bench).await?;
    settlements(&mut bench).await?;
    rotation(&mut bench).await?;
    bench.pass(DEADLINE).await?;
    refunds(&mut bench).await?;
    leases(&mut bench).await?;
    Ok(bench.finish())
}

async fn settlements(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    settle_some(bench, "settle, alone", ENTERPRISE, 1).await?;
    for size in SIZES {
        settle_some(bench, &format!("{SERIES}{size}"), DISTINCT, size).await?;
    }
    for (name, batch) in LARGEST {
        let plan = |bench: &Bench<'_>, escrows: &[Escrow]| bench.settlement(batch, escrows);
        bench.largest(name, batch, Role::Provider, plan).await?;
    }
    settle_some(bench, "settle, slashing, alone", SLASHED, 1).await?;
    settle_some(bench, &format!("settle, slashing, {SOME} at once"), SLASHED, SOME).await
}

async fn settle_some(bench: &mut Bench<'_>, name: &str, batch: Batch, count: usize) -> anyhow::Result<()> {
    let escrows = bench.lock(batch, count).await?;
    let plan = bench.settlement(batch, &escrows)?;
    bench.measure(name, count, &plan, &[Role::Provider]).await?;
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
    let signed = bench.measure("rotate", 0, &plan, &[Role::Operator]).await?;
    let outpoint = OutPoint { tx: signed.id, index: 0 };
    let output = bench.world.chain.unspent(&outpoint).await?;
    bench.world.committee = Committee::read(&protocol, outpoint, output)?;
    Ok(())
}

async fn refunds(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    let escrow = bench.lock(DISTINCT, 1).await?;
    let plan = refund_plan(bench, &escrow)?;
    bench.measure("refund, alone", 1, &plan, &[Role::Operator]).await?;
    let escrows = bench.lock(DISTINCT, SOME).await?;
    let plan = refund_plan(bench, &escrows)?;
    bench.measure(&format!("refund, {SOME} at once"), SOME, &plan, &[Role::Operator]).await?;
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
            ways_out::accepts(&mut bench).await.unwrap();
            rotation(&mut bench).await.unwrap();
            runs.push(bench.world.devnet.transactions().iter().map(|applied| applied.id).collect());
            bench.finish().1.stop().await;
        }
        assert!(runs[0].len() > 5);
        assert_eq!(runs[0], runs[1]);
    }
}

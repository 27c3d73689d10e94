//! Attacks on a lease that goes on: claims, top-ups and shortenings.

mod datum;
mod end;
mod stage;

use std::time::Duration;

use nunet::{accounts::Role, world::World};
use nunet_contracts::{Consents, LeaseEvent, LeaseParty, Ntx, Rate, TxPlan, data};
use nunet_ledger::{PosixMs, Slot, TxOut};
use nunet_tests::{finish, lease::HOUR_MS};
use pallas_primitives::PlutusData;

use crate::{
    craft::{add, datum_of, edit, int, without},
    lease::stage::{END, PAID_UNTIL, Stage, WITHHELD, continued_with, parties},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_takes_whole_periods_that_have_passed() {
    let world = World::start().await.unwrap();
    let [lessee, lessor] = [Role::Requester, Role::Provider].map(|role| world.accounts.wallet(role));
    let ntx = &world.accounts.ntx;
    // It begins in two hours.
    let mut stage = Stage::set(&world, |terms| {
        terms.datum.paid_until = PosixMs(terms.datum.paid_until.0 + 2 * HOUR_MS);
        terms.datum.end = PosixMs(terms.datum.end.0 + HOUR_MS / 2);
    })
    .await;
    let start = stage.leased.lease.datum().paid_until;
    let opened = stage.now().await;
    stage.pass(5).await;
    world.devnet.advance(Duration::from_secs(45 * 60)).await.unwrap();
    let plan = stage.leased.ways().claim(stage.now().await, &Consents::none()).unwrap();
    let trial = stage.trial(plan.clone(), &[lessor, lessee]);
    let slots = world.chain.slots();
    let periods = (slots.begin(plan.valid_from.unwrap()).0 - start.0) / HOUR_MS;
    assert_eq!(periods, 3);
    stage.stands_alone(&trial).await;
    stage.continues(&trial).await;
    trial.refused("a unit of NTX more stays", |plan| add(&mut plan.outputs[0], ntx, 1)).await;
    trial.refused("the lessor does not sign", |plan| plan.required_signers.clear()).await;
    trial.refused("the lessee signs", |plan| plan.required_signers = [lessee.key_hash()].into()).await;
    trial.refused("no lower bound", |plan| plan.valid_from = None).await;
    trial
        .refused("only an upper bound", |plan| {
            plan.valid_until = Some(Slot(plan.valid_from.unwrap().0 + 50_000));
            plan.valid_from = None;
        })
        .await;
    // What is taken by the bound, the time up to which it is paid, and the NTX that is taken.
    let claims = [
        ("a period ahead", start.0 + 3 * HOUR_MS, 4, 400_000),
        ("a period's rent for none", start.0 + 3 * HOUR_MS, 3, 400_000),
        ("a period that is not over", start.0 + 3 * HOUR_MS + HOUR_MS / 2, 4, 400_000),
        ("time that is not paid for", start.0 + 3 * HOUR_MS, 2, 300_000),
        ("fewer periods than are over", start.0 + 3 * HOUR_MS, 2, 200_000),
        ("nothing", start.0 + HOUR_MS - 1_000, 0, 0),
        ("before the start, and paid for it", opened.0, -2, 200_000),
    ];
    for (attack, bound, moved, taken) in claims {
        trial
            .refused(attack, |plan| {
                plan.valid_from = Some(slots.at_or_after(PosixMs(bound)));
                let until = start.0.checked_add_signed(moved * i64::try_from(HOUR_MS).unwrap()).unwrap();
                continued_with(plan, PAID_UNTIL, until);
                add(&mut plan.outputs[0], ntx, 300_000 - taken);
            })
            .await;
    }
    // Less than nothing would be rent, and so would be withheld.
    trial
        .refused("before the start", |plan| {
            plan.valid_from = Some(slots.at_or_after(PosixMs(start.0 - HOUR_MS)));
            continued_with(plan, PAID_UNTIL, start.0 - HOUR_MS);
            continued_with(plan, WITHHELD, 100_000);
            add(&mut plan.outputs[0], ntx, 300_000);
        })
        .await;
    // A period and a half by rounding: what has begun is not rent before the lease is closed.
    trial
        .refused("a part of a period", |plan| {
            plan.valid_from = Some(slots.at_or_after(PosixMs(start.0 + HOUR_MS * 3 / 2)));
            continued_with(plan, PAID_UNTIL, start.0 + HOUR_MS * 3 / 2);
            add(&mut plan.outputs[0], ntx, 150_000);
        })
        .await;
    stage.passes(trial).await;

    // However late: nothing after the end, before which half a period is left.
    stage.pass(30).await;
    let plan = stage.leased.ways().claim(stage.now().await, &Consents::none()).unwrap();
    let trial = stage.trial(plan, &[lessor]);
    trial
        .refused("a period that ends after the lease", |plan| {
            let until = stage.leased.lease.datum().paid_until.0 + 20 * HOUR_MS;
            plan.valid_from = Some(slots.at_or_after(PosixMs(until)));
            continued_with(plan, PAID_UNTIL, until);
            add(&mut plan.outputs[0], ntx, -100_000);
        })
        .await;
    stage.passes(trial).await;
    finish(world).await;
}

/// A period is no whole number of slots, so that every claim leaves a part of one: it is not lost, nor paid twice.
#[tokio::test(flavor = "multi_thread")]
async fn many_tiny_claims_take_what_one_claim_takes() {
    let world = World::start().await.unwrap();
    let lessor = world.accounts.wallet(Role::Provider);
    let mut stage = Stage::set(&world, |terms| {
        terms.datum.rate = Rate::new(Ntx(7), 1_700).unwrap();
        terms.rent = Ntx(1_000_000);
    })
    .await;
    let (start, rent) = (stage.leased.lease.datum().paid_until, stage.leased.lease.state.rent());
    stage.pass(1).await;
    for seconds in [2, 3, 4, 6, 7, 9, 12, 15, 19, 30, 60, 601] {
        let plan = stage.leased.ways().claim(PosixMs(start.0 + seconds * 1_000), &Consents::none());
        // Some seconds bring no whole period.
        let Ok(plan) = plan else { continue };
        let trial = stage.trial(plan, &[lessor]);
        trial.refused("a unit by rounding", |plan| add(&mut plan.outputs[0], &world.accounts.ntx, -1)).await;
        trial
            .refused("a slot's time by rounding", |plan| {
                let until = data::as_u64("paid until", &fields_of(&plan.outputs[0])[PAID_UNTIL]).unwrap();
                continued_with(plan, PAID_UNTIL, until - 1);
            })
            .await;
        stage.passes(trial).await;
        let periods = seconds * 1_000 / 1_700;
        assert_eq!(stage.leased.lease.state.rent(), Ntx(rent.0 - 7 * periods), "after {seconds} s");
        assert_eq!(stage.leased.lease.datum().paid_until, PosixMs(start.0 + 1_700 * periods));
    }
    finish(world).await;
}

fn fields_of(output: &TxOut) -> Vec<PlutusData> {
    let mut fields = Vec::new();
    edit(&mut datum_of(output), |all| fields.clone_from(all));
    fields
}

#[tokio::test(flavor = "multi_thread")]
async fn a_top_up_is_the_lessees_and_no_dust() {
    let world = World::start().await.unwrap();
    let [lessee, lessor] = [Role::Requester, Role::Provider].map(|role| world.accounts.wallet(role));
    let ntx = &world.accounts.ntx;
    let mut stage = Stage::set(&world, |_| {}).await;
    let plan = stage.leased.ways().top_up(Ntx(100_000), &Consents::none()).unwrap();
    let trial = stage.trial(plan, &[lessee, lessor]);
    stage.stands_alone(&trial).await;
    stage.continues(&trial).await;
    trial.refused("nothing is added", |plan| add(&mut plan.outputs[0], ntx, -100_000)).await;
    trial.refused("rent is taken", |plan| add(&mut plan.outputs[0], ntx, -200_000)).await;
    trial
        .refused("a token of NTX's name is added", |plan| {
            add(&mut plan.outputs[0], ntx, -100_000);
            add(&mut plan.outputs[0], &stage.junk.same_name, 100_000);
        })
        .await;
    trial
        .refused("another token of NTX's policy is added", |plan| {
            add(&mut plan.outputs[0], ntx, -100_000);
            add(&mut plan.outputs[0], &stage.junk.same_policy, 100_000);
        })
        .await;
    trial.refused("a stranger adds", |plan| plan.required_signers.clear()).await;
    trial.refused("the lessor adds", |plan| plan.required_signers = [lessor.key_hash()].into()).await;
    stage.passes(trial).await;
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_shortened_with_notice_and_never_into_the_past() {
    let world = World::start().await.unwrap();
    let [operator, lessee, lessor] =
        [Role::Operator, Role::Requester, Role::Provider].map(|role| world.accounts.wallet(role));
    let mut stage = Stage::set(&world, |_| {}).await;
    stage.pass(6).await;
    let slots = world.chain.slots();
    let ends_at = |plan: &mut TxPlan, end: u64| {
        edit(plan.spends[0].redeemer.as_mut().unwrap(), |fields| fields[0] = data::int(end));
        continued_with(plan, END, end);
    };
    for (by, hours) in [(LeaseParty::Lessee, 8), (LeaseParty::Lessor, 3)] {
        let time = stage.now().await;
        let end = PosixMs(time.0 + hours * HOUR_MS);
        let plan = stage.leased.ways().shorten(by, end, time, &Consents::none()).unwrap();
        let upper = slots.begin(plan.valid_until.unwrap());
        let before = stage.leased.lease.datum().end;
        let notice = stage.leased.lease.state.notice_ms(by);
        let trial = stage.trial(plan, &[lessee, lessor]);
        stage.stands_alone(&trial).await;
        stage.continues(&trial).await;
        trial.refused("no upper bound", |plan| plan.valid_until = None).await;
        trial
            .refused("only a lower bound", |plan| {
                plan.valid_until = None;
                plan.valid_from = Some(slots.at(PosixMs(time.0 - HOUR_MS)));
            })
            .await;
        trial
            .refused("a bound later than the notice allows", |plan| {
                plan.valid_until = Some(slots.at_or_after(PosixMs(end.0 - notice + 1)));
            })
            .await;
        trial.refused("a millisecond too soon", |plan| ends_at(plan, upper.0 + notice - 1)).await;
        trial.refused("in the past", |plan| ends_at(plan, time.0 - HOUR_MS)).await;
        trial.refused("where it is", |plan| ends_at(plan, before.0)).await;
        trial.refused("later", |plan| ends_at(plan, before.0 + HOUR_MS)).await;
        trial.refused("nobody signs", |plan| plan.required_signers.clear()).await;
        trial.refused("a stranger signs", |plan| plan.required_signers = [operator.key_hash()].into()).await;
        trial
            .refused("another end than is told", |plan| {
                edit(plan.spends[0].redeemer.as_mut().unwrap(), |fields| fields[0] = data::int(end.0 + 1));
            })
            .await;
        if by == LeaseParty::Lessor {
            trial
                .refused("the lessee does without notice", |plan| {
                    plan.required_signers = [lessee.key_hash()].into();
                    ends_at(plan, upper.0 + HOUR_MS - 1);
                })
                .await;
        }
        // A bound that has passed is none that the ledger takes.
        trial
            .breaks("OutsideValidityIntervalUTxO", "a stale bound", |plan| {
                plan.valid_until = Some(slots.at(PosixMs(time.0 - HOUR_MS)));
            })
            .await;
        stage.passes(trial).await;
    }
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_must_agree_about_a_lease() {
    let world = World::start().await.unwrap();
    let [lessee, lessor] = [Role::Requester, Role::Provider].map(|role| world.accounts.wallet(role));
    let mut stage = Stage::set(&world, |_| {}).await;
    let plan = stage.leased.ways().agree(vec![], &Consents::none()).unwrap();
    let trial = stage.trial(plan, &[lessee, lessor]);
    for who in parties(&world) {
        trial.refused("one does not sign", |plan| without(plan, who)).await;
    }
    for action in [6, 0, 4] {
        trial.refused("another action", |plan| plan.spends[0].redeemer = Some(data::constr(action, vec![]))).await;
    }
    trial.refused("an argument that is none", |plan| plan.spends[0].redeemer = Some(int(5))).await;
    assert_eq!(stage.passes(trial).await, LeaseEvent::Agreed);
    finish(world).await;
}

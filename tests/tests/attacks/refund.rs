//! Attacks on refunds and accepts: early, unbounded, to others, or without those who have a say.

use std::time::Duration;

use nunet::{accounts::Role, world::World};
use nunet_contracts::{
    Consents, EscrowTerms, JobDatum, Ntx, TxPlan,
    transactions::{accept, refund},
};
use nunet_ledger::{Lovelace, PosixMs, Slot};
use pallas_primitives::PlutusData;

use crate::{
    craft::{Junk, edit_action, edit_list, int, job, lock, person, person_with_stake, without},
    payouts,
    trial::Trial,
};

/// Changes the list of the merged payouts' places.
fn providers(plan: &mut TxPlan, change: impl FnOnce(&mut Vec<PlutusData>)) {
    edit_action(plan, |fields| edit_list(&mut fields[1], change));
}

/// The merged payouts of accepts and refunds are told alike.
async fn places_are_the_providers(trial: &Trial<'_>) {
    trial.refused("the other provider's payout", |plan| providers(plan, |places| places[0] = int(1))).await;
    trial.refused("a payout after the merged ones", |plan| providers(plan, |places| places[0] = int(2))).await;
    trial.refused("no payout", |plan| providers(plan, |places| places[0] = int(-1))).await;
    trial.refused("a negative payout", |plan| providers(plan, |places| places[0] = int(-2))).await;
    trial.refused("an escrow left out", |plan| providers(plan, |places| drop(places.pop()))).await;
    trial.refused("no escrow told", |plan| providers(plan, Vec::clear)).await;
    trial.refused("an escrow too many", |plan| providers(plan, |places| places.push(int(-1)))).await;
    for count in [0, 1, 3, -1] {
        let attack = format!("{count} merged payouts");
        trial.refused(&attack, |plan| edit_action(plan, |fields| fields[0] = int(count))).await;
    }
    trial.refused("a field too many", |plan| edit_action(plan, |fields| fields.push(int(0)))).await;
}

/// Three jobs for two providers, each with a bond and a carry.
async fn jobs(world: &World, change: impl Fn(&mut JobDatum)) -> Vec<EscrowTerms> {
    let bonded = |datum: &mut JobDatum| {
        datum.bond = Ntx(1_000_000);
        datum.carry = Lovelace(1_300_000);
        change(datum);
    };
    let second = |datum: &mut JobDatum| {
        bonded(datum);
        datum.provider = person(52);
    };
    vec![job(world, 1, bonded).await, job(world, 2, second).await, job(world, 3, bonded).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refund_is_exact_and_not_early() {
    let world = World::start().await.unwrap();
    let junk = Junk::mint(&world).await;
    let operator = world.accounts.wallet(Role::Operator);
    let slots = world.chain.slots();
    let soon = PosixMs(world.chain.tip().await.unwrap().time.0 + 600_000);
    let mut terms = jobs(&world, |datum| datum.deadline = soon).await;
    terms[1].datum.requester = person_with_stake(2);
    // The last one a little later than the others.
    terms[2].datum.deadline = PosixMs(soon.0 + 1_500);
    let escrows = lock(&world, &terms).await;
    let good = refund(&world.deployment, &world.chain.params(), &slots, &escrows).unwrap();
    let trial = Trial::of(&world, good.clone(), &[operator]);
    trial.breaks_attempt("OutsideValidityIntervalUTxO", "before the deadline", good.clone()).await;
    let now = world.chain.tip().await.unwrap().slot;
    trial.refused("from now on", |plan| plan.valid_from = Some(now)).await;

    world.devnet.advance(Duration::from_secs(603)).await.unwrap();
    trial.refused("without a lower bound", |plan| plan.valid_from = None).await;
    trial
        .refused("only an upper bound", |plan| {
            plan.valid_from = None;
            plan.valid_until = Some(Slot(now.0 + 1_000));
        })
        .await;
    trial
        .refused("a slot before the last deadline", |plan| {
            plan.valid_from = plan.valid_from.map(|slot| Slot(slot.0 - 1));
        })
        .await;
    // Outputs: two merged ones of providers, three of requesters.
    payouts::are_exact(&world, &junk, &trial, 0..5).await;
    for place in 0..5 {
        payouts::owes_its_lovelace(&trial, place).await;
    }
    places_are_the_providers(&trial).await;
    trial.passes().await;
    nunet_tests::finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_accept_is_exact_and_wanted() {
    let world = World::start().await.unwrap();
    let junk = Junk::mint(&world).await;
    let [operator, requester, treasury] =
        [Role::Operator, Role::Requester, Role::Treasury].map(|role| world.accounts.wallet(role));
    let mut terms = jobs(&world, |datum| datum.requester = requester.enterprise_address()).await;
    terms[1].datum.requester = treasury.address();
    let escrows = lock(&world, &terms).await;
    let good = accept(&world.deployment, &world.chain.params(), &escrows, &Consents::none()).unwrap();
    let trial = Trial::of(&world, good, &[operator, requester, treasury]);
    payouts::are_exact(&world, &junk, &trial, 0..2).await;
    for place in 0..2 {
        payouts::owes_its_lovelace(&trial, place).await;
    }
    places_are_the_providers(&trial).await;
    for who in [requester, treasury] {
        trial.refused("one does not sign", |plan| without(plan, who.key_hash())).await;
    }
    trial
        .refused("somebody else signs instead", |plan| {
            plan.required_signers.remove(&treasury.key_hash());
            plan.required_signers.insert(operator.key_hash());
        })
        .await;
    trial.passes().await;
    nunet_tests::finish(world).await;
}

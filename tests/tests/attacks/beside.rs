//! What else a transaction does beside a way out: another contract's input, withdrawal or mint, or a lease, any of which
//! might count an output that counts here.

use std::time::Duration;

use nunet::{accounts::Role, deployment::deploy, world::World};
use nunet_contracts::{
    Closer, Consents, Escrow, JobDatum, Mint, Ntx, Protocol, Spend, TxPlan, Voucher, data,
    transactions::{accept, agree, escrow_output, redeem, refund},
};
use nunet_devnet::ntx_policy;
use nunet_ledger::{Lovelace, NetworkMagic, OutPoint, PosixMs, TxOut, Value};
use nunet_tests::{
    attempt::{Answer, Attempt},
    finish,
    lease::{HOUR_MS, Leased, lease_terms, now},
    verdict,
};

use crate::{
    craft::{
        add, add_lovelace, address_of, edit, edit_action, int, job, job_of_wallets, leaf, lock, mint_foreign, person,
        put, register, set_datum, settlement_of, spend_foreign, withdrawal_of, without, yes,
    },
    trial::Trial,
};

/// Another contract's outputs: one without a datum, and one whose datum is that of an escrow.
async fn foreign(world: &World, like: &Escrow) -> [(OutPoint, TxOut); 2] {
    let bare = TxOut::new(address_of(&yes()), Value::lovelace_only(Lovelace(2_000_000)));
    let mut alike = like.output.clone();
    alike.address = address_of(&yes());
    let made = put(world, vec![bare, alike]).await;
    made.try_into().unwrap()
}

/// Nothing that another script allows may happen beside this way out.
async fn stands_alone(world: &World, trial: &Trial<'_>, foreign: &[(OutPoint, TxOut); 2]) {
    trial.refused("another script's output without a datum is spent", |plan| spend_foreign(plan, &foreign[0])).await;
    trial.refused("another script's output like an escrow is spent", |plan| spend_foreign(plan, &foreign[1])).await;
    trial
        .refused("another script withdraws", |plan| {
            plan.withdrawals.push(withdrawal_of(&yes()));
            plan.scripts.push(yes());
        })
        .await;
    trial.refused("another script mints", mint_foreign).await;
    let ntx = world.accounts.ntx.clone();
    for (quantity, attack) in [(1, "NTX is minted"), (-1, "NTX is burnt")] {
        trial
            .refused(attack, |plan| {
                plan.mints.push(Mint { asset: ntx.clone(), quantity, redeemer: None });
                plan.scripts.push(ntx_policy(world.accounts.wallet(Role::Operator).key_hash()));
            })
            .await;
    }
}

/// An escrow between wallets.
async fn lock_one(world: &World, change: impl FnOnce(&mut JobDatum)) -> Escrow {
    let terms = job_of_wallets(world, change).await;
    lock(world, &[terms]).await.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_else_happens_beside_a_way_out() {
    let world = World::start().await.unwrap();
    let soon = PosixMs(now(&world).await.unwrap().0 + HOUR_MS);
    register(&world, &yes()).await;
    let params = world.chain.params();
    let [operator, requester, provider] =
        [Role::Operator, Role::Requester, Role::Provider].map(|role| world.accounts.wallet(role));

    let escrow = lock_one(&world, |_| {}).await;
    let foreign = foreign(&world, &escrow).await;
    let only = std::slice::from_ref(&escrow);
    let settled = settlement_of(&world, &verdict(&world, vec![leaf(&escrow, 3_000_000, 0)]).unwrap(), only);
    let trial = Trial::of(&world, settled, &[operator]);
    stands_alone(&world, &trial, &foreign).await;
    trial.passes().await;

    let escrow = lock_one(&world, |_| {}).await;
    let only = std::slice::from_ref(&escrow);
    let accepted = accept(&world.deployment, &params, only, &Consents::none()).unwrap();
    let trial = Trial::of(&world, accepted, &[operator, requester]);
    stands_alone(&world, &trial, &foreign).await;
    trial.passes().await;

    let escrow = lock_one(&world, |_| {}).await;
    let until = world.chain.slots().at(escrow.datum.deadline);
    let declined = [(escrow, Voucher::DECLINE)];
    let redeemed = redeem(&world.deployment, &params, &declined, &Consents::none(), until).unwrap();
    let trial = Trial::of(&world, redeemed, &[operator, provider]);
    stands_alone(&world, &trial, &foreign).await;
    trial.passes().await;

    let escrow = lock_one(&world, |datum| datum.deadline = soon).await;
    world.devnet.advance(Duration::from_millis(HOUR_MS + 1_000)).await.unwrap();
    let refunded = refund(&world.deployment, &params, &world.chain.slots(), std::slice::from_ref(&escrow)).unwrap();
    let trial = Trial::of(&world, refunded, &[operator]);
    stands_alone(&world, &trial, &foreign).await;
    trial.passes().await;
    finish(world).await;
}

/// Where both agree, anything may happen beside, but not to an output of anybody else's.
#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_covers_only_escrows_of_those_who_agree() {
    let world = World::start().await.unwrap();
    register(&world, &yes()).await;
    let signers = [Role::Operator, Role::Requester, Role::Provider].map(|role| world.accounts.wallet(role));
    let escrow = lock_one(&world, |_| {}).await;
    let theirs = lock(&world, &[job(&world, 9, |_| {}).await]).await.remove(0);
    let [bare, alike] = foreign(&world, &escrow).await;
    let mut good = agree(&world.deployment, std::slice::from_ref(&escrow), vec![], &Consents::none()).unwrap();
    mint_foreign(&mut good);
    good.withdrawals.push(withdrawal_of(&yes()));
    // Its datum names the same two.
    good.spends.push(Spend { outpoint: alike.0, output: alike.1, redeemer: Some(int(0)) });
    let trial = Trial::of(&world, good, &signers);
    trial
        .refused("another script's output without a datum", |plan| {
            plan.spends.push(Spend { outpoint: bare.0, output: bare.1, redeemer: Some(int(0)) });
        })
        .await;
    trial
        .refused("an escrow of other people", |plan| {
            let redeemer = plan.spends[0].redeemer.clone();
            plan.spends.push(Spend { outpoint: theirs.outpoint, output: theirs.output, redeemer });
        })
        .await;
    for who in &signers[1..] {
        trial.refused("one does not sign", |plan| without(plan, who.key_hash())).await;
    }
    trial.passes().await;
    finish(world).await;
}

/// A lease and an escrow are both to pay the provider, who gets one output.
#[tokio::test(flavor = "multi_thread")]
async fn one_output_does_not_pay_for_an_escrow_and_a_lease() {
    let world = World::start().await.unwrap();
    let [operator, requester, provider] =
        [Role::Operator, Role::Requester, Role::Provider].map(|role| world.accounts.wallet(role));
    let mut terms = lease_terms(&world).await.unwrap();
    terms.datum.carry = Lovelace(0);
    terms.datum.deposit = Lovelace(0);
    terms.rent = Ntx(0);
    terms.tip = Lovelace(3_000_000);
    let leased = Leased::open(&world, &terms).await.unwrap();
    world.devnet.advance(Duration::from_millis(27 * HOUR_MS)).await.unwrap();
    let closed = leased.ways().close(now(&world).await.unwrap(), Closer::Anyone).unwrap();
    // The bond of 0.5 NTX goes to the lessor, which is all that the provider gets for the escrow.
    let escrow = lock_one(&world, |datum| {
        datum.requester = person(1);
        datum.fee = Ntx(0);
    })
    .await;
    let paid = vec![leaf(&escrow, 500_000, 0)];
    let settled = settlement_of(&world, &verdict(&world, paid).unwrap(), std::slice::from_ref(&escrow));
    assert_eq!((&closed.outputs[0].address, closed.outputs[0].value.quantity(&world.accounts.ntx)), {
        (&settled.outputs[0].address, settled.outputs[0].value.quantity(&world.accounts.ntx))
    });
    let beside = |escrow: &TxPlan, lease: &TxPlan| {
        let mut both = escrow.clone();
        both.spends.extend(lease.spends.clone());
        both.references.extend(lease.references.clone());
        both.valid_from = lease.valid_from;
        both.required_signers.extend(&lease.required_signers);
        both
    };
    let signers = [operator, requester, provider];
    let protocol = &world.deployment.protocol;
    let trial = Trial::of(&world, settled.clone(), &signers);
    trial.refused_attempt("settled and closed", fixed(&world, beside(&settled, &closed))).await;
    let mut agreed = leased.ways().agree(vec![], &Consents::none()).unwrap();
    agreed.valid_from = closed.valid_from;
    let attempt = fixed(&world, beside(&settled, &agreed));
    let by = trial.refused_attempt("settled and agreed about", attempt).await;
    assert_eq!(by, protocol.logic_hash(), "the lease has nothing against it");

    // The escrow's two agree, and the lease is closed beside.
    let escrow = lock_one(&world, |_| {}).await;
    let both = agree(&world.deployment, std::slice::from_ref(&escrow), closed.outputs.clone(), &Consents::none());
    let by = trial.refused_attempt("agreed about and closed", beside(&both.unwrap(), &closed)).await;
    assert_eq!(by, protocol.lease_hash());
    trial.passes().await;
    let trial = Trial::of(&world, closed, &signers);
    trial.passes().await;
    finish(world).await;
}

/// More references move the committee's place.
fn fixed(world: &World, mut plan: TxPlan) -> Attempt {
    let place = plan.references.iter().filter(|(outpoint, _)| *outpoint < world.committee.outpoint).count();
    edit_action(&mut plan, |fields| fields[0] = int(i64::try_from(place).unwrap()));
    plan.into()
}

/// Two jobs of one requester, who gets one output; its NTX is as much as one of them returns, or its lovelace is.
#[tokio::test(flavor = "multi_thread")]
async fn one_output_does_not_pay_for_two_escrows() {
    let world = World::start().await.unwrap();
    let soon = PosixMs(now(&world).await.unwrap().0 + HOUR_MS);
    let same = |datum: &mut JobDatum| {
        datum.requester = person(1);
        datum.deadline = soon;
    };
    let escrows = lock(&world, &[job(&world, 1, same).await, job(&world, 2, same).await]).await;
    let operator = world.accounts.wallet(Role::Operator);
    let leaves = escrows.iter().map(|escrow| leaf(escrow, 3_000_000, 0)).collect();
    let settled = settlement_of(&world, &verdict(&world, leaves).unwrap(), &escrows);
    let ntx = &world.accounts.ntx;
    let trial = Trial::of(&world, settled, &[operator]);
    // Outputs: treasury, and merged ones, each of two shares.
    for place in 0..3 {
        let half = |output: &mut TxOut| {
            let held = output.value.quantity(ntx);
            add(output, ntx, -i64::try_from(held / 2).unwrap());
        };
        trial.refused(&format!("payout {place} pays for one"), |plan| half(&mut plan.outputs[place])).await;
    }
    // Each in an output of its own, by short items: but there is only one.
    let short = |plan: &mut TxPlan| {
        edit_action(plan, |fields| {
            fields[3] = int(1);
            fields[4] = data::list(vec![int(0), int(0)]);
        });
        let requester = plan.outputs.iter().position(|output| output.address == person(1)).unwrap();
        let mut one = plan.outputs.remove(requester);
        add(&mut one, ntx, -2_000_000);
        plan.outputs.push(one);
    };
    trial.refused("two short items, one output", short).await;

    world.devnet.advance(Duration::from_millis(HOUR_MS + 1_000)).await.unwrap();
    let params = world.chain.params();
    let refunded = refund(&world.deployment, &params, &world.chain.slots(), &escrows).unwrap();
    let refunds = Trial::of(&world, refunded, &[operator]);
    refunds.refused("one refund for two", |plan| drop(plan.outputs.pop())).await;
    refunds
        .refused("one refund of twice as much", |plan| {
            plan.outputs.pop();
            let output = &mut plan.outputs[0];
            add(output, ntx, 5_500_000);
            add_lovelace(output, 1_500_000);
        })
        .await;
    refunds.passes().await;
    finish(world).await;
}

/// The logic spends nothing of its own: without an escrow it refuses, so that its withdrawal means nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_logic_does_not_run_for_nothing() {
    let world = World::start().await.unwrap();
    let escrow = lock_one(&world, |_| {}).await;
    let signers = [Role::Operator, Role::Requester, Role::Provider].map(|role| world.accounts.wallet(role));
    let good = agree(&world.deployment, std::slice::from_ref(&escrow), vec![], &Consents::none()).unwrap();
    let trial = Trial::of(&world, good, &signers);
    trial.refused("no escrow", |plan| plan.spends.clear()).await;
    let [bare, _] = foreign(&world, &escrow).await;
    let mut other = bare.1.clone();
    set_datum(&mut other, &int(0));
    trial
        .refused("only another script's output", |plan| {
            plan.spends.clear();
            spend_foreign(plan, &bare);
        })
        .await;
    trial.passes().await;
    finish(world).await;
}

/// Two versions of the protocol stand beside each other on a network, and the scripts of both read the same outputs.
#[tokio::test(flavor = "multi_thread")]
async fn one_output_does_not_pay_for_escrows_of_two_versions() {
    let world = World::start().await.unwrap();
    let [operator, requester] = [Role::Operator, Role::Requester].map(|role| world.accounts.wallet(role));
    // Another parameter makes another script.
    let newer = Protocol::new(NetworkMagic(43), world.accounts.ntx.clone()).unwrap();
    let newer = deploy(&world.chain, &newer, operator).await.unwrap();
    let of_requester = |datum: &mut JobDatum| datum.requester = requester.enterprise_address();
    let terms = job(&world, 1, of_requester).await;
    let old = lock(&world, std::slice::from_ref(&terms)).await.remove(0);
    let output = escrow_output(&newer.protocol, &terms).unwrap();
    let (outpoint, output) = put(&world, vec![output]).await.remove(0);
    let new = Escrow::read(&newer.protocol, outpoint, output).unwrap();
    let params = world.chain.params();
    let accepted = |deployment, escrow: &Escrow| {
        accept(deployment, &params, std::slice::from_ref(escrow), &Consents::none()).unwrap()
    };
    let (old, new) = (accepted(&world.deployment, &old), accepted(&newer, &new));
    assert_eq!(old.outputs, new.outputs);
    let mut once = old.clone();
    once.spends.extend(new.spends.clone());
    once.references.extend(new.references.clone());
    once.withdrawals.extend(new.withdrawals.clone());
    let mut twice = once.clone();
    add(&mut twice.outputs[0], &world.accounts.ntx, 5_000_000);
    for withdrawal in &mut twice.withdrawals {
        let both = data::list(vec![int(0), int(0)]);
        edit(withdrawal.redeemer.as_mut().unwrap(), |fields| fields[1] = both);
    }
    let logics = [world.deployment.protocol.logic_hash(), newer.protocol.logic_hash()];
    for (attack, plan) in [("each counts its own", once), ("each counts both", twice)] {
        let answer = Attempt::from(plan).send(&world, &[operator, requester]).await.unwrap();
        let by_a_logic = matches!(&answer, Answer::Refused { by, .. } if logics.contains(by));
        assert!(by_a_logic, "{attack}: {answer:?}");
    }
    // Each by itself is accepted.
    for plan in [old, new] {
        Trial::of(&world, plan, &[operator, requester]).passes().await;
    }
    finish(world).await;
}

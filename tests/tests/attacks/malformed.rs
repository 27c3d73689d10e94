//! Datums that are none, and dust at the escrow address: they block nobody, and nobody takes anything by them.

use std::time::Duration;

use nunet::{accounts::Role, world::World};
use nunet_contracts::{
    Consents, Escrow, JobDatum, Ntx, Spend, TxPlan, Voucher, data,
    transactions::{accept, agree, redeem, refund},
};
use nunet_ledger::{Datum, Lovelace, PosixMs, TxOut, Value, hash::blake2b_256};
use nunet_tests::{attempt::Attempt, finish, verdict};
use pallas_primitives::PlutusData;

use crate::{
    craft::{
        Damage, Junk, add, datum_of, edit, int, job, job_of_wallets, leaf, lock_changed, put, set_datum, set_field,
        settlement_of,
    },
    trial::Trial,
};

/// Changes the fields of a datum.
fn fields(output: &mut TxOut, change: impl FnOnce(&mut Vec<PlutusData>)) {
    let mut datum = datum_of(output);
    edit(&mut datum, change);
    set_datum(output, &datum);
}

/// Damaged datums that no way out takes.
const DAMAGED: [(&str, Damage); 9] = [
    ("no datum", |output| output.datum = None),
    ("a number", |output| set_datum(output, &int(0))),
    ("bytes", |output| set_datum(output, &data::bytes(&[1; 32]))),
    ("a list", |output| set_datum(output, &data::list(vec![int(0)]))),
    ("a constructor without fields", |output| set_datum(output, &data::constr(0, vec![]))),
    ("no requester", |output| set_field(output, 0, int(0))),
    ("no provider", |output| set_field(output, 1, data::bytes(&[7; 28]))),
    ("one address alone", |output| fields(output, |fields| fields.truncate(1))),
    ("a requester without a credential", |output| set_field(output, 0, data::constr(0, vec![int(0), int(0)]))),
];

/// Damaged datums that no way out takes which pays by them.
const UNPAYABLE: [(&str, Damage); 8] = [
    ("eight fields", |output| fields(output, |fields| fields.truncate(8))),
    ("a price of bytes", |output| set_field(output, 2, data::bytes(&[1]))),
    ("a fee of bytes", |output| set_field(output, 3, data::bytes(&[1]))),
    ("a bond of bytes", |output| set_field(output, 4, data::bytes(&[1]))),
    ("a deposit that is a list", |output| set_field(output, 5, data::list(vec![]))),
    ("a carry that is a constructor", |output| set_field(output, 6, data::constr(0, vec![]))),
    ("a price beyond 64 bits", |output| {
        set_field(output, 2, data::from_cbor("2^64", &[0xc2, 0x49, 1, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap());
    }),
    ("another bond", |output| set_field(output, 4, int(1))),
];

/// Damaged datums that the ways out without a verdict do not take.
const UNFINISHED: [(&str, Damage); 2] = [
    ("ten fields", |output| fields(output, |fields| drop(fields.pop()))),
    ("twelve fields", |output| fields(output, |fields| fields.push(int(0)))),
];

/// An honest escrow and damaged ones, all of them taken for honest.
struct Wreck {
    honest: Escrow,
    sound: Escrow,
    damaged: Vec<(&'static str, Escrow)>,
}

impl Wreck {
    async fn lock(world: &World, damages: &[&[(&'static str, Damage)]], change: impl FnOnce(&mut JobDatum)) -> Self {
        let damages = damages.concat();
        let terms = job_of_wallets(world, change).await;
        let mut locked = lock_changed(world, &vec![terms; 2 + damages.len()], |outputs| {
            for (output, (_, damage)) in outputs[2..].iter_mut().zip(&damages) {
                damage(output);
            }
        })
        .await;
        let damaged = damages.iter().map(|(name, _)| *name).zip(locked.split_off(2)).collect();
        let sound = locked.remove(1);
        Self { honest: locked.remove(0), sound, damaged }
    }

    /// Whatever the way out: the damaged ones leave by it neither alone nor in a batch; without them the batch does.
    async fn stays(&self, world: &World, way_out: impl Fn(&[Escrow]) -> TxPlan) {
        let signers = [Role::Operator, Role::Requester, Role::Provider].map(|role| world.accounts.wallet(role));
        let trial = Trial::of(world, way_out(&[self.honest.clone(), self.sound.clone()]), &signers);
        for (damage, escrow) in &self.damaged {
            let alone = way_out(std::slice::from_ref(escrow));
            trial.refused_attempt(&format!("{damage}, alone"), alone).await;
            let batch = way_out(&[self.honest.clone(), escrow.clone()]);
            trial.refused_attempt(&format!("{damage}, in a batch"), batch).await;
        }
        trial.passes().await;
    }
}

/// With a bond, the provider gets something by every way out.
fn bonded(datum: &mut JobDatum) {
    datum.bond = Ntx(1_000_000);
    datum.carry = Lovelace(1_500_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_damaged_escrow_is_settled() {
    let world = World::start().await.unwrap();
    let wreck = Wreck::lock(&world, &[&DAMAGED, &UNPAYABLE], bonded).await;
    wreck
        .stays(&world, |escrows| {
            let leaves = escrows.iter().map(|escrow| leaf(escrow, 3_000_000, 0)).collect();
            settlement_of(&world, &verdict(&world, leaves).unwrap(), escrows)
        })
        .await;
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_damaged_escrow_is_accepted() {
    let world = World::start().await.unwrap();
    let wreck = Wreck::lock(&world, &[&DAMAGED, &UNPAYABLE, &UNFINISHED], bonded).await;
    let params = world.chain.params();
    wreck.stays(&world, |escrows| accept(&world.deployment, &params, escrows, &Consents::none()).unwrap()).await;
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_damaged_escrow_is_redeemed() {
    let world = World::start().await.unwrap();
    let wreck = Wreck::lock(&world, &[&DAMAGED, &UNPAYABLE, &UNFINISHED], |_| {}).await;
    let (params, until) = (world.chain.params(), world.chain.slots().at(wreck.honest.datum.deadline));
    wreck
        .stays(&world, |escrows| {
            let declined: Vec<_> = escrows.iter().map(|escrow| (escrow.clone(), Voucher::DECLINE)).collect();
            redeem(&world.deployment, &params, &declined, &Consents::none(), until).unwrap()
        })
        .await;
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_damaged_escrow_is_refunded() {
    let world = World::start().await.unwrap();
    let soon = PosixMs(world.chain.tip().await.unwrap().time.0 + 600_000);
    let overdue = |datum: &mut JobDatum| {
        bonded(datum);
        datum.deadline = soon;
    };
    let wreck = Wreck::lock(&world, &[&DAMAGED, &UNPAYABLE, &UNFINISHED], overdue).await;
    world.devnet.advance(Duration::from_secs(601)).await.unwrap();
    let (params, slots) = (world.chain.params(), world.chain.slots());
    wreck.stays(&world, |escrows| refund(&world.deployment, &params, &slots, escrows).unwrap()).await;
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_damaged_escrow_is_agreed_about() {
    let world = World::start().await.unwrap();
    let wreck = Wreck::lock(&world, &[&DAMAGED], bonded).await;
    wreck.stays(&world, |escrows| agree(&world.deployment, escrows, vec![], &Consents::none()).unwrap()).await;
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_escrow_with_a_hashed_datum_leaves() {
    let world = World::start().await.unwrap();
    let wreck = Wreck::lock(&world, &[&[("a hashed datum", hash)]], bonded).await;
    let datum = datum_of(&wreck.honest.output);
    let signers = [Role::Operator, Role::Requester, Role::Provider].map(|role| world.accounts.wallet(role));
    let hashed = &wreck.damaged[0].1;
    let params = world.chain.params();
    let settled = |escrow: &Escrow| {
        settlement_of(&world, &verdict(&world, vec![leaf(escrow, 0, 0)]).unwrap(), std::slice::from_ref(escrow))
    };
    let accepted =
        |escrow: &Escrow| accept(&world.deployment, &params, std::slice::from_ref(escrow), &Consents::none()).unwrap();
    let agreed =
        |escrow: &Escrow| agree(&world.deployment, std::slice::from_ref(escrow), vec![], &Consents::none()).unwrap();
    let trial = Trial::of(&world, settled(&wreck.honest), &signers);
    for (way_out, plan) in
        [("settled", settled(hashed)), ("accepted", accepted(hashed)), ("agreed about", agreed(hashed))]
    {
        // The ledger wants to see what the hash is of; the validator wants it in the output.
        trial.breaks_attempt("MissingRequiredDatums", way_out, plan.clone()).await;
        let shown = Attempt { datum: Some(datum.clone()), ..plan.into() };
        trial.refused_attempt(way_out, shown).await;
    }
    trial.passes().await;
    finish(world).await;
}

fn hash(output: &mut TxOut) {
    let Some(Datum::Inline(cbor)) = &output.datum else { panic!("no inline datum") };
    output.datum = Some(Datum::Hash(blake2b_256(cbor)));
}

/// Anybody can send anything to the address. It stays there, or is the builder's; honest escrows leave beside it.
#[tokio::test(flavor = "multi_thread")]
async fn dust_at_the_escrow_address_blocks_nobody() {
    let world = World::start().await.unwrap();
    let junk = Junk::mint(&world).await;
    let address = world.deployment.protocol.escrow_address();
    let bare = |lovelace| TxOut::new(address.clone(), Value::lovelace_only(Lovelace(lovelace)));
    let mut crowded = bare(2_000_000);
    add(&mut crowded, &junk.same_name, 1);
    add(&mut crowded, &junk.same_policy, 1);
    let terms = job(&world, 1, |_| {}).await;
    let mut dust = put(&world, vec![bare(1_000_000), crowded]).await;
    // An honest escrow into which its locker has put something else.
    let escrow = lock_changed(&world, &[terms], |outputs| add(&mut outputs[0], &junk.same_name, 5)).await.remove(0);
    let verdict = verdict(&world, vec![leaf(&escrow, 3_000_000, 0)]).unwrap();
    let good = settlement_of(&world, &verdict, std::slice::from_ref(&escrow));
    let trial = Trial::of(&world, good, &[world.accounts.wallet(Role::Operator)]);
    for (outpoint, output) in dust.drain(..) {
        trial
            .refused("dust in the batch", |plan| {
                let redeemer = plan.spends[0].redeemer.clone();
                plan.spends.push(Spend { outpoint, output, redeemer });
            })
            .await;
    }
    trial.passes().await;
    finish(world).await;
}

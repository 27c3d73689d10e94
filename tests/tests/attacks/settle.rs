//! Attacks on settlements: on payouts, items, amounts and signatures.

use ed25519_dalek::{Signer, SigningKey};
use nunet::{accounts::Role, world::World};
use nunet_contracts::{Escrow, JobDatum, Leaf, Ntx, TxPlan, Verdict, data, verdict::MAX_LEAVES};
use nunet_ledger::{Lovelace, OutPoint, TxId, hash::blake2b_256};
use nunet_tests::{finish, verdict};
use pallas_primitives::PlutusData;

use crate::{
    craft::{
        ENOUGH, Edit, Junk, add, edit, edit_action, edit_list, int, job, leaf, lock, person, person_with_stake,
        settlement_of,
    },
    payouts,
    trial::Trial,
};

const ITEMS: usize = 4;
const PAYEES: usize = 3;
const SIGNATURES: usize = 1;

/// A settlement with everything in it. Outputs: the treasury's; the merged ones of the first provider, the second, and a
/// requester of two jobs; those of three requesters. Items: short, short, explicit, skipped, explicit (nothing returns),
/// explicit, explicit.
async fn settlement(world: &World) -> (TxPlan, Verdict) {
    let bonded = |datum: &mut JobDatum| {
        datum.bond = Ntx(1_000_000);
        datum.carry = Lovelace(1_300_000);
    };
    let second = |datum: &mut JobDatum| datum.provider = person(52);
    let jobs = [
        job(world, 1, |_| {}).await,
        job(world, 2, |datum| {
            bonded(datum);
            datum.requester = person_with_stake(2);
        })
        .await,
        job(world, 3, |datum| {
            bonded(datum);
            second(datum);
        })
        .await,
        job(world, 4, |_| {}).await,
        job(world, 5, |datum| {
            second(datum);
            datum.fee = Ntx(0);
            datum.deposit = Lovelace(0);
        })
        .await,
        job(world, 6, second).await,
        job(world, 7, |datum| {
            bonded(datum);
            datum.requester = person(6);
        })
        .await,
    ];
    let escrows = lock(world, &jobs).await;
    let outcomes = [
        (3_000_000, 0),
        (5_000_000, 0),
        (0, 600_000),
        (1_000_000, 0),
        (5_000_000, 0),
        (1_250_000, 0),
        (5_000_000, 1_000_000),
    ];
    let leaves = escrows.iter().zip(outcomes).map(|(escrow, (paid, slashed))| leaf(escrow, paid, slashed)).collect();
    let verdict = verdict(world, leaves).unwrap();
    let settled: Vec<_> = [0, 1, 2, 4, 5, 6].map(|index| escrows[index].clone()).into();
    let plan = settlement_of(world, &verdict, &settled);
    assert_eq!(plan.outputs.len(), 7);
    (plan, verdict)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_payout_of_a_settlement_is_exact() {
    let world = World::start().await.unwrap();
    let junk = Junk::mint(&world).await;
    let (good, _) = settlement(&world).await;
    let trial = Trial::of(&world, good, &[world.accounts.wallet(Role::Operator)]);
    payouts::are_exact(&world, &junk, &trial, 0..7).await;
    // The second provider's holds a carry, the others a deposit or two.
    for place in 1..7 {
        payouts::owes_its_lovelace(&trial, place).await;
    }
    trial.passes().await;
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_item_of_a_settlement_is_as_signed_and_paid() {
    let world = World::start().await.unwrap();
    let (good, verdict) = settlement(&world).await;
    let trial = Trial::of(&world, good, &[world.accounts.wallet(Role::Operator)]);
    let items = |plan: &mut TxPlan, change: &dyn Fn(&mut Vec<PlutusData>)| {
        edit_action(plan, |fields| edit_list(&mut fields[ITEMS], change));
    };
    let skipped = verdict.leaves()[3].to_bytes();
    let attacks: [Edit<'_>; 23] = [
        ("no item for the first escrow", &|items| drop(items.remove(0))),
        ("no item for the last escrow", &|items| drop(items.pop())),
        ("no items", &|items| items.clear()),
        ("an item too many", &|items| items.push(int(0))),
        ("a leaf too many", &|items| items.push(data::bytes(&skipped))),
        ("the skipped leaf left out", &|items| drop(items.remove(3))),
        ("the skipped leaf before its turn", &|items| items.swap(2, 3)),
        ("a leaf of 49 bytes", &|items| items[3] = data::bytes(&skipped[..49])),
        ("a leaf of 51 bytes", &|items| items[3] = data::bytes(&[&skipped[..], &[0]].concat())),
        ("other amounts in the skipped leaf", &|items| {
            let mut other = skipped;
            other[41] ^= 1;
            items[3] = data::bytes(&other);
        }),
        ("the other provider's payout", &|items| items[0] = int(1)),
        ("the requester's payout for the provider", &|items| items[0] = int(2)),
        ("no payout for a provider who is owed", &|items| items[0] = int(-1)),
        ("a payout that is not there", &|items| items[0] = int(3)),
        ("a payout far away", &|items| items[0] = int(1 << 40)),
        ("a negative payout", &|items| items[0] = int(-2)),
        ("an item that is a list", &|items| items[0] = data::list(vec![int(0)])),
        ("an explicit item with a field too many", &|items| edit(&mut items[2], |fields| fields.push(int(0)))),
        ("a unit more paid", &|items| edit(&mut items[2], |fields| fields[2] = int(1))),
        ("less than nothing paid", &|items| edit(&mut items[2], |fields| fields[2] = int(-1))),
        ("a unit less slashed", &|items| edit(&mut items[2], |fields| fields[3] = int(599_999))),
        ("less than nothing slashed", &|items| edit(&mut items[6], |fields| fields[3] = int(-1))),
        ("no payout for a requester who is owed", &|items| edit(&mut items[5], |fields| fields[1] = int(-1))),
    ];
    for (attack, change) in attacks {
        trial.refused(attack, |plan| items(plan, change)).await;
    }
    for count in [0, 1, 2, 4, 6, 7, -1] {
        let attack = format!("{count} merged payouts");
        trial.refused(&attack, |plan| edit_action(plan, |fields| fields[PAYEES] = int(count))).await;
    }
    trial.passes().await;
    finish(world).await;
}

/// More than there is, signed by the committee itself, so that somebody else's share would shrink by it: the requester's
/// rest of another job, or the provider's payout for it.
#[tokio::test(flavor = "multi_thread")]
async fn not_even_a_committee_pays_or_slashes_more_than_there_is() {
    const TOO_MUCH: u64 = 70_000;
    let world = World::start().await.unwrap();
    let bonded = |datum: &mut JobDatum| {
        datum.requester = person(1);
        datum.bond = Ntx(1_000_000);
        datum.carry = Lovelace(1_300_000);
    };
    let escrows = lock(&world, &[job(&world, 1, bonded).await, job(&world, 2, bonded).await]).await;
    let settled = |shown: &[Escrow], paid, slashed| {
        let leaves = vec![leaf(&escrows[0], paid, slashed), leaf(&escrows[1], 2_000_000, 0)];
        let verdict = verdict(&world, leaves).unwrap();
        settlement_of(&world, &verdict, shown)
    };
    let trial = Trial::of(&world, settled(&escrows, 5_000_000, 1_000_000), &[world.accounts.wallet(Role::Operator)]);
    // The builder takes the escrow for a richer one; the outputs then hold what there is: treasury, provider, requester.
    let mut richer = escrows.clone();
    richer[0].datum.price.0 += TOO_MUCH;
    let mut overpaid = settled(&richer, 5_000_000 + TOO_MUCH, 0);
    let ntx = &world.accounts.ntx;
    add(&mut overpaid.outputs[2], ntx, -70_000);
    trial.refused_attempt("more than the price is paid", overpaid).await;
    let mut richer = escrows.clone();
    richer[0].datum.bond.0 += TOO_MUCH;
    let mut overslashed = settled(&richer, 5_000_000, 1_000_000 + TOO_MUCH);
    add(&mut overslashed.outputs[1], ntx, -70_000);
    trial.refused_attempt("more than the bond is slashed", overslashed).await;
    trial.passes().await;
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_counts_each_member_once_and_nobody_else() {
    let world = World::start().await.unwrap();
    let escrow = lock(&world, &[job(&world, 1, |_| {}).await]).await.remove(0);
    let verdict = verdict(&world, vec![leaf(&escrow, 3_000_000, 0)]).unwrap();
    let only = std::slice::from_ref(&escrow);
    let good = settlement_of(&world, &verdict, only);
    let trial = Trial::of(&world, good, &[world.accounts.wallet(Role::Operator)]);
    let stranger = SigningKey::from_bytes(&[77; 32]).sign(&verdict.message()).to_bytes();
    let attacks: [Edit<'_>; 13] = [
        ("nobody signs", &|signed| signed.clear()),
        ("only empty places", &|signed| signed.fill(data::bytes(&[]))),
        ("one too few", &|signed| signed[0] = data::bytes(&[])),
        ("one too few, left out", &|signed| signed.truncate(ENOUGH - 1)),
        ("one counted twice", &|signed| signed[0] = signed[1].clone()),
        ("one counted thrice, at the places of those who did not sign", &|signed| {
            let one = signed[0].clone();
            *signed = vec![one.clone(), data::bytes(&[]), data::bytes(&[]), one.clone(), one];
        }),
        ("two at each other's places", &|signed| signed.swap(0, 1)),
        ("all moved by one place", &|signed| signed.rotate_right(1)),
        ("a stranger's at a member's place", &|signed| signed[0] = data::bytes(&stranger)),
        ("a stranger's after the members", &|signed| signed.push(data::bytes(&stranger))),
        ("a bad one beside enough good ones", &|signed| signed[4] = data::bytes(&[1; 64])),
        ("one of 63 bytes", &|signed| signed[4] = data::bytes(&[1; 63])),
        ("one that is a number", &|signed| signed[4] = int(0)),
    ];
    for (attack, change) in attacks {
        let signed = |plan: &mut TxPlan| edit_action(plan, |fields| edit_list(&mut fields[SIGNATURES], change));
        trial.refused(attack, signed).await;
    }
    let evidence = |plan: &mut TxPlan| edit_action(plan, |fields| fields[2] = data::bytes(&[8; 32]));
    trial.refused("other evidence", evidence).await;
    let more = |plan: &mut TxPlan| edit_action(plan, |fields| fields.push(int(0)));
    trial.refused("a field too many", more).await;
    for way_out in [5, 6] {
        let other = |plan: &mut TxPlan| plan.withdrawals[0].redeemer = Some(data::constr(way_out, vec![]));
        trial.refused("a way out that there is not", other).await;
    }
    trial.passes().await;
    finish(world).await;
}

/// The most leaves that a verdict may have, and one more, all but one of which are skipped.
#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_has_256_leaves_at_most() {
    let world = World::start().await.unwrap();
    let protocol = &world.deployment.protocol;
    let escrow = lock(&world, &[job(&world, 1, |_| {}).await]).await.remove(0);
    let only = std::slice::from_ref(&escrow);
    let last = leaf(&escrow, 3_000_000, 0);
    // The others are of a transaction that comes before any.
    let skipped: Vec<Leaf> =
        (0..MAX_LEAVES as u16).map(|index| Leaf { escrow: OutPoint { tx: TxId([0; 32]), index }, ..last }).collect();
    let of = |leaves: &[Leaf]| verdict(&world, leaves.iter().copied().chain([last]).collect()).unwrap();
    let good = settlement_of(&world, &of(&skipped[1..]), only);
    let trial = Trial::of(&world, good, &[world.accounts.wallet(Role::Operator)]);
    let leaves: Vec<u8> = skipped.iter().chain([&last]).flat_map(|leaf| leaf.to_bytes()).collect();
    let magic = protocol.magic().0.to_be_bytes();
    let parts = [b"nunet/verdict/1", magic.as_slice(), &protocol.logic_hash().0, &[7; 32], &blake2b_256(&leaves)];
    let message = blake2b_256(&parts.concat());
    let signed = |key: &SigningKey| data::bytes(&key.sign(&message).to_bytes());
    trial
        .refused("257 leaves", |plan| {
            edit_action(plan, |fields| {
                edit_list(&mut fields[ITEMS], |items| items.insert(0, data::bytes(&skipped[0].to_bytes())));
                fields[SIGNATURES] = data::list(world.member_keys.iter().take(ENOUGH).map(signed).collect());
            });
        })
        .await;
    trial.passes().await;
    finish(world).await;
}

//! Attacks on what a lease ends in: faults, and closing it.

use ed25519_dalek::Signer;
use nunet::{accounts::Role, world::World};
use nunet_contracts::{
    AgreementHash, Closer, Consents, Fault, Lease, LeaseDatum, LeaseEvent, LeaseParty, LeaseState, LeaseWays, Ntx,
    Signatures, TxPlan, data,
};
use nunet_ledger::{NetworkMagic, PosixMs, ScriptHash};
use nunet_tests::lease::{HOUR_MS, fault_signatures};
use pallas_primitives::PlutusData;

use crate::{
    craft::{ENOUGH, Edit, add, edit, edit_list, int},
    lease::stage::{FAULTS_UNTIL, Stage, WITHHELD, continued_with, parties},
    payouts,
};

/// The committee's message over a fault, signed by enough members, in whatever way it may be wrong.
fn faulted(world: &World, lease: &Lease, fault: &Fault, signed: &Signatures) -> TxPlan {
    let (params, slots) = (world.chain.params(), world.chain.slots());
    let ways = LeaseWays { deployment: &world.deployment, params: &params, slots: &slots, lease };
    ways.fault(&world.committee, fault, signed).unwrap()
}

/// The lease as an attacker's builder takes it.
fn taken_for(lease: &Lease, change: impl FnOnce(&mut LeaseDatum)) -> Lease {
    let mut datum = lease.datum().clone();
    change(&mut datum);
    Lease { state: LeaseState::new(datum, lease.state.held()).unwrap(), ..lease.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_is_charged_once_as_signed_and_is_not_dodged() {
    let world = World::start().await.unwrap();
    let [lessee, lessor] = [Role::Requester, Role::Provider].map(|role| world.accounts.wallet(role));
    let (protocol, ntx) = (&world.deployment.protocol, &world.accounts.ntx);
    let mut stage = Stage::set(&world, |_| {}).await;
    let datum = stage.leased.lease.datum().clone();
    let hours = |hours: u64| PosixMs(datum.paid_until.0 + hours * HOUR_MS);
    stage.pass(5).await;
    let fault = Fault { agreement: datum.agreement, from: hours(1), to: hours(2), credit: Ntx(200_000) };
    let signed = fault_signatures(&world, &fault, ENOUGH);

    // The lessor claims, and the lessee tops up: the lease has another outpoint, and is charged all the same.
    let claim = stage.leased.ways().claim(stage.now().await, &Consents::none()).unwrap();
    let claim = stage.trial(claim, &[lessor]);
    stage.passes(claim).await;
    let top_up = stage.leased.ways().top_up(Ntx(100_000), &Consents::none()).unwrap();
    let top_up = stage.trial(top_up, &[lessee]);
    stage.passes(top_up).await;

    let good = faulted(&world, &stage.leased.lease, &fault, &signed);
    let trial = stage.trial(good, &[lessor, lessee]);
    stage.stands_alone(&trial).await;
    stage.continues(&trial).await;
    trial.refused("a unit of NTX more stays", |plan| add(&mut plan.outputs[0], ntx, 1)).await;
    payouts::are_exact(&world, &stage.junk, &trial, 1..2).await;
    let argument = |plan: &mut TxPlan, place: usize, value: PlutusData| {
        edit(plan.spends[0].redeemer.as_mut().unwrap(), |fields| fields[place] = value);
    };
    let list = |signed: &[Option<[u8; 64]>]| data::signatures(signed);
    let messages = [
        ("for another network", fault.message(NetworkMagic(1), protocol.lease_hash())),
        ("for another script", fault.message(protocol.magic(), ScriptHash([9; 28]))),
        ("for the job's script", fault.message(protocol.magic(), protocol.logic_hash())),
        (
            "for another lease",
            Fault { agreement: AgreementHash([6; 32]), ..fault }.message(protocol.magic(), protocol.lease_hash()),
        ),
        ("for less", Fault { credit: Ntx(199_999), ..fault }.message(protocol.magic(), protocol.lease_hash())),
        ("for another beginning", Fault { from: hours(0), ..fault }.message(protocol.magic(), protocol.lease_hash())),
        ("for another ending", Fault { to: hours(3), ..fault }.message(protocol.magic(), protocol.lease_hash())),
    ];
    for (attack, message) in messages {
        let others: Vec<_> =
            world.member_keys.iter().take(ENOUGH).map(|key| Some(key.sign(&message).to_bytes())).collect();
        trial.refused(attack, |plan| argument(plan, 1, list(&others))).await;
    }
    let signatures: [Edit<'_>; 5] = [
        ("one too few", &|signed| signed[0] = data::bytes(&[])),
        ("one counted twice", &|signed| signed[0] = signed[1].clone()),
        ("at each other's places", &|signed| signed.swap(0, 1)),
        ("one beside no member", &|signed| signed.push(signed[0].clone())),
        ("nobody's", &|signed| signed.clear()),
    ];
    for (attack, change) in signatures {
        trial
            .refused(attack, |plan| {
                edit(plan.spends[0].redeemer.as_mut().unwrap(), |fields| edit_list(&mut fields[1], change));
            })
            .await;
    }
    trial
        .refused("another reference for the committee", |plan| {
            let lease_script =
                plan.references.iter().filter(|(outpoint, _)| *outpoint < world.deployment.lease.0).count();
            argument(plan, 0, int(i64::try_from(lease_script).unwrap()));
        })
        .await;

    // What members signed, but the lease does not allow; the attacker's builder takes the lease for one that does.
    let enough = |fault: &Fault| fault_signatures(&world, fault, ENOUGH);
    let backwards = Fault { from: hours(2), to: hours(1), ..fault };
    let mut reversed = faulted(&world, &stage.leased.lease, &Fault { to: hours(3), ..backwards }, &enough(&backwards));
    argument(&mut reversed, 3, data::int(hours(1).0));
    continued_with(&mut reversed, FAULTS_UNTIL, hours(1).0);
    trial.refused_attempt("a time backwards", reversed).await;
    let empty = Fault { to: fault.from, ..fault };
    let mut nothing = faulted(&world, &stage.leased.lease, &fault, &enough(&empty));
    argument(&mut nothing, 3, data::int(empty.to.0));
    continued_with(&mut nothing, FAULTS_UNTIL, empty.to.0);
    trial.refused_attempt("no time", nothing).await;
    // All rent that is over is claimed: the bond of 0.5 NTX, of which the fee takes 0.02, is all there is.
    let richer = taken_for(&stage.leased.lease, |datum| datum.bond = Ntx(500_001));
    let large = Fault { credit: Ntx(480_001), ..fault };
    let mut large = faulted(&world, &richer, &large, &enough(&large));
    continued_with(&mut large, WITHHELD, 1);
    trial.refused_attempt("more than there is", large).await;

    stage.passes(trial).await;
    assert_eq!(stage.leased.lease.datum().bond, Ntx(280_000));
    // Twice for one time, or a part of it. The builder takes the lease for one that was not charged.
    let uncharged = taken_for(&stage.leased.lease, |datum| datum.faults_until = hours(0));
    let later = Fault { from: hours(2), to: hours(4), credit: Ntx(50_000), ..fault };
    let trial = stage.trial(faulted(&world, &stage.leased.lease, &later, &enough(&later)), &[]);
    let again = faulted(&world, &uncharged, &fault, &signed);
    trial.refused_attempt("the same fault again", again).await;
    for (from, to, attack) in [(hours(1), hours(3), "a part of the time again"), (hours(0), hours(1), "a time before")]
    {
        let overlapping = Fault { from, to, credit: Ntx(50_000), ..fault };
        let plan = faulted(&world, &uncharged, &overlapping, &enough(&overlapping));
        trial.refused_attempt(attack, plan).await;
    }
    stage.passes(trial).await;
    nunet_tests::finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_closed_late_enough_and_divided_exactly() {
    let world = World::start().await.unwrap();
    let [lessee, lessor] = [Role::Requester, Role::Provider].map(|role| world.accounts.wallet(role));
    let ntx = &world.accounts.ntx;
    let mut stage = Stage::set(&world, |_| {}).await;
    stage.pass(5).await;
    let claim = stage.leased.ways().claim(stage.now().await, &Consents::none()).unwrap();
    let claim = stage.trial(claim, &[lessor]);
    stage.passes(claim).await;
    let datum = stage.leased.lease.datum().clone();
    // An hour and a half is due: 0.15 NTX and the bond are the lessor's.
    let end = PosixMs(datum.paid_until.0 + HOUR_MS * 3 / 2);
    let shorten = stage.leased.ways().shorten(LeaseParty::Lessor, end, stage.now().await, &Consents::none()).unwrap();
    let shorten = stage.trial(shorten, &[lessor]);
    stage.passes(shorten).await;
    stage.pass(4).await;
    let plan = stage.leased.ways().close(stage.now().await, Closer::Anyone).unwrap();
    let trial = stage.trial(plan, &[lessor, lessee]);
    stage.stands_alone(&trial).await;
    payouts::are_exact(&world, &stage.junk, &trial, 0..2).await;
    for place in 0..2 {
        payouts::owes_its_lovelace(&trial, place).await;
    }
    trial.refused("no lower bound", |plan| plan.valid_from = None).await;
    let slots = world.chain.slots();
    for (bound, attack) in [
        (end.0 + 2 * HOUR_MS - 1_000, "a second before the window is over"),
        (end.0, "at the end"),
        (datum.paid_until.0 + HOUR_MS, "before the end"),
    ] {
        for signers in [vec![], parties(&world).to_vec()] {
            trial
                .refused(attack, |plan| {
                    plan.valid_from = Some(slots.at(PosixMs(bound)));
                    plan.required_signers = signers.into_iter().collect();
                })
                .await;
        }
    }
    for (by, attack) in [(-50_000, "only the whole period is paid"), (50_000, "the period that has begun is paid")] {
        trial
            .refused(attack, |plan| {
                add(&mut plan.outputs[0], ntx, by);
                add(&mut plan.outputs[1], ntx, -by);
            })
            .await;
    }
    let event = stage.passes(trial).await;
    let LeaseEvent::Closed(shares) = event else { panic!("{event:?}") };
    assert_eq!(shares.lessor, Ntx(650_000));
    nunet_tests::finish(world).await;
}

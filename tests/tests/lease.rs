//! The ways of a lease as real transactions on the devnet: each good one does exactly what the plan says and is read back
//! from the chain, and each bad one is refused by the validator where the same transaction without the flaw passes.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use nunet::{
    accounts::Role,
    world::{THRESHOLD, World},
};
use nunet_contracts::{
    Closer, Consents, Fault, LeaseError, LeaseEvent, LeaseParty, Ntx, PlanError, TxPlan, lease::event::read_lease_event,
};
use nunet_ledger::{Datum, Lovelace, PosixMs, Slot, TxOut, Value};
use nunet_tests::{
    finish, holds,
    lease::{HOUR_MS, Leased, fault_signatures, lease_terms, now},
    multisig::Multisig,
    refused_by_the_validator,
};

const ENOUGH: usize = THRESHOLD as usize;

async fn pass(world: &World, hours: u64) {
    world.devnet.advance(Duration::from_millis(hours * HOUR_MS)).await.unwrap();
}

fn ntx_of(world: &World, role: Role) -> u64 {
    holds(&world.devnet, &world.accounts.ntx, &world.accounts.wallet(role).enterprise_address()).1
        + holds(&world.devnet, &world.accounts.ntx, &world.accounts.wallet(role).address()).1
}

fn refusal(plan: Result<TxPlan, PlanError>) -> LeaseError {
    match plan {
        Err(PlanError::Lease { problem, .. }) => problem,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lessor_claims_the_hours_that_have_passed() {
    let world = World::start().await.unwrap();
    let [lessee, lessor] = [Role::Requester, Role::Provider].map(|role| world.accounts.wallet(role));
    let terms = lease_terms(&world).await.unwrap();
    let start = terms.datum.paid_until;
    let mut leased = Leased::open(&world, &terms).await.unwrap();
    let early = leased.ways().claim(now(&world).await.unwrap(), &Consents::none());
    assert_eq!(refusal(early), LeaseError::NothingToClaim(PosixMs(start.0 + HOUR_MS)));

    pass(&world, 3).await;
    let plan = leased.ways().claim(now(&world).await.unwrap(), &Consents::none()).unwrap();
    let mut unsigned = plan.clone();
    unsigned.required_signers.clear();
    refused_by_the_validator(&world, &unsigned, lessor).await;
    let mut by_the_lessee = plan.clone();
    by_the_lessee.required_signers = [lessee.key_hash()].into();
    refused_by_the_validator(&world, &by_the_lessee, lessee).await;
    let mut unbounded = plan.clone();
    unbounded.valid_from = None;
    refused_by_the_validator(&world, &unbounded, lessor).await;
    let mut too_much = plan.clone();
    too_much.valid_from = plan.valid_from.map(|slot| Slot(slot.0 - 2));
    refused_by_the_validator(&world, &too_much, lessor).await;

    let event = leased.place(Ok(plan), &[lessor]).await.unwrap();
    assert!(matches!(event, LeaseEvent::Claimed { paid: Ntx(300_000), .. }), "{event:?}");
    assert_eq!(ntx_of(&world, Role::Provider), 300_000);
    assert_eq!(leased.lease.datum().paid_until, PosixMs(start.0 + 3 * HOUR_MS));
    assert_eq!(leased.lease.state.rent(), Ntx(2_100_000));

    // However late the claim, nothing is paid for the time after the end.
    pass(&world, 30).await;
    let rest = leased.ways().claim(now(&world).await.unwrap(), &Consents::none());
    leased.place(rest, &[lessor]).await.unwrap();
    assert_eq!((ntx_of(&world, Role::Provider), leased.lease.state.rent()), (2_400_000, Ntx(0)));
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_takes_only_what_is_paid_for_and_a_top_up_pays_for_more() {
    let world = World::start().await.unwrap();
    let [lessee, lessor] = [Role::Requester, Role::Provider].map(|role| world.accounts.wallet(role));
    let mut terms = lease_terms(&world).await.unwrap();
    terms.rent = Ntx(250_000);
    let mut leased = Leased::open(&world, &terms).await.unwrap();
    pass(&world, 5).await;
    let claim = leased.ways().claim(now(&world).await.unwrap(), &Consents::none());
    leased.place(claim, &[lessor]).await.unwrap();
    assert_eq!((ntx_of(&world, Role::Provider), leased.lease.state.rent()), (200_000, Ntx(50_000)));
    let time = now(&world).await.unwrap();
    assert_eq!(refusal(leased.ways().claim(time, &Consents::none())), LeaseError::UsedUp);

    let plan = leased.ways().top_up(Ntx(100_000), &Consents::none()).unwrap();
    let mut dust = plan.clone();
    let ntx = world.accounts.ntx.clone();
    dust.outputs[0].value = Value::lovelace_only(dust.outputs[0].value.lovelace()).with(ntx, 649_999).unwrap();
    refused_by_the_validator(&world, &dust, lessee).await;
    let mut by_a_stranger = plan.clone();
    by_a_stranger.required_signers.clear();
    refused_by_the_validator(&world, &by_a_stranger, lessor).await;
    let event = leased.place(Ok(plan), &[lessee]).await.unwrap();
    assert!(matches!(event, LeaseEvent::ToppedUp { added: Ntx(100_000), .. }), "{event:?}");
    let claim = leased.ways().claim(now(&world).await.unwrap(), &Consents::none());
    leased.place(claim, &[lessor]).await.unwrap();
    assert_eq!((ntx_of(&world, Role::Provider), leased.lease.state.rent()), (300_000, Ntx(50_000)));
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn either_party_ends_a_lease_early_and_anyone_closes_it_then() {
    let world = World::start().await.unwrap();
    let [lessee, lessor, stranger] =
        [Role::Requester, Role::Provider, Role::Operator].map(|role| world.accounts.wallet(role));
    let mut leased = Leased::open(&world, &lease_terms(&world).await.unwrap()).await.unwrap();
    let in_hours = |time: PosixMs, hours: u64| PosixMs(time.0 + hours * HOUR_MS);
    let time = now(&world).await.unwrap();
    let shorten = |leased: &Leased<'_>, by, end, time| leased.ways().shorten(by, end, time, &Consents::none());
    let soon = refusal(shorten(&leased, LeaseParty::Lessee, in_hours(time, 1), time));
    assert!(matches!(soon, LeaseError::EndTooSoon(earliest) if earliest > in_hours(time, 1)), "{soon}");

    let plan = shorten(&leased, LeaseParty::Lessee, in_hours(time, 8), time).unwrap();
    let mut unbounded = plan.clone();
    unbounded.valid_until = None;
    refused_by_the_validator(&world, &unbounded, lessee).await;
    let mut late = plan.clone();
    late.valid_until = Some(world.chain.slots().at_or_after(in_hours(time, 8)));
    refused_by_the_validator(&world, &late, lessee).await;
    leased.place(Ok(plan), &[lessee]).await.unwrap();
    assert_eq!(leased.lease.datum().end, in_hours(time, 8));
    let end = PosixMs(in_hours(time, 2).0 + HOUR_MS / 2);
    leased.place(shorten(&leased, LeaseParty::Lessor, end, time), &[lessor]).await.unwrap();
    assert_eq!(leased.lease.datum().end, end);

    // Over at the end and the window for faults: four and a half hours.
    pass(&world, 4).await;
    let early = leased.ways().close(now(&world).await.unwrap(), Closer::Anyone);
    let over = PosixMs(end.0 + 2 * HOUR_MS);
    assert_eq!(refusal(early), LeaseError::NotOver { anyone: over, lessor: None });
    pass(&world, 1).await;
    let plan = leased.ways().close(now(&world).await.unwrap(), Closer::Anyone).unwrap();
    assert!(plan.required_signers.is_empty());
    let mut early = plan.clone();
    early.valid_from = plan.valid_from.map(|slot| Slot(slot.0 - 2));
    refused_by_the_validator(&world, &early, stranger).await;
    for output in 0..2 {
        let mut elsewhere = plan.clone();
        elsewhere.outputs[output].address = stranger.enterprise_address();
        refused_by_the_validator(&world, &elsewhere, stranger).await;
    }
    let before = [ntx_of(&world, Role::Requester), ntx_of(&world, Role::Provider)];
    let event = leased.place(Ok(plan), &[stranger]).await.unwrap();
    let LeaseEvent::Closed(shares) = event else { panic!("{event:?}") };
    let served = end.0 - leased.lease.datum().paid_until.0;
    let due = served * 100_000 / HOUR_MS;
    assert_eq!((shares.lessor, shares.lessee), (Ntx(500_000 + due), Ntx(2_400_000 - due)));
    assert_eq!(ntx_of(&world, Role::Requester) - before[0], shares.lessee.0);
    assert_eq!(ntx_of(&world, Role::Provider) - before[1], shares.lessor.0);
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lessor_closes_a_lease_whose_money_is_used_up() {
    let world = World::start().await.unwrap();
    let lessor = world.accounts.wallet(Role::Provider);
    let mut terms = lease_terms(&world).await.unwrap();
    terms.rent = Ntx(150_000);
    let start = terms.datum.paid_until;
    let mut leased = Leased::open(&world, &terms).await.unwrap();
    pass(&world, 3).await;
    let none = Consents::none();
    // An hour and a half are paid for; faults in them can be charged for two hours more.
    let anyone = PosixMs(start.0 + 26 * HOUR_MS);
    let from = Some(PosixMs(start.0 + 3 * HOUR_MS + HOUR_MS / 2));
    let early = refusal(leased.ways().close(now(&world).await.unwrap(), Closer::Lessor(&none)));
    assert_eq!(early, LeaseError::NotOver { anyone, lessor: from });
    pass(&world, 1).await;
    let time = now(&world).await.unwrap();
    assert_eq!(refusal(leased.ways().close(time, Closer::Anyone)), LeaseError::NotOver { anyone, lessor: from });
    let plan = leased.ways().close(time, Closer::Lessor(&none)).unwrap();
    let mut by_anyone = plan.clone();
    by_anyone.required_signers.clear();
    refused_by_the_validator(&world, &by_anyone, lessor).await;
    let event = leased.place(Ok(plan), &[lessor]).await.unwrap();
    let LeaseEvent::Closed(shares) = event else { panic!("{event:?}") };
    assert_eq!((shares.lessor, shares.lessee), (Ntx(650_000), Ntx(0)));
    assert_eq!(ntx_of(&world, Role::Provider), 650_000);
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_charges_the_lessor_wherever_the_lease_has_moved() {
    let world = World::start().await.unwrap();
    let [lessor, stranger] = [Role::Provider, Role::Operator].map(|role| world.accounts.wallet(role));
    let mut leased = Leased::open(&world, &lease_terms(&world).await.unwrap()).await.unwrap();
    let datum = leased.lease.datum().clone();
    let start = datum.paid_until;
    pass(&world, 4).await;
    let hours = |hours: u64| PosixMs(start.0 + hours * HOUR_MS);
    let fault = Fault { agreement: datum.agreement, from: start, to: hours(2), credit: Ntx(600_000) };
    let signed = fault_signatures(&world, &fault, ENOUGH);
    // The lessor spends the lease meanwhile: two of the four hours that have passed, by an older bound.
    let claim = leased.ways().claim(hours(2), &Consents::none());
    leased.place(claim, &[lessor]).await.unwrap();

    let plan = |leased: &Leased<'_>, signed| leased.ways().fault(&world.committee, &fault, signed);
    // All that is unclaimed until the end of this fault is claimed, so that the bond is all there is to charge.
    assert_eq!(refusal(plan(&leased, &signed)), LeaseError::FaultTooLarge(Ntx(500_000)));
    let fault = Fault { to: hours(4), ..fault };
    let plan = |leased: &Leased<'_>, signed| leased.ways().fault(&world.committee, &fault, signed);
    refused_by_the_validator(&world, &plan(&leased, &signed).unwrap(), stranger).await;
    let few = fault_signatures(&world, &fault, ENOUGH - 1);
    refused_by_the_validator(&world, &plan(&leased, &few).unwrap(), stranger).await;
    let signed = fault_signatures(&world, &fault, ENOUGH);
    let good = plan(&leased, &signed).unwrap();
    let mut unpaid = good.clone();
    unpaid.outputs[1].address = stranger.enterprise_address();
    refused_by_the_validator(&world, &unpaid, stranger).await;
    let mut kinder = good.clone();
    kinder.outputs[0].datum = leased.lease.output.datum.clone();
    refused_by_the_validator(&world, &kinder, stranger).await;

    let event = leased.place(Ok(good), &[stranger]).await.unwrap();
    let LeaseEvent::Faulted { fault: charged, signatures, .. } = event else { panic!("{event:?}") };
    assert_eq!((charged, signatures), (fault, ENOUGH));
    let after = leased.lease.datum();
    assert_eq!((after.bond, after.withheld, after.faults_until), (Ntx(0), Ntx(120_000), hours(4)));
    assert_eq!(ntx_of(&world, Role::Treasury), 20_000);
    assert_eq!(refusal(plan(&leased, &signed)), LeaseError::AlreadyCharged(hours(4)));

    // The next rent is less by what was withheld: two hours are 0.2 NTX.
    let before = ntx_of(&world, Role::Provider);
    let claim = leased.ways().claim(now(&world).await.unwrap(), &Consents::none());
    let event = leased.place(claim, &[lessor]).await.unwrap();
    assert!(matches!(event, LeaseEvent::Claimed { paid: Ntx(80_000), .. }), "{event:?}");
    assert_eq!(ntx_of(&world, Role::Provider) - before, 80_000);
    assert_eq!(leased.lease.datum().withheld, Ntx(0));
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_parties_do_as_they_agree() {
    let world = World::start().await.unwrap();
    let [lessee, lessor] = [Role::Requester, Role::Provider].map(|role| world.accounts.wallet(role));
    let mut leased = Leased::open(&world, &lease_terms(&world).await.unwrap()).await.unwrap();
    let value = Value::lovelace_only(Lovelace(2_000_000)).with(world.accounts.ntx.clone(), 1_000_000).unwrap();
    let outputs = vec![TxOut::new(lessor.enterprise_address(), value)];
    let plan = leased.ways().agree(outputs, &Consents::none()).unwrap();
    for (only, wallet) in [(lessee.key_hash(), lessee), (lessor.key_hash(), lessor)] {
        let mut one = plan.clone();
        one.required_signers = [only].into();
        refused_by_the_validator(&world, &one, wallet).await;
    }
    assert_eq!(leased.place(Ok(plan), &[lessee, lessor]).await.unwrap(), LeaseEvent::Agreed);
    assert_eq!(ntx_of(&world, Role::Provider), 1_000_000);
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_multisig_rents_by_the_signatures_of_its_keys() {
    let world = World::start().await.unwrap();
    let [payer, one, two, three] =
        [Role::Requester, Role::Operator, Role::Provider, Role::Treasury].map(|role| world.accounts.wallet(role));
    let multisig = Multisig::register(&world, [one, two, three]).await.unwrap();
    let mut terms = lease_terms(&world).await.unwrap();
    terms.datum.lessee = multisig.address();
    let mut leased = Leased::open(&world, &terms).await.unwrap();
    let missing = leased.ways().top_up(Ntx(100_000), &Consents::none());
    assert!(matches!(missing, Err(PlanError::ConsentMissing { .. })), "{missing:?}");

    // Not the first two keys, which would be taken if none were named.
    let consents = multisig.consent([two, three]).unwrap();
    let top_up = leased.ways().top_up(Ntx(100_000), &consents);
    let mut without = top_up.as_ref().unwrap().clone();
    without.withdrawals.clear();
    refused_by_the_validator(&world, &without, payer).await;
    leased.place(top_up, &[payer, two, three]).await.unwrap();
    let time = now(&world).await.unwrap();
    let end = PosixMs(time.0 + 2 * HOUR_MS);
    let shorten = leased.ways().shorten(LeaseParty::Lessee, end, time, &consents);
    leased.place(shorten, &[payer, two, three]).await.unwrap();
    assert_eq!((leased.lease.datum().end, leased.lease.state.rent()), (end, Ntx(2_500_000)));

    pass(&world, 5).await;
    let close = leased.ways().close(now(&world).await.unwrap(), Closer::Anyone);
    let event = leased.place(close, &[payer]).await.unwrap();
    let LeaseEvent::Closed(shares) = event else { panic!("{event:?}") };
    let held = holds(&world.devnet, &world.accounts.ntx, &multisig.address());
    assert_eq!(held, (1_500_000, shares.lessee.0), "deposit and rest");
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_to_a_lease_is_read_from_any_bytes_without_a_panic() {
    let world = World::start().await.unwrap();
    let lessor = world.accounts.wallet(Role::Provider);
    let leased = Leased::open(&world, &lease_terms(&world).await.unwrap()).await.unwrap();
    pass(&world, 2).await;
    let plan = leased.ways().claim(now(&world).await.unwrap(), &Consents::none()).unwrap();
    let tx = world.place(&plan, lessor).await.unwrap();
    let cbor = world.devnet.transaction(&tx).unwrap().cbor.clone();
    let (protocol, slots) = (&world.deployment.protocol, world.chain.slots());
    let read = |cbor: &[u8]| read_lease_event(protocol, &slots, cbor, &leased.lease);
    assert!(read(&cbor).is_ok());
    for at in 0..cbor.len() {
        let mut strange = cbor.clone();
        strange[at] ^= 0xff;
        let _ = read(&strange);
        assert!(read(&cbor[..at]).is_err());
    }
    let mut other = leased.lease.clone();
    other.outpoint.index = 9;
    let error = read_lease_event(protocol, &slots, &cbor, &other).unwrap_err().to_string();
    assert!(error.contains("does not spend"), "{error}");
    let mut hashed = leased.lease.output.clone();
    hashed.datum = Some(Datum::Hash([0; 32]));
    assert!(nunet_contracts::Lease::read(protocol, leased.lease.outpoint, hashed).is_err());
    finish(world).await;
}

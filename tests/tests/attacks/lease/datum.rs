//! Hostile leases: nothing runs when one is made, so that its datum may say anything.

use std::time::Duration;

use nunet::{accounts::Role, world::World};
use nunet_contracts::{
    Closer, Consents, Lease, LeaseDatum, LeaseState, LeaseTerms, LeaseWays, Ntx, Rate, TxPlan, data,
    transactions::lease_output,
};
use nunet_ledger::{Address, Datum, Lovelace, PosixMs, TxOut, Value, hash::blake2b_256};
use nunet_tests::{
    attempt::Attempt,
    finish,
    lease::{HOUR_MS, lease_terms, now},
};
use pallas_primitives::PlutusData;

use crate::{
    craft::{BoxedDamage, Damage, add, datum_of, edit, int, put, set_datum, set_field},
    trial::Trial,
};

const FORGED: i64 = -90_000;

/// Makes leases of these terms, once `damage` has been at the outputs, and takes them for what the terms say.
async fn open(world: &World, terms: &LeaseTerms, damage: Vec<BoxedDamage>) -> Vec<Lease> {
    let output = lease_output(&world.deployment.protocol, terms).unwrap();
    let mut outputs = vec![output; damage.len()];
    for (output, damage) in outputs.iter_mut().zip(damage) {
        damage(output);
    }
    let state = LeaseState::new(terms.datum.clone(), Ntx(terms.rent.0 + terms.datum.bond.0)).unwrap();
    let made = put(world, outputs).await;
    made.into_iter().map(|(outpoint, output)| Lease { outpoint, output, state: state.clone() }).collect()
}

/// A plan for a lease, as its builder takes it.
async fn plan(world: &World, lease: &Lease, way: impl FnOnce(&LeaseWays<'_>, PosixMs) -> TxPlan) -> TxPlan {
    let (params, slots) = (world.chain.params(), world.chain.slots());
    let ways = LeaseWays { deployment: &world.deployment, params: &params, slots: &slots, lease };
    way(&ways, now(world).await.unwrap())
}

fn closed(ways: &LeaseWays<'_>, now: PosixMs) -> TxPlan {
    ways.close(now, Closer::Anyone).unwrap()
}

/// Terms with every number at its least, under which nothing is due: all rent is the lessee's.
async fn least(world: &World) -> LeaseTerms {
    let terms = lease_terms(world).await.unwrap();
    let datum = LeaseDatum {
        rate: Rate::new(Ntx(1), 1).unwrap(),
        end: terms.datum.paid_until,
        notice_ms: 0,
        window_ms: 0,
        bond: Ntx(0),
        withheld: Ntx(0),
        deposit: Lovelace(0),
        carry: Lovelace(0),
        fee: Ntx(0),
        ..terms.datum
    };
    LeaseTerms { datum, tip: Lovelace(4_000_000), ..terms }
}

/// The numbers of a datum that have a least, by their places, and one that is too little.
const NUMBERS: [(usize, i64, &str); 11] = [
    (2, 0, "a rate of nothing"),
    (2, -1, "a negative rate"),
    (3, 0, "a period of nothing"),
    (3, -1, "a negative period"),
    (6, -1, "a negative notice"),
    (7, -1, "a negative window"),
    (BOND, FORGED, "a negative bond"),
    (WITHHELD, FORGED, "a negative sum withheld"),
    (11, -1, "a negative deposit"),
    (CARRY, -1, "a negative carry"),
    (13, -1, "a negative fee"),
];

const BOND: usize = 9;
const WITHHELD: usize = 10;
const CARRY: usize = 12;

/// Closes the lease as its numbers would have it.
fn as_forged(close: &mut TxPlan, field: usize, world: &World, lessor: &Address) {
    let ntx = &world.accounts.ntx;
    let to_lessor = TxOut::new(lessor.clone(), Value::lovelace_only(Lovelace(2_000_000)));
    match field {
        // The lessor is owed nothing in all, the lessee more than there is.
        BOND => add(&mut close.outputs[0], ntx, -FORGED),
        // Rent that was never due.
        WITHHELD => {
            close.outputs.insert(0, to_lessor);
            add(&mut close.outputs[0], ntx, -FORGED);
            add(&mut close.outputs[1], ntx, FORGED);
        }
        CARRY => close.outputs.insert(0, to_lessor),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_lease_with_a_number_below_its_least_goes_its_ways() {
    let world = World::start().await.unwrap();
    let signers = [Role::Operator, Role::Requester, Role::Provider].map(|role| world.accounts.wallet(role));
    let mut damage: Vec<BoxedDamage> = vec![Box::new(|_| {}), Box::new(|_| {})];
    for (field, number, _) in NUMBERS {
        damage.push(Box::new(move |output| {
            set_field(output, field, int(number));
            if field == BOND {
                // Bond and carry come to nothing, so that no output is needed for them.
                set_field(output, CARRY, int(-FORGED));
            }
        }));
    }
    let leases = open(&world, &least(&world).await, damage).await;
    world.devnet.advance(Duration::from_secs(60)).await.unwrap();
    let top_up = |ways: &LeaseWays<'_>, _| ways.top_up(Ntx(100_000), &Consents::none()).unwrap();
    let trial = Trial::of(&world, plan(&world, &leases[0], closed).await, &signers);
    let topped_up = Trial::of(&world, plan(&world, &leases[1], top_up).await, &signers);
    for ((field, _, attack), lease) in NUMBERS.into_iter().zip(&leases[2..]) {
        let mut close = plan(&world, lease, closed).await;
        as_forged(&mut close, field, &world, &lease.datum().lessor);
        trial.refused_attempt(&format!("{attack}: closed"), close).await;
        let mut more = plan(&world, lease, top_up).await;
        more.outputs[0].datum = lease.output.datum.clone();
        topped_up.refused_attempt(&format!("{attack}: topped up"), more).await;
    }
    trial.passes().await;
    topped_up.passes().await;
    finish(world).await;
}

/// By a negative sum withheld the lessor would take more than is due.
#[tokio::test(flavor = "multi_thread")]
async fn no_claim_takes_what_was_withheld_below_nothing() {
    let world = World::start().await.unwrap();
    let lessor = world.accounts.wallet(Role::Provider);
    let terms = lease_terms(&world).await.unwrap();
    let damage: Vec<BoxedDamage> = vec![Box::new(|_| {}), Box::new(|output| set_field(output, WITHHELD, int(FORGED)))];
    let leases = open(&world, &terms, damage).await;
    world.devnet.advance(Duration::from_millis(3 * HOUR_MS)).await.unwrap();
    let claim = |ways: &LeaseWays<'_>, now| ways.claim(now, &Consents::none()).unwrap();
    let good = plan(&world, &leases[0], claim).await;
    let trial = Trial::of(&world, good, &[world.accounts.wallet(Role::Operator), lessor]);
    let mut greedy = plan(&world, &leases[1], claim).await;
    add(&mut greedy.outputs[0], &world.accounts.ntx, FORGED);
    trial.refused_attempt("less than nothing was withheld", greedy).await;
    trial.passes().await;
    finish(world).await;
}

fn fields(output: &mut TxOut, change: impl FnOnce(&mut Vec<PlutusData>)) {
    let mut datum = datum_of(output);
    edit(&mut datum, change);
    set_datum(output, &datum);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_lease_with_a_datum_that_is_none_goes_its_ways() {
    let world = World::start().await.unwrap();
    let signers = [Role::Operator, Role::Requester, Role::Provider].map(|role| world.accounts.wallet(role));
    let damages: [(&str, Damage); 12] = [
        ("no datum", |output| output.datum = None),
        ("a number", |output| set_datum(output, &int(0))),
        ("bytes", |output| set_datum(output, &data::bytes(&[7; 32]))),
        ("a list", |output| set_datum(output, &data::list(vec![int(0)]))),
        ("no fields", |output| set_datum(output, &data::constr(0, vec![]))),
        ("fifteen fields", |output| fields(output, |fields| drop(fields.pop()))),
        ("seventeen fields", |output| fields(output, |fields| fields.push(int(0)))),
        ("another constructor", |output| {
            let mut all = Vec::new();
            fields(output, |fields| all.clone_from(fields));
            set_datum(output, &data::constr(1, all));
        }),
        ("a lessee that is no address", |output| set_field(output, 0, int(0))),
        ("a lessor of bytes", |output| set_field(output, 1, data::bytes(&[7; 28]))),
        ("a rate of bytes", |output| set_field(output, 2, data::bytes(&[1]))),
        ("a committee that is a number", |output| set_field(output, 14, int(0))),
    ];
    let mut damage: Vec<BoxedDamage> = vec![Box::new(|_| {}), Box::new(hash)];
    for (_, change) in damages {
        damage.push(Box::new(change));
    }
    let leases = open(&world, &lease_terms(&world).await.unwrap(), damage).await;
    world.devnet.advance(Duration::from_millis(27 * HOUR_MS)).await.unwrap();
    let agreed = |ways: &LeaseWays<'_>, _| ways.agree(vec![], &Consents::none()).unwrap();
    let trial = Trial::of(&world, plan(&world, &leases[0], closed).await, &signers);
    for ((attack, _), lease) in damages.iter().zip(&leases[2..]) {
        trial.refused_attempt(&format!("{attack}: closed"), plan(&world, lease, closed).await).await;
        trial.refused_attempt(&format!("{attack}: agreed about"), plan(&world, lease, agreed).await).await;
    }
    // The ledger wants to see what a hash is of; the validator wants it in the output.
    let hashed = plan(&world, &leases[1], closed).await;
    trial.breaks_attempt("MissingRequiredDatums", "a hashed datum", hashed.clone()).await;
    let datum = Some(datum_of(&leases[0].output));
    trial.refused_attempt("a hashed datum, shown", Attempt { datum: datum.clone(), ..hashed.into() }).await;
    trial.passes().await;
    // Where both agree, the money is not lost.
    let agreed = Attempt { datum, ..plan(&world, &leases[1], agreed).await.into() };
    let answer = agreed.send(&world, &signers).await.unwrap();
    assert!(matches!(answer, nunet_tests::attempt::Answer::Taken(_)), "{answer:?}");
    finish(world).await;
}

fn hash(output: &mut TxOut) {
    let Some(Datum::Inline(cbor)) = &output.datum else { panic!("no inline datum") };
    output.datum = Some(Datum::Hash(blake2b_256(cbor)));
}

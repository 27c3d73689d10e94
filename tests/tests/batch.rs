//! Many escrows closed in few transactions on the devnet: verdicts, deadlines, rivals, and what cannot be closed.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, time::Duration};

use nunet::{
    accounts::Role,
    world::{THRESHOLD, World},
};
use nunet_chain::{
    Chain, ChainError, Signed,
    batch::{Closings, Report},
};
use nunet_contracts::{
    Escrow, EscrowTerms, Leaf, Ntx, Obstacle, Shortfall, SignedVerdict, TxPlan,
    batch::Flaw,
    transactions::{escrow_output, settle},
};
use nunet_ledger::{Address, Credential, Datum, KeyHash, Lovelace, OutPoint, PosixMs, TxOut, Value, hash::blake2b_224};
use nunet_tests::{
    LOCKS, finish, holds, lock_all,
    rival::{Fate, RivalEndpoint},
    signatures, terms, verdict,
};

const ENOUGH: usize = THRESHOLD as usize;
const PRICE: u64 = 5_000_000;
const FEE: u64 = 500_000;

/// Somebody without a wallet, at a base address.
fn somebody(name: &str, number: usize) -> Address {
    let key = |part: &str| Credential::Key(KeyHash(blake2b_224(format!("{name} {number} {part}").as_bytes())));
    Address::new(0, key("payment"), Some(key("stake")))
}

/// Terms for distinct requesters with one provider.
async fn distinct(world: &World, name: &str, count: usize) -> Vec<EscrowTerms> {
    let like = terms(world, 1).await.unwrap();
    (0..count)
        .map(|number| {
            let mut terms = like.clone();
            terms.datum.requester = somebody(name, number);
            terms
        })
        .collect()
}

/// A verdict of enough members that pays so much for each.
fn judged(world: &World, escrows: &[Escrow], paid: u64) -> SignedVerdict {
    signed_by(world, escrows, paid, ENOUGH)
}

fn signed_by(world: &World, escrows: &[Escrow], paid: u64, members: usize) -> SignedVerdict {
    let leaves = escrows.iter().map(|escrow| Leaf { escrow: escrow.outpoint, paid: Ntx(paid), slashed: Ntx(0) });
    let verdict = verdict(world, leaves.collect()).unwrap();
    SignedVerdict { signatures: signatures(world, &verdict, members), verdict, committee: world.committee.id }
}

fn settlement(world: &World, judged: &SignedVerdict, escrows: &[Escrow]) -> TxPlan {
    let (params, SignedVerdict { verdict, signatures, .. }) = (world.chain.params(), judged);
    settle(&world.deployment, &params, &world.committee, verdict, signatures, escrows).unwrap()
}

async fn close(world: &World, chain: &Chain, escrows: &[Escrow], verdicts: Vec<SignedVerdict>) -> Report {
    let outpoints = escrows.iter().map(|escrow| escrow.outpoint);
    let provider = world.accounts.wallet(Role::Provider);
    Closings::new(chain, &world.deployment, provider, outpoints, verdicts).run().await.unwrap()
}

fn ntx_of(world: &World, address: &Address) -> u64 {
    holds(&world.devnet, &world.accounts.ntx, address).1
}

/// Asserts that each escrow was spent by exactly one transaction, the one that the report names.
fn each_closed_once(world: &World, escrows: &[Escrow], report: &Report) {
    assert_eq!(report.left, BTreeMap::new());
    let mut spent: BTreeMap<OutPoint, Vec<_>> = BTreeMap::new();
    for applied in world.devnet.transactions() {
        applied.consumed.iter().for_each(|(outpoint, _)| spent.entry(*outpoint).or_default().push(applied.id));
    }
    for escrow in escrows {
        assert_eq!(spent[&escrow.outpoint], [report.closed[&escrow.outpoint]], "{}", escrow.outpoint);
    }
    assert_eq!(report.closed.len(), escrows.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mix_of_verdicts_and_deadlines_closes_in_the_fewest_transactions() {
    let world = World::start().await.unwrap();
    let [requester, provider, treasury] =
        [Role::Requester, Role::Provider, Role::Treasury].map(|role| world.accounts.wallet(role).enterprise_address());
    // More distinct requesters with a rest than one transaction takes.
    let many = lock_all(&world, &distinct(&world, "one of many", 110).await).await.unwrap();
    // A batch that was recomposed when the rest of it had been judged: the second verdict holds the first one's escrows.
    let mut shared = vec![terms(&world, 2).await.unwrap(); 16];
    for (number, terms) in shared.iter_mut().enumerate() {
        terms.datum.provider = somebody("provider", number);
    }
    let shared = lock_all(&world, &shared).await.unwrap();
    // Expired without a verdict.
    let mut late = distinct(&world, "late", 12).await;
    let soon = PosixMs(world.chain.tip().await.unwrap().time.0 + 300_000);
    late.iter_mut().for_each(|terms| terms.datum.deadline = soon);
    let late = lock_all(&world, &late).await.unwrap();
    world.devnet.advance(Duration::from_secs(600)).await.unwrap();

    let verdicts = vec![
        judged(&world, &many, 3_000_000),
        judged(&world, &shared[..10], 4_000_000),
        judged(&world, &shared, 4_000_000),
    ];
    // A transaction has one way out, and one does not take the many: two, one for the shared, one for the late.
    let at_once = settlement(&world, &verdicts[0], &many);
    let answer = world.chain.balance(&at_once, world.accounts.wallet(Role::Provider)).await.map(|_| ());
    assert!(matches!(&answer, Err(ChainError::Build(error)) if error.exceeds_a_transaction()), "{answer:?}");
    let before = ntx_of(&world, &requester);
    let all = [many.clone(), shared.clone(), late.clone()].concat();
    let report = close(&world, &world.chain, &all, verdicts).await;

    each_closed_once(&world, &all, &report);
    assert_eq!((report.transactions.len(), report.rebuilt), (4, 0));
    (0..110).for_each(|number| assert_eq!(ntx_of(&world, &somebody("one of many", number)), PRICE - 3_000_000));
    (0..16).for_each(|number| assert_eq!(ntx_of(&world, &somebody("provider", number)), 4_000_000));
    (0..12).for_each(|number| assert_eq!(ntx_of(&world, &somebody("late", number)), PRICE + FEE));
    let base = world.accounts.wallet(Role::Provider).address();
    assert_eq!(ntx_of(&world, &provider) + ntx_of(&world, &base), 110 * 3_000_000);
    assert_eq!(ntx_of(&world, &requester) - before, 16 * (PRICE - 4_000_000));
    assert_eq!(ntx_of(&world, &treasury), 126 * FEE, "no fee for the late");
    finish(world).await;
}

/// A settlement of some escrows by a stranger, signed and not sent.
async fn by_a_stranger(world: &World, judged: &SignedVerdict, escrows: &[Escrow]) -> Signed {
    let stranger = world.accounts.wallet(Role::Operator);
    let plan = settlement(world, judged, escrows);
    world.chain.balance(&plan, stranger).await.unwrap().sign_with(&[stranger]).finish().unwrap()
}

/// Closes escrows while a stranger settles five of them in between.
async fn with_a_rival(fate: Fate) -> (World, Report, Vec<Escrow>, Signed) {
    let world = World::start().await.unwrap();
    let escrows = lock_all(&world, &distinct(&world, "requester", LOCKS + 6).await).await.unwrap();
    let verdict = judged(&world, &escrows, 3_000_000);
    let rival = by_a_stranger(&world, &verdict, &escrows[..5]).await;
    let endpoint = RivalEndpoint::start(&world.devnet, fate, rival.cbor.clone()).await.unwrap();
    let chain = Chain::connect(&endpoint.url, None).await.unwrap();
    let report = close(&world, &chain, &escrows, vec![verdict]).await;

    each_closed_once(&world, &escrows, &report);
    assert_eq!(report.rebuilt, 1);
    let lost = report.closed.iter().filter(|(_, by)| **by == rival.id).count();
    assert_eq!(lost, 5, "what the stranger closed is closed");
    let provider = world.accounts.wallet(Role::Provider);
    let paid = ntx_of(&world, &provider.enterprise_address()) + ntx_of(&world, &provider.address());
    assert_eq!(paid, escrows.len() as u64 * 3_000_000);
    (world, report, escrows, rival)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rival_costs_only_a_rebuild() {
    let (world, report, escrows, _) = with_a_rival(Fate::Late).await;
    // Those whose lock the refusal did not name are closed at once, the others when a block has shown who is left.
    assert_eq!(report.transactions.len(), 2);
    let first = report.closed[&escrows[LOCKS].outpoint];
    assert!(escrows[LOCKS..].iter().all(|escrow| report.closed[&escrow.outpoint] == first));
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_lost_to_a_rival_gives_its_funds_back() {
    let (world, report, ..) = with_a_rival(Fate::Lost).await;
    assert_eq!(report.transactions.len(), 1);
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_closed_is_said_and_holds_nothing_up() {
    let world = World::start().await.unwrap();
    let good = lock_all(&world, &distinct(&world, "requester", 3).await).await.unwrap();
    let unsigned = lock_all(&world, &distinct(&world, "unsigned", 1).await).await.unwrap();
    let mut expired = distinct(&world, "expired", 1).await;
    expired[0].datum.deadline = world.chain.tip().await.unwrap().time;
    let expired = lock_all(&world, &expired).await.unwrap();

    // A stranger's dust: a datum that is none, no datum at all, and one that promises what is not there.
    let protocol = &world.deployment.protocol;
    let dust = TxOut::new(protocol.escrow_address(), Value::lovelace_only(Lovelace(2_000_000)));
    let malformed = TxOut { datum: Some(Datum::Inline(vec![0xd8, 0x79, 0x80])), ..dust.clone() };
    let mut promise = distinct(&world, "liar", 1).await.remove(0);
    promise.datum.price = Ntx(400_000_000_000);
    promise.datum.deadline = PosixMs(0);
    let promise = TxOut { datum: escrow_output(protocol, &promise).unwrap().datum, ..dust.clone() };
    let plan = TxPlan { outputs: vec![malformed, dust, promise], ..TxPlan::default() };
    // The operator has more NTX than was promised: it pays if anybody does.
    let operator = world.accounts.wallet(Role::Operator);
    let tx = world.place(&plan, operator).await.unwrap();
    let dust = [0, 1, 2].map(|index| OutPoint { tx, index });
    let nothing = OutPoint { tx, index: 77 };

    let verdicts = vec![judged(&world, &good, 3_000_000), signed_by(&world, &unsigned, 3_000_000, ENOUGH - 1)];
    let held = ntx_of(&world, &operator.enterprise_address()) + ntx_of(&world, &operator.address());
    let outpoints = [&good[..], &unsigned, &expired].concat().into_iter().map(|escrow| escrow.outpoint);
    let outpoints = outpoints.chain(dust).chain([nothing]);
    let closings = Closings::new(&world.chain, &world.deployment, operator, outpoints, verdicts);
    let report = closings.run().await.unwrap();

    let closed: Vec<OutPoint> = report.closed.keys().copied().collect();
    let mut expected: Vec<OutPoint> = good.iter().chain(&expired).map(|escrow| escrow.outpoint).collect();
    expected.sort_unstable();
    assert_eq!(closed, expected);
    assert_eq!(report.transactions.len(), 2, "a settlement and a refund");
    assert!(matches!(report.left[&dust[0]], Obstacle::NoEscrow(_)));
    assert!(matches!(report.left[&dust[1]], Obstacle::NoEscrow(_)));
    assert!(matches!(
        report.left[&dust[2]],
        Obstacle::Underfunded(Shortfall::Missing { ntx: Ntx(400_000_500_000), .. })
    ));
    assert_eq!(report.left[&nothing], Obstacle::NotOnChain);
    let few = Flaw::TooFewSignatures { valid: ENOUGH - 1, threshold: ENOUGH };
    let deadline = unsigned[0].datum.deadline;
    assert_eq!(report.left[&unsigned[0].outpoint], Obstacle::Waiting { deadline, flaws: vec![few] });
    assert_eq!(report.left.len(), 5);
    let now = ntx_of(&world, &operator.enterprise_address()) + ntx_of(&world, &operator.address());
    assert_eq!(now, held, "nobody's promise is kept with our money");
    finish(world).await;
}

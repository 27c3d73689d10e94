//! Attacks on the logic's reward account, without which every escrow would be frozen, and on what the scripts do when they
//! run for another purpose than theirs.

use nunet::{accounts::Role, world::World};
use nunet_chain::check;
use nunet_contracts::{Consents, Escrow, Mint, Spend, TxPlan, Withdrawal, data, transactions::agree};
use nunet_ledger::{AssetId, Certificate, Datum, Lovelace, OutPoint, Script, TxOut, Value};
use nunet_tests::{attempt::Attempt, finish, verdict};

use crate::{
    craft::{account_of, address_of, edit_action, int, job, leaf, lock, put, register, settlement_of, withdrawal_of},
    trial::Trial,
};

async fn escrow(world: &World) -> Escrow {
    lock(world, &[job(world, 1, |_| {}).await]).await.remove(0)
}

fn settled(world: &World, escrow: &Escrow) -> TxPlan {
    let verdict = verdict(world, vec![leaf(escrow, 3_000_000, 0)]).unwrap();
    settlement_of(world, &verdict, std::slice::from_ref(escrow))
}

/// Whoever could deregister the account would freeze every escrow.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_deregisters_the_logic() {
    let world = World::start().await.unwrap();
    let protocol = &world.deployment.protocol;
    let escrow = escrow(&world).await;
    let trial = Trial::of(&world, settled(&world, &escrow), &[world.accounts.wallet(Role::Operator)]);
    let logic = protocol.logic_account().credential;
    let plan = TxPlan {
        references: vec![world.deployment.logic.clone()],
        certificates: vec![Certificate::DeregisterStake(logic)],
        ..TxPlan::default()
    };
    trial.breaks_attempt("MissingRedeemers", "without an argument", plan.clone()).await;
    // Arguments of every way out, and none of them.
    for argument in (0..6).map(|way_out| data::constr(way_out, vec![])).chain([int(0)]) {
        let attempt = Attempt { certify: Some(argument), ..plan.clone().into() };
        let by = trial.refused_attempt("with an argument", attempt).await;
        assert_eq!(by, protocol.logic_hash());
    }
    let mut beside = settled(&world, &escrow);
    beside.certificates = plan.certificates.clone();
    let certify = beside.withdrawals[0].redeemer.clone();
    trial.refused_attempt("beside a settlement", Attempt { certify, ..beside.into() }).await;
    let twice = TxPlan { certificates: vec![Certificate::RegisterStake(logic)], ..TxPlan::default() };
    trial.breaks_attempt("StakeKeyRegisteredDELEG", "registered again", twice).await;
    // Escrows still settle.
    trial.passes().await;
    finish(world).await;
}

/// Anybody can have rewards sent to the account, and the ledger wants a withdrawal of all of them. The devnet has no
/// rewards, so that its scripts, and its rules on an account that holds some, are asked without it.
#[tokio::test(flavor = "multi_thread")]
async fn rewards_sent_to_the_logic_freeze_nothing() {
    let world = World::start().await.unwrap();
    let operator = world.accounts.wallet(Role::Operator);
    let escrow = escrow(&world).await;
    let good = settled(&world, &escrow);
    for amount in [1, 1_000_000_000] {
        let mut rewarded = good.clone();
        rewarded.withdrawals[0].amount = Lovelace(amount);
        // Scripts run while it is balanced; `check` is the ledger with an account that holds what is withdrawn.
        let balanced = world.chain.balance(&rewarded, operator).await.unwrap();
        let signed = balanced.sign_with(&[operator]).finish().unwrap();
        let (params, slots) = (world.chain.params(), world.chain.slots());
        let slot = world.chain.tip().await.unwrap().slot;
        check(&signed, &params, &slots, slot).unwrap();
    }
    let trial = Trial::of(&world, good, &[operator]);
    let more = |plan: &mut TxPlan| plan.withdrawals[0].amount = Lovelace(1);
    trial.breaks("WithdrawalsNotInRewardsCERTS", "more than the account holds", more).await;
    trial.passes().await;
    finish(world).await;
}

/// The stub opens where the logic runs, and for nothing else, whatever it is run for.
#[tokio::test(flavor = "multi_thread")]
async fn the_stub_opens_nothing_without_the_logic() {
    let world = World::start().await.unwrap();
    let protocol = &world.deployment.protocol;
    let escrow = escrow(&world).await;
    register(&world, protocol.stub()).await;
    let trial = Trial::of(&world, settled(&world, &escrow), &[world.accounts.wallet(Role::Operator)]);
    let stub = protocol.stub().hash();
    trial.refused_by(stub, "no withdrawal", |plan| plan.withdrawals.clear()).await;
    trial.refused_by(stub, "its own withdrawal", |plan| plan.withdrawals = vec![withdrawal_of(protocol.stub())]).await;
    let token = Mint { asset: AssetId { policy: stub, name: vec![] }, quantity: 1, redeemer: Some(int(0)) };
    trial
        .refused_by(stub, "it mints instead", |plan| {
            plan.withdrawals.clear();
            plan.mints = vec![token.clone()];
        })
        .await;
    let references = vec![world.deployment.stub.clone()];
    let runs = [
        ("it mints", TxPlan { mints: vec![token.clone()], ..TxPlan::default() }),
        ("it withdraws", TxPlan { withdrawals: vec![withdrawal_of(protocol.stub())], ..TxPlan::default() }),
        (
            "it deregisters",
            TxPlan {
                certificates: vec![Certificate::DeregisterStake(account_of(protocol.stub()).credential)],
                ..TxPlan::default()
            },
        ),
    ];
    for (attack, plan) in runs {
        let plan = TxPlan { references: references.clone(), ..plan };
        let attempt = Attempt { certify: (!plan.certificates.is_empty()).then(|| int(0)), ..plan.into() };
        assert_eq!(trial.refused_attempt(attack, attempt).await, stub);
    }
    // Beside a settlement the logic refuses what the stub would allow.
    let logic = protocol.logic_hash();
    trial.refused_by(logic, "it mints beside", |plan| plan.mints = vec![token.clone()]).await;
    let withdraws = |plan: &mut TxPlan| plan.withdrawals.push(withdrawal_of(protocol.stub()));
    trial.refused_by(logic, "it withdraws beside", withdraws).await;
    trial.passes().await;
    finish(world).await;
}

/// A token of the stub's policy can be had by those who agree, who may mint anything. It is worth nothing: it opens no
/// escrow and is no committee's NFT.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_stub_is_worth_nothing() {
    let world = World::start().await.unwrap();
    let protocol = &world.deployment.protocol;
    let [operator, requester] = [Role::Operator, Role::Requester].map(|role| world.accounts.wallet(role));
    let own = job(&world, 1, |datum| {
        datum.requester = requester.enterprise_address();
        datum.provider = requester.enterprise_address();
    })
    .await;
    let own = lock(&world, &[own]).await.remove(0);
    let token = AssetId { policy: protocol.stub().hash(), name: world.committee.id.0.to_vec() };
    let mut minted = agree(&world.deployment, std::slice::from_ref(&own), vec![], &Consents::none()).unwrap();
    minted.mints = vec![Mint { asset: token.clone(), quantity: 1, redeemer: Some(int(0)) }];
    let mut fake = world.committee.output.clone();
    fake.value = Value::lovelace_only(Lovelace(3_000_000)).with(token, 1).unwrap();
    minted.outputs = vec![fake];
    let tx = Trial::of(&world, minted, &[operator, requester]).passes().await;
    let fake = OutPoint { tx, index: 0 };
    let fake = (fake, world.chain.unspent(&fake).await.unwrap());

    let escrow = escrow(&world).await;
    let trial = Trial::of(&world, settled(&world, &escrow), &[operator]);
    trial
        .refused_by(protocol.logic_hash(), "a committee with a token of the stub", |plan| {
            plan.references.retain(|(_, output)| output.reference_script.is_some());
            let place = plan.references.iter().filter(|(outpoint, _)| *outpoint < fake.0).count();
            plan.references.push(fake);
            edit_action(plan, |fields| fields[0] = int(i64::try_from(place).unwrap()));
        })
        .await;
    trial.passes().await;
    finish(world).await;
}

/// Logic, lease and committee do nothing but what they are for.
#[tokio::test(flavor = "multi_thread")]
async fn no_script_runs_for_another_purpose() {
    let world = World::start().await.unwrap();
    let protocol = &world.deployment.protocol;
    let operator = world.accounts.wallet(Role::Operator);
    let escrow = escrow(&world).await;
    let trial = Trial::of(&world, settled(&world, &escrow), &[operator]);
    let arguments = || (0..6).map(|index| data::constr(index, vec![])).chain([int(0)]);
    let logic = protocol.logic();
    for script in [logic, protocol.lease()] {
        for argument in arguments() {
            let asset = AssetId { policy: script.hash(), name: b"ANY".to_vec() };
            let mints = vec![Mint { asset, quantity: 1, redeemer: Some(argument) }];
            let plan = TxPlan { mints, scripts: vec![script.clone()], ..TxPlan::default() };
            assert_eq!(trial.refused_attempt("it mints", plan).await, script.hash());
        }
    }
    for script in [protocol.lease(), protocol.committee()] {
        register(&world, script).await;
        for argument in arguments() {
            let withdrawals = vec![Withdrawal { redeemer: Some(argument.clone()), ..withdrawal_of(script) }];
            let plan = TxPlan { withdrawals, scripts: vec![script.clone()], ..TxPlan::default() };
            assert_eq!(trial.refused_attempt("it withdraws", plan).await, script.hash());
            let certificates = vec![Certificate::DeregisterStake(account_of(script).credential)];
            let plan = TxPlan { certificates, scripts: vec![script.clone()], ..TxPlan::default() };
            let attempt = Attempt { certify: Some(argument), ..plan.into() };
            assert_eq!(trial.refused_attempt("it deregisters", attempt).await, script.hash());
        }
    }
    // What is sent to the logic's address is lost.
    let sent = guarded_by(&world, logic).await;
    for argument in arguments() {
        let spends = vec![Spend { redeemer: Some(argument), ..sent.clone() }];
        let plan = TxPlan { spends, scripts: vec![logic.clone()], ..TxPlan::default() };
        assert_eq!(trial.refused_attempt("it guards an output", plan).await, logic.hash());
    }
    trial.passes().await;
    finish(world).await;
}

/// An output at the address of a script, with some datum.
async fn guarded_by(world: &World, script: &Script) -> Spend {
    let mut output = TxOut::new(address_of(script), Value::lovelace_only(Lovelace(2_000_000)));
    output.datum = Some(Datum::Inline(data::to_cbor(&int(0))));
    let (outpoint, output) = put(world, vec![output]).await.remove(0);
    Spend { outpoint, output, redeemer: None }
}

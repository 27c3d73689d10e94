//! The ways out of an escrow as real transactions on the devnet: the good ones pass and pay exactly, and each bad one
//! is refused by the validator where the same transaction without the flaw passes.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod shares;

use nunet::{
    accounts::Role,
    world::{THRESHOLD, World},
};
use nunet_contracts::{
    Closing, Consents, DataError, Escrow, Leaf, Ntx,
    closing::read_closing,
    transactions::{accept, refund, settle},
};
use nunet_devnet::Applied;
use nunet_ledger::{Lovelace, OutPoint};
use nunet_tests::{finish, holds, lock_all, refused_by_the_validator, signatures, terms, verdict};

const ENOUGH: usize = THRESHOLD as usize;

fn leaf(escrow: &Escrow, paid: u64) -> Leaf {
    Leaf { escrow: escrow.outpoint, paid: Ntx(paid), slashed: Ntx(0) }
}

/// How a transaction closed an escrow.
fn closing_of(world: &World, closed: &Applied, escrow: OutPoint) -> Result<Closing, DataError> {
    let spent = closed.consumed.iter().cloned().collect();
    read_closing(&world.deployment.protocol, &closed.cbor, &spent, escrow)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_pays_exactly_and_costs_little() {
    let world = World::start().await.unwrap();
    let escrow = lock_all(&world, &[terms(&world, 1).await.unwrap()]).await.unwrap().remove(0);
    let provider = world.accounts.wallet(Role::Provider);
    let verdict = verdict(&world, vec![leaf(&escrow, 3_000_000)]).unwrap();
    let plan = |count| {
        settle(
            &world.deployment,
            &world.chain.params(),
            &world.committee,
            &verdict,
            &signatures(&world, &verdict, count),
            std::slice::from_ref(&escrow),
        )
        .unwrap()
    };
    refused_by_the_validator(&world, &plan(ENOUGH - 1), provider).await;

    let ntx = &world.accounts.ntx;
    let addresses =
        [Role::Requester, Role::Provider, Role::Treasury].map(|role| world.accounts.wallet(role).enterprise_address());
    let before = addresses.each_ref().map(|address| holds(&world.devnet, ntx, address).1);
    let id = world.place(&plan(ENOUGH), provider).await.unwrap();
    let after = addresses.each_ref().map(|address| holds(&world.devnet, ntx, address).1);
    assert_eq!([after[0] - before[0], after[1] - before[1], after[2] - before[2]], [2_000_000, 3_000_000, 500_000]);
    assert!(world.devnet.snapshot().iter().all(|(outpoint, _)| *outpoint != escrow.outpoint), "the escrow is gone");

    let applied = world.devnet.transaction(&id).unwrap();
    assert!(applied.fee <= Lovelace(350_000), "a lone settlement costs {}", applied.fee);
    let closing = closing_of(&world, &applied, escrow.outpoint).unwrap();
    let expected = Closing::Settled { paid: Ntx(3_000_000), slashed: Ntx(0), evidence: [7; 32], signatures: ENOUGH };
    assert_eq!(closing, expected, "the chain says how it ended");
    let spent = applied.consumed.iter().cloned().collect();
    // An endpoint can hand out anything as the closing transaction: it is read or refused, never a panic.
    for at in 0..applied.cbor.len() {
        let mut strange = applied.cbor.clone();
        strange[at] ^= 0xff;
        let _ = read_closing(&world.deployment.protocol, &strange, &spent, escrow.outpoint);
        let cut = &applied.cbor[..at];
        assert!(read_closing(&world.deployment.protocol, cut, &spent, escrow.outpoint).is_err());
    }
    let other = OutPoint { index: 9, ..escrow.outpoint };
    assert!(closing_of(&world, &applied, other).is_err(), "not its input");
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_counts_only_for_its_escrow_network_validator_and_members() {
    let world = World::start().await.unwrap();
    let all = [terms(&world, 1).await.unwrap(), terms(&world, 2).await.unwrap()];
    let escrows = lock_all(&world, &all).await.unwrap();
    let provider = world.accounts.wallet(Role::Provider);
    let good = verdict(&world, vec![leaf(&escrows[0], 5_000_000)]).unwrap();
    let other = verdict(&world, vec![leaf(&escrows[1], 5_000_000)]).unwrap();
    let plan = |signed: &nunet_contracts::Signatures| {
        let (params, only) = (world.chain.params(), std::slice::from_ref(&escrows[0]));
        settle(&world.deployment, &params, &world.committee, &good, signed, only).unwrap()
    };

    let for_another_outpoint = signatures(&world, &other, ENOUGH);
    refused_by_the_validator(&world, &plan(&for_another_outpoint), provider).await;

    let protocol = &world.deployment.protocol;
    let leaves = good.leaves().to_vec();
    let preprod = nunet_ledger::NetworkMagic(1);
    let elsewhere = nunet_contracts::Verdict::new(preprod, protocol.logic_hash(), *good.evidence(), leaves.clone());
    refused_by_the_validator(&world, &plan(&signatures(&world, &elsewhere.unwrap(), ENOUGH)), provider).await;
    let old_version = nunet_ledger::ScriptHash([9; 28]);
    let older = nunet_contracts::Verdict::new(protocol.magic(), old_version, *good.evidence(), leaves);
    refused_by_the_validator(&world, &plan(&signatures(&world, &older.unwrap(), ENOUGH)), provider).await;

    let mut one_forged = signatures(&world, &good, ENOUGH);
    if let Some(mut last) = one_forged.last_entry() {
        last.get_mut()[0] ^= 1;
    }
    refused_by_the_validator(&world, &plan(&one_forged), provider).await;

    world.place(&plan(&signatures(&world, &good, ENOUGH)), provider).await.unwrap();
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_settles_any_part_of_its_batch() {
    let world = World::start().await.unwrap();
    let mut all = Vec::new();
    for seed in 0..8 {
        all.push(terms(&world, seed).await.unwrap());
    }
    let escrows = lock_all(&world, &all).await.unwrap();
    let provider = world.accounts.wallet(Role::Provider);
    let paid = |index: usize| if index.is_multiple_of(2) { 5_000_000 } else { 1_000_000 };
    let leaves = escrows.iter().enumerate().map(|(index, escrow)| leaf(escrow, paid(index))).collect();
    let verdict = verdict(&world, leaves).unwrap();
    let signed = signatures(&world, &verdict, ENOUGH);
    let settle = |part: &[Escrow]| {
        settle(&world.deployment, &world.chain.params(), &world.committee, &verdict, &signed, part).unwrap()
    };
    let address = provider.enterprise_address();
    let ntx = &world.accounts.ntx;

    // Three of eight; the other five leaves are skipped, and settled after.
    let first = [escrows[1].clone(), escrows[4].clone(), escrows[6].clone()];
    world.place(&settle(&first), provider).await.unwrap();
    assert_eq!(holds(&world.devnet, ntx, &address).1, 1_000_000 + 5_000_000 + 5_000_000);
    let rest: Vec<Escrow> = escrows.iter().filter(|escrow| !first.contains(escrow)).cloned().collect();
    world.place(&settle(&rest), provider).await.unwrap();
    assert_eq!(holds(&world.devnet, ntx, &address).1, 4 * 5_000_000 + 4 * 1_000_000);
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accept_needs_the_requester_and_leaves_the_fee_with_them() {
    let world = World::start().await.unwrap();
    let escrows = lock_all(&world, &[terms(&world, 1).await.unwrap(), terms(&world, 2).await.unwrap()]).await.unwrap();
    let (requester, provider) = (world.accounts.wallet(Role::Requester), world.accounts.wallet(Role::Provider));
    let plan = accept(&world.deployment, &world.chain.params(), &escrows, &Consents::none()).unwrap();
    let mut unsigned = plan.clone();
    unsigned.required_signers.clear();
    refused_by_the_validator(&world, &unsigned, provider).await;

    let (before, ntx) = (world.devnet.snapshot(), &world.accounts.ntx);
    let supply = |snapshot: &[(_, nunet_ledger::TxOut)]| -> u64 {
        snapshot.iter().map(|(_, output)| output.value.quantity(ntx)).sum()
    };
    let id = world.place(&plan, requester).await.unwrap();
    assert_eq!(holds(&world.devnet, ntx, &provider.enterprise_address()).1, 10_000_000);
    let treasury = world.accounts.wallet(Role::Treasury).enterprise_address();
    assert_eq!(holds(&world.devnet, ntx, &treasury).1, 0, "no verdict, no fee");
    assert_eq!(supply(&before), supply(&world.devnet.snapshot()));
    let applied = world.devnet.transaction(&id).unwrap();
    let closing = closing_of(&world, &applied, escrows[0].outpoint);
    assert_eq!(closing.unwrap(), Closing::Accepted);
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_needs_only_the_deadline() {
    let world = World::start().await.unwrap();
    let escrow = lock_all(&world, &[terms(&world, 1).await.unwrap()]).await.unwrap().remove(0);
    let stranger = world.accounts.wallet(Role::Operator);
    let requester = world.accounts.wallet(Role::Requester).enterprise_address();
    let ntx = &world.accounts.ntx;
    let only = std::slice::from_ref(&escrow);
    let plan = refund(&world.deployment, &world.chain.params(), &world.chain.slots(), only).unwrap();

    let mut early = plan.clone();
    early.valid_from = Some(world.chain.tip().await.unwrap().slot);
    refused_by_the_validator(&world, &early, stranger).await;
    let mut unbounded = plan.clone();
    unbounded.valid_from = None;
    refused_by_the_validator(&world, &unbounded, stranger).await;

    let before = holds(&world.devnet, ntx, &requester);
    world.devnet.advance(std::time::Duration::from_secs(2 * 60 * 60 + 1)).await.unwrap();
    let id = world.place(&plan, stranger).await.unwrap();
    let after = holds(&world.devnet, ntx, &requester);
    assert_eq!((after.0 - before.0, after.1 - before.1), (1_500_000, 5_500_000), "deposit, price and fee");
    let applied = world.devnet.transaction(&id).unwrap();
    let closing = closing_of(&world, &applied, escrow.outpoint).unwrap();
    assert_eq!(closing, Closing::Refunded);
    finish(world).await;
}

/// Anybody can have rewards paid to the logic's account, and the ledger takes a withdrawal of nothing less than all.
#[tokio::test(flavor = "multi_thread")]
async fn rewards_in_the_logics_account_stop_nothing_and_go_to_the_builder() {
    let world = World::start().await.unwrap();
    let escrow = lock_all(&world, &[terms(&world, 1).await.unwrap()]).await.unwrap().remove(0);
    let rewards = Lovelace(500_000_000);
    let logic = world.deployment.protocol.logic_account().credential;
    world.devnet.pay_rewards(logic, rewards).await.unwrap();
    let provider = world.accounts.wallet(Role::Provider);
    let verdict = verdict(&world, vec![leaf(&escrow, 5_000_000)]).unwrap();
    let (signed, only) = (signatures(&world, &verdict, ENOUGH), std::slice::from_ref(&escrow));
    let plan = settle(&world.deployment, &world.chain.params(), &world.committee, &verdict, &signed, only).unwrap();
    let held = |world: &World| {
        let addresses = [provider.address(), provider.enterprise_address()];
        addresses.map(|address| holds(&world.devnet, &world.accounts.ntx, &address).0).iter().sum::<u64>()
    };
    let before = held(&world);
    let id = world.place(&plan, provider).await.unwrap();
    assert_eq!(world.devnet.transaction(&id).unwrap().withdrawn, rewards);
    assert!(held(&world) >= before + rewards.0, "the rewards are the builder's");
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_must_be_the_exact_amount_at_the_exact_address() {
    let world = World::start().await.unwrap();
    let escrow = lock_all(&world, &[terms(&world, 1).await.unwrap()]).await.unwrap().remove(0);
    let provider = world.accounts.wallet(Role::Provider);
    let verdict = verdict(&world, vec![leaf(&escrow, 3_000_000)]).unwrap();
    let signed = signatures(&world, &verdict, ENOUGH);
    let only = std::slice::from_ref(&escrow);
    let good = settle(&world.deployment, &world.chain.params(), &world.committee, &verdict, &signed, only).unwrap();
    // treasury, provider, requester
    assert_eq!(good.outputs.len(), 3);
    let ntx = &world.accounts.ntx;
    for output in 0..3 {
        let mut elsewhere = good.clone();
        elsewhere.outputs[output].address = world.accounts.wallet(Role::Operator).enterprise_address();
        refused_by_the_validator(&world, &elsewhere, provider).await;
        let mut with_a_stake_part = good.clone();
        let payee = [Role::Treasury, Role::Provider, Role::Requester][output];
        with_a_stake_part.outputs[output].address = world.accounts.wallet(payee).address();
        // A longer address needs more lovelace, which every payout may have.
        with_a_stake_part.outputs[output].value.set_lovelace(Lovelace(3_000_000));
        refused_by_the_validator(&world, &with_a_stake_part, provider).await;
        for wrong in [-1, 1] {
            let mut off_by_one = good.clone();
            let value = &mut off_by_one.outputs[output].value;
            let units = value.quantity(ntx).checked_add_signed(wrong).unwrap();
            *value = nunet_ledger::Value::lovelace_only(value.lovelace()).with(ntx.clone(), units).unwrap();
            refused_by_the_validator(&world, &off_by_one, world.accounts.wallet(Role::Operator)).await;
        }
    }
    let mut swapped = good.clone();
    swapped.outputs.swap(1, 2);
    refused_by_the_validator(&world, &swapped, provider).await;
    world.place(&good, provider).await.unwrap();
    finish(world).await;
}

//! Attacks on redeeming: vouchers of something else, bonds, bounds, and what returns to requesters.

use std::time::Duration;

use ed25519_dalek::{Signer, SigningKey};
use nunet::{accounts::Role, world::World};
use nunet_contracts::{Consents, Escrow, JobDatum, Ntx, TxPlan, Voucher, data, transactions::redeem, voucher_message};
use nunet_ledger::{Lovelace, NetworkMagic, OutPoint, PosixMs, ScriptHash, Slot};
use pallas_primitives::PlutusData;

use crate::{
    craft::{
        Edit, Junk, add, edit, edit_action, edit_list, int, job, lock, lock_changed, person, person_with_stake,
        set_field, without,
    },
    payouts,
    trial::Trial,
};

/// The key that the requester signs vouchers with.
fn voucher_key() -> SigningKey {
    SigningKey::from_bytes(&[33; 32])
}

fn voucher(world: &World, escrow: &Escrow, amount: u64) -> Voucher {
    let protocol = &world.deployment.protocol;
    let message = voucher_message(protocol.magic(), protocol.logic_hash(), escrow.outpoint, Ntx(amount));
    Voucher { amount: Ntx(amount), signature: Some(voucher_key().sign(&message).to_bytes()) }
}

/// Between a requester with a voucher key and the provider's wallet.
fn on_account(world: &World) -> impl Fn(&mut JobDatum) + use<> {
    let provider = world.accounts.wallet(Role::Provider).enterprise_address();
    move |datum| {
        datum.provider = provider.clone();
        datum.voucher_key = Some(voucher_key().verifying_key().to_bytes());
    }
}

fn redemption(world: &World, vouchers: &[(Escrow, Voucher)]) -> TxPlan {
    let deadline = vouchers.iter().map(|(escrow, _)| escrow.datum.deadline).min().unwrap();
    let until = world.chain.slots().at(deadline);
    redeem(&world.deployment, &world.chain.params(), vouchers, &Consents::none(), until).unwrap()
}

/// Two vouchers and a declined job.
async fn batch(world: &World) -> Vec<(Escrow, Voucher)> {
    let on_account = on_account(world);
    let terms = [
        job(world, 1, &on_account).await,
        job(world, 2, |datum| {
            on_account(datum);
            datum.requester = person_with_stake(2);
            datum.fee = Ntx(0);
        })
        .await,
        job(world, 3, |datum| {
            on_account(datum);
            datum.voucher_key = None;
        })
        .await,
    ];
    let escrows = lock(world, &terms).await;
    let vouchers = [voucher(world, &escrows[0], 3_000_000), voucher(world, &escrows[1], 1_000_000), Voucher::DECLINE];
    escrows.into_iter().zip(vouchers).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_payout_of_a_redemption_is_exact() {
    let world = World::start().await.unwrap();
    let junk = Junk::mint(&world).await;
    let good = redemption(&world, &batch(&world).await);
    let signers = [Role::Operator, Role::Provider].map(|role| world.accounts.wallet(role));
    let trial = Trial::of(&world, good, &signers);
    payouts::are_exact(&world, &junk, &trial, 0..3).await;
    for place in 0..3 {
        payouts::owes_its_lovelace(&trial, place).await;
    }
    trial.passes().await;
    nunet_tests::finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voucher_counts_for_its_escrow_script_network_and_amount() {
    let world = World::start().await.unwrap();
    let batch = batch(&world).await;
    let (protocol, ntx) = (&world.deployment.protocol, &world.accounts.ntx);
    let signers = [Role::Operator, Role::Provider].map(|role| world.accounts.wallet(role));
    let trial = Trial::of(&world, redemption(&world, &batch), &signers);
    let with = |plan: &mut TxPlan, change: &dyn Fn(&mut Vec<PlutusData>)| {
        edit_action(plan, |fields| edit_list(&mut fields[0], change));
    };
    let signed = |magic, script, escrow, amount| {
        let message = voucher_message(magic, script, escrow, Ntx(amount));
        data::constr(0, vec![int(3_000_000), data::bytes(&voucher_key().sign(&message).to_bytes())])
    };
    let (magic, script, here) = (protocol.magic(), protocol.logic_hash(), batch[0].0.outpoint);
    let others = [
        ("of another escrow", signed(magic, script, batch[1].0.outpoint, 3_000_000)),
        ("of another output", signed(magic, script, OutPoint { index: here.index + 7, ..here }, 3_000_000)),
        ("of another network", signed(NetworkMagic(1), script, here, 3_000_000)),
        ("of another script", signed(magic, ScriptHash([9; 28]), here, 3_000_000)),
        ("of the stub", signed(magic, protocol.stub().hash(), here, 3_000_000)),
        ("of less", signed(magic, script, here, 2_999_999)),
        ("of more", signed(magic, script, here, 3_000_001)),
    ];
    for (attack, voucher) in others {
        trial.refused(attack, |plan| with(plan, &|vouchers| vouchers[0] = voucher.clone())).await;
    }
    let message = voucher_message(magic, script, here, Ntx(3_000_000));
    let by_a_stranger = SigningKey::from_bytes(&[34; 32]).sign(&message).to_bytes();
    let attacks: [Edit<'_>; 11] = [
        ("by a stranger", &|vouchers| edit(&mut vouchers[0], |fields| fields[1] = data::bytes(&by_a_stranger))),
        ("without a signature", &|vouchers| edit(&mut vouchers[0], |fields| fields[1] = data::bytes(&[]))),
        ("with a cut signature", &|vouchers| edit(&mut vouchers[0], |fields| fields[1] = data::bytes(&[0; 63]))),
        ("with a field too many", &|vouchers| edit(&mut vouchers[0], |fields| fields.push(int(0)))),
        ("in each other's place", &|vouchers| vouchers.swap(0, 1)),
        ("one twice", &|vouchers| vouchers[1] = vouchers[0].clone()),
        ("one too few", &|vouchers| drop(vouchers.pop())),
        ("one too many", &|vouchers| vouchers.push(vouchers[2].clone())),
        ("none", &|vouchers| vouchers.clear()),
        ("a unit without a voucher key", &|vouchers| edit(&mut vouchers[2], |fields| fields[0] = int(1))),
        ("less than nothing", &|vouchers| edit(&mut vouchers[2], |fields| fields[0] = int(-1))),
    ];
    for (attack, change) in attacks {
        trial.refused(attack, |plan| with(plan, change)).await;
    }
    trial
        .refused("a unit paid without a voucher key", |plan| {
            with(plan, &|vouchers| edit(&mut vouchers[2], |fields| fields[0] = int(1)));
            add(&mut plan.outputs[2], ntx, -1);
        })
        .await;
    // The requester itself signed for more than the price: the fee, and the next job's rest, would pay for it.
    let above = voucher(&world, &batch[0].0, 5_000_001);
    trial
        .refused("a voucher above the price", |plan| {
            let signature = data::bytes(&above.signature.unwrap());
            let voucher = data::constr(0, vec![int(5_000_001), signature]);
            with(plan, &|vouchers| vouchers[0] = voucher.clone());
            add(&mut plan.outputs[0], ntx, -2_000_001);
        })
        .await;
    let provider = signers[1].key_hash();
    trial.refused("the provider does not sign", |plan| without(plan, provider)).await;
    trial
        .refused("somebody else signs", |plan| {
            plan.required_signers = [signers[0].key_hash()].into();
        })
        .await;
    trial.passes().await;
    nunet_tests::finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_redeemed_late_or_at_any_time() {
    let world = World::start().await.unwrap();
    let signers = [Role::Operator, Role::Provider].map(|role| world.accounts.wallet(role));
    let soon = PosixMs(world.chain.tip().await.unwrap().time.0 + 600_000);
    let on_account = on_account(&world);
    let terms = [
        job(&world, 1, |datum| {
            on_account(datum);
            datum.deadline = soon;
        })
        .await,
        job(&world, 2, &on_account).await,
    ];
    let escrows = lock(&world, &terms).await;
    let good: Vec<_> = escrows.iter().map(|escrow| (escrow.clone(), voucher(&world, escrow, 1_000_000))).collect();
    let trial = Trial::of(&world, redemption(&world, &good), &signers);
    trial.refused("without an upper bound", |plan| plan.valid_until = None).await;
    trial
        .refused("a slot later than the earliest deadline", |plan| {
            plan.valid_until = plan.valid_until.map(|slot| Slot(slot.0 + 1));
        })
        .await;
    trial
        .refused("only a lower bound", |plan| {
            plan.valid_until = None;
            plan.valid_from = Some(Slot(0));
        })
        .await;
    trial.passes().await;

    // Past the deadline the bound that the validator wants is one that the ledger does not take.
    let late = lock(&world, &[job(&world, 3, &on_account).await]).await.remove(0);
    let plan = redemption(&world, &[(late.clone(), voucher(&world, &late, 1_000_000))]);
    world.devnet.advance(Duration::from_secs(2 * 60 * 60 + 1)).await.unwrap();
    let trial = Trial::of(&world, plan.clone(), &signers);
    trial.breaks_attempt("OutsideValidityIntervalUTxO", "past the deadline", plan).await;
    let later = world.chain.tip().await.unwrap().slot;
    trial.refused("past the deadline, by a later bound", |plan| plan.valid_until = Some(Slot(later.0 + 60))).await;
    nunet_tests::finish(world).await;
}

/// A provider with a bond cannot take it back, or leave, before the committee has spoken: neither by a voucher nor by
/// declining. (The builder, which would refuse, takes the escrow for one without a bond.)
#[tokio::test(flavor = "multi_thread")]
async fn a_bond_is_not_redeemed() {
    let world = World::start().await.unwrap();
    let signers = [Role::Operator, Role::Provider].map(|role| world.accounts.wallet(role));
    let (on_account, ntx) = (on_account(&world), &world.accounts.ntx);
    let carrying = |datum: &mut JobDatum| {
        on_account(datum);
        datum.carry = Lovelace(1_500_000);
    };
    let terms = [job(&world, 1, carrying).await, job(&world, 1, carrying).await, job(&world, 1, carrying).await];
    let escrows = lock_changed(&world, &terms, |outputs| {
        set_field(&mut outputs[1], 4, int(1_000_000));
        add(&mut outputs[1], ntx, 1_000_000);
        set_field(&mut outputs[2], 4, int(-1));
    })
    .await;
    let redeemed = |escrow: &Escrow, voucher| redemption(&world, &[(escrow.clone(), voucher)]);
    let trial = Trial::of(&world, redeemed(&escrows[0], voucher(&world, &escrows[0], 2_000_000)), &signers);
    for (escrow, bond) in [(&escrows[1], "a bond"), (&escrows[2], "a negative bond")] {
        let signed = redeemed(escrow, voucher(&world, escrow, 2_000_000));
        trial.refused_attempt(&format!("{bond}, by a voucher"), signed).await;
        trial.refused_attempt(&format!("{bond}, by declining"), redeemed(escrow, Voucher::DECLINE)).await;
    }
    let batch = [(escrows[0].clone(), Voucher::DECLINE), (escrows[1].clone(), Voucher::DECLINE)];
    trial.refused_attempt("a bond in a batch", redemption(&world, &batch)).await;
    trial.passes().await;
    nunet_tests::finish(world).await;
}

/// Voucher keys that are none.
#[tokio::test(flavor = "multi_thread")]
async fn no_voucher_is_signed_by_a_key_that_is_none() {
    let world = World::start().await.unwrap();
    let signers = [Role::Operator, Role::Provider].map(|role| world.accounts.wallet(role));
    let on_account = on_account(&world);
    let terms = vec![job(&world, 1, &on_account).await; 4];
    let broken = [data::bytes(&[]), data::bytes(&[7; 31]), int(0)];
    let escrows = lock_changed(&world, &terms, |outputs| {
        for (output, key) in outputs[1..].iter_mut().zip(broken) {
            set_field(output, 10, key);
        }
    })
    .await;
    let redeemed = |escrow: &Escrow, voucher| redemption(&world, &[(escrow.clone(), voucher)]);
    let trial = Trial::of(&world, redeemed(&escrows[0], voucher(&world, &escrows[0], 2_000_000)), &signers);
    for escrow in &escrows[1..] {
        let signed = redeemed(escrow, voucher(&world, escrow, 2_000_000));
        trial.refused_attempt("signed by somebody", signed.clone()).await;
        for signature in [vec![], vec![0; 64]] {
            let mut plan = signed.clone();
            edit_action(&mut plan, |fields| {
                edit_list(&mut fields[0], |vouchers| {
                    edit(&mut vouchers[0], |fields| fields[1] = data::bytes(&signature))
                });
            });
            trial.refused_attempt("signed by nobody", plan).await;
        }
    }
    trial.passes().await;
    // Without a key the job can still be declined.
    Trial::of(&world, redeemed(&escrows[1], Voucher::DECLINE), &signers).passes().await;
    let returned = nunet_tests::holds(&world.devnet, &world.accounts.ntx, &person(1));
    assert_eq!(returned.1, 3_500_000 + 5_500_000);
    nunet_tests::finish(world).await;
}

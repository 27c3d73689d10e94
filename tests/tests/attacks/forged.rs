//! Forged escrows: nothing runs when an escrow is locked, so that a datum may say anything. Merged with honest escrows of
//! a victim, a negative amount would shrink what the victim gets.

use std::time::Duration;

use nunet::{accounts::Role, world::World};
use nunet_contracts::{
    Consents, Escrow, JobDatum, Ntx, TxPlan, Voucher,
    transactions::{accept, redeem, refund},
};
use nunet_ledger::{Lovelace, PosixMs};
use nunet_tests::{finish, verdict};

use crate::{
    craft::{add, add_lovelace, int, job, leaf, lock_changed, set_field, settlement_of},
    trial::Trial,
};

/// By how much an attacker wants to shrink a payout.
const TAKEN: i64 = 100_000;

/// The amounts of a datum, by their places.
const AMOUNTS: [(usize, &str); 5] = [(2, "price"), (3, "fee"), (4, "bond"), (5, "deposit"), (6, "carry")];

/// An honest escrow and one with each amount forged, beside what the latter claims to be: the amount is zero.
struct Forgeries {
    honest: Escrow,
    /// As forged, but for the amount, which is zero.
    plain: Vec<Escrow>,
    /// On chain the amount is below zero; the attacker's builder takes it for zero.
    forged: Vec<Escrow>,
}

impl Forgeries {
    /// All between the requester and the provider.
    async fn lock(world: &World, change: impl Fn(&mut JobDatum)) -> Self {
        let [requester, provider] =
            [Role::Requester, Role::Provider].map(|role| world.accounts.wallet(role).enterprise_address());
        let between = |datum: &mut JobDatum| {
            datum.requester = requester.clone();
            datum.provider = provider.clone();
            datum.bond = Ntx(1_000_000);
            datum.carry = Lovelace(2_000_000);
            change(datum);
        };
        let mut terms = vec![job(world, 0, between).await];
        for seed in 1..=10 {
            let without = |datum: &mut JobDatum| {
                between(datum);
                match AMOUNTS[(usize::from(seed) - 1) % 5].1 {
                    "price" => datum.price = Ntx(0),
                    "fee" => datum.fee = Ntx(0),
                    "bond" => datum.bond = Ntx(0),
                    "deposit" => datum.deposit = Lovelace(0),
                    _ => datum.carry = Lovelace(0),
                }
            };
            terms.push(job(world, seed, without).await);
        }
        let mut locked = lock_changed(world, &terms, |outputs| {
            for (output, (field, _)) in outputs[6..].iter_mut().zip(AMOUNTS) {
                set_field(output, field, int(-TAKEN));
            }
        })
        .await;
        let forged = locked.split_off(6);
        let plain = locked.split_off(1);
        Self { honest: locked.remove(0), plain, forged }
    }

    /// For each amount: its name, the honest batch, and the one with the forgery.
    fn batches(&self) -> impl Iterator<Item = (&'static str, [Escrow; 2], [Escrow; 2])> {
        let batch = |other: &Escrow| [self.honest.clone(), other.clone()];
        let pairs = self.plain.iter().zip(&self.forged);
        AMOUNTS.iter().zip(pairs).map(move |((_, name), (plain, forged))| (*name, batch(plain), batch(forged)))
    }
}

/// Takes from the payout that the amount is part of: of NTX, or of lovelace.
fn take(plan: &mut TxPlan, world: &World, amount: &str, [price, fee, bond, deposit, carry]: [Option<usize>; 5]) {
    let (place, lovelace) = match amount {
        "price" => (price, false),
        "fee" => (fee, false),
        "bond" => (bond, false),
        "deposit" => (deposit, true),
        _ => (carry, true),
    };
    match place.map(|place| &mut plan.outputs[place]) {
        Some(output) if lovelace => add_lovelace(output, -TAKEN),
        Some(output) => add(output, &world.accounts.ntx, -TAKEN),
        None => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_settlement_takes_from_a_victim_by_a_forged_escrow() {
    let world = World::start().await.unwrap();
    let forgeries = Forgeries::lock(&world, |_| {}).await;
    let settled = |batch: &[Escrow; 2]| {
        // The forged price of zero leaves nothing to pay.
        let leaves = vec![leaf(&batch[0], 3_000_000, 0), leaf(&batch[1], 0, 0)];
        settlement_of(&world, &verdict(&world, leaves).unwrap(), batch)
    };
    let mut last = None;
    for (amount, honest, forged) in forgeries.batches() {
        let trial = Trial::of(&world, settled(&honest), &[world.accounts.wallet(Role::Operator)]);
        // Outputs: the treasury's, and two merged ones.
        let at = |address| trial.good().outputs.iter().position(|output| output.address == address);
        let [requester, provider] = [&honest[0].datum.requester, &honest[0].datum.provider].map(|who| at(who.clone()));
        let mut attack = settled(&forged);
        take(&mut attack, &world, amount, [requester, Some(0), provider, requester, provider]);
        trial.refused_attempt(&format!("a negative {amount}"), attack).await;
        last = Some(trial);
    }
    last.unwrap().passes().await;
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_accept_takes_from_a_victim_by_a_forged_escrow() {
    let world = World::start().await.unwrap();
    let forgeries = Forgeries::lock(&world, |_| {}).await;
    let signers = [Role::Operator, Role::Requester].map(|role| world.accounts.wallet(role));
    let accepted =
        |batch: &[Escrow]| accept(&world.deployment, &world.chain.params(), batch, &Consents::none()).unwrap();
    let mut last = None;
    for (amount, honest, forged) in forgeries.batches() {
        let trial = Trial::of(&world, accepted(&honest), &signers);
        // The one output is the provider's. Fee and deposit are the requester's, who signs.
        let mut attack = accepted(&forged);
        take(&mut attack, &world, amount, [Some(0), None, Some(0), None, Some(0)]);
        trial.refused_attempt(&format!("a negative {amount}"), attack).await;
        last = Some(trial);
    }
    last.unwrap().passes().await;
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_redemption_takes_from_a_victim_by_a_forged_escrow() {
    let world = World::start().await.unwrap();
    let forgeries = Forgeries::lock(&world, |datum| datum.bond = Ntx(0)).await;
    let signers = [Role::Operator, Role::Provider].map(|role| world.accounts.wallet(role));
    let until = world.chain.slots().at(forgeries.honest.datum.deadline);
    let declined = |batch: &[Escrow; 2]| {
        let vouchers: Vec<_> = batch.iter().map(|escrow| (escrow.clone(), Voucher::DECLINE)).collect();
        redeem(&world.deployment, &world.chain.params(), &vouchers, &Consents::none(), until).unwrap()
    };
    let mut last = None;
    for (amount, honest, forged) in forgeries.batches() {
        let trial = Trial::of(&world, declined(&honest), &signers);
        // The outputs are the requester's, one for each escrow. Bond and carry are the provider's, who signs.
        let mut attack = declined(&forged);
        take(&mut attack, &world, amount, [Some(1), Some(1), None, None, None]);
        trial.refused_attempt(&format!("a negative {amount}"), attack).await;
        last = Some(trial);
    }
    last.unwrap().passes().await;
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_refund_takes_from_a_victim_by_a_forged_escrow() {
    let world = World::start().await.unwrap();
    let soon = PosixMs(world.chain.tip().await.unwrap().time.0 + 600_000);
    let forgeries = Forgeries::lock(&world, |datum| datum.deadline = soon).await;
    world.devnet.advance(Duration::from_secs(601)).await.unwrap();
    let refunded =
        |batch: &[Escrow]| refund(&world.deployment, &world.chain.params(), &world.chain.slots(), batch).unwrap();
    let mut last = None;
    for (amount, honest, forged) in forgeries.batches() {
        let trial = Trial::of(&world, refunded(&honest), &[world.accounts.wallet(Role::Operator)]);
        // Outputs: the provider's, and the requester's for each escrow; any lovelace is more than a negative deposit.
        let mut attack = refunded(&forged);
        take(&mut attack, &world, amount, [Some(2), Some(2), Some(0), None, Some(0)]);
        trial.refused_attempt(&format!("a negative {amount}"), attack).await;
        last = Some(trial);
    }
    last.unwrap().passes().await;
    finish(world).await;
}

/// What a forged escrow lacks, its batch does not pay: payouts follow the datum, so that whoever settles it has to add
/// what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn an_escrow_that_holds_less_than_it_says_takes_nothing_from_its_batch() {
    let world = World::start().await.unwrap();
    let ntx = &world.accounts.ntx;
    let terms = [job(&world, 1, |_| {}).await, job(&world, 1, |_| {}).await];
    // The second holds one unit of the 5.5 NTX that it says.
    let batch = lock_changed(&world, &terms, |outputs| add(&mut outputs[1], ntx, -5_499_999)).await;
    let leaves = batch.iter().map(|escrow| leaf(escrow, 2_000_000, 0)).collect();
    let good = settlement_of(&world, &verdict(&world, leaves).unwrap(), &batch);
    let trial = Trial::of(&world, good, &[world.accounts.wallet(Role::Operator)]);
    // Treasury, requester and provider share the loss.
    for place in 0..3 {
        let attack = format!("payout {place} bears what is missing");
        trial.refused(&attack, |plan| add(&mut plan.outputs[place], ntx, -999_999)).await;
    }
    trial.passes().await;
    finish(world).await;
}

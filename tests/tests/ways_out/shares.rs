//! What everybody gets out of batches: bonds and carries, merged payouts, parties who are both, and jobs without a fee.

use std::{collections::BTreeMap, time::Duration};

use ed25519_dalek::{Signer, SigningKey};
use nunet::{accounts::Role, world::World};
use nunet_contracts::{
    Closing, Consents, Escrow, EscrowTerms, JobDatum, Leaf, Ntx, TxPlan, Voucher,
    transactions::{accept, agree, redeem, refund, settle},
    voucher_message,
};
use nunet_ledger::{Address, Credential, KeyHash, Lovelace, TxId, TxOut, Value};
use nunet_tests::{finish, holds, lock_all, place_signed, signatures, terms, verdict};

use super::{ENOUGH, closing_of};

/// Somebody who signs nothing, and so has only what escrows paid.
fn person(number: u8) -> Address {
    Address::new(0, Credential::Key(KeyHash([number; 28])), None)
}

/// A job of this person for the first provider.
async fn job(world: &World, requester: u8, change: impl FnOnce(&mut JobDatum)) -> EscrowTerms {
    let mut terms = terms(world, requester).await.unwrap();
    terms.datum.requester = person(requester);
    terms.datum.provider = person(51);
    change(&mut terms.datum);
    terms
}

/// With a bond of 1 NTX and a carry.
fn bonded(datum: &mut JobDatum) {
    datum.bond = Ntx(1_000_000);
    datum.carry = Lovelace(1_300_000);
}

fn settled(world: &World, escrows: &[Escrow], outcomes: &[(u64, u64)]) -> TxPlan {
    let leaf = |(escrow, (paid, slashed)): (&Escrow, &(u64, u64))| Leaf {
        escrow: escrow.outpoint,
        paid: Ntx(*paid),
        slashed: Ntx(*slashed),
    };
    let verdict = verdict(world, escrows.iter().zip(outcomes).map(leaf).collect()).unwrap();
    let signed = signatures(world, &verdict, ENOUGH);
    settle(&world.deployment, &world.chain.params(), &world.committee, &verdict, &signed, escrows).unwrap()
}

/// What these people got: NTX, and at least this lovelace, each in one output.
fn got(world: &World, shares: &[(u8, u64, u64)]) {
    for (number, units, lovelace) in shares {
        let held = holds(&world.devnet, &world.accounts.ntx, &person(*number));
        assert_eq!(held.1, *units, "the NTX of person {number}");
        assert!(held.0 >= *lovelace, "person {number} got {} lovelace, less than {lovelace}", held.0);
    }
}

/// The addresses of a plan's outputs, with how many each has.
fn outputs(plan: &TxPlan) -> BTreeMap<Address, usize> {
    let mut count = BTreeMap::new();
    plan.outputs.iter().for_each(|output| *count.entry(output.address.clone()).or_default() += 1);
    count
}

fn treasury(world: &World) -> u64 {
    holds(&world.devnet, &world.accounts.ntx, &world.accounts.wallet(Role::Treasury).enterprise_address()).1
}

/// How each escrow ended, as the chain tells it.
fn endings(world: &World, tx: &TxId, escrows: &[Escrow]) -> Vec<Closing> {
    let applied = world.devnet.transaction(tx).unwrap();
    escrows.iter().map(|escrow| closing_of(world, &applied, escrow.outpoint).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_settles_with_bonds_paid_in_full_in_part_and_not_at_all() {
    let world = World::start().await.unwrap();
    let second = |datum: &mut JobDatum| {
        bonded(datum);
        datum.provider = person(52);
    };
    let jobs = [
        job(&world, 1, bonded).await,
        job(&world, 2, bonded).await,
        job(&world, 3, second).await,
        job(&world, 4, bonded).await,
        job(&world, 5, second).await,
    ];
    let escrows = lock_all(&world, &jobs).await.unwrap();
    // In full; a part and a part of the bond slashed; nothing and all of it slashed; all of both; a part.
    let outcomes = [(5_000_000, 0), (2_000_000, 250_000), (0, 1_000_000), (5_000_000, 1_000_000), (1, 0)];
    let plan = settled(&world, &escrows, &outcomes);
    assert!(outputs(&plan).values().all(|count| *count == 1), "payouts of one provider merge");
    let tx = world.place(&plan, world.accounts.wallet(Role::Operator)).await.unwrap();
    got(
        &world,
        &[
            (51, 6_000_000 + 2_750_000 + 5_000_000, 3 * 1_300_000),
            (52, 1_000_001, 2 * 1_300_000),
            (1, 0, 1_500_000),
            (2, 3_250_000, 1_500_000),
            (3, 6_000_000, 1_500_000),
            (4, 1_000_000, 1_500_000),
            (5, 4_999_999, 1_500_000),
        ],
    );
    assert_eq!(treasury(&world), 5 * 500_000);
    for (ending, (paid, slashed)) in endings(&world, &tx, &escrows).into_iter().zip(outcomes) {
        let expected =
            Closing::Settled { paid: Ntx(paid), slashed: Ntx(slashed), evidence: [7; 32], signatures: ENOUGH };
        assert_eq!(ending, expected);
    }
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_one_requester_return_in_one_output_and_no_fee_needs_no_treasury() {
    let world = World::start().await.unwrap();
    let free = |datum: &mut JobDatum| datum.fee = Ntx(0);
    // Two of the first person's; one that returns nothing at all.
    let jobs = [
        job(&world, 1, free).await,
        job(&world, 2, free).await,
        job(&world, 1, free).await,
        job(&world, 3, |datum| {
            free(datum);
            datum.deposit = Lovelace(0);
        })
        .await,
    ];
    let escrows = lock_all(&world, &jobs).await.unwrap();
    let plan = settled(&world, &escrows, &[(1_000_000, 0), (5_000_000, 0), (2_000_000, 0), (5_000_000, 0)]);
    assert_eq!(outputs(&plan), [(person(51), 1), (person(1), 1), (person(2), 1)].into());
    world.place(&plan, world.accounts.wallet(Role::Operator)).await.unwrap();
    got(&world, &[(51, 13_000_000, 0), (1, 7_000_000, 3_000_000), (2, 0, 1_500_000), (3, 0, 0)]);
    assert_eq!(treasury(&world), 0);

    // A provider that earns nothing has no output either.
    let nothing = lock_all(&world, &[job(&world, 4, free).await]).await.unwrap();
    let plan = settled(&world, &nothing, &[(0, 0)]);
    assert_eq!(outputs(&plan), [(person(4), 1)].into());
    world.place(&plan, world.accounts.wallet(Role::Operator)).await.unwrap();
    got(&world, &[(51, 13_000_000, 0), (4, 5_000_000, 1_500_000)]);
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_requests_and_provides_gets_both_shares_by_every_way_out() {
    let world = World::start().await.unwrap();
    let operator = world.accounts.wallet(Role::Operator);
    let party = world.accounts.wallet(Role::Provider);
    let address = party.enterprise_address();
    let soon = world.chain.tip().await.unwrap().time.0 + 3_600_000;
    let mut own = Vec::new();
    for seed in 1..=5 {
        let terms = job(&world, seed, |datum| {
            datum.requester = address.clone();
            datum.provider = address.clone();
            datum.deadline.0 = soon;
        });
        own.push(terms.await);
    }
    own[0].datum.bond = Ntx(1_000_000);
    own[0].datum.carry = Lovelace(1_300_000);
    let escrows = lock_all(&world, &own).await.unwrap();
    let at = |index: usize| std::slice::from_ref(&escrows[index]);
    let params = world.chain.params();
    let has = || holds(&world.devnet, &world.accounts.ntx, &address).1;
    let both = [operator, party];

    let plan = settled(&world, at(0), &[(3_000_000, 400_000)]);
    assert_eq!(outputs(&plan).get(&address), Some(&1), "both shares in one output");
    world.place(&plan, operator).await.unwrap();
    assert_eq!(has(), 6_000_000);
    let plan = accept(&world.deployment, &params, at(1), &Consents::none()).unwrap();
    place_signed(&world, &plan, &both).await.unwrap();
    assert_eq!(has(), 6_000_000 + 5_000_000, "the fee is the builder's");
    let until = world.chain.slots().at(escrows[2].datum.deadline);
    let declined = [(escrows[2].clone(), Voucher::DECLINE)];
    let plan = redeem(&world.deployment, &params, &declined, &Consents::none(), until).unwrap();
    place_signed(&world, &plan, &both).await.unwrap();
    assert_eq!(has(), 11_000_000 + 5_500_000);
    let plan = agree(&world.deployment, at(3), vec![], &Consents::none()).unwrap();
    place_signed(&world, &plan, &both).await.unwrap();
    assert_eq!(has(), 16_500_000, "all of it is the builder's");
    world.devnet.advance(Duration::from_secs(3_600)).await.unwrap();
    let plan = refund(&world.deployment, &params, &world.chain.slots(), at(4)).unwrap();
    world.place(&plan, operator).await.unwrap();
    assert_eq!(has(), 16_500_000 + 5_500_000);
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_accepted_and_agreed_about_by_all_of_their_people() {
    let world = World::start().await.unwrap();
    let [operator, requester, provider, other] =
        [Role::Operator, Role::Requester, Role::Provider, Role::Treasury].map(|role| world.accounts.wallet(role));
    let params = world.chain.params();
    let of_both = |datum: &mut JobDatum| {
        bonded(datum);
        datum.requester = requester.enterprise_address();
    };
    let of_another = |datum: &mut JobDatum| {
        datum.requester = other.address();
        datum.provider = person(52);
    };
    let jobs = [job(&world, 1, of_both).await, job(&world, 2, of_another).await, job(&world, 3, of_both).await];
    let escrows = lock_all(&world, &jobs).await.unwrap();
    let plan = accept(&world.deployment, &params, &escrows, &Consents::none()).unwrap();
    assert_eq!(outputs(&plan), [(person(51), 1), (person(52), 1)].into());
    let tx = place_signed(&world, &plan, &[operator, requester, other]).await.unwrap();
    got(&world, &[(51, 12_000_000, 2_600_000), (52, 5_000_000, 0)]);
    assert_eq!(endings(&world, &tx, &escrows), vec![Closing::Accepted; 3]);

    let with_provider = |datum: &mut JobDatum| {
        datum.requester = requester.enterprise_address();
        datum.provider = provider.address();
    };
    let jobs = [job(&world, 4, with_provider).await, job(&world, 5, with_provider).await];
    let escrows = lock_all(&world, &jobs).await.unwrap();
    let value = Value::lovelace_only(Lovelace(2_000_000)).with(world.accounts.ntx.clone(), 123).unwrap();
    let outputs = vec![TxOut::new(person(60), value)];
    let plan = agree(&world.deployment, &escrows, outputs, &Consents::none()).unwrap();
    let tx = place_signed(&world, &plan, &[operator, requester, provider]).await.unwrap();
    got(&world, &[(60, 123, 2_000_000)]);
    assert_eq!(endings(&world, &tx, &escrows), vec![Closing::Agreed; 2]);
    assert_eq!(treasury(&world), 0);
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vouchers_of_a_batch_are_redeemed_and_jobs_declined_beside() {
    let world = World::start().await.unwrap();
    let [operator, provider] = [Role::Operator, Role::Provider].map(|role| world.accounts.wallet(role));
    let key = SigningKey::from_bytes(&[33; 32]);
    let on_account = |datum: &mut JobDatum| {
        datum.provider = provider.enterprise_address();
        datum.voucher_key = Some(key.verifying_key().to_bytes());
    };
    let jobs = [job(&world, 1, on_account).await, job(&world, 2, on_account).await, job(&world, 3, on_account).await];
    let escrows = lock_all(&world, &jobs).await.unwrap();
    let protocol = &world.deployment.protocol;
    let voucher = |escrow: &Escrow, amount| {
        let message = voucher_message(protocol.magic(), protocol.logic_hash(), escrow.outpoint, amount);
        Voucher { amount, signature: Some(key.sign(&message).to_bytes()) }
    };
    let amounts = [Ntx(3_000_000), Ntx(0), Ntx(5_000_000)];
    let redeemed: Vec<_> = escrows.iter().zip(amounts).map(|(e, amount)| (e.clone(), voucher(e, amount))).collect();
    let until = world.chain.slots().at(escrows[0].datum.deadline);
    let plan = redeem(&world.deployment, &world.chain.params(), &redeemed, &Consents::none(), until).unwrap();
    let tx = place_signed(&world, &plan, &[operator, provider]).await.unwrap();
    got(&world, &[(1, 2_500_000, 1_500_000), (2, 5_500_000, 1_500_000), (3, 500_000, 1_500_000)]);
    let expected: Vec<_> = amounts.into_iter().map(|amount| Closing::Redeemed { amount }).collect();
    assert_eq!(endings(&world, &tx, &escrows), expected);

    let alone = lock_all(&world, &[job(&world, 4, on_account).await]).await.unwrap();
    let declined = [(alone[0].clone(), Voucher::DECLINE)];
    let plan = redeem(&world.deployment, &world.chain.params(), &declined, &Consents::none(), until).unwrap();
    world.place(&plan, provider).await.unwrap();
    got(&world, &[(4, 5_500_000, 1_500_000)]);
    assert_eq!(treasury(&world), 0);
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_refunded_with_its_bonds() {
    let world = World::start().await.unwrap();
    let second = |datum: &mut JobDatum| datum.provider = person(52);
    // The second provider put nothing in; the first person has two jobs.
    let jobs = [job(&world, 1, bonded).await, job(&world, 2, second).await, job(&world, 1, bonded).await];
    let escrows = lock_all(&world, &jobs).await.unwrap();
    world.devnet.advance(Duration::from_secs(2 * 60 * 60 + 1)).await.unwrap();
    let plan = refund(&world.deployment, &world.chain.params(), &world.chain.slots(), &escrows).unwrap();
    assert_eq!(outputs(&plan), [(person(51), 1), (person(1), 2), (person(2), 1)].into());
    let tx = world.place(&plan, world.accounts.wallet(Role::Operator)).await.unwrap();
    got(&world, &[(51, 2_000_000, 2_600_000), (52, 0, 0), (1, 11_000_000, 3_000_000), (2, 5_500_000, 1_500_000)]);
    assert_eq!(endings(&world, &tx, &escrows), vec![Closing::Refunded; 3]);
    finish(world).await;
}

//! The core without IO: mempool, blocks, and what is conserved.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{FEE, FUNDS, NTX, genesis, ntx, owners};
use nunet_devnet::{Applied, Block, Chain, DroppedTransactions, SubmitError};
use nunet_ledger::{OutPoint, PosixMs, Slot, TxId, Value, parameters::ProtocolParameters};
use proptest::prelude::*;

const START: PosixMs = PosixMs(1_700_000_000_000);

fn chain() -> (Chain, Block) {
    Chain::new(&genesis(), ProtocolParameters::mainnet(), START).unwrap()
}

fn at(seconds: u64) -> PosixMs {
    PosixMs(START.0 + seconds * 1_000)
}

/// The output with most lovelace of an owner in the genesis.
fn funds(block: &Block, owner: &common::Owner) -> (OutPoint, u64) {
    let outputs = block.transactions[0].produced.iter().filter(|(_, output)| output.address == owner.address);
    outputs.map(|(outpoint, output)| (*outpoint, output.value.lovelace().0)).max_by_key(|(_, held)| *held).unwrap()
}

fn ids(block: &Block) -> Vec<TxId> {
    block.transactions.iter().map(|applied| applied.id).collect()
}

fn predicate(result: Result<TxId, SubmitError>) -> &'static str {
    match result {
        Err(SubmitError::Ledger(error)) => error.predicate(),
        other => panic!("not refused by the ledger: {other:?}"),
    }
}

#[test]
fn the_genesis_is_the_first_block_and_holds_what_was_funded() {
    let (chain, block) = chain();
    let genesis = &block.transactions[0];
    let all =
        genesis.produced.iter().fold(Value::default(), |sum, (_, output)| sum.checked_add(&output.value).unwrap());
    assert_eq!(all.lovelace().0, 2 * FUNDS.0);
    assert_eq!(all.quantity(&ntx()), NTX);
    assert_eq!(genesis.genesis.as_ref(), Some(&all));
    assert_eq!((chain.tip().height, chain.tip().slot, chain.tip().time), (0, Slot(0), START));
}

#[test]
fn a_block_takes_what_waits_in_order_and_the_next_is_empty() {
    let ((mut chain, block), (alice, bob)) = (chain(), owners());
    let (from, held) = funds(&block, &alice);
    let first = alice.pay(from, held, &bob.address, 10_000_000);
    let change = OutPoint { tx: first.id(), index: 1 };
    let second = alice.pay(change, held - 10_000_000 - FEE, &bob.address, 20_000_000);
    chain.submit(first.to_cbor(), at(1)).unwrap();
    chain.submit(second.to_cbor(), at(1)).unwrap();
    assert_eq!(chain.mempool().collect::<Vec<_>>(), [first.id(), second.id()]);

    let block = chain.tick(at(2));
    assert_eq!(ids(&block), [first.id(), second.id()]);
    assert_eq!((block.tip.height, block.tip.slot, block.tip.time), (1, Slot(2), at(2)));
    assert_eq!(chain.mempool().count(), 0);
    let empty = chain.tick(at(3));
    assert!(empty.transactions.is_empty());
    assert_eq!(empty.previous, Some(block.tip.hash));
}

#[test]
fn a_double_spend_is_refused_in_the_mempool_and_after_confirmation() {
    let ((mut chain, block), (alice, bob)) = (chain(), owners());
    let (from, held) = funds(&block, &alice);
    let first = alice.pay(from, held, &bob.address, 10_000_000);
    let second = alice.pay(from, held, &bob.address, 11_000_000);
    chain.submit(first.to_cbor(), at(1)).unwrap();
    assert_eq!(predicate(chain.submit(second.to_cbor(), at(1))), "BadInputsUTxO");
    assert_eq!(predicate(chain.submit(first.to_cbor(), at(1))), "BadInputsUTxO");
    chain.tick(at(2));
    assert_eq!(predicate(chain.submit(second.to_cbor(), at(2))), "BadInputsUTxO");
}

#[test]
fn a_foreign_signature_is_refused() {
    let ((mut chain, block), (alice, bob)) = (chain(), owners());
    let (from, held) = funds(&block, &alice);
    let theft = bob.pay(from, held, &bob.address, 10_000_000);
    assert_eq!(predicate(chain.submit(theft.to_cbor(), at(1))), "MissingVKeyWitnessesUTXOW");
}

#[test]
fn what_expires_in_the_mempool_is_dropped_with_all_that_depends_on_it() {
    let ((mut chain, block), (alice, bob)) = (chain(), owners());
    let (from, held) = funds(&block, &alice);
    let expiring = alice.pay_until(from, held, &bob.address, 10_000_000, Some(Slot(5)));
    let change = OutPoint { tx: expiring.id(), index: 1 };
    let dependent = alice.pay(change, held - 10_000_000 - FEE, &bob.address, 20_000_000);
    let (from_bob, held_by_bob) = funds(&block, &bob);
    let unrelated = bob.pay(from_bob, held_by_bob, &alice.address, 10_000_000);
    for transaction in [&expiring, &dependent, &unrelated] {
        chain.submit(transaction.to_cbor(), at(4)).unwrap();
    }

    let block = chain.tick(at(5));
    assert_eq!(ids(&block), [unrelated.id()]);
    assert_eq!(chain.mempool().count(), 0);
    // What it would have spent is free again.
    let again = alice.pay(from, held, &bob.address, 10_000_000);
    chain.submit(again.to_cbor(), at(5)).unwrap();
    assert_eq!(ids(&chain.tick(at(6))), [again.id()]);
}

#[test]
fn slots_never_go_back_when_the_clock_does() {
    let (mut chain, _) = chain();
    assert_eq!(chain.tick(at(100)).tip.slot, Slot(100));
    let block = chain.tick(at(7));
    assert_eq!((block.tip.height, block.tip.slot), (2, Slot(100)));
}

#[test]
fn what_does_not_fit_a_block_waits_for_the_next() {
    let (mut params, (alice, bob)) = (ProtocolParameters::mainnet(), owners());
    params.max_block_body_size = 700;
    let (mut chain, block) = Chain::new(&genesis(), params, START).unwrap();
    let (mut from, mut held) = funds(&block, &alice);
    let mut submitted = Vec::new();
    for _ in 0..5 {
        let payment = alice.pay(from, held, &bob.address, 2_000_000);
        assert!((240..350).contains(&payment.to_cbor().len()), "two of {} fit", payment.to_cbor().len());
        submitted.push(chain.submit(payment.to_cbor(), at(1)).unwrap());
        (from, held) = (OutPoint { tx: payment.id(), index: 1 }, held - 2_000_000 - FEE);
    }
    let blocks: Vec<_> = (2..5).map(|second| ids(&chain.tick(at(second)))).collect();
    assert_eq!(blocks, [&submitted[..2], &submitted[2..4], &submitted[4..]]);
}

#[test]
fn a_full_mempool_says_so() {
    let (mut params, (alice, bob)) = (ProtocolParameters::mainnet(), owners());
    params.max_block_body_size = 30;
    let (mut chain, block) = Chain::new(&genesis(), params, START).unwrap();
    let (from, held) = funds(&block, &alice);
    let first = alice.pay(from, held, &bob.address, 2_000_000);
    chain.submit(first.to_cbor(), at(1)).unwrap();
    let change = OutPoint { tx: first.id(), index: 1 };
    let second = alice.pay(change, held - 2_000_000 - FEE, &bob.address, 2_000_000).to_cbor();
    assert!(matches!(chain.submit(second.clone(), at(1)), Err(SubmitError::MempoolFull { .. })));
    // Even what is larger than a block gets one for itself, and makes room.
    assert_eq!(ids(&chain.tick(at(2))), [first.id()]);
    chain.submit(second, at(2)).unwrap();
}

#[test]
fn a_block_made_again_in_the_same_slot_has_another_hash() {
    let ((mut chain, block), (alice, bob)) = (chain(), owners());
    let (from, held) = funds(&block, &alice);
    let payment = chain.submit(alice.pay(from, held, &bob.address, 2_000_000).to_cbor(), at(1)).unwrap();
    let first = chain.tick(at(1));
    chain.rollback(1, DroppedTransactions::Return, at(1)).unwrap();
    let second = chain.tick(at(1));
    assert_eq!((ids(&first), ids(&second)), (vec![payment], vec![payment]));
    assert_eq!((first.tip.height, first.tip.slot), (second.tip.height, second.tip.slot));
    assert_ne!(first.tip.hash, second.tip.hash);
}

#[test]
fn a_record_with_other_contents_is_no_block_of_the_chain() {
    let ((mut chain, block), (alice, bob)) = (self::chain(), owners());
    let (from, held) = funds(&block, &alice);
    chain.submit(alice.pay(from, held, &bob.address, 2_000_000).to_cbor(), at(1)).unwrap();
    let record = chain.tick(at(1)).record();
    let fresh = || self::chain().0;
    assert!(fresh().replay(record.clone()).is_ok());
    let mut other = record.clone();
    other.slot = Slot(2);
    assert!(fresh().replay(other).unwrap_err().to_string().contains("another hash"));
    let mut other = record.clone();
    other.transactions.push(other.transactions[0].clone());
    assert!(fresh().replay(other).unwrap_err().to_string().contains("transaction 1 of block 1 is not valid"));
    let mut other = record;
    other.rewards.push((alice.stake_credential(), nunet_ledger::Lovelace(1)));
    assert!(fresh().replay(other).unwrap_err().to_string().contains("not registered"));
}

/// consumed + withdrawn = produced + fee + deposit, and no asset appears or vanishes.
fn conserves(applied: &Applied) {
    let sum = |outputs: &[(OutPoint, nunet_ledger::TxOut)]| {
        outputs.iter().fold(Value::default(), |sum, (_, output)| sum.checked_add(&output.value).unwrap())
    };
    let (consumed, produced) = (sum(&applied.consumed), sum(&applied.produced));
    assert_eq!(
        i128::from(consumed.lovelace().0) + i128::from(applied.withdrawn.0),
        i128::from(produced.lovelace().0) + i128::from(applied.fee.0) + i128::from(applied.deposit)
    );
    assert!(consumed.assets().eq(produced.assets()));
}

/// Something that happens to a chain.
#[derive(Clone, Copy, Debug)]
enum Step {
    Pay { amount: u64, lives: Option<u64> },
    Tick { later: u64 },
    Rollback { count: u64, dropped: DroppedTransactions },
}

fn step() -> impl Strategy<Value = Step> {
    let dropped = prop_oneof![Just(DroppedTransactions::Return), Just(DroppedTransactions::Forget)];
    prop_oneof![
        4 => (1_000_000_u64..3_000_000, prop::option::weighted(0.3, 1_u64..4))
            .prop_map(|(amount, lives)| Step::Pay { amount, lives }),
        3 => (0_u64..3).prop_map(|later| Step::Tick { later }),
        1 => (1_u64..5, dropped).prop_map(|(count, dropped)| Step::Rollback { count, dropped }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn payments_back_and_forth_conserve_everything(
        payments in prop::collection::vec((any::<bool>(), 1_000_000_u64..5_000_000, any::<bool>()), 1..24),
    ) {
        let ((mut chain, block), (alice, bob)) = (chain(), owners());
        let (mut from_alice, mut from_bob) = (funds(&block, &alice), funds(&block, &bob));
        let mut now = 1;
        let (mut applied, mut submitted, mut fees) = (0, 0, 0);
        let mut take = |block: Block| {
            for transaction in &block.transactions {
                conserves(transaction);
                fees += transaction.fee.0;
            }
            applied += block.transactions.len();
        };
        for (by_alice, amount, tick) in payments {
            let (payer, payee, from) = match by_alice {
                true => (&alice, &bob, &mut from_alice),
                false => (&bob, &alice, &mut from_bob),
            };
            let payment = payer.pay(from.0, from.1, &payee.address, amount);
            chain.submit(payment.to_cbor(), at(now)).unwrap();
            *from = (OutPoint { tx: payment.id(), index: 1 }, from.1 - amount - FEE);
            submitted += 1;
            if tick {
                now += 1;
                take(chain.tick(at(now)));
            }
        }
        take(chain.tick(at(now + 1)));
        prop_assert_eq!(applied, submitted);
        prop_assert_eq!(fees, FEE * submitted as u64);
    }

    /// Whatever the order of submissions, blocks and rollbacks: the blocks that stand are valid one by one from the
    /// genesis with every signature checked, and so is what waits on top of them.
    #[test]
    fn blocks_that_survive_rollbacks_stand_on_their_own(steps in prop::collection::vec(step(), 1..40)) {
        let ((mut chain, first), (alice, bob)) = (chain(), owners());
        let (mut blocks, mut now) = (Vec::new(), 1);
        let mut heads = vec![funds(&first, &alice)];
        for step in steps {
            match step {
                Step::Pay { amount, lives } => {
                    // From the newest output that is still there; older forks' outputs are refused.
                    while let Some((from, held)) = heads.last().copied() {
                        let until = lives.map(|slots| Slot(now + slots));
                        let payment = alice.pay_until(from, held, &bob.address, amount, until);
                        if chain.submit(payment.to_cbor(), at(now)).is_ok() {
                            heads.push((OutPoint { tx: payment.id(), index: 1 }, held - amount - FEE));
                            break;
                        }
                        if heads.len() == 1 {
                            break;
                        }
                        heads.pop();
                    }
                }
                Step::Tick { later } => {
                    now += later;
                    blocks.push(chain.tick(at(now)));
                }
                Step::Rollback { count, dropped } => {
                    let count = count.min(blocks.len() as u64);
                    if count > 0 {
                        chain.rollback(count, dropped, at(now)).unwrap();
                        blocks.truncate(blocks.len() - count as usize);
                    }
                }
            }
        }
        // What waits gets its blocks, so that it is checked too.
        let waiting = chain.mempool().count();
        blocks.push(chain.tick(at(now)));
        prop_assert_eq!(chain.mempool().count(), 0);
        prop_assert!(blocks.last().unwrap().transactions.len() == waiting);

        let (mut fresh, mut strict) = (self::chain().0, self::chain().0);
        for block in &blocks {
            let again = fresh.replay(block.record()).unwrap();
            prop_assert_eq!((again.tip, again.previous), (block.tip, block.previous));
            for applied in &block.transactions {
                strict.submit(applied.cbor.clone(), block.tip.time).unwrap();
            }
            prop_assert_eq!(ids(&strict.tick(block.tip.time)), ids(block));
        }
    }

    #[test]
    fn strangers_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let (mut chain, _) = chain();
        prop_assert!(chain.submit(bytes, at(1)).is_err());
        prop_assert_eq!(chain.mempool().count(), 0);
    }
}

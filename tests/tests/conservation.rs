//! Conservation as a law over random sequences of every operation by honest and dishonest principals, on real devnets.
//!
//! `PROPTEST_CASES` says how many sequences are played. A sequence that breaks the law is shrunk and printed, and its seed
//! is kept in `conservation.regressions`, from where it is played first ever after.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Mutex;

use nunet_tests::law::{Flaw, Op, Pick, Stage, Step, Tally, play, steps};
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};

/// Sequences without `PROPTEST_CASES`.
const CASES: u32 = 32;
/// The longest sequence.
const MOST_STEPS: usize = 80;

#[test]
fn no_sequence_moves_money_that_the_rules_do_not_move() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let regressions = FileFailurePersistence::Direct("tests/conservation.regressions");
    let config = Config {
        cases,
        failure_persistence: Some(Box::new(regressions)),
        max_shrink_iters: 400,
        source_file: Some(file!()),
        test_name: Some("conservation"),
        ..Config::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let done = Mutex::new(Tally::default());
    let sequence = |steps: Vec<Step>| match runtime.block_on(play(&steps)) {
        Ok(tally) => {
            done.lock().unwrap().add(&tally);
            Ok(())
        }
        Err(broken) => Err(TestCaseError::fail(format!("{broken:#}"))),
    };
    let verdict = TestRunner::new(config).run(&steps(MOST_STEPS), sequence);
    println!("{cases} sequences:\n{}", done.lock().unwrap());
    verdict.unwrap_or_else(|broken| panic!("{broken}"));
}

fn lock(count: u8, requester: u8, price: u64, bond: u64, minutes: u16, committee: u8, voucher: bool) -> Op {
    let (provider, fee, deposit, carry) = (requester + 1, 100_000, 1_500_000, if bond > 0 { 1_300_000 } else { 0 });
    Op::Lock { count, requester, provider, price, fee, bond, deposit, carry, minutes, committee, voucher }
}

fn open(lessee: u8) -> Op {
    Op::Open {
        lessee,
        lessor: lessee + 1,
        rate: 100_000,
        minutes: 60,
        periods: 12,
        paid_for: 6,
        bond: 500_000,
        fee: 20_000,
        deposit: 1_500_000,
        carry: 1_500_000,
        notice: 30,
        committee: 0,
    }
}

const fn pick(first: u8, count: u8) -> Pick {
    Pick { first, count }
}

/// Every operation, each where the rules allow it.
fn everything() -> Vec<Op> {
    vec![
        lock(2, 0, 5_000_000, 0, 60, 0, true),
        lock(3, 1, 3_000_000, 2_000_000, 61, 1, false),
        Op::Settle { pick: pick(2, 3), skipped: 1, paid: 60, slashed: 50 },
        Op::Accept(pick(0, 1)),
        Op::Redeem { pick: pick(0, 1), share: 40 },
        Op::Agree { pick: pick(0, 1), share: 30 },
        lock(1, 2, 7_000_000, 0, 60, 0, false),
        Op::Redeem { pick: pick(0, 1), share: 40 },
        lock(2, 3, 7_000_000, 1, 5, 1, false),
        Op::Pass { minutes: 6 },
        Op::Refund(pick(0, 2)),
        open(0),
        Op::Pass { minutes: 150 },
        Op::Claim(0),
        Op::TopUp { lease: 0, periods: 2 },
        Op::Fault { lease: 0, minutes: 60, share: 50 },
        Op::Shorten { lease: 0, by_lessor: false, share: 10 },
        open(2),
        Op::AgreeLease { lease: 1, share: 70 },
        Op::Rotate { committee: 0, members: 0b1111_0000, threshold: 1, treasury: 1 },
        lock(2, 0, 1_000_000, 0, 60, 0, false),
        Op::Settle { pick: pick(0, 2), skipped: 0, paid: 100, slashed: 0 },
        Op::Forge { victim: 1, lacks: 1_000 },
        Op::Dust { lease: true },
        Op::Dust { lease: false },
        Op::Pass { minutes: 400 },
        Op::Close(0),
    ]
}

/// What the tally calls them.
const KINDS: [&str; 17] = [
    "lock",
    "settle",
    "accept",
    "agree",
    "redeem",
    "decline",
    "refund",
    "open",
    "claim",
    "top up",
    "shorten",
    "fault",
    "close",
    "agree on a lease",
    "rotate",
    "forge",
    "dust",
];

/// Also shows that the law can be broken: the books see each transaction again with one unit in the wrong place, or
/// without the words of those who must have spoken, and must refuse it.
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_can_be_done_and_the_books_see_a_unit_out_of_place() {
    let mut stage = Stage::set().await.unwrap();
    stage.probe_books();
    for (number, op) in everything().into_iter().enumerate() {
        let step = Step::honest(op, number as u8 % 4);
        stage.play(&step).await.unwrap_or_else(|broken| panic!("{step:?}: {broken:#}"));
    }
    for kind in KINDS {
        assert!(stage.tally().honest(kind) > 0, "{kind} was never done:\n{}", stage.tally());
    }
    stage.close_all().await.unwrap();
    stage.strike().await.unwrap();
}

/// The forgery is well made: with a bond of nothing it goes through beside an honest escrow, one unit below it does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_escrow_takes_nothing_from_those_it_is_merged_with() {
    let mut stage = Stage::set().await.unwrap();
    for lacks in [0, 1] {
        let refund = Step { flaws: vec![Flaw::Merge(0)], ..Step::honest(Op::Refund(pick(0, 1)), 3) };
        let steps = [
            Step::honest(lock(1, 0, 5_000_000, 2_000_000, 61, 0, false), 0),
            Step::honest(Op::Forge { victim: 1, lacks }, 3),
            Step::honest(Op::Pass { minutes: 62 }, 0),
            refund,
        ];
        for step in steps {
            stage.play(&step).await.unwrap_or_else(|broken| panic!("{step:?}: {broken:#}"));
        }
    }
    assert_eq!((stage.tally().harmless("refund"), stage.tally().refused("refund")), (1, 1), "{}", stage.tally());
    stage.close_all().await.unwrap();
    stage.strike().await.unwrap();
}

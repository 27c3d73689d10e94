//! What principals try, in words that stay meaningful when steps before them are taken out.

use std::fmt;

use proptest::{collection::vec, prelude::*, sample::select};

use super::flaw::Flaw;

/// Some of those that are open: so many from one on, both modulo what there is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    /// The first.
    pub first: u8,
    /// How many, at least one.
    pub count: u8,
}

/// What is tried. People are numbers modulo those there are, shares are in percent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Locks escrows in one transaction, whose providers follow each other.
    Lock {
        /// How many.
        count: u8,
        /// Who pays.
        requester: u8,
        /// The first to work.
        provider: u8,
        /// NTX units.
        price: u64,
        /// NTX units.
        fee: u64,
        /// NTX units, which the providers bring.
        bond: u64,
        /// Lovelace.
        deposit: u64,
        /// Lovelace.
        carry: u64,
        /// Until the deadline.
        minutes: u16,
        /// Which committee judges.
        committee: u8,
        /// Whether the requester signs vouchers.
        voucher: bool,
    },
    /// Has a verdict settle part of its batch.
    Settle {
        /// Whom the verdict is about.
        pick: Pick,
        /// How many of them are left out.
        skipped: u8,
        /// The share of the price that is paid, where no verdict was spoken before.
        paid: u8,
        /// The share of the bond that is slashed, likewise.
        slashed: u8,
    },
    /// Requesters release everything.
    Accept(Pick),
    /// Both sides divide the money.
    Agree {
        /// Of whom.
        pick: Pick,
        /// The share of the first requester; the rest is the payer's.
        share: u8,
    },
    /// Providers take a share of the price by vouchers, or decline.
    Redeem {
        /// Of whom.
        pick: Pick,
        /// The share.
        share: u8,
    },
    /// Everything goes back after the deadline.
    Refund(Pick),
    /// Opens a lease.
    Open {
        /// Who rents.
        lessee: u8,
        /// Who lets.
        lessor: u8,
        /// NTX units a period.
        rate: u64,
        /// Length of a period.
        minutes: u16,
        /// How many periods it is for.
        periods: u8,
        /// How many of them are paid for at first.
        paid_for: u8,
        /// NTX units.
        bond: u64,
        /// NTX units for each fault.
        fee: u64,
        /// Lovelace.
        deposit: u64,
        /// Lovelace.
        carry: u64,
        /// Minutes of notice, and of the window for faults.
        notice: u16,
        /// Which committee judges.
        committee: u8,
    },
    /// The lessor takes rent.
    Claim(u8),
    /// The lessee adds rent.
    TopUp {
        /// To which.
        lease: u8,
        /// So many periods' and a half.
        periods: u8,
    },
    /// One side ends a lease earlier.
    Shorten {
        /// Which.
        lease: u8,
        /// By the lessor.
        by_lessor: bool,
        /// How far between the earliest and the present end.
        share: u8,
    },
    /// Members charge a lessor.
    Fault {
        /// Of which.
        lease: u8,
        /// Minutes of fault.
        minutes: u16,
        /// The share of what can be charged.
        share: u8,
    },
    /// Divides what is left of a lease that is over.
    Close(u8),
    /// Both sides of a lease divide the money.
    AgreeLease {
        /// Which.
        lease: u8,
        /// The lessee's share; the rest is the payer's.
        share: u8,
    },
    /// Members replace their committee.
    Rotate {
        /// Which.
        committee: u8,
        /// The next members, a bit each.
        members: u8,
        /// How many must sign, modulo how many there are.
        threshold: u8,
        /// Where the fees go.
        treasury: u8,
    },
    /// Time passes.
    Pass {
        /// So much of it.
        minutes: u16,
    },
    /// Locks a forged escrow that names a victim, for others to be merged with.
    Forge {
        /// Whom it names as its provider.
        victim: u8,
        /// The NTX units that it lacks: its bond is less than nothing by so much.
        lacks: u64,
    },
    /// Sends dust to a script's address.
    Dust {
        /// To that of leases, not of escrows.
        lease: bool,
    },
}

/// What is tried, by whom, and how dishonestly.
#[derive(Clone, PartialEq, Eq)]
pub struct Step {
    /// What.
    pub op: Op,
    /// Who pays the fee, where the step leaves a choice.
    pub payer: u8,
    /// What is wrong with it: the first of these that makes a difference. None for an honest step.
    pub flaws: Vec<Flaw>,
}

impl Step {
    /// An honest step.
    pub fn honest(op: Op, payer: u8) -> Self {
        Self { op, payer, flaws: Vec::new() }
    }
}

impl fmt::Debug for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.count, self.first)
    }
}

impl fmt::Debug for Step {
    /// On one line, also where proptest asks for more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, paid by {}", format_args!("{:?}", self.op), self.payer)?;
        match &self.flaws[..] {
            [] => Ok(()),
            flaws => write!(f, ", with a flaw of {}", format_args!("{flaws:?}")),
        }
    }
}

/// The most flaws to choose from: not every one fits every transaction.
const FLAWS: usize = 5;

/// Sequences of up to so many steps; every other one is dishonest.
pub fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..=most)
}

fn step() -> impl Strategy<Value = Step> {
    let flaws = prop_oneof![1 => Just(Vec::new()), 1 => vec(Flaw::any(), 1..=FLAWS)];
    (op(), 0..4_u8, flaws).prop_map(|(op, payer, flaws)| Step { op, payer, flaws })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => lock(),
        3 => (pick(), 0..3_u8, share(), share())
            .prop_map(|(pick, skipped, paid, slashed)| Op::Settle { pick, skipped, paid, slashed }),
        2 => pick().prop_map(Op::Accept),
        1 => (pick(), share()).prop_map(|(pick, share)| Op::Agree { pick, share }),
        2 => (pick(), share()).prop_map(|(pick, share)| Op::Redeem { pick, share }),
        2 => pick().prop_map(Op::Refund),
        3 => open(),
        2 => any::<u8>().prop_map(Op::Claim),
        1 => (any::<u8>(), 1..4_u8).prop_map(|(lease, periods)| Op::TopUp { lease, periods }),
        1 => (any::<u8>(), any::<bool>(), share())
            .prop_map(|(lease, by_lessor, share)| Op::Shorten { lease, by_lessor, share }),
        2 => (any::<u8>(), 1..300_u16, share())
            .prop_map(|(lease, minutes, share)| Op::Fault { lease, minutes, share }),
        1 => any::<u8>().prop_map(Op::Close),
        1 => (any::<u8>(), share()).prop_map(|(lease, share)| Op::AgreeLease { lease, share }),
        1 => (any::<u8>(), any::<u8>(), any::<u8>(), any::<u8>()).prop_map(
            |(committee, members, threshold, treasury)| Op::Rotate { committee, members, threshold, treasury }
        ),
        3 => (1..400_u16).prop_map(|minutes| Op::Pass { minutes }),
        1 => (0..4_u8, 1..100_000_u64).prop_map(|(victim, lacks)| Op::Forge { victim, lacks }),
        1 => any::<bool>().prop_map(|lease| Op::Dust { lease }),
    ]
}

fn lock() -> impl Strategy<Value = Op> {
    let amounts = (ntx(), ntx(), prop_oneof![Just(0), ntx()]);
    let terms = (lovelace(), lovelace(), 5..500_u16, 0..2_u8, any::<bool>());
    (1..4_u8, 0..4_u8, 0..4_u8, amounts, terms).prop_map(
        |(count, requester, provider, (price, fee, bond), (deposit, carry, minutes, committee, voucher))| Op::Lock {
            count,
            requester,
            provider,
            price,
            fee,
            bond,
            deposit,
            carry,
            minutes,
            committee,
            voucher,
        },
    )
}

fn open() -> impl Strategy<Value = Op> {
    let rent = (1..1_000_000_u64, 1..120_u16, 1..12_u8, 0..12_u8);
    let rest = (ntx(), prop_oneof![Just(0), 1..100_000_u64], lovelace(), lovelace(), 0..60_u16, 0..2_u8);
    (0..4_u8, 0..4_u8, rent, rest).prop_map(
        |(lessee, lessor, (rate, minutes, periods, paid_for), (bond, fee, deposit, carry, notice, committee))| {
            Op::Open { lessee, lessor, rate, minutes, periods, paid_for, bond, fee, deposit, carry, notice, committee }
        },
    )
}

fn pick() -> impl Strategy<Value = Pick> {
    (any::<u8>(), 1..5_u8).prop_map(|(first, count)| Pick { first, count })
}

/// Amounts, with the edges more often than chance has them.
fn ntx() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(0), 1 => Just(1), 6 => 0..10_000_000_u64]
}

fn lovelace() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(0), 1 => Just(1), 4 => 800_000..2_500_000_u64]
}

fn share() -> impl Strategy<Value = u8> {
    prop_oneof![2 => select(vec![0, 100]), 3 => 0..=100_u8]
}

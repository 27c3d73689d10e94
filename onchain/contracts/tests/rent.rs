//! The laws of the lease's arithmetic: how rent falls due, and that no way makes or loses money.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nunet_contracts::{
    AgreementHash, CommitteeId, Fault, LeaseDatum, LeaseError, LeaseParty, LeaseState, Ntx, Rate, lease::rent::Ending,
};
use nunet_ledger::{Address, Credential, KeyHash, Lovelace, PosixMs};
use proptest::prelude::*;

const AGREEMENT: AgreementHash = AgreementHash([9; 32]);
const HOUR: u64 = 3_600_000;

/// 100 NTX units an hour from hour 10 to hour 34, bond 500, fee 7, rent for the whole day.
fn a_day() -> LeaseDatum {
    let address = |seed| Address::new(0, Credential::Key(KeyHash([seed; 28])), None);
    LeaseDatum {
        lessee: address(1),
        lessor: address(2),
        rate: Rate::new(Ntx(100), HOUR).unwrap(),
        paid_until: PosixMs(10 * HOUR),
        end: PosixMs(34 * HOUR),
        notice_ms: 2 * HOUR,
        window_ms: 3 * HOUR,
        faults_until: PosixMs(10 * HOUR),
        bond: Ntx(500),
        withheld: Ntx(0),
        deposit: Lovelace(0),
        carry: Lovelace(0),
        fee: Ntx(7),
        committee: CommitteeId([8; 32]),
        agreement: AGREEMENT,
    }
}

fn state(datum: LeaseDatum, rent: u64) -> LeaseState {
    let held = Ntx(datum.bond.0 + rent);
    LeaseState::new(datum, held).unwrap()
}

fn hour(hour: u64) -> PosixMs {
    PosixMs(hour * HOUR)
}

fn fault(from: u64, to: u64, credit: u64) -> Fault {
    Fault { agreement: AGREEMENT, from: hour(from), to: hour(to), credit: Ntx(credit) }
}

#[test]
fn whole_periods_are_claimed_until_the_end() {
    let lease = state(a_day(), 2_400);
    assert_eq!(lease.claim(hour(9)), Err(LeaseError::NothingToClaim(hour(11))));
    assert_eq!(lease.claim(PosixMs(11 * HOUR - 1)), Err(LeaseError::NothingToClaim(hour(11))));
    let claimed = lease.claim(PosixMs(13 * HOUR + 5)).unwrap();
    assert_eq!((claimed.periods, claimed.paid), (3, Ntx(300)));
    assert_eq!((claimed.after.datum().paid_until, claimed.after.held()), (hour(13), Ntx(2_600)));
    // Nothing is due for the time after the end.
    assert_eq!(lease.claim(hour(1_000)).unwrap().periods, 24);

    let half = LeaseDatum { end: PosixMs(11 * HOUR + HOUR / 2), ..a_day() };
    let rest = state(half, 150).claim(hour(20)).unwrap().after;
    assert_eq!(rest.claim(hour(20)), Err(LeaseError::LastPeriod(PosixMs(14 * HOUR + HOUR / 2))));
    assert_eq!(rest.shares(hour(20)).lessor, Ntx(500 + 50), "the half period is paid when the lease is closed");
}

#[test]
fn a_claim_never_reaches_into_the_bond() {
    let lease = state(a_day(), 250);
    assert_eq!(lease.affordable_periods(), 2);
    assert_eq!(lease.claim(hour(12)).unwrap().after.rent(), Ntx(50));
    assert_eq!(lease.claim(hour(13)), Err(LeaseError::UsedUp));
    // What is withheld is paid for already.
    let withheld = state(LeaseDatum { withheld: Ntx(150), ..a_day() }, 250);
    assert_eq!(withheld.affordable_periods(), 4);
    let claimed = withheld.claim(hour(14)).unwrap();
    assert_eq!((claimed.paid, claimed.after.rent(), claimed.after.datum().withheld), (Ntx(250), Ntx(0), Ntx(0)));
}

#[test]
fn a_top_up_is_at_least_one_period() {
    let lease = state(a_day(), 0);
    let (amount, least) = (Ntx(99), Ntx(100));
    assert_eq!(lease.top_up(amount), Err(LeaseError::TopUpTooSmall { amount, least }));
    assert_eq!(lease.top_up(least).unwrap().rent(), least);
    assert_eq!(lease.top_up(Ntx(u64::MAX)), Err(LeaseError::Overflow));
}

#[test]
fn the_end_moves_only_earlier_and_the_lessee_gives_notice() {
    let lease = state(a_day(), 2_400);
    let shorten = |by, end, upper| lease.shorten(by, hour(end), hour(upper)).map(|after| after.datum().end);
    assert_eq!(shorten(LeaseParty::Lessee, 20, 18), Ok(hour(20)));
    assert_eq!(shorten(LeaseParty::Lessee, 20, 19), Err(LeaseError::EndTooSoon(hour(21))));
    assert_eq!(shorten(LeaseParty::Lessor, 20, 20), Ok(hour(20)));
    assert_eq!(shorten(LeaseParty::Lessor, 20, 21), Err(LeaseError::EndTooSoon(hour(21))));
    for by in [LeaseParty::Lessee, LeaseParty::Lessor] {
        assert_eq!(shorten(by, 34, 11), Err(LeaseError::NotEarlier(hour(34))));
    }
}

#[test]
fn a_fault_takes_the_bond_first_and_withholds_the_rest() {
    let lease = state(a_day(), 2_400);
    let small = lease.fault(&fault(10, 12, 93)).unwrap();
    assert_eq!((small.datum().bond, small.datum().withheld, small.held()), (Ntx(400), Ntx(0), Ntx(2_893)));
    assert_eq!(small.rent(), Ntx(2_493), "the lessee is credited, the fee is gone");
    assert_eq!(small.datum().faults_until, hour(12));
    // Bond 500 and two hours of unclaimed rent.
    assert_eq!(lease.most_chargeable(hour(12)), 700);
    let large = lease.fault(&fault(10, 12, 693)).unwrap();
    assert_eq!((large.datum().bond, large.datum().withheld, large.held()), (Ntx(0), Ntx(200), Ntx(2_893)));
    // What there is not is not charged: a lessor who claims first does not dodge the rest.
    assert_eq!(lease.fault(&fault(10, 12, 694)), lease.fault(&fault(10, 12, 693)));
    let claimed = state(LeaseDatum { paid_until: hour(12), ..a_day() }, 2_400);
    assert_eq!(claimed.fault(&fault(10, 12, 693)).unwrap().datum().bond, Ntx(0));
    let bare = state(LeaseDatum { paid_until: hour(12), bond: Ntx(6), ..a_day() }, 2_400);
    assert_eq!(bare.fault(&fault(10, 12, 1)), Err(LeaseError::NothingToCharge(Ntx(6))));
}

#[test]
fn a_time_is_charged_once_and_for_one_lease() {
    let lease = state(a_day(), 2_400).fault(&fault(10, 12, 1)).unwrap();
    assert_eq!(lease.fault(&fault(11, 13, 1)), Err(LeaseError::AlreadyCharged(hour(12))));
    assert!(lease.fault(&fault(12, 13, 1)).is_ok());
    assert_eq!(lease.fault(&fault(12, 12, 1)), Err(LeaseError::EmptyFault));
    let other = Fault { agreement: AgreementHash([1; 32]), ..fault(12, 13, 1) };
    assert_eq!(lease.fault(&other), Err(LeaseError::OtherAgreement));
    let poor = state(LeaseDatum { bond: Ntx(0), ..a_day() }, 6);
    assert_eq!(poor.fault(&fault(10, 12, 0)), Err(LeaseError::FeeNotHeld));
}

#[test]
fn a_lease_is_closed_by_anyone_when_over_and_by_its_lessor_when_used_up() {
    let lease = state(a_day(), 2_400);
    let just_before = |hour: u64| PosixMs(hour * HOUR - 1);
    assert_eq!((lease.over_at(), lease.ending(hour(37))), (hour(37), Some(Ending::Over)));
    assert_eq!(lease.ending(just_before(37)), None);
    let rich = state(a_day(), 2_401);
    assert_eq!((rich.used_up_at(), rich.used_up_over_at(), rich.ending(just_before(37))), (None, None, None));
    assert_eq!((rich.shares(hour(40)).lessor, rich.shares(hour(40)).lessee), (Ntx(2_900), Ntx(1)));

    // Two hours are paid for, and faults in them can be charged for three hours more.
    let poor = state(a_day(), 200);
    assert_eq!((poor.used_up_at(), poor.used_up_over_at()), (Some(hour(12)), Some(hour(15))));
    assert_eq!((poor.ending(just_before(15)), poor.ending(hour(15))), (None, Some(Ending::UsedUp)));
    assert_eq!(poor.shares(hour(15)).lessee, Ntx(0));
    let unpaid = state(a_day(), 0);
    assert_eq!((unpaid.ending(just_before(13)), unpaid.ending(hour(13))), (None, Some(Ending::UsedUp)));
    assert!(LeaseState::new(a_day(), Ntx(499)).is_err(), "less than the bond is no lease");
}

prop_compose! {
    /// Numbers small enough to meet often.
    fn lease()(
        rate in 1..50_u64, period in 1..20_u64, start in 0..100_u64, length in 0..200_u64, window in 0..30_u64,
        bond in 0..300_u64, withheld in 0..100_u64, fee in 0..10_u64, rent in 0..3_000_u64,
    ) -> LeaseState {
        let datum = LeaseDatum {
            rate: Rate::new(Ntx(rate), period).unwrap(),
            paid_until: PosixMs(start),
            end: PosixMs(start + length),
            notice_ms: 5,
            window_ms: window,
            faults_until: PosixMs(start),
            bond: Ntx(bond),
            withheld: Ntx(withheld),
            fee: Ntx(fee),
            ..a_day()
        };
        state(datum, rent)
    }
}

/// One way with made-up arguments; the NTX that left the lease, or came in.
fn step(lease: &LeaseState, way: u8, at: u64, amount: u64) -> Option<(LeaseState, i128)> {
    let datum = lease.datum();
    match way {
        0 => lease.claim(PosixMs(at)).ok().map(|claimed| (claimed.after, i128::from(claimed.paid.0))),
        1 => lease.top_up(Ntx(amount)).ok().map(|after| (after, -i128::from(amount))),
        2 => lease.shorten(LeaseParty::Lessor, PosixMs(at), PosixMs(at)).ok().map(|after| (after, 0)),
        _ => {
            let fault = Fault { agreement: AGREEMENT, from: datum.faults_until, to: PosixMs(at), credit: Ntx(amount) };
            lease.fault(&fault).ok().map(|after| (after, i128::from(datum.fee.0)))
        }
    }
}

proptest! {
    #[test]
    fn claims_in_steps_pay_as_much_as_one(lease in lease(), first in 0..400_u64, later in 0..400_u64) {
        let at = PosixMs(first + later);
        prop_assume!(lease.periods(at) > 0 && lease.periods(at) <= lease.affordable_periods());
        let once = lease.claim(at).unwrap();
        let (mut paid, mut after) = (0, lease);
        for at in [PosixMs(first), at] {
            if after.periods(at) > 0 {
                let claimed = after.claim(at).unwrap();
                (paid, after) = (paid + claimed.paid.0, claimed.after);
            }
        }
        prop_assert_eq!((Ntx(paid), after), (once.paid, once.after));
    }

    #[test]
    fn a_claim_before_closing_changes_nobodys_share(lease in lease(), at in 0..400_u64) {
        let at = PosixMs(at);
        if let Ok(claimed) = lease.claim(at) {
            let (then, now) = (claimed.after.shares(at), lease.shares(at));
            prop_assert_eq!((claimed.paid.0 + then.lessor.0, then.lessee), (now.lessor.0, now.lessee));
        }
    }

    #[test]
    fn no_way_makes_or_loses_money(
        lease in lease(),
        ways in proptest::collection::vec((0..4_u8, 0..400_u64, 0..400_u64), 0..12),
        end in 0..600_u64,
    ) {
        let mut left = 0_i128;
        let mut now = lease.clone();
        for (way, at, amount) in ways {
            if let Some((after, out)) = step(&now, way, at, amount) {
                left += out;
                prop_assert!(after.held() >= after.datum().bond);
                prop_assert_eq!(&LeaseState::new(after.datum().clone(), after.held()).unwrap(), &after);
                now = after;
            }
        }
        let shares = now.shares(PosixMs(end));
        prop_assert!(shares.lessor >= now.datum().bond);
        prop_assert_eq!(left + i128::from(shares.lessor.0) + i128::from(shares.lessee.0), i128::from(lease.held().0));
    }

    #[test]
    fn a_fault_costs_the_lessor_credit_and_fee_or_what_there_is(
        lease in lease(), length in 1..200_u64, credit in 0..400_u64, later in 0..200_u64,
    ) {
        let to = PosixMs(lease.datum().faults_until.0 + length);
        let fault = Fault { agreement: AGREEMENT, from: lease.datum().faults_until, to, credit: Ntx(credit) };
        let (at, before) = (PosixMs(to.0 + later), lease.clone());
        // Rent that is owed and that nobody paid is set off against the credit; so only while the money lasts.
        let lasts = before.shares(at).lessee.0 > 0;
        if let (Ok(after), true) = (lease.fault(&fault), lasts) {
            let (then, now) = (before.shares(at), after.shares(at));
            let asked = u128::from(credit + lease.datum().fee.0);
            let charge = u64::try_from(asked.min(before.most_chargeable(to))).unwrap();
            prop_assert_eq!(then.lessor.0 - now.lessor.0, charge);
            prop_assert_eq!(now.lessee.0 - then.lessee.0, charge - lease.datum().fee.0);
        }
    }

    #[test]
    fn the_lessor_closes_a_window_after_the_money_is_used_up(lease in lease()) {
        match (lease.used_up_at(), lease.used_up_over_at()) {
            (Some(used_up), Some(over)) => {
                prop_assert_eq!(over.0, used_up.0 + lease.datum().window_ms);
                prop_assert_eq!(lease.shares(used_up).lessee, Ntx(0));
                prop_assert!(lease.ending(over).is_some());
                prop_assert!(over.0 == 0 || lease.ending(PosixMs(over.0 - 1)).is_none());
            }
            (used_up, over) => {
                prop_assert_eq!((used_up, over), (None, None));
                prop_assert!(lease.shares(PosixMs(u64::MAX)).lessee.0 > 0);
                prop_assert_eq!(lease.ending(PosixMs(lease.over_at().0 - 1)), None);
            }
        }
    }

    #[test]
    fn any_numbers_are_taken(numbers in any::<[u64; 9]>(), way in 0..4_u8, at: u64, amount: u64) {
        let datum = LeaseDatum {
            rate: Rate::new(Ntx(numbers[0].max(1)), numbers[1].max(1)).unwrap(),
            paid_until: PosixMs(numbers[2]),
            end: PosixMs(numbers[3]),
            window_ms: numbers[4],
            faults_until: PosixMs(numbers[5]),
            withheld: Ntx(numbers[6]),
            fee: Ntx(numbers[7]),
            ..a_day()
        };
        let lease = LeaseState::new(datum, Ntx(numbers[8].max(500))).unwrap();
        let _ = (step(&lease, way, at, amount), lease.used_up_at(), lease.over_at(), lease.ending(PosixMs(at)));
        let shares = lease.shares(PosixMs(at));
        prop_assert_eq!(shares.lessor.0.checked_add(shares.lessee.0), Some(lease.held().0));
    }
}

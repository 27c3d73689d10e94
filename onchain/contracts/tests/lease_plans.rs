//! The plans of leases keep the validator's rules for any clock, and hold nothing that is not owed.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::OnceLock;

use nunet_contracts::{
    AgreementHash, Closer, Committee, CommitteeDatum, CommitteeId, Consents, Deployment, Fault, Lease, LeaseAction,
    LeaseDatum, LeaseError, LeaseParty, LeaseTerms, LeaseWays, MemberKey, Ntx, PlanError, Protocol, ProtocolError,
    Rate, Signatures, TxPlan,
    transactions::{TIME_TO_LAND_MS, lease_output, open_lease, publish_scripts},
};
use nunet_ledger::{
    Address, AssetId, Credential, KeyHash, Lovelace, NetworkMagic, OutPoint, PosixMs, ProtocolParameters, ScriptHash,
    Slot, SlotConfig, TxId, TxOut, Value,
};
use proptest::prelude::*;

fn outpoint(seed: u8) -> OutPoint {
    OutPoint { tx: TxId([seed; 32]), index: 0 }
}

fn address(seed: u8) -> Address {
    Address::new(0, Credential::Key(KeyHash([seed; 28])), None)
}

fn params() -> ProtocolParameters {
    ProtocolParameters::mainnet()
}

fn protocol() -> &'static Protocol {
    static PROTOCOL: OnceLock<Protocol> = OnceLock::new();
    PROTOCOL.get_or_init(|| {
        let ntx = AssetId { policy: ScriptHash([7; 28]), name: b"NTX".to_vec() };
        Protocol::new(NetworkMagic::DEVNET, ntx).unwrap()
    })
}

fn deployment() -> &'static Deployment {
    static DEPLOYMENT: OnceLock<Deployment> = OnceLock::new();
    DEPLOYMENT.get_or_init(|| {
        let outputs = publish_scripts(protocol(), &params()).outputs;
        let [stub, logic, lease] = [0, 1, 2].map(|index| (outpoint(0x50 + index as u8), outputs[index].clone()));
        Deployment::new(protocol().clone(), stub, logic, lease).unwrap()
    })
}

fn terms(rate: u64, period: u64, start: u64, length: u64, rent: u64) -> LeaseTerms {
    LeaseTerms {
        datum: LeaseDatum {
            lessee: address(1),
            lessor: address(2),
            rate: Rate::new(Ntx(rate), period).unwrap(),
            paid_until: PosixMs(start),
            end: PosixMs(start + length),
            notice_ms: 3_000,
            window_ms: 5_000,
            faults_until: PosixMs(start),
            bond: Ntx(40),
            withheld: Ntx(0),
            deposit: Lovelace(3_000_000),
            carry: Lovelace(2_000_000),
            fee: Ntx(7),
            committee: CommitteeId([8; 32]),
            agreement: AgreementHash([9; 32]),
        },
        rent: Ntx(rent),
        tip: Lovelace(1_000_000),
    }
}

fn lease(terms: &LeaseTerms) -> Lease {
    Lease::read(protocol(), outpoint(0x60), lease_output(protocol(), terms).unwrap()).unwrap()
}

fn ways<'a>(lease: &'a Lease, slots: &'a SlotConfig, params: &'a ProtocolParameters) -> LeaseWays<'a> {
    LeaseWays { deployment: deployment(), params, slots, lease }
}

const SECONDS: SlotConfig = SlotConfig { zero_time: PosixMs(0), zero_slot: Slot(0), slot_length_ms: 1_000 };

/// The lease that a plan makes again, and what a plan's action is.
fn next(plan: &TxPlan) -> Lease {
    Lease::read(protocol(), outpoint(0x61), plan.outputs[0].clone()).unwrap()
}

fn action(plan: &TxPlan) -> LeaseAction {
    LeaseAction::from_data(plan.spends[0].redeemer.as_ref().unwrap()).unwrap()
}

fn clock() -> impl Strategy<Value = SlotConfig> {
    (prop::sample::select(vec![1_u32, 7, 1_000, 20_000]), 0..50_000_u64, 0..99_u64).prop_map(|(length, zero, slot)| {
        SlotConfig { zero_time: PosixMs(zero), zero_slot: Slot(slot), slot_length_ms: length }
    })
}

proptest! {
    #[test]
    fn a_claim_takes_all_that_its_bound_says_and_the_rent_pays_for(
        rate in 1..50_u64, period in 1..40_000_u64, start in 50_000..99_000_u64, length in 0..400_000_u64,
        rent in 0..900_u64, slots in clock(), now in 0..600_000_u64,
    ) {
        let lease = lease(&terms(rate, period, start, length, rent));
        let (params, now) = (params(), PosixMs(now));
        // Bounds are whole slots, of which the last one with few enough periods says how many can be claimed.
        let periods = |slot: Slot| lease.state.periods(slots.begin(slot));
        let affordable = lease.state.affordable_periods();
        let (mut last, mut beyond) = (slots.at(PosixMs(start)).0, slots.at(now).0 + 1);
        while last + 1 < beyond {
            let middle = last + (beyond - last) / 2;
            if periods(Slot(middle)) <= affordable { last = middle } else { beyond = middle }
        }
        let most = if periods(Slot(last)) <= affordable { periods(Slot(last)) } else { 0 };
        match ways(&lease, &slots, &params).claim(now, &Consents::none()) {
            Ok(plan) => {
                let bound = plan.valid_from.unwrap();
                prop_assert!(bound <= slots.at(now), "it is valid now");
                let claimed = lease.state.claim(slots.begin(bound)).unwrap();
                prop_assert_eq!(claimed.periods, most);
                prop_assert_eq!(&next(&plan).state, &claimed.after);
                prop_assert_eq!(plan.outputs.len(), 1);
            }
            Err(PlanError::Lease { problem: LeaseError::UsedUp, .. }) => {
                prop_assert_eq!(most, 0);
                prop_assert!(periods(slots.at(now)) > affordable);
            }
            Err(_) => prop_assert_eq!(periods(slots.at(now)), 0),
        }
    }

    #[test]
    fn a_new_end_is_after_the_bound_and_the_notice(
        by_the_lessor: bool, slots in clock(), now in 50_000..600_000_u64, end in 0..1_200_000_u64,
    ) {
        let by = if by_the_lessor { LeaseParty::Lessor } else { LeaseParty::Lessee };
        let lease = lease(&terms(1, 1_000, 50_000, 900_000, 900));
        let (params, end) = (params(), PosixMs(end));
        let earliest = now + TIME_TO_LAND_MS + lease.state.notice_ms(by);
        match ways(&lease, &slots, &params).shorten(by, end, PosixMs(now), &Consents::none()) {
            Ok(plan) => {
                let bound = slots.begin(plan.valid_until.unwrap());
                prop_assert!(bound.0 >= now + TIME_TO_LAND_MS, "it has the time to come into a block");
                prop_assert!(end.0 >= bound.0 + lease.state.notice_ms(by));
                prop_assert_eq!(next(&plan).datum().end, end);
                prop_assert_eq!(action(&plan), LeaseAction::Shorten { end });
            }
            Err(PlanError::Lease { problem: LeaseError::NotEarlier(old), .. }) => prop_assert!(end >= old),
            Err(PlanError::Lease { problem: LeaseError::EndTooSoon(least), .. }) => {
                prop_assert!(end < least && end.0 < earliest + u64::from(slots.slot_length_ms));
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn a_lease_is_closed_as_soon_as_a_slot_allows(
        rent in 0..900_u64, slots in clock(), now in 50_000..1_200_000_u64, by_the_lessor: bool,
    ) {
        let lease = lease(&terms(1, 1_000, 50_000, 600_000, rent));
        let (params, none, now) = (params(), Consents::none(), PosixMs(now));
        let by = if by_the_lessor { Closer::Lessor(&none) } else { Closer::Anyone };
        let closable = if by_the_lessor {
            lease.state.used_up_over_at().unwrap_or(lease.state.over_at())
        } else {
            lease.state.over_at()
        };
        let plan = ways(&lease, &slots, &params).close(now, by);
        prop_assert_eq!(plan.is_ok(), slots.at_or_after(closable) <= slots.at(now));
        if let Ok(plan) = plan {
            let bound = plan.valid_from.unwrap();
            prop_assert!(bound <= slots.at(now), "it is valid now");
            prop_assert!(lease.state.ending(slots.begin(bound)).is_some());
            let shares = lease.state.shares(slots.begin(bound));
            let paid: Vec<u64> = plan.outputs.iter().map(|output| output.value.quantity(protocol().ntx())).collect();
            prop_assert_eq!(paid, [shares.lessor.0, shares.lessee.0]);
        }
    }
}

#[test]
fn a_lease_opens_with_exactly_what_its_terms_say() {
    let terms = terms(5, 1_000, 0, 10_000, 50);
    let plan = open_lease(protocol(), &terms, Slot(9)).unwrap();
    let lease = lease(&terms);
    assert_eq!((plan.outputs, plan.valid_until), (vec![lease.output.clone()], Some(Slot(9))));
    assert_eq!((lease.datum(), lease.state.held(), lease.state.rent()), (&terms.datum, Ntx(90), Ntx(50)));
    assert_eq!(lease.output.value.lovelace(), Lovelace(6_000_000));
    assert_eq!(lease.output.address.stake(), None);
}

#[test]
fn an_output_that_is_no_lease_is_not_read_as_one() {
    let good = lease(&terms(5, 1_000, 0, 10_000, 50)).output;
    let read = |change: &dyn Fn(&mut TxOut)| {
        let mut output = good.clone();
        change(&mut output);
        Lease::read(protocol(), outpoint(1), output).map_err(|error| error.problem)
    };
    assert!(read(&|_| {}).is_ok());
    assert!(read(&|output| output.address = protocol().escrow_address()).unwrap_err().contains("lease address"));
    let script = Credential::Script(protocol().lease_hash());
    let staked = Address::new(0, script, Some(Credential::Key(KeyHash([3; 28]))));
    assert!(read(&|output| output.address = staked.clone()).unwrap_err().contains("lease address"));
    assert!(read(&|output| output.datum = None).unwrap_err().contains("no inline datum"));
    let short = Value::lovelace_only(Lovelace(6_000_000)).with(protocol().ntx().clone(), 39).unwrap();
    assert!(read(&|output| output.value = short.clone()).unwrap_err().contains("less than its bond"));
}

#[test]
fn a_payout_of_nothing_has_no_output() {
    let mut terms = terms(1, 1_000, 50_000, 100_000, 100);
    terms.datum.deposit = Lovelace(0);
    let params = params();
    let outputs = |terms: &LeaseTerms| {
        let lease = lease(terms);
        ways(&lease, &SECONDS, &params).close(PosixMs(900_000), Closer::Anyone).unwrap().outputs
    };
    let paid = outputs(&terms);
    assert_eq!(paid.len(), 1, "all rent is due and no deposit is left");
    assert_eq!((&paid[0].address, paid[0].value.quantity(protocol().ntx())), (&address(2), 140));
    (terms.datum.bond, terms.datum.carry) = (Ntx(0), Lovelace(0));
    terms.datum.paid_until = terms.datum.end;
    let paid = outputs(&terms);
    assert_eq!(paid.len(), 1, "nothing is due and there is no bond");
    assert_eq!((&paid[0].address, paid[0].value.quantity(protocol().ntx())), (&address(1), 100));
}

#[test]
fn a_continued_lease_keeps_its_address_and_lovelace_and_drops_what_was_thrown_in() {
    let mut lease = lease(&terms(5, 1_000, 50_000, 10_000, 50));
    let junk = AssetId { policy: ScriptHash([1; 28]), name: vec![] };
    lease.output.value = lease.output.value.clone().with(junk.clone(), 3).unwrap();
    let params = params();
    let plan = ways(&lease, &SECONDS, &params).top_up(Ntx(5), &Consents::none()).unwrap();
    let output = &plan.outputs[0];
    assert_eq!((&output.address, output.value.lovelace()), (&lease.output.address, Lovelace(6_000_000)));
    assert_eq!((output.value.quantity(protocol().ntx()), output.value.quantity(&junk)), (95, 0));
    assert_eq!(plan.required_signers, [KeyHash([1; 28])].into());
}

fn committee(seed: u8, id: CommitteeId) -> Committee {
    let members = vec![MemberKey([1; 32]), MemberKey([2; 32])];
    let datum = CommitteeDatum::new(members, 1, address(4)).unwrap();
    let output = TxOut::new(protocol().committee_address(), Value::default());
    Committee { id, datum, outpoint: outpoint(seed), output }
}

#[test]
fn a_fault_finds_its_committee_among_the_references_and_pays_its_treasury() {
    let lease = lease(&terms(5, 1_000, 50_000, 10_000, 50));
    let params = params();
    let fault = Fault { agreement: AgreementHash([9; 32]), from: PosixMs(50_000), to: PosixMs(51_000), credit: Ntx(3) };
    let signed: Signatures = [(MemberKey([2; 32]), [6; 64]), (MemberKey([3; 32]), [6; 64])].into();
    let id = CommitteeId([8; 32]);
    // The lease's script is at outpoint 0x52….
    for (seed, index) in [(0x51, 0), (0x53, 1)] {
        let plan = ways(&lease, &SECONDS, &params).fault(&committee(seed, id), &fault, &signed).unwrap();
        let mut references: Vec<OutPoint> = plan.references.iter().map(|(outpoint, _)| *outpoint).collect();
        references.sort();
        assert_eq!(references[index], outpoint(seed));
        let signatures = vec![None, Some([6; 64])];
        let (from, to, credit) = (fault.from, fault.to, fault.credit);
        assert_eq!(action(&plan), LeaseAction::Fault { committee: index as u64, signatures, from, to, credit });
        assert_eq!(plan.outputs.len(), 2);
        let treasury = &plan.outputs[1];
        assert_eq!((&treasury.address, treasury.value.quantity(protocol().ntx())), (&address(4), 7));
    }
    let other = ways(&lease, &SECONDS, &params).fault(&committee(0x51, CommitteeId([1; 32])), &fault, &signed);
    assert!(matches!(other, Err(PlanError::Committee { .. })), "{other:?}");
}

#[test]
fn a_deployment_carries_the_script_of_leases() {
    let Deployment { stub, logic, lease, .. } = deployment().clone();
    let wrong = Deployment::new(protocol().clone(), stub, logic.clone(), logic);
    assert!(matches!(wrong, Err(ProtocolError::WrongOutput { expected: "the lease's reference script", .. })));
    assert_eq!(lease.1.reference_script.as_ref(), Some(protocol().lease()));
}

//! The lease: its datum, redeemers and fault message, written one way and read strictly.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nunet_contracts::{AgreementHash, CommitteeId, Fault, LeaseAction, LeaseDatum, Ntx, Rate, data};
use nunet_ledger::{Address, Credential, KeyHash, Lovelace, NetworkMagic, PosixMs, ScriptHash, plutus_data_to_cbor};
use proptest::prelude::*;

fn credential() -> impl Strategy<Value = Credential> {
    prop_oneof![
        any::<[u8; 28]>().prop_map(|hash| Credential::Key(KeyHash(hash))),
        any::<[u8; 28]>().prop_map(|hash| Credential::Script(ScriptHash(hash))),
    ]
}

fn address() -> impl Strategy<Value = Address> {
    (credential(), proptest::option::of(credential())).prop_map(|(payment, stake)| Address::new(0, payment, stake))
}

prop_compose! {
    fn lease()(
        lessee in address(),
        lessor in address(),
        rate in 1..=u64::MAX,
        period in 1..=u64::MAX,
        numbers in any::<[u64; 10]>(),
        hashes in any::<[[u8; 32]; 2]>(),
    ) -> LeaseDatum {
        LeaseDatum {
            lessee,
            lessor,
            rate: Rate::new(Ntx(rate), period).unwrap(),
            paid_until: PosixMs(numbers[0]),
            end: PosixMs(numbers[1]),
            notice_ms: numbers[2],
            window_ms: numbers[3],
            faults_until: PosixMs(numbers[4]),
            bond: Ntx(numbers[5]),
            withheld: Ntx(numbers[6]),
            deposit: Lovelace(numbers[7]),
            carry: Lovelace(numbers[8]),
            fee: Ntx(numbers[9]),
            committee: CommitteeId(hashes[0]),
            agreement: AgreementHash(hashes[1]),
        }
    }
}

fn action() -> impl Strategy<Value = LeaseAction> {
    let signature = proptest::option::of(proptest::collection::vec(any::<u8>(), 64))
        .prop_map(|bytes| bytes.map(|bytes| <[u8; 64]>::try_from(bytes).unwrap()));
    let fault = (any::<u64>(), proptest::collection::vec(signature, 0..6), any::<[u64; 3]>());
    prop_oneof![
        Just(LeaseAction::Claim),
        Just(LeaseAction::TopUp),
        any::<u64>().prop_map(|end| LeaseAction::Shorten { end: PosixMs(end) }),
        fault.prop_map(|(committee, signatures, [from, to, credit])| LeaseAction::Fault {
            committee,
            signatures,
            from: PosixMs(from),
            to: PosixMs(to),
            credit: Ntx(credit),
        }),
        Just(LeaseAction::Close),
        Just(LeaseAction::Agree),
    ]
}

proptest! {
    #[test]
    fn a_lease_datum_reads_back(lease in lease()) {
        let cbor = lease.to_cbor().unwrap();
        prop_assert_eq!(LeaseDatum::from_cbor(&cbor, 0).unwrap(), lease.clone());
        // One encoding: the ledger's own writer gives the same bytes.
        prop_assert_eq!(plutus_data_to_cbor(&lease.to_data().unwrap()), cbor);
    }

    #[test]
    fn a_lease_redeemer_reads_back(action in action()) {
        let cbor = data::to_cbor(&action.to_data());
        let read = data::from_cbor("redeemer", &cbor).unwrap();
        prop_assert_eq!(LeaseAction::from_data(&read).unwrap(), action);
    }

    #[test]
    fn hostile_datums_never_panic(mut cbor: Vec<u8>, lease in lease(), at: prop::sample::Index, value: u8) {
        let _ = LeaseDatum::from_cbor(&cbor, 0);
        cbor = lease.to_cbor().unwrap();
        let at = at.index(cbor.len());
        cbor[at] = value;
        let _ = LeaseDatum::from_cbor(&cbor, 0);
        prop_assert!(LeaseDatum::from_cbor(&cbor[..at], 0).is_err());
    }
}

fn a_lease() -> LeaseDatum {
    LeaseDatum {
        lessee: Address::new(0, Credential::Key(KeyHash([1; 28])), None),
        lessor: Address::new(0, Credential::Script(ScriptHash([2; 28])), Some(Credential::Key(KeyHash([3; 28])))),
        rate: Rate::new(Ntx(4), 5).unwrap(),
        paid_until: PosixMs(6),
        end: PosixMs(7),
        notice_ms: 8,
        window_ms: 9,
        faults_until: PosixMs(10),
        bond: Ntx(11),
        withheld: Ntx(12),
        deposit: Lovelace(13),
        carry: Lovelace(14),
        fee: Ntx(u64::MAX),
        committee: CommitteeId([16; 32]),
        agreement: AgreementHash([17; 32]),
    }
}

#[test]
fn the_datum_does_not_change() {
    // Computed from the definition by another program.
    let golden = concat!(
        "d8799fd8799fd8799f581c01010101010101010101010101010101010101010101010101010101ffd87a80ffd8799fd87a9f",
        "581c02020202020202020202020202020202020202020202020202020202ffd8799fd8799fd8799f581c0303030303030303",
        "0303030303030303030303030303030303030303ffffffff0405060708090a0b0c0d0e1bffffffffffffffff582010101010",
        "1010101010101010101010101010101010101010101010101010101058201111111111111111111111111111111111111111",
        "111111111111111111111111ff",
    );
    assert_eq!(hex::encode(a_lease().to_cbor().unwrap()), golden);
}

#[test]
fn the_redeemers_do_not_change() {
    let fault = LeaseAction::Fault {
        committee: 1,
        signatures: vec![None, Some([7; 64])],
        from: PosixMs(2),
        to: PosixMs(3),
        credit: Ntx(4),
    };
    let signature = "07".repeat(64);
    for (action, golden) in [
        (LeaseAction::Claim, "d87980"),
        (LeaseAction::TopUp, "d87a80"),
        (LeaseAction::Shorten { end: PosixMs(24) }, "d87b9f1818ff"),
        (fault, &format!("d87c9f019f405840{signature}ff020304ff")),
        (LeaseAction::Close, "d87d80"),
        (LeaseAction::Agree, "d87e80"),
    ] {
        assert_eq!(hex::encode(data::to_cbor(&action.to_data())), golden);
    }
}

#[test]
fn a_datum_that_is_not_exactly_one_is_refused_by_name() {
    let good = a_lease().to_data().unwrap();
    let pallas_primitives::PlutusData::Constr(constr) = &good else { panic!("a constructor") };
    let with = |change: &dyn Fn(&mut Vec<pallas_primitives::PlutusData>)| {
        let mut fields = constr.fields.iter().cloned().collect::<Vec<_>>();
        change(&mut fields);
        LeaseDatum::from_cbor(&data::to_cbor(&data::constr(0, fields)), 0)
    };
    assert!(with(&|_| {}).is_ok());
    assert!(with(&|fields| fields.truncate(15)).unwrap_err().to_string().contains("16 fields"));
    assert!(with(&|fields| fields.push(data::int(0))).is_err());
    let negative = data::from_cbor("minus four", &[0x23]).unwrap();
    let huge = data::from_cbor("2^64", &[0xc2, 0x49, 1, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    let names = ["rate", "period", "paid until", "end", "notice", "window", "faults until", "bond", "withheld"];
    for (position, name) in (2..).zip(names.into_iter().chain(["deposit", "carry", "fee"])) {
        for bad in [&negative, &huge] {
            let error = with(&|fields| fields[position] = bad.clone()).unwrap_err();
            assert_eq!(error.what, name);
        }
    }
    for (position, name) in [(2, "rate"), (3, "period")] {
        let error = with(&|fields| fields[position] = data::int(0)).unwrap_err();
        assert_eq!((error.what, error.problem.as_str()), (name, "it must be at least 1"));
    }
    for (position, name) in [(14, "committee"), (15, "agreement")] {
        assert_eq!(with(&|fields| fields[position] = data::bytes(&[0; 31])).unwrap_err().what, name);
    }
    for (position, name) in [(0, "lessee"), (1, "lessor")] {
        assert_eq!(with(&|fields| fields[position] = data::int(0)).unwrap_err().what, name);
    }
    let wrong_constructor = data::constr(1, constr.fields.iter().cloned().collect::<Vec<_>>());
    assert!(LeaseDatum::from_cbor(&data::to_cbor(&wrong_constructor), 0).is_err());
    let mut trailing = data::to_cbor(&good);
    trailing.push(0);
    assert!(LeaseDatum::from_cbor(&trailing, 0).unwrap_err().to_string().contains("1 bytes follow"));
}

#[test]
fn the_fault_message_does_not_change() {
    let fault = Fault {
        agreement: AgreementHash([10; 32]),
        from: PosixMs(0x0102_0304_0506_0708),
        to: PosixMs(0x1112_1314_1516_1718),
        credit: Ntx(0x2122_2324_2526_2728),
    };
    let (magic, lease) = (NetworkMagic::DEVNET, ScriptHash([3; 28]));
    // Computed from the definition by another program.
    let golden = "9300d01b705824f7df8ae95e96f77ebae71bcc87fa44fde81716b3a715d028b5";
    assert_eq!(hex::encode(fault.message(magic, lease)), golden);
    let message = fault.message(magic, lease);
    for other in [
        fault.message(NetworkMagic(1), lease),
        fault.message(magic, ScriptHash([4; 28])),
        Fault { agreement: AgreementHash([11; 32]), ..fault }.message(magic, lease),
        Fault { from: PosixMs(fault.from.0 + 1), ..fault }.message(magic, lease),
        Fault { to: PosixMs(fault.to.0 + 1), ..fault }.message(magic, lease),
        Fault { credit: Ntx(fault.credit.0 + 1), ..fault }.message(magic, lease),
    ] {
        assert_ne!(other, message);
    }
}

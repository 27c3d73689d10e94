//! Datums, redeemers and signed messages: written one way, read back whole, and hostile bytes refused by name.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nunet_contracts::{
    AgreementHash, CommitteeDatum, CommitteeId, JobAction, JobDatum, Leaf, MemberKey, Ntx, SettleItem, Verdict,
    VerdictError, Voucher, data,
};
use nunet_ledger::{
    Address, Credential, KeyHash, Lovelace, NetworkMagic, OutPoint, PosixMs, ScriptHash, TxId, plutus_data_to_cbor,
};
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

fn outpoint() -> impl Strategy<Value = OutPoint> {
    (any::<[u8; 32]>(), any::<u16>()).prop_map(|(tx, index)| OutPoint { tx: TxId(tx), index })
}

fn leaf() -> impl Strategy<Value = Leaf> {
    (outpoint(), any::<u64>(), any::<u64>()).prop_map(|(escrow, paid, slashed)| Leaf {
        escrow,
        paid: Ntx(paid),
        slashed: Ntx(slashed),
    })
}

prop_compose! {
    fn job()(
        requester in address(),
        provider in address(),
        amounts in any::<[u64; 6]>(),
        hashes in any::<[[u8; 32]; 2]>(),
        voucher_key in proptest::option::of(any::<[u8; 32]>()),
    ) -> JobDatum {
        JobDatum {
            requester,
            provider,
            price: Ntx(amounts[0]),
            fee: Ntx(amounts[1]),
            bond: Ntx(amounts[2]),
            deposit: Lovelace(amounts[3]),
            carry: Lovelace(amounts[4]),
            deadline: PosixMs(amounts[5]),
            committee: CommitteeId(hashes[0]),
            agreement: AgreementHash(hashes[1]),
            voucher_key,
        }
    }
}

fn item() -> impl Strategy<Value = SettleItem> {
    prop_oneof![
        any::<u64>().prop_map(|provider| SettleItem::FromOutput { provider }),
        any::<(Option<u64>, Option<u64>, u64, u64)>().prop_map(|(provider, requester, paid, slashed)| {
            SettleItem::Explicit { provider, requester, paid: Ntx(paid), slashed: Ntx(slashed) }
        }),
        leaf().prop_map(SettleItem::Skipped),
    ]
}

fn action() -> impl Strategy<Value = JobAction> {
    let signature = proptest::option::of(proptest::collection::vec(any::<u8>(), 64))
        .prop_map(|bytes| bytes.map(|bytes| <[u8; 64]>::try_from(bytes).unwrap()));
    let indices = || (any::<u64>(), proptest::collection::vec(any::<Option<u64>>(), 0..9));
    let voucher = (any::<u64>(), proptest::option::of(any::<[u8; 32]>())).prop_map(|(amount, half)| Voucher {
        amount: Ntx(amount),
        signature: half.map(|half| std::array::from_fn(|at| half[at % 32])),
    });
    prop_oneof![
        (
            any::<u64>(),
            proptest::collection::vec(signature, 0..6),
            any::<[u8; 32]>(),
            any::<u64>(),
            proptest::collection::vec(item(), 0..9)
        )
            .prop_map(|(committee, signatures, evidence, payees, items)| JobAction::Settle {
                committee,
                signatures,
                evidence,
                payees,
                items
            }),
        indices().prop_map(|(payees, providers)| JobAction::Accept { payees, providers }),
        indices().prop_map(|(payees, providers)| JobAction::Refund { payees, providers }),
        Just(JobAction::Agree),
        proptest::collection::vec(voucher, 0..9).prop_map(|vouchers| JobAction::Redeem { vouchers }),
    ]
}

proptest! {
    #[test]
    fn a_job_datum_reads_back(job in job()) {
        let cbor = job.to_cbor().unwrap();
        prop_assert_eq!(JobDatum::from_cbor(&cbor, 0).unwrap(), job.clone());
        // One encoding: the ledger's own writer gives the same bytes.
        prop_assert_eq!(plutus_data_to_cbor(&job.to_data().unwrap()), cbor);
    }

    #[test]
    fn a_redeemer_reads_back(action in action()) {
        let cbor = data::to_cbor(&action.to_data());
        let read = data::from_cbor("redeemer", &cbor).unwrap();
        prop_assert_eq!(JobAction::from_data(&read).unwrap(), action);
    }

    #[test]
    fn a_leaf_reads_back_and_sorts_as_its_bytes(one in leaf(), other in leaf()) {
        prop_assert_eq!(Leaf::from_bytes(one.to_bytes()), one);
        prop_assert_eq!(one.cmp(&other), one.to_bytes().cmp(&other.to_bytes()));
    }

    #[test]
    fn hostile_datums_never_panic(mut cbor: Vec<u8>, job in job(), at: prop::sample::Index, value: u8) {
        let _ = JobDatum::from_cbor(&cbor, 0);
        let _ = CommitteeDatum::from_cbor(&cbor, 0);
        cbor = job.to_cbor().unwrap();
        let at = at.index(cbor.len());
        cbor[at] = value;
        let _ = JobDatum::from_cbor(&cbor, 0);
        prop_assert!(JobDatum::from_cbor(&cbor[..at], 0).is_err());
    }

    #[test]
    fn a_committee_reads_back(keys in proptest::collection::btree_set(any::<[u8; 32]>(), 1..=32), treasury in address()) {
        let members: Vec<_> = keys.into_iter().rev().map(MemberKey).collect();
        let threshold = u8::try_from(members.len()).unwrap();
        let committee = CommitteeDatum::new(members, threshold, treasury).unwrap();
        let cbor = data::to_cbor(&committee.to_data().unwrap());
        prop_assert_eq!(CommitteeDatum::from_cbor(&cbor, 0).unwrap(), committee);
    }
}

fn a_job() -> JobDatum {
    let address = |seed| Address::new(0, Credential::Key(KeyHash([seed; 28])), None);
    JobDatum {
        requester: address(1),
        provider: address(2),
        price: Ntx(3),
        fee: Ntx(4),
        bond: Ntx(5),
        deposit: Lovelace(6),
        carry: Lovelace(7),
        deadline: PosixMs(8),
        committee: CommitteeId([9; 32]),
        agreement: AgreementHash([10; 32]),
        voucher_key: None,
    }
}

#[test]
fn a_datum_that_is_not_exactly_one_is_refused_by_name() {
    let good = a_job().to_data().unwrap();
    let pallas_primitives::PlutusData::Constr(constr) = &good else { panic!("a constructor") };
    let with = |change: &dyn Fn(&mut Vec<pallas_primitives::PlutusData>)| {
        let mut fields = constr.fields.iter().cloned().collect::<Vec<_>>();
        change(&mut fields);
        JobDatum::from_cbor(&data::to_cbor(&data::constr(0, fields)), 0)
    };
    assert!(with(&|_| {}).is_ok());
    let error = with(&|fields| fields.truncate(10)).unwrap_err().to_string();
    assert!(error.contains("11 fields were expected, found 10"), "{error}");
    assert!(with(&|fields| fields.push(data::int(0))).is_err());
    let negative = data::from_cbor("minus four", &[0x23]).unwrap();
    let error = with(&|fields| fields[4] = negative.clone()).unwrap_err().to_string();
    assert!(error.contains("bond") && error.contains("negative"), "{error}");
    let huge = data::from_cbor("2^64", &[0xc2, 0x49, 1, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    assert!(with(&|fields| fields[2] = huge.clone()).unwrap_err().to_string().contains("price"));
    assert!(with(&|fields| fields[8] = data::bytes(&[0; 31])).unwrap_err().to_string().contains("committee"));
    assert!(with(&|fields| fields[10] = data::bytes(&[0; 31])).unwrap_err().to_string().contains("voucher key"));
    assert!(with(&|fields| fields[0] = data::int(0)).unwrap_err().to_string().contains("requester"));
    let wrong_constructor = data::constr(1, constr.fields.iter().cloned().collect::<Vec<_>>());
    assert!(JobDatum::from_cbor(&data::to_cbor(&wrong_constructor), 0).is_err());
    let mut trailing = data::to_cbor(&good);
    trailing.push(0);
    assert!(JobDatum::from_cbor(&trailing, 0).unwrap_err().to_string().contains("1 bytes follow"));
}

#[test]
fn a_committee_that_the_policy_refuses_cannot_be_built() {
    let treasury = || Address::new(0, Credential::Key(KeyHash([1; 28])), None);
    let key = |seed| MemberKey([seed; 32]);
    let new = |members: Vec<MemberKey>, threshold| CommitteeDatum::new(members, threshold, treasury());
    assert!(new(vec![key(1), key(2)], 2).is_ok());
    assert!(new(vec![key(1), key(2)], 0).is_err());
    assert!(new(vec![key(1), key(2)], 3).is_err());
    assert!(new(vec![key(1), key(1)], 1).is_err());
    assert!(new(Vec::new(), 1).is_err());
    assert!(new((0..33).map(key).collect(), 1).is_err());
    // Reading is as strict, also about the order.
    let good = new(vec![key(1), key(2)], 2).unwrap().to_data().unwrap();
    let pallas_primitives::PlutusData::Constr(constr) = good else { panic!("a constructor") };
    let mut fields = constr.fields.iter().cloned().collect::<Vec<_>>();
    fields[0] = data::list(vec![data::bytes(&[2; 32]), data::bytes(&[1; 32])]);
    let error = CommitteeDatum::from_cbor(&data::to_cbor(&data::constr(0, fields)), 0).unwrap_err().to_string();
    assert!(error.contains("ascending"), "{error}");
}

#[test]
fn the_verdict_message_does_not_change() {
    let leaf = |tx: u8, index, paid, slashed| Leaf {
        escrow: OutPoint { tx: TxId([tx; 32]), index },
        paid: Ntx(paid),
        slashed: Ntx(slashed),
    };
    let (one, two) = (leaf(1, 0x0102, 3, 4), leaf(2, 0, 5, 0));
    let verdict = |leaves| Verdict::new(NetworkMagic::DEVNET, ScriptHash([3; 28]), [6; 32], leaves);
    // Computed from the definition by another program.
    let golden = "db3e04e75bf866b055f27e2a802ebdefbce6cef71fb22f4529457fc789d4eb50";
    assert_eq!(hex::encode(verdict(vec![two, one]).unwrap().message()), golden, "leaves are put in order");
    let seed = OutPoint { tx: TxId([1; 32]), index: 0x0102 };
    let golden = "811f243ef9f799df24980a78011cc916d0fb464dc31c2d9f4fd5c689b7335404";
    assert_eq!(CommitteeId::from_seed(seed).to_string(), golden);

    let message = verdict(vec![one, two]).unwrap().message();
    for other in [
        Verdict::new(NetworkMagic(1), ScriptHash([3; 28]), [6; 32], vec![one, two]),
        Verdict::new(NetworkMagic::DEVNET, ScriptHash([4; 28]), [6; 32], vec![one, two]),
        Verdict::new(NetworkMagic::DEVNET, ScriptHash([3; 28]), [7; 32], vec![one, two]),
        verdict(vec![one]),
        verdict(vec![one, leaf(2, 0, 5, 1)]),
        verdict(vec![one, leaf(2, 1, 5, 0)]),
    ] {
        assert_ne!(other.unwrap().message(), message);
    }
}

#[test]
fn a_verdict_has_one_leaf_per_escrow_and_not_too_many() {
    let leaf = |index| Leaf { escrow: OutPoint { tx: TxId([0; 32]), index }, paid: Ntx(1), slashed: Ntx(0) };
    let verdict = |leaves| Verdict::new(NetworkMagic::DEVNET, ScriptHash([3; 28]), [6; 32], leaves);
    assert_eq!(verdict(Vec::new()), Err(VerdictError::LeafCount(0)));
    assert_eq!(verdict((0..257).map(leaf).collect()), Err(VerdictError::LeafCount(257)));
    assert!(verdict((0..256).map(leaf).collect()).is_ok());
    assert_eq!(verdict(vec![leaf(1), leaf(1)]), Err(VerdictError::Duplicate(leaf(1).escrow)));
}

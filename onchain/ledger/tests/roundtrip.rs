//! What is written reads back the same, here and with another decoder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use nunet_ledger::{
    Address, AssetId, Certificate, Credential, DRep, Datum, Delegation, ExUnits, KeyHash, Lovelace, OutPoint, PoolId,
    Purpose, Redeemer, RewardAccount, Script, ScriptHash, Slot, Transaction, TxBody, TxId, TxOut, VKeyWitness, Value,
    Witnesses, plutus_data_to_cbor,
    received::{ReceivedCertificate, ReceivedTx},
};
use pallas_primitives::PlutusData;
use pallas_traverse::MultiEraTx;
use proptest::{
    collection::{btree_map, btree_set, vec},
    option,
    prelude::*,
};
use support::{int, unit};

fn hash28() -> impl Strategy<Value = [u8; 28]> {
    any::<[u8; 28]>()
}

fn credential() -> impl Strategy<Value = Credential> {
    prop_oneof![
        hash28().prop_map(|hash| Credential::Key(KeyHash(hash))),
        hash28().prop_map(|hash| Credential::Script(ScriptHash(hash))),
    ]
}

fn address() -> impl Strategy<Value = Address> {
    (0_u8..2, credential(), option::of(credential()))
        .prop_map(|(network, payment, stake)| Address::new(network, payment, stake))
}

fn asset() -> impl Strategy<Value = AssetId> {
    // Few policies, so that several assets share one.
    (0_u8..3, vec(any::<u8>(), 0..=32)).prop_map(|(policy, name)| AssetId { policy: ScriptHash([policy; 28]), name })
}

fn value() -> impl Strategy<Value = Value> {
    (any::<u64>(), btree_map(asset(), 1..=u64::MAX, 0..6)).prop_map(|(lovelace, assets)| {
        let value = Value::lovelace_only(Lovelace(lovelace));
        assets.into_iter().try_fold(value, |value, (asset, quantity)| value.with(asset, quantity)).unwrap()
    })
}

fn data() -> impl Strategy<Value = PlutusData> {
    prop_oneof![Just(unit()), any::<i64>().prop_map(int)]
}

fn datum() -> impl Strategy<Value = Datum> {
    prop_oneof![
        any::<[u8; 32]>().prop_map(Datum::Hash),
        data().prop_map(|data| Datum::Inline(plutus_data_to_cbor(&data))),
    ]
}

fn script() -> impl Strategy<Value = Script> {
    prop_oneof![
        any::<u32>().prop_map(|slot| Script::Native([&[0x82, 0x04, 0x1a], &slot.to_be_bytes()[..]].concat())),
        vec(any::<u8>(), 0..40).prop_map(Script::PlutusV1),
        vec(any::<u8>(), 0..40).prop_map(Script::PlutusV2),
        vec(any::<u8>(), 0..40).prop_map(Script::PlutusV3),
    ]
}

fn output() -> impl Strategy<Value = TxOut> {
    (address(), value(), option::of(datum()), option::of(script()))
        .prop_map(|(address, value, datum, reference_script)| TxOut { address, value, datum, reference_script })
}

fn outpoint() -> impl Strategy<Value = OutPoint> {
    (any::<[u8; 32]>(), any::<u16>()).prop_map(|(tx, index)| OutPoint { tx: TxId(tx), index })
}

fn delegation() -> impl Strategy<Value = Delegation> {
    let pool = || hash28().prop_map(PoolId);
    let drep = || {
        prop_oneof![
            hash28().prop_map(|hash| DRep::Key(KeyHash(hash))),
            hash28().prop_map(|hash| DRep::Script(ScriptHash(hash))),
            Just(DRep::Abstain),
            Just(DRep::NoConfidence),
        ]
    };
    prop_oneof![
        pool().prop_map(Delegation::Stake),
        drep().prop_map(Delegation::Vote),
        (pool(), drep()).prop_map(|(pool, drep)| Delegation::StakeAndVote(pool, drep)),
    ]
}

fn body() -> impl Strategy<Value = TxBody> {
    let account = (0_u8..2, credential()).prop_map(|(network_id, credential)| RewardAccount { network_id, credential });
    let certificate = prop_oneof![
        credential().prop_map(Certificate::RegisterStake),
        credential().prop_map(Certificate::DeregisterStake),
        (credential(), delegation()).prop_map(|(credential, to)| Certificate::Delegate { credential, to }),
        (credential(), delegation(), any::<u64>()).prop_map(|(credential, to, deposit)| {
            Certificate::RegisterAndDelegate { credential, to, deposit: Lovelace(deposit) }
        }),
    ];
    let quantity = any::<i64>().prop_filter("a mint of zero", |quantity| *quantity != 0);
    let first = (
        btree_set(outpoint(), 0..4),
        vec(output(), 0..4),
        any::<u64>(),
        option::of(any::<u64>()),
        option::of(any::<u64>()),
        vec(certificate, 0..3),
        btree_map(account, any::<u64>().prop_map(Lovelace), 0..3),
        btree_map(asset(), quantity, 0..4),
    );
    let second = (
        option::of(any::<[u8; 32]>()),
        btree_set(outpoint(), 0..3),
        option::of(output()),
        option::of(any::<u64>()),
        btree_set(hash28().prop_map(KeyHash), 0..3),
        btree_set(outpoint(), 0..3),
    );
    (first, second).prop_map(|(first, second)| {
        let (inputs, outputs, fee, from, until, certificates, withdrawals, mint) = first;
        let (script_data_hash, collateral, collateral_return, total, required_signers, reference_inputs) = second;
        TxBody {
            inputs,
            outputs,
            fee: Lovelace(fee),
            valid_from: from.map(Slot),
            valid_until: until.map(Slot),
            certificates,
            withdrawals,
            mint,
            script_data_hash,
            collateral,
            collateral_return,
            total_collateral: total.map(Lovelace),
            required_signers,
            reference_inputs,
        }
    })
}

fn witnesses() -> impl Strategy<Value = Witnesses> {
    let vkey = (any::<[u8; 32]>(), any::<[u8; 32]>())
        .prop_map(|(key, half)| VKeyWitness { key, signature: [half, half].concat().try_into().unwrap() });
    let purpose =
        prop_oneof![Just(Purpose::Spend), Just(Purpose::Mint), Just(Purpose::Certify), Just(Purpose::Withdraw)];
    let units = (0..=i64::MAX as u64, 0..=i64::MAX as u64).prop_map(|(mem, steps)| ExUnits { mem, steps });
    let redeemers = btree_map((purpose, any::<u32>()), (data(), units), 0..4).prop_map(|redeemers| {
        let redeemer = |((purpose, index), (data, units))| Redeemer { purpose, index, data, units };
        redeemers.into_iter().map(redeemer).collect()
    });
    (vec(vkey, 0..3), vec(script(), 0..4), redeemers).prop_map(|(vkeys, scripts, redeemers)| Witnesses {
        vkeys,
        scripts,
        redeemers,
    })
}

proptest! {
    #[test]
    fn outputs_read_back(output in output()) {
        let bytes = output.to_cbor();
        prop_assert_eq!(TxOut::from_cbor(&bytes), Ok(output.clone()));
        let short = output.reference_script.is_none() && !matches!(output.datum, Some(Datum::Inline(_)));
        prop_assert_eq!(bytes[0] >> 5 == 4, short);
    }

    #[test]
    fn transactions_read_back(body in body(), witnesses in witnesses()) {
        let distinct: std::collections::BTreeSet<_> =
            body.certificates.iter().map(|certificate| format!("{certificate:?}")).collect();
        prop_assume!(distinct.len() == body.certificates.len());
        let tx = Transaction { body, witnesses };
        let bytes = tx.to_cbor();
        let read = ReceivedTx::decode(&bytes).unwrap();
        prop_assert_eq!(read.id, tx.id());
        prop_assert_eq!(read.size, tx.ledger_size());
        prop_assert_eq!(&read.body.inputs, &tx.body.inputs);
        let outputs: Vec<_> = read.body.outputs.iter().map(|sized| sized.output.clone()).collect();
        prop_assert_eq!(&outputs, &tx.body.outputs);
        for sized in &read.body.outputs {
            prop_assert_eq!(sized.size, sized.output.to_cbor().len());
        }
        prop_assert_eq!(read.body.fee, tx.body.fee);
        prop_assert_eq!((read.body.valid_from, read.body.valid_until), (tx.body.valid_from, tx.body.valid_until));
        let certificates = tx.body.certificates.iter().map(|certificate| match certificate {
            Certificate::RegisterStake(who) => ReceivedCertificate::Register { credential: *who, deposit: None },
            Certificate::DeregisterStake(who) => ReceivedCertificate::Deregister { credential: *who, refund: None },
            Certificate::Delegate { credential, to } => {
                ReceivedCertificate::Delegate { credential: *credential, to: *to }
            }
            Certificate::RegisterAndDelegate { credential, to, deposit } => {
                ReceivedCertificate::RegisterAndDelegate { credential: *credential, to: *to, deposit: *deposit }
            }
        });
        prop_assert_eq!(&read.body.certificates, &certificates.collect::<Vec<_>>());
        prop_assert_eq!(&read.body.withdrawals, &tx.body.withdrawals);
        prop_assert_eq!(&read.body.mint, &tx.body.mint);
        prop_assert_eq!(read.body.script_data_hash, tx.body.script_data_hash);
        prop_assert_eq!(&read.body.collateral, &tx.body.collateral);
        prop_assert_eq!(read.body.collateral_return.map(|sized| sized.output), tx.body.collateral_return.clone());
        prop_assert_eq!(read.body.total_collateral, tx.body.total_collateral);
        prop_assert_eq!(&read.body.required_signers, &tx.body.required_signers);
        prop_assert_eq!(&read.body.reference_inputs, &tx.body.reference_inputs);
        prop_assert_eq!(&read.witnesses.vkeys, &tx.witnesses.vkeys);
        for script in &tx.witnesses.scripts {
            prop_assert_eq!(read.witnesses.scripts.get(&script.hash()), Some(script));
        }
        prop_assert_eq!(read.witnesses.redeemers.len(), tx.witnesses.redeemers.len());
        for redeemer in &tx.witnesses.redeemers {
            let found = &read.witnesses.redeemers[&(redeemer.purpose, redeemer.index)];
            prop_assert_eq!(found.data, plutus_data_to_cbor(&redeemer.data));
            prop_assert_eq!(found.units, redeemer.units);
        }
    }

    #[test]
    fn another_decoder_reads_the_same(body in body(), witnesses in witnesses()) {
        let tx = Transaction { body, witnesses };
        let bytes = tx.to_cbor();
        let other = MultiEraTx::decode(&bytes).unwrap();
        prop_assert_eq!(*other.hash(), tx.id().0);
        prop_assert_eq!(other.inputs().len(), tx.body.inputs.len());
        prop_assert_eq!(other.outputs().len(), tx.body.outputs.len());
        for (theirs, ours) in other.outputs().iter().zip(&tx.body.outputs) {
            prop_assert_eq!(theirs.address().unwrap().to_vec(), ours.address.as_bytes());
            prop_assert_eq!(theirs.value().coin(), ours.value.lovelace().0);
            prop_assert_eq!(theirs.datum().is_some(), ours.datum.is_some());
            prop_assert_eq!(theirs.script_ref().is_some(), ours.reference_script.is_some());
            let assets: usize = theirs.value().assets().iter().map(|policy| policy.assets().len()).sum();
            prop_assert_eq!(assets, ours.value.assets().len());
        }
        prop_assert_eq!(other.fee(), Some(tx.body.fee.0));
        prop_assert_eq!(other.certs().len(), tx.body.certificates.len());
        prop_assert_eq!(other.redeemers().len(), tx.witnesses.redeemers.len());
        prop_assert_eq!(other.vkey_witnesses().len(), tx.witnesses.vkeys.len());
        prop_assert_eq!(other.required_signers().collect::<Vec<_>>().len(), tx.body.required_signers.len());
        prop_assert_eq!(other.total_collateral(), tx.body.total_collateral.map(|total| total.0));
    }
}

#[test]
fn both_forms_of_outputs_are_read_whatever_their_lengths() {
    let address = support::address(1);
    let plain = TxOut::new(address.clone(), support::ada(2));
    let head = [&[0x58, 29][..], address.as_bytes()].concat();
    let amount = [0x1a, 0x00, 0x1e, 0x84, 0x80];
    let forms = [
        [&[0x82][..], &head, &amount].concat(),
        [&[0x9f][..], &head, &amount, &[0xff]].concat(),
        [&[0xa2, 0x00][..], &head, &[0x01], &amount].concat(),
        [&[0xbf, 0x01][..], &amount, &[0x00], &head, &[0xff]].concat(),
    ];
    for form in &forms {
        assert_eq!(TxOut::from_cbor(form), Ok(plain.clone()), "{}", hex::encode(form));
    }
    let bad = [
        [&[0x81][..], &head].concat(),
        [&[0xa1, 0x00][..], &head].concat(),
        [&[0xa3, 0x00][..], &head, &[0x01], &amount, &[0x04, 0x00]].concat(),
        [&[0xa3, 0x00][..], &head, &[0x01], &amount, &[0x01], &amount].concat(),
        [&[0x82][..], &head, &amount, &[0x00]].concat(),
        [&[0x82, 0x58, 30][..], address.as_bytes(), &[0x00], &amount].concat(),
    ];
    for form in &bad {
        assert!(TxOut::from_cbor(form).is_err(), "{}", hex::encode(form));
    }
}

#[test]
fn assets_of_quantity_zero_are_refused() {
    let output = TxOut::new(support::address(1), support::ada(2).with(support::asset(ScriptHash([1; 28])), 1).unwrap());
    let mut bytes = output.to_cbor();
    assert_eq!(bytes.pop(), Some(1));
    bytes.push(0);
    assert!(TxOut::from_cbor(&bytes).is_err());
}

//! Each rule of phase one: a good transaction passes, the same with one thing changed is refused by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use nunet_ledger::{
    Address, Credential, ExUnits, Lovelace, RewardAccount, Slot, TxOut, hash::blake2b_256, rules::LedgerError,
};
use pallas_addresses::byron::{AddrAttrProperty, AddrAttrs, AddrType, AddressPayload, ByronAddress, SpendingData};
use pallas_codec::minicbor;
use support::*;

#[test]
fn a_payment_moves_outputs() {
    let effects = Draft::payment().check().unwrap();
    assert_eq!(effects.consumed, [outpoint(1)]);
    assert_eq!(effects.fee, Lovelace(2 * ADA));
    let mut after = state();
    let undo = after.apply(effects.clone());
    assert!(!after.utxo.contains_key(&outpoint(1)));
    let [(made, output)] = &effects.produced[..] else { panic!("one output") };
    assert_eq!(after.utxo.get(made), Some(output));
    assert_eq!((made.tx, made.index), (effects.id, 0));
    assert_eq!(after.fees, Lovelace(2 * ADA));
    // What is spent cannot be spent again, and what is taken back can.
    refused(Draft::payment().check_on(&after), "BadInputsUTxO");
    after.revert(undo);
    assert_eq!(after.utxo, state().utxo);
    assert_eq!(Draft::payment().check_on(&after).unwrap(), effects);
}

#[test]
fn what_was_valid_once_is_held_to_the_rules_of_the_moment_only() {
    let mut draft = Draft::payment();
    draft.tx.body.valid_until = Some(Slot(NOW.0 + 10));
    let effects = draft.check().unwrap();
    // Its signature is not looked at again; its inputs and the slot are.
    draft.signers.clear();
    assert_eq!(state().revalidate(&draft.bytes(), NOW).unwrap().consumed, effects.consumed);
    refused(state().revalidate(&draft.bytes(), Slot(NOW.0 + 10)), "OutsideValidityIntervalUTxO");
    let mut after = state();
    after.apply(effects);
    refused(after.revalidate(&draft.bytes(), NOW), "BadInputsUTxO");
}

#[test]
fn inputs_must_be_there() {
    let mut draft = Draft::payment();
    draft.tx.body.inputs.clear();
    draft.refused("InputSetEmptyUTxO");
    for collection in 0..3 {
        let mut draft = Draft::payment();
        let body = &mut draft.tx.body;
        [&mut body.inputs, &mut body.collateral, &mut body.reference_inputs][collection].insert(outpoint(99));
        let LedgerError::BadInputsUTxO(unknown) = draft.refused("BadInputsUTxO") else { panic!() };
        assert_eq!(unknown, [outpoint(99)]);
    }
}

#[test]
fn what_is_consumed_cannot_be_read() {
    let mut draft = Draft::payment();
    draft.tx.body.reference_inputs.insert(outpoint(6));
    draft.check().unwrap();
    draft.tx.body.reference_inputs.insert(outpoint(1));
    draft.refused("BabbageNonDisjointRefInputs");
}

#[test]
fn before_and_after_two_protocol_versions_what_is_consumed_can_be_read() {
    for (major, fits) in [(8, true), (9, false), (10, false), (11, true)] {
        let mut on = state();
        on.params.protocol_version.major = major;
        let mut draft = Draft::payment();
        draft.tx.body.reference_inputs.insert(outpoint(1));
        assert_eq!(draft.check_on(&on).is_ok(), fits, "{major}");
    }
}

#[test]
fn the_validity_interval_has_its_first_slot_and_not_its_last() {
    let with = |from: Option<u64>, until: Option<u64>| {
        let mut draft = Draft::payment();
        draft.tx.body.valid_from = from.map(Slot);
        draft.tx.body.valid_until = until.map(Slot);
        draft
    };
    for (from, until) in [(Some(1_000), None), (None, Some(1_001)), (Some(1_000), Some(1_001))] {
        with(from, until).check().unwrap();
    }
    for (from, until) in [(Some(1_001), None), (None, Some(1_000)), (Some(1_001), Some(1_002)), (Some(0), Some(1_000))]
    {
        with(from, until).refused("OutsideValidityIntervalUTxO");
    }
}

#[test]
fn scripts_need_an_end_of_validity_whose_time_is_certain() {
    let until = |slot, mut draft: Draft| {
        draft.tx.body.valid_until = Some(Slot(slot));
        draft
    };
    until(432_000, Draft::scripted()).check().unwrap();
    until(432_001, Draft::scripted()).refused("OutsideForecast");
    until(432_001, Draft::payment()).check().unwrap();
}

#[test]
fn the_size_is_limited() {
    let mut state = state();
    let draft = Draft::payment();
    state.params.max_tx_size = draft.bytes().len() as u64 - 1;
    draft.check_on(&state).unwrap();
    state.params.max_tx_size -= 1;
    refused(draft.check_on(&state), "MaxTxSizeUTxO");
}

#[test]
fn the_fee_is_exact_to_a_lovelace() {
    let mut draft = Draft::payment();
    draft.tx.body.fee = Lovelace(1);
    let LedgerError::FeeTooSmallUTxO { minimum, .. } = draft.refused("FeeTooSmallUTxO") else { panic!() };
    // The fee's own encoding grew by four bytes.
    let exact = minimum.0 + 4 * 44;
    for (fee, fits) in [(exact, true), (exact - 1, false)] {
        draft.tx.body.fee = Lovelace(fee);
        draft.tx.body.outputs[0].value = nunet_ledger::Value::lovelace_only(Lovelace(100 * ADA - fee));
        assert_eq!(draft.check().is_ok(), fits, "{fee}");
    }
    draft.refused("FeeTooSmallUTxO");
}

#[test]
fn scripts_and_reference_scripts_cost_a_fee() {
    let minimum = |mut draft: Draft| {
        draft.tx.body.fee = Lovelace(1);
        let LedgerError::FeeTooSmallUTxO { minimum, .. } = draft.refused("FeeTooSmallUTxO") else { panic!() };
        minimum.0
    };
    let base = minimum(Draft::payment());
    let mut reading = Draft::payment();
    reading.tx.body.reference_inputs.insert(outpoint(6));
    let plain = minimum(reading);
    let mut reading = Draft::payment();
    reading.tx.body.reference_inputs.insert(outpoint(7));
    assert_eq!(minimum(reading), plain + 15 * yes().bytes().len() as u64);
    assert!(minimum(Draft::scripted()) > base + 57_700 + 72_100);
}

#[test]
fn value_is_conserved() {
    for difference in [1, -1] {
        let mut draft = Draft::payment();
        draft.pay(difference);
        let LedgerError::ValueNotConservedUTxO { lovelace, assets } = draft.refused("ValueNotConservedUTxO") else {
            panic!()
        };
        assert_eq!((lovelace, assets), (i128::from(-difference), vec![]));
    }
    let token = asset(yes().hash());
    let mut draft = Draft::payment();
    draft.tx.body.inputs.insert(outpoint(6));
    draft.pay(10 * ADA as i64);
    let LedgerError::ValueNotConservedUTxO { lovelace, assets } = draft.refused("ValueNotConservedUTxO") else {
        panic!()
    };
    assert_eq!((lovelace, assets), (0, vec![(token.clone(), 50)]));
    draft.tx.body.outputs[0].value.add_asset(token, 50).unwrap();
    draft.check().unwrap();
}

#[test]
fn outputs_hold_enough_lovelace() {
    let with = |lovelace: u64| {
        let mut draft = Draft::payment();
        draft.pay(-(lovelace as i64));
        draft.tx.body.outputs.push(TxOut::new(address(3), nunet_ledger::Value::lovelace_only(Lovelace(lovelace))));
        draft
    };
    with(849_070).check().unwrap();
    let error = with(849_069).refused("BabbageOutputTooSmallUTxO");
    assert!(error.to_string().contains("output 1"), "{error}");
}

#[test]
fn values_are_limited_in_size() {
    let mut state = state();
    let token = asset(yes().hash());
    let mut draft = Draft::payment();
    draft.tx.body.inputs.insert(outpoint(6));
    draft.pay(10 * ADA as i64);
    draft.tx.body.outputs[0].value.add_asset(token, 50).unwrap();
    state.params.max_value_size = draft.tx.body.outputs[0].value.to_cbor().len() as u64;
    draft.check_on(&state).unwrap();
    state.params.max_value_size -= 1;
    refused(draft.check_on(&state), "OutputTooBigUTxO");
}

#[test]
fn everything_is_on_this_network() {
    let mut draft = Draft::payment();
    draft.tx.body.outputs[0].address = Address::new(1, Credential::Key(key_hash(3)), None);
    draft.refused("WrongNetwork");
    for (id, refusing) in [(0, false), (1, true)] {
        let mut draft = Draft::payment();
        draft.extra_fields.push(vec![0x0f, id]);
        assert_eq!(draft.check().is_err(), refusing);
    }
    let mut draft = Draft::payment();
    draft.tx.body.withdrawals.insert(RewardAccount { network_id: 1, ..account(&yes()) }, Lovelace(0));
    draft.refused("WrongNetworkWithdrawal");
}

#[test]
fn keys_of_inputs_sign() {
    let mut draft = Draft::payment();
    draft.signers = vec![];
    let LedgerError::MissingVKeyWitnessesUTXOW(missing) = draft.refused("MissingVKeyWitnessesUTXOW") else { panic!() };
    assert_eq!(missing, [key_hash(1)]);
    draft.signers = vec![2];
    draft.refused("MissingVKeyWitnessesUTXOW");
    draft.signers = vec![1, 2];
    draft.check().unwrap();
}

#[test]
fn keys_of_collateral_and_named_keys_sign() {
    let mut on = state();
    on.utxo.insert(outpoint(50), TxOut::new(address(5), ada(10)));
    let mut draft = Draft::scripted();
    draft.tx.body.collateral = [outpoint(50)].into();
    refused(draft.check_on(&on), "MissingVKeyWitnessesUTXOW");
    draft.signers.push(5);
    draft.check_on(&on).unwrap();

    let mut draft = Draft::payment();
    draft.tx.body.required_signers.insert(key_hash(4));
    draft.refused("MissingVKeyWitnessesUTXOW");
    draft.signers.push(4);
    draft.check().unwrap();
}

#[test]
fn signatures_verify() {
    let mut bytes = Draft::payment().bytes();
    let last_of_signature = bytes.len() - 3;
    bytes[last_of_signature] ^= 1;
    refused(state().validate(&bytes, NOW), "InvalidWitnessesUTXOW");
}

/// A Byron address of key 1 with a derivation path of that many bytes, and its bootstrap witness without signature.
fn byron(path: usize, testnet: bool) -> (Address, Vec<u8>) {
    let mut attributes = vec![AddrAttrProperty::DerivationPath(vec![0; path].into())];
    if testnet {
        attributes.push(AddrAttrProperty::NetworkTag(vec![0x18, 0x2a].into()));
    }
    let attributes: AddrAttrs = attributes.into();
    let encoded = minicbor::to_vec(&attributes).unwrap();
    let spending = SpendingData::PubKey([key(1).public_key().as_ref(), &[7; 32]].concat().into());
    let payload = AddressPayload::new(AddrType::PubKey, spending, attributes);
    (Address::from_bytes(&ByronAddress::from(payload).to_vec()).unwrap(), encoded)
}

#[test]
fn byron_outputs_are_spent_with_bootstrap_witnesses() {
    let (address, attributes) = byron(10, true);
    let mut on = state();
    on.utxo.insert(outpoint(1), TxOut::new(address, ada(100)));
    let mut draft = Draft::payment();
    draft.signers.clear();
    refused(draft.check_on(&on), "MissingVKeyWitnessesUTXOW");
    let witness = |chain_code: u8, message: &[u8]| {
        let key = key(1);
        let mut field = vec![0x02, 0x81, 0x84, 0x58, 32];
        field.extend(key.public_key().as_ref());
        field.extend([&[0x58, 64], key.sign(message).as_ref(), &[0x58, 32], &[chain_code; 32]].concat());
        field.extend([0x40 + u8::try_from(attributes.len()).unwrap()]);
        field.extend(&attributes);
        field
    };
    let id = draft.tx.id().0;
    draft.extra_witnesses = vec![witness(7, &id)];
    draft.check_on(&on).unwrap();
    draft.extra_witnesses = vec![witness(8, &id)];
    refused(draft.check_on(&on), "MissingVKeyWitnessesUTXOW");
    draft.extra_witnesses = vec![witness(7, &[0; 32])];
    refused(draft.check_on(&on), "InvalidWitnessesUTXOW");
}

#[test]
fn byron_outputs_are_on_this_network_with_short_attributes() {
    let paying = |path, testnet| {
        let mut draft = Draft::payment();
        draft.tx.body.outputs[0].address = byron(path, testnet).0;
        draft
    };
    paying(64, true).check().unwrap();
    paying(65, true).refused("OutputBootAddrAttrsTooBig");
    paying(64, false).refused("WrongNetwork");
    // A checksum that is off by one bit.
    let bytes = paying(64, true).tx.body.outputs[0].address.as_bytes().to_vec();
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    let mut draft = paying(64, true);
    draft.tx.body.outputs[0].address = Address::from_bytes(&changed).unwrap();
    draft.refused("DecodingFailure");
}

#[test]
fn native_scripts_are_asked() {
    let spending = |signers: Vec<u8>, with_script: bool| {
        let mut draft = Draft::payment();
        draft.tx.body.inputs.insert(outpoint(5));
        draft.pay(10 * ADA as i64);
        draft.signers = signers;
        if with_script {
            draft.tx.witnesses.scripts.push(needs(2));
        }
        draft
    };
    spending(vec![1, 2], true).check().unwrap();
    spending(vec![1], true).refused("ScriptWitnessNotValidatingUTXOW");
    spending(vec![1, 2], false).refused("MissingScriptWitnessesUTXOW");
}

#[test]
fn native_scripts_see_the_validity_interval() {
    let script = from_slot(100);
    let mut draft = Draft::payment();
    draft.tx.body.mint.insert(asset(script.hash()), 5);
    draft.tx.body.outputs[0].value.add_asset(asset(script.hash()), 5).unwrap();
    draft.tx.witnesses.scripts.push(script);
    draft.refused("ScriptWitnessNotValidatingUTXOW");
    draft.tx.body.valid_from = Some(Slot(100));
    draft.check().unwrap();
    draft.tx.body.valid_from = Some(Slot(99));
    draft.refused("ScriptWitnessNotValidatingUTXOW");
}

#[test]
fn no_script_is_there_for_nothing() {
    let mut draft = Draft::payment();
    draft.tx.witnesses.scripts.push(needs(2));
    draft.refused("ExtraneousScriptWitnessesUTXOW");
    // Nor twice, in the witness set and by reference.
    let mut draft = Draft::scripted();
    draft.tx.body.reference_inputs.insert(outpoint(7));
    draft.refused("ExtraneousScriptWitnessesUTXOW");
    draft.tx.witnesses.scripts.clear();
    draft.check().unwrap();
}

#[test]
fn minted_and_burnt_assets_are_counted() {
    let script = needs(2);
    let mut draft = Draft::payment();
    draft.signers.push(2);
    draft.tx.body.mint.insert(asset(script.hash()), 5);
    draft.tx.witnesses.scripts.push(script.clone());
    draft.refused("ValueNotConservedUTxO");
    draft.tx.body.outputs[0].value.add_asset(asset(script.hash()), 5).unwrap();
    draft.check().unwrap();
    draft.tx.body.mint.insert(asset(script.hash()), -5);
    draft.refused("ValueNotConservedUTxO");
    draft.tx.witnesses.scripts.clear();
    draft.refused("MissingScriptWitnessesUTXOW");
}

#[test]
fn units_are_limited() {
    let mut draft = Draft::scripted();
    draft.tx.witnesses.redeemers[0].units = ExUnits { mem: 14_000_001, steps: 1 };
    draft.bind();
    draft.refused("ExUnitsTooBigUTxO");
    draft.tx.witnesses.redeemers[0].units = ExUnits { mem: 14_000_000, steps: 10_000_000 };
    draft.bind();
    draft.check().unwrap();
}

#[test]
fn collateral_is_there_and_enough() {
    let mut draft = Draft::scripted();
    draft.tx.body.collateral.clear();
    draft.refused("NoCollateralInputs");

    let mut draft = Draft::scripted();
    draft.tx.body.collateral.extend([outpoint(1), outpoint(6), outpoint(7)]);
    draft.signers.push(9);
    draft.refused("TooManyCollateralInputs");

    // The fee is 2 ADA, so 3 are needed.
    let returning = |lovelace| {
        let mut draft = Draft::scripted();
        draft.tx.body.collateral_return =
            Some(TxOut::new(address(1), nunet_ledger::Value::lovelace_only(Lovelace(lovelace))));
        draft
    };
    returning(7 * ADA).check().unwrap();
    returning(7 * ADA + 1).refused("InsufficientCollateral");
    returning(11 * ADA).refused("InsufficientCollateral");
}

#[test]
fn collateral_is_of_keys_and_ada_only() {
    let mut draft = Draft::scripted();
    draft.tx.body.collateral.insert(outpoint(3));
    draft.refused("ScriptsNotPaidUTxO");

    let mut draft = Draft::scripted();
    draft.tx.body.collateral.insert(outpoint(6));
    draft.refused("CollateralContainsNonADA");
    draft.tx.body.collateral_return = Some(TxOut::new(address(1), ada(10).with(asset(yes().hash()), 50).unwrap()));
    draft.check().unwrap();
}

#[test]
fn stated_collateral_is_the_actual_one() {
    let mut draft = Draft::scripted();
    draft.tx.body.total_collateral = Some(Lovelace(10 * ADA));
    draft.check().unwrap();
    draft.tx.body.total_collateral = Some(Lovelace(10 * ADA - 1));
    draft.refused("IncorrectTotalCollateralField");
}

#[test]
fn auxiliary_data_and_its_hash_go_together() {
    let metadata = |bytes: &[u8], hash: Option<[u8; 32]>| {
        let mut draft = Draft::payment();
        draft.auxiliary = Some(bytes.to_vec());
        draft.extra_fields.extend(hash.map(|hash| [&[0x07, 0x58, 0x20], &hash[..]].concat()));
        draft
    };
    let good = [0xa1, 0x01, 0x62, b'h', b'i'];
    metadata(&good, Some(blake2b_256(&good))).check().unwrap();
    metadata(&good, None).refused("MissingTxBodyMetadataHash");
    metadata(&good, Some([0; 32])).refused("ConflictingMetadataHash");
    metadata(&[0xf6], Some([0; 32])).refused("MissingTxMetadata");
    let hashed = |bytes: &[u8]| metadata(bytes, Some(blake2b_256(bytes)));
    let long = [&[0xa1, 0x01, 0x58, 65][..], &[0; 65]].concat();
    hashed(&long).refused("InvalidMetadata");
    // What counts of a string in chunks is their sum, without the bytes between.
    let chunks = |last: u8| {
        [&[0xa1, 0x01, 0x5f, 0x58, 62][..], &[0; 62], &[0x40 + last], &vec![0; last.into()], &[0xff]].concat()
    };
    hashed(&chunks(2)).check().unwrap();
    hashed(&chunks(3)).refused("InvalidMetadata");
}

#[test]
fn auxiliary_data_has_three_forms() {
    let with = |text: &str| {
        let bytes = hex::decode(text).unwrap();
        let mut draft = Draft::payment();
        draft.extra_fields.push([&[0x07, 0x58, 0x20], &blake2b_256(&bytes)[..]].concat());
        draft.auxiliary = Some(bytes);
        draft
    };
    // A map, a list of metadata and native scripts, and a map of both and of Plutus scripts under a tag.
    for good in ["a0", "a201010282816161a1204100", "82a081820400", "d90103a0", "d90103a200a101010181820400"] {
        with(good).check().unwrap();
    }
    for bad in ["80", "a101f6", "a1010100", "a2010101ff", "a201010102", "82a08100", "d90103a105a0", "d90103a200a000a0"]
    {
        with(bad).refused("DecodingFailure");
    }
    // A Plutus script that is none.
    with("d90103a102814100").refused("InvalidMetadata");
}

#[test]
fn pointer_addresses_have_numbers_of_their_width() {
    // The bytes are put into a good transaction's output, since such an address cannot be made otherwise.
    let paying = |pointer: &[u8]| {
        let address = [&[0x40][..], &key_hash(3).0, pointer].concat();
        let mut draft = Draft::payment();
        draft.tx.body.outputs.clear();
        let output =
            [&[0x82, 0x58, u8::try_from(address.len()).unwrap()], &address[..], &[0x1a, 0x05, 0xd7, 0x5c, 0x80]];
        let mut bytes = draft.tx.body.to_cbor();
        let at = bytes.windows(3).position(|window| window == [0x01, 0x80, 0x02]).unwrap();
        bytes.splice(at + 1..=at + 1, [&[0x81], &output.concat()[..]].concat());
        let (public, signature) = (key(1).public_key(), key(1).sign(blake2b_256(&bytes)));
        let witnesses = [&[0xa1, 0x00, 0x81, 0x82, 0x58, 32][..], public.as_ref(), &[0x58, 64], signature.as_ref()];
        state().validate(&[&[0x84], &bytes[..], &witnesses.concat(), &[0xf5, 0xf6]].concat(), NOW)
    };
    let (short, longest) = ([1, 2, 3], [0x8f, 0xff, 0xff, 0xff, 0x7f, 0x83, 0xff, 0x7f, 0x83, 0xff, 0x7f]);
    paying(&short).unwrap();
    paying(&longest).unwrap();
    // One more than 32 bits, one more than 16 bits, and a number too many.
    for bad in [&[0x90, 0x80, 0x80, 0x80, 0, 0, 0][..], &[0, 0x84, 0x80, 0, 0], &[1, 2, 3, 4]] {
        refused(paying(bad), "DecodingFailure");
    }
}

#[test]
fn what_is_not_covered_is_refused_by_name() {
    let drep = [&[0x04, 0x81, 0x84, 0x10, 0x82, 0x00, 0x58, 0x1c][..], &[0; 28], &[0x00, 0xf6]].concat();
    for field in [drep, vec![0x13, 0xa1, 0x00, 0x00], vec![0x14, 0x81, 0x00], vec![0x15, 0x00], vec![0x16, 0x01]] {
        let mut draft = Draft::payment();
        draft.extra_fields.push(field);
        draft.refused("Unsupported");
    }
}

#[test]
fn reference_scripts_are_limited_in_size() {
    let mut on = state();
    let mut draft = Draft::payment();
    draft.tx.body.reference_inputs.insert(outpoint(7));
    on.params.max_ref_scripts_size = yes().bytes().len() as u64;
    draft.check_on(&on).unwrap();
    on.params.max_ref_scripts_size -= 1;
    refused(draft.check_on(&on), "ConwayTxRefScriptsSizeTooBig");
    // One that announces its scripts to fail is not held to it.
    let mut draft = Draft::spending(4, no());
    draft.valid = false;
    draft.tx.body.reference_inputs.insert(outpoint(7));
    draft.check_on(&on).unwrap();
}

#[test]
fn errors_say_what_to_do() {
    let mut draft = Draft::payment();
    draft.tx.body.inputs.insert(outpoint(99));
    let text = draft.check().unwrap_err().to_string();
    assert!(text.contains(&outpoint(99).to_string()) && text.contains("spent already"), "{text}");
}

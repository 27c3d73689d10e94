//! Consent in a plan: keys sign, scripts withdraw, each once.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nunet_contracts::{
    Consents, PlanError, ScriptConsent, TxPlan, Withdrawal,
    consent::{Argument, ScriptSource},
    data,
};
use nunet_ledger::{
    Address, Credential, KeyHash, Lovelace, OutPoint, RewardAccount, Script, ScriptHash, TxId, TxOut, Value,
};

fn key(seed: u8) -> KeyHash {
    KeyHash([seed; 28])
}

fn held_by_key(seed: u8) -> Address {
    Address::new(0, Credential::Key(key(seed)), None)
}

fn held_by(script: &Script) -> Address {
    Address::new(0, Credential::Script(script.hash()), Some(Credential::Key(key(9))))
}

/// CBOR `[0, key]`.
fn one_signer(seed: u8) -> Script {
    Script::Native([&[0x82, 0x00, 0x58, 0x1c], [seed; 28].as_slice()].concat())
}

fn withdrawal(script: &Script, amount: u64, redeemer: Option<u64>) -> Withdrawal {
    Withdrawal {
        account: RewardAccount { network_id: 0, credential: Credential::Script(script.hash()) },
        amount: Lovelace(amount),
        redeemer: redeemer.map(data::int),
    }
}

#[test]
fn a_key_consents_by_its_signature_once() {
    let mut plan = TxPlan::default();
    Consents::none().add_to(&mut plan, 0, [&held_by_key(1), &held_by_key(2), &held_by_key(1)]).unwrap();
    assert_eq!(plan, TxPlan { required_signers: [key(1), key(2)].into(), ..TxPlan::default() });
}

#[test]
fn a_native_script_consents_by_a_withdrawal_and_its_signers() {
    let script = one_signer(1);
    let source = ScriptSource::Attached(script.clone());
    let consent = ScriptConsent::new(source, Lovelace(7), Argument::Signers([key(1)].into())).unwrap();
    let mut plan = TxPlan::default();
    Consents::none().with(consent).add_to(&mut plan, 0, [&held_by(&script), &held_by(&script)]).unwrap();
    let expected = TxPlan {
        required_signers: [key(1)].into(),
        withdrawals: vec![withdrawal(&script, 7, None)],
        scripts: vec![script],
        ..TxPlan::default()
    };
    assert_eq!(plan, expected);
}

#[test]
fn a_plutus_script_by_reference_is_read_once() {
    let script = Script::PlutusV3(vec![1, 2, 3]);
    let mut output = TxOut::new(held_by_key(5), Value::lovelace_only(Lovelace(2_000_000)));
    output.reference_script = Some(script.clone());
    let outpoint = OutPoint { tx: TxId([4; 32]), index: 1 };
    let source = ScriptSource::Reference(outpoint, output.clone());
    let consent = ScriptConsent::new(source, Lovelace(0), Argument::Redeemer(data::int(8))).unwrap();
    let consents = Consents::none().with(consent);
    let mut plan = TxPlan::default();
    consents.add_to(&mut plan, 0, [&held_by(&script)]).unwrap();
    let expected = TxPlan {
        withdrawals: vec![withdrawal(&script, 0, Some(8))],
        references: vec![(outpoint, output.clone())],
        ..TxPlan::default()
    };
    assert_eq!(plan, expected);
    // The plan reads the output already: reading it twice is no transaction.
    let mut reading = TxPlan { references: vec![(outpoint, output)], ..TxPlan::default() };
    consents.add_to(&mut reading, 0, [&held_by(&script)]).unwrap();
    assert_eq!(reading, expected);
}

#[test]
fn a_script_without_a_consent_is_named() {
    let mut plan = TxPlan::default();
    let error = Consents::none().add_to(&mut plan, 0, [&held_by(&one_signer(1))]).unwrap_err();
    let expected: ScriptHash = one_signer(1).hash();
    assert!(matches!(error, PlanError::ConsentMissing { script } if script == expected), "{error}");
    assert!(error.to_string().contains("pass its consent"), "{error}");
}

#[test]
fn a_consent_fits_its_script() {
    let native = || ScriptSource::Attached(one_signer(1));
    let plutus = || ScriptSource::Attached(Script::PlutusV3(vec![1]));
    let nothing = TxOut::new(held_by_key(1), Value::default());
    let bare = ScriptSource::Reference(OutPoint { tx: TxId([0; 32]), index: 0 }, nothing);
    let redeemer = || Argument::Redeemer(data::int(0));
    let signers = || Argument::Signers([key(1)].into());
    for (source, argument, fits) in [
        (native(), signers(), true),
        (plutus(), redeemer(), true),
        (native(), redeemer(), false),
        (plutus(), signers(), false),
        (bare, redeemer(), false),
    ] {
        assert_eq!(ScriptConsent::new(source, Lovelace(0), argument).is_ok(), fits);
    }
}

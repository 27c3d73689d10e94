//! Signed messages, against the bytes of the library that browser wallets use.

use serde_json::Value;

use super::Machine;

/// The vectors that the chain crate is tested with: made with another implementation.
fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../onchain/chain/src/wallet/message/vectors.json")).unwrap()
}

#[test]
fn messages_are_those_of_browser_wallets_and_theirs_are_verified() {
    let machine = Machine::new();
    let vectors = vectors();
    let words = machine.write("words", vectors["words"].as_str().unwrap());
    machine.json(&["wallet", "restore", "--network", "preprod", "--words-file", &words]);
    let all = vectors["vectors"].as_array().unwrap();
    let ours = |case: &str| all.iter().find(|vector| vector["case"] == case).unwrap();
    let field = |vector: &Value, name: &str| vector[name].as_str().unwrap().to_owned();
    let base = ours("base address, testnet");
    let stake = ours("stake address, testnet");
    let message = machine.write("message", base["message"].as_str().unwrap());
    let signed = machine.json(&["wallet", "sign-message", "--text", &field(base, "message")]);
    for name in ["address", "signature", "key"] {
        assert_eq!(signed[name], base[name], "{name}");
    }
    let signed = machine.json(&["wallet", "sign-message", "--stake", "--file", &message]);
    for name in ["address", "signature", "key"] {
        assert_eq!(signed[name], stake[name], "{name}");
    }
    for vector in all {
        let (signature, key, address) = (field(vector, "signature"), field(vector, "key"), field(vector, "address"));
        let verify = ["wallet", "verify-message", "--signature", &signature, "--key", &key, "--address", &address];
        let verified = machine.json(&[&verify[..], &["--text", vector["message"].as_str().unwrap()]].concat());
        assert_eq!((&verified["valid"], &verified["address"]), (&true.into(), &vector["address"]));
        assert!(machine.refusal(&[&verify[..], &["--text", "else"]].concat()).contains("another message"));
    }
}

#[test]
fn a_message_by_somebody_else_or_changed_fails() {
    let machine = Machine::new();
    let vectors = vectors();
    let vector = |number: usize, name: &str| vectors["vectors"][number][name].as_str().unwrap().to_owned();
    let verify = |signature: &str, key: &str, more: &[&str]| {
        machine.refusal(&[&["wallet", "verify-message", "--signature", signature, "--key", key], more].concat())
    };
    let (signature, key) = (vector(0, "signature"), vector(0, "key"));
    assert!(verify(&signature, &key, &["--address", &vector(3, "address")]).contains("signed this, not"));
    assert!(verify(&signature, &vector(3, "key"), &[]).contains("does not control"));
    assert!(verify(&signature.replace("4e754e6574", "4e754e6575"), &key, &[]).contains("something was changed"));
    assert!(verify("84", &key, &[]).contains("no signed message"));
    assert!(verify("zz", &key, &[]).contains("not hex"));
}

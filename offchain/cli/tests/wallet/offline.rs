//! A payment built on a machine with a chain, signed on one without, and sent from the first.

use std::fs;

use nunet::accounts::{Accounts, Role};
use nunet_chain::{Chain, balance};
use nunet_contracts::{Spend, TxPlan};
use nunet_ledger::{Lovelace, TxOut, Value as Amount};
use serde_json::Value;

use super::{Machine, beside, devnet};

/// A machine that watches the wallet of another, which keeps the secret key and has no chain.
fn pair() -> (Machine, Machine) {
    let cold = Machine::new().with_devnet_account("cold", "1");
    let online = Machine::new();
    let exported = cold.run(&["wallet", "export", "--wallet", "cold"]).stdout;
    let file = online.write("cold.json", &String::from_utf8(exported).unwrap());
    online.json(&["wallet", "watch", &file, "--wallet", "cold"]);
    fs::remove_file(online.path("passphrase")).unwrap();
    (online, cold)
}

fn recipient() -> String {
    Accounts::wallet_of(Role::Provider).unwrap().enterprise_address().to_string()
}

/// Builds a payment on the online machine; the file as JSON.
fn build(online: &Machine, url: &str, amount: &str, out: &str) -> Value {
    let out = online.text(out);
    online.json(&["tx", "build", "--wallet", "cold", "--chain", url, "--to", &recipient(), amount, "--out", &out]);
    serde_json::from_str(&fs::read_to_string(out).unwrap()).unwrap()
}

/// Takes a file to a machine, and signs it there.
fn sign(cold: &Machine, file: &Value, name: &str) -> Value {
    let file = cold.write(&format!("{name}.json"), &file.to_string());
    let out = cold.text(&format!("{name}.signed.json"));
    cold.json(&["tx", "sign", &file, "--wallet", "cold", "--out", &out, "--yes"]);
    serde_json::from_str(&fs::read_to_string(out).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_signed_without_a_chain_and_sent_by_a_machine_without_a_key() {
    let devnet = devnet().await;
    let url = devnet.url();
    beside(move || {
        let (online, cold) = pair();
        let watched = online.refusal(&[
            "wallet",
            "send",
            "--wallet",
            "cold",
            "--chain",
            &url,
            "--to",
            &recipient(),
            "2ada",
            "--yes",
        ]);
        assert!(watched.contains("passphrase"), "{watched}");
        let file = build(&online, &url, "12.5ada", "pay.json");
        let unsigned = online.refusal(&["tx", "submit", &online.text("pay.json"), "--chain", &url]);
        assert!(unsigned.contains("tx sign"), "{unsigned}");

        let path = cold.write("pay.json", &file.to_string());
        let shown = cold.json(&["tx", "show", &path, "--wallet", "cold"]);
        let words: Vec<&str> = shown["words"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        assert_eq!(words[0], format!("pays 12.500000 ADA to {}", recipient()));
        assert!(words.last().unwrap().starts_with("leaves this wallet in total: 12.6"), "{words:?}");
        assert_eq!(shown["unproven"], Value::Array(vec![]), "the devnet shows the parents");
        assert_eq!(shown["missing"].as_array().unwrap().len(), 1);

        let signed = sign(&cold, &file, "first");
        let twice =
            cold.refusal(&["tx", "sign", &path, "--wallet", "cold", "--out", &cold.text("first.signed.json"), "--yes"]);
        assert!(twice.contains("is there already"), "{twice}");
        let sent = online.write("signed.json", &signed.to_string());
        let receipt = online.json(&["tx", "submit", &sent, "--chain", &url]);
        assert_eq!(receipt["id"], shown["id"]);
        assert!(receipt["confirmation"]["depth"].as_u64().unwrap() >= 1);
    })
    .await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_somebody_changed_on_the_way_is_neither_signed_nor_sent() {
    let devnet = devnet().await;
    let url = devnet.url();
    let before = devnet.transactions().len();
    beside(move || {
        let (online, cold) = pair();
        let file = build(&online, &url, "12.5ada", "pay.json");
        let other = build(&online, &url, "12.6ada", "other.json");
        let refuse = |machine: &Machine, file: &Value| {
            let path = machine.write("changed.json", &file.to_string());
            let out = machine.text("changed.signed.json");
            machine.refusal(&["tx", "sign", &path, "--wallet", "cold", "--out", &out, "--yes"])
        };

        // After the words were shown and the signature was made, the transaction is swapped for another.
        let mut swapped = sign(&cold, &file, "honest");
        let provider = hex::encode(Accounts::wallet_of(Role::Provider).unwrap().enterprise_address().as_bytes());
        let thief = hex::encode(Accounts::wallet_of(Role::Treasury).unwrap().enterprise_address().as_bytes());
        let cbor = swapped["cborHex"].as_str().unwrap().replace(&provider, &thief);
        assert_ne!(cbor, swapped["cborHex"].as_str().unwrap());
        swapped["cborHex"] = cbor.into();
        let path = online.write("swapped.json", &swapped.to_string());
        let stolen = online.refusal(&["tx", "submit", &path, "--chain", &url]);
        assert!(stolen.contains("signature") && stolen.contains("does not sign this transaction"), "{stolen}");

        // An output behind it is made to look smaller: the transaction that made it says otherwise.
        let mut poorer = file.clone();
        // The output has lovelace only, and ends with them: a head byte and eight more.
        let cbor = poorer["nunet"]["outputs"][0]["cborHex"].as_str().unwrap().to_owned();
        let (head, lovelace) = cbor.split_at(cbor.len() - 16);
        let less = u64::from_str_radix(lovelace, 16).unwrap() - 1_000_000_000;
        poorer["nunet"]["outputs"][0]["cborHex"] = format!("{head}{less:016x}").into();
        let forged = refuse(&cold, &poorer);
        assert!(forged.contains("lies about output"), "{forged}");

        // Without its proof the amount is only claimed; the sum gives it away.
        poorer["nunet"]["parents"] = Value::Array(vec![]);
        let unbalanced = refuse(&cold, &poorer);
        assert!(unbalanced.contains("do not add up"), "{unbalanced}");

        // True, but without a proof: shown as such, and signed only by who says so.
        let mut unproven = file.clone();
        unproven["nunet"]["parents"] = Value::Array(vec![]);
        let words = refuse(&cold, &unproven);
        assert!(words.contains("UNPROVEN") && words.contains("--trust-amounts"), "{words}");
        let path = cold.write("unproven.json", &unproven.to_string());
        let out = cold.text("trusted.json");
        cold.json(&["tx", "sign", &path, "--wallet", "cold", "--out", &out, "--yes", "--trust-amounts"]);

        let stranger = Machine::new().with_devnet_account("cold", "5");
        let not_theirs = refuse(&stranger, &file);
        assert!(not_theirs.contains("none of the 1 keys"), "{not_theirs}");
        let (a, b) = (online.write("a.json", &file.to_string()), online.write("b.json", &other.to_string()));
        let mixed = online.refusal(&["tx", "submit", &a, &b, "--chain", &url]);
        assert!(mixed.contains("these signatures are for transaction"), "{mixed}");
        let junk = online.write("junk.json", "{}");
        assert!(online.refusal(&["tx", "show", &junk, "--no-wallet"]).contains("no transaction file"));
    })
    .await;
    assert_eq!(devnet.transactions().len(), before);
    devnet.shutdown().await;
}

/// A file for a payment that two of the devnet's accounts make together.
async fn shared_payment(url: &str) -> Vec<u8> {
    let chain = Chain::connect(url, None).await.unwrap();
    let [first, second] = [Role::Requester, Role::Provider].map(|role| Accounts::wallet_of(role).unwrap());
    let mut spends = Vec::new();
    for wallet in [&first, &second] {
        let utxo = chain.utxos_at(&wallet.enterprise_address()).await.unwrap().remove(0);
        spends.push(Spend { outpoint: utxo.outpoint, output: utxo.output, redeemer: None });
    }
    let treasury = Accounts::wallet_of(Role::Treasury).unwrap().address();
    let plan = TxPlan {
        spends,
        outputs: vec![TxOut::new(treasury, Amount::lovelace_only(Lovelace(3_000_000)))],
        ..TxPlan::default()
    };
    let mut unsigned = balance(&plan, &[], &first.address(), &chain.params(), &chain.slots(), chain.magic()).unwrap();
    chain.add_parents(&mut unsigned).await.unwrap();
    unsigned.to_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_signers_sign_copies_and_the_submission_merges_them() {
    let devnet = devnet().await;
    let url = devnet.url();
    let file: Value = serde_json::from_slice(&shared_payment(&url).await).unwrap();
    beside(move || {
        let machines = ["1", "2"].map(|account| Machine::new().with_devnet_account("cold", account));
        let [first, second] = [0, 1].map(|number| {
            let signed = sign(&machines[number], &file, "shared");
            machines[0].write(&format!("{number}.json"), &signed.to_string())
        });
        let half = machines[0].refusal(&["tx", "submit", &first, "--chain", &url]);
        assert!(half.contains("signature"), "{half}");
        let seen_by_second = machines[1].json(&["tx", "show", &second, "--wallet", "cold"]);
        assert_eq!(seen_by_second["missing"].as_array().unwrap().len(), 1);
        let sent = machines[0].json(&["tx", "submit", &first, &second, "--chain", &url]);
        assert_eq!(sent["id"], seen_by_second["id"]);
        assert!(sent["confirmation"]["height"].as_u64().unwrap() > 0);
    })
    .await;
    devnet.shutdown().await;
}

//! Balances and payments on a devnet.

use nunet::accounts::Accounts;
use nunet_ledger::{Address, Credential, ScriptHash};
use serde_json::{Value, json};

use super::{Machine, beside, devnet, stderr};

/// What a wallet holds: lovelace, and NTX.
fn held(machine: &Machine, wallet: &str, url: &str) -> (u64, u64) {
    let shown = machine.json(&["wallet", "balance", "--wallet", wallet, "--chain", url]);
    let ntx = Accounts::new().unwrap().ntx.to_string();
    let tokens = shown["tokens"].as_array().unwrap();
    let quantity = tokens
        .iter()
        .find(|token| token["unit"] == ntx.as_str())
        .map_or(0, |token| token["quantity"].as_u64().unwrap());
    (shown["lovelace"].as_u64().unwrap(), quantity)
}

fn address(machine: &Machine, wallet: &str) -> String {
    machine.json(&["wallet", "address", "--wallet", wallet])["address"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn ada_and_tokens_are_sent_shown_in_words_and_all_of_it_back() {
    let devnet = devnet().await;
    let url = devnet.url();
    beside(move || {
        let machine = Machine::new().with_devnet_account("rich", "0");
        machine.json(&["wallet", "new", "--network", "devnet", "--wallet", "fresh", "--show-words"]);
        let to = address(&machine, "fresh");
        let send = ["wallet", "send", "--wallet", "rich", "--chain", &url, "--to", &to, "12.5 ADA", "5ntx"];
        let unasked = machine.refusal(&send);
        for words in
            ["pays 12.500000 ADA + 5 NTX to addr_test1", "comes back to this wallet", "network fee: 0.1", "--yes"]
        {
            assert!(unasked.contains(words), "{words:?} is not in {unasked}");
        }
        assert_eq!(held(&machine, "fresh", &url), (0, 0), "nothing was sent");

        let before = held(&machine, "rich", &url);
        let sent = machine.json(&[&send[..], &["--yes", "--depth", "2"]].concat());
        assert!(sent["confirmation"]["depth"].as_u64().unwrap() >= 2);
        let fee = sent["fee"].as_u64().unwrap();
        assert_eq!(sent["leaving"]["lovelace"], json!((12_500_000 + fee).to_string()));
        assert_eq!(held(&machine, "fresh", &url), (12_500_000, 5_000_000));
        assert_eq!(held(&machine, "rich", &url), (before.0 - 12_500_000 - fee, before.1 - 5_000_000));

        // Tokens alone take the least ADA with them.
        let unit = format!("{}=7", Accounts::new().unwrap().ntx);
        let tokens = ["wallet", "send", "--wallet", "rich", "--chain", &url, "--to", &to, "--token", &unit, "--yes"];
        let least = machine.json(&tokens)["payments"][0]["lovelace"].as_u64().unwrap();
        assert!((900_000..1_500_000).contains(&least), "{least}");
        assert_eq!(held(&machine, "fresh", &url), (12_500_000 + least, 5_000_007));

        let back = address(&machine, "rich");
        let all =
            machine.json(&["wallet", "send", "--wallet", "fresh", "--chain", &url, "--to", &back, "--all", "--yes"]);
        assert_eq!(all["payments"].as_array().unwrap().len(), 1);
        assert_eq!(held(&machine, "fresh", &url), (0, 0));
        let empty =
            machine.refusal(&["wallet", "send", "--wallet", "fresh", "--chain", &url, "--to", &back, "1ada", "--yes"]);
        assert!(empty.contains("the wallet is empty: send ADA to addr_test1"), "{empty}");
    })
    .await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_used_address_counts_and_the_next_fresh_one_is_shown() {
    let devnet = devnet().await;
    let url = devnet.url();
    beside(move || {
        let machine = Machine::new().with_devnet_account("rich", "0").with_devnet_account("poor", "9");
        let addresses = [["--index", "4"].as_slice(), &["--index", "2", "--change"]].map(|which| {
            let shown = machine.json(&[&["wallet", "address", "--wallet", "poor"], which].concat());
            shown["address"].as_str().unwrap().to_owned()
        });
        for to in &addresses {
            machine.json(&["wallet", "send", "--wallet", "rich", "--chain", &url, "--to", to, "3ada", "--yes"]);
        }
        assert_eq!(held(&machine, "poor", &url), (6_000_000, 0));
        let fresh = machine.json(&["wallet", "address", "--wallet", "poor", "--fresh", "--chain", &url]);
        assert_eq!(fresh["path"], "m/1852'/1815'/9'/0/5");
        let to = address(&machine, "rich");
        let spent =
            machine.json(&["wallet", "send", "--wallet", "poor", "--chain", &url, "--to", &to, "4.5ada", "--yes"]);
        assert_eq!(held(&machine, "poor", &url).0, 1_500_000 - spent["fee"].as_u64().unwrap());
    })
    .await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_lose_money_is_refused_before_anything_is_sent() {
    let devnet = devnet().await;
    let url = devnet.url();
    let transactions = devnet.transactions().len();
    beside(move || {
        let machine = Machine::new().with_devnet_account("main", "0");
        let ours = address(&machine, "main");
        let send = |to: &str, more: &[&str]| {
            machine.refusal(&[&["wallet", "send", "--chain", &url, "--yes", "--to", to], more].concat())
        };
        let mainnet = "addr1vx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzers66hrl8";
        let network = send(mainnet, &["2ada"]);
        assert!(network.contains("an address of mainnet") && network.contains("devnet"), "{network}");
        let typo = if ours.ends_with('q') { "p" } else { "q" };
        let mistake = send(&format!("{}{typo}", &ours[..ours.len() - 1]), &["2ada"]);
        assert!(mistake.contains("letter by letter"), "{mistake}");
        let stake = machine.json(&["wallet", "address", "--form", "stake"])["address"].as_str().unwrap().to_owned();
        assert!(send(&stake, &["2ada"]).contains("receives no payments"));
        let script = Address::new(0, Credential::Script(ScriptHash([7; 28])), None).to_string();
        assert!(send(&script, &["2ada"]).contains("--to-script"));
        assert!(send(&ours, &["0.5ada"]).contains("at least"));
        assert!(send(&ours, &[]).contains("how much?"));
        assert!(send(&ours, &["46000000000ada"]).contains("add funds"), "{}", send(&ours, &["46000000000ada"]));
        let decimals = machine.misuse(&["wallet", "send", "--to", &ours, "1.1234567ada"]);
        assert!(decimals.contains("6 digits after the point, not 7"), "{decimals}");
        machine.misuse(&["wallet", "send", "--to", &ours, "12.5"]);
        machine.misuse(&["wallet", "send", "--to", &ours, "1ada", "--all"]);

        let words = machine.write("words", "test walk nut penalty hip pave soap entry language right filter choice");
        machine.json(&["wallet", "restore", "--network", "preprod", "--words-file", &words, "--wallet", "preprod"]);
        let chain = machine.refusal(&["wallet", "balance", "--wallet", "preprod", "--chain", &url]);
        assert!(chain.contains("is of devnet (magic 42)") && chain.contains("for preprod (magic 1)"), "{chain}");
        let gone = machine.refusal(&["wallet", "balance", "--chain", "http://127.0.0.1:9/api/v0"]);
        assert!(gone.contains("did not answer"), "{gone}");
    })
    .await;
    assert_eq!(devnet.transactions().len(), transactions);
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_wallet_deploys_the_contracts() {
    let devnet = devnet().await;
    let url = devnet.url();
    beside(move || {
        let machine = Machine::new().with_devnet_account("operator", "0").with_devnet_account("treasury", "3");
        let treasury = address(&machine, "treasury");
        let member = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";
        let deploy =
            ["contracts", "deploy", "--url", &url, "--threshold", "1", "--member", member, "--treasury", &treasury];
        let deployed: Value = machine.json(&[&deploy[..], &["--wallet", "operator"]].concat());
        assert_eq!(deployed["magic"], 42);
        let two = machine.misuse(&[&deploy[..], &["--wallet", "operator", "--devnet-account", "operator"]].concat());
        assert!(two.contains("cannot be used with"), "{two}");
        let output = machine.run(&[&deploy[..], &["--wallet", "nobody"]].concat());
        assert!(!output.status.success() && stderr(&output).contains("no wallet \"nobody\""));
    })
    .await;
    devnet.shutdown().await;
}

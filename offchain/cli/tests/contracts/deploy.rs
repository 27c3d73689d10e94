//! `nunet contracts deploy`.

use std::path::PathBuf;

use ed25519_dalek::SigningKey;
use nunet::{
    accounts::{Accounts, MNEMONIC, Role},
    deployment::DeploymentFile,
};
use nunet_chain::Chain;
use nunet_devnet::{Devnet, Genesis};
use nunet_ledger::{Lovelace, Value};

use super::{devnet, devnet_of, json, nunet, refusal, stderr};

fn members() -> [String; 3] {
    [1, 2, 3].map(|seed| hex::encode(SigningKey::from_bytes(&[seed; 32]).verifying_key().to_bytes()))
}

fn treasury() -> String {
    Accounts::wallet_of(Role::Treasury).unwrap().enterprise_address().to_string()
}

/// The arguments of a deployment that goes well, but for what `more` adds.
fn arguments(url: &str, more: &[&str]) -> Vec<String> {
    let mut args = ["deploy", "--url", url, "--threshold", "2"].map(String::from).to_vec();
    args.extend(["--treasury".into(), treasury()]);
    for member in members() {
        args.extend(["--member".into(), member]);
    }
    args.extend(more.iter().copied().map(String::from));
    args
}

/// Runs a blocking call beside the devnet.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn deploy(devnet: &Devnet, more: &[&str]) -> serde_json::Value {
    let args = arguments(&devnet.url(), more);
    beside(move || json(&args.iter().map(String::as_str).collect::<Vec<_>>())).await
}

async fn refused(args: Vec<String>) -> String {
    beside(move || refusal(&args.iter().map(String::as_str).collect::<Vec<_>>())).await
}

/// A file with a recovery phrase, gone when the test is.
struct Words(PathBuf);

impl Words {
    fn new(name: &str, words: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nunet-test-{}-{name}", std::process::id()));
        std::fs::write(&path, words).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_can_be_opened_and_running_it_again_changes_nothing() {
    let devnet = devnet().await;
    let first = deploy(&devnet, &["--devnet-account", "operator"]).await;
    let height = devnet.transactions().len();
    let again = deploy(&devnet, &["--devnet-account", "operator"]).await;
    assert_eq!(first, again);
    assert_eq!(devnet.transactions().len(), height, "nothing was sent");

    let file = DeploymentFile::from_json(&first.to_string()).unwrap();
    let chain = Chain::connect(&devnet.url(), None).await.unwrap();
    let (deployment, committee) = file.open(&chain).await.unwrap();
    assert_eq!(file, DeploymentFile::new(&deployment, &committee));
    assert_eq!(committee.datum.members().len(), 3);
    assert_eq!(committee.datum.threshold(), 2);
    assert_eq!(committee.datum.treasury().to_string(), treasury());

    let (url, id) = (devnet.url(), committee.id.to_string());
    let shown = beside(move || json(&["show", "--url", &url, "--committee", &id])).await;
    assert_eq!(shown["logic_registered"], true);
    assert_eq!(shown["committees"][0]["outpoint"], committee.outpoint.to_string());
    let stub = &shown["validators"][0];
    assert_eq!((&stub["name"], &stub["reference"]), (&"stub".into(), &deployment.stub.0.to_string().into()));
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_committee_uses_the_scripts_that_are_there() {
    let devnet = devnet().await;
    let first = deploy(&devnet, &["--devnet-account", "operator"]).await;
    let fourth = hex::encode(SigningKey::from_bytes(&[4; 32]).verifying_key().to_bytes());
    let second = deploy(&devnet, &["--devnet-account", "operator", "--member", &fourth]).await;
    assert_eq!(first["reference_scripts"], second["reference_scripts"]);
    assert_ne!(first["committee"]["id"], second["committee"]["id"]);
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_with_one_output_and_just_enough_deploys() {
    let words = Words::new("one-output", MNEMONIC);
    let address = Accounts::wallet_of(Role::Operator).unwrap().address();
    let poor = Genesis { accounts: vec![(address.clone(), Value::lovelace_only(Lovelace(10_000_000)))] };
    let devnet = devnet_of(poor).await;
    let args = arguments(&devnet.url(), &["--mnemonic-file", words.path()]);
    let said = refused(args).await;
    assert!(said.contains("send ADA") || said.contains("add funds"), "{said}");
    assert_eq!(devnet.transactions().len(), 1, "nothing was sent");
    devnet.shutdown().await;

    let rich = Genesis { accounts: vec![(address, Value::lovelace_only(Lovelace(60_000_000)))] };
    let devnet = devnet_of(rich).await;
    let deployed = deploy(&devnet, &["--mnemonic-file", words.path()]).await;
    assert_eq!(deployed["magic"], 42);
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_the_amounts_and_sends_nothing() {
    let devnet = devnet().await;
    let args = arguments(&devnet.url(), &["--devnet-account", "operator", "--dry-run"]);
    let output = beside(move || nunet(&args.iter().map(String::as_str).collect::<Vec<_>>())).await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("network fee") && stderr(&output).contains("spends"), "{}", stderr(&output));
    assert_eq!(devnet.transactions().len(), 1, "the genesis alone");
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_before_anything_is_sent() {
    let devnet = devnet().await;
    let url = devnet.url();
    let operator = ["--devnet-account", "operator"];
    let empty = refused(arguments(&url, &["--devnet-account", "treasury"])).await;
    assert!(empty.contains("send ADA to addr_test1"), "{empty}");
    let network = refused(arguments(&url, &[&operator[..], &["--network", "preprod"]].concat())).await;
    assert!(network.contains("magic 42") && network.contains("preprod"), "{network}");
    let short = refused(arguments(&url, &[&operator[..], &["--member", "abcd"]].concat())).await;
    assert!(short.contains("64 hex digits"), "{short}");
    // y = 1 is the neutral point: a signature by it says nothing.
    let weak = format!("01{}", "00".repeat(31));
    let weak = refused(arguments(&url, &[&operator[..], &["--member", &weak]].concat())).await;
    assert!(weak.contains("Ed25519"), "{weak}");
    let twice = refused(arguments(&url, &[&operator[..], &["--member", &members()[0]]].concat())).await;
    assert!(twice.contains("distinct"), "{twice}");
    let nobody = refused(arguments(&url, &[])).await;
    assert!(nobody.contains("--mnemonic-file"), "{nobody}");
    let words = Words::new("bad-words", "these are no words of any wallet");
    let phrase = refused(arguments(&url, &["--mnemonic-file", words.path()])).await;
    assert!(phrase.contains("recovery phrase") && !phrase.contains("wallet of"), "{phrase}");
    assert!(!phrase.contains("no words of any"), "a secret is never repeated: {phrase}");
    let mut mainnet = arguments(&url, &operator);
    let position = mainnet.iter().position(|argument| *argument == treasury()).unwrap();
    let of_mainnet = nunet_chain::Wallet::from_mnemonic(MNEMONIC, 1, 0).unwrap().enterprise_address();
    mainnet[position] = of_mainnet.to_string();
    let treasury = refused(mainnet).await;
    assert!(treasury.contains("treasury") && treasury.contains("devnet"), "{treasury}");
    assert_eq!(devnet.transactions().len(), 1, "the genesis alone");
    devnet.shutdown().await;
    let gone = refused(arguments(&url, &operator)).await;
    assert!(gone.contains("did not answer") && gone.contains("check the URL"), "{gone}");
}

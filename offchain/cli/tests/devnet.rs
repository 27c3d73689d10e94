//! `nunet devnet` as a user runs it: one that stays, and what one tells it from another terminal.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use nunet::accounts::{Accounts, Role};
use serde_json::{Value, json};

/// A devnet in a process of its own; killed without warning when dropped.
struct Running {
    child: Child,
    url: String,
}

impl Running {
    /// Starts one on a free port and reads from its first line where it is.
    fn start(data: &Path) -> Self {
        let mut child = command(&["--port", "0", "--on-demand", "--json", "--data", data.to_str().unwrap()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let announced: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        Self { child, url: announced["url"].as_str().unwrap().to_owned() }
    }

    fn run(&self, args: &[&str]) -> Output {
        command(args).env("NUNET_DEVNET_URL", &self.url).output().unwrap()
    }

    /// Tells it something that must succeed.
    fn tell(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Tells it something that it must refuse.
    fn refusal(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", stderr(&output));
        stderr(&output)
    }

    /// The lovelace of an account, by its number.
    fn lovelace(&self, account: usize) -> u64 {
        self.tell(&["accounts"])["accounts"][account]["lovelace"].as_u64().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nunet"));
    command.arg("devnet").args(args).stdin(Stdio::null());
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn requester() -> String {
    Accounts::new().unwrap().wallet(Role::Requester).enterprise_address().to_string()
}

#[test]
fn a_kept_chain_is_told_what_to_do_killed_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let devnet = Running::start(folder.path());
    let before = devnet.lovelace(1);
    let paid = devnet.tell(&["faucet", &requester(), "12.5ada", "2ntx"]);
    assert_eq!(paid["tx_hash"].as_str().unwrap().len(), 64);
    assert_eq!(devnet.lovelace(1), before, "no block was asked for");
    let first = devnet.tell(&["blocks", "3"]);
    assert_eq!(first["height"], 3);
    assert_eq!(devnet.lovelace(1), before + 12_500_000);
    let later = devnet.tell(&["advance", "1h"]);
    assert!(later["slot"].as_u64().unwrap() >= first["slot"].as_u64().unwrap() + 3_600);

    // The payment was in the first block: it waits for a block again.
    let back = devnet.tell(&["rollback", "4"]);
    assert_eq!(
        (&back["height"], &back["waiting"], &back["dropped"]),
        (&json!(0), &json!(1), &json!([paid["tx_hash"]]))
    );
    assert_eq!(devnet.lovelace(1), before);
    assert_ne!(devnet.tell(&["blocks"])["hash"], first["hash"]);
    assert_eq!(devnet.lovelace(1), before + 12_500_000);

    drop(devnet);
    let devnet = Running::start(folder.path());
    assert_eq!(devnet.lovelace(1), before + 12_500_000, "a killed devnet keeps its blocks");
    let second = command(&["--port", "0", "--data", folder.path().to_str().unwrap()]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("another devnet"), "{}", stderr(&second));
    // With `--drop` the transaction of the block is gone for good.
    assert_eq!(devnet.tell(&["rollback", "1", "--drop"])["waiting"], 0);
    devnet.tell(&["blocks"]);
    assert_eq!(devnet.lovelace(1), before);
}

#[test]
fn what_cannot_be_done_is_said_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let devnet = Running::start(folder.path());
    assert!(devnet.refusal(&["rollback", "1"]).contains("genesis"));
    assert!(devnet.refusal(&["advance", "100years"]).contains("advance"));
    assert!(devnet.refusal(&["advance", "1500ms"]).contains("whole seconds"));
    assert!(devnet.refusal(&["faucet", &requester(), "0.1ada"]).contains("more"));
    for misuse in [&["faucet", &requester(), "12.5"][..], &["faucet", "addr_test1", "1ada"], &["judge"]] {
        assert_eq!(devnet.run(misuse).status.code(), Some(2), "{misuse:?}");
    }
    assert_eq!(devnet.tell(&["blocks"])["height"], 1);
    let nobody = command(&["blocks", "--url", "http://127.0.0.1:9/api/v0"]).output().unwrap();
    assert_eq!(nobody.status.code(), Some(1));
    assert!(stderr(&nobody).contains("nunet devnet"), "{}", stderr(&nobody));
}

#[test]
fn vectors_are_judged_one_a_line_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("scenarios")).unwrap();
    let write = |name: &str, transaction: &str| {
        let vector = json!({
            "network": "preprod", "eraHistory": {"stabilityWindow": 129_600}, "protocolParameters": {},
            "initialState": {"utxo": []}, "point": {"slot": 10, "transactionIndex": 0}, "transaction": transaction,
        });
        let path = folder.path().join("scenarios").join(name);
        fs::write(&path, vector.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    // A transaction without inputs, and one that is none.
    let (empty, broken) = (write("1.json", "84a3008001800200a0f5f6"), write("2.json", "84"));
    let judged = command(&["judge", &empty, &broken, &empty]).output().unwrap();
    assert!(judged.status.success(), "{}", stderr(&judged));
    let lines = String::from_utf8(judged.stdout).unwrap();
    assert_eq!(lines.lines().collect::<Vec<_>>(), ["InputSetEmptyUTxO", "DecodingFailure", "InputSetEmptyUTxO"]);
    let missing = command(&["judge", &empty, "nothing.json"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("nothing.json"));
    assert_eq!(String::from_utf8(missing.stdout).unwrap().lines().count(), 2, "the others are judged all the same");
}

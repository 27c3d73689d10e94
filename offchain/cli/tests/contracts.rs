//! `nunet contracts` as a user runs it: the validators of a network, a deployment, and what transactions cost.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "contracts/costs.rs"]
mod costs;
#[path = "contracts/deploy.rs"]
mod deploy;
#[path = "contracts/show.rs"]
mod show;

use std::process::{Command, Output};

use nunet::accounts::Accounts;
use nunet_devnet::{Devnet, DevnetConfig, Genesis};
use serde_json::Value;

fn nunet(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nunet"));
    command.arg("contracts").args(args).env_remove("NUNET_PROJECT_ID").output().unwrap()
}

/// Runs a command that must succeed, and reads what it prints as JSON.
fn json(args: &[&str]) -> Value {
    let output = nunet(&[args, &["--json"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs a command that must fail, and returns what it says.
fn refusal(args: &[&str]) -> String {
    let output = nunet(args);
    assert!(!output.status.success(), "{args:?}");
    assert!(output.stdout.is_empty(), "a failure prints no result");
    stderr(&output)
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A devnet with the usual accounts and nothing deployed.
async fn devnet() -> Devnet {
    devnet_of(Accounts::new().unwrap().genesis).await
}

async fn devnet_of(genesis: Genesis) -> Devnet {
    Devnet::start(DevnetConfig { genesis, ..DevnetConfig::default() }).await.unwrap()
}

//! `nunet wallet` and `nunet tx` as a user runs them: the real binary, wallets on disk, a real devnet.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "wallet/message.rs"]
mod message;
#[path = "wallet/offline.rs"]
mod offline;
#[path = "wallet/send.rs"]
mod send;
#[path = "wallet/store.rs"]
mod store;

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

use nunet::accounts::Accounts;
use nunet_devnet::{Devnet, DevnetConfig};
use serde_json::Value;

const PASSPHRASE: &str = "four words or more";

/// One machine of one user: a folder for the program's files, with a passphrase in a file.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        machine.write("passphrase", PASSPHRASE);
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, contents: &str) -> String {
        std::fs::write(self.path(name), contents).unwrap();
        self.text(name)
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_nunet"))
            .args(args)
            .env_clear()
            .env("NUNET_HOME", self.0.path())
            .env("NUNET_WALLET_PASSPHRASE_FILE", self.path("passphrase"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs a command that must succeed, and reads what it prints as JSON.
    fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs a command that must fail, and returns what it says.
    fn refusal(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "a failure prints no result");
        stderr(&output)
    }

    /// Runs a command that is used wrongly, and returns what it says.
    fn misuse(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        stderr(&output)
    }

    /// A stored account of the devnet's well-known phrase.
    fn with_devnet_account(self, name: &str, account: &str) -> Self {
        self.json(&["wallet", "restore", "--devnet-account", account, "--wallet", name]);
        self
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A devnet with the usual accounts and fast blocks.
async fn devnet() -> Devnet {
    let config = DevnetConfig {
        block_interval: Some(Duration::from_millis(200)),
        genesis: Accounts::new().unwrap().genesis,
        ..DevnetConfig::default()
    };
    Devnet::start(config).await.unwrap()
}

/// Runs blocking calls beside the devnet.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

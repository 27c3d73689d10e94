//! Where wallets are kept, and which of them a command means.

use std::{env, path::PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use nunet_chain::{
    Wallet,
    wallet::keystore::{Keystore, StoredWallet},
};
use nunet_ledger::NetworkMagic;

use super::secrets::PassphraseArgs;
use crate::contracts::network_name;

/// Which wallet.
#[derive(Debug, Args)]
pub struct WalletArgs {
    /// The wallet's name.
    #[arg(long = "wallet", value_name = "NAME", env = "NUNET_WALLET", default_value = "main")]
    pub name: String,
}

impl WalletArgs {
    /// The wallet's file: everything but signing.
    pub fn stored(&self) -> anyhow::Result<StoredWallet> {
        read(&self.name)
    }

    /// The wallet with its secret key.
    pub fn unlocked(&self, stored: &StoredWallet, passphrase: &PassphraseArgs) -> anyhow::Result<Wallet> {
        let passphrase = passphrase.read(&self.name)?;
        stored.unlock(&passphrase).with_context(|| format!("unlocking wallet {}", self.name))
    }
}

/// The folder of everything that this program keeps for a user: `NUNET_HOME`, or `nunet` in the configuration folder of
/// the [XDG Base Directory Specification](https://specifications.freedesktop.org/basedir-spec/latest/).
pub fn home() -> anyhow::Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = || set("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    set("NUNET_HOME")
        .or_else(|| Some(config().or_else(|| Some(set("HOME")?.join(".config")))?.join("nunet")))
        .context("there is no home folder: set NUNET_HOME to a folder for this program's files")
}

/// The wallets of this user.
pub fn keystore() -> anyhow::Result<Keystore> {
    Ok(Keystore::new(home()?.join("wallets")))
}

fn read(name: &str) -> anyhow::Result<StoredWallet> {
    keystore()?.read(name).with_context(|| format!("wallet {name}"))
}

/// A stored wallet with its secret key, which must be for this network.
pub fn unlock(name: &str, magic: NetworkMagic, passphrase: &PassphraseArgs) -> anyhow::Result<Wallet> {
    let stored = read(name)?;
    ensure!(
        stored.magic() == magic,
        "wallet {name} is for {}, not for {}: use another wallet",
        network_name(stored.magic()),
        network_name(magic)
    );
    WalletArgs { name: name.into() }.unlocked(&stored, passphrase)
}

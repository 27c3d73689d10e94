//! Wallets at rest: one file for each, with the secret encrypted under a passphrase and the public key in clear.
//!
//! ```text
//! passphrase ─Argon2id─► key ─XChaCha20-Poly1305─► secret key of the account   ┐
//!                                                  public key, network         ├─ NAME.json, mode 0600
//!                                                  checksum over all of it     ┘
//! ```
//!
//! Addresses and balances need no passphrase. Whoever can write the file can swap the public key in it, and with it the
//! addresses that are shown; [`StoredWallet::unlock`] compares it with the secret one, so that such a file never signs.

mod file;

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use nunet_ledger::NetworkMagic;
use zeroize::Zeroizing;

pub use self::file::{KdfCost, StoredWallet};
use super::Wallet;

/// What wallet files' names end with.
const EXTENSION: &str = "json";

/// Longest name of a wallet.
const MAX_NAME: usize = 64;

/// Most bytes that are read of a file: a wallet's has about 900.
const MAX_FILE: u64 = 16 * 1024;

/// Fewest characters of a passphrase that protects a new wallet.
pub const MIN_PASSPHRASE: usize = 8;

/// Why a stored wallet cannot be made, read or unlocked.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The name cannot be a file's.
    #[error("{0:?} cannot be a wallet's name: use 1 to 64 letters, digits, - and _, beginning with a letter or digit")]
    BadName(String),
    /// There is such a wallet already.
    #[error("there is a wallet {name:?} already, at {path}: choose another name, wallets are never overwritten")]
    Exists {
        /// Its name.
        name: String,
        /// Where it is.
        path: PathBuf,
    },
    /// There is no such wallet.
    #[error("there is no wallet {name:?} in {folder}: see `nunet wallet list`, or make one with `nunet wallet new`")]
    NotFound {
        /// The name.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// The file system refused.
    #[error("{doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// Others can read or change the file.
    #[error("others can read or change {path} (mode {mode:03o}): run `chmod 600` on it, and think about who did")]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is no wallet.
    #[error("this is no wallet file: {0}")]
    NotAWallet(String),
    /// A later program wrote the file.
    #[error("the wallet file is of version {0}, this program knows versions up to {known}: use a newer program", known = file::VERSION)]
    TooNew(u32),
    /// Bytes of the file have changed.
    #[error(
        "the wallet file is damaged (its checksum does not fit): restore it from a copy or from the recovery phrase"
    )]
    Damaged,
    /// The file asks for more work than any wallet of ours.
    #[error("the wallet file asks for {0}, more than this program gives to a file that may be a stranger's")]
    TooCostly(String),
    /// The passphrase does not open the file.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// The clear part of the file was changed.
    #[error(
        "somebody changed the wallet file: its {0} is not that of its secret key, so addresses that it showed may be \
         somebody else's; restore the wallet from its recovery phrase"
    )]
    Tampered(&'static str),
    /// There is nothing to unlock.
    #[error("this wallet is only watched here: its secret key is on another machine, sign there with `nunet tx sign`")]
    WatchOnly,
    /// The passphrase protects nothing.
    #[error("the passphrase is too short: use at least {MIN_PASSPHRASE} characters, better several words")]
    WeakPassphrase,
}

/// A folder of wallets.
#[derive(Clone, Debug)]
pub struct Keystore {
    folder: PathBuf,
}

impl Keystore {
    /// The wallets in a folder, which is made with the first of them.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Where a wallet is kept.
    pub fn path(&self, name: &str) -> Result<PathBuf, KeystoreError> {
        let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !letters || !begins || name.len() > MAX_NAME {
            return Err(KeystoreError::BadName(name.chars().take(2 * MAX_NAME).collect()));
        }
        Ok(self.folder.join(format!("{name}.{EXTENSION}")))
    }

    /// The names of the wallets, sorted. Files that cannot be a wallet's are passed over.
    pub fn list(&self) -> Result<Vec<String>, KeystoreError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(io_error("reading", &self.folder)(source)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let path = entry.map_err(io_error("reading", &self.folder))?.path();
            let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if path.extension().is_some_and(|extension| extension == EXTENSION) && self.path(name).is_ok() {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// An error when the name is taken or is none, so that nobody is asked for words and a passphrase in vain.
    pub fn check_free(&self, name: &str) -> Result<(), KeystoreError> {
        let path = self.path(name)?;
        if path.symlink_metadata().is_ok() {
            return Err(KeystoreError::Exists { name: name.into(), path });
        }
        Ok(())
    }

    /// Stores a wallet under a new name: all of it or nothing, readable by its owner only, on the disk on return.
    pub fn create(
        &self,
        name: &str,
        wallet: &Wallet,
        account: u32,
        magic: NetworkMagic,
        passphrase: &Zeroizing<String>,
        cost: KdfCost,
    ) -> Result<PathBuf, KeystoreError> {
        self.check_free(name)?;
        self.add(name, &StoredWallet::seal(wallet, account, magic, passphrase, cost, &mut rand::rng())?)
    }

    /// Stores a wallet's file under a new name, as it is.
    pub fn add(&self, name: &str, stored: &StoredWallet) -> Result<PathBuf, KeystoreError> {
        let path = self.path(name)?;
        self.check_free(name)?;
        make_private_folder(&self.folder)?;
        // A temporary file is its owner's only; it never takes the place of a file that came to be meanwhile.
        let mut temporary = tempfile::Builder::new()
            .prefix(".new-wallet-")
            .tempfile_in(&self.folder)
            .map_err(io_error("writing into", &self.folder))?;
        temporary.write_all(stored.to_json().as_bytes()).map_err(io_error("writing", temporary.path()))?;
        temporary.as_file().sync_all().map_err(io_error("writing", temporary.path()))?;
        temporary.persist_noclobber(&path).map_err(|failed| match failed.error.kind() {
            io::ErrorKind::AlreadyExists => KeystoreError::Exists { name: name.into(), path: path.clone() },
            _ => io_error("writing", &path)(failed.error),
        })?;
        sync_folder(&self.folder)?;
        Ok(path)
    }

    /// Reads a wallet's file, whose permissions must be tight: the addresses in it are trusted until it is unlocked.
    pub fn read(&self, name: &str) -> Result<StoredWallet, KeystoreError> {
        let path = self.path(name)?;
        let mut file = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => KeystoreError::NotFound { name: name.into(), folder: self.folder.clone() },
            _ => io_error("opening", &path)(error),
        })?;
        check_permissions(&file, &path)?;
        let mut text = String::new();
        let read = (&mut file).take(MAX_FILE + 1).read_to_string(&mut text);
        read.map_err(io_error("reading", &path))?;
        if text.len() as u64 > MAX_FILE {
            return Err(KeystoreError::NotAWallet(format!("it is longer than {MAX_FILE} bytes")));
        }
        StoredWallet::from_json(&text)
    }
}

fn io_error(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> KeystoreError {
    move |source| KeystoreError::Io { doing, path: path.to_owned(), source }
}

#[cfg(unix)]
fn make_private_folder(folder: &Path) -> Result<(), KeystoreError> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io_error("making", folder))
}

#[cfg(not(unix))]
fn make_private_folder(folder: &Path) -> Result<(), KeystoreError> {
    fs::create_dir_all(folder).map_err(io_error("making", folder))
}

#[cfg(unix)]
fn check_permissions(file: &File, path: &Path) -> Result<(), KeystoreError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata().map_err(io_error("reading", path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeystoreError::Permissions { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_permissions(_: &File, _: &Path) -> Result<(), KeystoreError> {
    Ok(())
}

/// The name of a new file is on the disk only once its folder is.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<(), KeystoreError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("writing", folder))
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<(), KeystoreError> {
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

//! What can be wrong with a devnet's data folder, and what to do about it.

use std::path::{Path, PathBuf};

use crate::chain::ReplayError;

/// SQLite's primary codes for a damaged file and for one that is no database. Extended codes hold them in the low byte.
const DAMAGED: [i64; 2] = [11, 26];

/// Why a devnet cannot use its data folder.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be made or locked.
    #[error("the data folder {} cannot be used: {reason}; check its path and permissions", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        reason: std::io::Error,
    },
    /// Another process has it.
    #[error("another devnet uses the data folder {}; stop it, or choose another folder", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// Made by another version.
    #[error("{} has format {found}, which this version cannot read; choose another folder, or move it", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
    /// Another chain is there.
    #[error("{} holds a chain with another genesis; start with that genesis, or choose another folder", path.display())]
    OtherGenesis {
        /// The file.
        path: PathBuf,
    },
    /// Another chain is there.
    #[error(
        "{} holds a chain with other protocol parameters; start with those parameters, or choose another folder",
        path.display()
    )]
    OtherParameters {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error("{} is damaged: {what}; restore it from a copy, or move it away to start a new chain", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Its blocks are sound, but the ledger does not take them.
    #[error(
        "the chain in {} cannot be made again: {reason}; it was written under other rules: choose another folder, or \
         use the version that wrote it",
        path.display()
    )]
    Replay {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: Box<ReplayError>,
    },
    /// The disk is full, or the like.
    #[error("{} cannot be read or written: {reason}; check the disk", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: sqlx::Error,
    },
}

impl StoreError {
    pub(super) fn corrupt(path: &Path, what: String) -> Self {
        Self::Corrupt { path: path.to_owned(), what }
    }

    /// Tells a damaged file from other failures.
    pub(super) fn database(path: &Path, reason: sqlx::Error) -> Self {
        let damaged = match &reason {
            sqlx::Error::Database(error) => {
                let code = error.code().and_then(|code| code.parse::<i64>().ok());
                code.is_some_and(|code| DAMAGED.contains(&(code & 0xff)))
            }
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::RowNotFound => true,
            _ => false,
        };
        match damaged {
            true => Self::corrupt(path, reason.to_string()),
            false => Self::Database { path: path.to_owned(), reason },
        }
    }
}

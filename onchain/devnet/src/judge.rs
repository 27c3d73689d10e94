//! Judging transaction vectors: files with one transaction, one ledger state and one verdict, as ledger implementations
//! exchange them. The verdict in the file is not looked at.

mod names;
mod vector;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use nunet_ledger::{Slot, rules::LedgerError};

/// What the ledger's rules say of a vector's transaction.
///
/// Printed, it is one word: `Pass`, `DecodingFailure`, or the predicate of the broken rule under the name that vectors
/// have for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The transaction is valid.
    Pass,
    /// The transaction is refused.
    Refused(Box<LedgerError>),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("Pass"),
            Self::Refused(error) => f.write_str(names::in_vectors(error)),
        }
    }
}

/// Why a file could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The file, or one that it refers to, cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file, or one that it refers to, is longer than any vector.
    #[error("{} has more than {MAX_BYTES} bytes: that is no vector", .path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The file, or one that it refers to, is no JSON.
    #[error("{} is no JSON: {source}", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where reading stopped.
        source: serde_json::Error,
    },
    /// A part of the vector is missing or not of its form.
    #[error("{}: {field} must be {expected}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The part, as a path of keys.
        field: String,
        /// What should stand there.
        expected: &'static str,
    },
}

/// Longest file that is read, in bytes.
pub const MAX_BYTES: u64 = 16 << 20;

/// Judges a vector's transaction on the vector's state by the rules of the ledger.
///
/// What the vector refers to (`$ref`) is looked up beside the folder that holds the file. Parts of the state that the
/// vector leaves out are empty, parameters that it leaves out are mainnet's.
pub fn judge(vector: &Path) -> Result<Verdict, JudgeError> {
    let case = vector::read(vector)?;
    Ok(match case.state.validate(&case.transaction, case.slot) {
        Ok(_) => Verdict::Pass,
        Err(error) => Verdict::Refused(Box::new(error)),
    })
}

/// A vector, read.
struct Case {
    state: nunet_ledger::rules::LedgerState,
    transaction: Vec<u8>,
    slot: Slot,
}

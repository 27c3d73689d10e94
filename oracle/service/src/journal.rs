//! What was signed, written down durably before it leaves the process.
//!
//! A journal is write-once: a key has one value for ever. So a process that crashed between signing and sending signs
//! the same again, and never anything else: asking for a second, different value is refused, not overwritten.

use std::{path::Path, time::Duration};

use sqlx::{
    Row, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// Why something could not be journalled. Nothing may be sent then.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The key has another value: signing this would be equivocation.
    #[error("{kind} {key} was already decided differently: signing both would be equivocation")]
    Conflict {
        /// What kind of entry.
        kind: Kind,
        /// Its key, in hex.
        key: String,
    },
    /// The database failed.
    #[error("the journal cannot be written: {0}; check the disk and start again")]
    Database(#[from] sqlx::Error),
}

/// What an entry is about; together with the key it names one decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A member's outcome for an outpoint: paid, slashed, finding, trace root.
    Outcome,
    /// A member's transcript for an outpoint.
    Transcript,
    /// A party's signature under an agreement.
    Agreement,
    /// A provider's commitment for an outpoint.
    Commitment,
    /// A signed lock transaction for an agreement.
    Lock,
    /// The id of the lock transaction that a provider signed for an agreement with a bond.
    BondedLock,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Outcome => "outcome",
            Self::Transcript => "transcript",
            Self::Agreement => "agreement",
            Self::Commitment => "commitment",
            Self::Lock => "lock",
            Self::BondedLock => "bonded lock",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A write-once journal in SQLite; cloning shares it.
#[derive(Clone, Debug)]
pub struct Journal {
    pool: SqlitePool,
}

impl Journal {
    /// Opens or creates the journal in this file. Every entry is on disk (fsync) before [`Journal::record`] returns.
    pub async fn open(path: &Path) -> Result<Self, JournalError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        // One connection: writers queue here instead of meeting SQLITE_BUSY.
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        sqlx::query(
            "CREATE TABLE IF NOT EXISTS entry (kind TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, \
             PRIMARY KEY (kind, key)) STRICT",
        )
        .execute(&pool)
        .await?;
        Ok(Self { pool })
    }

    /// Writes a value for a key that has none, or finds the same value there.
    ///
    /// # Errors
    /// [`JournalError::Conflict`] when the key has another value.
    pub async fn record(&self, kind: Kind, key: &[u8], value: &[u8]) -> Result<(), JournalError> {
        sqlx::query("INSERT INTO entry (kind, key, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
            .bind(kind.name())
            .bind(key)
            .bind(value)
            .execute(&self.pool)
            .await?;
        match self.find(kind, key).await? {
            Some(stored) if stored == value => Ok(()),
            _ => Err(JournalError::Conflict { kind, key: hex::encode(key) }),
        }
    }

    /// The value of a key.
    pub async fn find(&self, kind: Kind, key: &[u8]) -> Result<Option<Vec<u8>>, JournalError> {
        let row = sqlx::query("SELECT value FROM entry WHERE kind = ? AND key = ?")
            .bind(kind.name())
            .bind(key)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| row.try_get("value")).transpose()?)
    }

    /// Closes the database; entries are durable without it.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_different_value_is_refused_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sqlite");
        let journal = Journal::open(&path).await.unwrap();
        journal.record(Kind::Outcome, b"outpoint", b"paid 5").await.unwrap();
        journal.record(Kind::Outcome, b"outpoint", b"paid 5").await.unwrap();
        journal.record(Kind::Transcript, b"outpoint", b"other kind, other key").await.unwrap();
        journal.close().await;

        let journal = Journal::open(&path).await.unwrap();
        let refused = journal.record(Kind::Outcome, b"outpoint", b"paid 4").await;
        assert!(matches!(refused, Err(JournalError::Conflict { kind: Kind::Outcome, .. })), "{refused:?}");
        assert_eq!(journal.find(Kind::Outcome, b"outpoint").await.unwrap().as_deref(), Some(b"paid 5".as_slice()));
    }

    #[tokio::test]
    async fn of_two_racing_values_one_wins() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.sqlite")).await.unwrap();
        let (first, second) =
            tokio::join!(journal.record(Kind::Outcome, b"k", b"a"), journal.record(Kind::Outcome, b"k", b"b"));
        assert!(first.is_ok() != second.is_ok());
    }
}

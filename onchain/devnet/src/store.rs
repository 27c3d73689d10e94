//! The chain on disk: every block, written durably before anybody sees it.
//!
//! One SQLite file in a folder, with a lock file beside it. What is kept is what the chain cannot be made again
//! without: the start, how far the clock is ahead, the number of rollbacks, and each block's [`BlockRecord`]. All else
//! is made again from it when the file is opened.
//!
//! Calls block; they belong where blocking work is allowed.

mod codec;
mod error;

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use futures::TryStreamExt;
use nunet_ledger::{PosixMs, Slot, TxId, hash::blake2b_256, parameters::ProtocolParameters};
use sqlx::{
    Connection, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous},
};
use tokio::runtime::Handle;

use crate::chain::{Block, BlockRecord};
pub use error::StoreError;

/// The database's name in its folder.
const DATABASE: &str = "chain.sqlite";

/// The lock's name in its folder. Its holder is the one process that may use the folder.
const LOCK: &str = "lock";

/// The version of what is written here. Another one is refused.
const FORMAT: i64 = 1;

/// How long to wait for SQLite's own locks, which another connection holds only while it closes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS chain (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        format INTEGER NOT NULL,
        genesis BLOB NOT NULL,
        parameters BLOB NOT NULL,
        start_ms INTEGER NOT NULL,
        ahead_ms INTEGER NOT NULL,
        fork INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS block (
        height INTEGER PRIMARY KEY,
        slot INTEGER NOT NULL,
        fork INTEGER NOT NULL,
        hash BLOB NOT NULL,
        body BLOB NOT NULL,
        checksum BLOB NOT NULL
    ) STRICT;
";

/// The chain in a folder.
#[derive(Debug)]
pub(crate) struct Store {
    connection: SqliteConnection,
    runtime: Handle,
    database: PathBuf,
    /// Held until the process ends or the store is dropped, after the connection.
    _lock: File,
}

/// What a chain must have in common with the one in the folder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    /// The id of the transaction in block 0.
    pub(crate) genesis: [u8; 32],
    /// The hash of the protocol parameters.
    pub(crate) parameters: [u8; 32],
}

/// Where the chain in a folder stands, beside its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clockwork {
    /// When slot 0 began.
    pub(crate) start: PosixMs,
    /// How far the clock is ahead of the wall clock, in milliseconds.
    pub(crate) ahead_ms: u64,
    /// Rollbacks so far.
    pub(crate) fork: u64,
}

impl Store {
    /// Opens the chain in a folder, or makes an empty one there. Blocks its thread; `runtime` runs the database's IO.
    pub(crate) fn open(folder: &Path, runtime: Handle) -> Result<Self, StoreError> {
        let unusable = |reason| StoreError::Folder { path: folder.to_owned(), reason };
        fs::create_dir_all(folder).map_err(unusable)?;
        let lock = File::create(folder.join(LOCK)).map_err(unusable)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::InUse { path: folder.to_owned() },
            TryLockError::Error(reason) => unusable(reason),
        })?;
        let database = folder.join(DATABASE);
        let options = SqliteConnectOptions::new()
            .filename(&database)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let opened = runtime.block_on(async {
            let mut connection = SqliteConnection::connect_with(&options).await?;
            sqlx::raw_sql(SCHEMA).execute(&mut connection).await?;
            Ok(connection)
        });
        let connection = opened.map_err(|error| StoreError::database(&database, error))?;
        Ok(Self { connection, runtime, database, _lock: lock })
    }

    /// What the folder's chain goes on from; a new one's is written down as `new`.
    pub(crate) fn begin(&mut self, identity: Identity, new: Clockwork) -> Result<Clockwork, StoreError> {
        let Self { connection, runtime, database, .. } = self;
        let read = async {
            sqlx::query(
                "INSERT INTO chain (id, format, genesis, parameters, start_ms, ahead_ms, fork) \
                 VALUES (1, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(FORMAT)
            .bind(identity.genesis.as_slice())
            .bind(identity.parameters.as_slice())
            .bind(new.start.0.cast_signed())
            .bind(new.ahead_ms.cast_signed())
            .bind(new.fork.cast_signed())
            .execute(&mut *connection)
            .await?;
            sqlx::query("SELECT * FROM chain").fetch_one(&mut *connection).await
        };
        let row = runtime.block_on(read).map_err(|error| StoreError::database(database, error))?;
        let columns = || -> Result<_, sqlx::Error> {
            let held = (row.try_get::<Vec<u8>, _>("genesis")?, row.try_get::<Vec<u8>, _>("parameters")?);
            let clockwork = Clockwork {
                start: PosixMs(unsigned(&row, "start_ms")?),
                ahead_ms: unsigned(&row, "ahead_ms")?,
                fork: unsigned(&row, "fork")?,
            };
            Ok((row.try_get::<i64, _>("format")?, held, clockwork))
        };
        let (format, (genesis, parameters), clockwork) =
            columns().map_err(|error| StoreError::database(database, error))?;
        let path = database.clone();
        match () {
            () if format != FORMAT => Err(StoreError::Format { path, found: format }),
            () if genesis != identity.genesis => Err(StoreError::OtherGenesis { path }),
            () if parameters != identity.parameters => Err(StoreError::OtherParameters { path }),
            () => Ok(clockwork),
        }
    }

    /// Hands out every block, in order.
    pub(crate) fn replay<E: From<StoreError>>(
        &mut self,
        mut take: impl FnMut(BlockRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { connection, runtime, database, .. } = self;
        let failed = |error| StoreError::database(database, error);
        runtime.block_on(async {
            let mut rows = sqlx::query("SELECT * FROM block ORDER BY height").fetch(&mut *connection);
            let mut expected = 1;
            while let Some(row) = rows.try_next().await.map_err(failed)? {
                let (stored, checksum) = StoredBlock::read(&row).map_err(failed)?;
                let record = stored.check(&checksum, expected).map_err(|what| StoreError::corrupt(database, what))?;
                take(record)?;
                expected += 1;
            }
            Ok(())
        })
    }

    /// Writes a block; it is on disk when this returns.
    pub(crate) fn append(&mut self, block: &Block) -> Result<(), StoreError> {
        let record = block.record();
        let stored = StoredBlock {
            height: block.tip.height,
            slot: record.slot.0,
            fork: record.fork,
            hash: record.hash.to_vec(),
            body: codec::encode_body(&record),
        };
        let write =
            sqlx::query("INSERT INTO block (height, slot, fork, hash, body, checksum) VALUES (?, ?, ?, ?, ?, ?)")
                .bind(stored.height.cast_signed())
                .bind(stored.slot.cast_signed())
                .bind(stored.fork.cast_signed())
                .bind(stored.hash.as_slice())
                .bind(stored.body.as_slice())
                .bind(stored.checksum().to_vec())
                .execute(&mut self.connection);
        self.runtime.block_on(write).map_err(|error| StoreError::database(&self.database, error))?;
        Ok(())
    }

    /// Forgets the blocks above a height; the chain has seen `fork` rollbacks then.
    pub(crate) fn rollback(&mut self, height: u64, fork: u64) -> Result<(), StoreError> {
        let Self { connection, runtime, database, .. } = self;
        let write = async {
            let mut transaction = connection.begin().await?;
            sqlx::query("DELETE FROM block WHERE height > ?")
                .bind(height.cast_signed())
                .execute(&mut *transaction)
                .await?;
            sqlx::query("UPDATE chain SET fork = ?").bind(fork.cast_signed()).execute(&mut *transaction).await?;
            transaction.commit().await
        };
        runtime.block_on(write).map_err(|error| StoreError::database(database, error))
    }

    /// Writes down how far the clock is ahead.
    pub(crate) fn set_ahead(&mut self, ahead_ms: u64) -> Result<(), StoreError> {
        let write =
            sqlx::query("UPDATE chain SET ahead_ms = ?").bind(ahead_ms.cast_signed()).execute(&mut self.connection);
        self.runtime.block_on(write).map_err(|error| StoreError::database(&self.database, error))?;
        Ok(())
    }

    /// Runs a statement, for tests that break the database on purpose.
    #[cfg(test)]
    #[allow(clippy::unwrap_used)]
    pub(crate) fn execute(&mut self, statement: &'static str) {
        self.runtime.block_on(sqlx::raw_sql(statement).execute(&mut self.connection)).unwrap();
    }

    /// Closes the database, and then lets go of the folder.
    pub(crate) async fn close(self) -> Result<(), StoreError> {
        let Self { connection, database, .. } = self;
        connection.close().await.map_err(|error| StoreError::database(&database, error))
    }

    /// The file that errors are to name.
    pub(crate) fn path(&self) -> &Path {
        &self.database
    }
}

impl Identity {
    /// Of a chain that starts with this transaction and these parameters.
    pub(crate) fn of(genesis: &TxId, params: &ProtocolParameters) -> Self {
        // Parameters are plain numbers under fixed names: writing them cannot fail.
        let parameters = serde_json::to_vec(params).unwrap_or_default();
        Self { genesis: genesis.0, parameters: blake2b_256(&parameters) }
    }
}

/// A row of the table of blocks.
struct StoredBlock {
    height: u64,
    slot: u64,
    fork: u64,
    hash: Vec<u8>,
    body: Vec<u8>,
}

impl StoredBlock {
    fn read(row: &SqliteRow) -> Result<(Self, Vec<u8>), sqlx::Error> {
        let block = Self {
            height: unsigned(row, "height")?,
            slot: unsigned(row, "slot")?,
            fork: unsigned(row, "fork")?,
            hash: row.try_get("hash")?,
            body: row.try_get("body")?,
        };
        Ok((block, row.try_get("checksum")?))
    }

    /// blake2b-256 over all other columns: SQLite does not notice a bit that flips in a value.
    fn checksum(&self) -> [u8; 32] {
        let mut bytes = Vec::with_capacity(24 + self.hash.len() + self.body.len());
        for number in [self.height, self.slot, self.fork] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.hash);
        bytes.extend_from_slice(&self.body);
        blake2b_256(&bytes)
    }

    /// The record in it, or what is wrong with it.
    fn check(self, checksum: &[u8], expected: u64) -> Result<BlockRecord, String> {
        if self.height != expected {
            return Err(format!("block {expected} is missing"));
        }
        if checksum != self.checksum() {
            return Err(format!("block {expected} differs from its checksum"));
        }
        let hash = self.hash.as_slice().try_into().map_err(|_| format!("block {expected} has no hash of 32 bytes"))?;
        let (rewards, transactions) =
            codec::decode_body(&self.body).map_err(|error| format!("block {expected} cannot be read: {error}"))?;
        Ok(BlockRecord { slot: Slot(self.slot), fork: self.fork, rewards, transactions, hash })
    }
}

fn unsigned(row: &SqliteRow, column: &str) -> Result<u64, sqlx::Error> {
    Ok(row.try_get::<i64, _>(column)?.cast_unsigned())
}

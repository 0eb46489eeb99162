//! # Purpose
//! What must survive a restart: the servers and their ladder, the trace of every transaction,
//! refused TLS clients, attested builds, the audit log, notices to people; spooled messages; and messages written to a Maildir.
//!
//! # Trust
//! Rows hold peer data. Every value is bound, never put into the text of a statement.
//!
//! # Standards
//! SQLite in WAL mode; Maildir as qmail's maildir(5) describes it.
//!
//! # Invariants
//! [`pc_smtp::custody::Persisted`] is minted in `maildir` and `spool`, after file and directory were
//! synced, and nowhere else. Writing rows never holds up mail: they go through a bounded queue in batches; what
//! does not fit is counted. The ladder's records are kept in memory as well, so none of them can be
//! lost to a full queue.

mod attestation;
mod book;
pub mod faults;
pub mod limits;
mod lock;
pub mod maildir;
mod outbox;
mod pauses;
mod query;
mod retention;
mod rows;
mod segment;
pub mod spool;
mod tls_client;
mod trace;
mod web_tally;
mod webhook;
mod writer;

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

pub use attestation::{AttestationBook, AttestationError, StoredAttestation};
pub use book::ServerBook;
pub use lock::FolderLock;
pub use outbox::StoredNotice;
pub use pauses::{PauseBook, PauseChangeError};
pub use query::StoredEvent;
pub use retention::{Expired, TraceLimits};
pub use rows::{
    AuditRow, DeliveryRow, LadderEventRow, NoticeRow, RecipientRow, Repetition, SightingRow, StepRow,
    TraceRow,
};
pub use tls_client::{TlsClientQuery, TlsClientRow, TlsSummaryRow};
pub use trace::{Cursor, CursorError, PathSearch, TracePage, TraceQuery};
pub use web_tally::WebTallyRow;
pub use webhook::{DisabledWebhook, WaitingWebhook, WebhookTry};
pub use writer::Writer;

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite said no.
    #[error("the database could not be read or written")]
    Database(#[from] sqlx::Error),
    /// The file was written by a later version, or a migration failed.
    #[error("the database has a layout this version does not know; use the version that wrote it")]
    Layout(#[from] sqlx::migrate::MigrateError),
    /// A row does not hold what this version writes.
    #[error("a row of the database is damaged")]
    Row(#[from] serde_json::Error),
    /// The file system said no.
    #[error("a file could not be written")]
    File(#[from] std::io::Error),
}

/// An open database.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Opens or creates the database at `path` and brings its layout up to date.
    ///
    /// # Errors
    /// Not a database, not writable, or written by a later version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // With WAL a crash loses at most the last batches, never the database.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(10));
        let pool =
            SqlitePoolOptions::new().max_connections(limits::CONNECTIONS_MAX).connect_with(options).await?;
        sqlx::migrate!("./migrations").run(&pool).await?;
        Ok(Self { pool })
    }

    /// Waits for open statements and closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

#[cfg(test)]
mod tests;

//! # Purpose
//! Deletes old transactions, by age and by the size of the database.
//!
//! # Invariants
//! Deleting goes in batches with a pause between, so that the writer never waits long. Freed pages stay in
//! the file and are filled again by what comes next: the file grows to its limit and stays there.
//! `auto_vacuum` was rejected, since it moves a page for each one freed, in the way of the writer, only to
//! have the file grow again by the next batch of rows.

use pc_types::Timestamp;

use crate::limits::{EXPIRY_PAUSE, EXPIRY_ROWS};
use crate::segment;
use crate::writer::moment;
use crate::{Store, StoreError};

/// How much of the trace is kept.
#[derive(Clone, Copy, Debug)]
pub struct TraceLimits {
    /// Nothing that began before.
    pub not_before: Timestamp,
    /// Oldest transactions go until the database uses no more; 0 for no limit.
    pub octets_max: u64,
}

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Transactions that were too old.
    pub by_age: u64,
    /// Transactions that had no room.
    pub by_size: u64,
}

impl Store {
    /// Deletes what is older than the limits allow, then what has no room.
    ///
    /// # Errors
    /// The database cannot be read or written; what was deleted stays deleted.
    pub async fn expire_trace(&self, limits: TraceLimits) -> Result<Expired, StoreError> {
        let mut expired = Expired::default();
        loop {
            let deleted = self.delete_oldest(Some(limits.not_before)).await?;
            expired.by_age += deleted;
            if deleted < u64::from(EXPIRY_ROWS) {
                break;
            }
            tokio::time::sleep(EXPIRY_PAUSE).await;
        }
        while limits.octets_max > 0 && self.octets_used().await? > limits.octets_max {
            let deleted = self.delete_oldest(None).await?;
            if deleted == 0 {
                break;
            }
            expired.by_size += deleted;
            tokio::time::sleep(EXPIRY_PAUSE).await;
        }
        Ok(expired)
    }

    /// Octets of the database that hold something; freed pages do not count, since they are filled again.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn octets_used(&self) -> Result<u64, StoreError> {
        let used: i64 = sqlx::query_scalar(
            "SELECT (pages.page_count - free.freelist_count) * size.page_size \
             FROM pragma_page_count AS pages, pragma_freelist_count AS free, pragma_page_size AS size",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(u64::try_from(used).unwrap_or(0))
    }

    /// One batch of the oldest transactions, of those before a moment or of all.
    async fn delete_oldest(&self, before: Option<Timestamp>) -> Result<u64, StoreError> {
        // Above every time: text order, and all times begin with a digit.
        let before = before.map_or_else(|| ":".to_owned(), moment);
        let mut transaction = self.pool.begin().await?;
        let mut deleted = 0;
        let tables = [
            ("trace_recipient", "trace_id"),
            ("trace_steps", "trace_id"),
            ("delivery", "trace_id"),
            ("trace", "id"),
        ];
        for (table, column) in tables {
            // Not from the wire: table and column are the words above.
            let statement = format!(
                "DELETE FROM {table} WHERE {column} IN \
                 (SELECT id FROM trace INDEXED BY trace_at WHERE at < ? ORDER BY at, id LIMIT ?)"
            );
            let statement = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(&before).bind(EXPIRY_ROWS);
            deleted = statement.execute(&mut *transaction).await?.rows_affected();
        }
        if deleted > 0 {
            segment::forget_empty(&mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(deleted)
    }
}

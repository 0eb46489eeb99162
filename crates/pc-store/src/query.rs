use std::net::IpAddr;

use pc_enforce::ServerRecord;
use pc_types::{ServerId, Timestamp};
use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::limits::QUERY_ROWS_MAX;
use crate::rows::{AuditRow, SightingRow};
use crate::{Store, StoreError};

/// An event of the ladder as stored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoredEvent {
    /// When.
    pub at: Timestamp,
    /// Stable word.
    pub code: String,
    /// One sentence.
    pub detail: String,
}

impl Store {
    /// All records of the ladder.
    ///
    /// # Errors
    /// The database cannot be read, or a record is damaged.
    pub async fn servers(&self) -> Result<Vec<ServerRecord>, StoreError> {
        let rows = sqlx::query("SELECT record FROM server").fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(serde_json::from_str(row.try_get("record")?)?)).collect()
    }

    /// What a server showed, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn sightings(&self, id: &ServerId, rows_max: u32) -> Result<Vec<SightingRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM sighting WHERE server_id = ? ORDER BY at DESC LIMIT ?")
            .bind(id.as_str())
            .bind(rows_max.min(QUERY_ROWS_MAX))
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(SightingRow {
                    server_id: id.clone(),
                    at: timestamp(row, "at")?,
                    trace_id: row.try_get("trace_id")?,
                    verdict: row.try_get("verdict")?,
                    build: row.try_get("build")?,
                    header: row.try_get("header")?,
                    reason: row.try_get("reason")?,
                })
            })
            .collect()
    }

    /// What happened to a server in the ladder, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn ladder_events(&self, id: &ServerId, rows_max: u32) -> Result<Vec<StoredEvent>, StoreError> {
        let rows = sqlx::query(
            "SELECT at, code, detail FROM ladder_event WHERE server_id = ? ORDER BY at DESC LIMIT ?",
        )
        .bind(id.as_str())
        .bind(rows_max.min(QUERY_ROWS_MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(StoredEvent {
                    at: timestamp(row, "at")?,
                    code: row.try_get("code")?,
                    detail: row.try_get("detail")?,
                })
            })
            .collect()
    }

    /// The audit log, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn audit(&self, rows_max: u32) -> Result<Vec<AuditRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM audit ORDER BY at DESC LIMIT ?")
            .bind(rows_max.min(QUERY_ROWS_MAX))
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(AuditRow {
                    at: timestamp(row, "at")?,
                    actor: row.try_get("actor")?,
                    action: row.try_get("action")?,
                    subject: row.try_get("subject")?,
                    reason: row.try_get("reason")?,
                })
            })
            .collect()
    }
}

pub(crate) fn timestamp(row: &SqliteRow, column: &str) -> Result<Timestamp, StoreError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|error: <Timestamp as std::str::FromStr>::Err| decode(column, error))
}

pub(crate) fn address(row: &SqliteRow, column: &str) -> Result<IpAddr, StoreError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|error: std::net::AddrParseError| decode(column, error))
}

pub(crate) fn unsigned(row: &SqliteRow, column: &str) -> Result<u64, StoreError> {
    let value: i64 = row.try_get(column)?;
    Ok(u64::try_from(value).unwrap_or(0))
}

pub(crate) fn decode(column: &str, error: impl std::fmt::Display) -> StoreError {
    StoreError::Database(sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: error.to_string().into(),
    })
}

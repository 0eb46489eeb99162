use std::net::IpAddr;

use pc_enforce::ServerRecord;
use pc_types::{ServerId, Timestamp};
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use crate::limits::QUERY_ROWS_MAX;
use crate::rows::{AuditRow, RecipientRow, SightingRow, TlsClientRow, TraceRow};
use crate::writer::moment;
use crate::{Store, StoreError};

/// Which transactions to show; all conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct TraceQuery {
    /// Reverse path, exactly.
    pub from: Option<String>,
    /// A recipient, exactly.
    pub to: Option<String>,
    /// The connecting address.
    pub address: Option<IpAddr>,
    /// The trace id or the Message-ID.
    pub id: Option<String>,
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// The sending server.
    pub server_id: Option<ServerId>,
    /// At most [`QUERY_ROWS_MAX`]; newest first.
    pub rows_max: Option<u32>,
}

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

    /// The transactions that fit `query`, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn trace(&self, query: &TraceQuery) -> Result<Vec<TraceRow>, StoreError> {
        let mut statement = trace_statement(query);
        let rows = statement.build().fetch_all(&self.pool).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut row = trace_row(row)?;
            row.recipients = self.recipients(&row.id).await?;
            found.push(row);
        }
        Ok(found)
    }

    async fn recipients(&self, trace_id: &str) -> Result<Vec<RecipientRow>, StoreError> {
        let rows = sqlx::query("SELECT forward_path, reply FROM trace_recipient WHERE trace_id = ? LIMIT ?")
            .bind(trace_id)
            .bind(QUERY_ROWS_MAX)
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(RecipientRow { forward_path: row.try_get("forward_path")?, reply: row.try_get("reply")? })
            })
            .collect()
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

    /// Refused TLS clients, last seen first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn tls_clients(&self, rows_max: u32) -> Result<Vec<TlsClientRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM tls_client ORDER BY last_seen DESC LIMIT ?")
            .bind(rows_max.min(QUERY_ROWS_MAX))
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(TlsClientRow {
                    address: address(row, "address")?,
                    refusal: row.try_get("refusal")?,
                    ja4: row.try_get("ja4")?,
                    listener: row.try_get("listener")?,
                    version: row.try_get("version")?,
                    server_name: row.try_get("server_name")?,
                    suites: row.try_get("suites")?,
                    first_seen: timestamp(row, "first_seen")?,
                    last_seen: timestamp(row, "last_seen")?,
                    count: unsigned(row, "count")?,
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

    /// Deletes transactions older than `before`.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn expire_trace(&self, before: Timestamp) -> Result<u64, StoreError> {
        let before = moment(before);
        sqlx::query("DELETE FROM trace_recipient WHERE at < ?").bind(&before).execute(&self.pool).await?;
        let deleted = sqlx::query("DELETE FROM trace WHERE at < ?").bind(&before).execute(&self.pool).await?;
        Ok(deleted.rows_affected())
    }
}

fn trace_statement(query: &TraceQuery) -> QueryBuilder<Sqlite> {
    let mut statement = QueryBuilder::new("SELECT * FROM trace WHERE 1 = 1");
    if let Some(from) = &query.from {
        statement.push(" AND reverse_path = ").push_bind(from.clone());
    }
    if let Some(to) = &query.to {
        statement.push(" AND id IN (SELECT trace_id FROM trace_recipient WHERE forward_path = ");
        statement.push_bind(to.clone()).push(")");
    }
    if let Some(address) = query.address {
        statement.push(" AND address = ").push_bind(address.to_canonical().to_string());
    }
    if let Some(id) = &query.id {
        statement.push(" AND (id = ").push_bind(id.clone());
        statement.push(" OR message_id = ").push_bind(id.clone()).push(")");
    }
    if let Some(since) = query.since {
        statement.push(" AND at >= ").push_bind(moment(since));
    }
    if let Some(id) = &query.server_id {
        statement.push(" AND server_id = ").push_bind(id.as_str().to_owned());
    }
    let rows_max = query.rows_max.unwrap_or(QUERY_ROWS_MAX).min(QUERY_ROWS_MAX);
    statement.push(" ORDER BY at DESC LIMIT ").push_bind(rows_max);
    statement
}

fn trace_row(row: &SqliteRow) -> Result<TraceRow, StoreError> {
    let server_id: String = row.try_get("server_id")?;
    Ok(TraceRow {
        id: row.try_get("id")?,
        at: timestamp(row, "at")?,
        address: address(row, "address")?,
        greeting: row.try_get("greeting")?,
        server_id: server_id.parse().map_err(|error| decode("server_id", error))?,
        tls: row.try_get("tls")?,
        reverse_path: row.try_get("reverse_path")?,
        recipients: Vec::new(),
        message_id: row.try_get("message_id")?,
        octets: unsigned(row, "octets")?,
        verdict: row.try_get("verdict")?,
        enforcement: row.try_get("enforcement")?,
        outcome: row.try_get("outcome")?,
        reply: row.try_get("reply")?,
        upstream: row.try_get("upstream")?,
        elapsed_ms: unsigned(row, "elapsed_ms")?,
    })
}

fn timestamp(row: &SqliteRow, column: &str) -> Result<Timestamp, StoreError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|error: <Timestamp as std::str::FromStr>::Err| decode(column, error))
}

fn address(row: &SqliteRow, column: &str) -> Result<IpAddr, StoreError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|error: std::net::AddrParseError| decode(column, error))
}

fn unsigned(row: &SqliteRow, column: &str) -> Result<u64, StoreError> {
    let value: i64 = row.try_get(column)?;
    Ok(u64::try_from(value).unwrap_or(0))
}

fn decode(column: &str, error: impl std::fmt::Display) -> StoreError {
    StoreError::Database(sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: error.to_string().into(),
    })
}

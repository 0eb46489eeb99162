//! # Purpose
//! Clients that the TLS standard refused, or would have refused: what they offered, how often and when they came.
//!
//! # Trust
//! Anybody who reaches a port gets a row. Texts and lists are cut, and the tables are bounded by age and by rows.
//!
//! # Invariants
//! One row for each address, refusal and fingerprint; one a day for each of them and name asked for.

use std::net::IpAddr;

use pc_hello::Offer;
use pc_hello::page::FITS;
use pc_types::{Date, Timestamp, time};
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use crate::limits::{
    TLS_CLIENT_DAY_ROWS_MAX, TLS_CLIENT_ROWS_MAX, TLS_CLIENT_SEARCH_ROWS_MAX, TLS_SUMMARY_ROWS_MAX,
};
use crate::query::{address, timestamp, unsigned};
use crate::writer::{cut, integer, moment};
use crate::{Store, StoreError};

/// A client that the TLS standard refused, or, with the word `fits`, one that came to a test port and would have been let in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TlsClientRow {
    /// The connecting address.
    pub address: IpAddr,
    /// Stable word.
    pub refusal: String,
    /// Fingerprint; empty when no hello could be read.
    pub ja4: String,
    /// Which listener.
    pub listener: String,
    /// The highest version offered.
    pub version: String,
    /// SNI.
    pub server_name: Option<String>,
    /// Suites as offered, hexadecimal, divided by commas.
    pub suites: String,
    /// All that was offered, where a hello could be read.
    pub offer: Option<Offer>,
    /// First time.
    pub first_seen: Timestamp,
    /// Last time.
    pub last_seen: Timestamp,
    /// How often.
    pub count: u64,
}

impl TlsClientRow {
    /// One that came at `now`.
    pub fn new(listener: &str, address: IpAddr, refusal: &str, offer: Option<Offer>, now: Timestamp) -> Self {
        let suites = offer.as_ref().map_or_else(String::new, |offer| {
            offer.suites.iter().map(|suite| format!("{suite:04x}")).collect::<Vec<_>>().join(",")
        });
        Self {
            address,
            refusal: refusal.to_owned(),
            ja4: offer.as_ref().map_or_else(String::new, |offer| offer.ja4.clone()),
            listener: listener.to_owned(),
            version: offer
                .as_ref()
                .map_or_else(String::new, |offer| pc_hello::names::version(offer.newest_version())),
            server_name: offer.as_ref().and_then(|offer| offer.server_name.clone()),
            suites,
            offer,
            first_seen: now,
            last_seen: now,
            count: 1,
        }
    }
}

/// What is searched for; `None` is anything.
#[derive(Clone, Debug, Default)]
pub struct TlsClientQuery {
    /// The connecting address.
    pub address: Option<IpAddr>,
    /// Stable word; without one, all but those that fit.
    pub refusal: Option<String>,
    /// The highest version offered.
    pub version: Option<String>,
    /// SNI.
    pub server_name: Option<String>,
    /// Fingerprint.
    pub ja4: Option<String>,
    /// Last seen not before.
    pub since: Option<Timestamp>,
    /// Last seen before.
    pub until: Option<Timestamp>,
    /// Those that fit as well.
    pub with_fitting: bool,
    /// Rows at most; the store has a bound of its own.
    pub rows_max: u32,
}

/// Refusals of some days with the same name asked for, refusal and fingerprint.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TlsSummaryRow {
    /// SNI.
    pub server_name: Option<String>,
    /// Stable word.
    pub refusal: String,
    /// Fingerprint.
    pub ja4: String,
    /// What was offered, as one of them did.
    pub offer: Option<Offer>,
    /// Addresses.
    pub clients: u64,
    /// Connections.
    pub attempts: u64,
}

impl Store {
    /// Clients that fit a search, last seen first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn tls_clients(&self, query: &TlsClientQuery) -> Result<Vec<TlsClientRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM tls_client WHERE (?1 IS NULL OR address = ?1) AND (?2 IS NULL OR refusal = ?2) \
             AND (?3 IS NULL OR version = ?3) AND (?4 IS NULL OR server_name = ?4) AND (?5 IS NULL OR ja4 = ?5) \
             AND (?6 IS NULL OR last_seen >= ?6) AND (?7 IS NULL OR last_seen < ?7) AND (?8 OR refusal <> ?9) \
             ORDER BY last_seen DESC LIMIT ?10",
        )
        .bind(query.address.map(|address| address.to_string()))
        .bind(query.refusal.as_deref())
        .bind(query.version.as_deref())
        .bind(query.server_name.as_deref())
        .bind(query.ja4.as_deref())
        .bind(query.since.map(moment))
        .bind(query.until.map(moment))
        .bind(query.with_fitting || query.refusal.is_some())
        .bind(FITS)
        .bind(query.rows_max.min(TLS_CLIENT_SEARCH_ROWS_MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(client).collect()
    }

    /// Refused clients of the days from `first` to `last`, by name asked for, the most frequent first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn tls_summary(&self, first: Date, last: Date) -> Result<Vec<TlsSummaryRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT d.server_name, d.refusal, d.ja4, SUM(d.count) AS attempts, COUNT(DISTINCT d.address) AS clients, \
             MAX(c.offer) AS offer FROM tls_client_day d LEFT JOIN tls_client c ON c.address = d.address \
             AND c.refusal = d.refusal AND c.ja4 = d.ja4 WHERE d.day BETWEEN ? AND ? AND d.refusal <> ? \
             GROUP BY d.server_name, d.refusal, d.ja4 ORDER BY attempts DESC LIMIT ?",
        )
        .bind(first.to_string())
        .bind(last.to_string())
        .bind(FITS)
        .bind(TLS_SUMMARY_ROWS_MAX)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(TlsSummaryRow {
                    server_name: Some(row.try_get("server_name")?).filter(|name: &String| !name.is_empty()),
                    refusal: row.try_get("refusal")?,
                    ja4: row.try_get("ja4")?,
                    offer: offer(row)?,
                    clients: unsigned(row, "clients")?,
                    attempts: unsigned(row, "attempts")?,
                })
            })
            .collect()
    }

    /// Deletes clients last seen before a moment, and the oldest over the bounds of rows. Returns how many went.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn expire_tls_clients(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let mut deleted = 0;
        let by_age = [
            sqlx::query("DELETE FROM tls_client WHERE last_seen < ?").bind(moment(before)),
            sqlx::query("DELETE FROM tls_client_day WHERE day < ?").bind(time::date_of(before).to_string()),
        ];
        let by_rows = [
            sqlx::query(
                "DELETE FROM tls_client WHERE (address, refusal, ja4) IN (SELECT address, refusal, ja4 FROM tls_client \
                 ORDER BY last_seen DESC LIMIT -1 OFFSET ?)",
            )
            .bind(TLS_CLIENT_ROWS_MAX),
            sqlx::query(
                "DELETE FROM tls_client_day WHERE (day, server_name, address, refusal, ja4) IN (SELECT day, server_name, \
                 address, refusal, ja4 FROM tls_client_day ORDER BY day DESC LIMIT -1 OFFSET ?)",
            )
            .bind(TLS_CLIENT_DAY_ROWS_MAX),
        ];
        for statement in by_age {
            deleted += statement.execute(&mut *transaction).await?.rows_affected();
        }
        for statement in by_rows {
            deleted += statement.execute(&mut *transaction).await?.rows_affected();
        }
        transaction.commit().await?;
        Ok(deleted)
    }
}

fn client(row: &SqliteRow) -> Result<TlsClientRow, StoreError> {
    Ok(TlsClientRow {
        address: address(row, "address")?,
        refusal: row.try_get("refusal")?,
        ja4: row.try_get("ja4")?,
        listener: row.try_get("listener")?,
        version: row.try_get("version")?,
        server_name: row.try_get("server_name")?,
        suites: row.try_get("suites")?,
        offer: offer(row)?,
        first_seen: timestamp(row, "first_seen")?,
        last_seen: timestamp(row, "last_seen")?,
        count: unsigned(row, "count")?,
    })
}

fn offer(row: &SqliteRow) -> Result<Option<Offer>, StoreError> {
    let text: Option<String> = row.try_get("offer")?;
    match text.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => Ok(Some(serde_json::from_str(text)?)),
    }
}

pub(crate) async fn write_tls_client(
    connection: &mut SqliteConnection,
    row: &TlsClientRow,
) -> Result<(), StoreError> {
    let offer = row.offer.as_ref().map(serde_json::to_string).transpose()?.unwrap_or_default();
    sqlx::query(
        "INSERT INTO tls_client (address, refusal, ja4, listener, version, server_name, suites, offer, first_seen, \
         last_seen, count) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (address, refusal, ja4) DO UPDATE SET \
         last_seen = excluded.last_seen, listener = excluded.listener, server_name = excluded.server_name, \
         offer = excluded.offer, count = tls_client.count + excluded.count",
    )
    .bind(row.address.to_string())
    .bind(&row.refusal)
    .bind(&row.ja4)
    .bind(&row.listener)
    .bind(&row.version)
    .bind(row.server_name.as_deref().map(cut))
    .bind(cut(&row.suites))
    .bind(offer)
    .bind(moment(row.first_seen))
    .bind(moment(row.last_seen))
    .bind(integer(row.count))
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO tls_client_day (day, server_name, address, refusal, ja4, count) VALUES (?, ?, ?, ?, ?, ?) \
         ON CONFLICT DO UPDATE SET count = tls_client_day.count + excluded.count",
    )
    .bind(time::date_of(row.last_seen).to_string())
    .bind(row.server_name.as_deref().map(cut).unwrap_or_default())
    .bind(row.address.to_string())
    .bind(&row.refusal)
    .bind(&row.ja4)
    .bind(integer(row.count))
    .execute(connection)
    .await?;
    Ok(())
}

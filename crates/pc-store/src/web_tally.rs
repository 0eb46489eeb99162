//! # Purpose
//! How often the web edge refused something, or would have: by day, site, kind and code.
//!
//! # Trust
//! All keys are words of ours or of the operator's; nothing of a client's stands here.

use pc_types::Date;
use serde::Serialize;
use sqlx::Row;

use crate::limits::QUERY_ROWS_MAX;
use crate::query::unsigned;
use crate::writer::integer;
use crate::{Store, StoreError};

/// A count of one day, or of several together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WebTallyRow {
    /// Empty where no served host was named.
    pub site: String,
    /// Stable word: what was counted.
    pub kind: String,
    /// A code, or the id of a rule.
    pub code: String,
    /// How often.
    pub count: u64,
}

impl Store {
    /// Adds counts to those of a day.
    ///
    /// # Errors
    /// The database cannot be written; nothing was added.
    pub async fn add_web_tally(&self, day: Date, rows: &[WebTallyRow]) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        for row in rows {
            sqlx::query(
                "INSERT INTO web_tally (day, site, kind, code, count) VALUES (?, ?, ?, ?, ?) \
                 ON CONFLICT DO UPDATE SET count = web_tally.count + excluded.count",
            )
            .bind(day.to_string())
            .bind(&row.site)
            .bind(&row.kind)
            .bind(&row.code)
            .bind(integer(row.count))
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// The counts of the days from `first` to `last` together, the highest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn web_tally(&self, first: Date, last: Date) -> Result<Vec<WebTallyRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT site, kind, code, SUM(count) AS count FROM web_tally WHERE day BETWEEN ? AND ? \
             GROUP BY site, kind, code ORDER BY count DESC, site, kind, code LIMIT ?",
        )
        .bind(first.to_string())
        .bind(last.to_string())
        .bind(QUERY_ROWS_MAX)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(WebTallyRow {
                    site: row.try_get("site")?,
                    kind: row.try_get("kind")?,
                    code: row.try_get("code")?,
                    count: unsigned(row, "count")?,
                })
            })
            .collect()
    }

    /// Deletes the counts of days before one.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn expire_web_tally(&self, before: Date) -> Result<u64, StoreError> {
        let deleted = sqlx::query("DELETE FROM web_tally WHERE day < ?").bind(before.to_string());
        Ok(deleted.execute(&self.pool).await?.rows_affected())
    }
}

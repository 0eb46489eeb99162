//! # Purpose
//! Notices on their way to webhooks: what is due, what came of each try, and receivers that want no more.
//!
//! # Invariants
//! A notice to a webhook waits until a try of it ended it. A crash between an answer and its note tries once more, with
//! the same id.

use pc_types::Timestamp;
use sqlx::{Row, SqliteConnection};

use crate::limits::{QUERY_ROWS_MAX, WEBHOOK_ROWS_MAX};
use crate::query::timestamp;
use crate::writer::{cut, moment};
use crate::{Store, StoreError};

/// A notice that a webhook was not told.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitingWebhook {
    /// Its place in the outbox.
    pub number: i64,
    /// When it was put there.
    pub at: Timestamp,
    /// What makes it the same as another one.
    pub key: String,
    /// JSON.
    pub facts: String,
    /// How often it was tried.
    pub tries: u32,
    /// When it is due.
    pub due_at: Timestamp,
}

/// What came of the tries of a notice.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct WebhookTry {
    /// How often it was tried.
    pub tries: u32,
    /// Stable word: `retrying`, `delivered`, `given_up`, `gone`, `disabled`.
    pub state: String,
    /// What the receiver said last, or why it said nothing.
    pub answer: String,
    /// When.
    pub tried_at: Timestamp,
    /// When it is tried again.
    pub next_at: Option<Timestamp>,
}

/// A webhook whose receiver said that it is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct DisabledWebhook {
    /// Where it was.
    pub url: String,
    /// Since when.
    pub at: Timestamp,
    /// What it said.
    pub answer: String,
}

impl Store {
    /// What waits for an addressee, due first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn waiting_webhooks(
        &self,
        addressee: &str,
        rows_max: u32,
    ) -> Result<Vec<WaitingWebhook>, StoreError> {
        let rows = sqlx::query(
            "SELECT notice.number, notice.at, key, facts, coalesce(tries, 0) AS tries, \
             coalesce(next_at, notice.at) AS due_at FROM notice INDEXED BY notice_waiting \
             LEFT JOIN webhook_try ON webhook_try.number = notice.number \
             WHERE addressee = ? AND mail_id IS NULL ORDER BY due_at, notice.number LIMIT ?",
        )
        .bind(addressee)
        .bind(rows_max.min(QUERY_ROWS_MAX))
        .fetch_all(&self.pool)
        .await?;
        let waiting = |row: &sqlx::sqlite::SqliteRow| {
            Ok(WaitingWebhook {
                number: row.try_get("number")?,
                at: timestamp(row, "at")?,
                key: row.try_get("key")?,
                facts: row.try_get("facts")?,
                tries: row.try_get("tries")?,
                due_at: timestamp(row, "due_at")?,
            })
        };
        rows.iter().map(waiting).collect()
    }

    /// How many notices wait for an addressee.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn waiting_count(&self, addressee: &str) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM notice INDEXED BY notice_waiting WHERE addressee = ? AND mail_id IS NULL",
        )
        .bind(addressee)
        .fetch_one(&self.pool)
        .await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Notes a try. Without another one to come the notice is told, under the name `id`.
    ///
    /// # Errors
    /// The database cannot be written; it will be tried again.
    pub async fn webhook_tried(&self, number: i64, id: &str, tried: &WebhookTry) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(
            "INSERT OR REPLACE INTO webhook_try (number, tries, state, answer, tried_at, next_at) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(number)
        .bind(tried.tries)
        .bind(&tried.state)
        .bind(cut(&tried.answer))
        .bind(moment(tried.tried_at))
        .bind(tried.next_at.map(moment))
        .execute(&mut *transaction)
        .await?;
        if tried.next_at.is_none() {
            sqlx::query("UPDATE notice SET mail_id = ?, handed_at = ? WHERE number = ?")
                .bind(id)
                .bind(moment(tried.tried_at))
                .bind(number)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Ends all that waits for the webhook `addressee` without a try, since its receiver wants no more.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn close_webhooks(
        &self,
        addressee: &str,
        answer: &str,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(
            "INSERT INTO webhook_try (number, tries, state, answer, tried_at, next_at) \
             SELECT number, 0, 'disabled', ?2, ?3, NULL FROM notice INDEXED BY notice_waiting \
             WHERE addressee = ?1 AND mail_id IS NULL \
             ON CONFLICT (number) DO UPDATE SET state = 'disabled', answer = ?2, next_at = NULL",
        )
        .bind(addressee)
        .bind(cut(answer))
        .bind(moment(now))
        .execute(&mut *transaction)
        .await?;
        let closed = sqlx::query(
            "UPDATE notice SET mail_id = 'not sent', handed_at = ?2 WHERE addressee = ?1 AND mail_id IS NULL",
        )
        .bind(addressee)
        .bind(moment(now))
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        transaction.commit().await?;
        Ok(closed)
    }

    /// Whether the receiver of a webhook said that it is gone, wherever it was.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn disabled_webhook(&self, name: &str) -> Result<Option<DisabledWebhook>, StoreError> {
        let row = sqlx::query("SELECT url, at, answer FROM webhook_disabled WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let (url, answer) = (row.try_get("url")?, row.try_get("answer")?);
        Ok(Some(DisabledWebhook { url, at: timestamp(&row, "at")?, answer }))
    }

    /// Notes that it is gone, or with `None` that it is there.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn set_disabled_webhook(
        &self,
        name: &str,
        disabled: Option<&DisabledWebhook>,
    ) -> Result<(), StoreError> {
        let statement = match disabled {
            Some(disabled) => sqlx::query(
                "INSERT OR REPLACE INTO webhook_disabled (name, url, at, answer) VALUES (?, ?, ?, ?)",
            )
            .bind(name)
            .bind(&disabled.url)
            .bind(moment(disabled.at))
            .bind(cut(&disabled.answer)),
            None => sqlx::query("DELETE FROM webhook_disabled WHERE name = ?").bind(name),
        };
        statement.execute(&self.pool).await?;
        Ok(())
    }

    /// Puts into the outbox for `to` what the operator is told of one kind since a moment, each once.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn copy_notices(
        &self,
        operator: &str,
        to: &str,
        kind: &str,
        since: Timestamp,
    ) -> Result<u64, StoreError> {
        let copied = sqlx::query(
            "INSERT OR IGNORE INTO notice (at, addressee, subject, key, facts) \
             SELECT at, ?2, subject, key, facts FROM notice INDEXED BY notice_at \
             WHERE at >= ?3 AND addressee = ?1 AND json_extract(facts, '$.kind') = ?4",
        )
        .bind(operator)
        .bind(to)
        .bind(moment(since))
        .bind(kind)
        .execute(&self.pool)
        .await?;
        Ok(copied.rows_affected())
    }

    /// Deletes the oldest notices whose addressee begins with `mark` beyond those that are kept.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn trim_webhooks(&self, mark: &str) -> Result<u64, StoreError> {
        let mut transaction = self.pool.begin().await?;
        // The last character of every text that begins with the mark is at most this one.
        let deleted = sqlx::query(
            "DELETE FROM notice WHERE number IN (SELECT number FROM notice WHERE addressee >= ?1 AND \
             addressee < ?1 || char(1114111) ORDER BY number DESC LIMIT -1 OFFSET ?2)",
        )
        .bind(mark)
        .bind(WEBHOOK_ROWS_MAX)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        if deleted > 0 {
            forget_tries(&mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(deleted)
    }
}

/// Deletes the tries of notices that are gone.
pub(crate) async fn forget_tries(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM webhook_try WHERE number NOT IN (SELECT number FROM notice)")
        .execute(connection)
        .await?;
    Ok(())
}

/// Of a row of a notice, if there are any.
pub(crate) fn tries(row: &sqlx::sqlite::SqliteRow) -> Result<Option<WebhookTry>, StoreError> {
    let tries: Option<u32> = row.try_get("tries")?;
    let Some(tries) = tries else { return Ok(None) };
    let next_at: Option<String> = row.try_get("next_at")?;
    Ok(Some(WebhookTry {
        tries,
        state: row.try_get("state")?,
        answer: row.try_get("answer")?,
        tried_at: timestamp(row, "tried_at")?,
        next_at: next_at.map(|_| timestamp(row, "next_at")).transpose()?,
    }))
}

#[cfg(test)]
mod tests;

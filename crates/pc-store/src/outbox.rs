//! # Purpose
//! The outbox: notices to people, from the moment they are due to the mail that says them.
//!
//! # Invariants
//! A notice is written once for each addressee and key. It counts as told only after its mail is in the spool or in
//! a Maildir: a crash between the two sends one mail twice and loses none.

use pc_types::Timestamp;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use crate::limits::{QUERY_ROWS_MAX, STATEMENT_ROWS_MAX};
use crate::query::timestamp;
use crate::rows::{NoticeRow, Repetition};
use crate::webhook::WebhookTry;
use crate::writer::{cut, moment};
use crate::{Store, StoreError};

/// A notice as it is kept.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct StoredNotice {
    /// Its place in the outbox.
    pub number: i64,
    /// When it was put there.
    pub at: Timestamp,
    /// Who is told.
    pub addressee: String,
    /// The message or server that it is about.
    pub subject: String,
    /// JSON.
    #[serde(skip)]
    pub facts: String,
    /// The mail that says it, once that is on its way.
    pub mail_id: Option<String>,
    /// Since when.
    pub handed_at: Option<Timestamp>,
    /// What became of the mail last: a word of [`crate::DeliveryRow::code`], and what was said.
    pub delivery: Option<(String, String)>,
    /// The tries of one that goes to a webhook.
    pub tries: Option<WebhookTry>,
}

impl Store {
    /// Who waits to be told something.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn waiting_addressees(&self) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query(
            "SELECT DISTINCT addressee FROM notice INDEXED BY notice_waiting WHERE mail_id IS NULL \
             ORDER BY addressee",
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(|row| row.try_get("addressee")).collect::<Result<_, sqlx::Error>>()?)
    }

    /// The oldest notices that an addressee was not told.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn waiting_notices(
        &self,
        addressee: &str,
        rows_max: u32,
    ) -> Result<Vec<StoredNotice>, StoreError> {
        let rows = sqlx::query(
            "SELECT *, NULL AS code, NULL AS detail, NULL AS tries FROM notice INDEXED BY notice_waiting \
             WHERE addressee = ? AND mail_id IS NULL ORDER BY number LIMIT ?",
        )
        .bind(addressee)
        .bind(rows_max.min(QUERY_ROWS_MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(notice).collect()
    }

    /// Writes what somebody is to be told, all of it or nothing.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn write_notices(&self, rows: &[NoticeRow]) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        for row in rows {
            write_notice(&mut transaction, row).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// When an addressee was handed mails since a moment, each once.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn mails_since(&self, addressee: &str, since: Timestamp) -> Result<Vec<Timestamp>, StoreError> {
        let rows = sqlx::query(
            "SELECT max(handed_at) AS handed_at FROM notice INDEXED BY notice_handed \
             WHERE addressee = ? AND handed_at > ? AND mail_id IS NOT NULL GROUP BY mail_id LIMIT ?",
        )
        .bind(addressee)
        .bind(moment(since))
        .bind(QUERY_ROWS_MAX)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| timestamp(row, "handed_at")).collect()
    }

    /// Notes that the mail `mail_id` says these.
    ///
    /// # Errors
    /// The database cannot be written; they will be told again.
    pub async fn notices_handed(
        &self,
        numbers: &[i64],
        mail_id: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        for numbers in numbers.chunks(STATEMENT_ROWS_MAX) {
            let mut statement = QueryBuilder::<Sqlite>::new("UPDATE notice SET mail_id = ");
            statement.push_bind(mail_id).push(", handed_at = ").push_bind(moment(now));
            statement.push(" WHERE number IN (");
            let mut list = statement.separated(", ");
            for number in numbers {
                list.push_bind(*number);
            }
            statement.push(")");
            statement.build().execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// When somebody was last told something.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn last_told(&self, addressee: &str) -> Result<Option<Timestamp>, StoreError> {
        let row = sqlx::query(
            "SELECT handed_at FROM notice INDEXED BY notice_handed WHERE addressee = ? AND mail_id IS NOT NULL \
             ORDER BY handed_at DESC LIMIT 1",
        )
        .bind(addressee)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| timestamp(&row, "handed_at")).transpose()
    }

    /// All notices, or those about one message or server, newest first, with what became of their mails.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn notices(
        &self,
        subject: Option<&str>,
        rows_max: u32,
    ) -> Result<Vec<StoredNotice>, StoreError> {
        let (index, condition) =
            if subject.is_some() { ("notice_subject", "subject = ?1") } else { ("notice_at", "?1 IS NULL") };
        // Not from the wire: index and condition are the words above.
        let statement = format!(
            "SELECT notice.*, delivery.code, delivery.detail, webhook_try.tries, webhook_try.state, webhook_try.answer, \
             webhook_try.tried_at, webhook_try.next_at FROM notice INDEXED BY {index} \
             LEFT JOIN webhook_try ON webhook_try.number = notice.number \
             LEFT JOIN delivery ON delivery.rowid = (SELECT max(rowid) FROM delivery WHERE trace_id = notice.mail_id) \
             WHERE {condition} ORDER BY at DESC, number DESC LIMIT ?2"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(subject)
            .bind(rows_max.min(QUERY_ROWS_MAX))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(notice).collect()
    }

    /// Deletes notices from before a moment, told or not, with what became of them.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn expire_notices(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("DELETE FROM delivery WHERE trace_id IN (SELECT mail_id FROM notice WHERE at < ?)")
            .bind(moment(before))
            .execute(&mut *transaction)
            .await?;
        let deleted = sqlx::query("DELETE FROM notice WHERE at < ?")
            .bind(moment(before))
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        if deleted > 0 {
            crate::webhook::forget_tries(&mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(deleted)
    }
}

pub(crate) async fn write_notice(
    connection: &mut SqliteConnection,
    row: &NoticeRow,
) -> Result<(), StoreError> {
    let condition = match row.repetition {
        Repetition::EachKey => "1 = 1",
        Repetition::EachSubject => "NOT EXISTS (SELECT 1 FROM notice WHERE subject = ?3)",
    };
    // Not from the wire: the condition is one of the two above.
    let statement = format!(
        "INSERT OR IGNORE INTO notice (at, addressee, subject, key, facts) SELECT ?1, ?2, ?3, ?4, ?5 WHERE {condition}"
    );
    sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(moment(row.at))
        .bind(&row.addressee)
        .bind(cut(&row.subject))
        .bind(cut(&row.key))
        .bind(&row.facts)
        .execute(connection)
        .await?;
    Ok(())
}

fn notice(row: &sqlx::sqlite::SqliteRow) -> Result<StoredNotice, StoreError> {
    let handed_at: Option<String> = row.try_get("handed_at")?;
    let code: Option<String> = row.try_get("code")?;
    Ok(StoredNotice {
        number: row.try_get("number")?,
        at: timestamp(row, "at")?,
        addressee: row.try_get("addressee")?,
        subject: row.try_get("subject")?,
        facts: row.try_get("facts")?,
        mail_id: row.try_get("mail_id")?,
        handed_at: handed_at.map(|_| timestamp(row, "handed_at")).transpose()?,
        delivery: match code {
            Some(code) => Some((code, row.try_get("detail")?)),
            None => None,
        },
        tries: crate::webhook::tries(row)?,
    })
}

#[cfg(test)]
mod tests;

//! # Purpose
//! Finds transactions, newest first.
//!
//! # Invariants
//! Every statement names its index and walks it in the order of the answer: nothing is sorted and no table
//! is read from end to end. Left to itself SQLite picks an index without knowing how many rows it stands
//! for; so the search looks first how far back each condition reaches within a bounded number of entries,
//! and goes by the one that reaches furthest. Where even that one is not exhausted, the answer says how far
//! it came: an answer's cost is bounded whatever is asked. A condition's entries lie in segments of time, which
//! are walked from the newest on.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use pc_types::{ServerId, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use crate::limits::{
    DELIVERIES_MAX, LISTED_RECIPIENTS_MAX, QUERY_ROWS_MAX, SEARCH_ENTRIES_MAX, SEARCH_RARE_ENTRIES,
};
use crate::query::{address, decode, timestamp, unsigned};
use crate::rows::{DeliveryRow, RecipientRow, TraceRow};
use crate::writer::{cut, moment};
use crate::{Store, StoreError};

/// Which transactions to show; all conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct TraceQuery {
    /// Reverse path, or its domain.
    pub from: Option<PathSearch>,
    /// A recipient, or the domain of one.
    pub to: Option<PathSearch>,
    /// The connecting address.
    pub address: Option<IpAddr>,
    /// The trace id or the Message-ID, with or without its brackets.
    pub id: Option<String>,
    /// As in [`TraceRow::outcome`].
    pub outcome: Option<String>,
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Older than this.
    pub until: Option<Timestamp>,
    /// The sending server.
    pub server_id: Option<ServerId>,
    /// Only what comes after this place, which an earlier page gave.
    pub before: Option<Cursor>,
    /// At most [`QUERY_ROWS_MAX`]; newest first.
    pub rows_max: Option<u32>,
}

/// An address, or all addresses of a domain without its subdomains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathSearch {
    /// The local part exactly, the domain in any case. Empty is the null path.
    Address(String),
    /// In any case.
    Domain(String),
}

impl PathSearch {
    /// `a@example.net` is an address, `@example.net` and `example.net` a domain, `<>` the null path.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let text = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
        match text.rsplit_once('@') {
            Some(("", domain)) => Self::Domain(domain.to_ascii_lowercase()),
            Some(_) => Self::Address(normal_path(text)),
            // RFC 5321 4.5.1: the one address without a domain.
            None if text.eq_ignore_ascii_case("postmaster") => Self::Address("Postmaster".to_owned()),
            None if text.is_empty() => Self::Address(String::new()),
            None => Self::Domain(text.to_ascii_lowercase()),
        }
    }
}

/// A place in the list of transactions, which stays where it is when others come and go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    at: Timestamp,
    id: String,
}

/// The text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no place in the trace; take the cursor that an answer gave")]
pub struct CursorError;

impl Cursor {
    /// The place of a transaction.
    pub fn of(row: &TraceRow) -> Self {
        Self { at: row.at, id: row.id.clone() }
    }

    /// When the transaction at this place began.
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}_{}", self.at.as_microsecond(), self.id)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (at, id) = text.split_once('_').ok_or(CursorError)?;
        let at = at.parse().ok().and_then(|micros| Timestamp::from_microsecond(micros).ok());
        Ok(Self { at: at.ok_or(CursorError)?, id: id.to_owned() })
    }
}

/// Some of the transactions that fit.
#[derive(Clone, Debug, PartialEq)]
pub struct TracePage {
    /// Newest first, without their steps.
    pub rows: Vec<TraceRow>,
    /// Where to go on; `None` when nothing older fits.
    pub next: Option<Cursor>,
}

/// A condition that an index answers.
struct Condition {
    /// The index that has its entries in the order of time.
    index: &'static str,
    /// The column of that index.
    column: &'static str,
    table: Entries,
    value: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Entries {
    Recipients,
    Transactions,
}

impl Entries {
    /// Table, and the column with the transaction's id.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Recipients => ("trace_recipient", "trace_id"),
            Self::Transactions => ("trace", "id"),
        }
    }
}

impl Store {
    /// Some of the transactions that fit `query`, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn trace(&self, query: &TraceQuery) -> Result<TracePage, StoreError> {
        let Some(id) = &query.id else { return self.search(query, conditions(query)).await };
        if let Some(row) = self.transaction(id).await? {
            let mut page = self.search(&only(query, &row), conditions(query)).await?;
            page.rows.retain(|found| found.id == row.id);
            return Ok(TracePage { next: None, ..page });
        }
        // Message-IDs are stored as the header has them, in brackets where the sender did it right.
        let mut page = TracePage { rows: Vec::new(), next: None };
        for message_id in [id.clone(), format!("<{id}>")] {
            let mut conditions = conditions(query);
            conditions.push(transactions("trace_message_id", "message_id", message_id));
            page = self.search(query, conditions).await?;
            if !page.rows.is_empty() || page.next.is_some() {
                break;
            }
        }
        Ok(page)
    }

    /// One transaction with all recipients and steps.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn transaction(&self, id: &str) -> Result<Option<TraceRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM trace WHERE id = ?").bind(id).fetch_optional(&self.pool).await?;
        let Some(row) = row else { return Ok(None) };
        let mut rows = vec![trace_row(&row)?];
        self.add_recipients(&mut rows).await?;
        let steps: Option<String> = sqlx::query_scalar("SELECT steps FROM trace_steps WHERE trace_id = ?")
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        let steps = steps.map(|steps| serde_json::from_str(&steps)).transpose()?.unwrap_or_default();
        let deliveries = sqlx::query(
            "SELECT trace_id, at, code, detail, outcome FROM (SELECT *, rowid AS number FROM delivery INDEXED BY \
             delivery_trace WHERE trace_id = ? ORDER BY rowid DESC LIMIT ?) ORDER BY number",
        )
        .bind(id)
        .bind(DELIVERIES_MAX)
        .fetch_all(&self.pool)
        .await?;
        let deliveries = deliveries.iter().map(delivery_row).collect::<Result<_, _>>()?;
        Ok(rows.pop().map(|row| TraceRow { steps, deliveries, ..row }))
    }

    async fn search(&self, query: &TraceQuery, conditions: Vec<Condition>) -> Result<TracePage, StoreError> {
        let rows_max = query.rows_max.unwrap_or(QUERY_ROWS_MAX).clamp(1, QUERY_ROWS_MAX);
        let (driver, floor) = self.driver(query, &conditions).await?;
        let mut statement = statement(query, &conditions, driver, floor.as_ref(), rows_max);
        let found = statement.build().fetch_all(&self.pool).await?;
        let mut rows = found.iter().map(trace_row).collect::<Result<Vec<_>, _>>()?;
        self.add_recipients(&mut rows).await?;
        let is_full = u32::try_from(rows.len()).is_ok_and(|rows| rows >= rows_max);
        let next = if is_full { rows.last().map(Cursor::of) } else { floor };
        Ok(TracePage { rows, next })
    }

    /// The condition to go by, and the entry at which to stop where it has too many.
    async fn driver(
        &self,
        query: &TraceQuery,
        conditions: &[Condition],
    ) -> Result<(Option<usize>, Option<Cursor>), StoreError> {
        // Every entry of a single condition is a hit.
        if conditions.len() <= 1 {
            return Ok((conditions.len().checked_sub(1), None));
        }
        let mut furthest: Option<(usize, Cursor)> = None;
        for entries in [SEARCH_RARE_ENTRIES, SEARCH_ENTRIES_MAX] {
            furthest = None;
            for (number, condition) in conditions.iter().enumerate() {
                let mut statement = reach_statement(query, condition, entries);
                let Some(row) = statement.build().fetch_optional(&self.pool).await? else {
                    return Ok((Some(number), None));
                };
                let reach = Cursor { at: timestamp(&row, "at")?, id: row.try_get(1)? };
                let is_further =
                    furthest.as_ref().is_none_or(|(_, other)| (reach.at, &reach.id) < (other.at, &other.id));
                if is_further {
                    furthest = Some((number, reach));
                }
            }
        }
        Ok(furthest.map_or((None, None), |(number, reach)| (Some(number), Some(reach))))
    }

    async fn add_recipients(&self, rows: &mut [TraceRow]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let found = recipients_statement(&ids).build().fetch_all(&self.pool).await?;
        let mut recipients: HashMap<String, Vec<RecipientRow>> = HashMap::new();
        for row in &found {
            recipients.entry(row.try_get("trace_id")?).or_default().push(RecipientRow {
                forward_path: row.try_get("forward_path")?,
                reply: row.try_get("reply")?,
            });
        }
        for row in rows {
            row.recipients = recipients.remove(&row.id).unwrap_or_default();
        }
        Ok(())
    }
}

/// The query, narrowed to one transaction.
fn only(query: &TraceQuery, row: &TraceRow) -> TraceQuery {
    let next = row.at.checked_add(pc_types::SignedDuration::from_micros(1)).unwrap_or(row.at);
    TraceQuery {
        since: Some(query.since.map_or(row.at, |since| since.max(row.at))),
        until: Some(query.until.map_or(next, |until| until.min(next))),
        ..query.clone()
    }
}

fn transactions(index: &'static str, column: &'static str, value: String) -> Condition {
    Condition { index, column, table: Entries::Transactions, value }
}

fn conditions(query: &TraceQuery) -> Vec<Condition> {
    let mut conditions = Vec::new();
    if let Some(to) = &query.to {
        let (index, column, value) = match to {
            PathSearch::Address(path) => ("trace_recipient_forward_path", "forward_path", path),
            PathSearch::Domain(domain) => ("trace_recipient_domain", "forward_path_domain", domain),
        };
        conditions.push(Condition { index, column, table: Entries::Recipients, value: value.clone() });
    }
    if let Some(from) = &query.from {
        conditions.push(match from {
            PathSearch::Address(path) => transactions("trace_reverse_path", "reverse_path", path.clone()),
            PathSearch::Domain(domain) => {
                transactions("trace_reverse_path_domain", "reverse_path_domain", domain.clone())
            }
        });
    }
    if let Some(address) = query.address {
        let address = address.to_canonical().to_string();
        conditions.push(transactions("trace_address", "address", address));
    }
    if let Some(id) = &query.server_id {
        conditions.push(transactions("trace_server", "server_id", id.as_str().to_owned()));
    }
    if let Some(outcome) = &query.outcome {
        conditions.push(transactions("trace_outcome", "outcome", outcome.clone()));
    }
    conditions
}

/// The entry that lies `entries` behind the newest that fits.
fn reach_statement(query: &TraceQuery, condition: &Condition, entries: u32) -> QueryBuilder<Sqlite> {
    let (table, id) = condition.table.names();
    let mut statement = QueryBuilder::new(format!(
        "SELECT entry.at, entry.{id} FROM trace_segment AS part CROSS JOIN {table} AS entry INDEXED BY {} \
         WHERE entry.segment = part.number AND entry.{} = ",
        condition.index, condition.column
    ));
    statement.push_bind(condition.value.clone());
    push_range(&mut statement, query, "entry", id);
    push_segments(&mut statement, query);
    statement
        .push(format!(" ORDER BY part.number DESC, entry.at DESC, entry.{id} DESC LIMIT 1 OFFSET "))
        .push_bind(entries);
    statement
}

fn statement(
    query: &TraceQuery,
    conditions: &[Condition],
    driver: Option<usize>,
    floor: Option<&Cursor>,
    rows_max: u32,
) -> QueryBuilder<Sqlite> {
    let by = driver.and_then(|driver| conditions.get(driver));
    let (text, entry, id) = match by {
        Some(Condition { table: Entries::Recipients, index, .. }) => (
            format!(
                "SELECT trace.* FROM trace_segment AS part CROSS JOIN trace_recipient AS entry INDEXED BY {index} \
                 CROSS JOIN trace ON trace.id = entry.trace_id WHERE entry.segment = part.number"
            ),
            "entry",
            "trace_id",
        ),
        Some(Condition { table: Entries::Transactions, index, .. }) => (
            format!(
                "SELECT trace.* FROM trace_segment AS part CROSS JOIN trace INDEXED BY {index} \
                 WHERE trace.segment = part.number"
            ),
            "trace",
            "id",
        ),
        None => ("SELECT trace.* FROM trace INDEXED BY trace_at WHERE 1 = 1".to_owned(), "trace", "id"),
    };
    let mut statement = QueryBuilder::new(text);
    for (number, condition) in conditions.iter().enumerate() {
        let column = condition.column;
        let is_driver = driver == Some(number);
        match condition.table {
            Entries::Recipients if !is_driver => {
                statement.push(format!(
                    " AND EXISTS (SELECT 1 FROM trace_recipient INDEXED BY {} WHERE segment = trace.segment \
                     AND at = trace.at AND trace_id = trace.id AND {column} = ",
                    condition.index
                ));
                statement.push_bind(condition.value.clone()).push(")");
            }
            Entries::Recipients => {
                statement.push(format!(" AND entry.{column} = ")).push_bind(condition.value.clone());
            }
            // The plus keeps the planner from weighing other indices.
            Entries::Transactions => {
                let plus = if is_driver { "" } else { "+" };
                statement.push(format!(" AND {plus}trace.{column} = ")).push_bind(condition.value.clone());
            }
        }
    }
    push_range(&mut statement, query, entry, id);
    if let Some(floor) = floor {
        statement.push(format!(" AND ({entry}.at, {entry}.{id}) >= (")).push_bind(moment(floor.at));
        statement.push(", ").push_bind(floor.id.clone()).push(")");
    }
    let mut order = format!("{entry}.at DESC, {entry}.{id} DESC");
    if by.is_some() {
        push_segments(&mut statement, query);
        order.insert_str(0, "part.number DESC, ");
    }
    if entry == "entry" {
        // A transaction has an entry for each recipient of the domain.
        statement.push(" GROUP BY part.number, entry.at, entry.trace_id");
    }
    statement.push(format!(" ORDER BY {order} LIMIT ")).push_bind(rows_max);
    statement
}

fn push_range(statement: &mut QueryBuilder<Sqlite>, query: &TraceQuery, entry: &str, id: &str) {
    if let Some(since) = query.since {
        statement.push(format!(" AND {entry}.at >= ")).push_bind(moment(since));
    }
    if let Some(until) = query.until {
        statement.push(format!(" AND {entry}.at < ")).push_bind(moment(until));
    }
    if let Some(before) = &query.before {
        statement.push(format!(" AND ({entry}.at, {entry}.{id}) < (")).push_bind(moment(before.at));
        statement.push(", ").push_bind(before.id.clone()).push(")");
    }
}

/// Leaves out the segments that hold nothing of the time asked for.
fn push_segments(statement: &mut QueryBuilder<Sqlite>, query: &TraceQuery) {
    let last = [query.until, query.before.as_ref().map(|before| before.at)];
    for (comparison, at) in [(">=", query.since)].into_iter().chain(last.map(|at| ("<=", at))) {
        let Some(at) = at else { continue };
        statement.push(format!(
            " AND part.number {comparison} (SELECT number FROM trace_segment INDEXED BY trace_segment_at_from \
             WHERE at_from <= "
        ));
        statement.push_bind(moment(at)).push(" ORDER BY at_from DESC LIMIT 1)");
    }
}

fn recipients_statement(ids: &[&str]) -> QueryBuilder<Sqlite> {
    let mut statement = QueryBuilder::new(
        "SELECT trace_id, forward_path, reply FROM trace_recipient INDEXED BY trace_recipient_trace WHERE trace_id IN (",
    );
    let mut list = statement.separated(", ");
    for id in ids {
        list.push_bind((*id).to_owned());
    }
    statement.push(") LIMIT ").push_bind(LISTED_RECIPIENTS_MAX);
    statement
}

fn trace_row(row: &SqliteRow) -> Result<TraceRow, StoreError> {
    let server_id: String = row.try_get("server_id")?;
    Ok(TraceRow {
        id: row.try_get("id")?,
        at: timestamp(row, "at")?,
        connected_at: timestamp(row, "connected_at")?,
        listener: row.try_get("listener")?,
        connector: row.try_get("connector")?,
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
        upstream_reply: row.try_get("upstream_reply")?,
        elapsed_ms: unsigned(row, "elapsed_ms")?,
        steps: Vec::new(),
        deliveries: Vec::new(),
    })
}

fn delivery_row(row: &SqliteRow) -> Result<DeliveryRow, StoreError> {
    Ok(DeliveryRow {
        trace_id: row.try_get("trace_id")?,
        at: timestamp(row, "at")?,
        code: row.try_get::<String, _>("code")?.into(),
        detail: row.try_get("detail")?,
        outcome: row.try_get::<Option<String>, _>("outcome")?.map(Into::into),
    })
}

/// A path as it is stored: its domain in lower case (RFC 5321 2.4), and no longer than the column takes.
pub(crate) fn normal_path(path: &str) -> String {
    let path = cut(path);
    match path.rsplit_once('@') {
        Some((local_part, domain)) => format!("{local_part}@{}", domain.to_ascii_lowercase()),
        None => path.to_owned(),
    }
}

/// What follows the last `@`, in lower case.
pub(crate) fn path_domain(path: &str) -> String {
    cut(path).rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase()).unwrap_or_default()
}

#[cfg(test)]
mod tests;

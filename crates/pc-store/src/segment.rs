//! # Purpose
//! Divides the trace into segments of time, so that writing a row costs the same however many there are: every
//! index of the trace begins with the segment, and only the newest segment's part of it is written.
//!
//! # Invariants
//! A transaction is in the last segment that begins at or before it, so the order of segments is the order of
//! time. The lowest segment begins before all times. After a clock that ran ahead and was set back no segment is
//! begun until time has caught up: rows cost more until then, and searches stay right.

use std::collections::BTreeMap;

use pc_types::Timestamp;
use sqlx::{Row, SqliteConnection};

use crate::StoreError;
use crate::limits::{SEGMENT_ROWS, SEGMENTS_READ};
use crate::rows::TraceRow;
use crate::writer::moment;

/// Where a segment begins, and about how many transactions it holds.
#[derive(Clone, Debug)]
struct Segment {
    at_from: String,
    row_count: i64,
}

/// The number of the segment of each row, in the order of `rows`; begins segments where they are due.
pub(crate) async fn assign(
    connection: &mut SqliteConnection,
    rows: &[&TraceRow],
) -> Result<Vec<i64>, StoreError> {
    let mut known = newest_segments(connection).await?;
    let mut newest_at: Option<String> =
        sqlx::query_scalar("SELECT max(at) FROM trace").fetch_one(&mut *connection).await?;
    let mut in_time: Vec<(usize, Timestamp)> = rows.iter().map(|row| row.at).enumerate().collect();
    in_time.sort_by_key(|(_, at)| *at);
    let mut numbers = vec![0; rows.len()];
    let mut changed = BTreeMap::new();
    for (place, at) in in_time {
        let at = moment(at);
        begin_if_due(&mut known, newest_at.as_deref(), &at);
        let number = match holder(&known, &at) {
            Some(number) => number,
            None => stored_holder(connection, &at).await?,
        };
        if let Some(segment) = known.get_mut(&number) {
            segment.row_count += 1;
            changed.insert(number, segment.clone());
        }
        if let Some(slot) = numbers.get_mut(place) {
            *slot = number;
        }
        newest_at = newest_at.max(Some(at));
    }
    for (number, segment) in changed {
        sqlx::query("INSERT OR REPLACE INTO trace_segment (number, at_from, row_count) VALUES (?, ?, ?)")
            .bind(number)
            .bind(segment.at_from)
            .bind(segment.row_count)
            .execute(&mut *connection)
            .await?;
    }
    Ok(numbers)
}

/// Forgets segments whose transactions are all gone.
pub(crate) async fn forget_empty(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM trace_segment WHERE number < \
         coalesce((SELECT min(segment) FROM trace), (SELECT max(number) FROM trace_segment))",
        "UPDATE trace_segment SET at_from = '' WHERE number = (SELECT min(number) FROM trace_segment)",
    ] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn newest_segments(connection: &mut SqliteConnection) -> Result<BTreeMap<i64, Segment>, StoreError> {
    let rows =
        sqlx::query("SELECT number, at_from, row_count FROM trace_segment ORDER BY number DESC LIMIT ?")
            .bind(SEGMENTS_READ)
            .fetch_all(connection)
            .await?;
    rows.iter()
        .map(|row| {
            let segment = Segment { at_from: row.try_get("at_from")?, row_count: row.try_get("row_count")? };
            Ok((row.try_get("number")?, segment))
        })
        .collect()
}

/// A full segment is followed by one that begins with `at`, if nothing that is written lies behind `at`.
fn begin_if_due(known: &mut BTreeMap<i64, Segment>, newest_at: Option<&str>, at: &str) {
    let next = match known.last_key_value() {
        None => Some((1, String::new())),
        Some((number, newest)) => {
            let is_due = newest.row_count >= SEGMENT_ROWS && newest_at.is_none_or(|newest| newest < at);
            is_due.then(|| (number + 1, at.to_owned()))
        }
    };
    if let Some((number, at_from)) = next {
        known.insert(number, Segment { at_from, row_count: 0 });
    }
}

/// Among the segments that were read.
fn holder(known: &BTreeMap<i64, Segment>, at: &str) -> Option<i64> {
    known.iter().rev().find(|(_, segment)| segment.at_from.as_str() <= at).map(|(number, _)| *number)
}

/// For a transaction that is older than the segments that were read.
async fn stored_holder(connection: &mut SqliteConnection, at: &str) -> Result<i64, StoreError> {
    let number = sqlx::query_scalar(
        "SELECT number FROM trace_segment INDEXED BY trace_segment_at_from WHERE at_from <= ? \
         ORDER BY at_from DESC LIMIT 1",
    )
    .bind(at)
    .fetch_one(connection)
    .await?;
    Ok(number)
}

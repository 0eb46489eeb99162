use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pc_enforce::ServerRecord;
use pc_telemetry::Event;
use pc_types::{ServerId, Timestamp};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::limits::{BATCH_PAUSE, BATCH_ROWS_MAX, QUEUE_ROWS_MAX, STATEMENT_ROWS_MAX, TEXT_OCTETS_MAX};
use crate::outbox::write_notice;
use crate::rows::{AuditRow, DeliveryRow, LadderEventRow, NoticeRow, RecipientRow, SightingRow, TraceRow};
use crate::segment;
use crate::tls_client::{TlsClientRow, write_tls_client};
use crate::trace::{normal_path, path_domain};
use crate::{Store, StoreError};

/// The way into the database: hands rows to a task that writes them in batches. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: mpsc::Sender<Row>,
    servers: Arc<Mutex<HashMap<ServerId, Option<ServerRecord>>>>,
    rows_lost: Arc<AtomicU64>,
    news: Arc<watch::Sender<u64>>,
}

#[derive(Debug)]
enum Row {
    Audit(AuditRow),
    Delivery(DeliveryRow),
    Flush(oneshot::Sender<()>),
    LadderEvent(LadderEventRow),
    Notice(NoticeRow),
    /// Something is in `Writer::servers`.
    Servers,
    Sighting(SightingRow),
    TlsClient(Box<TlsClientRow>),
    Trace(Box<TraceRow>),
}

impl Writer {
    /// Starts the writing task. It ends, everything written, when the last clone is dropped.
    pub fn start(store: Store) -> (Self, JoinHandle<()>) {
        let (queue, rows) = mpsc::channel(QUEUE_ROWS_MAX);
        let servers = Arc::new(Mutex::new(HashMap::new()));
        let rows_lost = Arc::new(AtomicU64::new(0));
        let news = Arc::new(watch::Sender::new(0));
        let writer = Self {
            queue,
            servers: Arc::clone(&servers),
            rows_lost: Arc::clone(&rows_lost),
            news: Arc::clone(&news),
        };
        (writer, tokio::spawn(write_rows(store, rows, servers, (rows_lost, news))))
    }

    /// Queues a transaction.
    pub fn trace(&self, row: TraceRow) {
        self.push(Row::Trace(Box::new(row)));
    }

    /// Queues what happened to a spooled message.
    pub fn delivery(&self, row: DeliveryRow) {
        self.push(Row::Delivery(row));
    }

    /// Queues what a server showed.
    pub fn sighting(&self, row: SightingRow) {
        self.push(Row::Sighting(row));
    }

    /// Queues an event of the ladder.
    pub fn ladder_event(&self, row: LadderEventRow) {
        self.push(Row::LadderEvent(row));
    }

    /// Queues a refused client; rows of one client are added up.
    pub fn tls_client(&self, row: TlsClientRow) {
        self.push(Row::TlsClient(Box::new(row)));
    }

    /// Queues what somebody is to be told.
    pub fn notice(&self, row: NoticeRow) {
        self.push(Row::Notice(row));
    }

    /// Changes whenever notices or events of the ladder were written.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Queues an audit row.
    pub fn audit(&self, row: AuditRow) {
        self.push(Row::Audit(row));
    }

    /// Queues the latest state of a server, `None` for a forgotten one. Never lost: only the latest
    /// state waits, however full the queue is.
    pub(crate) fn server(&self, id: ServerId, record: Option<ServerRecord>) {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).insert(id, record);
        // A full queue means that the task is at work and will look at the map anyway.
        let _ = self.queue.try_send(Row::Servers);
    }

    /// Returns when everything queued before is written or counted as lost.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Row::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
    }

    fn push(&self, row: Row) {
        if self.queue.try_send(row).is_err() {
            self.rows_lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn write_rows(
    store: Store,
    mut rows: mpsc::Receiver<Row>,
    servers: Arc<Mutex<HashMap<ServerId, Option<ServerRecord>>>>,
    (rows_lost, news): (Arc<AtomicU64>, Arc<watch::Sender<u64>>),
) {
    let mut batch = Vec::with_capacity(BATCH_ROWS_MAX);
    while rows.recv_many(&mut batch, BATCH_ROWS_MAX).await > 0 {
        let flushing = batch.iter().any(|row| matches!(row, Row::Flush(_)));
        if !flushing && batch.len() < BATCH_ROWS_MAX {
            tokio::time::sleep(BATCH_PAUSE).await;
            while batch.len() < BATCH_ROWS_MAX
                && let Ok(row) = rows.try_recv()
            {
                batch.push(row);
            }
        }
        let changed = std::mem::take(&mut *servers.lock().unwrap_or_else(PoisonError::into_inner));
        let mut lost = rows_lost.swap(0, Ordering::Relaxed);
        let mut cause = "the queue was full".to_owned();
        if let Err(error) = write_batch(&store, &batch, &changed).await {
            cause = format!(
                "{error}: {}",
                std::error::Error::source(&error).map_or_else(String::new, |e| e.to_string())
            );
            lost += batch.len() as u64;
            put_back(&servers, changed);
        }
        if lost > 0 {
            Event::StoreFailed { error: &cause, rows_lost: lost }.emit();
        }
        if batch.iter().any(|row| matches!(row, Row::LadderEvent(_) | Row::Notice(_))) {
            news.send_modify(|count| *count = count.wrapping_add(1));
        }
        for row in batch.drain(..) {
            if let Row::Flush(done) = row {
                let _ = done.send(());
            }
        }
    }
}

/// Server states that could not be written wait for the next batch, unless newer ones came.
fn put_back(
    servers: &Mutex<HashMap<ServerId, Option<ServerRecord>>>,
    changed: HashMap<ServerId, Option<ServerRecord>>,
) {
    let mut waiting = servers.lock().unwrap_or_else(PoisonError::into_inner);
    for (id, record) in changed {
        waiting.entry(id).or_insert(record);
    }
}

/// Waits for its turn before it reads: a transaction that has read and then writes fails at once when somebody wrote in
/// between (SQLITE_BUSY_SNAPSHOT), however long it may wait, and its rows would be lost.
const WRITING: &str = "BEGIN IMMEDIATE";

async fn write_batch(
    store: &Store,
    batch: &[Row],
    servers: &HashMap<ServerId, Option<ServerRecord>>,
) -> Result<(), StoreError> {
    let mut transaction = store.pool.begin_with(WRITING).await?;
    let mut traces: Vec<&TraceRow> = Vec::new();
    let mut deliveries: Vec<&DeliveryRow> = Vec::new();
    for (id, record) in servers {
        write_server(&mut transaction, id, record.as_ref()).await?;
    }
    for row in batch {
        match row {
            Row::Audit(row) => write_audit(&mut transaction, row).await?,
            Row::Delivery(row) => deliveries.push(row),
            Row::Flush(_) | Row::Servers => {}
            Row::LadderEvent(row) => write_ladder_event(&mut transaction, row).await?,
            Row::Notice(row) => write_notice(&mut transaction, row).await?,
            Row::Sighting(row) => write_sighting(&mut transaction, row).await?,
            Row::TlsClient(row) => write_tls_client(&mut transaction, row).await?,
            Row::Trace(row) => traces.push(row),
        }
    }
    write_traces(&mut transaction, &traces).await?;
    write_deliveries(&mut transaction, &deliveries, &traces).await?;
    Ok(transaction.commit().await?)
}

impl Store {
    /// Writes transactions at once, past the queue; for measurements.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn write_trace_rows(&self, rows: &[TraceRow]) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin_with(WRITING).await?;
        write_traces(&mut transaction, &rows.iter().collect::<Vec<_>>()).await?;
        Ok(transaction.commit().await?)
    }
}

async fn write_server(
    connection: &mut SqliteConnection,
    id: &ServerId,
    record: Option<&ServerRecord>,
) -> Result<(), StoreError> {
    let Some(record) = record else {
        sqlx::query("DELETE FROM server WHERE id = ?").bind(id.as_str()).execute(connection).await?;
        return Ok(());
    };
    sqlx::query("INSERT OR REPLACE INTO server (id, record, first_seen, last_seen) VALUES (?, ?, ?, ?)")
        .bind(id.as_str())
        .bind(serde_json::to_string(record)?)
        .bind(moment(record.first_seen))
        .bind(moment(record.last_seen))
        .execute(connection)
        .await?;
    Ok(())
}

/// Many rows a statement: each statement is a trip to the database's own thread.
async fn write_traces(connection: &mut SqliteConnection, rows: &[&TraceRow]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let segments = segment::assign(connection, rows).await?;
    let placed: Vec<(i64, &TraceRow)> = segments.into_iter().zip(rows.iter().copied()).collect();
    for rows in placed.chunks(STATEMENT_ROWS_MAX) {
        let mut statement = QueryBuilder::<Sqlite>::new(
            "INSERT OR REPLACE INTO trace (id, at, address, greeting, server_id, tls, reverse_path, message_id, octets, \
             verdict, enforcement, outcome, reply, upstream, elapsed_ms, reverse_path_domain, connected_at, listener, \
             connector, upstream_reply, segment) ",
        );
        statement.push_values(rows, |mut values, (segment, row)| {
            values
                .push_bind(&row.id)
                .push_bind(moment(row.at))
                .push_bind(row.address.to_string())
                .push_bind(cut(&row.greeting))
                .push_bind(row.server_id.as_str())
                .push_bind(row.tls.as_deref())
                .push_bind(normal_path(&row.reverse_path))
                .push_bind(row.message_id.as_deref().map(cut))
                .push_bind(integer(row.octets))
                .push_bind(row.verdict.as_deref())
                .push_bind(&row.enforcement)
                .push_bind(&row.outcome)
                .push_bind(cut(&row.reply))
                .push_bind(row.upstream.as_deref())
                .push_bind(integer(row.elapsed_ms))
                .push_bind(path_domain(&row.reverse_path))
                .push_bind(moment(row.connected_at))
                .push_bind(&row.listener)
                .push_bind(&row.connector)
                .push_bind(row.upstream_reply.as_deref().map(cut))
                .push_bind(*segment);
        });
        statement.build().execute(&mut *connection).await?;
    }
    write_recipients(connection, &placed).await?;
    write_steps(connection, rows).await
}

async fn write_recipients(
    connection: &mut SqliteConnection,
    placed: &[(i64, &TraceRow)],
) -> Result<(), StoreError> {
    let recipients: Vec<(i64, &TraceRow, &RecipientRow)> = placed
        .iter()
        .flat_map(|(segment, row)| row.recipients.iter().map(move |recipient| (*segment, *row, recipient)))
        .collect();
    for recipients in recipients.chunks(STATEMENT_ROWS_MAX) {
        let mut statement = QueryBuilder::<Sqlite>::new(
            "INSERT INTO trace_recipient (trace_id, forward_path, reply, at, forward_path_domain, segment) ",
        );
        statement.push_values(recipients, |mut values, (segment, row, recipient)| {
            values
                .push_bind(&row.id)
                .push_bind(normal_path(&recipient.forward_path))
                .push_bind(cut(&recipient.reply))
                .push_bind(moment(row.at))
                .push_bind(path_domain(&recipient.forward_path))
                .push_bind(*segment);
        });
        statement.build().execute(&mut *connection).await?;
    }
    Ok(())
}

async fn write_steps(connection: &mut SqliteConnection, rows: &[&TraceRow]) -> Result<(), StoreError> {
    let mut steps: Vec<(&str, String)> = Vec::with_capacity(rows.len());
    for row in rows.iter().filter(|row| !row.steps.is_empty()) {
        steps.push((&row.id, serde_json::to_string(&row.steps)?));
    }
    for steps in steps.chunks(STATEMENT_ROWS_MAX) {
        let mut statement =
            QueryBuilder::<Sqlite>::new("INSERT OR REPLACE INTO trace_steps (trace_id, steps) ");
        statement.push_values(steps, |mut values, (id, steps)| {
            values.push_bind(*id).push_bind(steps);
        });
        statement.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// A message may be delivered before the row of its transaction is written, so outcomes are brought up to date for
/// both.
async fn write_deliveries(
    connection: &mut SqliteConnection,
    rows: &[&DeliveryRow],
    traces: &[&TraceRow],
) -> Result<(), StoreError> {
    for rows in rows.chunks(STATEMENT_ROWS_MAX) {
        let mut statement =
            QueryBuilder::<Sqlite>::new("INSERT INTO delivery (trace_id, at, code, detail, outcome) ");
        statement.push_values(rows, |mut values, row| {
            values
                .push_bind(&row.trace_id)
                .push_bind(moment(row.at))
                .push_bind(row.code.as_ref())
                .push_bind(cut(&row.detail))
                .push_bind(row.outcome.as_deref());
        });
        statement.build().execute(&mut *connection).await?;
    }
    let changed = rows.iter().filter(|row| row.outcome.is_some()).map(|row| row.trace_id.as_str());
    let written = traces.iter().filter(|row| row.outcome == "waiting").map(|row| row.id.as_str());
    let ids: BTreeSet<&str> = changed.chain(written).collect();
    for id in ids {
        sqlx::query(
            "UPDATE trace SET outcome = delivery.outcome FROM delivery WHERE trace.id = ?1 AND delivery.rowid = \
             (SELECT max(rowid) FROM delivery WHERE trace_id = ?1 AND outcome IS NOT NULL)",
        )
        .bind(id)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn write_sighting(connection: &mut SqliteConnection, row: &SightingRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT OR REPLACE INTO sighting (server_id, at, trace_id, verdict, build, header, reason) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(row.server_id.as_str())
    .bind(moment(row.at))
    .bind(&row.trace_id)
    .bind(&row.verdict)
    .bind(row.build.as_deref())
    .bind(row.header.as_deref().map(cut))
    .bind(cut(&row.reason))
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_ladder_event(
    connection: &mut SqliteConnection,
    row: &LadderEventRow,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO ladder_event (server_id, at, code, detail) VALUES (?, ?, ?, ?)")
        .bind(row.server_id.as_str())
        .bind(moment(row.at))
        .bind(&row.code)
        .bind(cut(&row.detail))
        .execute(connection)
        .await?;
    Ok(())
}

async fn write_audit(connection: &mut SqliteConnection, row: &AuditRow) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO audit (at, actor, action, subject, reason) VALUES (?, ?, ?, ?, ?)")
        .bind(moment(row.at))
        .bind(&row.actor)
        .bind(&row.action)
        .bind(cut(&row.subject))
        .bind(cut(&row.reason))
        .execute(connection)
        .await?;
    Ok(())
}

/// Six fraction digits, so that text order is time order.
pub(crate) fn moment(at: Timestamp) -> String {
    format!("{at:.6}")
}

pub(crate) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn cut(text: &str) -> &str {
    let mut end = text.len().min(TEXT_OCTETS_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

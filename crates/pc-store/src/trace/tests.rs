use super::*;
use crate::tests::{store, trace_row};
use crate::{StepRow, TraceLimits, Writer};

fn ids(page: &TracePage) -> Vec<&str> {
    page.rows.iter().map(|row| row.id.as_str()).collect()
}

type Addition = Box<dyn Fn(&mut TraceQuery)>;

/// All sets of conditions, each with one value.
fn queries() -> Vec<TraceQuery> {
    let mut queries = vec![TraceQuery::default()];
    let at: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
    let cursor = Cursor { at, id: "t".into() };
    let additions: Vec<Addition> = vec![
        Box::new(|query| query.from = Some(PathSearch::parse("a@example.net"))),
        Box::new(|query| query.from = Some(PathSearch::parse("example.net"))),
        Box::new(|query| query.to = Some(PathSearch::parse("b@example.org"))),
        Box::new(|query| query.to = Some(PathSearch::parse("example.org"))),
        Box::new(|query| query.address = Some("192.0.2.7".parse().unwrap())),
        Box::new(|query| query.server_id = Some(ServerId::derive("192.0.2.7".parse().unwrap(), None))),
        Box::new(|query| query.outcome = Some("taken".into())),
        Box::new(move |query| query.since = Some(at)),
        Box::new(move |query| query.until = Some(at)),
        Box::new(move |query| query.before = Some(cursor.clone())),
    ];
    for addition in additions {
        for mut query in queries.clone() {
            addition(&mut query);
            queries.push(query);
        }
    }
    queries
}

#[tokio::test]
async fn no_search_reads_a_whole_table_or_sorts() {
    let (_folder, store) = store().await;
    let mut connection = store.pool.acquire().await.unwrap();
    let floor = Cursor { at: "2026-11-22T00:00:00Z".parse().unwrap(), id: "t".into() };
    let mut statements = std::collections::BTreeSet::new();
    for query in queries() {
        let mut conditions = conditions(&query);
        for message_id in [false, true] {
            if message_id {
                conditions.push(transactions("trace_message_id", "message_id", "<1@example.net>".into()));
            }
            let drivers =
                (0..conditions.len()).map(Some).chain([None].into_iter().filter(|_| conditions.is_empty()));
            for driver in drivers {
                for floor in [None, Some(&floor)] {
                    let statement = statement(&query, &conditions, driver, floor, 10);
                    statements.insert(statement.sql().as_str().to_owned());
                }
            }
            for condition in &conditions {
                statements.insert(reach_statement(&query, condition, 10).sql().as_str().to_owned());
            }
        }
    }
    statements.insert(recipients_statement(&["t1", "t2"]).sql().as_str().to_owned());
    for statement in statements {
        let text = format!("EXPLAIN QUERY PLAN {statement}");
        let plan = sqlx::query(sqlx::AssertSqlSafe(text)).fetch_all(&mut *connection).await;
        for row in plan.unwrap_or_else(|error| panic!("{statement}: {error}")) {
            let step: String = row.get("detail");
            // Segments are walked until the answer is full; there is one for a thousand transactions.
            let walks = ["SCAN trace USING INDEX trace_at", "SCAN part"];
            let whole = step.contains("SCAN") && !walks.contains(&step.as_str());
            assert!(!whole && !step.contains("TEMP B-TREE"), "{statement}: {step}");
        }
    }
}

#[tokio::test]
async fn a_transaction_is_found_by_every_key_and_survives_reopening() {
    let (folder, store) = store().await;
    let (writer, task) = Writer::start(store.clone());
    let steps = vec![StepRow { step: "mail".into(), at_ms: 4, text: "250 2.1.0 sender OK".into() }];
    let row = trace_row("t1", "2026-11-23T10:00:00Z");
    let mut other = trace_row("t2", "2026-11-22T10:00:00Z");
    other.reverse_path = "A@example.com".into();
    other.outcome = "refused".into();
    writer.trace(TraceRow { steps: steps.clone(), ..row.clone() });
    writer.trace(other);
    writer.flush().await;
    drop(writer);
    task.await.unwrap();
    store.close().await;
    let store = Store::open(&folder.path().join("portcullis.db")).await.unwrap();
    let path = |text: &str| Some(PathSearch::parse(text));
    let all = TraceQuery::default;
    let queries = [
        TraceQuery { id: Some("t1".into()), ..all() },
        TraceQuery { since: Some("2026-11-23T00:00:00Z".parse().unwrap()), ..all() },
        TraceQuery { rows_max: Some(1), address: Some("::ffff:192.0.2.7".parse().unwrap()), ..all() },
        TraceQuery { from: path("a@EXAMPLE.net"), ..all() },
        TraceQuery { from: path("@Example.net"), ..all() },
        TraceQuery { rows_max: Some(1), to: path("b@example.org"), ..all() },
        TraceQuery { rows_max: Some(1), to: path("example.org"), ..all() },
        TraceQuery { rows_max: Some(1), id: Some("<1@example.net>".into()), ..all() },
        TraceQuery { outcome: Some("taken".into()), to: path("example.org"), ..all() },
        TraceQuery {
            rows_max: Some(1),
            id: Some("1@example.net".into()),
            from: path("example.net"),
            ..all()
        },
    ];
    for query in queries {
        assert_eq!(store.trace(&query).await.unwrap().rows, vec![row.clone()], "{query:?}");
    }
    for nobody in [path("' OR 1 = 1 --"), path("A@example.net"), path("net"), path("<>")] {
        let query = TraceQuery { from: nobody, ..all() };
        assert_eq!(store.trace(&query).await.unwrap(), TracePage { rows: vec![], next: None }, "{query:?}");
    }
    assert_eq!(store.transaction("t1").await.unwrap().unwrap().steps, steps);
    let limits = TraceLimits { not_before: "2026-11-23T00:00:00Z".parse().unwrap(), octets_max: 0 };
    assert_eq!(store.expire_trace(limits).await.unwrap().by_age, 1);
    assert_eq!(store.trace(&all()).await.unwrap().rows, vec![row]);
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let (_folder, store) = store().await;
    let (writer, _task) = Writer::start(store.clone());
    for number in 0..25 {
        // Several begin in the same microsecond, and each goes to two recipients of the domain.
        let mut row = trace_row(&format!("t{number:02}"), &format!("2026-11-23T10:00:{:02}Z", number / 5));
        row.recipients.push(RecipientRow { forward_path: "c@example.org".into(), reply: "250 OK".into() });
        writer.trace(row);
    }
    writer.flush().await;
    let want: Vec<String> = (0..25).rev().map(|number| format!("t{number:02}")).collect();
    for to in [None, Some(PathSearch::parse("example.org"))] {
        let mut query = TraceQuery { to, rows_max: Some(7), ..TraceQuery::default() };
        let mut found = Vec::new();
        loop {
            let page = store.trace(&query).await.unwrap();
            found.extend(page.rows.iter().map(|row| row.id.clone()));
            let Some(next) = page.next else { break };
            query.before = Some(next.to_string().parse().unwrap());
        }
        assert_eq!(found, want);
    }
    assert_eq!("t1".parse::<Cursor>(), Err(CursorError));
    assert_eq!("x_t1".parse::<Cursor>(), Err(CursorError));
}

#[tokio::test]
async fn two_frequent_conditions_that_never_meet_answer_with_how_far_they_came() {
    let (_folder, store) = store().await;
    let entries = usize::try_from(SEARCH_ENTRIES_MAX).unwrap();
    let start: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
    let rows: Vec<TraceRow> = (0..entries * 2 + 10)
        .map(|number| {
            let at = start + pc_types::SignedDuration::from_secs(i64::try_from(number).unwrap());
            let mut row = trace_row(&format!("t{number:06}"), &at.to_string());
            let (path, outcome) =
                if number % 2 == 0 { ("a@example.net", "taken") } else { ("a@example.com", "refused") };
            row.reverse_path = path.into();
            row.outcome = outcome.into();
            row
        })
        .collect();
    store.write_trace_rows(&rows).await.unwrap();
    let mut query = TraceQuery {
        from: Some(PathSearch::parse("example.net")),
        outcome: Some("refused".into()),
        ..TraceQuery::default()
    };
    let page = store.trace(&query).await.unwrap();
    assert_eq!(ids(&page), [""; 0]);
    query.before = page.next;
    assert!(query.before.is_some(), "there is more to look at");
    let page = store.trace(&query).await.unwrap();
    assert_eq!((ids(&page), page.next.clone()), (vec![], None));
    // A rare condition is gone by, however frequent the other is.
    query = TraceQuery { until: Some(start + pc_types::SignedDuration::from_secs(5)), ..query };
    query.before = None;
    query.outcome = Some("taken".into());
    let page = store.trace(&query).await.unwrap();
    assert_eq!((ids(&page), page.next.clone()), (vec!["t000004", "t000002", "t000000"], None));
}

#[tokio::test]
async fn the_oldest_go_when_the_database_is_too_large_and_the_file_stops_growing() {
    let (folder, store) = store().await;
    let rows = |from: u32| -> Vec<TraceRow> {
        (from..from + 2_000)
            .map(|number| {
                trace_row(
                    &format!("t{number:06}"),
                    &format!("2026-11-23T10:{:02}:{:02}Z", number / 60 % 60, number % 60),
                )
            })
            .collect()
    };
    store.write_trace_rows(&rows(0)).await.unwrap();
    let full = store.octets_used().await.unwrap();
    let limits = TraceLimits { not_before: "2026-01-01T00:00:00Z".parse().unwrap(), octets_max: full / 2 };
    let expired = store.expire_trace(limits).await.unwrap();
    assert!(expired.by_age == 0 && (500..2_000).contains(&expired.by_size), "{expired:?}");
    assert!(store.octets_used().await.unwrap() <= full / 2);
    assert!(store.transaction("t000000").await.unwrap().is_none(), "the oldest");
    assert!(store.transaction("t001999").await.unwrap().is_some(), "the newest");
    let query = TraceQuery { to: Some(PathSearch::parse("example.org")), ..TraceQuery::default() };
    assert!(store.trace(&query).await.unwrap().rows.len() < 1_500, "recipients went as well");
    for round in 1..6 {
        store.write_trace_rows(&rows(round * 2_000)).await.unwrap();
        store.expire_trace(limits).await.unwrap();
    }
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&store.pool).await.unwrap();
    let file = std::fs::metadata(folder.path().join("portcullis.db")).unwrap().len();
    assert!(file < full * 2, "{file} octets after six times the rows, {full} after one");
    let none = TraceLimits { octets_max: 1, ..limits };
    store.expire_trace(none).await.unwrap();
    assert_eq!(store.trace(&TraceQuery::default()).await.unwrap().rows, vec![]);
}

#[tokio::test]
async fn rows_of_the_first_layout_get_their_domains() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let mut first = sqlx::migrate!("./migrations");
    first.migrations.to_mut().truncate(1);
    first.run(&pool).await.unwrap();
    for (id, from, to) in [("t1", "\"x@y\"@Example.NET", "Bob@Example.Org"), ("t2", "", "Postmaster")] {
        let at = "2026-11-23T10:00:00.000000Z";
        sqlx::query(
            "INSERT INTO trace (id, at, address, greeting, server_id, reverse_path, octets, enforcement, outcome, \
             reply, elapsed_ms) VALUES (?, ?, '192.0.2.7', '', '0123456789abcdef', ?, 0, 'pass', 'taken', '', 0)",
        )
        .bind(id).bind(at).bind(from).execute(&pool).await.unwrap();
        sqlx::query("INSERT INTO trace_recipient (trace_id, forward_path, reply, at) VALUES (?, ?, '', ?)")
            .bind(id)
            .bind(to)
            .bind(at)
            .execute(&pool)
            .await
            .unwrap();
    }
    pool.close().await;
    let store = Store::open(&path).await.unwrap();
    for (from, to, want) in [
        ("example.net", "example.org", "t1"),
        ("\"x@y\"@example.net", "Bob@example.org", "t1"),
        ("<>", "postmaster", "t2"),
    ] {
        let query = TraceQuery {
            from: Some(PathSearch::parse(from)),
            to: Some(PathSearch::parse(to)),
            ..TraceQuery::default()
        };
        assert_eq!(ids(&store.trace(&query).await.unwrap()), [want], "{from} {to}");
    }
}

/// Rows of several segments, not quite in the order of time and in batches as the writer hands them on.
fn rows_of_segments(count: usize) -> Vec<TraceRow> {
    let start: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
    (0..count)
        .map(|number| {
            // Transactions end up to 40 seconds after others that began later.
            let late = if number % 7 == 3 { number.saturating_sub(40) } else { number };
            let at = start + pc_types::SignedDuration::from_secs(i64::try_from(late).unwrap());
            let mut row = trace_row(&format!("t{number:06}"), &at.to_string());
            row.reverse_path = format!("a@d{}.example.net", number % 5);
            row.recipients.push(RecipientRow {
                forward_path: format!("c@r{}.example.org", number % 3),
                reply: "250 OK".into(),
            });
            row
        })
        .collect()
}

async fn all_pages(store: &Store, query: TraceQuery) -> Vec<TraceRow> {
    let mut query = TraceQuery { rows_max: Some(1_000), ..query };
    let mut found = Vec::new();
    loop {
        let page = store.trace(&query).await.unwrap();
        found.extend(page.rows);
        let Some(next) = page.next else { return found };
        query.before = Some(next);
    }
}

#[tokio::test]
async fn answers_are_in_the_order_of_time_across_segments() {
    let (_folder, store) = store().await;
    let segments = usize::try_from(crate::limits::SEGMENT_ROWS).unwrap();
    let rows = rows_of_segments(segments * 3 + 100);
    for batch in rows.chunks(150) {
        store.write_trace_rows(batch).await.unwrap();
    }
    // A transaction from before all others belongs to the lowest segment.
    let oldest = trace_row("t-old", "2026-11-20T10:00:00Z");
    store.write_trace_rows(std::slice::from_ref(&oldest)).await.unwrap();
    let numbers: Vec<i64> = sqlx::query_scalar("SELECT DISTINCT segment FROM trace ORDER BY 1")
        .fetch_all(&store.pool)
        .await
        .unwrap();
    assert_eq!(numbers, [1, 2, 3, 4]);
    let mut want = rows.clone();
    want.push(oldest);
    want.sort_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
    let ids = |rows: &[TraceRow]| rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>();
    let path = |text: &str| Some(PathSearch::parse(text));
    let all = TraceQuery::default;
    for (query, fits) in [
        (all(), (|_| true) as fn(&TraceRow) -> bool),
        (TraceQuery { address: Some("192.0.2.7".parse().unwrap()), ..all() }, |_| true),
        (TraceQuery { from: path("d2.example.net"), ..all() }, |row| {
            row.reverse_path.ends_with("d2.example.net")
        }),
        (TraceQuery { to: path("r1.example.org"), ..all() }, |row| {
            row.recipients.iter().any(|recipient| recipient.forward_path == "c@r1.example.org")
        }),
        (TraceQuery { from: path("d2.example.net"), to: path("c@r1.example.org"), ..all() }, |row| {
            row.reverse_path.ends_with("d2.example.net")
                && row.recipients.iter().any(|recipient| recipient.forward_path == "c@r1.example.org")
        }),
    ] {
        let fitting: Vec<TraceRow> = want.iter().filter(|row| fits(row)).cloned().collect();
        assert_eq!(ids(&all_pages(&store, query.clone()).await), ids(&fitting), "{query:?}");
        let since: Timestamp = "2026-11-23T10:10:00Z".parse().unwrap();
        let until: Timestamp = "2026-11-23T10:40:00Z".parse().unwrap();
        let within: Vec<TraceRow> =
            fitting.into_iter().filter(|row| since <= row.at && row.at < until).collect();
        let query = TraceQuery { since: Some(since), until: Some(until), ..query };
        assert_eq!(ids(&all_pages(&store, query.clone()).await), ids(&within), "{query:?}");
    }
}

#[tokio::test]
async fn segments_go_with_their_last_transaction_and_older_ones_still_find_their_place() {
    let (_folder, store) = store().await;
    let segments = usize::try_from(crate::limits::SEGMENT_ROWS).unwrap();
    let rows = rows_of_segments(segments * 3);
    for batch in rows.chunks(512) {
        store.write_trace_rows(batch).await.unwrap();
    }
    let limits = TraceLimits { not_before: "2026-11-23T10:45:00Z".parse().unwrap(), octets_max: 0 };
    store.expire_trace(limits).await.unwrap();
    let lowest: (i64, String) = sqlx::query_as("SELECT number, at_from FROM trace_segment ORDER BY number")
        .fetch_one(&store.pool)
        .await
        .unwrap();
    assert!(lowest.0 > 1 && lowest.1.is_empty(), "{lowest:?}");
    let late = trace_row("t-late", "2026-11-23T10:00:00Z");
    store.write_trace_rows(std::slice::from_ref(&late)).await.unwrap();
    let query = TraceQuery { address: Some("192.0.2.7".parse().unwrap()), ..TraceQuery::default() };
    let found = all_pages(&store, query).await;
    assert_eq!(found.last(), Some(&late));
    let none = TraceLimits { not_before: "2027-01-01T00:00:00Z".parse().unwrap(), octets_max: 0 };
    store.expire_trace(none).await.unwrap();
    store.write_trace_rows(std::slice::from_ref(&late)).await.unwrap();
    assert_eq!(store.trace(&TraceQuery::default()).await.unwrap().rows, [late]);
}

#[tokio::test]
async fn a_clock_that_ran_ahead_puts_nothing_out_of_order() {
    let (_folder, store) = store().await;
    let segments = usize::try_from(crate::limits::SEGMENT_ROWS).unwrap();
    let ahead = trace_row("t-ahead", "2027-11-23T10:00:00Z");
    store.write_trace_rows(std::slice::from_ref(&ahead)).await.unwrap();
    let rows = rows_of_segments(segments * 2);
    for batch in rows.chunks(1_024) {
        store.write_trace_rows(batch).await.unwrap();
    }
    let query = TraceQuery { address: Some("192.0.2.7".parse().unwrap()), ..TraceQuery::default() };
    let found = all_pages(&store, query).await;
    assert_eq!(found.len(), rows.len() + 1);
    assert_eq!(found.first(), Some(&ahead));
    assert!(found.windows(2).all(|pair| (pair[0].at, &pair[0].id) > (pair[1].at, &pair[1].id)));
}

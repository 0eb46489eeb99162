//! The page of one server: what it is, what happens next and when, and what it rests on.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use pc_enforce::Exemption;
use pc_store::{SightingRow, StoredEvent};
use pc_types::{Date, Timestamp, time};
use serde_json::Value;

use crate::api::{Context, Problem, end_exemption, forget_server, grant_exemption};
use crate::attestations;
use crate::limits::HISTORY_ROWS;
use crate::page::{day_of, minute_of, page, problem_page, verdict};
use crate::pauses_page::no_forms;
use crate::sign_in::{Draft, Filled, SignedForm, field, redirect, token_field};
use crate::timeline;
use crate::view::ServerView;

pub(crate) async fn server(context: Context, Path(id): Path<String>) -> Response {
    shown(&context, &id, &Draft::default()).await
}

pub(crate) async fn exempt(Path(id): Path<String>, form: SignedForm) -> Response {
    let SignedForm { context, permit, filled } = form;
    let exemption = exemption(&filled, permit.actor());
    let done = match exemption {
        Ok(exemption) => grant_exemption(&context, &permit, &id, exemption).await,
        Err(problem) => Err(problem),
    };
    match done {
        Ok(_) => redirect(&format!("/servers/{id}")),
        Err(problem) => shown(&context, &id, &Draft { filled, problem: Some(problem) }).await,
    }
}

/// It ends with the day that was given.
fn exemption(filled: &Filled, owner: &str) -> Result<Exemption, Problem> {
    let until = field(filled, "until");
    let date: Date = until
        .parse()
        .map_err(|_| Problem::bad_request(format!("{until:?} is no date; write YYYY-MM-DD.")))?;
    let until = time::add_days(time::start_of(date), 1);
    Ok(Exemption { reason: field(filled, "reason").to_owned(), owner: owner.to_owned(), until })
}

pub(crate) async fn unexempt(Path(id): Path<String>, form: SignedForm) -> Response {
    match end_exemption(&form.context, &form.permit, &id).await {
        Ok(_) => redirect(&format!("/servers/{id}")),
        Err(problem) => problem_page(&form.context, &problem),
    }
}

pub(crate) async fn forget(Path(id): Path<String>, form: SignedForm) -> Response {
    match forget_server(&form.context, &form.permit, &id).await {
        Ok(_) => redirect("/servers"),
        Err(problem) => problem_page(&form.context, &problem),
    }
}

async fn shown(context: &Context, id: &str, draft: &Draft) -> Response {
    match content(context, id, draft).await {
        Ok(response) => (draft.status(), response).into_response(),
        Err(problem) => problem_page(context, &problem),
    }
}

async fn content(context: &Context, id: &str, draft: &Draft) -> Result<Response, Problem> {
    let record = context.find(id)?;
    let admin = &context.admin;
    let now = admin.clock.now();
    let view = context.view(&record).await?;
    let judged =
        view.build.as_deref().map(|build| (admin.judge)(build, time::date_of(now))).unwrap_or_default();
    let events = admin.store.ladder_events(&record.id, HISTORY_ROWS).await?;
    let sightings = admin.store.sightings(&record.id, HISTORY_ROWS).await?;
    Ok(page(
        context,
        view.name(),
        html! {
            p.crumbs { a href="/servers" { "Servers" } }
            h1 { (view.name()) }
            (draft.alert())
            p.lead { (verdict(&view)) " " (headline(&view, view.mode)) }
            (ladder(&view, now))
            @if let Some(install) = &view.install { h2 { "What to install" } p.install { (install) } }
            (evidence(&view))
            (attestations::section(&view))
            (missing(&judged))
            (cves(&judged))
            (not_settled(&judged))
            (facts(&view, &judged))
            (history_tables(&events, &sightings))
            (let_through(context, &view, draft))
        },
    ))
}

fn let_through(context: &Context, view: &ServerView, draft: &Draft) -> Markup {
    let action = |what: &str| format!("/servers/{}/{what}", view.id);
    html! {
        h2 { "If you must let it through" }
        @if context.visitor.is_none() {
            p { "On this machine: " code { "portcullis servers exempt " (view.id) " --reason \"…\" --until YYYY-MM-DD" } }
            (no_forms())
        } @else {
            p { "An exemption lets its mail through up to and including a day; the ladder's clock runs on. Who granted it and why is kept." }
            form method="post" action=(action("exempt")) {
                (token_field(context))
                label { "Until" input name="until" type="date" required value=(field(&draft.filled, "until")); }
                label.wide { "Reason" input name="reason" required maxlength="500" value=(field(&draft.filled, "reason")); }
                button { @if view.exempt_until.is_some() { "Change exemption" } @else { "Exempt" } }
            }
            @if view.exempt_until.is_some() {
                form method="post" action=(action("unexempt")) { (token_field(context)) button { "End exemption" } }
            }
            details {
                summary { "Forget this server" }
                p { "Its record, its ladder and its exemption go; it starts anew with its next message. For an address that has another server by now." }
                form method="post" action=(action("forget")) { (token_field(context)) button.danger { "Forget" } }
            }
        }
    }
}

/// What this server is and what comes, in a few sentences.
fn headline(view: &ServerView, mode: &str) -> String {
    let software = view.software();
    if let Some(until) = view.exempt_until {
        let why = view.exempt_reason.as_deref().unwrap_or("no reason given");
        return format!("{software}. Exempt until {}, nothing is held: {why}", minute_of(until));
    }
    let Some(stage) = view.stage else {
        let state = match view.standing {
            "met" => "Owes nothing.".to_owned(),
            "owing" if mode == "off" => "Owes updates, but the ladder is off.".to_owned(),
            "owing" => format!(
                "Owes updates. The ladder begins when {} messages over {} hours have shown it without a good one between; \
                 {} did so far.",
                view.open_sightings, view.open_hours, view.sightings
            ),
            "unknown" => "Its state is unknown, so nothing is held against it.".to_owned(),
            _ => "Nothing to enforce.".to_owned(),
        };
        return format!("{software}. {state}");
    };
    let next = match (view.next_stage, view.next_stage_at) {
        (Some(next), Some(at)) => format!(" Stage {next} begins on {}.", day_of(at)),
        _ => " This is the last stage.".to_owned(),
    };
    let but = match (mode, view.paused) {
        ("report", _) => " In report mode nothing of this is sent.",
        (_, true) => " The ladder is paused, so nothing is held for the time being.",
        _ => "",
    };
    format!(
        "{software}. Stage {stage}, day {}: its mail is {}.{next}{but} One message from an updated server ends it.",
        view.day,
        view.held()
    )
}

fn ladder(view: &ServerView, now: Timestamp) -> Markup {
    html! {
        @if view.stage.is_some() {
            h2 { "Ladder" }
            (timeline::ladder(view, now))
            p.key { span.swatch.report {} " report " span.swatch.throttle {} " throttle (450) " span.swatch.both {} " throttle and block " span.swatch.block {} " block" }
            @if view.throttle_minutes > 0 || view.block_minutes > 0 {
                h3 { "Inside the hour (UTC)" }
                (timeline::hour(view))
                p { (hour_in_words(view)) }
            }
            details {
                summary { "All dates" }
                ol.dates { @for stage in &view.stage_dates { li { (day_of(stage.at)) ": throttled " (stage.throttle_minutes) ", blocked " (stage.block_minutes) " minutes an hour" } } }
            }
        }
    }
}

/// Windows wrap around the hour, so all sums are modulo 60.
fn hour_in_words(view: &ServerView) -> String {
    let (block, throttle) = (u32::from(view.block_minutes), u32::from(view.throttle_minutes));
    let start = u32::from(view.start_minute);
    if block + throttle >= 60 {
        return format!("The whole hour: {}.", view.held());
    }
    let span = |what: &str, from: u32, minutes: u32| {
        format!("{what} from minute {} until minute {}", from % 60, (from + minutes) % 60)
    };
    let windows = [("blocked", start, block), ("deferred", start + block, throttle)];
    let spoken: Vec<String> = windows
        .into_iter()
        .filter(|(.., minutes)| *minutes > 0)
        .map(|(what, from, minutes)| span(what, from, minutes))
        .collect();
    format!("Every hour {}.", spoken.join(", then "))
}

fn evidence(view: &ServerView) -> Markup {
    html! {
        h2 { "Evidence" }
        @if let Some(header) = &view.header { pre tabindex="0" { (header) } }
        @if let Some(reason) = &view.evidence_reason { p { @if view.header.is_some() { "Why this line: " } (reason) } }
        @if !view.reason.is_empty() && view.evidence_reason.as_ref() != Some(&view.reason) { p { "What follows: " (view.reason) } }
        @if !view.interior.is_empty() {
            h3 { "Further back" }
            p { "Exchange servers that the message passed before, of the same site or of others. Nobody is held to these lines." }
            @for line in &view.interior { pre tabindex="0" { (line.build) ": " (line.header) } }
        }
    }
}

fn list<'a>(judged: &'a Value, key: &str) -> &'a [Value] {
    judged.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn is_set(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool) == Some(true)
}

fn missing(judged: &Value) -> Markup {
    let list = list(judged, "missing");
    html! {
        @if !list.is_empty() {
            h2 { "Missing updates (" (list.len()) ")" }
            table {
                thead { tr { th scope="col" { "Update" } th scope="col" { "Build" } th scope="col" { "Released" } th scope="col" { "KB" } th scope="col" { "Kind" } } }
                tbody {
                    @for update in list { tr {
                        td data-label="Update" { (text(update, "update")) }
                        td.tight data-label="Build" { (text(update, "build")) }
                        td.tight data-label="Released" { (text(update, "released")) }
                        td.tight data-label="KB" { @match text(update, "kb") { "" => "-", kb => (kb) } }
                        td data-label="Kind" {
                            @if is_set(update, "security") { "security" } @else { "other" }
                            @if is_set(update, "esu_only") { br; small { "extended security updates only" } }
                        }
                    } }
                }
            }
        }
    }
}

fn cves(judged: &Value) -> Markup {
    let list = list(judged, "cves");
    let exploited = list.iter().filter(|cve| is_set(cve, "kev")).count();
    html! {
        @if !list.is_empty() {
            h2 { "Open vulnerabilities (" (list.len()) ", known exploited: " (exploited) ")" }
            ul.cves { @for cve in list { li {
                (text(cve, "id"))
                @if let Some(score) = cve.get("cvss").and_then(Value::as_f64) { " " small { (text(cve, "class")) " " (format!("{score:.1}")) } }
                @else if !text(cve, "class").is_empty() { " " small { (text(cve, "class")) } }
                @match cve.get("kev").and_then(Value::as_bool) {
                    Some(true) => { " " span.badge.vulnerable { "KEV: exploited" } }
                    Some(false) => {}
                    None => { " " small { "newer than the list of exploited ones" } }
                }
            } } }
        }
    }
}

fn not_settled(judged: &Value) -> Markup {
    let list = list(judged, "not_settled_by_build");
    html! {
        @if !list.is_empty() {
            h2 { "Needs a step beside the update, which no build shows" }
            ul { @for cve in list { li { (text(cve, "id")) ": " @match text(cve, "step") { "" => "see its advisory", step => (step) } } } }
        }
    }
}

fn facts(view: &ServerView, judged: &Value) -> Markup {
    html! {
        h2 { "Facts" }
        dl.facts {
            dt { "Address" } dd { (view.address) }
            dt { "Rules" } dd { (view.rules()) }
            dt { "Shows" } dd { (view.software()) @if let Some(update) = &view.update { ", " (update) } }
            @if !text(judged, "support").is_empty() { dt { "Support" } dd { (text(judged, "support")) } }
            dt { "First seen" } dd { (minute_of(view.first_seen)) }
            dt { "Last seen" } dd { (minute_of(view.last_seen)) }
            @if let Some(at) = view.released_at { dt { "Last released" } dd { (minute_of(at)) } }
            dt { "Transactions" } dd { (view.transactions) ", deferred " (view.throttled) ", blocked " (view.blocked) ", would have been held " (view.would_hold) }
            dt { "Id" } dd { code { (view.id) } }
        }
        p { a href=(format!("/trace?server={}", view.id)) { "Its messages" } }
    }
}

fn history_tables(events: &[StoredEvent], sightings: &[SightingRow]) -> Markup {
    html! {
        h2 { "History" }
        @if events.is_empty() && sightings.is_empty() { p.empty { "Nothing yet; the first message with a readable header starts it." } }
        @if !events.is_empty() {
            table {
                thead { tr { th scope="col" { "When" } th scope="col" { "What" } th scope="col" { "Detail" } } }
                tbody { @for event in events { tr {
                    td.tight data-label="When" { (minute_of(event.at)) }
                    td data-label="What" { (event.code) }
                    td data-label="Detail" { (event.detail) }
                } } }
            }
        }
        @if !sightings.is_empty() {
            h3 { "What it showed, when it changed" }
            table {
                thead { tr { th scope="col" { "When" } th scope="col" { "Build" } th scope="col" { "Verdict" } th scope="col" { "Why" } } }
                tbody { @for sighting in sightings { tr {
                    td.tight data-label="When" { (minute_of(sighting.at)) }
                    td.tight data-label="Build" { (sighting.build.as_deref().unwrap_or("-")) }
                    td.tight data-label="Verdict" { (sighting.verdict) }
                    td data-label="Why" { (sighting.reason) }
                } } }
            }
        }
    }
}

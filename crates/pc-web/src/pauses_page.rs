//! The page of pauses: each tenant's year, what is granted, and the forms to grant, end and stop.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use pc_enforce::limits::PAUSE_BUDGET_DAYS;
use pc_enforce::{DEFAULT_TENANT, GrantedPause, PauseRequest, Quota, quota, runs};
use pc_types::{Date, Timestamp, time};

use crate::api::{Context, Problem};
use crate::page::{day_of, minute_of, page, problem_page};
use crate::pauses;
use crate::sign_in::{Draft, SignedForm, field, redirect, token_field};

const WIDTH: i64 = 960;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

pub(crate) async fn show(context: Context) -> Response {
    shown(&context, &Draft::default())
}

pub(crate) async fn grant(form: SignedForm) -> Response {
    let request = requested(&form);
    let SignedForm { context, permit, filled } = form;
    let done = match request {
        Ok(request) => pauses::grant_pause(&context, &permit, request).await,
        Err(problem) => Err(problem),
    };
    match done {
        Ok(_) => redirect("/pauses"),
        Err(problem) => shown(&context, &Draft { filled, problem: Some(problem) }),
    }
}

fn requested(form: &SignedForm) -> Result<PauseRequest, Problem> {
    let filled = &form.filled;
    let days = field(filled, "days");
    let days = days.parse().map_err(|_| Problem::bad_request(format!("{days:?} is no number of days.")))?;
    let from = match field(filled, "from") {
        "" => None,
        text => {
            let date: Date = text
                .parse()
                .map_err(|_| Problem::bad_request(format!("{text:?} is no date; write YYYY-MM-DD.")))?;
            // Today means now: the clock is not turned back.
            let now = form.context.admin.clock.now();
            (date != time::date_of(now)).then(|| time::start_of(date))
        }
    };
    Ok(PauseRequest {
        tenant: field(filled, "tenant").to_owned(),
        days,
        from,
        reason: field(filled, "reason").to_owned(),
        owner: form.permit.actor().to_owned(),
    })
}

pub(crate) async fn end(Path(number): Path<String>, form: SignedForm) -> Response {
    match pauses::end_pause(&form.context, &form.permit, &number).await {
        Ok(_) => redirect("/pauses"),
        Err(problem) => problem_page(&form.context, &problem),
    }
}

pub(crate) async fn stop(form: SignedForm) -> Response {
    let SignedForm { context, permit, filled } = form;
    let reason = field(&filled, "stop_reason").to_owned();
    let owner = permit.actor().to_owned();
    match pauses::stop_ladder(&context, &permit, reason, owner).await {
        Ok(_) => redirect("/pauses"),
        Err(problem) => shown(&context, &Draft { filled, problem: Some(problem) }),
    }
}

fn shown(context: &Context, draft: &Draft) -> Response {
    let now = context.admin.clock.now();
    let mut granted = context.admin.pauses.all();
    granted.reverse();
    let year = time::date_of(now).year();
    let tenants = pauses::tenants(context, &granted);
    let content = html! {
        h1 { "Pauses of the ladder" }
        (draft.alert())
        @if let Some(stop) = granted.iter().find(|pause| pause.tenant.is_none() && runs(pause, now)) {
            p.alert { strong { "The ladder is stopped for everybody " } "since " (minute_of(stop.from)) ": " (stop.reason) " (" (stop.owner) ")" }
        }
        p { "While a pause runs, nothing of that tenant is deferred or blocked, and the ladder's clock stands still. The report goes on. A tenant has " (PAUSE_BUDGET_DAYS) " days in a calendar year; whole days that a pause does not use come back when it is ended early." }
        @let (drawn, whole): (Vec<&String>, Vec<&String>) = tenants.iter().partition(|tenant| is_drawn(&granted, tenant, year));
        @for tenant in drawn { (year_of_tenant(&granted, tenant, year, now)) }
        @if !whole.is_empty() { p { "All " (PAUSE_BUDGET_DAYS) " days of " (year) " are left to " (spoken(&whole)) "." } }
        (forms(context, &tenants, draft))
        h2 { "All pauses and stops" }
        (pause_table(context, &granted, now))
    };
    (draft.status(), page(context, "Pauses", content)).into_response()
}

fn year_of_tenant(granted: &[GrantedPause], tenant: &str, year: i16, now: Timestamp) -> Markup {
    let Quota { used_days, left_days, .. } = quota(granted, tenant, year);
    let label = format!(
        "{tenant} in {year}: {used_days} of {PAUSE_BUDGET_DAYS} days used or granted, {left_days} left"
    );
    let own = granted.iter().filter(|pause| pause.tenant.as_deref().is_none_or(|own| own == tenant));
    html! {
        h2 { (tenant_words(tenant)) }
        svg.year viewBox="0 0 960 64" role="img" aria-label=(label) {
            rect.open x="0" y="12" width=(WIDTH) height="26" {}
            @for pause in own {
                @let (from, to) = (x_of(pause.from, year), x_of(pause.until.unwrap_or(Timestamp::MAX), year));
                @if to > from {
                    rect class=(if pause.tenant.is_none() { "block" } else { "throttle" }) x=(from) y="12" width=((to - from).max(2)) height="26" {
                        title { (pause_words(pause)) }
                    }
                }
            }
            @for (month, name) in (1..).zip(MONTHS) {
                @if let Ok(first) = Date::new(year, month, 1) {
                    text.date x=(x_of(time::start_of(first), year)) y="44" dominant-baseline="hanging" { (name) }
                }
            }
            line.today x1=(x_of(now, year)) x2=(x_of(now, year)) y1="4" y2="42" {}
        }
        p { strong { (left_days) " of " (PAUSE_BUDGET_DAYS) " days left" } " in " (year) ", " (used_days) " used or granted." }
    }
}

/// Where there are thousands of tenants, those that used nothing need no drawing.
fn is_drawn(granted: &[GrantedPause], tenant: &str, year: i16) -> bool {
    tenant == DEFAULT_TENANT || quota(granted, tenant, year).used_days > 0
}

fn spoken(tenants: &[&String]) -> String {
    match tenants {
        [first, second, third, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second}, {third} and {} more", rest.len())
        }
        _ => tenants.iter().map(|tenant| tenant.as_str()).collect::<Vec<_>>().join(", "),
    }
}

fn tenant_words(tenant: &str) -> String {
    if tenant == DEFAULT_TENANT { "Servers of no tenant (default)".to_owned() } else { tenant.to_owned() }
}

fn pause_words(pause: &GrantedPause) -> String {
    let until =
        pause.until.map_or_else(|| "until it is ended".to_owned(), |until| format!("to {}", day_of(until)));
    format!("{} {until}: {}", day_of(pause.from), pause.reason)
}

/// Where a moment lies in the drawing of a year.
fn x_of(at: Timestamp, year: i16) -> i64 {
    let first = |year| Date::new(year, 1, 1).map_or(0, |date| time::start_of(date).as_second());
    let (begins, ends) = (first(year), first(year.saturating_add(1)));
    (at.as_second().clamp(begins, ends) - begins) * WIDTH / (ends - begins).max(1)
}

fn forms(context: &Context, tenants: &[String], draft: &Draft) -> Markup {
    let filled = &draft.filled;
    html! {
        h2 { "Grant a pause" }
        @if context.visitor.is_none() { (no_forms()) } @else {
            form method="post" action="/pauses" {
                (token_field(context))
                label { "Tenant" select name="tenant" { @for tenant in tenants { option value=(tenant) selected[field(filled, "tenant") == tenant] { (tenant_words(tenant)) } } } }
                label { "Days" input name="days" type="number" min="1" max=(PAUSE_BUDGET_DAYS) required value=(field(filled, "days")); }
                label { "From (empty: now)" input name="from" type="date" value=(field(filled, "from")); }
                label.wide { "Reason" input name="reason" required maxlength="500" value=(field(filled, "reason")); }
                button { "Grant pause" }
            }
            h2 { "Stop the ladder for everybody" }
            p { "For an emergency: nothing is deferred or blocked until the stop is ended. It costs no tenant's days." }
            form method="post" action="/stop" {
                (token_field(context))
                label.wide { "Reason" input name="stop_reason" required maxlength="500" value=(field(filled, "stop_reason")); }
                button.danger { "Stop the ladder" }
            }
        }
    }
}

/// What stands where a form would.
pub(crate) fn no_forms() -> Markup {
    html! { p { a href="/login" { "Sign in" } " to change this here, or use " code { "portcullis pause" } " and " code { "portcullis servers" } " on this machine." } }
}

fn pause_table(context: &Context, granted: &[GrantedPause], now: Timestamp) -> Markup {
    html! {
        @if granted.is_empty() { p.empty { "None was ever granted." } } @else {
            table {
                thead { tr { th scope="col" { "Whose" } th scope="col" { "From" } th scope="col" { "Until" } th scope="col" { "State" } th scope="col" { "Why" } th scope="col" { "End" } } }
                tbody { @for pause in granted {
                    @let state = pauses::state(pause, now);
                    tr {
                        td data-label="Whose" { (pause.tenant.as_deref().unwrap_or("everybody")) }
                        td.tight data-label="From" { (minute_of(pause.from)) }
                        td.tight data-label="Until" { @if let Some(until) = pause.until { (minute_of(until)) } @else { "it is ended" } }
                        td data-label="State" { span class=(format!("badge {state}")) { (state) } }
                        td data-label="Why" { (pause.reason) br; small { (pause.owner) } }
                        td data-label="End" {
                            @if state == "ended" { "-" } @else if context.visitor.is_some() {
                                form.inline method="post" action=(format!("/pauses/{}/end", pause.number)) {
                                    (token_field(context))
                                    button aria-label=(format!("End pause {}", pause.number)) { "End" }
                                }
                            } @else { code { "pause end " (pause.number) } }
                        }
                    }
                } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_is_drawn_from_its_first_to_its_last_moment() {
        let at = |text: &str| text.parse().unwrap();
        assert_eq!(x_of(at("2025-12-24T00:00:00Z"), 2026), 0);
        assert_eq!(x_of(at("2026-07-02T12:00:00Z"), 2026), WIDTH / 2);
        assert_eq!(x_of(Timestamp::MAX, 2026), WIDTH);
    }
}

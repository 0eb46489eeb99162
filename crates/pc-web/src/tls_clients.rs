//! Clients that the TLS standard refused, or would have refused: searched, with a guess what they are, and summed up by site.

use std::collections::BTreeMap;

use axum::Json;
use axum::response::Response;
use maud::{Markup, html};
use pc_config::Network;
use pc_hello::page::FITS;
use pc_hello::product::{Product, guess};
use pc_hello::verdict;
use pc_store::{TlsClientQuery, TlsClientRow, TlsSummaryRow};
use pc_types::time;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::{Context, Fields, Problem};
use crate::limits::{SUMMARY_DAYS, SUMMARY_DAYS_MAX, TLS_CLIENTS_SEARCHED, TRACE_ROWS};
use crate::page::{minute_of, page, problem_page};
use crate::trace::{given, moment};

#[derive(Default, Deserialize)]
pub(crate) struct ClientsInput {
    ip: Option<String>,
    refusal: Option<String>,
    version: Option<String>,
    name: Option<String>,
    ja4: Option<String>,
    suite: Option<String>,
    product: Option<String>,
    since: Option<String>,
    until: Option<String>,
    fitting: Option<String>,
    limit: Option<u32>,
}

/// Rows that fit, and whether there may be more.
struct Found {
    rows: Vec<(TlsClientRow, Option<Product>)>,
    is_cut: bool,
}

/// What the database does not filter by.
struct Finer {
    network: Option<Network>,
    suite: Option<String>,
    product: Option<String>,
}

impl Finer {
    fn fits(&self, row: &TlsClientRow, product: Option<Product>) -> bool {
        let by_network = self.network.is_none_or(|network| network.contains(row.address));
        let by_suite = self.suite.as_ref().is_none_or(|suite| row.suites.split(',').any(|one| one == suite));
        let by_product = self.product.as_ref().is_none_or(|wanted| {
            product.is_some_and(|product| {
                product.code == wanted || product.name.to_lowercase().contains(wanted.as_str())
            })
        });
        by_network && by_suite && by_product
    }
}

impl ClientsInput {
    fn query(&self) -> Result<(TlsClientQuery, Finer), Problem> {
        let network = given(&self.ip).map(|text| {
            Network::parse(text).ok_or_else(|| {
                Problem::bad_request(format!("{text:?} is no address and no network, such as 192.0.2.0/24."))
            })
        });
        let suite = given(&self.suite).map(|text| {
            let digits = text.trim_start_matches("0x").to_ascii_lowercase();
            let is_code = digits.len() == 4 && digits.bytes().all(|octet| octet.is_ascii_hexdigit());
            is_code.then_some(digits).ok_or_else(|| {
                Problem::bad_request(format!("{text:?} is no code of a suite, such as c013 or 0xc013."))
            })
        });
        let finer = Finer {
            network: network.transpose()?,
            suite: suite.transpose()?,
            product: given(&self.product).map(str::to_lowercase),
        };
        let query = TlsClientQuery {
            refusal: given(&self.refusal).map(str::to_owned),
            version: given(&self.version).map(str::to_owned),
            server_name: given(&self.name).map(str::to_ascii_lowercase),
            ja4: given(&self.ja4).map(str::to_owned),
            since: given(&self.since).map(|text| moment(text, 0)).transpose()?,
            // A day that is named is part of what is asked for.
            until: given(&self.until).map(|text| moment(text, 1)).transpose()?,
            with_fitting: given(&self.fitting).is_some_and(|word| word == "yes"),
            rows_max: TLS_CLIENTS_SEARCHED,
            ..TlsClientQuery::default()
        };
        Ok((query, finer))
    }
}

async fn search(context: &Context, input: &ClientsInput) -> Result<Found, Problem> {
    let (query, finer) = input.query()?;
    let rows_max = usize::try_from(input.limit.unwrap_or(TRACE_ROWS).min(TRACE_ROWS)).unwrap_or(usize::MAX);
    context.admin.writer.flush().await;
    let rows = context.admin.store.tls_clients(&query).await?;
    let is_searched_out = rows.len() < usize::try_from(TLS_CLIENTS_SEARCHED).unwrap_or(usize::MAX);
    let guessed = rows.into_iter().map(|row| {
        let product = row.offer.as_ref().and_then(guess);
        (row, product)
    });
    let mut rows: Vec<_> = guessed.filter(|(row, product)| finer.fits(row, *product)).collect();
    let is_cut = !is_searched_out || rows.len() > rows_max;
    rows.truncate(rows_max);
    Ok(Found { rows, is_cut })
}

/// A list, so that it is searched by the simplest of tools; what is cut is the oldest.
pub(crate) async fn list_api(
    context: Context,
    Fields(input): Fields<ClientsInput>,
) -> Result<Json<Value>, Problem> {
    let found = search(&context, &input).await?;
    let rows: Vec<Value> = found
        .rows
        .iter()
        .map(|(row, product)| {
            let mut value = json!(row);
            if let Some(object) = value.as_object_mut() {
                object.insert("guess".to_owned(), json!(product));
                let refusal = (row.refusal != FITS).then_some(row.refusal.as_str());
                object.insert("verdict".to_owned(), json!(verdict(row.offer.as_ref(), refusal)));
            }
            value
        })
        .collect();
    Ok(Json(Value::Array(rows)))
}

#[derive(Default, Deserialize)]
pub(crate) struct SummaryInput {
    days: Option<u16>,
}

/// Refused clients of one site in some days.
#[derive(Debug, Default, Serialize)]
pub(crate) struct SiteSummary {
    /// `None`: the name asked for belongs to no site of the web edge, or none was asked for.
    site: Option<String>,
    /// Connections.
    attempts: u64,
    /// Addresses, counted anew for each fingerprint and name.
    clients: u64,
    /// Connections by the word of the refusal.
    refusals: BTreeMap<String, u64>,
    /// Connections by what the client may be; `unknown` where nothing fits.
    products: BTreeMap<&'static str, u64>,
    /// Connections by name asked for; empty for none. At most [`NAMES_LISTED`], the most frequent.
    names: BTreeMap<String, u64>,
}

/// Names that strangers ask for without end are not listed without end.
const NAMES_LISTED: usize = 20;

async fn summary(context: &Context, days: u16) -> Result<Vec<SiteSummary>, Problem> {
    context.admin.writer.flush().await;
    let now = context.admin.clock.now();
    let since = time::date_of(time::add_days(now, 1 - i64::from(days)));
    let rows = context.admin.store.tls_summary(since, time::date_of(now)).await?;
    Ok(summed_up(&rows, &site_names(&(context.admin.sites)())))
}

/// The site of each served name.
fn site_names(sites: &Value) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for site in sites.as_array().into_iter().flatten() {
        let Some(name) = site.get("site").and_then(Value::as_str) else { continue };
        let served = site.get("names").and_then(Value::as_array);
        for served in served.into_iter().flatten().filter_map(Value::as_str) {
            names.insert(served.to_owned(), name.to_owned());
        }
    }
    names
}

/// Rows come with the most frequent first.
fn summed_up(rows: &[TlsSummaryRow], sites: &BTreeMap<String, String>) -> Vec<SiteSummary> {
    let mut summaries: BTreeMap<Option<String>, SiteSummary> = BTreeMap::new();
    for row in rows {
        let site = row.server_name.as_ref().and_then(|name| sites.get(name)).cloned();
        let summary = summaries.entry(site.clone()).or_default();
        summary.site = site;
        summary.attempts += row.attempts;
        summary.clients += row.clients;
        *summary.refusals.entry(row.refusal.clone()).or_default() += row.attempts;
        let product = row.offer.as_ref().and_then(guess).map_or("unknown", |product| product.name);
        *summary.products.entry(product).or_default() += row.attempts;
        let name = row.server_name.clone().unwrap_or_default();
        if summary.names.len() < NAMES_LISTED || summary.names.contains_key(&name) {
            *summary.names.entry(name).or_default() += row.attempts;
        }
    }
    let mut summaries: Vec<SiteSummary> = summaries.into_values().collect();
    summaries.sort_by_key(|summary| std::cmp::Reverse(summary.attempts));
    summaries
}

pub(crate) async fn summary_api(
    context: Context,
    Fields(input): Fields<SummaryInput>,
) -> Result<Json<Value>, Problem> {
    let days = input.days.unwrap_or(SUMMARY_DAYS);
    if !(1..=SUMMARY_DAYS_MAX).contains(&days) {
        return Err(Problem::bad_request(format!("days is a number from 1 to {SUMMARY_DAYS_MAX}.")));
    }
    let sites = summary(&context, days).await?;
    Ok(Json(json!({ "days": days, "sites": sites })))
}

pub(crate) async fn show(
    context: Context,
    input: Result<Fields<ClientsInput>, Problem>,
) -> Result<Response, Response> {
    let Fields(input) = input.map_err(|problem| problem_page(&context, &problem))?;
    let found = search(&context, &input).await.map_err(|problem| problem_page(&context, &problem))?;
    let week = summary(&context, SUMMARY_DAYS).await.map_err(|problem| problem_page(&context, &problem))?;
    Ok(page(
        &context,
        "TLS",
        html! {
            h1 { "Clients that TLS refused" }
            p { "TLS 1.2 and 1.3 with AES-GCM and forward secrecy, nothing else. Who cannot do that shows here, and so do those that would be refused and came to a test port only. Products are guesses, by the order of what is offered." }
            @for remark in (context.admin.remarks)() { p { strong { "To be looked at: " } (remark) } }
            (listeners(&(context.admin.listeners)()))
            (week_of(&week))
            h2 { "Clients" }
            (form(&input))
            (results(&found))
        },
    ))
}

/// What the node saw of its own listeners.
fn listeners(reports: &Value) -> Markup {
    let reports: Vec<&Value> = reports.as_array().into_iter().flatten().collect();
    let text = |report: &Value, field: &str| report[field].as_str().unwrap_or_default().to_owned();
    let list = |report: &Value, field: &str| -> Vec<String> {
        let items = report[field].as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    html! {
        @if !reports.is_empty() {
            h2 { "Our own listeners" }
            p { "Each was looked at over a connection as clients make it, against the practices and grades of SSL Labs." }
            table { thead { tr { th scope="col" { "Listener" } th scope="col" { "Grade" } th scope="col" { "To be looked at" } } } tbody {
                @for report in reports { tr {
                    td data-label="Listener" { (text(report, "listener")) br; small { (text(report, "address")) " as " (text(report, "server_name")) } }
                    td.tight data-label="Grade" { @match report["grade"].as_str() { Some(grade) => { (grade) br; small { (text(report, "arithmetic")) } } None => { "not known" } } }
                    td data-label="To be looked at" {
                        @if let Some(error) = report["error"].as_str() { "could not be checked: " (error) }
                        @for item in list(report, "failed") { (item) br; }
                        @for item in list(report, "not_tested") { "not tested: " (item) br; }
                    }
                } }
            } }
        }
    }
}

fn week_of(week: &[SiteSummary]) -> Markup {
    html! {
        @if !week.is_empty() {
            h2 { "The last seven days" }
            table { thead { tr { th scope="col" { "Site" } th scope="col" { "Connections" } th scope="col" { "Why" } th scope="col" { "May be" } } } tbody {
                @for summary in week { tr {
                    td data-label="Site" { @match &summary.site { Some(site) => { (site) } None => { "mail and other names" } } br; small { (names(summary)) } }
                    td.tight data-label="Connections" { (summary.attempts) br; small { (summary.clients) " clients" } }
                    td data-label="Why" { @for (refusal, count) in &summary.refusals { span { (count) " " (refusal.replace('_', " ")) } br; } }
                    td data-label="May be" { @for (product, count) in &summary.products { span { (count) " " (product) } br; } }
                } }
            } }
        }
    }
}

fn names(summary: &SiteSummary) -> String {
    let names = summary.names.keys().map(|name| if name.is_empty() { "no name" } else { name.as_str() });
    names.collect::<Vec<_>>().join(", ")
}

fn form(input: &ClientsInput) -> Markup {
    let field = |name: &str, label: &str, hint: &str, value: &Option<String>| {
        html! { label { (label) input name=(name) value=(value.as_deref().unwrap_or_default()) placeholder=(hint); } }
    };
    let is_fitting = given(&input.fitting) == Some("yes");
    html! {
        form method="get" action="/tls" role="search" {
            (field("ip", "Address or network", "192.0.2.0/24", &input.ip))
            (field("name", "Name asked for", "mail.example.org", &input.name))
            (field("version", "Offers at most", "TLSv1.0", &input.version))
            (field("refusal", "Why", "old_version", &input.refusal))
            (field("product", "May be", "Windows 7", &input.product))
            (field("suite", "Offers the suite", "c013", &input.suite))
            (field("ja4", "JA4", "", &input.ja4))
            (field("since", "Since", "2026-11-23", &input.since))
            (field("until", "Until", "2026-11-23", &input.until))
            label { "Those that fit" select name="fitting" {
                option value="" selected[!is_fitting] { "left out" }
                option value="yes" selected[is_fitting] { "as well" }
            } }
            button { "Search" }
        }
    }
}

fn results(found: &Found) -> Markup {
    html! {
        @if found.rows.is_empty() {
            p.empty { "No client fits, or none was refused so far. To see what one would meet: " code { "portcullis tls standard" } "." }
        } @else {
            table { thead { tr { th scope="col" { "Last seen" } th scope="col" { "Address" } th scope="col" { "Why" } th scope="col" { "Offers at most" } th scope="col" { "May be" } th scope="col" { "Name asked for" } th scope="col" { "Times" } } } tbody {
                @for (client, product) in &found.rows { tr {
                    td.tight data-label="Last seen" { (minute_of(client.last_seen)) br; small { "first " (minute_of(client.first_seen)) } }
                    td data-label="Address" { (client.address) br; small { (client.listener) } }
                    td data-label="Why" { (client.refusal.replace('_', " ")) }
                    td data-label="Offers" { (client.version) br; small { (client.ja4) } (suites(client)) }
                    td data-label="May be" { @match product { Some(product) => { (product.name) br; small { "a guess; " (product.source) } } None => { "-" } } }
                    td data-label="Name" { (client.server_name.as_deref().unwrap_or("-")) }
                    td.tight data-label="Times" { (client.count) }
                } }
            } }
            @if found.is_cut { p.empty { "There may be more; narrow the search." } }
        }
    }
}

fn suites(client: &TlsClientRow) -> Markup {
    html! {
        @if let Some(offer) = &client.offer {
            details { summary { (offer.suites.len()) " suites" } @for suite in &offer.suites { small { (pc_hello::names::suite(*suite)) } br; } }
        }
    }
}

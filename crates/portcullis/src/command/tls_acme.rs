//! `tls acme`: what is kept of certificates by ACME. Read from the data folder, whether or not a node runs.

use pc_acme::Status;
use pc_config::Acme;
use pc_net::Clock;
use pc_renewal::{Service, Step, next, renews_at};
use pc_types::Timestamp;

use super::Context;
use crate::acme;
use crate::exit::{BAD, Failure};
use crate::output::{print, print_json};

pub fn run(context: &Context) -> Result<u8, Failure> {
    let config = context.load()?;
    let Some(settings) = &config.tls.acme else {
        return Err(Failure::configuration(
            "no certificates are obtained by ACME: there is no [tls.acme] in the configuration; `portcullis config default` shows one",
        ));
    };
    let now = Clock::System.now();
    let status = acme::folder(&config).status(&acme::settings(settings), now);
    if context.json {
        print_json(&json(settings, &status, now));
    } else {
        print(&text(settings, &status, now));
    }
    Ok(if status.held.is_none() || status.attempts.failures > 0 { BAD } else { 0 })
}

/// When something is asked for next.
fn next_ask(settings: &Acme, status: &Status, now: Timestamp) -> Timestamp {
    // Whether it is in service only the running node knows.
    let held = status.held.as_ref().map(|held| (held, Service::In));
    match next(&acme::settings(settings).asked, held, &status.attempts, now) {
        Step::Issue(_) | Step::Serve => now,
        Step::Wait(until) => until,
    }
}

fn json(settings: &Acme, status: &Status, now: Timestamp) -> serde_json::Value {
    let held = status.held.as_ref().map(|held| {
        serde_json::json!({
            "names": held.names,
            "not_before": held.not_before,
            "not_after": held.not_after,
            "renews_at": renews_at(&acme::settings(settings).asked, held),
        })
    });
    serde_json::json!({
        "directory": settings.directory.to_string(),
        "names": settings.names.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "challenge": settings.challenge.as_str(),
        "account": status.has_account,
        "certificate": held,
        "fault": status.fault,
        "failures": status.attempts.failures,
        "last_failure": status.attempts.last_failure,
        "next": next_ask(settings, status, now),
    })
}

/// What serves in place of a certificate by ACME.
const OTHERS: &str = "files of [tls] certificates serve their names, and a self-made one the rest";

fn text(settings: &Acme, status: &Status, now: Timestamp) -> String {
    let names: Vec<String> = settings.names.iter().map(ToString::to_string).collect();
    let account =
        if status.has_account { "in the data folder" } else { "none yet; one is made at the first order" };
    let certificate = match (&status.held, &status.fault) {
        (Some(held), _) => format!("for {}, until {:.0}", held.names.join(", "), held.not_after),
        (None, Some(fault)) => format!("not used: {fault}; {OTHERS}"),
        (None, None) => format!("none yet; {OTHERS}"),
    };
    let next = next_ask(settings, status, now);
    let next = if next <= now {
        "at once, by portcullis serve where it runs".to_owned()
    } else {
        format!("{next:.0}")
    };
    let failure = match &status.attempts.last_failure {
        None => String::new(),
        Some(last) => {
            let count = match status.attempts.failures {
                1 => "1 time".to_owned(),
                count => format!("{count} times in a row"),
            };
            format!(
                "failed       {count}, last at {:.0} ({}):\n             {}\n             To ask before that: remove acme/attempts.json in \
                 the data folder, and restart.\n",
                last.at, last.code, last.text
            )
        }
    };
    format!(
        "authority    {}\nnames        {}\nchallenge    {}\naccount      {account}\ncertificate  {certificate}\nnext order   {next}\n{failure}",
        settings.directory,
        names.join(", "),
        settings.challenge.as_str(),
    )
}

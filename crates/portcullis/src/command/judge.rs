use std::fs;
use std::io::Read;

use pc_enforce::{Entitlement, Floor, Judged, Standing};
use pc_exchange::{Form, Judgement, Verdict};
use pc_smtp::header;
use pc_types::{Build, Date, Domain, time};

use super::{Context, catalogue, floors, moment};
use crate::cli::Judge;
use crate::exit::{BAD, Failure};
use crate::output::{print, print_json};

/// A message is read up to here; the header stands at its beginning.
const MESSAGE_OCTETS_MAX: u64 = 4 * 1024 * 1024;

pub fn run(context: &Context, arguments: &Judge) -> Result<u8, Failure> {
    let mut config = context.load()?;
    let catalogue = catalogue(&config)?;
    if let Some(days) = arguments.grace_days {
        config.enforcement.grace_days = days;
    }
    let floor = floor(&config, arguments.floor.as_deref())?;
    let date = time::date_of(moment(arguments.now.as_deref())?);
    let judgement = match arguments.subject.parse::<Build>() {
        Ok(build) => catalogue.judge_build(build, Form::Exact, date),
        Err(_) => {
            let message = read(&arguments.subject)?;
            let received: Vec<String> = header::fields(&message)
                .take(pc_smtp::limits::HEADER_FIELDS_MAX)
                .filter(|field| field.is("Received"))
                .map(|field| field.unfolded())
                .collect();
            let received: Vec<&str> = received.iter().map(String::as_str).collect();
            let own = own_names(&arguments.received_by)?;
            catalogue.judge(&pc_exchange::evidence_of_message(&received, &own), date)
        }
    };
    let judged = floor.judge(&judgement, Entitlement { esu: arguments.esu }, date);
    if context.json {
        print_json(&json(&judgement, &judged, &floor, date)?);
    } else {
        print(&judgement.text());
        print(&text(&judged, &floor, date));
    }
    // Asked about a floor, the answer is about the floor.
    let is_good = match (&arguments.floor, judgement.verdict) {
        (Some(_), _) => matches!(judged.standing, Standing::Met | Standing::NotExchange),
        (None, Verdict::Current | Verdict::NotExchange) => true,
        (None, Verdict::Behind | Verdict::Vulnerable | Verdict::Unsupported | Verdict::Unknown) => false,
    };
    Ok(if is_good { 0 } else { BAD })
}

fn floor(config: &pc_config::Config, name: Option<&str>) -> Result<Floor, Failure> {
    let name = name.unwrap_or(&config.enforcement.floor);
    config.floor(name).ok_or_else(|| {
        let names: Vec<String> = config.all_floors().iter().map(|floor| floor.name().to_owned()).collect();
        Failure::usage(format!("there is no floor {name:?}; there are {}", names.join(", ")))
    })
}

fn json(
    judgement: &Judgement,
    judged: &Judged,
    floor: &Floor,
    date: Date,
) -> Result<serde_json::Value, Failure> {
    let mut value = serde_json::to_value(judgement)
        .map_err(|error| Failure::internal(format!("the judgement cannot be written: {error}")))?;
    let (owed, install) = match &judged.standing {
        Standing::Met | Standing::NotExchange => (None, None),
        Standing::Owing { text, install, .. } => (Some(text), Some(install)),
        Standing::Unknown { text, .. } => (Some(text), None),
    };
    let mut shown = match floor.in_force(date) {
        Some(version) => floors::version_json(floor, version),
        None => serde_json::json!({ "floor": floor.name(), "version": null }),
    };
    if let Some(object) = shown.as_object_mut() {
        object.insert("standing".to_owned(), judged.standing.as_str().into());
        object.insert("install".to_owned(), serde_json::json!(install));
    }
    if let Some(object) = value.as_object_mut() {
        object.insert("owed".to_owned(), serde_json::json!(owed));
        object.insert("floor".to_owned(), shown);
    }
    Ok(value)
}

fn text(judged: &Judged, floor: &Floor, date: Date) -> String {
    let line = floors::line(floor, date);
    let outcome = match &judged.standing {
        Standing::Met => "met".to_owned(),
        Standing::NotExchange => "does not apply".to_owned(),
        Standing::Owing { text, install, .. } => {
            format!("the ladder would count this as owing: {text}. Install: {install}")
        }
        Standing::Unknown { text, .. } => format!("not known to be met: {text}"),
    };
    format!("{line}\n{outcome}")
}

/// A subject that looks like a build but is none gets told so, not "file not found".
fn read(subject: &str) -> Result<Vec<u8>, Failure> {
    let mut message = Vec::new();
    let fault = |error: std::io::Error| {
        let is_numbers = subject.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
        if is_numbers {
            return Failure::usage(format!(
                "{subject:?} is no build; a build has four numbers, such as 15.1.2507.39"
            ));
        }
        Failure::usage(format!("{subject} cannot be read: {error}"))
    };
    if subject == "-" {
        std::io::stdin().lock().take(MESSAGE_OCTETS_MAX).read_to_end(&mut message).map_err(fault)?;
    } else {
        fs::File::open(subject)
            .and_then(|file| file.take(MESSAGE_OCTETS_MAX).read_to_end(&mut message))
            .map_err(fault)?;
    }
    // Saved messages often have LF only; the header reader takes both, folding is by what follows.
    Ok(with_crlf(&message))
}

fn with_crlf(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 32);
    let mut before = 0;
    for &octet in message {
        if octet == b'\n' && before != b'\r' {
            out.push(b'\r');
        }
        out.push(octet);
        before = octet;
    }
    out
}

fn own_names(names: &[String]) -> Result<Vec<Domain>, Failure> {
    names
        .iter()
        .map(|name| name.parse().map_err(|error| Failure::usage(format!("--received-by {name}: {error}"))))
        .collect()
}

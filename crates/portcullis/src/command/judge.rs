use std::fs;
use std::io::Read;

use pc_exchange::{Form, Judgement, Owed, Verdict};
use pc_smtp::header;
use pc_types::{Build, Domain, time};

use super::{Context, catalogue, moment};
use crate::cli::{Floor, Judge};
use crate::exit::{BAD, Failure};
use crate::output::{print, print_json};

/// A message is read up to here; the header stands at its beginning.
const MESSAGE_OCTETS_MAX: u64 = 4 * 1024 * 1024;

pub fn run(context: &Context, arguments: &Judge) -> Result<u8, Failure> {
    let catalogue = catalogue(&context.load()?)?;
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
    let Floor::Current = arguments.floor;
    let owed = owed(&judgement, arguments.grace_days, date);
    if context.json {
        let mut value = serde_json::to_value(&judgement)
            .map_err(|error| Failure::internal(format!("the judgement cannot be written: {error}")))?;
        if let Some(object) = value.as_object_mut() {
            object.insert("owed".to_owned(), owed.map_or(serde_json::Value::Null, Into::into));
        }
        print_json(&value);
    } else {
        print(&judgement.text());
        if let Some(owed) = owed {
            print(&format!("The ladder would count this as owing: {owed}"));
        }
    }
    Ok(match judgement.verdict {
        Verdict::Current | Verdict::NotExchange => 0,
        Verdict::Behind | Verdict::Vulnerable | Verdict::Unsupported | Verdict::Unknown => BAD,
    })
}

fn owed(judgement: &Judgement, grace_days: u32, date: pc_types::Date) -> Option<String> {
    match judgement.assessment.as_ref()?.owed(grace_days, date) {
        Owed::Nothing => None,
        Owed::Unknown(reason) => Some(reason.text),
        Owed::Update { reason, .. } => Some(reason.text),
    }
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

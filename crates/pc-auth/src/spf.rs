//! # Purpose
//! Says whether a domain lets an address send in its name.
//!
//! # Trust
//! The record is the sender's to write, and so are those it includes: how much it makes us ask is
//! bounded by RFC 7208 4.6.4, how much it makes us compute by `limits`.
//!
//! # Standards
//! RFC 7208. The extensions of macros for explanations (`c`, `r`, `t`) are errors outside `exp`
//! (7.2), and `exp` itself is read and not used.
//!
//! # Invariants
//! [`evaluate`] is a function of the question and of the answers known so far. It is called again
//! with each further answer, so that nothing here waits; an answer, once given, stays.

mod expand;
mod record;

use std::collections::BTreeMap;
use std::net::IpAddr;

use pc_types::dns::{Answer, Kind, Query, Records};

use crate::limits::{
    SPF_LOOKUP_TERMS_MAX, SPF_MX_HOSTS_MAX, SPF_PTR_NAMES_MAX, SPF_RECORD_OCTETS_MAX, SPF_VOID_LOOKUPS_MAX,
};
use record::{Mechanism, Qualifier, Record};

/// RFC 7208 2.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the words of the RFC")]
pub enum Verdict {
    Fail,
    Neutral,
    None,
    Pass,
    PermError,
    SoftFail,
    TempError,
}

impl Verdict {
    /// RFC 8601 2.7.2.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Neutral => "neutral",
            Self::None => "none",
            Self::Pass => "pass",
            Self::PermError => "permerror",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
        }
    }
}

/// What SPF says, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The result.
    pub verdict: Verdict,
    /// The term that decided, or what went wrong.
    pub reason: String,
}

/// Which part of the envelope was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The name of EHLO; asked about where MAIL has no sender (RFC 7208 2.4).
    Helo,
    /// The domain of MAIL.
    MailFrom,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The client.
    pub address: IpAddr,
    /// Which identity `domain` is.
    pub identity: Identity,
    /// The domain whose record speaks.
    pub domain: String,
    /// The local part of the sender; RFC 7208 4.3: `postmaster` where there is none.
    pub local_part: String,
    /// As the client greeted.
    pub helo: String,
}

/// The answers known so far.
pub type Answers = BTreeMap<Query, Answer>;

/// How far the evaluation came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is done.
    Done(Outcome),
    /// This must be asked before it can go on.
    Ask(Query),
}

/// As much of an answer as the evaluation looks at. A name may have 64 KiB of TXT records, and a sender can make us ask
/// for eleven names and take his time with each: of every one, two records decide (RFC 7208 4.5 allows one), and what is
/// longer than a record may be is an error however long it is.
pub fn relevant(answer: Answer) -> Answer {
    let Answer::Found(Records::Txt(texts)) = answer else { return answer };
    let records = texts.into_iter().filter(|text| record::is_record(text)).take(2);
    let cut =
        records.map(|text| text.get(..=SPF_RECORD_OCTETS_MAX).map_or_else(|| text.clone(), <[u8]>::to_vec));
    Answer::Found(Records::Txt(cut.collect()))
}

/// RFC 7208 4: check_host().
pub fn evaluate(question: &Question, answers: &Answers) -> Step {
    let mut evaluation = Evaluation { question, answers, terms: 0, voids: 0 };
    match evaluation.check_host(&question.domain) {
        Ok(outcome) => Step::Done(outcome),
        Err(Stop::Ask(query)) => Step::Ask(query),
        Err(Stop::Failed(verdict, reason)) => Step::Done(Outcome { verdict, reason }),
    }
}

/// Why an evaluation does not go on.
enum Stop {
    Ask(Query),
    Failed(Verdict, String),
}

fn permanent<T>(reason: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Failed(Verdict::PermError, reason.into()))
}

struct Evaluation<'a> {
    question: &'a Question,
    answers: &'a Answers,
    terms: u32,
    voids: u32,
}

impl Evaluation<'_> {
    fn check_host(&mut self, domain: &str) -> Result<Outcome, Stop> {
        let none = |reason: String| Ok(Outcome { verdict: Verdict::None, reason });
        // RFC 7208 4.3: a name without a dot, or one that is none, has no policy.
        let Some(query) = Query::new(domain, Kind::Txt).filter(|query| query.name().contains('.')) else {
            return none(format!("{domain} is no domain name"));
        };
        let record = match self.answers.get(&query) {
            None => return Err(Stop::Ask(query)),
            Some(Answer::Temporary(why)) => return Err(temporary(&query, why)),
            Some(Answer::Found(Records::Txt(texts))) => match record::select(texts) {
                Ok(Some(record)) => record,
                Ok(None) => return none(format!("{domain} publishes no SPF record")),
                Err(fault) => return permanent(format!("{domain}: {fault}")),
            },
            Some(_) => return none(format!("{domain} publishes no SPF record")),
        };
        self.run(domain, &record)
    }

    fn run(&mut self, domain: &str, record: &Record) -> Result<Outcome, Stop> {
        for directive in &record.directives {
            if self.matches(domain, &directive.mechanism)? {
                let verdict = match directive.qualifier {
                    Qualifier::Fail => Verdict::Fail,
                    Qualifier::Neutral => Verdict::Neutral,
                    Qualifier::Pass => Verdict::Pass,
                    Qualifier::SoftFail => Verdict::SoftFail,
                };
                let reason = format!("{} of {domain}", directive.text);
                return Ok(Outcome { verdict, reason });
            }
        }
        let Some(redirect) = &record.redirect else {
            // RFC 7208 4.7.
            return Ok(Outcome { verdict: Verdict::Neutral, reason: format!("no term of {domain} matches") });
        };
        self.count_term()?;
        let target = expand::expand(redirect, self.question, domain);
        let outcome = self.check_host(&target)?;
        // RFC 7208 6.1: a redirection to nothing is an error.
        if outcome.verdict == Verdict::None {
            return permanent(format!("{domain} redirects to {target}: {}", outcome.reason));
        }
        Ok(outcome)
    }

    fn count_term(&mut self) -> Result<(), Stop> {
        self.terms += 1;
        if self.terms > SPF_LOOKUP_TERMS_MAX {
            return permanent(format!("more than {SPF_LOOKUP_TERMS_MAX} terms ask the DNS"));
        }
        Ok(())
    }

    /// Asks and counts what finds nothing. A name that is none finds nothing (RFC 7208 4.8).
    fn records(&mut self, name: &str, kind: Kind) -> Result<Option<Records>, Stop> {
        let Some(query) = Query::new(name, kind) else { return Ok(None) };
        match self.answers.get(&query) {
            None => Err(Stop::Ask(query)),
            Some(Answer::Temporary(why)) => Err(temporary(&query, why)),
            Some(Answer::Found(records)) => Ok(Some(records.clone())),
            Some(Answer::NotFound) => {
                self.voids += 1;
                if self.voids > SPF_VOID_LOOKUPS_MAX {
                    return permanent(format!("more than {SPF_VOID_LOOKUPS_MAX} names of it do not exist"));
                }
                Ok(None)
            }
        }
    }

    fn matches(&mut self, domain: &str, mechanism: &Mechanism) -> Result<bool, Stop> {
        if mechanism.asks() {
            self.count_term()?;
        }
        let named = |target: &Option<record::DomainSpec>| match target {
            None => domain.to_owned(),
            Some(spec) => expand::expand(spec, self.question, domain),
        };
        match mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Address { address, prefix } => Ok(is_within(self.question.address, *address, *prefix)),
            Mechanism::Include(spec) => {
                let target = expand::expand(spec, self.question, domain);
                self.includes(domain, &target)
            }
            Mechanism::A(spec, prefixes) => {
                let target = named(spec);
                self.has_address(&target, *prefixes)
            }
            Mechanism::Mx(spec, prefixes) => {
                let target = named(spec);
                let Some(Records::Mx(hosts)) = self.records(&target, Kind::Mx)? else { return Ok(false) };
                if hosts.len() > SPF_MX_HOSTS_MAX {
                    return permanent(format!("{target} has more than {SPF_MX_HOSTS_MAX} exchanges"));
                }
                for host in &hosts {
                    if self.has_address(host, *prefixes)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Mechanism::Ptr(spec) => {
                let target = named(spec);
                self.is_named(&target)
            }
            Mechanism::Exists(spec) => {
                let target = expand::expand(spec, self.question, domain);
                // RFC 7208 5.7: always an A record, whatever the client's family.
                Ok(self.records(&target, Kind::A)?.is_some())
            }
        }
    }

    /// RFC 7208 5.2.
    fn includes(&mut self, domain: &str, target: &str) -> Result<bool, Stop> {
        let outcome = self.check_host(target)?;
        match outcome.verdict {
            Verdict::Pass => Ok(true),
            Verdict::None => permanent(format!("{domain} includes {target}: {}", outcome.reason)),
            _ => Ok(false),
        }
    }

    fn has_address(&mut self, name: &str, prefixes: record::Prefixes) -> Result<bool, Stop> {
        let client = self.question.address;
        let kind = if client.is_ipv4() { Kind::A } else { Kind::Aaaa };
        Ok(match self.records(name, kind)? {
            Some(Records::A(addresses)) => {
                addresses.iter().any(|address| is_within(client, (*address).into(), prefixes.v4))
            }
            Some(Records::Aaaa(addresses)) => {
                addresses.iter().any(|address| is_within(client, (*address).into(), prefixes.v6))
            }
            _ => false,
        })
    }

    /// RFC 7208 5.5: a name of the client under `target` that leads back to the client. A failure of
    /// the DNS is no match and no error.
    fn is_named(&mut self, target: &str) -> Result<bool, Stop> {
        let names = match self.records(&reverse_name(self.question.address), Kind::Ptr) {
            Ok(Some(Records::Ptr(names))) => names,
            Err(Stop::Failed(Verdict::TempError, _)) => return Ok(false),
            Err(stop) => return Err(stop),
            Ok(_) => return Ok(false),
        };
        let exact = record::Prefixes { v4: 32, v6: 128 };
        let target = target.trim_end_matches('.').to_ascii_lowercase();
        for name in names.iter().take(SPF_PTR_NAMES_MAX) {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let is_under =
                name.strip_suffix(&target).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            if !is_under {
                continue;
            }
            match self.has_address(&name, exact) {
                Ok(true) => return Ok(true),
                Ok(false) | Err(Stop::Failed(Verdict::TempError, _)) => {}
                Err(stop) => return Err(stop),
            }
        }
        Ok(false)
    }
}

fn temporary(query: &Query, why: &str) -> Stop {
    Stop::Failed(Verdict::TempError, format!("{}: {why}", query.name()))
}

/// The name under which an address is looked up: RFC 1035 3.5, RFC 3596 2.5.
pub fn reverse_name(address: IpAddr) -> String {
    let zone = if address.is_ipv4() { "in-addr.arpa" } else { "ip6.arpa" };
    format!("{}.{zone}", crate::dns_list::reversed(address))
}

fn is_within(client: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let (client, network, width) = match (client, network) {
        (IpAddr::V4(client), IpAddr::V4(network)) => {
            (u128::from(client.to_bits()), u128::from(network.to_bits()), 32)
        }
        (IpAddr::V6(client), IpAddr::V6(network)) => (client.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    let host_bits = u32::from(u8::saturating_sub(width, prefix));
    client.checked_shr(host_bits).unwrap_or(0) == network.checked_shr(host_bits).unwrap_or(0)
}

#[cfg(test)]
mod tests;

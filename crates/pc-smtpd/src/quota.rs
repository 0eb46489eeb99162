//! # Purpose
//! Decides how much a client, the clients of a connector, those of a tenant and everybody together may do in a time.
//!
//! # Trust
//! A client chooses what it counts up, and with IPv6 from how many addresses. It cannot make us forget
//! what another did, nor turn others away but by the limits over all, which are off unless set.
//!
//! # Standards
//! The generic cell rate algorithm (ITU-T I.371 annex A) with a burst of the whole amount.
//!
//! # Invariants
//! At most [`QUOTA_CLIENTS_MAX`] clients are kept; the one that is nearest to full recovery goes first, so
//! an offender is never forgotten before a clean client. What is refused is not counted, so that asking
//! again does not prolong the wait. However the clock is set, nobody waits longer than two periods.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use pc_types::Timestamp;

use crate::limits::QUOTA_CLIENTS_MAX;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Commands in a minute.
    Commands,
    /// Connections in a minute.
    Connections,
    /// Bad commands and refused handshakes in an hour.
    Errors,
    /// MAIL commands in an hour.
    Messages,
    /// Octets of messages in an hour.
    Octets,
    /// RCPT commands in an hour.
    Recipients,
    /// Recipients that the server behind does not know, in an hour.
    UnknownRecipients,
}

/// Whose count is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The client's own.
    Client,
    /// All clients of its connector together.
    Connector,
    /// Everybody's.
    Overall,
    /// All clients of its tenant's connectors together.
    Tenant,
}

/// How much of each measure there may be; 0 is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// In a minute.
    pub commands: u64,
    /// In a minute.
    pub connections: u64,
    /// In an hour.
    pub errors: u64,
    /// In an hour.
    pub messages: u64,
    /// In an hour.
    pub octets: u64,
    /// In an hour.
    pub recipients: u64,
    /// In an hour.
    pub unknown_recipients: u64,
}

/// The rates of all scopes. Errors and unknown recipients count for the client alone: others must not be
/// turned away for them.
#[derive(Clone, Copy, Debug, Default)]
pub struct QuotaLimits {
    /// Of one IPv4 address or one IPv6 /64.
    pub client: Rates,
    /// Of all clients of one connector.
    pub connector: Rates,
    /// Of everybody.
    pub overall: Rates,
    /// Of all clients of one tenant's connectors.
    pub tenant: Rates,
}

/// Who does something.
#[derive(Clone, Copy, Debug)]
pub struct Doer<'a> {
    /// By [`pc_net::network_of`].
    pub network: IpAddr,
    /// By name.
    pub connector: &'a str,
    /// By name, where its connector has one.
    pub tenant: Option<&'a str>,
}

/// A limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Which.
    pub measure: Measure,
    /// Whose.
    pub scope: Scope,
    /// Until there is room.
    pub wait: Duration,
}

/// All counts.
#[derive(Debug)]
pub struct Quotas {
    limits: QuotaLimits,
    clients_max: usize,
    clients: HashMap<IpAddr, Row>,
    /// The clients by the moment when they are fully recovered.
    recoveries: BTreeSet<(i128, IpAddr)>,
    connectors: BTreeMap<String, Row>,
    tenants: BTreeMap<String, Row>,
    overall: Row,
}

/// When each measure is fully recovered, in nanoseconds of the clock: the theoretical arrival time.
#[derive(Clone, Copy, Debug)]
struct Row([i128; Measure::ALL.len()]);

impl Measure {
    const ALL: [Self; 7] = [
        Self::Commands,
        Self::Connections,
        Self::Errors,
        Self::Messages,
        Self::Octets,
        Self::Recipients,
        Self::UnknownRecipients,
    ];

    /// Stable, for logs and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Connections => "connections",
            Self::Errors => "errors",
            Self::Messages => "messages",
            Self::Octets => "octets",
            Self::Recipients => "recipients",
            Self::UnknownRecipients => "unknown_recipients",
        }
    }

    fn place(self) -> usize {
        Self::ALL.iter().position(|measure| *measure == self).unwrap_or_default()
    }

    /// In nanoseconds.
    fn period(self) -> i128 {
        let seconds = if matches!(self, Self::Commands | Self::Connections) { 60 } else { 3_600 };
        seconds * 1_000_000_000
    }

    fn scopes(self) -> &'static [Scope] {
        match self {
            Self::Errors | Self::UnknownRecipients => &[Scope::Client],
            _ => &[Scope::Client, Scope::Connector, Scope::Tenant, Scope::Overall],
        }
    }
}

impl Scope {
    /// Stable, for logs and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Connector => "connector",
            Self::Overall => "overall",
            Self::Tenant => "tenant",
        }
    }
}

impl Rates {
    fn amount(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Commands => self.commands,
            Measure::Connections => self.connections,
            Measure::Errors => self.errors,
            Measure::Messages => self.messages,
            Measure::Octets => self.octets,
            Measure::Recipients => self.recipients,
            Measure::UnknownRecipients => self.unknown_recipients,
        }
    }
}

impl Row {
    const RECOVERED: Self = Self([i128::MIN; Measure::ALL.len()]);

    /// The moment, as far off as counting could have moved it: the clock may have been set back.
    fn recovery(&self, measure: Measure, now: i128) -> i128 {
        let told = self.0.get(measure.place()).copied().unwrap_or(i128::MIN);
        told.clamp(now, now + 2 * measure.period())
    }

    fn charge(&mut self, measure: Measure, cost: i128, now: i128) {
        // A single large message must not shut a client out for days.
        let charged = (self.recovery(measure, now) + cost).min(now + 2 * measure.period());
        if let Some(place) = self.0.get_mut(measure.place()) {
            *place = charged;
        }
    }

    fn recovered_at(&self) -> i128 {
        self.0.iter().copied().max().unwrap_or(i128::MIN)
    }
}

impl Quotas {
    /// Nobody has done anything yet.
    pub fn new(limits: QuotaLimits) -> Self {
        Self {
            limits,
            clients_max: QUOTA_CLIENTS_MAX,
            clients: HashMap::new(),
            recoveries: BTreeSet::new(),
            connectors: BTreeMap::new(),
            tenants: BTreeMap::new(),
            overall: Row::RECOVERED,
        }
    }

    /// Counts one more of `measure` where there is room for it in every scope, else in none.
    ///
    /// # Errors
    /// Which limit is reached, and until when.
    pub fn take(&mut self, doer: Doer<'_>, measure: Measure, now: Timestamp) -> Result<(), Exceeded> {
        self.room(doer, measure, now)?;
        self.charge(doer, measure, 1, now);
        Ok(())
    }

    /// Whether there is room for one more of `measure`.
    ///
    /// # Errors
    /// Which limit is reached, and until when.
    pub fn room(&self, doer: Doer<'_>, measure: Measure, now: Timestamp) -> Result<(), Exceeded> {
        let now = now.as_nanosecond();
        for scope in measure.scopes() {
            let Some(cost) = self.cost(*scope, measure, 1) else { continue };
            let after = self.row(*scope, doer).recovery(measure, now) + cost;
            let wait = after - (now + measure.period());
            if wait > 0 {
                let wait = Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX));
                return Err(Exceeded { measure, scope: *scope, wait });
            }
        }
        Ok(())
    }

    /// Counts `units` that have happened, whether there was room or not.
    pub fn charge(&mut self, doer: Doer<'_>, measure: Measure, units: u64, now: Timestamp) {
        let now = now.as_nanosecond();
        for scope in measure.scopes() {
            let Some(cost) = self.cost(*scope, measure, units) else { continue };
            match scope {
                Scope::Client => self.charge_client(doer.network, measure, cost, now),
                Scope::Connector => row_of(&mut self.connectors, doer.connector).charge(measure, cost, now),
                Scope::Overall => self.overall.charge(measure, cost, now),
                Scope::Tenant => {
                    if let Some(tenant) = doer.tenant {
                        row_of(&mut self.tenants, tenant).charge(measure, cost, now);
                    }
                }
            }
        }
    }

    /// `None` where there is no limit. Rounded up, so that no unit is free.
    fn cost(&self, scope: Scope, measure: Measure, units: u64) -> Option<i128> {
        let rates = match scope {
            Scope::Client => &self.limits.client,
            Scope::Connector => &self.limits.connector,
            Scope::Overall => &self.limits.overall,
            Scope::Tenant => &self.limits.tenant,
        };
        let amount = i128::from(rates.amount(measure));
        (amount > 0).then(|| (i128::from(units) * measure.period() + amount - 1) / amount)
    }

    fn row(&self, scope: Scope, doer: Doer<'_>) -> Row {
        let known = match scope {
            Scope::Client => self.clients.get(&doer.network),
            Scope::Connector => self.connectors.get(doer.connector),
            Scope::Overall => Some(&self.overall),
            Scope::Tenant => doer.tenant.and_then(|tenant| self.tenants.get(tenant)),
        };
        known.copied().unwrap_or(Row::RECOVERED)
    }

    fn charge_client(&mut self, network: IpAddr, measure: Measure, cost: i128, now: i128) {
        let row = self.clients.entry(network).or_insert(Row::RECOVERED);
        self.recoveries.remove(&(row.recovered_at(), network));
        row.charge(measure, cost, now);
        self.recoveries.insert((row.recovered_at(), network));
        // The client that was just counted may be the one to go.
        if self.clients.len() > self.clients_max
            && let Some((_, forgotten)) = self.recoveries.pop_first()
        {
            self.clients.remove(&forgotten);
        }
    }
}

/// Connectors and tenants are those of the configuration, so the map is bounded.
fn row_of<'a>(rows: &'a mut BTreeMap<String, Row>, name: &str) -> &'a mut Row {
    rows.entry(name.to_owned()).or_insert(Row::RECOVERED)
}

impl Exceeded {
    /// What the client hears, with how long to wait.
    pub fn text(&self) -> String {
        let what = match self.measure {
            Measure::Commands => "commands",
            Measure::Connections => "connections",
            Measure::Errors => "errors",
            Measure::Messages => "messages",
            Measure::Octets => "megabytes",
            Measure::Recipients => "recipients",
            Measure::UnknownRecipients => "unknown recipients",
        };
        let whose = match self.scope {
            Scope::Client => "from your address",
            Scope::Connector | Scope::Overall => "at present",
            Scope::Tenant => "from your organisation",
        };
        let seconds = self.wait.as_secs() + 1;
        let wait = if seconds < 120 {
            format!("{seconds} seconds")
        } else {
            format!("{} minutes", seconds.div_ceil(60))
        };
        format!("too many {what} {whose}, please come back in {wait}")
    }
}

#[cfg(test)]
mod tests;

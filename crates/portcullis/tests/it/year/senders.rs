//! Two hundred senders of ten ways to live, from 2003 to SE.

use std::net::{IpAddr, Ipv4Addr};

use pc_exchange::{Catalogue, Entitlement};
use pc_types::{Build, Date, Domain, time};

pub const SENDERS: usize = 200;

pub struct Sender {
    pub number: usize,
    pub name: Domain,
    pub address: IpAddr,
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

impl Sender {
    pub fn new(number: usize) -> Self {
        let last = u8::try_from(number + 1).unwrap();
        Self {
            number,
            name: format!("mail{number:03}.example.net").parse().unwrap(),
            address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)),
        }
    }

    fn way(&self) -> usize {
        self.number % 10
    }

    /// The first is entitled to extended security updates.
    pub fn tenant(&self) -> Option<&'static str> {
        match self.number / 10 % 4 {
            0 => Some("north"),
            1 => Some("south"),
            _ => None,
        }
    }

    pub fn entitlement(&self) -> Entitlement {
        Entitlement { esu: self.tenant() == Some("north") }
    }

    pub fn is_exempted(&self) -> bool {
        self.way() == 2 && self.number >= 150
    }

    /// Not all at once.
    pub fn offset_steps(&self) -> i64 {
        i64::try_from(self.number * 7 % 48).unwrap()
    }

    /// What its topmost Received line shows on a day; `None` while it sends nothing.
    pub fn line(&self, catalogue: &Catalogue, date: Date) -> Option<String> {
        let turn = i32::try_from(self.number / 10).unwrap();
        let later = |from: &str| {
            let moment = time::add_days(time::start_of(day(from)), i64::from(turn));
            date >= time::date_of(moment)
        };
        let between = |from: &str, to: &str| day(from) <= date && date < day(to);
        let build = match self.way() {
            0 => return Some(self.old_line("SMTPSVC(6.0.3790.4675)")),
            1 => build("8.3.485.1"),
            2 => build("14.3.513.0"),
            3 if later("2026-04-20") => patched(catalogue, "15.2.2562.17", date, 10),
            3 => build("15.0.1497.48"),
            4 => patched(catalogue, "15.1.2507.6", date, 10),
            5 if later("2026-03-15") => patched(catalogue, "15.1.2507.6", date, 10),
            5 => build("15.1.2507.27"),
            6 => patched(catalogue, "15.2.1544.4", date, 60),
            7 => patched(catalogue, "15.2.2562.17", date, 10),
            8 if between("2026-08-01", "2026-09-10") => return None,
            8 if between("2026-02-10", "2026-03-25") || between("2026-04-10", "2026-06-20") => {
                build("15.2.1118.7")
            }
            8 => patched(catalogue, "15.2.2562.17", date, 10),
            _ if later("2026-04-10") => patched(catalogue, "15.2.1748.10", date, 10),
            _ => build("15.1.2375.37"),
        };
        Some(self.smtp_line(build))
    }

    fn smtp_line(&self, build: Build) -> String {
        let name = &self.name;
        format!(
            "from {name} (10.0.0.5) by {name} (10.0.0.5) with Microsoft SMTP Server (version=TLS1_2, \
             cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id {build}; Mon, 2 Nov 2026 10:00:00 +0000"
        )
    }

    fn old_line(&self, software: &str) -> String {
        format!(
            "from desk ([10.0.0.9]) by {} with Microsoft {software}; Mon, 2 Nov 2026 10:00:00 +0000",
            self.name
        )
    }
}

fn build(text: &str) -> Build {
    text.parse().unwrap()
}

/// The newest update of the same cumulative update that has been out for so many days.
fn patched(catalogue: &Catalogue, base: &str, date: Date, days: i64) -> Build {
    let base = build(base);
    let is_due = |released: Date| time::date_of(time::add_days(time::start_of(released), days)) <= date;
    let same = |other: Build| (other.major, other.minor, other.build) == (base.major, base.minor, base.build);
    let due = catalogue.releases().filter(|release| same(release.build) && is_due(release.released));
    due.map(|release| release.build).max().unwrap_or(base)
}

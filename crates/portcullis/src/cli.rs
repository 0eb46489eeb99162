use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A security edge for mail and web: one TLS standard, out-of-date Exchange servers reported, throttled, blocked, released.
#[derive(Parser)]
#[command(name = "portcullis", version, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 good; 1 the answer is bad (not patched, check failed); 2 usage; 64 configuration; \
                        70 internal.\nTimes are RFC 3339."
)]
pub struct Cli {
    /// Configuration file; without one the quick start applies
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Accounts of the pages
    #[command(subcommand)]
    Admin(Admin),
    /// What owners attest of their servers' builds
    #[command(subcommand)]
    Attest(Attest),
    /// The build and CVE catalogue
    #[command(subcommand)]
    Catalog(Catalog),
    /// Check, show or print a sample of the configuration
    #[command(subcommand)]
    Config(Config),
    /// Ninety days of a real edge on loopback in about a minute
    Demo(Demo),
    /// Check names, ports, certificate, server behind, clock, disk, catalogue; one line each with the remedy
    Doctor,
    /// What the ladder will do
    #[command(subcommand)]
    Enforce(Enforce),
    /// Documentation made from the program itself
    Help(Help),
    /// What a build or a message shows: product, updates, open CVEs, what to install
    Judge(Judge),
    /// Who was told what by mail
    #[command(subcommand)]
    Notices(Notices),
    /// Pauses of the ladder and what is left of a year's budget
    #[command(subcommand)]
    Pause(Pause),
    /// The out-of-date server report
    Report(Report),
    /// Virtual patches of the web edge
    #[command(subcommand)]
    Rules(Rules),
    /// Run all configured listeners; without a file a quick start on loopback
    Serve,
    /// The sending servers and their ladder
    #[command(subcommand)]
    Servers(Servers),
    /// Mail that waits for the server behind
    #[command(subcommand)]
    Spool(Spool),
    /// The TLS standard and the clients it refused
    #[command(subcommand)]
    Tls(Tls),
    /// What happened to a message
    Trace(Trace),
}

#[derive(Subcommand)]
pub enum Admin {
    /// Ask for a password and print the line for [[admin.user]]; reads one line where there is no terminal
    HashPassword,
}

#[derive(Subcommand)]
pub enum Attest {
    /// Take in a file that the script wrote on a server up to a day ago
    Add {
        /// JSON
        file: PathBuf,
    },
    /// Print a fresh key, the line of an attestation_key_file
    Key,
    /// What is attested, beside what mail shows
    List,
    /// Print the PowerShell script for owners of servers
    Script,
}

#[derive(Subcommand)]
pub enum Catalog {
    /// The catalogue, or one build of it
    Show {
        /// Such as 15.1.2507.39
        build: Option<String>,
        /// As it was in use at the end of this day
        #[arg(long, value_name = "DATE")]
        as_of: Option<String>,
    },
    /// Verify checksums, contents and age; exit code 1 when it is stale
    Check {
        /// In place of the current time
        #[arg(long, value_name = "TIME")]
        now: Option<String>,
    },
    /// Write the catalogue as a bundle, to be signed with minisign
    Export {
        /// Where to
        file: PathBuf,
    },
    /// What was in use, and where it came from
    History,
    /// Take in MSRC documents (XML, JSON), CISA's list, CVE records, or a bundle with FILE.minisig beside it
    Import {
        /// Files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Go back to a revision, or to the one before; scheduled updates stop until the next update by hand
    Rollback {
        /// As `catalog history` names it
        revision: Option<u32>,
    },
    /// Fetch the sources of the configuration and take them in
    Update,
}

#[derive(Subcommand)]
pub enum Config {
    /// All errors at once, with their lines
    Check,
    /// The settings in force
    Show,
    /// A commented sample
    Default,
}

#[derive(Args)]
pub struct Demo {
    /// Keep pages and report up until Ctrl-C
    #[arg(long)]
    pub keep: bool,
    /// Times faster than a day in two thirds of a second
    #[arg(long, default_value_t = 1.0, value_name = "N")]
    pub speed: f64,
    /// Port of the admin pages on 127.0.0.1; 0 lets the system choose
    #[arg(long, default_value_t = 8080, value_name = "PORT")]
    pub port: u16,
}

#[derive(Subcommand)]
pub enum Enforce {
    /// All floors, and from which day on they hold
    Floors {
        /// In place of the current time
        #[arg(long, value_name = "TIME")]
        now: Option<String>,
    },
    /// End a stop: the ladder's clock goes on where it stood
    Resume,
    /// Stop the ladder for everybody at once: nothing is deferred, nothing is blocked, the report goes on
    Stop {
        /// Why; kept in the audit log
        #[arg(long, value_name = "R")]
        reason: String,
        /// Who is responsible
        #[arg(long, default_value = "operator", value_name = "NAME")]
        owner: String,
    },
    /// What will happen to whom and when
    Preview {
        /// How far to look ahead
        #[arg(long, default_value_t = 90, value_name = "N")]
        days: u32,
        /// In place of the current time
        #[arg(long, value_name = "TIME")]
        now: Option<String>,
    },
}

#[derive(Args)]
pub struct Help {
    /// The whole command line as Markdown
    #[arg(long)]
    pub markdown: bool,
    /// The API as OpenAPI
    #[arg(long, conflicts_with = "markdown")]
    pub openapi: bool,
}

#[derive(Subcommand)]
pub enum Notices {
    /// The latest, newest first, with what became of their mails
    List {
        /// About this message or server only
        #[arg(long, value_name = "ID")]
        about: Option<String>,
    },
    /// Send a signed webhook.test to a [[notify.webhook]] and say what its receiver answers; one that takes it is enabled again
    TestWebhook {
        /// Its name
        name: String,
    },
    /// The webhooks, how much waits for each, and which are disabled
    Webhooks,
}

#[derive(Subcommand)]
pub enum Pause {
    /// Pause the ladder for a tenant; while one runs, make it longer
    Add {
        /// A [[tenant]], or default for the servers of none
        #[arg(long, value_name = "T")]
        tenant: String,
        /// Whole days, of which a tenant has 90 in a calendar year
        #[arg(long, value_name = "N")]
        days: u32,
        /// In place of now
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Why; kept in the audit log
        #[arg(long, value_name = "R")]
        reason: String,
        /// Who is responsible
        #[arg(long, default_value = "operator", value_name = "NAME")]
        owner: String,
    },
    /// End a pause or a stop at once; days that were not begun go back to the budget
    End {
        /// As listed
        #[arg(value_name = "NUMBER")]
        number: i64,
    },
    /// All pauses and stops, newest first
    List,
    /// What each tenant has left
    Quota {
        /// In place of the current one
        #[arg(long, value_name = "YEAR")]
        year: Option<i16>,
    },
}

#[derive(Args)]
pub struct Judge {
    /// A build (15.1.2507.39), a message file, or - for a message on standard input
    #[arg(value_name = "BUILD|FILE|-")]
    pub subject: String,
    /// In place of the current time
    #[arg(long, value_name = "TIME")]
    pub now: Option<String>,
    /// The floor to judge against, a preset or one of the configuration; the exit code then says whether it is met
    #[arg(long, value_name = "NAME")]
    pub floor: Option<String>,
    /// A missing security update is owed after so many days; default: as configured
    #[arg(long, value_name = "N")]
    pub grace_days: Option<u32>,
    /// The owner is given extended security updates
    #[arg(long)]
    pub esu: bool,
    /// One of your own receiving servers, whose lines stand above the sender's in a saved message
    #[arg(long, value_name = "NAME")]
    pub received_by: Vec<String>,
}

#[derive(Args)]
pub struct Report {
    /// How to print it
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    Csv,
    Html,
    Json,
    Text,
}

#[derive(Subcommand)]
pub enum Rules {
    /// Whether a pack would be taken in place of the one in use: signature, contents, dates; exit code 1 when not
    Check {
        /// The pack; its signature stands beside it, as FILE.minisig
        file: PathBuf,
        /// In place of the current time
        #[arg(long, value_name = "TIME")]
        now: Option<String>,
    },
    /// All rules in use: vulnerabilities, last day, what each does on each site, and its hits of the last seven days
    List {
        /// In place of the current time
        #[arg(long, value_name = "TIME")]
        now: Option<String>,
    },
}

#[derive(Subcommand)]
pub enum Servers {
    /// All servers, the most severe first
    List,
    /// One server with evidence and history
    Show { id: String },
    /// Let a server through for a time
    Exempt {
        id: String,
        /// Why
        #[arg(long)]
        reason: String,
        /// Until this date or time
        #[arg(long, value_name = "D")]
        until: String,
        /// Who is responsible
        #[arg(long, default_value = "operator")]
        owner: String,
    },
    /// End an exemption
    Unexempt { id: String },
    /// Delete a server's row; it starts anew with its next message
    Forget { id: String },
}

#[derive(Subcommand)]
pub enum Spool {
    /// All messages, oldest first, and the state of each upstream
    List,
    /// One message with its envelope
    Show { id: String },
    /// Try now: a message, or what waits for an upstream, or everything
    Retry(Waiting),
    /// Keep back: a message, or all mail for an upstream
    Hold(Waiting),
    /// End a hold, or give a message that was set aside another chance
    Release(Waiting),
    /// Delete a message for good
    Remove { id: String },
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Waiting {
    /// Trace id of a message
    pub id: Option<String>,
    /// All mail for this upstream
    #[arg(long, value_name = "NAME")]
    pub upstream: Option<String>,
    /// All upstreams
    #[arg(long)]
    pub all: bool,
}

#[derive(Subcommand)]
pub enum Tls {
    /// Certificates by ACME: authority, account, names, when the next one is asked for, and why the last try failed
    Acme,
    /// A server against the standard and the checklist and grades of SSL Labs; opens up to 120 short connections, one at a time
    Check(TlsCheck),
    /// DNS records to publish, and what the DNS has: MTA-STS, TLS reports, TLSA (DANE) of the keys in use, CAA
    Records,
    /// The standard in force on every listener
    Standard,
    /// Clients that it refused, or would have refused at a test port, with a guess what each is
    Clients(TlsClients),
}

#[derive(Args)]
pub struct TlsClients {
    /// Connecting address, or a network
    #[arg(long, value_name = "I")]
    pub ip: Option<String>,
    /// Name asked for (SNI)
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The highest version offered: SSLv2, SSLv3, TLSv1.0, TLSv1.1, TLSv1.2 or TLSv1.3
    #[arg(long, value_name = "V")]
    pub version: Option<String>,
    /// Why: old_version, no_common_suite, fallback_scsv, ssl_v2, not_tls, malformed, handshake, timeout, too_large
    #[arg(long, value_name = "R")]
    pub refusal: Option<String>,
    /// Part of the name of what it may be, such as "Windows 7"
    #[arg(long, value_name = "P")]
    pub product: Option<String>,
    /// Code of a suite that is offered, such as c013
    #[arg(long, value_name = "CODE")]
    pub suite: Option<String>,
    /// Fingerprint
    #[arg(long, value_name = "JA4")]
    pub ja4: Option<String>,
    /// Last seen not before this
    #[arg(long, value_name = "T")]
    pub since: Option<String>,
    /// Last seen not after this; a day counts whole
    #[arg(long, value_name = "T")]
    pub until: Option<String>,
    /// Also those at a test port that would have been let in
    #[arg(long)]
    pub fitting: bool,
    /// Instead of clients, so many days summed up by site
    #[arg(
        long, value_name = "DAYS", num_args = 0..=1, default_missing_value = "7",
        value_parser = clap::value_parser!(u16).range(1..=100),
        conflicts_with_all = ["ip", "name", "version", "refusal", "product", "suite", "ja4", "since", "until", "fitting"],
    )]
    pub summary: Option<u16>,
}

#[derive(Args)]
pub struct TlsCheck {
    /// Where it listens
    #[arg(value_name = "HOST:PORT")]
    pub target: String,
    /// Begin with this protocol's STARTTLS
    #[arg(long, value_enum, value_name = "PROTOCOL")]
    pub starttls: Option<TlsWay>,
    /// Further trusted roots, PEM
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The name that its certificate should have; default: HOST
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum TlsWay {
    Imap,
    Pop3,
    Smtp,
}

#[derive(Args)]
pub struct Trace {
    /// Sender: an address, or a domain
    #[arg(long, value_name = "A")]
    pub from: Option<String>,
    /// Recipient: an address, or a domain
    #[arg(long, value_name = "B")]
    pub to: Option<String>,
    /// Connecting address
    #[arg(long, value_name = "I")]
    pub ip: Option<String>,
    /// Id of the sending server
    #[arg(long, value_name = "S")]
    pub server: Option<String>,
    /// taken, waiting (in the spool), deferred, refused, undelivered, aside, removed, abandoned, or no_mail for a
    /// session without MAIL
    #[arg(long, value_name = "O")]
    pub outcome: Option<String>,
    /// Not older than this
    #[arg(long, value_name = "T")]
    pub since: Option<String>,
    /// Not newer than this; a day counts whole
    #[arg(long, value_name = "T")]
    pub until: Option<String>,
    /// Trace id or Message-ID; one transaction is shown with its steps
    #[arg(long, value_name = "X")]
    pub id: Option<String>,
    /// Go on after this cursor, which an earlier answer gave
    #[arg(long, value_name = "CURSOR")]
    pub before: Option<String>,
    /// Rows, at most 1000
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
}

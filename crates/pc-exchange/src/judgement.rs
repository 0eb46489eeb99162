//! What is shown of an assessment: one object for machines, one text for an operator.

use std::fmt::Write as _;

use pc_types::{Build, Date, Reason};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::assess::{Assessment, EXCHANGE_ONLINE};
use crate::assessment::{Form, Verdict};
use crate::catalogue::Catalogue;
use crate::evidence::{Evidence, Ignored, Standing};

/// The answer to "what is this server, and what does it owe?". Written as JSON it has the lists of
/// its assessment as well.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The state in one word.
    pub verdict: Verdict,
    /// `SE`, `2019` and so on, `exchange-online`, or `None`.
    pub product: Option<String>,
    /// The id that was judged.
    pub build: Option<Build>,
    /// Level and update that the id proves.
    pub update: Option<String>,
    /// What to install.
    pub install: Option<String>,
    /// The line judged; `None` for a bare build.
    pub evidence: Option<JudgementEvidence>,
    /// Lines that do not count.
    pub ignored: Vec<Ignored>,
    /// How the verdict came about, the deciding reason first.
    pub reasons: Vec<Reason>,
    /// The assessment behind it; `None` when no build was judged.
    pub assessment: Option<Assessment>,
}

/// The line a judgement rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JudgementEvidence {
    /// The line, escaped.
    pub header: String,
    /// Its place, the newest line being 0.
    pub hop: usize,
    /// Why it counts.
    pub reason: Reason,
}

impl Catalogue {
    /// Judges what the lines of a message show.
    pub fn judge(&self, evidence: &Evidence, date: Date) -> Judgement {
        let mut judgement = match (&evidence.judged, &evidence.standing) {
            (Some(judged), _) => {
                let mut judgement = self.judge_build(judged.build, judged.form, date);
                judgement.evidence = Some(JudgementEvidence {
                    header: judged.header.clone(),
                    hop: judged.hop,
                    reason: judged.reason.clone(),
                });
                judgement
            }
            (None, Standing::Build) => {
                let reason = Reason::new("no_build", "no build was found");
                without_build(Verdict::Unknown, None, reason)
            }
            (None, Standing::Conflict(reason) | Standing::Unknown(reason)) => {
                without_build(Verdict::Unknown, None, reason.clone())
            }
            (None, Standing::ExchangeOnline(reason)) => {
                without_build(Verdict::NotExchange, Some(EXCHANGE_ONLINE), reason.clone())
            }
            (None, Standing::NotExchange(reason)) => {
                without_build(Verdict::NotExchange, None, reason.clone())
            }
        };
        judgement.ignored.clone_from(&evidence.ignored);
        if evidence.beyond_limit > 0 {
            let text = format!("{} further Received lines were not looked at", evidence.beyond_limit);
            judgement.reasons.push(Reason::new("beyond_limit", text));
        }
        judgement
    }

    /// Judges a bare build. `form` says where it was read: in a header, or from the server's
    /// programs.
    pub fn judge_build(&self, build: Build, form: Form, date: Date) -> Judgement {
        let assessment = self.assess(build, form, date);
        Judgement {
            verdict: assessment.state(),
            product: assessment.product().map(str::to_owned),
            build: Some(build),
            update: assessment.update().map(str::to_owned),
            install: assessment.install(),
            evidence: None,
            ignored: Vec::new(),
            reasons: assessment.reasons(),
            assessment: Some(assessment),
        }
    }
}

fn without_build(verdict: Verdict, product: Option<&str>, reason: Reason) -> Judgement {
    Judgement {
        verdict,
        product: product.map(str::to_owned),
        build: None,
        update: None,
        install: None,
        evidence: None,
        ignored: Vec::new(),
        reasons: vec![reason],
        assessment: None,
    }
}

impl Serialize for Judgement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let assessment = self.assessment.as_ref();
        let mut object = serializer.serialize_struct("Judgement", 14)?;
        object.serialize_field("verdict", &self.verdict)?;
        object.serialize_field("product", &self.product)?;
        object.serialize_field("build", &self.build)?;
        object.serialize_field("update", &self.update)?;
        object.serialize_field("support", &assessment.and_then(Assessment::support))?;
        let phase = assessment.and_then(|assessment| assessment.known_phase()).map(|phase| phase.as_str());
        object.serialize_field("support_phase", &phase)?;
        object.serialize_field("missing", &list(assessment, Assessment::missing))?;
        object.serialize_field("cves", &list(assessment, Assessment::cves))?;
        object.serialize_field("install", &self.install)?;
        object.serialize_field("evidence", &self.evidence)?;
        object.serialize_field("ignored", &self.ignored)?;
        object.serialize_field("not_visible", &list(assessment, Assessment::not_visible))?;
        let not_settled = list(assessment, Assessment::not_settled_by_build);
        object.serialize_field("not_settled_by_build", &not_settled)?;
        object.serialize_field("reasons", &self.reasons)?;
        object.end()
    }
}

fn list<T>(assessment: Option<&Assessment>, rows: impl Fn(&Assessment) -> Vec<T>) -> Vec<T> {
    assessment.map(rows).unwrap_or_default()
}

impl Judgement {
    /// The judgement for a terminal: the verdict first, then what to do, then what it rests on. Peer
    /// data in it is escaped.
    pub fn text(&self) -> String {
        let mut page = Page(String::new());
        page.line(&self.headline());
        let assessment = self.assessment.as_ref();
        if let Some(support) = assessment.and_then(Assessment::support) {
            page.row("Support", &support);
        }
        if let Some(install) = &self.install {
            page.row("Install", install);
        }
        let shown = self.reasons.iter().filter(|reason| !LISTED.contains(&reason.code));
        for (place, reason) in shown.enumerate() {
            page.row(if place == 0 { "Why" } else { "" }, &reason.to_string());
        }
        if let Some(evidence) = &self.evidence {
            page.row("Evidence", &format!("hop {}: {}", evidence.hop, evidence.header));
            page.row("", &evidence.reason.to_string());
        }
        if let Some(assessment) = assessment {
            page.lists(assessment);
        }
        page.section("Lines that do not count", &self.ignored, |ignored| {
            format!("[{}] {}", ignored.reason.code, ignored.header)
        });
        page.0
    }

    fn headline(&self) -> String {
        let release = self.assessment.as_ref().and_then(Assessment::release);
        let product = release.map(|release| release.product_name.as_str()).or(self.product.as_deref());
        let build = self.build.map(|build| format!("({build})"));
        let parts = [product, self.update.as_deref(), build.as_deref()];
        let described: Vec<&str> = parts.into_iter().flatten().collect();
        let verdict = self.verdict.as_str().replace('_', " ").to_uppercase();
        if described.is_empty() { verdict } else { format!("{verdict}  {}", described.join(" ")) }
    }
}

/// Reasons whose whole content is a list of its own in the text.
const LISTED: &[&str] = &["not_settled_by_build"];

struct Page(String);

impl Page {
    fn line(&mut self, content: &str) {
        self.0.push_str(content);
        self.0.push('\n');
    }

    fn row(&mut self, name: &str, content: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{name:<9} {content}");
    }

    fn section<T>(&mut self, title: &str, rows: &[T], row: impl Fn(&T) -> String) {
        if rows.is_empty() {
            return;
        }
        let _ = writeln!(self.0, "\n{title} ({})", rows.len());
        for entry in rows {
            let _ = writeln!(self.0, "  {}", row(entry).trim_end());
        }
    }

    fn lists(&mut self, assessment: &Assessment) {
        self.section("Missing updates, oldest first", &assessment.missing(), |update| {
            let kind = if update.security { "security" } else { "other" };
            let kb = update.kb.as_deref().unwrap_or("-");
            let esu = if update.esu_only { "extended security updates only" } else { "" };
            format!(
                "{}  {kind:<8}  {:<18}  {:<14}  {kb:<9}  {esu}",
                update.released,
                update.update,
                update.build.to_string()
            )
        });
        self.section("Open vulnerabilities, exploited ones first", &assessment.cves(), |cve| {
            let score = cve.cvss.map_or_else(|| "-".to_owned(), |score| format!("{score:.1}"));
            let mark = match cve.kev {
                Some(true) => "KEV: exploited",
                Some(false) => "",
                None => "newer than the list of exploited ones",
            };
            let class = cve.class.as_deref().unwrap_or("-");
            format!("{:<16}  {score:>4}  {class:<14}  {mark}", cve.id)
        });
        let not_settled = assessment.not_settled_by_build();
        self.section("Need a step beside the update, which no build shows", &not_settled, |cve| {
            format!("{:<16}  {}", cve.id, cve.step.as_deref().unwrap_or("see its advisory"))
        });
        let not_visible = assessment.not_visible();
        self.section("Updates the id cannot show, not held against the server", &not_visible, |update| {
            format!("{}  {:<18}  {}", update.released, update.update, update.build)
        });
    }
}

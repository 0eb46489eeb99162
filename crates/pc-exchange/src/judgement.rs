//! What is shown of an assessment: one object for machines, one text for an operator.

use std::fmt::Write as _;

use pc_types::{Build, Date, Escaped, Reason};
use serde::Serialize;

use crate::assess::{EXCHANGE_ONLINE, NOT_SETTLED, described};
use crate::assessment::{Assessment, Form, HiddenUpdate, MissingUpdate, OpenCve, Verdict};
use crate::catalogue::Catalogue;
use crate::evidence::{Evidence, Ignored, Standing};
use crate::limits::TEXT_LINE_OCTETS_MAX;

/// The answer to "what is this server, and what does it owe?".
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// The state in one word.
    pub verdict: Verdict,
    /// `SE`, `2019` and so on, `exchange-online`, or `None`.
    pub product: Option<String>,
    /// The id that was judged.
    pub build: Option<Build>,
    /// Level and update that the id proves.
    pub update: Option<String>,
    /// Support in a sentence.
    pub support: Option<String>,
    /// Updates that are out and not installed, oldest first.
    pub missing: Vec<MissingUpdate>,
    /// Vulnerabilities open at this build.
    pub cves: Vec<OpenCve>,
    /// What to install.
    pub install: Option<String>,
    /// The line judged; `None` for a bare build.
    pub evidence: Option<JudgementEvidence>,
    /// Lines that do not count.
    pub ignored: Vec<Ignored>,
    /// Updates that the id cannot show.
    pub not_visible: Vec<HiddenUpdate>,
    /// How the verdict came about.
    pub reasons: Vec<Reason>,
    /// The assessment behind it; `None` when no build was judged.
    #[serde(skip)]
    pub assessment: Option<Assessment>,
}

/// The line a judgement rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JudgementEvidence {
    /// The line as handed in.
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
        judgement
    }

    /// Judges a bare build.
    pub fn judge_build(&self, build: Build, form: Form, date: Date) -> Judgement {
        let assessment = self.assess(build, form, date);
        let present = |text: &String| (!text.is_empty()).then(|| text.clone());
        Judgement {
            verdict: assessment.state,
            product: assessment.product.clone(),
            build: Some(build),
            update: assessment.update.clone(),
            support: present(&assessment.support),
            missing: assessment.missing.clone(),
            cves: assessment.cves.clone(),
            install: present(&assessment.install),
            evidence: None,
            ignored: Vec::new(),
            not_visible: assessment.not_visible.clone(),
            reasons: assessment.reasons.clone(),
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
        support: None,
        missing: Vec::new(),
        cves: Vec::new(),
        install: None,
        evidence: None,
        ignored: Vec::new(),
        not_visible: Vec::new(),
        reasons: vec![reason],
        assessment: None,
    }
}

impl Judgement {
    /// The judgement for a terminal: verdict first, then what it rests on, then what to do. Peer
    /// data in it is escaped.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) {
        let mut line = |content: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", Escaped::with_octets_max(&content, TEXT_LINE_OCTETS_MAX));
        };
        line(self.headline());
        if let Some(support) = &self.support {
            line(format!("Support   {support}"));
        }
        if let Some(install) = &self.install {
            line(format!("Install   {install}"));
        }
        if let Some(evidence) = &self.evidence {
            line(format!("Evidence  hop {}: {}", evidence.hop, evidence.header));
            line(format!("          {}", evidence.reason));
        }
        let shown = self.reasons.iter().filter(|reason| reason.code != NOT_SETTLED);
        for (place, reason) in shown.enumerate() {
            line(format!("{:<10}{reason}", if place == 0 { "Why" } else { "" }));
        }
        self.write_lists(line);
    }

    fn write_lists(&self, mut line: impl FnMut(String)) {
        section(&mut line, "Missing updates", &self.missing, |update| {
            let kind = if update.security { "security" } else { "other" };
            format!("{}  {:<8}  {}", update.released, kind, described(update))
        });
        section(&mut line, "Open vulnerabilities", &self.cves, |cve| {
            let score = cve.cvss.map_or_else(|| "-".to_owned(), |score| format!("{score:.1}"));
            let mark = if cve.kev { "KEV (exploited)" } else { "" };
            let class = cve.class.as_deref().unwrap_or("-");
            format!("{:<16}  {:>4}  {:<14}  {mark}", cve.id, score, class).trim_end().to_owned()
        });
        let not_settled =
            self.assessment.as_ref().map(|assessment| assessment.not_settled_by_build.as_slice());
        section(
            &mut line,
            "Need a step beside the update, which no build shows",
            not_settled.unwrap_or_default(),
            String::clone,
        );
        section(&mut line, "Updates the id cannot show", &self.not_visible, |update| {
            format!("{}  {} ({})", update.released, update.update, update.build)
        });
        section(&mut line, "Lines that do not count", &self.ignored, |ignored| {
            format!("[{}] {}", ignored.reason.code, ignored.header)
        });
    }

    fn headline(&self) -> String {
        let assessment = self.assessment.as_ref();
        let name = assessment.and_then(|assessment| assessment.product_name.as_deref());
        let product = name.or(self.product.as_deref());
        let parts =
            [product.map(str::to_owned), self.update.clone(), self.build.map(|build| format!("({build})"))];
        let described: Vec<String> = parts.into_iter().flatten().collect();
        let verdict = self.verdict.as_str().replace('_', " ").to_uppercase();
        if described.is_empty() { verdict } else { format!("{verdict}  {}", described.join(" ")) }
    }
}

fn section<T>(line: &mut impl FnMut(String), title: &str, rows: &[T], row: impl Fn(&T) -> String) {
    if rows.is_empty() {
        return;
    }
    line(String::new());
    line(format!("{title} ({})", rows.len()));
    for entry in rows {
        line(format!("  {}", row(entry)));
    }
}

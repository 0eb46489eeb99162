use pc_types::{Domain, Timestamp, time};

use crate::language::{Key, Language};
use crate::limits::{DIGEST_SERVERS_MAX, HEADER_SHOWN_OCTETS_MAX};
use crate::notice::{Acts, Addressee, FloorFacts, Lack, Notice, ServerFacts, StageFacts};

/// A mail in words, before it is text and HTML.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// One line.
    pub subject: String,
    /// What it is written in.
    pub language: Language,
    blocks: Vec<Block>,
}

#[derive(Clone, Debug, PartialEq)]
enum Block {
    /// Octets to be shown as they are.
    Code(String),
    Heading(String),
    Item(String),
    Paragraph(String),
}

/// What a letter says beside its facts.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// This node.
    pub node_name: &'a Domain,
    /// Who reads answers and grants pauses.
    pub contact: &'a str,
}

/// The letter about one server to one addressee: about what `notice` says. `None` for a notice about no server.
pub fn server_letter(
    sender: Sender<'_>,
    addressee: &Addressee,
    language: Language,
    notice: &Notice,
) -> Option<Letter> {
    let server = notice.server()?;
    let mut writing = Writing { sender, language, blocks: Vec::new() };
    let subject = writing.subject(notice, server);
    writing.introduce(notice, server);
    writing.evidence(server);
    if let Notice::ServerReleased { .. } = notice {
        writing.paragraph(Key::ReleasedThanks, &[]);
    } else {
        let (lack, floor) = match notice {
            // From when on it holds was said before.
            Notice::FloorAhead { lack, floor, version, .. } => {
                let next = FloorFacts { name: floor.clone(), version: *version, effective: None };
                (Some(lack), Some(next))
            }
            _ => (server.lack.as_ref(), server.floor.clone()),
        };
        if let Some(lack) = lack {
            writing.lack(lack, floor.as_ref());
        }
        writing.stages(server);
        writing.test(server);
        writing.pause(server, addressee);
    }
    writing.why(addressee);
    Some(Letter { subject, language, blocks: writing.blocks })
}

/// One letter about many servers.
pub fn servers_letter(
    sender: Sender<'_>,
    addressee: &Addressee,
    language: Language,
    notices: &[&Notice],
) -> Letter {
    let mut writing = Writing { sender, language, blocks: Vec::new() };
    let count = notices.len().to_string();
    let node = sender.node_name.as_str();
    let words = [("node", node), ("count", count.as_str())];
    let subject = language.fill(Key::DigestSubject, &words);
    writing.paragraph(Key::DigestIntro, &words);
    for notice in notices.iter().take(DIGEST_SERVERS_MAX) {
        let Some(server) = notice.server() else { continue };
        let text = writing.subject(notice, server);
        writing.blocks.push(Block::Item(format!("{text} (id {})", server.id)));
        if let Some(lack) = &server.lack {
            writing.blocks.push(Block::Item(format!(
                "    {}: {}",
                language.text(Key::HeadInstall),
                lack.install
            )));
        }
    }
    if let Some(more @ 1..) = notices.len().checked_sub(DIGEST_SERVERS_MAX) {
        writing.paragraph(Key::DigestMore, &[("count", &more.to_string())]);
    }
    writing.why(addressee);
    Letter { subject, language, blocks: writing.blocks }
}

struct Writing<'a> {
    sender: Sender<'a>,
    language: Language,
    blocks: Vec<Block>,
}

impl Writing<'_> {
    fn subject(&self, notice: &Notice, server: &ServerFacts) -> String {
        let name = name_of(server);
        let fill = |key, words: &[(&str, &str)]| {
            let all: Vec<(&str, &str)> = [("server", name.as_str())].iter().chain(words).copied().collect();
            self.language.fill(key, &all)
        };
        match notice {
            Notice::FloorAhead { at, .. } => fill(Key::FloorSubject, &[("date", &day(*at))]),
            Notice::CatalogueRefused { .. }
            | Notice::CatalogueStale { .. }
            | Notice::MessageAside { .. }
            | Notice::Node { .. } => String::new(),
            Notice::ServerOwing { .. } => fill(Key::OwingSubject, &[]),
            Notice::ServerReleased { .. } => fill(Key::ReleasedSubject, &[]),
            Notice::StageAhead { stage, .. } => {
                let words = [("stage", stage.number.to_string()), ("date", day(stage.at))];
                fill(Key::StageAheadSubject, &words.each_ref().map(|(name, word)| (*name, word.as_str())))
            }
            Notice::StageBegun { server } => {
                fill(Key::StageBegunSubject, &[("stage", &stage_number(server))])
            }
        }
    }

    fn introduce(&mut self, notice: &Notice, server: &ServerFacts) {
        let name = name_of(server);
        let stage = match notice {
            Notice::StageAhead { stage, .. } => Some(*stage),
            _ => server.stage,
        };
        let windows = stage.map_or_else(String::new, |stage| self.windows(stage));
        let (key, date) = match notice {
            Notice::FloorAhead { at, .. } => (Key::FloorIntro, day(*at)),
            Notice::CatalogueRefused { .. }
            | Notice::CatalogueStale { .. }
            | Notice::MessageAside { .. }
            | Notice::Node { .. }
            | Notice::ServerOwing { .. } => (Key::OwingIntro, String::new()),
            Notice::ServerReleased { at, .. } => (Key::ReleasedIntro, moment(*at)),
            Notice::StageAhead { stage, .. } => (Key::StageAheadIntro, moment(stage.at)),
            Notice::StageBegun { .. } => (Key::StageBegunIntro, String::new()),
        };
        let number = stage.map_or_else(String::new, |stage| stage.number.to_string());
        if server.acts == Acts::Report && !matches!(notice, Notice::ServerReleased { .. }) {
            self.paragraph(Key::ReportOnly, &[]);
        }
        self.paragraph(key, &[("server", &name), ("date", &date), ("windows", &windows), ("stage", &number)]);
        match server.paused_until {
            Some(until) if until == Timestamp::MAX => self.paragraph(Key::PausedOpen, &[]),
            Some(until) => self.paragraph(Key::PausedUntil, &[("date", &moment(until))]),
            None => {}
        }
        if let Some(until) = server.exempt_until {
            self.paragraph(Key::ExemptUntil, &[("date", &moment(until))]);
        }
    }

    fn evidence(&mut self, server: &ServerFacts) {
        self.heading(Key::HeadEvidence);
        let address = server.address.to_string();
        let words = [("server", name_of(server)), ("address", address), ("id", server.id.clone())];
        self.item(Key::EvidenceServer, &words.each_ref().map(|(name, word)| (*name, word.as_str())));
        if let Some(build) = &server.build {
            let product = server.product.as_deref().map(|product| format!("Exchange Server {product}"));
            let parts = [product.as_deref(), server.update.as_deref()];
            let product = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
            self.item(Key::EvidenceBuild, &[("build", build), ("product", &product)]);
        }
        if let Some((header, at)) = server.header.as_ref().zip(server.shown_at) {
            self.item(Key::EvidenceLine, &[("date", &moment(at))]);
            self.blocks.push(Block::Code(cut(header).to_owned()));
        }
    }

    fn lack(&mut self, lack: &Lack, floor: Option<&FloorFacts>) {
        self.heading(Key::HeadLack);
        let key = match lack.code.as_str() {
            "exploited_vulnerability_open" | "vulnerabilities_open" => Key::LackExploited,
            "below_floor" | "older_than_floor" => Key::LackFloor,
            "security_update_missing" => Key::LackSecurity,
            "level_unsupported" | "product_unsupported" => Key::LackSupport,
            _ => Key::LackUpdate,
        };
        let sentence = self.language.text(key).to_owned();
        self.blocks.push(Block::Paragraph(sentence));
        self.blocks.push(Block::Item(lack.text.clone()));
        if let Some(floor) = floor {
            let version = floor.version.to_string();
            let words = [("floor", floor.name.as_str()), ("version", version.as_str())];
            match floor.effective {
                Some(from) => {
                    let date = [("date", from.to_string())];
                    let date = date.each_ref().map(|(name, word)| (*name, word.as_str()));
                    let words: Vec<(&str, &str)> = words.into_iter().chain(date).collect();
                    self.item(Key::LackVersionSince, &words);
                }
                None => self.item(Key::LackVersion, &words),
            }
        }
        self.heading(Key::HeadInstall);
        self.blocks.push(Block::Paragraph(lack.install.clone()));
    }

    fn stages(&mut self, server: &ServerFacts) {
        if let Some(stage) = server.stage {
            self.heading(Key::HeadStage);
            let windows = self.windows(stage);
            let (number, stages) = (stage.number.to_string(), server.stages.to_string());
            let date = moment(stage.at);
            let words =
                [("stage", number.as_str()), ("stages", &stages), ("date", &date), ("windows", &windows)];
            self.paragraph(Key::StageNow, &words);
        }
        if server.ahead.is_empty() {
            return;
        }
        self.heading(match server.acts {
            Acts::Enforce => Key::HeadNext,
            Acts::Report => Key::HeadNextReport,
        });
        for stage in &server.ahead {
            let (windows, date, number) = (self.windows(*stage), moment(stage.at), stage.number.to_string());
            self.item(Key::StageNext, &[("date", &date), ("stage", &number), ("windows", &windows)]);
        }
    }

    fn test(&mut self, server: &ServerFacts) {
        self.heading(Key::HeadTest);
        self.paragraph(Key::TestHow, &[]);
        if let Some(build) = &server.build {
            self.paragraph(Key::TestJudge, &[("build", build)]);
        }
    }

    fn pause(&mut self, server: &ServerFacts, addressee: &Addressee) {
        let key = match addressee {
            // Machines get no letters.
            Addressee::Operator | Addressee::Webhook(_) => return,
            // A pause is the tenant's; whoever answers for a connector asks like a stranger.
            Addressee::Connector(_) | Addressee::Postmaster(_) => Key::PauseHow,
            Addressee::Tenant(_) => Key::PauseHowTenant,
        };
        self.heading(Key::HeadPause);
        self.paragraph(key, &[("contact", self.sender.contact), ("id", &server.id)]);
    }

    fn why(&mut self, addressee: &Addressee) {
        self.heading(Key::HeadWhy);
        match addressee {
            Addressee::Connector(name) => self.paragraph(Key::WhyConnector, &[("connector", name)]),
            Addressee::Operator | Addressee::Webhook(_) => self.paragraph(Key::WhyOperator, &[]),
            Addressee::Postmaster(domain) => {
                self.paragraph(Key::WhyPostmaster, &[("domain", domain.as_str())]);
            }
            Addressee::Tenant(name) => self.paragraph(Key::WhyTenant, &[("tenant", name)]),
        }
    }

    fn windows(&self, stage: StageFacts) -> String {
        let (throttle, block) = (stage.throttle_minutes.to_string(), stage.block_minutes.to_string());
        let key = match (stage.throttle_minutes, stage.block_minutes) {
            (0, 0) => Key::WindowNone,
            (_, 0) => Key::WindowThrottle,
            (0, MINUTES_PER_HOUR..) => Key::WindowAll,
            (0, _) => Key::WindowBlock,
            _ => Key::WindowBoth,
        };
        self.language.fill(key, &[("throttle", &throttle), ("block", &block)])
    }

    fn heading(&mut self, key: Key) {
        self.blocks.push(Block::Heading(self.language.text(key).to_owned()));
    }

    fn item(&mut self, key: Key, words: &[(&str, &str)]) {
        self.blocks.push(Block::Item(self.language.fill(key, words)));
    }

    fn paragraph(&mut self, key: Key, words: &[(&str, &str)]) {
        let node = [("node", self.sender.node_name.as_str())];
        let all: Vec<(&str, &str)> = words.iter().chain(&node).copied().collect();
        self.blocks.push(Block::Paragraph(self.language.fill(key, &all)));
    }
}

impl Letter {
    /// Lines that end in LF, folded for a window of 78 columns.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut before: Option<&Block> = None;
        let is_item = |block: &Block| matches!(block, Block::Item(_) | Block::Code(_));
        for block in &self.blocks {
            let is_close = before.is_none_or(|before| {
                matches!(before, Block::Heading(_)) || (is_item(before) && is_item(block))
            });
            if !is_close {
                text.push('\n');
            }
            before = Some(block);
            match block {
                Block::Code(code) => folded(&mut text, code, "    "),
                Block::Heading(heading) => {
                    text.push_str(&format!("{heading}\n{}\n", "-".repeat(heading.chars().count())));
                }
                Block::Item(item) => folded(&mut text, item, "  "),
                Block::Paragraph(paragraph) => folded(&mut text, paragraph, ""),
            }
        }
        text
    }

    /// A whole document without scripts, pictures or anything that is fetched.
    pub fn html(&self) -> String {
        let mut html = format!(
            "<!doctype html>\n<html lang=\"{}\">\n<head><meta charset=\"utf-8\"><title>{}</title></head>\n\
             <body style=\"font-family:sans-serif;line-height:1.5;max-width:45em;margin:1em auto;padding:0 1em\">\n",
            self.language.tag(),
            escaped(&self.subject)
        );
        let mut in_list = false;
        for block in &self.blocks {
            let is_item = matches!(block, Block::Item(_));
            if is_item != in_list {
                html.push_str(if is_item { "<ul>\n" } else { "</ul>\n" });
                in_list = is_item;
            }
            let line = match block {
                Block::Code(code) => format!(
                    "<pre style=\"white-space:pre-wrap;overflow-wrap:anywhere\">{}</pre>\n",
                    escaped(code)
                ),
                Block::Heading(heading) => {
                    format!("<h2 style=\"font-size:1.1em\">{}</h2>\n", escaped(heading))
                }
                Block::Item(item) => format!("<li>{}</li>\n", escaped(item.trim_start())),
                Block::Paragraph(paragraph) => format!("<p>{}</p>\n", escaped(paragraph)),
            };
            html.push_str(&line);
        }
        if in_list {
            html.push_str("</ul>\n");
        }
        html.push_str("</body>\n</html>\n");
        html
    }
}

/// By its greeting name, which its owner knows, or its address.
fn name_of(server: &ServerFacts) -> String {
    server.greeting_name.clone().unwrap_or_else(|| server.address.to_string())
}

fn stage_number(server: &ServerFacts) -> String {
    server.stage.map_or_else(String::new, |stage| stage.number.to_string())
}

/// The same in every language.
fn day(at: Timestamp) -> String {
    time::date_of(at).to_string()
}

fn moment(at: Timestamp) -> String {
    let zoned = at.to_zoned(time::TimeZone::UTC);
    format!("{} {:02}:{:02} UTC", zoned.date(), zoned.hour(), zoned.minute())
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(HEADER_SHOWN_OCTETS_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn folded(text: &mut String, paragraph: &str, indent: &str) {
    let mut column = 0;
    for word in paragraph.split_ascii_whitespace() {
        let length = word.chars().count();
        if column == 0 {
            text.push_str(indent);
            column = indent.len();
        } else if column + 1 + length > COLUMNS {
            text.push('\n');
            text.push_str(indent);
            column = indent.len();
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}

fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

/// RFC 5322 2.1.1: should be no more.
const COLUMNS: usize = 78;
const MINUTES_PER_HOUR: u8 = 60;

#[cfg(test)]
mod tests;

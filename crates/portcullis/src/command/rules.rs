//! `rules`: the virtual patches in use, and a look at a pack before it is.

use pc_config::Config;
use pc_http::patches::{Listed, Pack, RuleMode};
use pc_httpd::Rules as EdgeRules;
use pc_types::{Date, time};
use serde_json::{Value, json};

use super::{Context, moment, servers};
use crate::cli::Rules;
use crate::exit::{BAD, Failure};
use crate::output::{print, print_json, table};
use crate::rule_pack::{self, PackRefusal};
use crate::web_edge;

pub async fn run(context: &Context, arguments: Rules) -> Result<u8, Failure> {
    match arguments {
        Rules::Check { file, now } => {
            let (config, now) = (context.load()?, moment(now.as_deref())?);
            let key = config.https.rule_pack_public_key.as_deref();
            let pack = rule_pack::read(&file, key);
            let in_use = rule_pack::look(&config, now)?.pack;
            let checked = pack.and_then(|pack| {
                rule_pack::check_dates(&pack, time::date_of(now))?;
                if pack.version < in_use.version {
                    return Err(PackRefusal::Older { in_use: in_use.version, offered: pack.version });
                }
                if pack.version == in_use.version && pack != in_use {
                    return Err(PackRefusal::Other(pack.version));
                }
                let rules = web_edge::rules(&config, pack);
                rules.unknown_rule().map_or(Ok(rules), |unknown| Err(PackRefusal::UnknownRule(unknown)))
            });
            let is_signed = key.is_some();
            Ok(told(context, &config, checked, is_signed, time::date_of(now)))
        }
        Rules::List { now } => {
            let (config, now) = (context.load()?, moment(now.as_deref())?);
            list(context, &config, now).await
        }
    }
}

fn told(
    context: &Context,
    config: &Config,
    checked: Result<EdgeRules, PackRefusal>,
    is_signed: bool,
    today: Date,
) -> u8 {
    let rules = match checked {
        Ok(rules) => rules,
        Err(refusal) => {
            if context.json {
                print_json(&json!({ "refused": refusal.code(), "error": refusal.to_string() }));
            } else {
                print(&format!("The pack is refused: {refusal}"));
            }
            return BAD;
        }
    };
    if context.json {
        let mut value = described(config, &rules, today, &Value::Null);
        if let Some(object) = value.as_object_mut() {
            object.insert("signed".to_owned(), is_signed.into());
        }
        print_json(&value);
        return if is_signed { 0 } else { BAD };
    }
    print(&text(config, &rules, today, &Value::Null));
    if is_signed {
        return 0;
    }
    print(
        "\nIts signature was not looked at: no [https] rule_pack_public_key says whose packs are taken, and without one none is.",
    );
    BAD
}

async fn list(context: &Context, config: &Config, now: pc_types::Timestamp) -> Result<u8, Failure> {
    let found = rule_pack::look(config, now)?;
    let told = found.told();
    let is_refused = !found.refused.is_empty();
    let rules = web_edge::rules(config, found.pack);
    let hits = servers::ask(context, "GET", "/api/v1/web/tally?days=7", None).await?;
    let today = time::date_of(now);
    if context.json {
        let mut value = described(config, &rules, today, &hits);
        if let Some(object) = value.as_object_mut() {
            let refused = found.refused.iter().map(|(file, refusal)| {
                json!({ "file": file, "refused": refusal.code(), "error": refusal.to_string() })
            });
            object.insert("refused".to_owned(), refused.collect());
        }
        print_json(&value);
    } else {
        print(&format!(
            "{}{}.\n",
            told.get(..1).unwrap_or_default().to_uppercase(),
            told.get(1..).unwrap_or_default()
        ));
        print(&text(config, &rules, today, &hits));
    }
    Ok(if is_refused { BAD } else { 0 })
}

/// Hits of a rule on a site, acted upon and only reported.
fn hits_of(hits: &Value, site: &str, rule: &str) -> (u64, u64) {
    let count = |kind: &str| {
        let rows = hits.get("counts").and_then(Value::as_array).into_iter().flatten();
        let is_it = |row: &&Value| {
            [("site", site), ("kind", kind), ("code", rule)]
                .iter()
                .all(|(key, value)| row.get(key).and_then(Value::as_str) == Some(value))
        };
        rows.filter(is_it).filter_map(|row| row.get("count")?.as_u64()).sum()
    };
    (count("rule_acted"), count("rule_reported"))
}

fn default_mode(rule: &Listed<'_>) -> &'static str {
    match rule.mode {
        RuleMode::Block => "block",
        RuleMode::Report => "report",
    }
}

fn described(config: &Config, rules: &EdgeRules, today: Date, hits: &Value) -> Value {
    let Pack { version, published, expires, .. } = &rules.pack;
    let listed = rules.pack.listed().map(|rule| {
        let sites = config.sites.iter().map(|site| {
            let (acted, reported) = hits_of(hits, &site.name, rule.id);
            let mode = rules.mode(&site.name, &rule, today).map(pc_config::PatchMode::as_str);
            json!({ "site": site.name, "mode": mode, "hits": { "acted": acted, "reported": reported } })
        });
        json!({
            "id": rule.id,
            "cve": rule.cve,
            "title": rule.title,
            "expires": rule.expires.map(|day| day.to_string()),
            "expired": rule.is_expired(today),
            "mode": default_mode(&rule),
            "sites": sites.collect::<Vec<_>>(),
        })
    });
    json!({ "version": version, "published": published, "expires": expires, "rules": listed.collect::<Vec<_>>() })
}

fn text(config: &Config, rules: &EdgeRules, today: Date, hits: &Value) -> String {
    let mut rows = Vec::new();
    for rule in rules.pack.listed() {
        let expires = match rule.expires {
            Some(day) if rule.is_expired(today) => format!("{day} (over, reports)"),
            Some(day) => day.to_string(),
            None => "-".to_owned(),
        };
        let modes = config.sites.iter().map(|site| {
            let mode = rules.mode(&site.name, &rule, today).map_or("-", pc_config::PatchMode::as_str);
            format!("{}: {mode}", site.name)
        });
        let modes = if config.sites.is_empty() {
            default_mode(&rule).to_owned()
        } else {
            modes.collect::<Vec<_>>().join(", ")
        };
        let counts = config.sites.iter().map(|site| hits_of(hits, &site.name, rule.id));
        let (acted, reported) = counts.fold((0, 0), |(a, b), (acted, reported)| (a + acted, b + reported));
        rows.push(vec![
            rule.id.to_owned(),
            rule.cve.join(" "),
            modes,
            expires,
            acted.to_string(),
            reported.to_string(),
        ]);
    }
    let Pack { version, published, .. } = &rules.pack;
    format!(
        "Version {version}, published {published}. Hits are of the last seven days.\n\n{}",
        table(&["ID", "CVE", "MODE BY SITE", "LAST DAY", "ACTED", "REPORTED"], &rows)
    )
}

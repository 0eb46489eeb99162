//! The ladder as a drawing: stages over days, and the windows inside an hour. Inline SVG, no script;
//! colours come from the style sheet, every fact also stands in the text beside it.

use maud::{Markup, html};
use pc_store::TraceRow;
use pc_types::{Timestamp, time};

use crate::page::day_of;
use crate::view::ServerView;

const WIDTH: i64 = 960;
/// Day shown at the right edge: ten days into the last stage of the default schedule.
const DAYS_AFTER_LAST_STAGE: i64 = 10;

/// Stages with their dates, and where the server stands.
pub(crate) fn ladder(view: &ServerView, now: Timestamp) -> Markup {
    let (Some(first), Some(last)) = (view.stage_dates.first(), view.stage_dates.last()) else {
        return html! {};
    };
    let end = time::add_days(last.at, DAYS_AFTER_LAST_STAGE).max(time::add_days(now, 1));
    let span = (end.as_second() - first.at.as_second()).max(1);
    let x = |at: Timestamp| (at.as_second() - first.at.as_second()).clamp(0, span) * WIDTH / span;
    let starts: Vec<i64> = view.stage_dates.iter().map(|stage| x(stage.at)).collect();
    let ends = starts.iter().skip(1).copied().chain([WIDTH]);
    let today = x(now);
    let label = format!(
        "Ladder from {} to {}; today is day {} in stage {}",
        day_of(first.at),
        day_of(end),
        view.day,
        view.stage.unwrap_or(0)
    );
    html! {
        svg.ladder viewBox="0 0 960 134" role="img" aria-label=(label) {
            @for ((stage, from), to) in view.stage_dates.iter().zip(&starts).zip(ends) {
                @let held = stage.throttle_minutes + stage.block_minutes;
                g {
                    title { "Stage " (stage.stage) " from " (day_of(stage.at)) ": throttled " (stage.throttle_minutes) ", blocked " (stage.block_minutes) " minutes an hour" }
                    rect class=(format!("stage {}", stage_class(stage.throttle_minutes, stage.block_minutes)))
                        x=(from) y=(86 - i64::from(held)) width=((to - from - 2).max(1)) height=(i64::from(held) + 8) {}
                    text.number x=(from + (to - from) / 2) y="98" dominant-baseline="hanging" text-anchor="middle" { (stage.stage) }
                    @if to - from > 60 {
                        text.date x=(from + (to - from) / 2) y="116" dominant-baseline="hanging" text-anchor="middle" { (short_day(stage.at)) }
                    }
                }
            }
            line.today x1=(today) x2=(today) y1="8" y2="94" {}
            text.now x=(today.clamp(20, WIDTH - 20)) y="8" dominant-baseline="hanging" text-anchor=(if today > WIDTH / 2 { "end" } else { "start" }) dx=(if today > WIDTH / 2 { "-6" } else { "6" }) { "today" }
        }
    }
}

/// The hour with its windows.
pub(crate) fn hour(view: &ServerView) -> Markup {
    let windows = [
        ("block", view.start_minute, view.block_minutes),
        ("throttle", (view.start_minute + view.block_minutes) % 60, view.throttle_minutes),
    ];
    let label = format!(
        "Every hour: blocked for {} minutes and throttled for {} from minute {}",
        view.block_minutes, view.throttle_minutes, view.start_minute
    );
    html! {
        svg.hour viewBox="0 0 960 52" role="img" aria-label=(label) {
            rect.open x="0" y="4" width="960" height="18" {}
            @for (class, start, minutes) in windows {
                @let first = minutes.min(60 - start);
                @if first > 0 { rect class=(class) x=(i64::from(start) * 16) y="4" width=(i64::from(first) * 16) height="18" {} }
                @if minutes > first { rect class=(class) x="0" y="4" width=(i64::from(minutes - first) * 16) height="18" {} }
            }
            @for minute in [0, 15, 30, 45] {
                text.date x=(minute * 16 + 2) y="44" { ":" (format!("{minute:02}")) }
            }
        }
    }
}

fn stage_class(throttle_minutes: u8, block_minutes: u8) -> &'static str {
    match (throttle_minutes, block_minutes) {
        (0, 0) => "report",
        (_, 0) => "throttle",
        (0, _) => "block",
        _ => "both",
    }
}

fn short_day(at: Timestamp) -> String {
    day_of(at).get(5..).unwrap_or_default().to_owned()
}

/// A transaction from connect to the last reply: which part took how long.
pub(crate) fn transaction(row: &TraceRow) -> Markup {
    let Some(end) = row.steps.iter().map(|step| step.at_ms).max() else { return html! {} };
    let at = |name: &str| row.steps.iter().find(|step| step.step == name).map(|step| step.at_ms);
    // Each part ends where the next that took place begins.
    let starts = [
        ("connection", at("connect")),
        ("envelope", at("mail")),
        ("message", at("data")),
        ("handover", at("end_of_data")),
    ];
    let starts: Vec<(&str, u64)> = starts.iter().filter_map(|(name, at)| Some((*name, (*at)?))).collect();
    let ends = starts.iter().skip(1).map(|(_, at)| *at).chain([end]);
    let parts: Vec<(&str, u64, u64)> =
        starts.iter().zip(ends).map(|((name, from), to)| (*name, *from, to)).collect();
    let word = |name: &str| match name {
        "handover" => "judging and hand-over".to_owned(),
        name => name.to_owned(),
    };
    let spoken: Vec<String> = parts
        .iter()
        .map(|(name, from, to)| format!("{} {} ms", word(name), to.saturating_sub(*from)))
        .collect();
    let label = format!("From connect to the last reply {end} ms: {}", spoken.join(", "));
    let width = u64::try_from(WIDTH).unwrap_or(1);
    let x = |at: u64| at.min(end).saturating_mul(width) / end.max(1);
    html! {
        svg.transaction viewBox="0 0 960 60" role="img" aria-label=(label) {
            rect.open x="0" y="8" width="960" height="24" {}
            @for (name, from, to) in &parts {
                g {
                    title { (word(name)) " from " (from) " to " (to) " ms" }
                    rect class=(name) x=(x(*from)) y="8" width=(x(*to).saturating_sub(x(*from)).max(2)) height="24" {}
                }
            }
            text x="0" y="54" { "connect" }
            text x="960" y="54" text-anchor="end" { (end) " ms" }
        }
        p.key { @for ((name, ..), text) in parts.iter().zip(&spoken) { span class=(format!("swatch {name}")) {} " " (text) " " } }
    }
}

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

/// A longer wait for MAIL is left out of the drawing, so that the rest can be seen.
const DRAWN_WAIT_MS: u64 = 1_000;

/// A transaction from connect to the last reply: which part took how long.
pub(crate) fn transaction(row: &TraceRow) -> Markup {
    let Some(end) = row.steps.iter().map(|step| step.at_ms).max() else { return html! {} };
    let at = |name: &str| row.steps.iter().find(|step| step.step == name).map(|step| step.at_ms);
    let mail = at("mail").unwrap_or(0);
    let wait = mail.saturating_sub(at("greeting").unwrap_or(mail));
    let left_out = if wait > DRAWN_WAIT_MS { wait } else { 0 };
    // Each part ends where the next that took place begins.
    let starts = ["connect", "mail", "data", "end_of_data"].into_iter().zip(PARTS);
    let starts: Vec<(&Part, u64)> = starts
        .filter_map(|(step, part)| {
            Some((part, at(step)?.saturating_sub(if step == "connect" { 0 } else { left_out })))
        })
        .collect();
    let end = end.saturating_sub(left_out);
    let ends = starts.iter().skip(1).map(|(_, at)| *at).chain([end]);
    let parts: Vec<(&Part, u64, u64)> =
        starts.iter().zip(ends).map(|((part, from), to)| (*part, *from, to)).collect();
    let spoken: Vec<String> = parts
        .iter()
        .map(|(part, from, to)| format!("{} {} ms", part.words, to.saturating_sub(*from)))
        .collect();
    let label = format!("From connect to the last reply {end} ms: {}", spoken.join(", "));
    let width = WIDTH.unsigned_abs();
    let x = |at: u64| at.min(end).saturating_mul(width) / end.max(1);
    html! {
        svg.transaction viewBox="0 0 960 68" role="img" aria-label=(label) {
            rect.open x="0" y="8" width="960" height="24" {}
            @for (part, from, to) in &parts {
                g {
                    title { (part.words) ": " (to.saturating_sub(*from)) " ms" }
                    rect class=(part.class) x=(x(*from).min(width - 3)) y="8" width=(x(*to).saturating_sub(x(*from)).max(3)) height="24" {}
                }
            }
            text x="0" y="62" { "connect" }
            text x="960" y="62" text-anchor="end" { (end) " ms" }
        }
        p.key { @for ((part, ..), text) in parts.iter().zip(&spoken) { span class=(format!("swatch {}", part.class)) {} " " (text) " " } }
        @if left_out > 0 { p.key { "Left out: " (left_out) " ms in which the client kept the connection before MAIL." } }
    }
}

struct Part {
    class: &'static str,
    words: &'static str,
}

/// In the order of their first steps.
const PARTS: &[Part; 4] = &[
    Part { class: "connection", words: "connection" },
    Part { class: "envelope", words: "envelope" },
    Part { class: "message", words: "message" },
    Part { class: "handover", words: "judging and hand-over" },
];

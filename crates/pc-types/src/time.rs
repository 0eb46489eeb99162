//! Moments and dates. Every rule that needs the time takes it as an argument.

pub use jiff::civil::Date;
pub use jiff::tz::TimeZone;
pub use jiff::{SignedDuration, Timestamp};

/// The UTC calendar day of a moment.
pub fn date_of(moment: Timestamp) -> Date {
    moment.to_zoned(TimeZone::UTC).date()
}

/// Midnight UTC at the beginning of `date`.
///
/// # Errors
/// A date outside the years -9999 to 9999 minus one day has no such moment; `Timestamp::MAX` is
/// returned for it, which no catalogue or configuration date reaches.
pub fn start_of(date: Date) -> Timestamp {
    date.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

/// Whole days from `from` to `to`, negative when `to` comes first.
pub fn days_between(from: Date, to: Date) -> i64 {
    let seconds = start_of(to).as_second() - start_of(from).as_second();
    seconds / SECONDS_PER_DAY
}

/// `moment` plus `days` times 24 hours, kept inside the range of [`Timestamp`].
pub fn add_days(moment: Timestamp, days: i64) -> Timestamp {
    moment.saturating_add(SignedDuration::from_hours(days.saturating_mul(24))).unwrap_or(Timestamp::MAX)
}

/// `moment` plus `hours`, kept inside the range of [`Timestamp`].
pub fn add_hours(moment: Timestamp, hours: i64) -> Timestamp {
    moment.saturating_add(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MAX)
}

/// Formats a moment as an RFC 5322 section 3.3 date-time in UTC: `Mon, 23 Nov 2026 16:25:00 +0000`.
pub fn rfc5322(moment: Timestamp) -> String {
    let zoned = moment.to_zoned(TimeZone::UTC);
    let weekday = match zoned.weekday() {
        jiff::civil::Weekday::Monday => "Mon",
        jiff::civil::Weekday::Tuesday => "Tue",
        jiff::civil::Weekday::Wednesday => "Wed",
        jiff::civil::Weekday::Thursday => "Thu",
        jiff::civil::Weekday::Friday => "Fri",
        jiff::civil::Weekday::Saturday => "Sat",
        jiff::civil::Weekday::Sunday => "Sun",
    };
    let month = match zoned.month() {
        1 => "Jan",
        2 => "Feb",
        3 => "Mar",
        4 => "Apr",
        5 => "May",
        6 => "Jun",
        7 => "Jul",
        8 => "Aug",
        9 => "Sep",
        10 => "Oct",
        11 => "Nov",
        _ => "Dec",
    };
    format!(
        "{weekday}, {:02} {month} {:04} {:02}:{:02}:{:02} +0000",
        zoned.day(),
        zoned.year(),
        zoned.hour(),
        zoned.minute(),
        zoned.second()
    )
}

/// Reads the date of an HTTP field in the form that RFC 9110 5.6.7 asks senders for: `Mon, 23 Nov 2026 16:25:00 GMT`.
pub fn from_http_date(text: &str) -> Option<Timestamp> {
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    text.ends_with(" GMT").then_some(parsed)
}

const SECONDS_PER_DAY: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_counted_by_the_utc_calendar() {
        let evening: Timestamp = "2026-11-23T23:59:59Z".parse().unwrap();
        let date = date_of(evening);
        assert_eq!(date.to_string(), "2026-11-23");
        assert_eq!(days_between(date, date_of(add_days(evening, 90))), 90);
        assert_eq!(start_of(date).to_string(), "2026-11-23T00:00:00Z");
    }

    #[test]
    fn dates_of_http_are_in_gmt() {
        let moment = "2026-11-23T16:25:00Z".parse().ok();
        assert_eq!(from_http_date("Mon, 23 Nov 2026 16:25:00 GMT"), moment);
        for text in ["", "Mon, 23 Nov 2026 16:25:00 +0000", "Monday, 23-Nov-26 16:25:00 GMT", "GMT"] {
            assert_eq!(from_http_date(text), None, "{text}");
        }
    }

    #[test]
    fn rfc5322_dates_name_day_and_month_in_english() {
        let moment: Timestamp = "2026-11-03T06:05:04Z".parse().unwrap();
        assert_eq!(rfc5322(moment), "Tue, 03 Nov 2026 06:05:04 +0000");
    }
}

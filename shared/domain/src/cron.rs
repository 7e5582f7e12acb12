//! When something is to happen again and again: the five fields of crontab(5), in UTC.
//!
//! Minute, hour, day of the month, month, day of the week; each `*`, a value, a range or a list of those, a `*` or a
//! range with a step (`*/15`). Months and weekdays have names too. Where neither kind of day begins with `*`, a day
//! of either kind will do.

use std::fmt;
use std::str::FromStr;

use time::{Date, Duration, OffsetDateTime, Time};

/// After so many days the calendar is the same again, weekdays too.
const CYCLE: u32 = 146_097;

/// An expression that has ticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    /// Bit by value, as in all of them.
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// 0 is Sunday.
    weekdays: u64,
    either_day: bool,
}

/// Why a text is no such expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    #[error(
        "five fields are expected (minute, hour, day of the month, month, day of the week), not {0}"
    )]
    Fields(usize),
    #[error(
        "{text:?} is no {name}: values from {from} to {to}, ranges and lists of them, and `*/step` are expected"
    )]
    Field {
        text: String,
        name: &'static str,
        from: u8,
        to: u8,
    },
    #[error("no day is one of these")]
    Never,
}

/// One of the five.
struct Field {
    name: &'static str,
    from: u8,
    to: u8,
    /// Other ways to write the values, beginning with `from`.
    names: &'static [&'static str],
}

const MINUTE: Field = Field {
    name: "minute",
    from: 0,
    to: 59,
    names: &[],
};
const HOUR: Field = Field {
    name: "hour",
    from: 0,
    to: 23,
    names: &[],
};
const DAY: Field = Field {
    name: "day of the month",
    from: 1,
    to: 31,
    names: &[],
};
const MONTH: Field = Field {
    name: "month",
    from: 1,
    to: 12,
    names: &[
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ],
};
const WEEKDAY: Field = Field {
    name: "day of the week",
    from: 0,
    to: 7,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let fields: Vec<_> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(CronError::Fields(fields.len()));
        };
        let weekdays = WEEKDAY.parse(weekday)?;
        let cron = Self {
            text: fields.join(" "),
            minutes: MINUTE.parse(minute)?,
            hours: HOUR.parse(hour)?,
            days: DAY.parse(day)?,
            months: MONTH.parse(month)?,
            // 7 is Sunday as well.
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        match cron.next_after(OffsetDateTime::UNIX_EPOCH) {
            Some(_) => Ok(cron),
            None => Err(CronError::Never),
        }
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Cron {
    /// The first tick after this time; `None` only at the end of the calendar.
    pub fn next_after(&self, at: OffsetDateTime) -> Option<OffsetDateTime> {
        let from = minute_of(at)?.checked_add(Duration::MINUTE)?;
        let (mut date, mut hour, mut minute) = (from.date(), from.hour(), from.minute());
        for _ in 0..=CYCLE {
            if self.is_day(date)
                && let Some(time) = self.first_time(hour, minute)
            {
                return Some(date.with_time(time).assume_utc());
            }
            (date, hour, minute) = (date.next_day()?, 0, 0);
        }
        None
    }

    /// The last tick that is not after this time; `None` only at the beginning of the calendar.
    pub fn last_by(&self, at: OffsetDateTime) -> Option<OffsetDateTime> {
        let to = minute_of(at)?;
        let (mut date, mut hour, mut minute) = (to.date(), to.hour(), to.minute());
        for _ in 0..=CYCLE {
            if self.is_day(date)
                && let Some(time) = self.last_time(hour, minute)
            {
                return Some(date.with_time(time).assume_utc());
            }
            (date, hour, minute) = (date.previous_day()?, 23, 59);
        }
        None
    }

    fn is_day(&self, date: Date) -> bool {
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().number_days_from_sunday());
        has(self.months, date.month().into())
            && if self.either_day {
                day || weekday
            } else {
                day && weekday
            }
    }

    /// The first time of a day that is not before this one.
    fn first_time(&self, hour: u8, minute: u8) -> Option<Time> {
        let now = has(self.hours, hour)
            .then(|| first_from(self.minutes, minute))
            .flatten();
        match now {
            Some(minute) => time(hour, minute),
            None => time(
                first_from(self.hours, hour + 1)?,
                first_from(self.minutes, 0)?,
            ),
        }
    }

    /// The last time of a day that is not after this one.
    fn last_time(&self, hour: u8, minute: u8) -> Option<Time> {
        let now = has(self.hours, hour)
            .then(|| last_to(self.minutes, minute))
            .flatten();
        match now {
            Some(minute) => time(hour, minute),
            None => time(
                last_to(self.hours, hour.checked_sub(1)?)?,
                last_to(self.minutes, 59)?,
            ),
        }
    }
}

impl Field {
    fn parse(&self, text: &str) -> Result<u64, CronError> {
        let bits = text
            .split(',')
            .try_fold(0, |bits, item| Some(bits | self.item(item)?));
        bits.ok_or(CronError::Field {
            text: text.to_owned(),
            name: self.name,
            from: self.from,
            to: self.to,
        })
    }

    fn item(&self, text: &str) -> Option<u64> {
        let (range, step) = text
            .split_once('/')
            .map_or((text, None), |(range, step)| (range, Some(step)));
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.from, self.to),
            Some((from, to)) => (self.value(from)?, self.value(to)?),
            // A step goes along a range.
            None if step.is_some() => return None,
            None => (self.value(range)?, self.value(range)?),
        };
        let step = step.map_or(Some(1), |step| number(step).filter(|step| *step > 0))?;
        let bits = (from..=to)
            .step_by(step.into())
            .fold(0, |bits, value| bits | 1 << value);
        (bits != 0).then_some(bits)
    }

    fn value(&self, text: &str) -> Option<u8> {
        let named = (self.from..)
            .zip(self.names)
            .find(|(_, name)| name.eq_ignore_ascii_case(text));
        let value = named.map_or_else(|| number(text), |(value, _)| Some(value));
        value.filter(|value| (self.from..=self.to).contains(value))
    }
}

fn number(text: &str) -> Option<u8> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// The begun minute, in UTC.
fn minute_of(at: OffsetDateTime) -> Option<OffsetDateTime> {
    let at = at.checked_to_offset(time::UtcOffset::UTC)?;
    Some(at.replace_time(time(at.hour(), at.minute())?))
}

fn time(hour: u8, minute: u8) -> Option<Time> {
    Time::from_hms(hour, minute, 0).ok()
}

fn has(bits: u64, value: u8) -> bool {
    bits & 1 << value != 0
}

fn first_from(bits: u64, from: u8) -> Option<u8> {
    (from..64).find(|value| has(bits, *value))
}

fn last_to(bits: u64, to: u8) -> Option<u8> {
    (0..=to).rev().find(|value| has(bits, *value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    fn cron(text: &str) -> Cron {
        text.parse().expect("an expression")
    }

    #[test]
    fn ticks_are_those_of_crontab() {
        let at = datetime!(2026-11-25 12:34:56 UTC);
        for (text, last, next) in [
            (
                "* * * * *",
                datetime!(2026-11-25 12:34 UTC),
                datetime!(2026-11-25 12:35 UTC),
            ),
            (
                "0 * * * *",
                datetime!(2026-11-25 12:00 UTC),
                datetime!(2026-11-25 13:00 UTC),
            ),
            (
                "*/15 * * * *",
                datetime!(2026-11-25 12:30 UTC),
                datetime!(2026-11-25 12:45 UTC),
            ),
            (
                "34 12 * * *",
                datetime!(2026-11-25 12:34 UTC),
                datetime!(2026-11-26 12:34 UTC),
            ),
            (
                "30 3 * * *",
                datetime!(2026-11-25 03:30 UTC),
                datetime!(2026-11-26 03:30 UTC),
            ),
            (
                "0 9-17/4 * * mon-fri",
                datetime!(2026-11-25 09:00 UTC),
                datetime!(2026-11-25 13:00 UTC),
            ),
            (
                "0 0 * * 7",
                datetime!(2026-11-22 00:00 UTC),
                datetime!(2026-11-29 00:00 UTC),
            ),
            (
                "0 0 * * SUN",
                datetime!(2026-11-22 00:00 UTC),
                datetime!(2026-11-29 00:00 UTC),
            ),
            (
                "0 0 1 jan,jul *",
                datetime!(2026-07-01 00:00 UTC),
                datetime!(2027-01-01 00:00 UTC),
            ),
            (
                "59 23 31 12 *",
                datetime!(2025-12-31 23:59 UTC),
                datetime!(2026-12-31 23:59 UTC),
            ),
            (
                "0 0 29 2 *",
                datetime!(2024-02-29 00:00 UTC),
                datetime!(2028-02-29 00:00 UTC),
            ),
            // Either of the days; with a star both.
            (
                "0 0 13 * fri",
                datetime!(2026-11-20 00:00 UTC),
                datetime!(2026-11-27 00:00 UTC),
            ),
            (
                "0 0 13 * */5",
                datetime!(2026-11-13 00:00 UTC),
                datetime!(2026-12-13 00:00 UTC),
            ),
        ] {
            let cron = cron(text);
            assert_eq!(
                (cron.last_by(at), cron.next_after(at)),
                (Some(last), Some(next)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_tick_is_the_last_one_until_the_next() {
        let tick = datetime!(2026-11-25 12:00 UTC);
        let hourly = cron("0 * * * *");
        assert_eq!(hourly.last_by(tick), Some(tick));
        assert_eq!(hourly.next_after(tick), Some(tick + Duration::HOUR));
        let instant_before = tick - Duration::NANOSECOND;
        assert_eq!(hourly.last_by(instant_before), Some(tick - Duration::HOUR));
        assert_eq!(hourly.next_after(instant_before), Some(tick));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * 32 * *",
            "* * * 13 *",
            "* * * 0 *",
            "* * * * 8",
            "5-1 * * * *",
            "*/0 * * * *",
            "5/10 * * * *",
            "*/ * * * *",
            "1, * * * *",
            "-1 * * * *",
            "+1 * * * *",
            "1-2-3 * * * *",
            "a * * * *",
            "* * * foo *",
            "@hourly",
            "256 * * * *",
            "0 0 30 2 *",
            "0 0 31 2,4,6,9,11 *",
        ] {
            assert!(text.parse::<Cron>().is_err(), "{text:?}");
        }
        assert_eq!("0 0 30 2 *".parse::<Cron>(), Err(CronError::Never));
    }

    #[test]
    fn the_ends_of_the_calendar_have_no_tick_beyond() {
        let yearly = cron("0 0 1 1 *");
        assert_eq!(yearly.next_after(datetime!(9999-06-01 0:00 UTC)), None);
        assert_eq!(
            yearly.last_by(datetime!(-9999-01-01 0:00 UTC)),
            Some(datetime!(-9999-01-01 0:00 UTC))
        );
    }

    proptest! {
        #[test]
        fn nothing_lies_between_a_tick_and_the_next(
            minutes in prop::collection::btree_set(0_u8..60, 1..5),
            hours in prop::collection::btree_set(0_u8..24, 1..5),
            days in prop::collection::btree_set(1_u8..29, 1..9),
            seconds in 0_i64..4_000_000_000,
        ) {
            let list = |values: &std::collections::BTreeSet<u8>| {
                values.iter().map(u8::to_string).collect::<Vec<_>>().join(",")
            };
            let cron = cron(&format!("{} {} {} * *", list(&minutes), list(&hours), list(&days)));
            let at = OffsetDateTime::from_unix_timestamp(seconds).expect("in range");
            let (last, next) = (cron.last_by(at).expect("a tick"), cron.next_after(at).expect("a tick"));
            prop_assert!(last <= at && at < next);
            prop_assert_eq!(cron.next_after(last), Some(next));
            prop_assert_eq!(cron.last_by(next), Some(next));
            let is_tick = |at: OffsetDateTime| {
                minutes.contains(&at.minute()) && hours.contains(&at.hour()) && days.contains(&at.day())
            };
            prop_assert!(is_tick(last) && is_tick(next));
            let mut between = last + Duration::MINUTE;
            while between < next {
                prop_assert!(!is_tick(between), "{} is one", between);
                between += Duration::MINUTE;
            }
        }

        #[test]
        fn any_text_is_read_or_refused_and_what_is_shown_is_read_again(text in "[0-9*,/ a-z-]{0,24}") {
            if let Ok(cron) = text.parse::<Cron>() {
                prop_assert_eq!(cron.to_string().parse::<Cron>(), Ok(cron));
            }
        }
    }
}

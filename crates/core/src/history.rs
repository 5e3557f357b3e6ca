//! Points in the registry's history, as people name them: a commit, a time, or now.

use crate::registry::{self, Registry};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use std::fmt;
use std::str::FromStr;

/// A point in the registry's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The latest commit.
    Now,
    /// A commit; 0 is before the first.
    Commit(i64),
    /// The latest commit up to then; a time in whole seconds, as people read it, is all of that second.
    Time(DateTime<Utc>),
}

/// What is no point in the registry's history. Every one of these but the last is a usage error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither number nor time.
    #[error(
        "'{0}' is no commit: give a number, a time (2026-11-20 or 2026-11-20T14:30:00Z, UTC where it does not say), or now"
    )]
    Syntax(String),
    /// After the latest commit.
    #[error("there is no commit {asked} yet: the latest is {latest}")]
    NotYet {
        /// As it was asked for.
        asked: i64,
        /// The latest.
        latest: i64,
    },
    /// Before what the registry remembers.
    #[error(
        "the registry remembers nothing from before commit {first} ({at}): what was before is in the backup of an earlier registry, if there is one", at = stamp(*.at)
    )]
    Forgotten {
        /// Its first commit.
        first: i64,
        /// When that was made.
        at: DateTime<Utc>,
    },
    /// There are no commits.
    #[error("the registry has no commits yet: run `bifrost sync`")]
    Empty,
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

impl Error {
    /// Whether the question, not the registry, is at fault.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Registry(_))
    }
}

/// A time as people read it.
fn stamp(time: DateTime<Utc>) -> impl fmt::Display {
    time.format("%Y-%m-%d %H:%M:%S UTC")
}

impl FromStr for Point {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("now") || text.eq_ignore_ascii_case("head") {
            return Ok(Self::Now);
        }
        if let Ok(number) = text.parse::<u32>() {
            return Ok(Self::Commit(number.into()));
        }
        let day = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
        // as `bifrost status` prints it, and as psql does: +00, +0530
        let written = text.strip_suffix("UTC").map_or(text, str::trim_end).replacen(' ', "T", 1);
        // commits are told of in whole seconds, which were over when one was made
        let is_whole = !written.contains('.');
        let to_its_end = |time: DateTime<Utc>| {
            time + TimeDelta::microseconds(if is_whole { 999_999 } else { 0 })
        };
        DateTime::parse_from_rfc3339(&written)
            .or_else(|_| DateTime::parse_from_str(&written, "%Y-%m-%dT%H:%M:%S%.f%#z"))
            .map(|time| to_its_end(time.to_utc()))
            .or_else(|_| {
                let time = written.parse::<NaiveDateTime>();
                time.map(|time| to_its_end(time.and_utc()))
            })
            .or_else(|_| written.parse::<NaiveDate>().map(day))
            .map(Self::Time)
            .map_err(|_| Error::Syntax(text.to_owned()))
    }
}

/// The number of the commit at a point.
///
/// # Errors
/// [`Error`] where there is none, or where the registry no longer knows.
pub async fn commit_at(registry: &Registry, point: Point) -> Result<i64, Error> {
    let until = match point {
        Point::Time(time) => Some(time),
        _ => None,
    };
    let span = registry.span(until).await?.ok_or(Error::Empty)?;
    let (first, at) = span.first;
    match point {
        Point::Now => Ok(span.latest.0),
        Point::Commit(0) => Ok(0),
        Point::Commit(asked) if asked > span.latest.0 => {
            Err(Error::NotYet { asked, latest: span.latest.0 })
        }
        Point::Commit(asked) if asked < first => Err(Error::Forgotten { first, at }),
        Point::Commit(asked) => Ok(asked),
        Point::Time(_) => span.latest_then.ok_or(Error::Forgotten { first, at }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_numbers_times_or_now() {
        let point = |text: &str| text.parse::<Point>().ok();
        let at = |text: &str| Some(Point::Time(text.parse().expect("a time")));
        assert_eq!(point("7"), Some(Point::Commit(7)));
        assert_eq!((point("HEAD"), point("now")), (Some(Point::Now), Some(Point::Now)));
        assert_eq!(point("2026-11-20"), at("2026-11-20T00:00:00Z"));
        assert_eq!(point("2026-11-20T14:30:00+02:00"), at("2026-11-20T12:30:00.999999Z"));
        assert_eq!(point("2026-11-20 14:30:00.25"), at("2026-11-20T14:30:00.25Z"));
        assert_eq!(point("2026-11-20 14:30:00.250001+00"), at("2026-11-20T14:30:00.250001Z"));
        assert_eq!(point("2026-11-20 14:30:00+0530"), at("2026-11-20T09:00:00.999999Z"));
        assert_eq!(point("2026-11-20 14:30:00 UTC"), at("2026-11-20T14:30:00.999999Z"));
        assert_eq!(point("2026-11-20 14:30:00.0"), at("2026-11-20T14:30:00Z"));
        for wrong in ["", "-1", "7.5", "yesterday", "2026-13-01", "2026"].map(point) {
            assert!(wrong.is_none() || wrong == Some(Point::Commit(2026)), "{wrong:?}");
        }
    }
}

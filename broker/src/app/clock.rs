//! When GitHub's time counts, and when ours does. Pure.
//!
//! GitHub sends its time in the `Date` header. Anyone who answers in GitHub's place can send any time, and a replayed response
//! has an old one. So that time is evidence only near our own clock, which Lambda keeps accurate to the second.

use std::time::{Duration, SystemTime};

/// How far GitHub's time may be ahead of ours. An impostor could otherwise make us sign a JWT that becomes valid in the
/// future. Within this bound it gains a JWT that is valid for up to 15 minutes longer.
pub const MAX_AHEAD: Duration = Duration::from_mins(15);

/// How far GitHub's time may be behind ours for a JWT. A JWT for the past gains an impostor nothing: it has expired.
const MAX_BEHIND: Duration = Duration::from_hours(24);

/// How far the time of a response may be from ours, after a correction, to be the time at which GitHub granted a token.
const MAX_RESPONSE_AGE: Duration = Duration::from_mins(5);

/// What an invocation knows about the difference between GitHub's clock and ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clock {
    /// GitHub accepted our time, or was not asked yet.
    #[default]
    Ours,
    /// GitHub rejected our time, and a JWT with its time was signed: its clock is ahead by this much.
    Ahead(Duration),
    /// The same, with its clock behind.
    Behind(Duration),
}

impl Clock {
    /// The clock that follows GitHub's time, if that time is plausible.
    pub fn corrected(ours: SystemTime, github: SystemTime) -> Option<Self> {
        match github.duration_since(ours) {
            Ok(ahead) if ahead <= MAX_AHEAD => Some(Self::Ahead(ahead)),
            Err(error) if error.duration() <= MAX_BEHIND => Some(Self::Behind(error.duration())),
            _ => None,
        }
    }

    /// The time now, by this clock.
    pub fn now(self, ours: SystemTime) -> SystemTime {
        let now = match self {
            Self::Ours => Some(ours),
            Self::Ahead(by) => ours.checked_add(by),
            Self::Behind(by) => ours.checked_sub(by),
        };
        now.unwrap_or(ours)
    }

    /// The time at which GitHub sent a response: its `Date`, if that is near this clock, else this clock's time.
    pub fn response_time(self, ours: SystemTime, date: Option<SystemTime>) -> SystemTime {
        let now = self.now(ours);
        date.filter(|date| distance(*date, now) <= MAX_RESPONSE_AGE)
            .unwrap_or(now)
    }
}

fn distance(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other)
        .unwrap_or_else(|error| error.duration())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_mins(minutes)
    }

    const NOON: u64 = 1_000_000;

    #[test]
    fn correction_is_bounded() {
        let corrected = |minutes: u64| Clock::corrected(at(NOON), at(minutes)).is_some();
        for minutes in [NOON - 24 * 60, NOON - 1, NOON, NOON + 1, NOON + 15] {
            assert!(corrected(minutes), "{minutes}");
        }
        for minutes in [0, NOON - 24 * 60 - 1, NOON + 16, NOON + 23 * 60, NOON * 10] {
            assert!(!corrected(minutes), "{minutes}");
        }
    }

    #[test]
    fn corrected_clock_is_githubs() {
        for minutes in [NOON - 600, NOON, NOON + 14] {
            let clock = Clock::corrected(at(NOON), at(minutes)).unwrap();
            assert_eq!(clock.now(at(NOON)), at(minutes));
            assert_eq!(clock.now(at(NOON + 1)), at(minutes + 1));
        }
    }

    #[test]
    fn response_time_is_githubs_only_near_the_clock() {
        let skewed = Clock::corrected(at(NOON), at(NOON - 600)).unwrap();
        let ten_years = 10 * 365 * 24 * 60;
        let three_days = 3 * 24 * 60;
        for (clock, date, expected) in [
            (Clock::Ours, None, NOON),
            (Clock::Ours, Some(NOON + 4), NOON + 4),
            (Clock::Ours, Some(NOON - 5), NOON - 5),
            (Clock::Ours, Some(NOON + 6), NOON),
            (Clock::Ours, Some(NOON + ten_years), NOON),
            (Clock::Ours, Some(NOON - three_days), NOON),
            (skewed, None, NOON - 600),
            (skewed, Some(NOON - 598), NOON - 598),
            (skewed, Some(NOON), NOON - 600),
        ] {
            assert_eq!(
                clock.response_time(at(NOON), date.map(at)),
                at(expected),
                "{clock:?} {date:?}"
            );
        }
    }
}

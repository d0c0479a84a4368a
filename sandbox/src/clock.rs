//! Time: the system clock plus an offset, and the formats that GitHub and AWS write times in.
//!
//! GitHub has a clock of its own, so that a test can move it without moving the function's.

use std::time::{SystemTime, UNIX_EPOCH};

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// A clock that a test can move.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    offset: i64,
}

impl Clock {
    /// The current time in epoch seconds, offset included.
    pub fn now(self) -> i64 {
        epoch_millis() / 1000 + self.offset
    }

    /// Moves this clock by this number of seconds: forward, or back if negative.
    pub fn shift(&mut self, seconds: i64) {
        self.offset += seconds;
    }
}

/// Milliseconds since the epoch by the system clock: the unit of `Lambda-Runtime-Deadline-Ms`.
pub(crate) fn epoch_millis() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// `2026-11-23T18:45:00Z`, as GitHub writes `expires_at`.
pub(crate) fn rfc3339(epoch: i64) -> String {
    date_time(epoch).format(&Rfc3339).unwrap_or_default()
}

/// `Mon, 23 Nov 2026 18:45:00 GMT`, as HTTP writes `Date`.
pub(crate) fn http_date(epoch: i64) -> String {
    httpdate::fmt_http_date(date_time(epoch).into())
}

/// Parses `20261123T184500Z`, as AWS writes `X-Amz-Date`.
pub(crate) fn parse_amz_date(text: &str) -> Option<SystemTime> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let time = PrimitiveDateTime::parse(text, &format).ok()?;
    Some(time.assume_utc().into())
}

fn date_time(epoch: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(epoch).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_have_the_formats_of_http_github_and_aws() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(rfc3339(784_111_777), "1994-11-06T08:49:37Z");
        let parsed = parse_amz_date("19941106T084937Z");
        assert_eq!(parsed, Some(UNIX_EPOCH + Duration::from_secs(784_111_777)));
        assert_eq!(parse_amz_date("19941106"), None);
    }
}

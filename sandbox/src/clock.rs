//! The time of day, as the sandbox tells it. Comes in: the machine's clock and a shift. Goes out: epoch seconds and the
//! texts that HTTP, GitHub and AWS write times in. GitHub's must never be the machine's clock alone: a test moves it.

use std::time::{SystemTime, UNIX_EPOCH};

use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// A clock that a test can move.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    shift: i64,
}

impl Clock {
    /// Epoch seconds now, shift included.
    pub fn now(self) -> i64 {
        epoch_millis() / 1000 + self.shift
    }

    /// Moves this clock by so many seconds: ahead, or back when negative.
    pub fn shift(&mut self, seconds: i64) {
        self.shift += seconds;
    }
}

const AMZ_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

/// Milliseconds since the epoch by the machine's clock: what `Lambda-Runtime-Deadline-Ms` counts in.
pub(crate) fn epoch_millis() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// `2026-11-23T18:45:00Z`, as GitHub writes `expires_at`.
pub(crate) fn rfc3339(epoch: i64) -> String {
    moment(epoch).format(&Rfc3339).unwrap_or_default()
}

/// `Mon, 23 Nov 2026 18:45:00 GMT`, as HTTP writes `Date`.
pub(crate) fn http_date(epoch: i64) -> String {
    let form = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    moment(epoch).format(&form).unwrap_or_default()
}

/// `20261123T184500Z`, as AWS writes `X-Amz-Date`.
#[cfg(test)]
pub(crate) fn amz_date(epoch: i64) -> String {
    moment(epoch).format(&AMZ_DATE).unwrap_or_default()
}

/// Epoch seconds of `20261123T184500Z`, as AWS writes `X-Amz-Date`.
pub(crate) fn from_amz_date(text: &str) -> Option<i64> {
    let time = PrimitiveDateTime::parse(text, &AMZ_DATE).ok()?;
    Some(time.assume_utc().unix_timestamp())
}

fn moment(epoch: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(epoch).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_http_and_github_write_them() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(rfc3339(784_111_777), "1994-11-06T08:49:37Z");
        assert_eq!(from_amz_date("19941106T084937Z"), Some(784_111_777));
        assert_eq!(from_amz_date("19941106"), None);
    }
}

//! Points in time.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A point in time: whole milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This time `ms` milliseconds later, at most the end of time.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this; negative when this comes first.
    pub fn since_ms(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The time as AWS JSON prints it: seconds since 1970 with three decimals.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The time as RFC 3339 in UTC with milliseconds, such as `2026-11-24T15:04:05.123Z`.
    pub fn rfc3339(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => format!("{time:.3}"),
            Err(_) => format!("{}", self.0),
        }
    }

    /// The time as HTTP headers give it: `Tue, 24 Nov 2026 15:04:05 GMT`. Source: RFC 9110 §5.6.7.
    pub fn http_date(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(),
            Err(_) => format!("{}", self.0),
        }
    }

    /// The time an RFC 3339 text names; needs a zone, keeps whole milliseconds.
    pub fn parse(text: &str) -> Option<Timestamp> {
        // RFC 3339 leaves a blank for `T` to agreement; Step Functions takes only `T`.
        let time: jiff::Timestamp =
            text.parse().ok().filter(|_| text.as_bytes().get(10) == Some(&b'T'))?;
        Some(Timestamp(time.as_millisecond()))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_gives_the_day_of_the_week() {
        let time = Timestamp::parse("2026-11-24T15:04:05.120Z").map(Timestamp::http_date);
        assert_eq!(time.as_deref(), Some("Tue, 24 Nov 2026 15:04:05 GMT"));
    }

    #[test]
    fn prints_milliseconds_and_reads_them_back() {
        let text = "2026-11-24T15:04:05.120Z";
        assert_eq!(Timestamp::parse(text).map(Timestamp::rfc3339).as_deref(), Some(text));
        assert_eq!(Timestamp::parse("2026-11-24T15:04:05"), None);
    }
}

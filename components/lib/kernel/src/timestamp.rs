//! Point in time: UTC, to the millisecond.
//!
//! There is no `now` here. Times come with commands and are made by the host's clock.

use std::fmt;
use std::str::FromStr;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::state::text_or_raw;

/// Error for a text that is not an RFC 3339 time, or a time before 1970 or after the year 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time between 1970 and 9999 in RFC 3339 form, like 2026-11-22T10:15:30.000Z")]
pub struct InvalidTimestamp(String);

/// Milliseconds since 1970-01-01T00:00:00Z. In JSON an RFC 3339 text: `2026-11-22T10:15:30.000Z`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

text_or_raw!(Timestamp, u64, |at| at.0, Timestamp::from_ms);

impl Timestamp {
    /// 9999-12-31T23:59:59.999Z: the last time that RFC 3339 can write.
    const MAX_MS: u64 = 253_402_300_799_999;

    /// Creates the time that many milliseconds after the epoch; `None` if it is after the year 9999.
    #[must_use]
    pub fn from_ms(ms: u64) -> Option<Self> {
        (ms <= Self::MAX_MS).then_some(Self(ms))
    }

    /// Creates the time that many seconds after the epoch; `None` if it is after the year 9999.
    #[must_use]
    pub fn from_s(s: u64) -> Option<Self> {
        s.checked_mul(1000).and_then(Self::from_ms)
    }

    /// Returns the time that many seconds later, or the calendar's end if that is earlier. A deadline beyond the
    /// calendar then lies as late as can be written, and has not already passed.
    #[must_use]
    pub fn after_s(self, s: u64) -> Self {
        let ms = s.checked_mul(1000).and_then(|ms| self.0.checked_add(ms));
        ms.and_then(Self::from_ms).unwrap_or(Self(Self::MAX_MS))
    }

    /// Returns the milliseconds since the epoch.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// Formats the time in 24 characters.
    fn text(self) -> String {
        // Computed in seconds and milliseconds: nanoseconds would need 128-bit division, which WebAssembly does in
        // software.
        let seconds = i64::try_from(self.0 / 1000).unwrap_or_default();
        let millisecond = u32::try_from(self.0 % 1000).unwrap_or_default();
        // Every value of the type can be formatted, so none of these fallbacks is ever used.
        let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (hour, minute, second) = at.time().as_hms();
        let (year, month, day) = (at.year().unsigned_abs(), u8::from(at.month()), at.day());
        // Every event writes a timestamp. The digits are written by hand, because the formatter pads each number
        // separately.
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut write = |mut number: u32, places: std::ops::Range<usize>| {
            for digit in text[places].iter_mut().rev() {
                *digit += u8::try_from(number % 10).unwrap_or_default();
                number /= 10;
            }
        };
        write(year, 0..4);
        write(month.into(), 5..7);
        write(day.into(), 8..10);
        write(hour.into(), 11..13);
        write(minute.into(), 14..16);
        write(second.into(), 17..19);
        write(millisecond, 20..23);
        std::str::from_utf8(&text).unwrap_or_default().to_owned()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let invalid = || InvalidTimestamp(text.to_owned());
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| invalid())?;
        let whole = u64::try_from(at.unix_timestamp()).ok().and_then(|seconds| seconds.checked_mul(1000));
        let ms = whole.and_then(|ms| ms.checked_add(at.millisecond().into()));
        ms.and_then(Self::from_ms).ok_or_else(invalid)
    }
}

impl TryFrom<String> for Timestamp {
    type Error = InvalidTimestamp;

    fn try_from(text: String) -> Result<Self, InvalidTimestamp> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(at: Timestamp) -> String {
        at.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_later_than_the_calendar_is_at_its_end() {
        let (last, day_s) = (Timestamp::from_ms(Timestamp::MAX_MS).unwrap(), 86_400);
        let eve: Timestamp = "9999-12-30T00:00:00.000Z".parse().unwrap();
        assert_eq!(eve.after_s(day_s).to_string(), "9999-12-31T00:00:00.000Z");
        assert_eq!(eve.after_s(2 * day_s), last);
        assert_eq!([eve.after_s(u64::MAX), eve.after_s(u64::MAX / 1000), last.after_s(0)], [last; 3]);
    }

    #[test]
    fn times_are_written_in_utc_with_milliseconds() {
        let at: Timestamp = "2026-11-22T12:15:30.1234+02:00".parse().unwrap();
        assert_eq!(at.to_string(), "2026-11-22T10:15:30.123Z");
        assert_eq!(Timestamp::from_s(0).unwrap().to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_ms(Timestamp::MAX_MS).unwrap().to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        assert!("1969-12-31T23:59:59Z".parse::<Timestamp>().is_err());
        assert!("yesterday".parse::<Timestamp>().is_err());
        assert_eq!(Timestamp::from_ms(Timestamp::MAX_MS + 1), None);
        assert_eq!(Timestamp::from_s(u64::MAX), None);
    }
}

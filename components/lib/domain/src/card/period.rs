//! Calendar periods in UTC, by which limits count: the day, the week from Monday, the month and the year.

use clearfold_kernel::Timestamp;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Calendar period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// Day, from midnight to midnight.
    Day,
    /// Week, from Monday to Sunday.
    Week,
    /// Month.
    Month,
    /// Year.
    Year,
}

impl Period {
    /// Returns the number of the period that contains the time. Two times are in one period if their numbers are equal.
    #[must_use]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "times end with the year 9999, so every number is small"
    )]
    pub fn of(self, at: Timestamp) -> u64 {
        let day = at.as_ms() / DAY_MS;
        match self {
            Self::Day => day,
            // The first of January 1970 was a Thursday.
            Self::Week => (day + 3) / 7,
            Self::Month => {
                let (year, month) = year_and_month(at);
                year * 12 + month - 1
            }
            Self::Year => year_and_month(at).0,
        }
    }
}

/// Returns the calendar year and the month, from 1 to 12, in the Gregorian calendar.
#[must_use]
#[expect(clippy::arithmetic_side_effects, reason = "times end with the year 9999, so every number is small")]
pub fn year_and_month(at: Timestamp) -> (u64, u64) {
    // Days are counted from the first of March of the year 0, so that a leap day is the last one of its year; 400 years
    // have 146,097 days.
    let day = at.as_ms() / DAY_MS + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let year = year_of_era + 400 * era;
    if from_march < 10 { (year, from_march + 3) } else { (year + 1, from_march - 9) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    proptest! {
        #[test]
        fn year_and_month_are_those_that_the_time_is_written_with(ms in 0..253_402_300_799_999_u64) {
            let at = Timestamp::from_ms(ms).unwrap();
            let (year, month) = year_and_month(at);
            prop_assert_eq!(format!("{year:04}-{month:02}"), &at.to_string()[..7]);
        }
    }

    #[test]
    fn a_week_begins_on_monday_and_a_period_with_its_first_millisecond() {
        for (period, last, first) in [
            (Period::Week, "2026-11-22T23:59:59.999Z", "2026-11-23T00:00:00.000Z"),
            (Period::Day, "2026-11-22T23:59:59.999Z", "2026-11-23T00:00:00.000Z"),
            (Period::Month, "2028-02-29T23:59:59.999Z", "2028-03-01T00:00:00.000Z"),
            (Period::Year, "2026-12-31T23:59:59.999Z", "2027-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(period.of(at(last)) + 1, period.of(at(first)), "{period:?}");
        }
        assert_eq!(
            Period::Week.of(at("2026-11-16T00:00:00.000Z")),
            Period::Week.of(at("2026-11-22T23:59:59.999Z"))
        );
    }
}

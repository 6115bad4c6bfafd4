//! Figures as people read them, in errors and in the documents' tables.

use std::fmt;

/// Number of bytes, shown in the largest unit that divides it.
pub(super) struct Size(pub usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => write!(f, "{} MiB", bytes >> 20),
            bytes if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => write!(f, "{} KiB", bytes >> 10),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

/// Writes a number in groups of three digits, such as 10,000.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && place % 3 == first {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_threes() {
        let grouped_of = [0, 12, 123, 1_234, 123_456, 1_234_567].map(grouped);
        assert_eq!(grouped_of, ["0", "12", "123", "1,234", "123,456", "1,234,567"]);
    }

    #[test]
    fn a_size_has_the_largest_unit_that_divides_it() {
        let shown = [1, 1_024, 1_536, 65_600 << 10, 64 << 20].map(|bytes| Size(bytes).to_string());
        assert_eq!(shown, ["1 bytes", "1 KiB", "1536 bytes", "65600 KiB", "64 MiB"]);
    }
}

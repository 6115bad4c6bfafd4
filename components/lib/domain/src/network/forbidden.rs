//! Data of a card that must not be stored after the authorization (PCI DSS, requirement 3): the number in full, tracks,
//! PIN and security codes, known by the number or the name of their field and by their looks. Results of checks, and
//! tokens, are no such data.
//!
//! Field numbers are those of ISO 8583. In private fields other numbers count: there two subfields are known to carry a
//! printed code, and a private field as one text may, so it is not kept.

use std::ops::RangeInclusive;

/// Fields by their number in ISO 8583.
const NUMBERS: [(u16, &str); 8] = [
    (2, "a card's number"),
    (14, "an expiry date"),
    (35, "a track"),
    (36, "a track"),
    (45, "a track"),
    (52, "a PIN"),
    (55, "chip data"),
    (96, "a key or a security code"),
];

/// Subfields of private fields: Mastercard's CVC 2 and Visa's CVV2, from memory.
const SUBFIELDS: [(u16, u16); 2] = [(48, 92), (126, 10)];

/// Private fields that may carry a printed code somewhere in their text.
const TEXTS: [u16; 2] = [48, 126];

/// Names, without case and separators.
const NAMES: [(&str, &str); 33] = [
    ("pan", "a card's number"),
    ("primaryaccountnumber", "a card's number"),
    ("cardnumber", "a card's number"),
    ("expirydate", "an expiry date"),
    ("expirationdate", "an expiry date"),
    ("expmonth", "an expiry date"),
    ("expyear", "an expiry date"),
    ("track", "a track"),
    ("track1", "a track"),
    ("track2", "a track"),
    ("track3", "a track"),
    ("track1data", "a track"),
    ("track2data", "a track"),
    ("track3data", "a track"),
    ("trackdata", "a track"),
    ("magneticstripe", "a track"),
    ("magstripe", "a track"),
    ("pin", "a PIN"),
    ("pinblock", "a PIN"),
    ("pindata", "a PIN"),
    ("encryptedpin", "a PIN"),
    ("cvv", "a security code"),
    ("cvv2", "a security code"),
    ("cvc", "a security code"),
    ("cvc2", "a security code"),
    ("icvv", "a security code"),
    ("dcvv", "a security code"),
    ("cav2", "a security code"),
    ("csc", "a security code"),
    ("securitycode", "a security code"),
    ("iccdata", "chip data"),
    ("chipdata", "chip data"),
    ("emvdata", "chip data"),
];

/// Words before a field's number.
const PREFIXES: [&str; 6] = ["dataelement", "field", "bit", "de", "df", "f"];

/// Lengths of the numbers of cards of the networks that we issue for.
const LENGTHS: [usize; 2] = [16, 19];

/// Returns what of a card's data a field holds; `None` if it may be stored. The value may have been truncated before.
pub(super) fn what(path: &str, text: &str) -> Option<&'static str> {
    let mut within: Option<u16> = None;
    for name in path.split('.') {
        let plain = plain(name);
        let known = NAMES.iter().find(|(known, _)| *known == plain).map(|(_, what)| *what);
        let number = number(&plain);
        let by_number = match (within, number) {
            (None, Some(number)) => NUMBERS.iter().find(|(known, _)| *known == number).map(|(_, what)| *what),
            (Some(field), Some(number)) => SUBFIELDS.contains(&(field, number)).then_some("a security code"),
            (_, None) => None,
        };
        if let Some(what) = known.or(by_number) {
            return Some(what);
        }
        within = within.or(number);
    }
    is_track(text).then_some("a track")
}

/// Returns true if a field is a private one as one text, in which a printed code may stand that nobody finds.
pub(super) fn may_hide_a_code(path: &str) -> bool {
    number(&plain(path)).is_some_and(|field| TEXTS.contains(&field)) && !path.contains('.')
}

/// Returns a name without case and separators, and without the number of an element.
fn plain(name: &str) -> String {
    let name = name.split('[').next().unwrap_or_default();
    name.chars().filter(char::is_ascii_alphanumeric).map(|of| of.to_ascii_lowercase()).collect()
}

/// Returns the number of the field that a name without separators says it is: `55`, `de055`, `field55`.
fn number(plain: &str) -> Option<u16> {
    let digits = PREFIXES.iter().find_map(|prefix| plain.strip_prefix(prefix)).unwrap_or(plain);
    let is_number = (1..=3).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    if is_number { digits.parse().ok() } else { None }
}

/// Digits of a text, together or in groups with one blank or hyphen between two.
struct Run {
    /// Place of the first digit, and of the last one, in bytes.
    place: RangeInclusive<usize>,
    digits: String,
}

fn runs(text: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (at, digit) in text.char_indices().filter(|(_, char)| char.is_ascii_digit()) {
        let goes_on = |run: &&mut Run| {
            let since = text.as_bytes().get(*run.place.end()..at);
            matches!(since, Some([_] | [_, b' ' | b'-']))
        };
        match runs.last_mut().filter(goes_on) {
            Some(run) => {
                run.place = *run.place.start()..=at;
                run.digits.push(digit);
            }
            None => runs.push(Run { place: at..=at, digits: digit.to_string() }),
        }
    }
    runs
}

impl Run {
    /// Returns true if it reads as the number of a card of Visa or Mastercard: its beginning, length and check digit.
    fn is_card(&self) -> bool {
        const TWICE: [u32; 10] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
        let head = self.digits.get(..4).and_then(|head| head.parse::<u16>().ok());
        let is_ours = matches!(head, Some(4_000..=4_999 | 5_100..=5_599 | 2_221..=2_720));
        let digits = self.digits.chars().rev().filter_map(|char| char.to_digit(10));
        let sum: u32 = digits.zip([false, true].into_iter().cycle()).map(checked).sum();
        return is_ours && LENGTHS.contains(&self.digits.len()) && sum.is_multiple_of(10);

        fn checked((digit, is_doubled): (u32, bool)) -> u32 {
            let twice = usize::try_from(digit).ok().and_then(|digit| TWICE.get(digit).copied());
            if is_doubled { twice.unwrap_or_default() } else { digit }
        }
    }

    /// Returns its digits but the first six and the last four as stars.
    fn truncated(&self) -> String {
        let left = (0..self.digits.len()).rev();
        let digits = self.digits.chars().enumerate().zip(left);
        digits.map(|((place, digit), left)| if place < 6 || left < 4 { digit } else { '*' }).collect()
    }
}

/// Returns the text with each card's number in it reduced to its first six and last four digits, which may be stored.
pub(super) fn truncated(text: &str) -> String {
    let mut kept = text.to_owned();
    for run in runs(text).iter().rev().filter(|run| run.is_card() && !is_before_track(text, run)) {
        kept.replace_range(run.place.clone(), &run.truncated());
    }
    kept
}

/// Returns true if a card's number is followed by what follows it on a track.
fn is_track(text: &str) -> bool {
    runs(text).iter().any(|run| is_before_track(text, run) && run.is_card())
}

fn is_before_track(text: &str, run: &Run) -> bool {
    let behind = text.as_bytes().get(*run.place.end()..);
    matches!(behind, Some([_, b'=' | b'^' | b'D' | b'd', ..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = "4111111111111111";

    #[test]
    fn fields_are_known_by_number_and_by_name() {
        for path in
            ["2", "DE2", "de_002", "field.55", "Field 35", "bit52", "data.96", "iso.14", "48.92", "DE126.10"]
        {
            assert!(what(path, "x").is_some(), "{path}");
        }
        for path in [
            "pan",
            "PAN",
            "card.primary_account_number",
            "trackData",
            "Track-2",
            "tracks.track2[0]",
            "CVV2",
            "pin_block",
            "x.0.pin",
        ] {
            assert!(what(path, "x").is_some(), "{path}");
        }
        for path in [
            "22",
            "48.2",
            "48.14",
            "62.2",
            "tiers[2]",
            "DE61.10",
            "pan_entry_mode",
            "span",
            "pin_capability",
            "terminal",
        ] {
            assert_eq!(what(path, "x"), None, "{path}");
        }
        assert!(may_hide_a_code("DE48") && may_hide_a_code("126"));
        assert!(!may_hide_a_code("DE63") && !may_hide_a_code("48.2"));
    }

    #[test]
    fn a_number_is_known_by_its_looks() {
        for (text, kept) in [
            (CARD, "411111******1111"),
            ("5555-5555-5555-4444", "555555******4444"),
            ("x2223003122003222y", "x222300******3222y"),
            // Another check digit, another network, a reference of the acquirer, a time.
            ("4111111111111112", "4111111111111112"),
            ("3530111333300000", "3530111333300000"),
            ("74537604221431003881865", "74537604221431003881865"),
            ("2026-11-22 10:15:30", "2026-11-22 10:15:30"),
        ] {
            assert_eq!(truncated(text), kept);
            assert_eq!(what("note", text), None, "{text}");
        }
        for track in
            [format!(";{CARD}=29121010000"), format!("%B{CARD}^DOE/J^2912101"), format!("{CARD}D2912")]
        {
            assert_eq!(what("note", &track), Some("a track"));
            assert_eq!(truncated(&track), track, "it is refused, so nothing of it is kept");
        }
    }
}

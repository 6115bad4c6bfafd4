//! Data of a card that must not be stored after the authorization (PCI DSS, requirement 3): the number in full, tracks,
//! PIN and security codes, known by the number or the name of their field and by their looks. Results of checks, and
//! tokens, are no such data.
//!
//! Field numbers are those of ISO 8583. In private fields other numbers count: there two subfields are known to carry a
//! printed code, and a private field as one text may, so it is not kept.

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

/// Names, without case and separators: alone, or behind a word that ends with `card`.
const NAMES: [(&str, &str); 24] = [
    ("pan", "a card's number"),
    ("primaryaccountnumber", "a card's number"),
    ("cardnumber", "a card's number"),
    ("expirydate", "an expiry date"),
    ("expirymonth", "an expiry date"),
    ("expiryyear", "an expiry date"),
    ("expirationdate", "an expiry date"),
    ("expirationmonth", "an expiry date"),
    ("expirationyear", "an expiry date"),
    ("expdate", "an expiry date"),
    ("expmonth", "an expiry date"),
    ("expyear", "an expiry date"),
    ("track", "a track"),
    ("track1", "a track"),
    ("track2", "a track"),
    ("track3", "a track"),
    ("magneticstripe", "a track"),
    ("magstripe", "a track"),
    ("pin", "a PIN"),
    ("csc", "a security code"),
    ("verificationvalue", "a security code"),
    ("iccdata", "chip data"),
    ("chipdata", "chip data"),
    ("emvdata", "chip data"),
];

/// Ends of names that are no other word's.
const ENDS: [(&str, &str); 20] = [
    ("track1data", "a track"),
    ("track2data", "a track"),
    ("track3data", "a track"),
    ("trackdata", "a track"),
    ("pinblock", "a PIN"),
    ("pindata", "a PIN"),
    ("pinnumber", "a PIN"),
    ("encryptedpin", "a PIN"),
    ("cvv", "a security code"),
    ("cvv2", "a security code"),
    ("cvvcode", "a security code"),
    ("cvv2code", "a security code"),
    ("cvc", "a security code"),
    ("cvc2", "a security code"),
    ("cvccode", "a security code"),
    ("cvc2code", "a security code"),
    ("cav2", "a security code"),
    ("securitycode", "a security code"),
    ("cardverificationcode", "a security code"),
    ("cardverificationvalue", "a security code"),
];

/// Words before a field's number.
const PREFIXES: [&str; 6] = ["dataelement", "field", "bit", "de", "df", "f"];

/// Words before a subfield's number.
const SUBFIELD_PREFIXES: [&str; 4] = ["subelement", "subfield", "se", "sf"];

/// Lengths of the numbers of cards of the networks that we issue for.
const LENGTHS: [usize; 2] = [16, 19];

/// Returns what of a card's data a field holds; `None` if it may be stored, once it is truncated.
pub(super) fn what(path: &str, text: &str) -> Option<&'static str> {
    let mut within: Option<u16> = None;
    for name in path.split('.') {
        if let Some(what) = by_name(&plain(name)) {
            return Some(what);
        }
        for number in numbers(name, within.is_some()) {
            let by_number = match within {
                None => NUMBERS.iter().find(|(known, _)| *known == number).map(|(_, what)| *what),
                Some(field) => SUBFIELDS.contains(&(field, number)).then_some("a security code"),
            };
            if by_number.is_some() {
                return by_number;
            }
            within = within.or(Some(number));
        }
    }
    (is_track(path) || is_track(text)).then_some("a track")
}

/// Returns what of a card's data stands in a text, whatever its field is.
pub(super) fn in_text(text: &str) -> Option<&'static str> {
    if is_track(text) { Some("a track") } else { cards(text).first().map(|_| "a card's number") }
}

/// Returns true if a field is a private one as one text, in which a printed code may stand that nobody finds.
pub(super) fn may_hide_a_code(path: &str) -> bool {
    let mut found = Vec::new();
    for name in path.split('.') {
        if !found.is_empty() {
            return false;
        }
        found = numbers(name, false);
    }
    matches!(found[..], [field] if TEXTS.contains(&field))
}

fn by_name(plain: &str) -> Option<&'static str> {
    let is_whole =
        |known| plain.strip_suffix(known).is_some_and(|head| head.is_empty() || head.ends_with("card"));
    let whole = NAMES.iter().find(|(known, _)| is_whole(*known));
    whole.or_else(|| ENDS.iter().find(|(known, _)| plain.ends_with(known))).map(|(_, what)| *what)
}

/// Returns a name without case and separators, and without the number of an element.
fn plain(name: &str) -> String {
    let name = without_element(name).chars().filter(char::is_ascii_alphanumeric);
    name.map(|of| of.to_ascii_lowercase()).collect()
}

fn without_element(name: &str) -> &str {
    let element = |name: &str| {
        let (before, number) = name.strip_suffix(']')?.rsplit_once('[')?;
        number.bytes().all(|digit| digit.is_ascii_digit()).then_some(before.len())
    };
    let mut name = name;
    while let Some(before) = element(name).and_then(|length| name.get(..length)) {
        name = before;
    }
    name
}

/// Returns the numbers of the field, and of the subfields, that a name says it is: `55`, `de055`, `field_55`, `DE48_92`.
fn numbers(name: &str, is_subfield: bool) -> Vec<u16> {
    let name = without_element(name);
    let mut words = name.split(|char: char| char.is_ascii_digit()).map(plain).enumerate();
    let is_prefix = |(place, word): (usize, String)| {
        let word = word.as_str();
        word.is_empty()
            || PREFIXES.contains(&word)
            || ((is_subfield || place > 0) && SUBFIELD_PREFIXES.contains(&word))
    };
    if !words.all(is_prefix) {
        return Vec::new();
    }
    let groups = name.split(|char: char| !char.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let numbers: Option<Vec<u16>> =
        groups.map(|digits| if digits.len() <= 3 { digits.parse().ok() } else { None }).collect();
    numbers.unwrap_or_default()
}

/// Digit of a text, with its place in bytes.
type Digit = (usize, u32);

/// Returns the digits of a text that stand together, or in groups with one blank or hyphen between two.
fn runs(text: &str) -> Vec<Vec<Digit>> {
    let mut runs: Vec<Vec<Digit>> = Vec::new();
    for (at, digit) in text.char_indices().filter_map(|(at, char)| Some((at, char.to_digit(10)?))) {
        let goes_on = |run: &&mut Vec<Digit>| {
            let since = run.last().and_then(|(last, _)| text.as_bytes().get(*last..at));
            matches!(since, Some([_] | [_, b' ' | b'-']))
        };
        match runs.last_mut().filter(goes_on) {
            Some(run) => run.push((at, digit)),
            None => runs.push(vec![(at, digit)]),
        }
    }
    runs
}

/// Returns the numbers of cards in a text, whatever digits stand beside them. Two may have digits in common, since a date
/// before a number can read as its beginning.
fn cards(text: &str) -> Vec<Vec<Digit>> {
    let all = |run: Vec<Digit>| {
        let of_length = |length: &usize| run.windows(*length).map(<[Digit]>::to_vec).collect::<Vec<_>>();
        LENGTHS.iter().flat_map(of_length).filter(|digits| is_card(digits)).collect::<Vec<_>>()
    };
    runs(text).into_iter().flat_map(all).collect()
}

/// Returns true if digits read as the number of a card of Visa or Mastercard: its beginning and check digit.
fn is_card(digits: &[Digit]) -> bool {
    const TWICE: [u32; 10] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
    let head =
        digits.iter().take(4).fold(0_u32, |head, (_, digit)| head.saturating_mul(10).saturating_add(*digit));
    let is_ours = matches!(head, 4_000..=4_999 | 5_100..=5_599 | 2_221..=2_720);
    let digits = digits.iter().rev().map(|(_, digit)| *digit);
    let sum: u32 = digits.zip([false, true].into_iter().cycle()).map(checked).sum();
    return is_ours && sum.is_multiple_of(10);

    fn checked((digit, is_doubled): (u32, bool)) -> u32 {
        let twice = usize::try_from(digit).ok().and_then(|digit| TWICE.get(digit).copied());
        if is_doubled { twice.unwrap_or_default() } else { digit }
    }
}

/// Returns the text with stars for the digits of each card's number but its first six and last four, which may be stored.
pub(super) fn truncated(text: &str) -> String {
    let mut hidden = std::collections::BTreeSet::new();
    for card in cards(text) {
        hidden.extend(card.iter().rev().skip(4).rev().skip(6).map(|(at, _)| *at));
    }
    text.char_indices().map(|(at, char)| if hidden.contains(&at) { '*' } else { char }).collect()
}

/// Returns a text as an answer may repeat it: no card's number in full, and no digit of a text with a track.
pub(super) fn shown(text: &str) -> String {
    if is_track(text) { text.replace(|char: char| char.is_ascii_digit(), "*") } else { truncated(text) }
}

/// Returns true if a card's number is followed by what follows it on a track.
fn is_track(text: &str) -> bool {
    cards(text).iter().any(|card| {
        let behind = card.last().and_then(|(last, _)| text.as_bytes().get(*last..));
        matches!(behind, Some([_, b'=' | b'^' | b'D' | b'd', ..]))
    })
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
    }

    #[test]
    fn a_private_field_as_one_text_is_known_at_any_level() {
        for path in ["DE48", "126", "iso.48", "raw.DE126", "48[0]", "iso.message.de_048"] {
            assert!(may_hide_a_code(path), "{path}");
        }
        for path in ["DE63", "48.2", "63.48", "DE48_2", "iso.48.tcc"] {
            assert!(!may_hide_a_code(path), "{path}");
        }
        for path in
            ["48_92", "DE48_92", "de-126-10", "DE048SE92", "48.SE92", "iso.48.subfield_92", "x.126_10"]
        {
            assert_eq!(what(path, "x"), Some("a security code"), "{path}");
        }
    }

    #[test]
    fn names_are_known_by_their_end() {
        for path in [
            "expiry_month",
            "exp_date",
            "card_exp_date",
            "card_security_code",
            "cardVerificationValue",
            "cvc_code",
            "pin_number",
            "holder.customer_cvv2",
            "x[0]cvv2",
        ] {
            assert!(what(path, "x").is_some(), "{path}");
        }
        for path in
            ["expiry", "offer_exp_date", "loyalty_card_number", "spin", "soundtrack", "cvv_result", "sf2"]
        {
            assert_eq!(what(path, "x"), None, "{path}");
        }
    }

    #[test]
    fn a_number_is_known_whatever_digits_stand_beside_it() {
        for beside in
            ["{} 12/29", "2026-11-22 {}", "{} 123", "{}1229", "{}2912101", "1 {}", "12-{}-34", "99999{}"]
        {
            let text = beside.replace("{}", CARD);
            assert!(in_text(&text).is_some() && !truncated(&text).contains("11111111"), "{text}");
        }
        assert_eq!(truncated(&format!("{CARD} 12/29")), "411111******1111 12/29");
        assert_eq!(what("note", &format!("1 {CARD}=29121010000")), Some("a track"));
        assert_eq!(what(&format!("a.{CARD}=2912"), "x"), Some("a track"));
        assert_eq!(shown(&format!("1 {CARD}=2912x")), "* ****************=****x");
    }

    #[test]
    fn a_number_is_known_by_its_looks() {
        for (text, kept) in [
            (CARD, "411111******1111"),
            ("5555-5555-5555-4444", "5555-55**-****-4444"),
            ("x2223003122003222y", "x222300******3222y"),
            // A reference of the acquirer, part of which reads as a number.
            ("74537604221431003881865", "7453760******1003881865"),
            // Another check digit, another network, a reference, a time.
            ("4111111111111112", "4111111111111112"),
            ("3530111333300000", "3530111333300000"),
            ("74537604221432003881865", "74537604221432003881865"),
            ("2026-11-22 10:15:30", "2026-11-22 10:15:30"),
        ] {
            assert_eq!(truncated(text), kept);
            assert_eq!(what("note", text), None, "{text}");
        }
        for track in
            [format!(";{CARD}=29121010000"), format!("%B{CARD}^DOE/J^2912101"), format!("{CARD}D2912")]
        {
            assert_eq!(what("note", &track), Some("a track"));
        }
    }
}

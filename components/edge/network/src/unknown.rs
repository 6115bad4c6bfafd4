//! Fields that we do not know: found in a message, and kept as far as the domain keeps them.
//!
//! A network adds fields without asking, so an unknown one is no error. But an absent field may decide, so one that reads
//! like a misspelt field which is absent is refused: the payment would be decided otherwise, and nobody would notice.

use std::fmt;

use clearfold_domain::network::{Additional, NotKept};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::message::Kind;

/// Field that we know.
struct Field {
    name: &'static str,
    /// Kinds of messages that may be decided otherwise without it.
    decides: &'static [Kind],
    /// Members, if the field is an object whose members can be unknown too. All of them decide.
    members: &'static [&'static str],
}

const ALL: &[Kind] = &[
    Kind::Authorization,
    Kind::Increment,
    Kind::Advice,
    Kind::Reversal,
    Kind::Clearing,
    Kind::Refund,
    Kind::ClearingReversal,
    Kind::RefundReversal,
];

/// Kinds that become a request. An advice is one if it is about a credit.
const REQUESTS: &[Kind] = &[Kind::Authorization, Kind::Advice];

const fn fact(name: &'static str) -> Field {
    deciding(name, &[])
}

const fn deciding(name: &'static str, decides: &'static [Kind]) -> Field {
    Field { name, decides, members: &[] }
}

const fn object(name: &'static str, decides: &'static [Kind], members: &'static [&'static str]) -> Field {
    Field { name, decides, members }
}

/// All fields of a [`Message`](crate::message::Message).
const FIELDS: [Field; 31] = [
    deciding("message_id", ALL),
    deciding("transaction_id", ALL),
    deciding("processing_day", ALL),
    deciding("network", ALL),
    deciding("message_type", &[Kind::Authorization, Kind::Increment, Kind::Advice]),
    deciding("account", ALL),
    deciding("transmitted_at", ALL),
    object("amount", ALL, &["minor", "currency", "exponent"]),
    deciding("basis", &[Kind::Increment]),
    deciding("card", ALL),
    object("merchant", ALL, &["id", "name", "category", "country"]),
    object("presented", &[Kind::Authorization, Kind::Clearing], &["minor", "currency", "exponent", "rate"]),
    deciding("pos_entry", REQUESTS),
    object("checks", REQUESTS, &["pin", "cvv", "cryptogram", "expiry_date", "address", "three_ds", "token"]),
    deciding("partial_allowed", REQUESTS),
    deciding("cause", &[Kind::Reversal]),
    deciding("reference", &[Kind::Clearing]),
    deciding("record", &[Kind::ClearingReversal, Kind::RefundReversal]),
    object("sequence", &[Kind::Clearing], &["number", "count"]),
    deciding("transaction_type", ALL),
    deciding("processing_code", ALL),
    fact("additional_amounts"),
    fact("fees"),
    deciding("network_fees", &[Kind::Clearing, Kind::Refund]),
    fact("acquirer"),
    fact("forwarder"),
    fact("stan"),
    fact("retrieval_reference"),
    fact("approval_code"),
    fact("terminal"),
    object("original", ALL, &["message_type", "stan", "transmitted_at", "acquirer", "forwarder"]),
];

/// Fields of a message that we do not know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unknown {
    /// Fields that are kept.
    pub kept: Additional,
    /// Names of those that are too many, too long or too deep.
    pub left_out: Vec<String>,
}

/// Members of an object, in their order. A name that comes twice is an error.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut names = std::collections::BTreeSet::new();
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format!("the field {name:?} comes twice")));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Divides a message into JSON with the fields that we know, and those that we do not.
pub fn divided(kind: Kind, body: &[u8]) -> Result<(String, Unknown), String> {
    let (known, unknown) = of_level(read(body)?, |name| FIELDS.iter().find(|field| field.name == name))?;
    let absent = FIELDS.iter().filter(|field| field.decides.contains(&kind)).map(|field| field.name);
    not_misspelt(&unknown, absent.filter(|name| !has(&known, name)))?;
    let mut found = Unknown::default();
    for (name, value) in unknown {
        found.keep(&name, &value, 1)?;
    }
    let mut understood = Vec::new();
    for (name, value) in known {
        let field = FIELDS.iter().find(|field| field.name == name);
        let (members, decides) =
            field.map_or((&[][..], false), |field| (field.members, field.decides.contains(&kind)));
        if members.is_empty() || !value.get().starts_with('{') {
            understood.push((name, value));
            continue;
        }
        let (known, unknown) =
            of_level(read(value.get().as_bytes())?, |name| members.iter().find(|member| **member == name))?;
        // Members of a field that this kind does not read decide nothing.
        let absent = members.iter().copied().filter(|_| decides).filter(|name| !has(&known, name));
        not_misspelt(&unknown, absent)?;
        for (member, value) in unknown {
            found.keep(&format!("{name}.{member}"), &value, 2)?;
        }
        understood.push((name, raw(&Members(known))?));
    }
    Ok((serde_json::to_string(&Members(understood)).map_err(|error| error.to_string())?, found))
}

type Level = Vec<(String, Box<RawValue>)>;

fn of_level<T>(members: Level, known: impl Fn(&str) -> Option<T>) -> Result<(Level, Level), String> {
    Ok(members.into_iter().partition(|(name, _)| known(name).is_some()))
}

fn has(level: &Level, name: &str) -> bool {
    level.iter().any(|(known, _)| known == name)
}

fn read(object: &[u8]) -> Result<Level, String> {
    serde_json::from_slice::<Members>(object).map(|members| members.0).map_err(|error| error.to_string())
}

fn raw(members: &Members) -> Result<Box<RawValue>, String> {
    serde_json::value::to_raw_value(members).map_err(|error| error.to_string())
}

/// Refuses a field that reads like one which is absent.
fn not_misspelt<'a>(unknown: &Level, absent: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let absent: Vec<_> = absent.collect();
    for (name, _) in unknown {
        if let Some(meant) = absent.iter().find(|meant| reads_like(name, meant)) {
            return Err(format!(
                "the field {name:?} is not known, and reads like {meant:?}, which is absent and may decide; spell \
                 it so if it is meant, and otherwise rename it"
            ));
        }
    }
    Ok(())
}

/// Returns true if a name is the other one but for case, separators and one step. Letters before it make another word
/// (`preference` is no `reference`), and so does another letter in a short one (`cart` is no `card`).
fn reads_like(name: &str, meant: &str) -> bool {
    let plain = |name: &str| -> Vec<u8> {
        let letters = name.bytes().filter(u8::is_ascii_alphanumeric);
        letters.map(|letter| letter.to_ascii_lowercase()).collect()
    };
    let (name, meant) = (plain(name), plain(meant));
    if name == meant {
        return true;
    }
    match meant.len() {
        0..=3 => false,
        4 => is_exchanged(&name, &meant),
        _ => !name.ends_with(&meant) && is_one_step(&name, &meant),
    }
}

/// Returns true if one letter is added, left out or changed, or exchanged with its neighbour.
fn is_one_step(name: &[u8], meant: &[u8]) -> bool {
    let same = name.iter().zip(meant).take_while(|(left, right)| left == right).count();
    let (name, meant) = (&name[same..], &meant[same..]);
    let (less, other) = (name.get(1..), meant.get(1..));
    let is_changed = less.is_some() && less == other;
    less == Some(meant) || other == Some(name) || is_changed || is_exchanged(name, meant)
}

/// Returns true if two neighbours are exchanged, and all else is the same.
fn is_exchanged(name: &[u8], meant: &[u8]) -> bool {
    let same = name.iter().zip(meant).take_while(|(left, right)| left == right).count();
    match (&name[same..], &meant[same..]) {
        ([first, second, left @ ..], [third, fourth, right @ ..]) => {
            first == fourth && second == third && left == right
        }
        _ => false,
    }
}

/// Returns the members or elements of a value, each with its name; none of a text.
fn within(path: &str, value: &RawValue) -> Result<Level, String> {
    match value.get().as_bytes().first() {
        Some(b'{') => {
            let members = read(value.get().as_bytes())?.into_iter();
            Ok(members.map(|(name, value)| (format!("{path}.{name}"), value)).collect())
        }
        Some(b'[') => {
            let elements: Vec<Box<RawValue>> =
                serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
            let elements = elements.into_iter().enumerate();
            Ok(elements.map(|(place, value)| (format!("{path}[{place}]"), value)).collect())
        }
        _ => Ok(Level::new()),
    }
}

impl Unknown {
    /// Keeps a value: a text, or each member or element of it. Fails only if it must not be stored.
    fn keep(&mut self, path: &str, value: &RawValue, level: usize) -> Result<(), String> {
        if level > Additional::MOST_LEVELS {
            self.leave_out(path);
            return Ok(());
        }
        let inner = within(path, value)?;
        if inner.is_empty() {
            return self.keep_text(path, value);
        }
        inner.iter().try_for_each(|(path, value)| self.keep(path, value, level + 1))
    }

    fn leave_out(&mut self, path: &str) {
        self.left_out.push(Additional::shown(path));
    }

    fn keep_text(&mut self, path: &str, value: &RawValue) -> Result<(), String> {
        let text = match value.get().starts_with('"') {
            true => serde_json::from_str(value.get()).map_err(|error| error.to_string())?,
            false => value.get().to_owned(),
        };
        match self.kept.keep(path, &text) {
            Ok(()) => Ok(()),
            Err(forbidden @ NotKept::Forbidden { .. }) => Err(forbidden.to_string()),
            Err(
                NotKept::TooMany
                | NotKept::TooLong
                | NotKept::Name
                | NotKept::Twice { .. }
                | NotKept::Private { .. },
            ) => {
                self.leave_out(path);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(message: &Value) -> Result<(Value, Unknown), String> {
        as_kind(Kind::Authorization, message)
    }

    fn as_kind(kind: Kind, message: &Value) -> Result<(Value, Unknown), String> {
        let (known, unknown) = divided(kind, message.to_string().as_bytes())?;
        Ok((serde_json::from_str(&known).unwrap(), unknown))
    }

    #[test]
    fn what_is_not_known_is_set_aside_with_its_place() {
        let message = json!({
            "message_id": "m-1", "amount": {"minor": "1", "currency": "EUR", "exponent": 2, "sign": "D"},
            "loyalty": {"points": 12.50, "tiers": ["a", true, null], "none": {}}, "62.2": "123456789012345",
        });
        let (known, unknown) = of(&message).unwrap();
        let understood =
            json!({"message_id": "m-1", "amount": {"minor": "1", "currency": "EUR", "exponent": 2}});
        assert_eq!((known, unknown.left_out), (understood, Vec::<String>::new()));
        let kept = [
            ("62.2", "123456789012345"),
            ("amount.sign", "D"),
            ("loyalty.none", "{}"),
            ("loyalty.points", "12.5"),
            ("loyalty.tiers[0]", "a"),
            ("loyalty.tiers[1]", "true"),
            ("loyalty.tiers[2]", "null"),
        ];
        assert_eq!(unknown.kept.iter().collect::<Vec<_>>(), kept);
    }

    #[test]
    fn too_much_is_left_out_and_named() {
        let deep = json!({"a": {"b": {"c": {"d": {"e": 1}}}}, "48": "a", "iso": {"DE126": "b", "48": ["c"]}, "x": "y"});
        let (_, unknown) = of(&deep).unwrap();
        assert_eq!(unknown.left_out, ["48", "a.b.c.d.e", "iso.48[0]", "iso.DE126"]);
        assert_eq!(unknown.kept.iter().collect::<Vec<_>>(), [("x", "y")]);
        let many: serde_json::Map<_, _> = (0..70).map(|of| (format!("future_{of:02}"), json!(of))).collect();
        let (_, unknown) = of(&Value::Object(many)).unwrap();
        assert_eq!((unknown.kept.iter().count(), unknown.left_out.len()), (Additional::MOST, 6));
    }

    #[test]
    fn what_must_not_be_stored_is_refused_without_its_value() {
        for field in ["pan", "DE35", "Track2", "pin_block", "cvv2", "55"] {
            let refused = of(&json!({(field): "4929121212"})).unwrap_err();
            assert!(
                refused.contains(field) && refused.contains("PCI DSS") && !refused.contains("4929"),
                "{refused}"
            );
        }
        assert!(of(&json!({"merchant": {"id": "m", "card_number": "1"}})).is_err());
        assert!(of(&json!({"raw": {"message": {"52": "AB"}}})).is_err());
    }

    #[test]
    fn a_misspelt_field_does_not_decide_by_its_absence() {
        for (kind, field, meant) in [
            (Kind::Reversal, json!({"amuont": {}}), "amount"),
            (Kind::Clearing, json!({"Amount": {}}), "amount"),
            (Kind::Authorization, json!({"partialAllowed": true}), "partial_allowed"),
            (Kind::Authorization, json!({"transaction_typ": "cash"}), "transaction_type"),
            (Kind::Clearing, json!({"sequense": {}}), "sequence"),
            (Kind::Clearing, json!({"refernce": "arn"}), "reference"),
            (Kind::Clearing, json!({"network_fee": []}), "network_fees"),
            (Kind::Refund, json!({"networkFees": []}), "network_fees"),
            (Kind::Clearing, json!({"cadr": "c"}), "card"),
            (Kind::Authorization, json!({"checks": {"Pin": "not_matched"}}), "pin"),
        ] {
            let refused = as_kind(kind, &field).unwrap_err();
            assert!(refused.contains(&format!("reads like {meant:?}")), "{refused}");
        }
        // The field itself is there, or nothing is decided by it.
        let kept =
            json!({"amount": {}, "amount_total": "1", "amuont": "2", "stann": "1", "pos_entry_mode": "051"});
        assert_eq!(of(&kept).unwrap().1.kept.iter().count(), 4);
        assert!(divided(Kind::Clearing, br#"{"x": 1, "x": 2}"#).unwrap_err().contains("twice"));
    }

    #[test]
    fn a_name_like_one_that_the_kind_does_not_read_is_kept() {
        let fields = ["presence", "case", "cart", "preference", "presentd", "basic", "records", "check"];
        let message: serde_json::Map<_, _> =
            fields.iter().map(|name| ((*name).to_owned(), json!("x"))).collect();
        let (_, unknown) = as_kind(Kind::Refund, &json!({"presented": {"rat": "1"}, "x": "y"})).unwrap();
        assert_eq!(unknown.kept.iter().count(), 2);
        let clearing: serde_json::Map<_, _> =
            message.clone().into_iter().filter(|(name, _)| name != "presentd").collect();
        assert_eq!(as_kind(Kind::Clearing, &clearing.into()).unwrap().1.kept.iter().count(), 7);
        assert_eq!(as_kind(Kind::Refund, &Value::Object(message)).unwrap().1.kept.iter().count(), 8);
    }

    #[test]
    fn one_step_is_a_letter_or_two_that_are_exchanged() {
        for name in ["amuont", "amont", "ammount", "amaunt", "amounts", "amoun", "maount", "mount"] {
            assert!(reads_like(name, "amount"), "{name}");
        }
        for name in ["amnt", "amuonts", "amtuon", "paramount", "count_of", "a"] {
            assert!(!reads_like(name, "amount"), "{name}");
        }
    }

    #[test]
    fn a_name_that_is_a_cards_number_is_kept_and_answered_truncated() {
        let (card, short) = ("4111111111111111", "411111******1111");
        let (_, unknown) = of(&json!({"limits": {card: {"day": 1, "deep": {"x": {"y": 1}}}}})).unwrap();
        assert_eq!(unknown.kept.iter().collect::<Vec<_>>(), [(&*format!("limits.{short}.day"), "1")]);
        assert_eq!(unknown.left_out, [format!("limits.{short}.deep.x.y")]);
        let refused = of(&json!({card: {"pin": "1"}})).unwrap_err();
        assert!(refused.contains(short) && !refused.contains(card), "{refused}");
    }
}

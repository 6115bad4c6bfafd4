//! Fields that we do not know: found in a message, and kept as far as the domain keeps them.
//!
//! A network adds fields without asking, so an unknown one is no error. But an absent field may decide, so one that reads
//! like a misspelt field which is absent is refused: the payment would be decided otherwise, and nobody would notice.

use std::fmt;

use clearfold_domain::network::{Additional, NotKept};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Field that we know.
struct Field {
    name: &'static str,
    /// True if the payment may be decided otherwise without it.
    decides: bool,
    /// Members, if the field is an object whose members can be unknown too. All of them decide.
    members: &'static [&'static str],
}

const fn fact(name: &'static str) -> Field {
    Field { name, decides: false, members: &[] }
}

const fn deciding(name: &'static str) -> Field {
    Field { name, decides: true, members: &[] }
}

const fn object(name: &'static str, members: &'static [&'static str]) -> Field {
    Field { name, decides: true, members }
}

/// All fields of a [`Message`](crate::message::Message).
const FIELDS: [Field; 29] = [
    deciding("message_id"),
    deciding("transaction_id"),
    deciding("processing_day"),
    deciding("network"),
    deciding("account"),
    deciding("transmitted_at"),
    object("amount", &["minor", "currency", "exponent"]),
    deciding("basis"),
    deciding("card"),
    object("merchant", &["id", "name", "category", "country"]),
    object("presented", &["minor", "currency", "exponent", "rate"]),
    deciding("pos_entry"),
    object("checks", &["pin", "cvv", "cryptogram", "expiry_date", "address", "three_ds", "token"]),
    deciding("partial_allowed"),
    deciding("cause"),
    deciding("reference"),
    deciding("record"),
    object("sequence", &["number", "count"]),
    deciding("transaction_type"),
    deciding("processing_code"),
    fact("additional_amounts"),
    fact("fees"),
    fact("acquirer"),
    fact("forwarder"),
    fact("stan"),
    fact("retrieval_reference"),
    fact("approval_code"),
    fact("terminal"),
    object("original", &["message_type", "stan", "transmitted_at", "acquirer", "forwarder"]),
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
pub fn divided(body: &[u8]) -> Result<(String, Unknown), String> {
    let (known, unknown) = of_level(read(body)?, |name| FIELDS.iter().find(|field| field.name == name))?;
    let absent = FIELDS.iter().filter(|field| field.decides).map(|field| field.name);
    not_misspelt(&unknown, absent.filter(|name| !has(&known, name)))?;
    let mut found = Unknown::default();
    for (name, value) in unknown {
        found.keep(&name, &value, 1)?;
    }
    let mut understood = Vec::new();
    for (name, value) in known {
        let members = FIELDS.iter().find(|field| field.name == name).map_or(&[][..], |field| field.members);
        if members.is_empty() || !value.get().starts_with('{') {
            understood.push((name, value));
            continue;
        }
        let (known, unknown) =
            of_level(read(value.get().as_bytes())?, |name| members.iter().find(|member| **member == name))?;
        not_misspelt(&unknown, members.iter().copied().filter(|name| !has(&known, name)))?;
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

/// Returns true if a name is the other one but for case, separators and a few letters.
fn reads_like(name: &str, meant: &str) -> bool {
    let plain = |name: &str| -> Vec<u8> {
        let letters = name.bytes().filter(u8::is_ascii_alphanumeric);
        letters.map(|letter| letter.to_ascii_lowercase()).collect()
    };
    let (name, meant) = (plain(name), plain(meant));
    let allowed = match meant.len() {
        0..=3 => 0,
        4..=7 => 1,
        _ => 2,
    };
    name.len().abs_diff(meant.len()) <= allowed && distance(&name, &meant) <= allowed
}

/// Returns the number of letters that are added, left out, changed, or exchanged with their neighbour.
fn distance(left: &[u8], right: &[u8]) -> usize {
    let width = right.len() + 1;
    let mut rows = vec![(0..width).collect::<Vec<_>>()];
    for (row, letter) in left.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let changed = rows[row][column] + usize::from(letter != other);
            let mut least = changed.min(rows[row][column + 1] + 1).min(next[column] + 1);
            if row > 0 && column > 0 && letter == &right[column - 1] && &left[row - 1] == other {
                least = least.min(rows[row - 1][column - 1] + 1);
            }
            next.push(least);
        }
        rows.push(next);
    }
    rows[left.len()][right.len()]
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
            self.left_out.push(path.to_owned());
            return Ok(());
        }
        let inner = within(path, value)?;
        if inner.is_empty() {
            return self.keep_text(path, value);
        }
        inner.iter().try_for_each(|(path, value)| self.keep(path, value, level + 1))
    }

    fn keep_text(&mut self, path: &str, value: &RawValue) -> Result<(), String> {
        let text = match value.get().starts_with('"') {
            true => serde_json::from_str(value.get()).map_err(|error| error.to_string())?,
            false => value.get().to_owned(),
        };
        match self.kept.keep(path, &text) {
            Ok(()) => Ok(()),
            Err(forbidden @ NotKept::Forbidden { .. }) => Err(forbidden.to_string()),
            Err(NotKept::TooMany | NotKept::TooLong | NotKept::Name | NotKept::Private { .. }) => {
                self.left_out.push(path.to_owned());
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
        let (known, unknown) = divided(message.to_string().as_bytes())?;
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
        let deep = json!({"a": {"b": {"c": {"d": {"e": 1}}}}, "48": "a text", "x": "y"});
        let (_, unknown) = of(&deep).unwrap();
        assert_eq!(unknown.left_out, ["48", "a.b.c.d.e"]);
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
        for (field, meant) in [
            (json!({"amuont": {}}), "amount"),
            (json!({"Amount": {}}), "amount"),
            (json!({"partialAllowed": true}), "partial_allowed"),
            (json!({"transaction_typ": "cash"}), "transaction_type"),
            (json!({"sequense": {}}), "sequence"),
            (json!({"checks": {"Pin": "not_matched"}}), "pin"),
        ] {
            let refused = of(&field).unwrap_err();
            assert!(refused.contains(&format!("reads like {meant:?}")), "{refused}");
        }
        // The field itself is there, or nothing is decided by it.
        let kept =
            json!({"amount": {}, "amount_total": "1", "amuont": "2", "stann": "1", "pos_entry_mode": "051"});
        assert_eq!(of(&kept).unwrap().1.kept.iter().count(), 4);
        assert!(divided(br#"{"x": 1, "x": 2}"#).unwrap_err().contains("twice"));
    }

    #[test]
    fn letters_that_are_exchanged_are_one_step() {
        let of = |left: &str, right: &str| distance(left.as_bytes(), right.as_bytes());
        assert_eq!(
            [of("amuont", "amount"), of("amont", "amount"), of("", "ab"), of("ca", "abc")],
            [1, 1, 2, 3]
        );
    }
}

//! Canonical text of a payload: without white space, members in the order of their names, texts without needless
//! escapes. A client that writes a repeat anew has written the same.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Error;
use serde_json::value::RawValue;

/// Most values within each other; `serde_json` reads no more either.
const DEEPEST: usize = 127;

/// Members of an object by name, each of which occurs once.
struct Members<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = BTreeMap<Cow<'de, str>, &'de RawValue>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
                    if members.contains_key(&name) {
                        return Err(A::Error::custom(format!("the member `{name}` occurs twice")));
                    }
                    members.insert(name, value);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Each).map(Members)
    }
}

/// Returns the canonical text of a value. Numbers stay as they are written.
pub(super) fn canonical(value: &RawValue) -> Result<Vec<u8>, Error> {
    let mut text = Vec::with_capacity(value.get().len());
    write(value, DEEPEST, &mut text)?;
    Ok(text)
}

fn write(value: &RawValue, deeper: usize, out: &mut Vec<u8>) -> Result<(), Error> {
    let json = value.get();
    let within = || deeper.checked_sub(1).ok_or_else(|| Error::custom("values are nested too deep"));
    match json.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = serde_json::from_str(json)?;
            let deeper = within()?;
            each(members, out, *b"{}", |(name, value), out| {
                name.serialize(&mut serde_json::Serializer::new(&mut *out))?;
                out.push(b':');
                write(value, deeper, out)
            })
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(json)?;
            let deeper = within()?;
            each(items, out, *b"[]", |item, out| write(item, deeper, out))
        }
        Some(b'"') => {
            let text: Cow<'_, str> = serde_json::from_str(json)?;
            text.serialize(&mut serde_json::Serializer::new(out))
        }
        _ => {
            out.extend_from_slice(json.as_bytes());
            Ok(())
        }
    }
}

/// Writes items between two brackets, with commas.
fn each<T>(
    items: impl IntoIterator<Item = T>,
    out: &mut Vec<u8>,
    [open, close]: [u8; 2],
    mut item: impl FnMut(T, &mut Vec<u8>) -> Result<(), Error>,
) -> Result<(), Error> {
    out.push(open);
    for (index, next) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        item(next, out)?;
    }
    out.push(close);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Result<String, String> {
        let value: Box<RawValue> = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let bytes = canonical(&value).map_err(|error| error.to_string())?;
        String::from_utf8(bytes).map_err(|error| error.to_string())
    }

    #[test]
    fn white_space_order_and_escapes_are_no_content() {
        let once = text(r#"{"b": [1, {"d":null,"c":true}], "a": "C\u0061f\u00e9 \\u0000"}"#);
        assert_eq!(once.as_deref(), Ok(r#"{"a":"Café \\u0000","b":[1,{"c":true,"d":null}]}"#));
        assert_eq!(once, text("{\"a\":\"Café \\\\u0000\",\n \"b\":[1,{\"c\":true,\"d\":null}]}"));
    }

    #[test]
    fn numbers_stay_as_they_are_written() {
        assert_eq!(text("[18446744073709551617, 1.0, 1e2]").as_deref(), Ok("[18446744073709551617,1.0,1e2]"));
        assert_ne!(text("[1]"), text("[2]"));
    }

    #[test]
    fn a_member_twice_and_endless_nesting_are_refused() {
        assert!(text(r#"{"a":1,"\u0061":2}"#).unwrap_err().contains("`a` occurs twice"));
        let nested = |depth: usize| text(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
        assert!(nested(DEEPEST).is_ok());
        assert!(nested(DEEPEST + 1).unwrap_err().contains("too deep"));
    }
}

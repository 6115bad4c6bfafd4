//! Comparison of two JSON documents, member by member, so that a long payload need not be searched by eye.

use std::collections::BTreeSet;

use serde_json::Value;

/// Returns one sentence for each place that differs; the order of members does not matter.
pub(crate) fn differences(place: &str, expected: &Value, got: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(place, Some(expected), Some(got), &mut found);
    found
}

fn compare(place: &str, expected: Option<&Value>, got: Option<&Value>, found: &mut Vec<String>) {
    match (expected, got) {
        (expected, got) if expected == got => {}
        (Some(Value::Object(expected)), Some(Value::Object(got))) => {
            let names: BTreeSet<&String> = expected.keys().chain(got.keys()).collect();
            for name in names {
                compare(&format!("{place}.{name}"), expected.get(name), got.get(name), found);
            }
        }
        (Some(Value::Array(expected)), Some(Value::Array(got))) => {
            for index in 0..expected.len().max(got.len()) {
                compare(&format!("{place}[{index}]"), expected.get(index), got.get(index), found);
            }
        }
        (expected, got) => found.push(format!("{place}: expected {}, got {}", shown(expected), shown(got))),
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

/// Decodes bytes as text; invalid UTF-8 is replaced.
pub(crate) fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_place_that_differs_is_named_and_the_order_of_members_is_none() {
        let expected = json!({"a": 1, "b": {"c": "x", "gone": null}, "list": [1, 2]});
        let got = json!({"list": [1, 3, 4], "b": {"new": true, "c": "x"}, "a": 1});
        assert_eq!(
            differences("payload", &expected, &got),
            [
                "payload.b.gone: expected null, got nothing",
                "payload.b.new: expected nothing, got true",
                "payload.list[1]: expected 2, got 3",
                "payload.list[2]: expected nothing, got 4",
            ]
        );
        assert!(differences("payload", &expected, &expected.clone()).is_empty());
    }
}

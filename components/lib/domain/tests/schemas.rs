//! Tests that every message's example fits its schema, and that schema and type accept and reject the same payloads.

#![expect(clippy::unwrap_used, reason = "a test fails loudly, in its helpers too")]

use std::collections::BTreeSet;

use boon::{Compiler, Schemas};
use clearfold_domain::schema;
use clearfold_kernel::schema::{MessageSchema, Role};
use clearfold_kernel::{Encoded, Undecodable};
use serde_json::{Value, json};

fn all() -> Vec<MessageSchema> {
    schema::all().into_iter().flat_map(|(_, messages)| messages).collect()
}

fn find(name: &str, version: u32) -> MessageSchema {
    all().into_iter().find(|message| (message.name, message.version) == (name, version)).unwrap()
}

fn example(message: &MessageSchema) -> &Value {
    &message.document["examples"][0]
}

/// Returns the schema's validation error for a payload, if there is one.
fn complaint(message: &MessageSchema, payload: &Value) -> Option<String> {
    let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
    compiler.enable_format_assertions();
    compiler.add_resource("message.json", message.document.clone()).unwrap();
    let schema = compiler.compile("message.json", &mut schemas).unwrap();
    schemas.validate(payload, schema).err().map(|error| error.to_string())
}

/// Reads the payload with the message's type and writes it again.
fn rewritten(message: &MessageSchema, payload: &Value) -> Result<(Encoded, Value), Undecodable> {
    let encoded = message.rewrite(payload.to_string().as_bytes())?;
    let payload = serde_json::from_slice(&encoded.payload).unwrap();
    Ok((encoded, payload))
}

#[test]
fn every_example_fits_its_schema_and_survives_its_type() {
    for (_, messages) in schema::all() {
        for message in &messages {
            let title = &message.document["title"];
            assert_eq!(complaint(message, example(message)), None, "{title}");
            assert!(message.document["description"].is_string(), "{title} has no description");
            let (encoded, payload) = rewritten(message, example(message)).unwrap();
            let newest = messages.iter().find(|other| other.is_newest && other.name == message.name).unwrap();
            assert_eq!(encoded.schema_version, newest.version, "{title}");
            assert_eq!(complaint(newest, &payload), None, "{title}, as it is written today");
            if message.is_newest {
                assert_eq!(&payload, example(message), "{title}");
            }
        }
    }
}

#[test]
fn every_version_is_described() {
    let [first, second, third] = [1, 2, 3].map(|version| find("ClearingPosted", version));
    let newest = [&first, &second, &third].map(|message| message.is_newest);
    assert_eq!(newest, [false, false, true]);
    assert_eq!(third.document["title"], "ClearingPosted v3");
    assert!(complaint(&first, example(&second)).is_some() && complaint(&second, example(&first)).is_some());
    assert!(complaint(&third, example(&second)).is_some());
}

#[test]
fn no_two_messages_share_a_file() {
    for (aggregate, messages) in schema::all() {
        let mut seen = BTreeSet::new();
        for message in messages {
            let file = (message.name.to_lowercase(), message.version);
            assert!(seen.insert(file), "{aggregate} has {} twice", message.name);
        }
    }
}

/// Sets one field, found by its JSON pointer.
fn with(mut payload: Value, path: &str, value: Value) -> Value {
    *payload.pointer_mut(path).unwrap() = value;
    payload
}

#[test]
fn what_a_command_must_not_say_is_refused_by_schema_and_type_alike() {
    let swipe = find("RecordSwipe", 1);
    let hash_without_digits = json!(format!("0x{}", "g".repeat(64)));
    let wrong = [
        ("/account", json!("7b5e3f2a9c4d1e8f60a7b3c2d5e4f1a09b8c7d6e")),
        ("/account", json!("0x7b5e")),
        ("/amount/minor", json!(1)),
        ("/amount/minor", json!("")),
        ("/amount/minor", json!("01")),
        ("/amount/minor", json!("-1")),
        ("/amount/minor", json!("1.5")),
        ("/amount/minor", json!("1".repeat(40))),
        ("/amount/decimals", json!(256)),
        ("/amount/decimals", json!(-1)),
        ("/amount/asset", json!(null)),
        ("/source/block_hash", hash_without_digits),
        ("/source/chain_id", json!(-1)),
        ("/source/log_index", json!("33")),
        ("/occurred_at", json!("2026-11-22")),
        ("/occurred_at", json!("yesterday")),
        ("/occurred_at", json!(1_795_342_530)),
    ];
    for (path, value) in wrong {
        let payload = with(example(&swipe).clone(), path, value.clone());
        assert!(complaint(&swipe, &payload).is_some(), "the schema accepts {path} = {value}");
        assert!(rewritten(&swipe, &payload).is_err(), "the type accepts {path} = {value}");
    }
}

#[test]
fn what_a_command_says_too_much_or_too_little_is_refused_by_both() {
    for message in all().iter().filter(|message| message.role == Role::Command) {
        let title = &message.document["title"];
        let mut more = example(message).clone();
        more["note"] = json!("by hand");
        assert!(complaint(message, &more).is_some(), "the schema of {title} accepts {more}");
        assert!(rewritten(message, &more).is_err(), "the type of {title} accepts {more}");
        // Schema and type agree on which fields may be absent.
        for field in example(message).as_object().unwrap().keys() {
            let mut less = example(message).clone();
            less.as_object_mut().unwrap().remove(field);
            // Without a required field, the schema has no list of them.
            let required = message.document["required"].as_array();
            let required = required.is_some_and(|required| required.contains(&json!(field)));
            assert_eq!(complaint(message, &less).is_some(), required, "the schema of {title}: {less}");
            assert_eq!(rewritten(message, &less).is_err(), required, "the type of {title}: {less}");
        }
    }
}

#[test]
fn a_command_is_accepted_in_other_writings_and_its_event_has_one() {
    let swipe = find("RecordSwipe", 1);
    let recorded = find("SwipeRecorded", 1);
    let checksummed = json!("0x4822521E6135CD2599199c83Ea35179229A172EE");
    let with_offset = json!("2026-11-22T12:15:30.1234+02:00");
    for (path, value) in [("/account", checksummed), ("/occurred_at", with_offset)] {
        let payload = with(example(&swipe).clone(), path, value);
        assert_eq!(complaint(&swipe, &payload), None);
        assert!(complaint(&recorded, &payload).is_some(), "an event is never written so: {payload}");
        let (_, written) = rewritten(&swipe, &payload).unwrap();
        assert_eq!(complaint(&recorded, &written), None, "a swipe says what its event says");
    }
}

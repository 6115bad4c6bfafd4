//! Bytes of each decider's states, recorded for its state version in `states/`.
//!
//! A state's form has no names, so bytes of an older form could be read as another amount. A type that changes without
//! a new state version therefore fails here. After a change raise `STATE_VERSION`, give the recorded states the new
//! shape in a file of the new version's name, and let `RECORD_STATES=1 cargo test -p clearfold-domain --test states`
//! write their bytes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;

use clearfold_domain::account::Account;
use clearfold_domain::authorization::{
    Authorization, ClearingLinks, DisputeMoney, Fees, Links, RecordReversals, SingleMessage, UnlinkedRefund,
};
use clearfold_domain::card::Card;
use clearfold_domain::network::FieldText;
use clearfold_kernel::{Decider, ExternalId, Hash, Minor, decode_state, encode_state};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Variants that the recorded states must hold, with the key of the enum and the form that each variant has there. A
/// variant whose number changes unseen would be read as another one.
const VARIANTS: [(&str, &str, &[&str]); 23] = [
    (
        "authorization",
        "fate",
        &[
            "Posted",
            "Forced",
            "Suspended",
            "Refused",
            "Done",
            "Undecided",
            "Approved",
            "Declined",
            "Waiting",
            "Ended",
            "Moved",
            "Linked",
        ],
    ),
    ("authorization", "of", &["clearing", "refund"]),
    ("authorization", "basis", &["addition", "total"]),
    ("authorization", "outcome", &["paid", "taken_back", "returned", "matched"]),
    ("authorization", "is_back", &["true", "false"]),
    ("authorization", "entry", &["Requested", "Swiped", "Advised", "Forced"]),
    ("authorization", "subject", &["Nothing", "Payment", "Refund"]),
    ("authorization", "part", &["partial", "final", "sequence"]),
    ("authorization", "extent", &["full", "part"]),
    ("authorization", "hold", &["placed", "raised", "unchanged"]),
    ("authorization", "resolution", &["Open", "Resolved"]),
    ("authorization", "stage", &["new", "submitted", "representment", "pre_arbitration", "arbitration"]),
    (
        "authorization",
        "funding",
        &["None", "Unsubmitted", "Unconfirmed", "Included", "Finalized", "ExecReverted", "Dropped"],
    ),
    (
        "authorization",
        "status",
        &[
            "Requested",
            "Declined",
            "Recorded",
            "Authorized",
            "PartiallyAuthorized",
            "Advised",
            "Reversed",
            "Cleared",
            "Expired",
            "ClearedLate",
            "ForcePosted",
            "Linked",
            "Open",
            "Closed",
        ],
    ),
    (
        "authorization",
        "cycle",
        &["chargeback", "representment", "pre_arbitration", "arbitration", "withdrawal"],
    ),
    ("authorization", "direction", &["received", "paid", "credit", "debit"]),
    ("authorization", "kind", &["interchange", "scheme", "other"]),
    ("account", "assets_by", &["operator", "fact"]),
    ("account", "delay_queue", &["empty", "waiting"]),
    ("card", "status", &["open", "closed"]),
    ("card", "categories", &["all", "only", "all_but"]),
    ("card", "per", &["transaction", "day", "week", "month", "year", "all_time"]),
    ("card", "scope", &["categories", "merchants", "each_category", "each_merchant"]),
];

#[derive(Serialize, Deserialize)]
struct Recorded {
    state: Value,
    /// Binary form of the state, in hexadecimal digits.
    bytes: String,
}

#[test]
fn states_are_written_and_read_as_recorded_for_their_version() {
    recorded::<Account>();
    recorded::<Authorization>();
    recorded::<Card>();
}

#[test]
fn every_variant_of_a_state_is_recorded() {
    for (aggregate, key, variants) in VARIANTS {
        let mut found = BTreeSet::new();
        each_object(&states_of(aggregate), "", &mut |_, fields| {
            let value = fields.get(key);
            // A variant with fields is an object of one key.
            let variant = |value: &Value| match value {
                Value::Object(fields) => fields.keys().next().cloned().unwrap_or_default(),
                Value::String(name) => name.clone(),
                other => other.to_string(),
            };
            found.extend(value.map(variant));
        });
        for variant in variants {
            assert!(found.contains(*variant), "no {aggregate} is recorded with `{key}` {variant}: {found:?}");
        }
    }
    let mut is_known = false;
    each_object(&states_of("authorization"), "", &mut |_, fields| {
        is_known |= fields.get("Forced").is_some_and(|forced| forced["merchant"].is_object());
    });
    assert!(is_known, "no forced posting is recorded with its merchant");
}

#[test]
fn fields_of_one_type_are_recorded_with_different_values() {
    for aggregate in ["account", "authorization", "card"] {
        // By object and pair of fields: true if the values differ somewhere.
        let mut differs: BTreeMap<(String, String, String), bool> = BTreeMap::new();
        each_object(&states_of(aggregate), "", &mut |path, fields| {
            for (first, one) in fields {
                for (second, other) in fields.iter().filter(|(second, _)| *second > first) {
                    let pair = (path.to_owned(), first.clone(), second.clone());
                    if !one.is_null() && !one.is_boolean() {
                        *differs.entry(pair).or_default() |= one != other;
                    }
                }
            }
        });
        let same = differs.into_iter().filter(|(_, differs)| !differs).map(|(pair, _)| pair);
        let same: Vec<_> = same.collect();
        assert!(same.is_empty(), "{aggregate}: fields that are mixed up unseen: {same:?}");
    }
}

/// The saga reads memories of versions 10 to 15 as the head of the state: these bytes were written by them.
#[test]
fn a_state_of_an_older_version_is_the_head_of_one_of_now() {
    let newest = (None::<Box<UnlinkedRefund>>, Fees::default(), ClearingLinks::default(), None::<FieldText>);
    let money = BTreeMap::<ExternalId, DisputeMoney>::new();
    let newer = (SingleMessage::default(), money, None::<ExternalId>, newest.clone());
    let no_reversals = (RecordReversals::default(), newer.clone());
    let links = (Links::default(), BTreeMap::<String, Hash>::new(), None::<ExternalId>, no_reversals.clone());
    let no_links = encode_state(&links).unwrap();
    is_head(10, &[encode_state(&Minor::ZERO).unwrap(), no_links.clone()].concat());
    is_head(11, &no_links);
    is_head(12, &encode_state(&(None::<ExternalId>, no_reversals.clone())).unwrap());
    is_head(13, &encode_state(&no_reversals).unwrap());
    is_head(14, &encode_state(&newer).unwrap());
    is_head(15, &encode_state(&newest).unwrap());
}

fn is_head(version: u32, rest: &[u8]) {
    let path = format!("{}/tests/states/authorization.v{version}.json", env!("CARGO_MANIFEST_DIR"));
    let states: Vec<Recorded> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    for recorded in states {
        let bytes = [&hex::decode(&recorded.bytes).unwrap(), rest].concat();
        let mut shape = recorded.state;
        if version < 11 {
            shape["released"] = "0".into();
        }
        if version < 12 {
            shape["links"] = json!({"linked": null, "made": 0, "taken": {}});
            shape["paid_back_by"] = json!({});
        }
        if version < 13 {
            shape["expected"] = Value::Null;
        }
        if version < 14 {
            shape["record_reversals"] = json!({"known": {}, "named": {}, "named_by_refunds": {}});
        }
        if version < 15 {
            shape["single_message"] = json!({"is_requested": false, "advice": null, "early": {}});
            shape["dispute_money"] = json!({});
            shape["asked_by"] = Value::Null;
        }
        shape["beside"] = Value::Null;
        shape["fees"] = json!({"of_clearings": {}, "of_refunds": {}});
        shape["clearing_links"] =
            json!({"presented_at": null, "linked": null, "made": 0, "candidates": null, "taken": {}});
        shape["terminal"] = Value::Null;
        let expected = <Authorization as Decider>::State::deserialize(&shape).unwrap();
        assert_eq!(decode_state::<<Authorization as Decider>::State>(&bytes), Ok(expected));
    }
}

/// States of an aggregate, as they are recorded for the newest version in the folder.
fn states_of(aggregate: &str) -> Value {
    let folder = format!("{}/tests/states", env!("CARGO_MANIFEST_DIR"));
    let names = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let version = |name: &String| {
        let version = name.strip_prefix(&format!("{aggregate}.v"))?.strip_suffix(".json")?;
        version.parse::<u32>().ok()
    };
    let name = names.filter(|name| version(name).is_some()).max_by_key(version).unwrap();
    let states: Vec<Recorded> =
        serde_json::from_str(&fs::read_to_string(format!("{folder}/{name}")).unwrap()).unwrap();
    states.into_iter().map(|recorded| recorded.state).collect()
}

/// Visits every object with its path, in which the keys of maps are left out: what they hold is of one type.
fn each_object(value: &Value, path: &str, visit: &mut impl FnMut(&str, &serde_json::Map<String, Value>)) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| each_object(value, path, visit)),
        Value::Object(fields) => {
            let is_map = ["ledger", "pending", "owed_back", "unassigned", "taken", "paid_back_by"]
                .iter()
                .any(|map| path.ends_with(&format!(".{map}")))
                || fields.keys().any(|key| !key.chars().all(|c| c.is_ascii_alphabetic() || c == '_'));
            if !is_map {
                visit(path, fields);
            }
            for (key, value) in fields {
                let key = if is_map { "#" } else { key };
                each_object(value, &format!("{path}.{key}"), visit);
            }
        }
        _ => {}
    }
}

fn recorded<D: Decider>()
where
    D::State: PartialEq + Debug,
{
    let name = format!("tests/states/{}.v{}.json", D::AGGREGATE, D::STATE_VERSION);
    let path = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut states: Vec<Recorded> = serde_json::from_str(&text).unwrap();
    assert!(states.len() > 2, "{name} holds {} states", states.len());
    let is_recording = std::env::var_os("RECORD_STATES").is_some();
    for recorded in &mut states {
        let other = |what: &str| format!("{name}: {what}; raise the state version. {}", recorded.state);
        let state: D::State = D::State::deserialize(&recorded.state)
            .unwrap_or_else(|error| panic!("{}", other(&format!("the type has changed ({error})"))));
        let bytes = hex::encode(encode_state(&state).unwrap());
        if is_recording {
            recorded.bytes = bytes;
            continue;
        }
        assert_eq!(bytes, recorded.bytes, "{}", other("the bytes have changed"));
        assert_eq!(decode_state::<D::State>(&hex::decode(bytes).unwrap()), Ok(state));
    }
    if is_recording {
        let lines: Vec<String> = states.iter().map(|state| serde_json::to_string(state).unwrap()).collect();
        fs::write(&path, format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
    }
}

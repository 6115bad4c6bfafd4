//! Bytes of each decider's states, recorded for its state version in `states/`.
//!
//! A state's form has no names, so bytes of an older form could be read as another amount. A type that changes without
//! a new state version therefore fails here. After a change raise `STATE_VERSION`, give the recorded states the new
//! shape in a file of the new version's name, and let `RECORD_STATES=1 cargo test -p clearfold-domain --test states`
//! write their bytes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

use std::fmt::Debug;
use std::fs;

use clearfold_domain::account::Account;
use clearfold_domain::authorization::Authorization;
use clearfold_domain::card::Card;
use clearfold_kernel::{Decider, decode_state, encode_state};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

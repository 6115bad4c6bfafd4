//! Tests that data which grows with a stream is kept in the entries of its state, and that every message names the
//! entries that it needs.

#![expect(clippy::unwrap_used, reason = "a test fails loudly, in its helpers too")]

use clearfold_domain::account::Account;
use clearfold_domain::authorization::Authorization;
use clearfold_domain::card::Card;
use clearfold_kernel::schema::{Described, Role, of_decider};
use clearfold_kernel::{CommandContext, Decider, Encoded, StoredState, Timestamp, message_keys};
use serde_json::{Value, json};

/// Account of the examples.
const ACCOUNT: &str = "0x7b5e3f2a9c4d1e8f60a7b3c2d5e4f1a09b8c7d6e";

fn encoded(kind: &str, payload: &Value) -> Encoded {
    Encoded { kind: kind.into(), schema_version: 1, payload: payload.to_string().into_bytes() }
}

fn sent(command: Encoded) -> (CommandContext, Encoded) {
    let context = CommandContext {
        id: ACCOUNT.into(),
        routing_key: ACCOUNT.into(),
        actor: CommandContext::CHAIN.into(),
        accepted_at: "2026-11-24T00:00:00.000Z".parse::<Timestamp>().unwrap(),
    };
    (context, command)
}

/// Returns the examples of a decider's commands, or of its events, in the newest version.
fn examples<D: Decider>(role: Role) -> Vec<Encoded>
where
    D::Command: Described,
    D::Event: Described,
{
    let all = of_decider::<D>().into_iter().filter(|message| message.role == role && message.is_newest);
    all.map(|message| message.rewrite(message.document["examples"][0].to_string().as_bytes()).unwrap())
        .collect()
}

/// Checks every event, and every command both on an empty state and on each state that the events lead to.
fn names_what_it_needs<D: Decider>()
where
    D::Command: Described,
    D::Event: Described,
{
    let mut state = StoredState::default();
    let events = examples::<D>(Role::Event);
    for event in std::iter::once(None).chain(events.iter().map(Some)) {
        event.into_iter().for_each(|event| state.evolve::<D>(std::slice::from_ref(event)).unwrap());
        for command in examples::<D>(Role::Command) {
            let kind = command.kind.clone();
            let decided = state.clone().decide::<D>(vec![sent(command)]);
            assert!(decided.is_ok(), "{kind}: {decided:?}");
        }
    }
}

#[test]
fn every_message_names_the_entries_that_it_needs() {
    names_what_it_needs::<Account>();
    names_what_it_needs::<Authorization>();
    names_what_it_needs::<Card>();
}

#[test]
fn the_longest_ids_make_keys_that_fit() {
    let (id, amount) = ("x".repeat(128), json!({"minor": "1", "asset": "EURe", "decimals": 18}));
    let dispute = json!({"hold_id": id, "dispute_id": id, "step": "provisional", "amount": amount});
    let hash = format!("0x{}", "f".repeat(64));
    let source = json!({
        "chain_id": u64::MAX, "block_hash": hash, "block_number": 1, "transaction_hash": hash, "log_index": u64::MAX,
    });
    let refund = json!({"refund_id": id, "amount": amount, "link": "linked", "source": source});
    for (kind, payload) in [("BookDispute", dispute), ("BookRefund", refund)] {
        let keys = message_keys::<Account>(&encoded(kind, &payload));
        assert!(!keys.is_empty() && keys.iter().all(|key| key.len() <= 512), "{keys:?}");
    }
}

/// Returns the bytes and the entries of a state after `count` commands of one kind, each with its own id.
fn bytes<D: Decider>(begin: Encoded, count: usize, each: impl Fn(usize) -> Encoded) -> (usize, usize) {
    let mut state = StoredState::default();
    for command in std::iter::once(begin).chain((0..count).map(each)) {
        let caused = state.decide::<D>(vec![sent(command)]).unwrap().remove(0).unwrap();
        assert_eq!(caused.len(), 1);
    }
    (state.state.len(), state.entries.iter().count())
}

#[test]
fn an_accounts_state_does_not_grow_with_its_deposits() {
    let open = json!({"assets": [{"asset": "EURe", "decimals": 18}]});
    let deposit = |index: usize| {
        let hash = format!("0x{}", "01".repeat(32));
        let source = json!({
            "chain_id": 100, "block_hash": hash, "block_number": 1, "transaction_hash": hash, "log_index": index,
        });
        let amount = json!({"minor": "1", "asset": "EURe", "decimals": 18});
        let occurred_at = "2026-11-22T10:00:00.000Z";
        encoded("RecordDeposit", &json!({"amount": amount, "source": source, "occurred_at": occurred_at}))
    };
    let [few, many] =
        [10, 1_000].map(|count| bytes::<Account>(encoded("OpenAccount", &open), count, deposit));
    assert_eq!((few.1, many.1), (10, 1_000));
    // Two totals grew from 10 to 1000, from one byte to two each.
    assert_eq!(many.0, few.0 + 2);
}

#[test]
fn a_cards_state_does_not_grow_with_what_was_released_before_it_came() {
    let rules = json!({"limits": [], "velocity": [], "categories": "all", "countries": "all"});
    let issue = encoded("IssueCard", &json!({"account": ACCOUNT, "rules": rules}));
    let release = |index: usize| {
        let reservation_id = format!("r{index}");
        let release = json!({"reservation_id": reservation_id, "release_id": "l", "amount": "everything"});
        encoded("ReleaseSpend", &release)
    };
    let [few, many] = [10, 1_000].map(|count| bytes::<Card>(issue.clone(), count, release));
    assert_eq!(many, (few.0, few.1 + 990));
}

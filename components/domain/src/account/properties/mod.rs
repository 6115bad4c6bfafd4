//! What holds for any history of an account: random commands from a small world, so that ids collide, logs repeat
//! and holds run out. What the state says is compared with sums that are taken from the events alone.

mod draw;
mod sums;

use std::cell::RefCell;
use std::collections::BTreeSet;

use clearfold_kernel::{
    Address, Asset, CommandContext, Decider, Encoded, Message, Timestamp, Turn, decide_turn,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};

use super::{Account, Command, Event, State};
use draw::{Draw, draws};
use sums::Sums;

const ACCOUNT: Address = Address([0xaa; 20]);

fn asset(code: &str, decimals: u8) -> Asset {
    Asset { code: code.into(), decimals }
}

fn time(s: u64) -> Timestamp {
    Timestamp::from_s(1_795_342_530 + s).unwrap()
}

fn context(s: u64) -> CommandContext {
    let (id, actor) = (ACCOUNT.to_string(), CommandContext::CHAIN.to_owned());
    CommandContext { routing_key: id.clone(), id, actor, accepted_at: time(s) }
}

/// One command through the border that the host uses: what happened, and the state's bytes after it.
fn turn(state: &[u8], command: &Command, context: &CommandContext) -> (Result<Vec<Event>, String>, Vec<u8>) {
    let turn = Turn { state: state.to_vec(), commands: vec![(context.clone(), command.encode().unwrap())] };
    let mut decided = decide_turn::<Account>(&turn).unwrap();
    let decode = |event: &Encoded| Event::decode(&event.kind, event.schema_version, &event.payload).unwrap();
    let outcome = decided.outcomes.remove(0);
    (outcome.map(|events| events.iter().map(decode).collect()).map_err(|refused| refused.code), decided.state)
}

/// The asset of a hold that could have been refused.
fn checked_for_funds(event: &Event) -> Option<Asset> {
    match event {
        Event::HoldPlaced(hold) if !hold.forced => Some(hold.amount.asset.clone()),
        Event::HoldRaised(raise) if !raise.forced => Some(raise.amount.asset.clone()),
        _ => None,
    }
}

fn history(draws: &[Draw], seen: &RefCell<BTreeSet<String>>) -> TestCaseResult {
    let mut sums = Sums::default();
    let mut events = Vec::new();
    let mut bytes = serde_json::to_vec(&State::default()).unwrap();
    for (s, draw) in (10..).zip(draws) {
        let (command, context) = (draw.command(), context(s - draw.late_s));
        let (outcome, after) = turn(&bytes, &command, &context);
        let mut checked = Vec::new();
        match outcome {
            Err(code) => {
                prop_assert_eq!(&after, &bytes, "a refused command changes nothing");
                seen.borrow_mut().insert(code);
            }
            Ok(happened) => {
                // What is decided can be folded, and acts: an event that was left out would leave the same bytes.
                prop_assert_eq!(happened.is_empty(), after == bytes, "{:?}", happened);
                let (repeated, unchanged) = turn(&after, &command, &context);
                prop_assert_eq!((repeated, &unchanged), (Ok(Vec::new()), &after), "a repeat changes nothing");
                happened.iter().for_each(|event| {
                    sums.add(event);
                    checked.extend(checked_for_funds(event));
                    seen.borrow_mut().insert(event.encode().unwrap().kind);
                });
                events.extend(happened);
            }
        }
        bytes = after;
        let state: State = serde_json::from_slice(&bytes).unwrap();
        for asset in [asset("EURe", 18), asset("USDC.e", 6), asset("GBPe", 18)] {
            sums.hold_for(&state, &asset)?;
        }
        for asset in checked {
            prop_assert!(!state.available(&asset).is_negative(), "a hold that was checked is covered");
        }
    }
    let folded = events.iter().fold(State::default(), Account::evolve);
    prop_assert_eq!(serde_json::to_vec(&folded).unwrap(), bytes, "folding from nothing gives the live state");
    Ok(())
}

#[test]
fn the_invariants_hold_in_any_history() {
    let seen = RefCell::new(BTreeSet::new());
    let config = Config { cases: 128, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner.run(&draws(), |draws| history(&draws, &seen)).unwrap();

    // Histories in which nothing happens would prove nothing: each event occurred, and each refusal of a rule.
    let expected = Event::TYPES.iter().map(|event| event.name).chain([
        "account_not_opened",
        "amount_not_positive",
        "asset_not_held",
        "clock_backwards",
        "delay_queue_not_empty",
        "dispute_closed",
        "duplicate_mismatch",
        "funding_final",
        "funding_reorged",
        "hold_not_found",
        "hold_too_small",
        "insufficient_funds",
        "invalid_residue",
        "receivable_not_found",
        "recovery_above_receivable",
        "release_above_hold",
        "source_not_found",
        "suspense_not_found",
    ]);
    let seen = seen.into_inner();
    let missing: Vec<&str> = expected.filter(|name| !seen.contains(*name)).collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
}

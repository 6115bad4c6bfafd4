//! Properties of any history of an account, with random commands over few ids, so that ids collide, logs repeat and
//! holds run out. The state is compared with totals taken from the events alone.

mod draw;
mod sums;

use std::cell::RefCell;
use std::collections::BTreeSet;

use clearfold_kernel::{Address, Asset, CommandContext, Encoded, Message, StoredState, Timestamp};
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

/// Outcome of one command, through the same interface that the host uses.
type Answer = Result<Vec<Encoded>, String>;

fn turn(before: &StoredState, command: &Command, context: &CommandContext) -> (Answer, StoredState) {
    let mut state = before.clone();
    let commands = vec![(context.clone(), command.encode().unwrap())];
    let outcome = state.decide::<Account>(commands).unwrap().remove(0);
    (outcome.map_err(|refused| refused.code), state)
}

fn decoded(event: &Encoded) -> Event {
    Event::decode(&event.kind, event.schema_version, &event.payload).unwrap()
}

/// Asset of a hold or a raise that could have been refused.
fn checked_for_funds(event: &Event) -> Option<Asset> {
    match event {
        // The hold of the payment's own Spend is counted twice until its money is moved.
        Event::HoldPlaced(hold) if !hold.forced && hold.spend_id.is_none() => Some(hold.amount.asset.clone()),
        Event::HoldRaised(raise) if !raise.forced && raise.spend_id.is_none() => {
            Some(raise.amount.asset.clone())
        }
        _ => None,
    }
}

/// Sum of all holds in the asset, taken from the holds themselves.
fn held(state: &State, asset: &Asset) -> u128 {
    state.holds().values().filter(|held| held.asset == *asset).map(|held| held.minor.get()).sum()
}

fn history(draws: &[Draw], seen: &RefCell<BTreeSet<String>>) -> TestCaseResult {
    let mut sums = Sums::default();
    let mut events = Vec::new();
    let mut stored = StoredState::default();
    stored.evolve::<Account>(&[]).unwrap();
    for (s, draw) in (10..).zip(draws) {
        let (command, context) = (draw.command(), context(s - draw.late_s));
        let (outcome, after) = turn(&stored, &command, &context);
        let mut checked = Vec::new();
        match outcome {
            Err(code) => {
                prop_assert_eq!(&after, &stored, "a refused command changes nothing");
                seen.borrow_mut().insert(code);
            }
            Ok(happened) => {
                // A decided event must change the state: one that the fold skipped would leave the same bytes.
                prop_assert_eq!(happened.is_empty(), after == stored, "{:?}", happened);
                let (repeated, unchanged) = turn(&after, &command, &context);
                prop_assert_eq!((repeated, &unchanged), (Ok(Vec::new()), &after), "a repeat changes nothing");
                happened.iter().for_each(|event| {
                    let decoded = decoded(event);
                    sums.add(&decoded);
                    checked.extend(checked_for_funds(&decoded));
                    seen.borrow_mut().insert(event.kind.clone());
                    if String::from_utf8_lossy(&event.payload).contains("\"withheld\"") {
                        seen.borrow_mut().insert(format!("{} withheld", event.kind));
                    }
                });
                events.extend(happened);
            }
        }
        stored = after;
        let state = stored.read::<Account>().unwrap();
        for asset in [asset("EURe", 18), asset("USDC.e", 6), asset("GBPe", 18)] {
            sums.hold_for(&state, &asset)?;
            prop_assert_eq!(state.pending(&asset).get(), held(&state, &asset), "the sum is the holds'");
        }
        for asset in checked {
            prop_assert!(!state.available(&asset).is_negative(), "a hold that was checked is covered");
        }
    }
    let mut folded = StoredState::default();
    folded.evolve::<Account>(&events).unwrap();
    prop_assert_eq!(folded, stored, "folding from nothing gives the live state");
    Ok(())
}

#[test]
fn the_invariants_hold_in_any_history() {
    let seen = RefCell::new(BTreeSet::new());
    let config = Config { cases: 2_048, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner.run(&draws(), |draws| history(&draws, &seen)).unwrap();

    // The test would prove nothing if little happened, so each event and each refusal of a rule must occur.
    let expected = Event::TYPES.iter().map(|event| event.name).chain([
        "RefundBooked withheld",
        "RefundResolved withheld",
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
        "reversal_above_claimed",
        "return_above_refund",
        "source_not_found",
        "suspense_not_found",
    ]);
    let seen = seen.into_inner();
    let missing: Vec<&str> = expected.filter(|name| !seen.contains(*name)).collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
}

//! Refusals: commands, observations, committed changes and settings that contradict what is known.

use alloy::primitives::Address;
use clearfold_kernel::Timestamp;

use super::super::{
    Account, Cause, Change, Command, Inconsistent, Observation, Policy, PriceLimits, Pull, Refusal, Settler,
    Sighting, State, View, accept, settle,
};
use super::cases::Case;
use super::chain::Lies;
use super::{DELEGATE, SENDER, id, policy, pull};

#[test]
fn commands_that_would_pull_something_else_are_refused() {
    let mut state = State::default();
    let ask = |state: &State, pull: Pull| accept(state, &policy(), Command::Pull(pull));
    for change in ask(&state, pull(1)).unwrap() {
        state.apply(&change).unwrap();
    }
    assert_eq!(ask(&state, pull(1)), Ok(Vec::new()), "a repeat");
    let others = Pull { sender: Address::ZERO, delegate: Address::ZERO, ..pull(1) };
    assert_eq!(ask(&state, others), Ok(Vec::new()), "a repeat by a host with other accounts");
    let other = Pull { calldata: vec![9; 164].into(), ..pull(1) };
    assert_eq!(ask(&state, other), Err(Refusal::OtherContent(id(1))));
    let later = Pull { not_after: Timestamp::from_s(2_000_000).unwrap(), ..pull(1) };
    assert_eq!(ask(&state, later), Err(Refusal::OtherContent(id(1))));
    let twin = Pull { id: id(2), ..pull(1) };
    assert_eq!(ask(&state, twin), Err(Refusal::SameHash { id: id(2), known: id(1) }));
    let own = Pull { sender: DELEGATE, ..pull(2) };
    assert_eq!(ask(&state, own), Err(Refusal::SentByDelegate(id(2))));
    let wrong = Refusal::WrongChain { id: id(2), given: 1, expected: 100 };
    assert_eq!(ask(&state, Pull { chain_id: 1, ..pull(2) }), Err(wrong));
    let full = Policy { max_pulls: 1, ..policy() };
    let refusal = accept(&state, &full, Command::Pull(pull(2)));
    assert_eq!(refusal, Err(Refusal::QueueFull { id: id(2), max: 1 }));
    for change in [
        Change::Refused { id: id(1), attempt: 1 },
        Change::Retried { id: id(1), attempt: 2 },
        Change::Abandoned { id: id(1), cause: Cause::Expired },
    ] {
        state.apply(&change).unwrap();
        let is_accepted = accept(&state, &full, Command::Pull(pull(2))).is_ok();
        assert_eq!(is_accepted, !matches!(change, Change::Retried { .. }), "behind {change:?}");
    }
    assert_eq!(accept(&state, &policy(), Command::Abandon { id: id(9) }), Err(Refusal::NotOpen(id(9))));
}

#[test]
fn an_observation_that_contradicts_itself_is_not_used() {
    let mut case = Case::sent(&[1]);
    case.mine(6);
    let good = case.driver.look(&case.chain, &Lies::default());
    let mut view: View = case.driver.view.clone();
    let mut observe = |observation| view.observe(&case.driver.state, observation).unwrap_err().to_string();

    let ahead = Observation { finalized: good.head + 1, ..good.clone() };
    assert!(observe(ahead).contains("is behind the newest"));
    let behind = Observation { finalized: good.finalized - 1, ..good.clone() };
    assert!(observe(behind).contains("went back"));
    let mut fewer = good.clone();
    fewer.accounts.get_mut(&SENDER).unwrap().latest_nonce = 0;
    assert!(observe(fewer).contains("0 transactions, but 1 in final blocks"));
    view.observe(&case.driver.state, good).unwrap();
}

#[test]
fn a_block_that_is_not_final_settles_nothing_and_neither_does_a_count_alone() {
    let mut case = Case::sent(&[1]);
    let mut seen = case.driver.look(&case.chain, &Lies::default());
    (seen.head, seen.finalized) = (20, 10);
    let settled = |seen: &Observation| {
        let mut view = View::default();
        view.observe(&case.driver.state, seen.clone()).unwrap();
        settle(&case.driver.state, &view).len()
    };
    let hash = *seen.sightings.keys().next().unwrap();
    let mined = |block| Sighting::Mined { block, succeeded: false };
    let sender = seen.accounts[&SENDER];

    seen.sightings.insert(hash, mined(11));
    seen.accounts.insert(SENDER, Account { latest_nonce: 1, pending_nonce: 1, ..sender });
    assert_eq!(settled(&seen), 0, "in a block that is not final");
    seen.accounts.insert(SENDER, Account { final_nonce: 1, latest_nonce: 1, pending_nonce: 1, ..sender });
    assert_eq!(settled(&seen), 0, "the count is final, the block is not");
    seen.sightings.insert(hash, mined(10));
    seen.accounts.insert(SENDER, Account { latest_nonce: 1, pending_nonce: 1, ..sender });
    assert_eq!(settled(&seen), 0, "the block is final, the count is not");
    seen.accounts.insert(SENDER, Account { final_nonce: 1, latest_nonce: 1, pending_nonce: 1, ..sender });
    assert_eq!(settled(&seen), 2, "settled, and refused");
    seen.fates.clear();
    assert_eq!(settled(&seen), 0, "the Spender was not asked");
}

#[test]
fn rows_that_contradict_each_other_are_found_when_they_are_read() {
    let mut case = Case::sent(&[1]);
    case.mine(5);
    let log = case.driver.log;
    let fold = |changes: &[Change]| {
        let mut state = State::default();
        changes.iter().try_for_each(|change| state.apply(change))
    };
    fold(&log).unwrap();
    for (index, change) in log.iter().enumerate() {
        let mut twice = log.clone();
        twice.insert(index, change.clone());
        // A transaction that stands there twice is only watched twice.
        let is_harmless = matches!(change, Change::Signed { .. });
        assert_eq!(fold(&twice).is_ok(), is_harmless, "{change:?}");
    }
    let unknown = Change::Settled { account: SENDER, nonce: 7, by: Settler::Foreign };
    let unknown = fold(&[&log[..], &[unknown]].concat());
    assert_eq!(unknown, Err(Inconsistent::Nonce { account: SENDER, nonce: 7 }));
}

#[test]
fn rows_from_before_the_final_block_was_kept_are_read() {
    let case = Case::sent(&[1]);
    let mut rows = serde_json::to_value(&case.driver.log).unwrap();
    for row in rows.as_array_mut().unwrap() {
        row.pointer_mut("/Signed/transaction")
            .and_then(|transaction| transaction.as_object_mut()?.remove("final_block"));
    }
    let mut state = State::default();
    for change in serde_json::from_value::<Vec<Change>>(rows).unwrap() {
        state.apply(&change).unwrap();
    }
    let (_, _, transaction) = case.driver.signed().next().unwrap();
    assert_eq!(state.pulls[&id(1)].watched_from_block, Some(transaction.signed_at_block));
    let snapshot = serde_json::to_string(&state).unwrap().replace("watched_from_block", "exposed_at_block");
    assert_eq!(serde_json::from_str::<State>(&snapshot).unwrap(), state);
}

#[test]
fn settings_that_cannot_work_are_refused_with_a_remedy() {
    policy().check().unwrap();
    let fails = |policy: Policy, remedy: &str| {
        let error = policy.check().unwrap_err().to_string();
        assert!(error.ends_with(remedy), "{error}");
    };
    fails(Policy { max_in_flight: 0, ..policy() }, "from 1 to 16");
    fails(Policy { max_in_flight: 17, ..policy() }, "from 1 to 16");
    fails(Policy { raise_after_blocks: 0, ..policy() }, "from 1");
    fails(Policy { gas_limit: 20_999, ..policy() }, "at least 21000");
    let prices = PriceLimits { repair_ceiling_fee_cap_wei: 0, ..policy().prices };
    fails(Policy { prices, ..policy() }, "give at least 22500 wei");
}

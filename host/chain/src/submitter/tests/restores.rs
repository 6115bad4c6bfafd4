//! Restores: the database goes back to a backup while the chain goes on, and nodes have forgotten old blocks. What the
//! database does not know any more must not be paid again.

use alloy::primitives::Address;
use clearfold_kernel::Timestamp;

use super::super::{
    Cause, Change, Command, Fate, Observation, Pull, Search, Step, View, Wait, Work, plan, settle,
};
use super::cases::Case;
use super::chain::{Lies, unread};
use super::{BASE_FEE_WEI, DELEGATE, SENDER, id, policy, pull};

/// Case whose pull was accepted, and the number of changes of a backup from then.
pub fn accepted() -> (Case, usize) {
    let mut case = Case::new();
    assert!(case.driver.command(Command::Pull(pull(1))));
    let backup = case.driver.log.len();
    (case, backup)
}

/// Case whose pull was signed and executed before the database was restored.
pub fn executed_and_restored() -> Case {
    let (mut case, backup) = accepted();
    case.poll();
    case.mine(8);
    case.assert_done(1);
    case.driver.restore(backup);
    case
}

#[test]
fn a_pull_that_was_executed_before_the_restore_is_found_and_never_signed_again() {
    let mut case = executed_and_restored();
    case.poll();
    case.assert_done(1);
    assert!(case.hashes().is_empty(), "nothing is signed about a hash that is consumed");
}

#[test]
fn a_request_that_was_forgotten_with_its_pull_finds_it_too() {
    let (mut case, backup) = accepted();
    case.poll();
    case.mine(8);
    case.driver.restore(backup - 1);
    case.poll();
    assert!(case.driver.command(Command::Pull(pull(1))));
    case.poll();
    case.assert_done(1);
    assert!(case.hashes().is_empty());
}

#[test]
fn a_restored_pull_whose_time_is_over_is_not_dead_if_it_was_executed() {
    let mut case = executed_and_restored();
    case.chain.pass_time(2_000_000);
    case.poll();
    case.assert_done(1);
    assert!(case.hashes().is_empty());
}

#[test]
fn a_forgotten_transaction_that_waits_in_a_pool_does_not_land_behind_a_death() {
    let (mut case, backup) = accepted();
    case.poll();
    assert_eq!(case.chain.waiting(SENDER).len(), 1);
    case.driver.restore(backup);
    assert!(case.driver.command(Command::Abandon { id: id(1) }));
    case.poll();
    assert_eq!(case.outcomes(1), [], "its hash is fresh, and yet it can be executed");
    assert_eq!(case.driver.works(DELEGATE, 0), [Work::Invalidate { id: id(1) }]);
    // The forgotten transaction is mined before the invalidation.
    case.chain.drop_one(1);
    case.mine(8);
    case.assert_done(1);
}

/// Case whose pull was invalidated before the database was restored.
pub fn invalidated_and_restored() -> Case {
    let (mut case, backup) = accepted();
    case.chain.base_fee_wei = 3000;
    case.poll();
    assert!(case.driver.command(Command::Abandon { id: id(1) }));
    case.poll();
    case.mine(8);
    case.assert_dead(1, Cause::Asked);
    case.driver.restore(backup);
    case
}

#[test]
fn a_node_with_old_state_says_that_a_forgotten_hash_was_invalidated_or_when_it_was_executed() {
    let archive = Lies { has_old_state: true, ..Lies::default() };
    let mut case = invalidated_and_restored();
    case.poll_with(&archive, true);
    case.assert_dead(1, Cause::Outside);
    let mut case = executed_and_restored();
    (0..50).for_each(|_| case.chain.mine(0));
    for _ in 0..8 {
        case.poll_with(&archive, true);
    }
    case.assert_done(1);
    assert!(case.hashes().is_empty(), "nothing is signed about a hash that is consumed");
}

#[test]
fn a_hash_that_was_consumed_by_whatever_parks_its_pull_visibly() {
    let mut case = invalidated_and_restored();
    case.poll();
    assert_eq!(case.wait(1), Some(Wait::MaybePaid));
    assert!(Wait::MaybePaid.remedy().is_some_and(|remedy| remedy.contains("runbook")));
    case.chain.pass_time(2_000_000);
    case.mine(20);
    assert_eq!((case.outcomes(1), case.wait(1)), (&[][..], Some(Wait::MaybePaid)));
    assert!(case.hashes().is_empty());
    assert!(
        case.driver
            .command(Command::Pull(Pull { not_after: Timestamp::from_s(4_000_000).unwrap(), ..pull(2) }))
    );
    case.mine(8);
    case.assert_done(2);
}

#[test]
fn nothing_is_signed_and_nothing_ends_without_a_word_of_the_spender() {
    let (mut case, _) = accepted();
    for fate in [None, Some(Fate::Fresh), Some(Fate::Consumed(Search::UnderWay))] {
        let mut seen = case.driver.look(&case.chain, &Lies::default());
        seen.fates.clear();
        seen.fates.extend(fate.map(|fate| (pull(1).hash(), fate)));
        seen.now = pull(1).not_after.after_s(1);
        let mut view = View::default();
        view.observe(&case.driver.state, seen).unwrap();
        let abandoned = Change::Abandoned { id: id(1), cause: Cause::Expired };
        assert_eq!(settle(&case.driver.state, &view), [abandoned], "{fate:?}");
        let is_signed = !plan(&case.driver.state, &view, &policy()).is_empty();
        assert_eq!(is_signed, fate == Some(Fate::Fresh), "{fate:?}");
    }
}

#[test]
fn blocks_that_no_node_serves_keep_only_those_pulls_waiting_that_need_them() {
    let mut case = Case::sent(&[1]);
    case.chain.mine(100);
    let first_served = case.chain.number() + 1;
    // The host is down while the pull is executed and its block becomes old.
    (0..40).for_each(|_| case.chain.mine(0));
    (case.driver.executions, case.driver.view) = (unread(), View::default());
    let pruned = Lies { first_served, ..Lies::default() };
    assert!(case.driver.command(Command::Pull(pull(2))));
    for _ in 0..20 {
        case.poll_with(&pruned, true);
        case.chain.mine(100);
    }
    assert_eq!((case.outcomes(1), case.wait(1)), (&[][..], Some(Wait::Unread)));
    assert!(Wait::Unread.remedy().is_some_and(|remedy| remedy.contains("CHAIN_RPC_URLS")));
    case.assert_done(2);
    case.poll();
    case.assert_done(1);
}

#[test]
fn a_refused_pull_that_is_still_fresh_needs_no_old_block_after_a_restart() {
    let mut case = Case::sent(&[1]);
    case.chain.reverting.insert(pull(1).hash());
    case.mine(5);
    case.pass_by(60);
    (case.driver.executions, case.driver.view) = (unread(), View::default());
    let pruned = Lies { first_served: case.chain.number() - 10, ..Lies::default() };
    case.poll_with(&pruned, true);
    assert_eq!(case.wait(1), Some(Wait::Decision));
    case.chain.reverting.clear();
    assert!(case.driver.command(Command::Retry { id: id(1), attempt: 2 }));
    for _ in 0..8 {
        case.poll_with(&pruned, true);
        case.chain.mine(100);
    }
    case.assert_done(1);
}

#[test]
fn an_executor_reads_on_where_the_one_before_it_ended() {
    let mut case = Case::sent(&[1]);
    case.chain.mine(100);
    (0..60).for_each(|_| case.chain.mine(0));
    case.driver.executions = unread();
    for looks in 1.. {
        case.driver.restart();
        case.poll();
        if case.wait(1) != Some(Wait::Search) {
            assert!(looks > 2, "it is found at once");
            break;
        }
        assert!(looks < 10, "it begins again each time");
    }
    case.assert_done(1);
}

#[test]
fn a_pull_whose_keys_this_host_does_not_have_keeps_no_other_waiting() {
    let mut case = Case::new();
    let stranger = Address::repeat_byte(0x11);
    assert!(case.driver.command(Command::Pull(Pull { delegate: stranger, ..pull(1) })));
    assert!(case.driver.command(Command::Pull(Pull { sender: stranger, ..pull(2) })));
    assert!(case.driver.command(Command::Pull(pull(3))));
    case.poll();
    case.mine(8);
    case.assert_done(3);
    assert_eq!((case.wait(1), case.wait(2)), (Some(Wait::NoKey), Some(Wait::NoKey)));
    assert!(Wait::NoKey.remedy().is_some());
    assert_eq!(case.hashes().len(), 1);
}

#[test]
fn a_transaction_whose_delegate_key_is_gone_is_sent_again_and_not_raised() {
    let mut case = Case::sent(&[1]);
    case.chain.base_fee_wei = 3 * BASE_FEE_WEI;
    case.chain.mine(0);
    let mut seen = case.driver.look(&case.chain, &Lies::default());
    seen.head += 100;
    let steps = |seen: &Observation| {
        let mut view = View::default();
        view.observe(&case.driver.state, Observation { head: case.chain.number(), ..seen.clone() }).unwrap();
        view.observe(&case.driver.state, seen.clone()).unwrap();
        plan(&case.driver.state, &view, &policy())
    };
    assert!(matches!(steps(&seen)[..], [Step::Sign(_)]), "{:?}", steps(&seen));
    seen.accounts.remove(&DELEGATE);
    assert!(matches!(steps(&seen)[..], [Step::Send { .. }]), "{:?}", steps(&seen));
}

//! Words of operators about pulls that the submitter cannot decide about: they never outweigh the chain, and none of them
//! lets a payment be pulled twice.

use alloy::primitives::B256;

use super::super::{Cause, Change, Evidence, Follows, Outcome, Unresolved, Wait, Word, Work};
use super::cases::Case;
use super::chain::{Lies, unread};
use super::restores::{accepted, executed_and_restored, invalidated_and_restored};
use super::{DELEGATE, id, pull};

const STRANGER: B256 = B256::repeat_byte(7);

#[test]
fn a_pull_that_may_have_been_paid_is_dead_by_a_word_that_is_recorded() {
    let mut case = invalidated_and_restored();
    case.poll();
    assert_eq!(case.wait(1), Some(Wait::MaybePaid));
    assert_eq!(case.driver.say(id(1), Word::NotPaid, Evidence::Unknown), Ok(Follows::NotPaid));
    let resolved = Change::Resolved { id: id(1), word: Word::NotPaid, by: "anna".to_owned(), why: None };
    let dead = Change::Dead { id: id(1), cause: Cause::Resolved };
    assert_eq!(case.driver.log[case.driver.log.len() - 2..], [resolved, dead]);
    assert_eq!(case.driver.say(id(1), Word::NotPaid, Evidence::Unknown), Ok(Follows::NotPaid), "a repeat");
    let paid = Word::Paid { transaction: STRANGER };
    let refused = case.driver.say(id(1), paid, Evidence::Executed { block: 1 });
    assert!(matches!(refused, Err(Unresolved::Ended { .. })), "{refused:?}");
    case.poll();
    case.assert_dead(1, Cause::Resolved);
}

#[test]
fn a_pull_that_can_still_be_executed_is_invalidated_before_it_is_dead() {
    let (mut case, _) = accepted();
    case.poll();
    assert_eq!(case.driver.say(id(1), Word::NotPaid, Evidence::Unknown), Ok(Follows::Invalidation));
    case.poll();
    assert_eq!(case.outcomes(1), [], "its transaction waits in a pool");
    assert_eq!(case.driver.works(DELEGATE, 0), [Work::Invalidate { id: id(1) }]);
    assert!(matches!(
        case.driver.say(id(1), Word::NotPaid, Evidence::Unknown),
        Err(Unresolved::EndsByItself(_))
    ));
    // The first mined transaction decides: the call, or the invalidation.
    case.chain.drop_one(1);
    case.mine(8);
    let outcome = case.outcomes(1).last().copied();
    match case.chain.pulled(pull(1).hash()) {
        0 => assert_eq!(outcome, Some(Outcome::Dead { cause: Cause::Resolved })),
        _ => assert!(matches!(outcome, Some(Outcome::Done { .. })), "{outcome:?}"),
    }
}

#[test]
fn a_word_against_the_chain_is_refused_and_changes_nothing() {
    let paid = Word::Paid { transaction: STRANGER };
    let (mut case, _) = accepted();
    let before = case.driver.log.len();
    let refused = case.driver.say(id(9), Word::NotPaid, Evidence::Unknown);
    assert_eq!(refused, Err(Unresolved::NoPull(id(9))));
    case.driver.restart();
    let refused = case.driver.say(id(1), Word::NotPaid, Evidence::Unknown);
    assert_eq!(refused, Err(Unresolved::Unobserved(id(1))));
    assert_eq!(case.driver.log.len(), before);

    let mut case = invalidated_and_restored();
    case.poll();
    let before = case.driver.log.len();
    for (evidence, why) in [
        (Evidence::Unknown, Unresolved::UnknownTransaction(STRANGER)),
        (
            Evidence::Other,
            Unresolved::OtherTransaction { id: id(1), hash: pull(1).hash(), transaction: STRANGER },
        ),
    ] {
        assert_eq!(case.driver.say(id(1), paid, evidence), Err(why));
    }
    assert_eq!((case.driver.log.len(), case.wait(1)), (before, Some(Wait::MaybePaid)));
}

#[test]
fn nothing_is_believed_before_the_blocks_are_read() {
    let mut case = executed_and_restored();
    (0..80).for_each(|_| case.chain.mine(0));
    case.poll();
    assert_eq!(case.wait(1), Some(Wait::Search));
    let refused = case.driver.say(id(1), Word::NotPaid, Evidence::Unknown);
    assert_eq!(refused, Err(Unresolved::Searching(id(1))));
    let pruned = Lies { first_served: case.chain.number(), ..Lies::default() };
    case.driver.executions = unread();
    case.poll_with(&pruned, true);
    let refused = case.driver.say(id(1), Word::NotPaid, Evidence::Unknown);
    assert_eq!(refused, Err(Unresolved::Unread(id(1))));
    // A transaction that shows the execution is enough.
    let paid = Word::Paid { transaction: STRANGER };
    assert_eq!(case.driver.say(id(1), paid, Evidence::Executed { block: 1 }), Ok(Follows::Paid));
    case.poll();
    assert_eq!(case.outcomes(1), [Outcome::Done { transaction: STRANGER, block: 1 }]);
}

#[test]
fn an_older_execution_is_found_from_the_block_that_an_operator_names() {
    let mut case = executed_and_restored();
    (0..1_020).for_each(|_| case.chain.mine(0));
    let looks = |case: &mut Case| (0..80).for_each(|_| case.poll());
    looks(&mut case);
    assert_eq!((case.outcomes(1), case.wait(1)), (&[][..], Some(Wait::MaybePaid)));
    let word = Word::Search { from_block: 0 };
    assert_eq!(case.driver.say(id(1), word, Evidence::Unknown), Ok(Follows::Search));
    case.driver.restart();
    looks(&mut case);
    case.assert_done(1);
    assert!(case.hashes().is_empty(), "nothing is signed about a hash that is consumed");
}

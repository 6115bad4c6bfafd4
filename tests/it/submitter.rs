//! The chain submitter on a real chain, behind the strict pool, with a real database: whatever fails or is cut off,
//! nothing is pulled twice, and everything ends.

use std::time::Duration;

use alloy::primitives::B256;
use clearfold_chain::submitter::executor::{Answer, ChangeLogError, ExecutorError, ReadError};
use clearfold_chain::submitter::{Cause, Command, Follows, Outcome, Pull, Refusal, Unresolved, Wait, Word};
use clearfold_devchain::Party;
use clearfold_devchain::pool::{PoolRules, ReceiptFault, SendFault};
use clearfold_tests::{Faults, FaultyRpc};

use crate::submitter_world::{FINALITY_BLOCKS, GWEI, LEASE, World, amount, id, keys, salt};

#[tokio::test]
async fn a_cut_at_any_moment_pulls_nothing_twice_and_burns_no_nonce() {
    let mut world = World::new(PoolRules::default()).await;
    let mut is_whole = false;
    let mut number = 0;
    // Each turn is cut off a little later than the one before, until one comes to its end.
    while !is_whole {
        assert!(number < 200, "a turn never ends");
        world.submit(number).await;
        is_whole = world.cut_turn(usize::from(number)).await;
        world.turn().await;
        world.mine(1).await;
        number += 1;
    }
    world.mine(FINALITY_BLOCKS).await;
    assert!(number > 8, "a turn waits more often than {number} times");
    for number in 0..number {
        world.assert_done(number);
    }
    assert_eq!(world.chain.spends().await.unwrap().len(), usize::from(number));
    assert_eq!(world.nonces(Party::Relayer).await, (0..u64::from(number)).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_cut_at_any_moment_of_an_abandonment_leaves_nothing_open() {
    let mut world = World::new(PoolRules::default()).await;
    let mut is_whole = false;
    let mut number = 0;
    while !is_whole {
        assert!(number < 200, "a turn never ends");
        world.submit(number).await;
        world.turn().await;
        world.command(Command::Abandon { id: id(number) }).await;
        is_whole = world.cut_turn(usize::from(number)).await;
        world.turn().await;
        world.mine(1).await;
        number += 1;
    }
    for _ in 0..4 {
        world.mine(FINALITY_BLOCKS).await;
    }
    let spends = world.chain.spends().await.unwrap();
    for number in 0..number {
        let is_pulled = spends.iter().any(|spend| spend.amount_minor == amount(number));
        let outcome = world.outcome(number);
        let fits = match outcome {
            Some(Outcome::Done { .. }) => is_pulled,
            Some(Outcome::Dead { .. }) => !is_pulled,
            _ => false,
        };
        assert!(fits, "{number}: {outcome:?}, pulled: {is_pulled}");
    }
    assert_eq!(world.open_nonces().await, 0);
}

#[tokio::test]
async fn wrong_answers_to_sends_change_nothing() {
    let mut world = World::new(PoolRules { refuses_exact_bump: true, ..PoolRules::default() }).await;
    let faults = [
        SendFault::error_yet_sent("nonce too low: next nonce 9, tx nonce 1"),
        SendFault::error_not_sent("already known"),
        SendFault::lost(),
        SendFault::silence(true),
        SendFault::error_not_sent("replacement transaction underpriced"),
        SendFault::silence(false),
    ];
    for (number, fault) in (0..).zip(faults) {
        world.submit(number).await;
        world.pool.fail_next_send(fault);
        world.turn().await;
    }
    for _ in 0..12 {
        world.turn().await;
    }
    world.mine(1).await;
    world.mine(FINALITY_BLOCKS).await;
    for number in 0..6 {
        world.assert_done(number);
    }
    assert_eq!(world.nonces(Party::Relayer).await, (0..6).collect::<Vec<u64>>(), "signed once each");
}

#[tokio::test]
async fn a_stuck_transaction_is_raised_until_the_strictest_pool_takes_it() {
    let rules = PoolRules { refuses_exact_bump: true, bump_permille: 124, ..PoolRules::default() };
    let mut world = World::new(rules).await;
    world.submit(0).await;
    world.turn().await;
    for _ in 0..8 {
        world.set_base_fee(20 * GWEI).await;
        world.mine(1).await;
    }
    assert!(world.nonces(Party::Relayer).await.len() > 1, "it was raised");
    assert_eq!(world.pool.attempts().pop().unwrap().verdict, Some(Ok(())));
    world.set_base_fee(GWEI).await;
    world.mine(1).await;
    world.mine(FINALITY_BLOCKS).await;
    world.assert_done(0);
}

#[tokio::test]
async fn a_dropped_and_a_reorganized_transaction_are_sent_again_as_they_were() {
    let mut world = World::new(PoolRules::default()).await;
    world.submit(0).await;
    world.turn().await;
    let hash = world.pool.attempts().pop().unwrap().hash;
    world.pool.drop_transaction(hash).await.unwrap();
    for _ in 0..3 {
        world.turn().await;
    }
    world.mine(2).await;
    world.pool.reorganize(3).await.unwrap();
    world.turn().await;
    world.mine(1).await;
    world.mine(FINALITY_BLOCKS).await;
    world.assert_done(0);
    let sent: Vec<B256> = world.pool.attempts().iter().map(|attempt| attempt.hash).collect();
    assert_eq!(sent, [hash, hash, hash], "sent, sent again after the drop, and after the reorganization");
}

#[tokio::test]
async fn a_stolen_call_and_an_abandoned_one_end_as_the_spender_says() {
    let mut world = World::new(PoolRules::default()).await;
    world.submit(0).await;
    world.submit(1).await;
    world.turn().await;
    for attempt in world.pool.attempts().iter().rev() {
        world.pool.drop_transaction(attempt.hash).await.unwrap();
    }
    let stolen = world.chain.sign_spend(0, amount(0), salt(0)).unwrap();
    world.chain.post_spend(Party::Stranger, &stolen).await.unwrap();
    world.pool.mine(1).await.unwrap();
    world.command(Command::Abandon { id: id(1) }).await;
    world.turn().await;
    world.mine(1).await;
    world.mine(FINALITY_BLOCKS).await;
    world.assert_done(0);
    assert!(matches!(world.outcome(1), Some(Outcome::Dead { .. })), "{:?}", world.outcome(1));
    let late = world.chain.sign_spend(0, amount(1), salt(1)).unwrap();
    assert!(world.chain.post_spend(Party::Stranger, &late).await.is_err(), "the hash is consumed");
    world.mine(FINALITY_BLOCKS + 4).await;
    assert_eq!(world.open_nonces().await, 0);
}

#[tokio::test]
async fn a_refused_pull_goes_again_after_the_refill_and_a_known_one_is_answered_for_ever() {
    let mut world = World::new(PoolRules::default()).await;
    world.set_limit(0).await;
    world.submit(0).await;
    world.turn().await;
    let hash = world.pool.attempts().pop().unwrap().hash;
    world.pool.spoil_receipt(hash, ReceiptFault::WrongStatus);
    world.mine(1).await;
    world.mine(FINALITY_BLOCKS).await;
    assert_eq!(
        world.outcome(0),
        None,
        "the receipt says that it succeeded, the Spender that nothing happened"
    );
    world.pool.heal();
    world.turn().await;
    assert_eq!(world.outcome(0), Some(Outcome::Refused { attempt: 1 }));

    world.set_limit(1_000_000).await;
    world.command(Command::Retry { id: id(0), attempt: 2 }).await;
    world.turn().await;
    world.mine(1).await;
    world.mine(FINALITY_BLOCKS).await;
    world.assert_done(0);
    let pull = world.pull(0);
    assert_eq!(world.answer(Command::Pull(pull.clone())).await, Answer::Ended(world.outcome(0).unwrap()));
    let other = Pull { salt: salt(9), ..pull.clone() };
    assert_eq!(world.answer(Command::Pull(other)).await, Answer::Refused(Refusal::OtherContent(id(0))));
    let twin = Pull { id: id(1), ..pull };
    let refusal = Refusal::SameHash { id: id(1), known: id(0) };
    assert_eq!(world.answer(Command::Pull(twin)).await, Answer::Refused(refusal));
}

#[tokio::test]
async fn a_node_that_leaves_logs_out_ends_nothing() {
    let mut world = World::new(PoolRules::default()).await;
    let node = FaultyRpc::start(&world.pool.rpc_url, Faults::default()).await.unwrap();
    world.rpc_url = node.url.clone();
    world.submit(0).await;
    world.turn().await;
    world.mine(1).await;
    node.set(Faults { omits_logs: true, ..Faults::default() });
    world.pool.mine(FINALITY_BLOCKS).await.unwrap();
    world.turn().await;
    assert_eq!(world.outcome(0), None, "consumed and not executed would have been dead");
    assert_eq!(world.wait(0), Some(Wait::Unread));
    node.set(Faults::default());
    world.turn().await;
    world.assert_done(0);
}

#[tokio::test]
async fn a_pull_that_was_executed_before_a_restore_is_found_and_not_signed_again() {
    let mut world = World::new(PoolRules::default()).await;
    world.submit(0).await;
    let backup = world.changes().await;
    world.turn().await;
    world.mine(1).await;
    world.mine(2 * FINALITY_BLOCKS).await;
    world.assert_done(0);

    world.restore(backup).await;
    world.turn().await;
    world.assert_done(0);
    assert!(world.nonces(Party::Relayer).await.is_empty(), "nothing was signed about it");

    // The Spender's old state tells an invalidation from an execution.
    invalidate_and_restore(&mut world, 1).await;
    world.turn().await;
    assert_eq!(world.outcome(1), Some(Outcome::Dead { cause: Cause::Outside }), "{:?}", world.wait(1));
    assert!(world.nonces(Party::Relayer).await.is_empty(), "nothing was signed about it");
    assert_eq!(world.chain.spends().await.unwrap().len(), 1);
}

/// Has a pull invalidated, and restores the database from a backup in which it is accepted alone.
async fn invalidate_and_restore(world: &mut World, number: u8) {
    world.submit(number).await;
    let backup = world.changes().await;
    world.command(Command::Abandon { id: id(number) }).await;
    world.turn().await;
    world.mine(1).await;
    world.mine(FINALITY_BLOCKS).await;
    assert!(matches!(world.outcome(number), Some(Outcome::Dead { .. })), "{:?}", world.outcome(number));
    world.restore(backup).await;
}

#[tokio::test]
async fn a_forgotten_invalidation_parks_its_pull_where_no_node_has_kept_old_state() {
    let mut world = World::new(PoolRules::default()).await;
    let node = FaultyRpc::start(&world.pool.rpc_url, Faults::default()).await.unwrap();
    world.rpc_url = node.url.clone();
    invalidate_and_restore(&mut world, 0).await;
    let first_state = Some(world.pool.head().await.unwrap() - FINALITY_BLOCKS);
    for zeros_before in [true, false] {
        node.set(Faults { first_state, zeros_before, ..Faults::default() });
        world.restart();
        for _ in 0..4 {
            world.turn().await;
        }
        assert_eq!((world.outcome(0), world.wait(0)), (None, Some(Wait::MaybePaid)), "zeros: {zeros_before}");
    }
    assert!(world.nonces(Party::Relayer).await.is_empty(), "nothing was signed about it");

    // A pull that was executed is none of its transactions, and no word about another one helps.
    world.submit(1).await;
    world.turn().await;
    world.mine(1).await;
    world.mine(FINALITY_BLOCKS).await;
    world.assert_done(1);
    let Some(Outcome::Done { transaction, .. }) = world.outcome(1) else { panic!("it is done") };
    let before = world.changes().await;
    let other = world.say(0, Word::Paid { transaction }).await;
    assert!(matches!(other, Err(Unresolved::OtherTransaction { .. })), "{other:?}");
    let unknown = world.say(0, Word::Paid { transaction: B256::repeat_byte(7) }).await;
    assert!(matches!(unknown, Err(Unresolved::UnknownTransaction(_))), "{unknown:?}");
    assert_eq!(world.changes().await, before, "a refused word changes nothing");
    assert_eq!(world.say(0, Word::Search { from_block: 0 }).await, Ok(Follows::Search));
    world.turn().await;
    assert_eq!(world.wait(0), Some(Wait::MaybePaid), "nothing was found");
    assert_eq!(world.say(0, Word::NotPaid).await, Ok(Follows::NotPaid));
    world.turn().await;
    assert_eq!(world.outcome(0), Some(Outcome::Dead { cause: Cause::Resolved }));
    assert_eq!(world.say(0, Word::NotPaid).await, Ok(Follows::NotPaid), "a repeat of what is forgotten");
    let ended = world.say(0, Word::Paid { transaction }).await;
    assert!(matches!(ended, Err(Unresolved::Ended { .. })), "{ended:?}");
}

#[tokio::test]
async fn an_execution_whose_block_is_not_searched_is_taken_from_the_transaction_that_an_operator_names() {
    let mut world = World::new(PoolRules::default()).await;
    let node = FaultyRpc::start(&world.pool.rpc_url, Faults::default()).await.unwrap();
    world.rpc_url = node.url.clone();
    world.submit(0).await;
    let backup = world.changes().await;
    world.turn().await;
    world.mine(1).await;
    world.mine(2 * FINALITY_BLOCKS).await;
    let Some(Outcome::Done { transaction, block }) = world.outcome(0) else { panic!("it is done") };
    world.restore(backup).await;
    // The search fails, and the one block is served later.
    let first = Some(world.pool.head().await.unwrap() - FINALITY_BLOCKS);
    node.set(Faults { first_kept: first, ..Faults::default() });
    world.turn().await;
    assert_eq!((world.outcome(0), world.wait(0)), (None, Some(Wait::Unread)));
    let unserved = world.say(0, Word::Paid { transaction }).await;
    assert!(matches!(unserved, Err(Unresolved::UnknownTransaction(_))), "{unserved:?}");
    node.set(Faults { first_state: first, ..Faults::default() });
    assert_eq!(world.say(0, Word::Paid { transaction }).await, Ok(Follows::Paid));
    world.turn().await;
    assert_eq!(world.outcome(0), Some(Outcome::Done { transaction, block }));
    assert!(world.nonces(Party::Relayer).await.is_empty(), "nothing was signed about it");
}

#[tokio::test]
async fn a_node_that_forgets_old_blocks_stops_no_pull_that_does_not_need_them() {
    let mut world = World::new(PoolRules::default()).await;
    let node = FaultyRpc::start(&world.pool.rpc_url, Faults::default()).await.unwrap();
    world.rpc_url = node.url.clone();
    world.set_limit(0).await;
    world.submit(0).await;
    world.turn().await;
    world.mine(1).await;
    world.mine(FINALITY_BLOCKS).await;
    assert_eq!(world.outcome(0), Some(Outcome::Refused { attempt: 1 }));
    world.set_limit(1_000_000).await;
    world.submit(1).await;
    world.turn().await;
    // The host is down while its pull is executed and becomes old, and the node keeps the newest blocks alone.
    world.restart();
    world.pool.mine(200).await.unwrap();
    let executed = world.chain.spends().await.unwrap().pop().unwrap();
    let first_kept = executed.block_number + 100;
    node.set(Faults { first_kept: Some(first_kept), ..Faults::default() });
    world.command(Command::Retry { id: id(0), attempt: 2 }).await;
    world.submit(2).await;
    world.turn().await;
    world.mine(1).await;
    world.mine(FINALITY_BLOCKS).await;
    world.assert_done(0);
    world.assert_done(2);
    assert_eq!((world.outcome(1), world.wait(1)), (None, Some(Wait::Unread)));
    node.set(Faults::default());
    world.turn().await;
    world.assert_done(1);
}

#[tokio::test]
async fn a_request_of_a_host_with_other_accounts_is_signed_by_those_of_the_submitter() {
    let mut world = World::new(PoolRules::default()).await;
    let stranger = Party::Stranger.address().unwrap();
    let pull = Pull { delegate: stranger, sender: stranger, ..world.pull(0) };
    world.command(Command::Pull(pull.clone())).await;
    world.command(Command::Pull(pull)).await;
    let spender = stranger;
    let elsewhere = Pull { spender, ..world.pull(1) };
    let refusal = Refusal::UnknownSpender { id: id(1), spender };
    assert_eq!(world.answer(Command::Pull(elsewhere)).await, Answer::Refused(refusal));
    world.turn().await;
    world.mine(1).await;
    world.mine(FINALITY_BLOCKS).await;
    world.assert_done(0);
}

#[tokio::test]
async fn a_host_without_the_lease_commits_nothing_and_sends_nothing() {
    let mut world = World::new(PoolRules::default()).await;
    let first = world.begin("first", Duration::from_millis(600)).await.unwrap().unwrap();
    assert!(world.begin("second", LEASE).await.unwrap().is_none(), "the lease is held");
    let (first, answer) = first.command(Command::Pull(world.pull(0))).await.unwrap();
    assert_eq!(answer, Answer::Done);
    tokio::time::sleep(Duration::from_millis(700)).await;
    let second = world.begin("second", LEASE).await.unwrap().unwrap();
    let second = second.turn().await.unwrap();
    let sent = world.pool.attempts().len();
    assert_eq!(sent, 1);

    let stale = first.command(Command::Pull(world.pull(1))).await.err().unwrap();
    assert!(matches!(stale, ExecutorError::ChangeLog(ChangeLogError::LeaseLost { .. })), "{stale}");
    assert_eq!(world.pool.attempts().len(), sent);
    second.end().await.unwrap();
    world.mine(1).await;
    world.mine(FINALITY_BLOCKS).await;
    world.assert_done(0);
    assert_eq!(world.chain.spends().await.unwrap().len(), 1);
}

#[tokio::test]
async fn keys_that_the_spender_would_not_protect_are_refused_at_the_start() {
    let mut world = World::new(PoolRules::default()).await;
    world.keys = keys(Party::Relayer, Party::Stranger);
    let error = world.try_turn().await.unwrap_err();
    assert!(matches!(error, ExecutorError::Read(ReadError::NotDelegate { .. })), "{error}");
    world.chain.add_delegate(Party::Relayer).await.unwrap();
    world.keys = keys(Party::Relayer, Party::Delegate);
    let error = world.try_turn().await.unwrap_err();
    assert!(matches!(error, ExecutorError::Read(ReadError::SenderIsDelegate { .. })), "{error}");
}

//! Given events, when a command comes, then events or a refusal.

use clearfold_kernel::{
    Address, Amount, Asset, ChainSource, CommandContext, Decider, Hash, Minor, Timestamp,
};

use super::*;

const ACCOUNT: Address = Address([0xaa; 20]);

fn euro(cents: u128) -> Amount {
    Amount {
        minor: Minor::new(cents * 10_000_000_000_000_000),
        asset: Asset { code: "EURe".into(), decimals: 18 },
    }
}

fn source(block: u8, transaction: u8) -> ChainSource {
    ChainSource {
        chain_id: 100,
        block_hash: Hash([block; 32]),
        block_number: block.into(),
        transaction_hash: Hash([transaction; 32]),
        log_index: 33,
    }
}

fn at(s: u64) -> Timestamp {
    Timestamp::from_s(s).unwrap()
}

fn swipe(amount: Amount) -> RecordSwipe {
    RecordSwipe { account: ACCOUNT, amount, source: source(1, 2), occurred_at: at(5) }
}

fn swiped(amount: Amount) -> Event {
    Event::SwipeRecorded(SwipeRecorded { account: ACCOUNT, amount, source: source(1, 2), occurred_at: at(5) })
}

fn clearing(id: &str, amount: Amount, is_final: bool) -> Command {
    Command::PresentClearing(PresentClearing { clearing_id: id.into(), amount, is_final, occurred_at: at(9) })
}

fn cleared(id: &str, amount: Amount, is_final: bool) -> Event {
    Event::ClearingPosted(ClearingPosted {
        account: ACCOUNT,
        clearing_id: id.into(),
        amount,
        is_final,
        occurred_at: at(9),
    })
}

/// A refused command is compared by its code: the sentence is for people and may be reworded.
fn when(given: &[Event], command: &Command) -> Result<Vec<Event>, String> {
    let actor = if matches!(command, Command::PresentClearing(_)) { "api" } else { CommandContext::CHAIN };
    when_sent_by(actor, given, command)
}

fn when_sent_by(actor: &str, given: &[Event], command: &Command) -> Result<Vec<Event>, String> {
    let context = CommandContext {
        id: "a1".into(),
        routing_key: ACCOUNT.to_string(),
        actor: actor.into(),
        accepted_at: at(10),
    };
    let state = given.iter().fold(State::default(), Authorization::evolve);
    Authorization::decide(&state, command, &context).map_err(|rejection| rejection.code)
}

fn refused(code: &str) -> Result<Vec<Event>, String> {
    Err(code.to_owned())
}

#[test]
fn a_swipe_is_recorded() {
    assert_eq!(when(&[], &Command::RecordSwipe(swipe(euro(850)))), Ok(vec![swiped(euro(850))]));
}

#[test]
fn the_same_transaction_in_another_block_pays_once() {
    let again = RecordSwipe { source: source(7, 2), ..swipe(euro(850)) };
    assert_eq!(when(&[swiped(euro(850))], &Command::RecordSwipe(again)), Ok(vec![]));
}

#[test]
fn another_swipe_under_the_same_id_is_refused() {
    for other in [swipe(euro(851)), RecordSwipe { source: source(1, 3), ..swipe(euro(850)) }] {
        let outcome = when(&[swiped(euro(850))], &Command::RecordSwipe(other));
        assert_eq!(outcome, refused("identity_conflict"));
    }
}

#[test]
fn only_the_chain_can_report_a_swipe() {
    let outcome = when_sent_by("api", &[], &Command::RecordSwipe(swipe(euro(850))));
    assert_eq!(outcome, refused("not_from_chain"));
}

#[test]
fn a_swipe_of_nothing_is_refused() {
    assert_eq!(when(&[], &Command::RecordSwipe(swipe(euro(0)))), refused("amount_not_positive"));
}

#[test]
fn a_swipe_in_another_accounts_partition_is_refused() {
    let other = RecordSwipe { account: Address([0xbb; 20]), ..swipe(euro(850)) };
    assert_eq!(when(&[], &Command::RecordSwipe(other)), refused("account_mismatch"));
}

#[test]
fn a_payment_is_cleared_in_parts_until_the_last_one() {
    let mut given = vec![swiped(euro(850))];
    for (id, cents, is_final) in [("c1", 500, false), ("c2", 350, true)] {
        let events = when(&given, &clearing(id, euro(cents), is_final)).unwrap();
        assert_eq!(events, [cleared(id, euro(cents), is_final)]);
        given.extend(events);
    }
    assert_eq!(when(&given, &clearing("c3", euro(1), true)), refused("already_cleared"));
}

#[test]
fn a_clearing_above_the_payment_still_posts() {
    let events = when(&[swiped(euro(850))], &clearing("c1", euro(1000), true));
    assert_eq!(events, Ok(vec![cleared("c1", euro(1000), true)]));
}

#[test]
fn the_same_clearing_again_has_no_effect_even_after_the_last_one() {
    let given = [swiped(euro(850)), cleared("c1", euro(850), true)];
    assert_eq!(when(&given, &clearing("c1", euro(850), true)), Ok(vec![]));
    assert_eq!(when(&given, &clearing("c1", euro(849), true)), refused("duplicate_mismatch"));
}

#[test]
fn a_clearing_that_does_not_fit_is_refused() {
    let dollars = Amount { minor: Minor::new(1), asset: Asset { code: "USDC.e".into(), decimals: 6 } };
    let huge = Amount { minor: Minor::new(u128::MAX), ..euro(0) };
    let given = [swiped(euro(850)), cleared("c1", euro(500), false)];
    assert_eq!(when(&[], &clearing("c1", euro(1), true)), refused("authorization_not_found"));
    assert_eq!(when(&given, &clearing("c2", euro(0), true)), refused("amount_not_positive"));
    assert_eq!(when(&given, &clearing("c2", dollars, true)), refused("asset_mismatch"));
    assert_eq!(when(&given, &clearing("c2", huge, true)), refused("amount_too_large"));
}

#[test]
fn a_refund_stays_unlinked_and_counts_once() {
    let refund = |block| RecordRefund {
        account: ACCOUNT,
        amount: euro(217),
        source: source(block, 4),
        occurred_at: at(6),
    };
    let recorded = Event::RefundUnlinked(RefundUnlinked {
        account: ACCOUNT,
        amount: euro(217),
        source: source(1, 4),
        occurred_at: at(6),
    });
    assert_eq!(when(&[], &Command::RecordRefund(refund(1))), Ok(vec![recorded.clone()]));
    assert_eq!(when(std::slice::from_ref(&recorded), &Command::RecordRefund(refund(9))), Ok(vec![]));
    assert_eq!(when(&[recorded], &clearing("c1", euro(1), true)), refused("authorization_not_found"));
}

//! Cases: one fault each, with what the submitter does about it.

use alloy::primitives::{Address, B256, U256};

use super::super::{Cause, Change, Command, Outcome, POLLS, Settler, Wait, Work, waits};
use super::chain::{Chain, Lies};
use super::driver::Driver;
use super::{BASE_FEE_WEI, DELEGATE, SENDER, id, policy, pull};

pub struct Case {
    pub chain: Chain,
    pub driver: Driver,
}

impl Case {
    /// Begins with these pulls, each sent once.
    pub fn sent(numbers: &[u8]) -> Self {
        let mut case = Self::new();
        for number in numbers {
            assert!(case.driver.command(Command::Pull(pull(*number))));
        }
        case.poll();
        case
    }

    pub fn new() -> Self {
        let mut case = Self { chain: Chain::new(), driver: Driver::new() };
        case.poll();
        case
    }

    pub fn poll(&mut self) {
        self.poll_with(&Lies::default(), true);
    }

    pub fn poll_with(&mut self, lies: &Lies, reaches_pool: bool) {
        self.driver.poll(&mut self.chain, lies, None, || reaches_pool);
    }

    /// Mines so many full blocks, with a look after each.
    pub fn mine(&mut self, blocks: usize) {
        self.pass(blocks, 100);
    }

    /// Mines so many empty blocks, with a look after each.
    pub fn pass_by(&mut self, blocks: usize) {
        self.pass(blocks, 0);
    }

    fn pass(&mut self, blocks: usize, most: usize) {
        for _ in 0..blocks {
            self.chain.mine(most);
            self.poll();
        }
    }

    pub fn wait(&self, number: u8) -> Option<Wait> {
        waits(&self.driver.state, &self.driver.view, &policy()).get(&id(number)).copied()
    }

    pub fn outcomes(&self, number: u8) -> &[Outcome] {
        self.driver.saga.get(&id(number)).map_or(&[], Vec::as_slice)
    }

    pub fn hashes(&self) -> Vec<B256> {
        self.driver.signed().map(|(_, _, transaction)| transaction.hash).collect()
    }

    fn settlers(&self) -> Vec<(Address, u64, Settler)> {
        let settled = self.driver.log.iter().filter_map(|change| match change {
            Change::Settled { account, nonce, by } => Some((*account, *nonce, *by)),
            _ => None,
        });
        settled.collect()
    }

    pub fn assert_done(&self, number: u8) {
        assert!(
            matches!(self.outcomes(number).last(), Some(Outcome::Done { .. })),
            "{:?}",
            self.wait(number)
        );
        assert_eq!(self.chain.pulled(pull(number).hash()), 1);
    }

    pub fn assert_dead(&self, number: u8, cause: Cause) {
        assert_eq!(self.outcomes(number).last(), Some(&Outcome::Dead { cause }), "{:?}", self.wait(number));
        assert_eq!(self.chain.pulled(pull(number).hash()), 0);
    }
}

fn work(number: u8) -> Work {
    Work::Pull { id: id(number), attempt: 1 }
}

fn ours(transaction: B256, succeeded: bool) -> Settler {
    Settler::Ours { transaction, succeeded }
}

#[test]
fn a_pull_is_done_when_its_block_is_final() {
    let mut case = Case::sent(&[1]);
    assert_eq!(case.wait(1), Some(Wait::Block));
    case.mine(1);
    assert_eq!((case.wait(1), case.outcomes(1)), (Some(Wait::Finality), &[][..]));
    case.mine(4);
    case.assert_done(1);
    assert_eq!(case.wait(1), None);
    assert_eq!(case.settlers(), [(SENDER, 0, ours(case.hashes()[0], true))]);
}

#[test]
fn a_crash_between_any_two_steps_changes_nothing() {
    for fuse in 0..12 {
        for reaches_pool in [true, false] {
            let mut case = Case::new();
            assert!(case.driver.command(Command::Pull(pull(1))));
            case.driver.poll(&mut case.chain, &Lies::default(), Some(fuse), || reaches_pool);
            case.driver.restart();
            case.poll();
            case.mine(5);
            case.assert_done(1);
            assert_eq!(case.hashes().len(), 1, "signed once, at step {fuse}");
            assert_eq!(case.driver.state.lanes[&SENDER].next_nonce, 1, "no nonce is burnt, at step {fuse}");
        }
    }
}

#[test]
fn a_lost_transaction_is_sent_again_as_it_is() {
    let mut case = Case::new();
    assert!(case.driver.command(Command::Pull(pull(1))));
    case.poll_with(&Lies::default(), false);
    // It could not be known to the first look, which was before it was sent.
    for _ in 1..POLLS {
        case.poll();
        assert!(case.chain.waiting(SENDER).is_empty());
    }
    case.poll();
    assert_eq!(case.chain.waiting(SENDER), [(0, case.hashes()[0])]);
    assert_eq!(case.hashes().len(), 1);
}

#[test]
fn a_stuck_transaction_is_raised_and_all_that_were_signed_are_watched() {
    let mut case = Case::sent(&[1]);
    case.chain.base_fee_wei = 3 * BASE_FEE_WEI;
    case.pass_by(3);
    assert_eq!(case.hashes().len(), 1);
    // The replacement gets lost, so the older one is mined after all.
    case.chain.mine(0);
    case.poll_with(&Lies::default(), false);
    let hashes = case.hashes();
    assert_eq!(hashes.len(), 2);
    case.chain.base_fee_wei = BASE_FEE_WEI;
    case.mine(5);
    case.assert_done(1);
    assert_eq!(case.settlers(), [(SENDER, 0, ours(hashes[0], true))]);
}

#[test]
fn a_replacement_that_the_pool_did_not_take_is_raised_above() {
    let mut case = Case::sent(&[1]);
    case.chain.base_fee_wei = 3 * BASE_FEE_WEI;
    case.pass_by(3);
    case.chain.mine(0);
    case.poll_with(&Lies::default(), false);
    for _ in 0..POLLS {
        case.poll();
    }
    let hashes = case.hashes();
    assert_eq!(hashes.len(), 3, "the pool has the first, not the second");
    assert_eq!(case.chain.waiting(SENDER), [(0, hashes[2])]);
}

#[test]
fn a_nonce_that_was_stolen_is_replaced_once_that_is_final() {
    let mut case = Case::sent(&[1]);
    case.chain.steal_nonce(SENDER);
    case.mine(4);
    assert_eq!(case.hashes().len(), 1, "not yet final");
    case.mine(POLLS as usize - 1);
    assert_eq!(case.settlers(), [], "one node may be wrong for a while");
    case.mine(1);
    assert_eq!(case.settlers(), [(SENDER, 0, Settler::Foreign)]);
    assert_eq!(case.driver.works(SENDER, 1), [work(1)], "the same attempt under another nonce");
    case.mine(6);
    case.assert_done(1);
}

#[test]
fn a_stolen_call_is_a_pull_done_and_its_nonce_does_nothing() {
    let mut case = Case::sent(&[1]);
    case.chain.steal_call(0);
    case.pass_by(5);
    let Some(Outcome::Done { transaction, .. }) = case.outcomes(1).last() else { panic!("not done") };
    assert!(!case.hashes().contains(transaction), "a stranger sent it");
    assert_eq!(case.driver.works(SENDER, 0).last(), Some(&Work::Repair));
    let last = *case.hashes().last().unwrap();
    case.mine(5);
    assert_eq!(case.settlers(), [(SENDER, 0, ours(last, true))]);
}

#[test]
fn so_many_transactions_are_in_flight_and_the_rest_waits() {
    let mut case = Case::sent(&[1, 2, 3, 4, 5, 6]);
    assert_eq!(case.chain.waiting(SENDER).len(), policy().max_in_flight);
    assert_eq!(case.wait(5), Some(Wait::InFlightLimit));
    case.chain.mine(1);
    case.poll();
    assert_eq!(case.driver.works(SENDER, 4), [work(5)]);
    assert_eq!(case.wait(6), Some(Wait::InFlightLimit));
    case.mine(8);
    (1..=6).for_each(|number| case.assert_done(number));
}

#[test]
fn a_low_purse_stops_new_pulls_and_not_the_ones_in_flight() {
    let mut case = Case::sent(&[1]);
    case.chain.balance_wei = U256::from(1);
    assert!(case.driver.command(Command::Pull(pull(2))));
    case.pass_by(4);
    assert_eq!(case.wait(2), Some(Wait::LowPurse));
    assert_eq!(case.driver.works(SENDER, 0), [work(1), work(1)], "raised all the same");
    case.chain.balance_wei = U256::from(u128::MAX);
    case.mine(6);
    case.assert_done(2);
}

#[test]
fn a_price_above_the_ceiling_is_waited_out() {
    let mut case = Case::sent(&[1]);
    case.chain.base_fee_wei = 50_000;
    assert!(case.driver.command(Command::Pull(pull(2))));
    case.mine(100);
    assert_eq!(case.wait(1), Some(Wait::PriceCeiling));
    assert_eq!(case.wait(2), Some(Wait::PriceCeiling));
    case.chain.base_fee_wei = BASE_FEE_WEI;
    case.mine(7);
    case.assert_done(1);
    case.assert_done(2);
}

#[test]
fn a_repair_may_cost_more_than_a_pull() {
    let mut case = Case::sent(&[1]);
    case.chain.base_fee_wei = 50_000;
    case.mine(100);
    assert!(case.driver.command(Command::Abandon { id: id(1) }));
    case.mine(8);
    case.assert_dead(1, Cause::Asked);
    assert_eq!(case.driver.works(SENDER, 0).last(), Some(&Work::Repair));
    assert!(case.driver.state.lanes[&SENDER].slots.is_empty(), "the lane is free");
}

#[test]
fn a_revert_is_a_refusal_when_it_is_final_and_the_same_pull_can_go_again() {
    let mut case = Case::sent(&[1]);
    case.chain.reverting.insert(pull(1).hash());
    assert!(!case.driver.command(Command::Retry { id: id(1), attempt: 2 }), "nothing was refused yet");
    case.mine(4);
    assert_eq!(case.outcomes(1), []);
    case.mine(1);
    assert_eq!(case.outcomes(1), [Outcome::Refused { attempt: 1 }]);
    assert_eq!(case.wait(1), Some(Wait::Decision));

    assert!(!case.driver.command(Command::Retry { id: id(1), attempt: 3 }));
    assert!(case.driver.command(Command::Retry { id: id(1), attempt: 2 }));
    let changes = case.driver.log.len();
    assert!(case.driver.command(Command::Retry { id: id(1), attempt: 2 }), "a repeat");
    assert_eq!(case.driver.log.len(), changes);
    case.chain.reverting.clear();
    case.poll();
    case.mine(5);
    case.assert_done(1);
    assert_eq!(case.driver.works(SENDER, 1), [Work::Pull { id: id(1), attempt: 2 }]);
}

#[test]
fn a_refused_call_that_a_stranger_sends_later_is_done_all_the_same() {
    let mut case = Case::sent(&[1]);
    case.chain.reverting.insert(pull(1).hash());
    case.mine(5);
    case.chain.reverting.clear();
    case.chain.steal_call(0);
    case.mine(5);
    assert_eq!(case.outcomes(1).len(), 2, "refused, and then done");
    case.assert_done(1);
}

#[test]
fn what_nobody_signed_dies_by_its_delegate_as_well() {
    let mut case = Case::new();
    case.chain.base_fee_wei = 50_000;
    assert!(case.driver.command(Command::Pull(pull(1))));
    case.poll();
    assert!(case.driver.command(Command::Abandon { id: id(1) }));
    assert!(case.driver.command(Command::Abandon { id: id(1) }), "a repeat");
    case.poll();
    assert_eq!(case.outcomes(1), [], "it may have been signed before the database was restored");
    assert_eq!(case.driver.works(DELEGATE, 0), [Work::Invalidate { id: id(1) }]);
    case.mine(5);
    case.assert_dead(1, Cause::Asked);
    assert!(case.driver.works(SENDER, 0).is_empty());
}

#[test]
fn what_was_signed_dies_by_its_delegate_and_only_when_that_is_final() {
    let mut case = Case::sent(&[1]);
    assert!(case.driver.command(Command::Abandon { id: id(1) }));
    case.chain.base_fee_wei = 3000;
    case.poll();
    assert_eq!(case.driver.works(DELEGATE, 0), [Work::Invalidate { id: id(1) }]);
    assert_eq!(case.driver.works(SENDER, 0), [work(1), Work::Repair], "a no-op alone would cancel nothing");
    case.mine(4);
    assert_eq!((case.outcomes(1), case.wait(1)), (&[][..], Some(Wait::Finality)));
    case.mine(1);
    case.assert_dead(1, Cause::Asked);
    case.chain.steal_call(0);
    case.mine(1);
    case.assert_dead(1, Cause::Asked);
}

#[test]
fn what_lands_in_spite_of_being_abandoned_is_done() {
    let mut case = Case::sent(&[1]);
    case.chain.mine(1);
    assert!(case.driver.command(Command::Abandon { id: id(1) }));
    case.poll();
    case.mine(5);
    case.assert_done(1);
    case.mine(6);
    assert!(case.driver.state.lanes.values().all(|lane| lane.slots.is_empty()));
}

#[test]
fn a_pull_ends_with_its_time() {
    let mut case = Case::sent(&[1]);
    case.chain.base_fee_wei = 3000;
    case.chain.pass_time(2_000_000);
    assert!(case.driver.command(Command::Pull(pull(2))));
    case.poll();
    assert_eq!(case.driver.works(DELEGATE, 0), [Work::Invalidate { id: id(1) }]);
    assert_eq!(case.driver.works(DELEGATE, 1), [Work::Invalidate { id: id(2) }]);
    case.mine(6);
    case.assert_dead(1, Cause::Expired);
    case.assert_dead(2, Cause::Expired);
}

#[test]
fn a_reorganization_has_the_same_bytes_sent_again() {
    let mut case = Case::sent(&[1, 2]);
    case.mine(2);
    case.chain.reorganize(2, false);
    assert!(case.chain.waiting(SENDER).is_empty());
    case.poll();
    let hashes = case.hashes();
    assert_eq!(case.chain.waiting(SENDER), [(0, hashes[0]), (1, hashes[1])]);
    case.mine(5);
    case.assert_done(1);
    case.assert_done(2);
    assert_eq!(case.hashes(), hashes);
}

#[test]
fn a_receipt_that_contradicts_the_spender_ends_nothing() {
    let mut case = Case::sent(&[1]);
    case.chain.reverting.insert(pull(1).hash());
    case.mine(4);
    let lies = Lies { inverted: case.hashes(), ..Lies::default() };
    case.chain.mine(1);
    for _ in 0..5 {
        case.poll_with(&lies, true);
    }
    assert_eq!((case.outcomes(1), case.wait(1)), (&[][..], Some(Wait::Contradiction)));
    case.poll();
    assert_eq!(case.outcomes(1), [Outcome::Refused { attempt: 1 }]);

    // And the other way round: the receipt says that it reverted, the Spender that it was executed.
    let mut case = Case::sent(&[1]);
    case.mine(4);
    case.chain.mine(1);
    let lies = Lies { inverted: case.hashes(), ..Lies::default() };
    case.poll_with(&lies, true);
    case.assert_done(1);
}

#[test]
fn a_transaction_that_all_nodes_deny_costs_a_second_try_and_no_second_pull() {
    let mut case = Case::sent(&[1]);
    case.chain.reverting.insert(pull(1).hash());
    case.mine(4);
    case.chain.reverting.clear();
    let lies = Lies { hidden: case.hashes(), ..Lies::default() };
    case.chain.mine(1);
    for _ in 0..POLLS {
        case.poll_with(&lies, true);
    }
    assert_eq!(case.settlers(), [(SENDER, 0, Settler::Foreign)]);
    case.mine(6);
    case.assert_done(1);
}

#[test]
fn a_foreign_transaction_in_the_pool_stops_new_pulls_until_it_is_gone() {
    let mut case = Case::new();
    case.chain.offer_foreign(SENDER);
    assert!(case.driver.command(Command::Pull(pull(1))));
    case.poll();
    assert_eq!(case.wait(1), Some(Wait::ForeignPending));
    case.mine(1);
    assert_eq!(case.driver.works(SENDER, 1), [work(1)], "behind the foreign one");
    case.mine(5);
    case.assert_done(1);
}

#[test]
fn a_nonce_that_a_reorganization_left_open_is_repaired() {
    let mut case = Case::new();
    case.chain.steal_nonce(SENDER);
    case.mine(1);
    assert!(case.driver.command(Command::Pull(pull(1))));
    case.poll();
    assert_eq!(case.driver.works(SENDER, 1), [work(1)]);
    case.chain.reorganize(1, false);
    case.poll();
    assert!(case.driver.command(Command::Pull(pull(2))));
    case.poll();
    assert_eq!(case.wait(2), Some(Wait::Gap));
    assert!(case.driver.works(SENDER, 0).is_empty(), "perhaps the foreign one comes back");
    case.poll();
    assert_eq!(case.driver.works(SENDER, 0), [Work::Repair]);
    case.mine(6);
    case.assert_done(1);
    case.assert_done(2);
}

#[test]
fn a_report_must_be_of_what_happened() {
    let mut case = Case::sent(&[1]);
    let wrong = Outcome::Refused { attempt: 1 };
    assert!(!case.driver.command(Command::Report { id: id(1), outcome: wrong }));
    case.mine(5);
    let done = case.outcomes(1)[0];
    assert!(
        case.driver.command(Command::Report { id: id(1), outcome: done }),
        "a repeat, after it is forgotten"
    );
    assert!(case.driver.state.pulls.is_empty());
}

//! Properties over random histories of chain, pool, faults, crashes and thefts: nothing is pulled twice, everything ends
//! or waits with a reason, and no nonce is left out.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, U256};
use proptest::prelude::*;

use super::super::{Change, Command, Evidence, Fate, Outcome, Phase, PullId, Wait, Word, Work, waits};
use super::chain::{Chain, Lies};
use super::driver::Driver;
use super::{DELEGATE, SENDER, id, policy, pull};

const PULLS: u8 = 8;

#[derive(Clone, Debug)]
enum Action {
    Pull(u8),
    Abandon(u8),
    /// The saga decides about what was refused: again, or never.
    Decide {
        number: u8,
        again: bool,
    },
    /// Observe and act. Each send reaches the pool if its bit is set.
    Poll {
        fuse: Option<usize>,
        reaches_pool: u16,
    },
    /// Observe and act, while no node admits to know the transactions whose bit is set, or inverts their receipts.
    PollLies {
        hidden: u16,
        inverted: u16,
    },
    Restart,
    Mine(usize),
    Reorganize {
        depth: u64,
        return_to_pool: bool,
    },
    Drop(usize),
    StealCall(usize),
    StealNonce(bool),
    SetPrice(u128),
    /// Makes the pull's call revert, or succeed again.
    Revert {
        number: u8,
        reverts: bool,
    },
    SetBalance(u64),
    PassTime(u64),
    /// Has an operator, who is right, say how the pull ended.
    Say(u8),
    /// Restores the database from a backup: so many thousandths of its changes are left.
    Restore(usize),
}

fn honest() -> BoxedStrategy<Action> {
    let fuse = prop_oneof![3 => Just(None), 2 => (0_usize..40).prop_map(Some)];
    let reaches_pool = prop_oneof![2 => Just(u16::MAX), 1 => any::<u16>()];
    prop_oneof![
        6 => (0..PULLS).prop_map(Action::Pull),
        2 => (0..PULLS).prop_map(Action::Abandon),
        3 => (0..PULLS, any::<bool>()).prop_map(|(number, again)| Action::Decide { number, again }),
        16 => (fuse, reaches_pool).prop_map(|(fuse, reaches_pool)| Action::Poll { fuse, reaches_pool }),
        1 => Just(Action::Restart),
        16 => (0_usize..20).prop_map(Action::Mine),
        4 => (1_u64..5, any::<bool>())
            .prop_map(|(depth, return_to_pool)| Action::Reorganize { depth, return_to_pool }),
        4 => (0_usize..20).prop_map(Action::Drop),
        2 => any::<bool>().prop_map(Action::StealNonce),
        3 => prop_oneof![Just(100_u128), Just(1000), Just(9000), Just(30_000)].prop_map(Action::SetPrice),
        4 => (0..PULLS, any::<bool>()).prop_map(|(number, reverts)| Action::Revert { number, reverts }),
        1 => prop_oneof![Just(0_u64), Just(u64::MAX)].prop_map(Action::SetBalance),
        1 => prop_oneof![9 => Just(60_u64), 1 => Just(2_000_000)].prop_map(Action::PassTime),
    ]
    .boxed()
}

fn hostile() -> BoxedStrategy<Action> {
    prop_oneof![
        12 => honest(),
        1 => (0_usize..20).prop_map(Action::StealCall),
        1 => (any::<u16>(), any::<u16>()).prop_map(|(hidden, inverted)| Action::PollLies { hidden, inverted }),
    ]
    .boxed()
}

/// Two restores in a history are enough to forget what was done after the first.
fn restored() -> BoxedStrategy<Action> {
    prop_oneof![
        30 => hostile(),
        1 => (0_usize..=1000).prop_map(Action::Restore),
        1 => (0..PULLS).prop_map(Action::Say),
    ]
    .boxed()
}

struct World {
    chain: Chain,
    driver: Driver,
    /// Number of changes that were checked.
    checked: usize,
    /// True if a node serves old state.
    has_old_state: bool,
    /// Hashes of the pulls, by number. The second half are the second pulls of the payments of the first.
    hashes: Vec<B256>,
}

impl World {
    fn new(refuses_consumed: bool, has_old_state: bool) -> Self {
        let mut chain = Chain::new();
        chain.refuses_consumed = refuses_consumed;
        let hashes = (0..2 * PULLS).map(|number| pull(number).hash()).collect();
        Self { chain, driver: Driver::new(), checked: 0, has_old_state, hashes }
    }

    fn honest(&self) -> Lies {
        Lies { has_old_state: self.has_old_state, ..Lies::default() }
    }

    fn act(&mut self, action: &Action) {
        match *action {
            Action::Pull(number) => self.pull(number),
            Action::Abandon(number) => _ = self.driver.command(Command::Abandon { id: id(number) }),
            Action::Decide { number, again } => self.decide(&id(number), again),
            Action::Poll { fuse, reaches_pool } => {
                let mut bits = reaches_pool;
                let next = || {
                    bits = bits.rotate_left(1);
                    bits & 1 == 1
                };
                let honest = self.honest();
                self.driver.poll(&mut self.chain, &honest, fuse, next);
            }
            Action::PollLies { hidden, inverted } => {
                let (hidden, inverted) = (self.chosen(hidden), self.chosen(inverted));
                let lies = Lies { hidden, inverted, ..self.honest() };
                self.driver.poll(&mut self.chain, &lies, None, || true);
            }
            Action::Restart => self.driver.restart(),
            Action::Mine(most) => self.chain.mine(most),
            Action::Reorganize { depth, return_to_pool } => self.chain.reorganize(depth, return_to_pool),
            Action::Drop(which) => self.chain.drop_one(which),
            Action::StealCall(which) => self.chain.steal_call(which),
            Action::StealNonce(of_sender) => {
                self.chain.steal_nonce(if of_sender { SENDER } else { DELEGATE });
            }
            Action::SetPrice(base_fee_wei) => self.chain.base_fee_wei = base_fee_wei,
            Action::Revert { number, reverts } => {
                let hash = self.hashes[usize::from(number)];
                if reverts {
                    self.chain.reverting.insert(hash);
                } else {
                    self.chain.reverting.remove(&hash);
                }
            }
            Action::SetBalance(balance) => {
                self.chain.balance_wei = U256::from(balance) * U256::from(1_000_000);
            }
            Action::PassTime(seconds) => self.chain.pass_time(seconds),
            Action::Say(number) => self.say(number),
            Action::Restore(thousandths) => {
                self.driver.restore(self.driver.log.len() * thousandths / 1000);
                self.checked = self.driver.log.len();
            }
        }
        self.ask_again();
        self.check();
    }

    fn pull(&mut self, number: u8) {
        // The database refuses a known id when the state has forgotten it.
        let is_known = |change: &Change| matches!(change, Change::Accepted { pull } if pull.id == id(number));
        if !self.driver.log.iter().any(is_known) {
            assert!(self.driver.command(Command::Pull(pull(number))));
        }
    }

    /// Gives an operator's word, right or wrong: the submitter must not pay twice or revive a dead pull.
    fn say(&mut self, number: u8) {
        let (word, evidence) = match self.chain.final_fate(self.hashes[usize::from(number)]) {
            Fate::Executed { transaction, block } => {
                (Word::Paid { transaction }, Evidence::Executed { block })
            }
            _ => (Word::NotPaid, Evidence::Unknown),
        };
        // Refused words change nothing.
        _ = self.driver.say(id(number), word, evidence);
    }

    /// Has each payment whose first pull is dead ask for a second one.
    fn ask_again(&mut self) {
        let is_dead = |number: &u8| {
            let outcomes = self.driver.saga.get(&id(*number));
            matches!(outcomes.and_then(|outcomes| outcomes.last()), Some(Outcome::Dead { .. }))
        };
        for number in (0..PULLS).filter(is_dead).collect::<Vec<_>>() {
            self.pull(PULLS + number);
        }
    }

    fn chosen(&self, bits: u16) -> Vec<B256> {
        let hashes = self.driver.signed().map(|(_, _, transaction)| transaction.hash).enumerate();
        hashes.filter(|(index, _)| bits >> (index % 16) & 1 == 1).map(|(_, hash)| hash).collect()
    }

    fn decide(&mut self, id: &PullId, again: bool) {
        let Some(known) = self.driver.state.pulls.get(id) else { return };
        if !matches!(known.phase, Phase::Over(Outcome::Refused { .. })) {
            return;
        }
        let attempt = known.attempt + 1;
        let id = id.clone();
        let command = if again { Command::Retry { id, attempt } } else { Command::Abandon { id } };
        self.driver.command(command);
    }

    fn hash_of(&self, id: &PullId) -> B256 {
        let number = (0..2 * PULLS).find(|number| super::id(*number) == *id).expect("a pull of this test");
        self.hashes[usize::from(number)]
    }

    /// Checks what must always hold. A change is checked against the chain that it was concluded from, so this comes
    /// before the next block.
    fn check(&mut self) {
        for (number, hash) in self.hashes.iter().enumerate() {
            let times = self.chain.pulled(*hash);
            assert!(times <= 1, "pull {number} was pulled {times} times");
        }
        let (first, second) = self.hashes.split_at(usize::from(PULLS));
        for (number, (first, second)) in first.iter().zip(second).enumerate() {
            let times = self.chain.pulled(*first) + self.chain.pulled(*second);
            assert!(times <= 1, "payment {number} was paid {times} times");
        }
        for change in &self.driver.log[self.checked..] {
            self.check_change(change);
        }
        if self.checked < self.driver.log.len() {
            self.check_nonces();
        }
        self.checked = self.driver.log.len();
        for (id, outcomes) in &self.driver.saga {
            let is_dead = |outcome: &Outcome| matches!(outcome, Outcome::Dead { .. });
            if let Some(death) = outcomes.iter().position(is_dead) {
                assert_eq!(death + 1, outcomes.len(), "{id} lived on: {outcomes:?}");
                assert_eq!(self.chain.pulled(self.hash_of(id)), 0, "{id} is dead");
            }
        }
    }

    /// Checks a change against the chain at the time of its commit.
    fn check_change(&self, change: &Change) {
        match change {
            Change::Done { id, .. } => {
                assert!(matches!(self.chain.final_fate(self.hash_of(id)), Fate::Executed { .. }), "{id}");
            }
            Change::Dead { id, .. } => {
                assert_eq!(
                    self.chain.final_fate(self.hash_of(id)),
                    Fate::Invalidated,
                    "{id} can still be executed"
                );
            }
            Change::Refused { id, .. } => {
                assert_eq!(self.chain.final_fate(self.hash_of(id)), Fate::Fresh, "{id}");
            }
            Change::Retried { id, attempt } => {
                let refused = Change::Refused { id: id.clone(), attempt: attempt - 1 };
                assert!(self.driver.log.contains(&refused), "{id} was not refused");
            }
            _ => {}
        }
    }

    /// Checks that a nonce belongs to one work, and each replacement costs enough and not too much.
    fn check_nonces(&self) {
        let mut works: BTreeMap<(Address, u64), &Work> = BTreeMap::new();
        let mut prices = BTreeMap::new();
        let limits = policy().prices;
        for (account, nonce, transaction) in self.driver.signed() {
            let ceiling_wei = match &transaction.work {
                Work::Pull { .. } => limits.ceiling_fee_cap_wei,
                Work::Invalidate { .. } | Work::Repair => limits.repair_ceiling_fee_cap_wei,
            };
            assert!(transaction.price.fee_cap_wei <= ceiling_wei);
            if transaction.work != Work::Repair {
                let work = *works.entry((account, nonce)).or_insert(&transaction.work);
                assert_eq!(*work, transaction.work, "nonce {nonce} of {account} carried two works");
            }
            if let Some(old) = prices.insert((account, nonce), transaction.price) {
                assert!(transaction.price.fee_cap_wei * 8 >= old.fee_cap_wei * 9);
                assert!(transaction.price.tip_cap_wei * 8 >= old.tip_cap_wei * 9);
            }
        }
    }

    /// Ends all faults, and lets saga, submitter and chain work on.
    fn calm_down(&mut self) {
        self.chain.base_fee_wei = 100;
        self.chain.balance_wei = U256::from(u128::MAX);
        self.chain.reverting.clear();
        let honest = self.honest();
        for round in 0..100 {
            self.driver.poll(&mut self.chain, &honest, None, || true);
            self.ask_again();
            self.check();
            for number in 0..2 * PULLS {
                self.decide(&id(number), round % 2 == 0);
            }
            self.chain.mine(100);
        }
        self.check();
    }

    /// Checks that everything ended, and says why not.
    fn check_end(&self, has_restored: bool) {
        let mut waiting = waits(&self.driver.state, &self.driver.view, &policy());
        // Without old state, an invalidation before a restore looks like an execution in blocks that no endpoint serves.
        let may_park = has_restored && !self.has_old_state;
        let is_parked = |id: &PullId| self.chain.final_fate(self.hash_of(id)) == Fate::Invalidated;
        let parked: Vec<PullId> = waiting
            .extract_if(.., |id, wait| may_park && *wait == Wait::MaybePaid && is_parked(id))
            .map(|(id, _)| id)
            .collect();
        assert!(waiting.is_empty(), "{waiting:?}");
        assert_eq!(self.driver.state.pulls.len(), parked.len(), "an outcome was not reported");
        for change in &self.driver.log {
            let Change::Accepted { pull } = change else { continue };
            if parked.contains(&pull.id) {
                continue;
            }
            let outcomes = &self.driver.saga[&pull.id];
            let is_pulled = self.chain.pulled(self.hash_of(&pull.id)) == 1;
            assert!(
                matches!(
                    (outcomes.last(), is_pulled),
                    (Some(Outcome::Done { .. }), true) | (Some(Outcome::Dead { .. }), false)
                ),
                "{}: {outcomes:?}, pulled: {is_pulled}",
                pull.id
            );
        }
        for (account, lane) in &self.driver.state.lanes {
            assert!(lane.slots.is_empty(), "nonces of {account} are open: {:?}", lane.slots.keys());
            assert!(self.chain.latest(*account) >= lane.next_nonce, "nonces of {account} were left out");
        }
    }
}

fn live(refuses_consumed: bool, has_old_state: bool, actions: &[Action]) {
    let mut world = World::new(refuses_consumed, has_old_state);
    actions.iter().for_each(|action| world.act(action));
    world.calm_down();
    world.check_end(actions.iter().any(|action| matches!(action, Action::Restore(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Drops, reorganizations, crashes, lost answers, prices, foreign use of key and call, and nodes that hide and lie.
    #[test]
    fn nothing_is_pulled_twice_and_everything_ends(
        actions in proptest::collection::vec(hostile(), 0..120),
    ) {
        live(true, false, &actions);
    }

    /// The same without thieves of calls and lying nodes, at a Spender that would execute a hash again and again: here
    /// only the submitter's own care prevents a second pull.
    #[test]
    fn nothing_is_pulled_twice_even_without_the_spender(
        actions in proptest::collection::vec(honest(), 0..120),
    ) {
        live(false, false, &actions);
    }

    /// The same hostile world, in which the database is also restored from backups while the chain goes on: payments are
    /// paid once all the same, and where a node serves old state, none waits for an operator.
    #[test]
    fn nothing_is_paid_twice_after_a_restore(
        has_old_state: bool,
        actions in proptest::collection::vec(restored(), 0..150),
    ) {
        live(true, has_old_state, &actions);
    }
}

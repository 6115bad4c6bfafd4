//! The chain submitter on a real chain, behind the strict pool, with a real database: whatever fails or is cut off,
//! nothing is pulled twice, and everything ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use alloy::primitives::{B256, U256};
use clearfold_base::clock::Clock;
use clearfold_chain::submitter::executor::{
    Answer, ChangeLogError, Executor, ExecutorError, ExecutorSettings, Keys, Outcomes, ReadError,
};
use clearfold_chain::submitter::{Command, Outcome, Policy, Price, PriceLimits, Pull, PullId, Refusal};
use clearfold_devchain::pool::{PoolRules, ReceiptFault, SendFault, StrictPool};
use clearfold_devchain::{Anvil, AnvilOptions, DevChain, Limit, Party};
use clearfold_kernel::Timestamp;
use clearfold_tests::{Databases, Environment, Faults, FaultyRpc};
use sqlx::PgPool;

const GWEI: u128 = 1_000_000_000;
/// Number of blocks behind the head that are final on the development chain.
const FINALITY_BLOCKS: u64 = 32;
const LEASE: Duration = Duration::from_secs(60);

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
    let error = world.try_turn().await.unwrap_err();
    assert!(matches!(error, ExecutorError::Read(ReadError::NoEndpoint(_))), "{error}");
    assert!(error.to_string().contains("left out"), "{error}");
    assert_eq!(world.outcome(0), None, "consumed and not executed would have been dead");
    node.set(Faults::default());
    world.turn().await;
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

/// Sagas of the test: they remember what was recorded.
#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<Vec<(PullId, Outcome)>>>);

impl Outcomes for Recorded {
    async fn record(&self, id: &PullId, outcome: Outcome) -> Result<(), String> {
        self.0.lock().unwrap().push((id.clone(), outcome));
        Ok(())
    }
}

struct World {
    chain: DevChain,
    pool: StrictPool,
    write: PgPool,
    rpc_url: String,
    keys: Arc<Keys>,
    recorded: Recorded,
    /// Executor of the present process; `None` if it was cut off.
    running: Option<Executor<Recorded>>,
    _anvil: Anvil,
}

impl World {
    async fn new(rules: PoolRules) -> Self {
        let environment = Environment::read().unwrap();
        let options = AnvilOptions { no_mining: true, ..AnvilOptions::default() };
        let anvil = Anvil::start(&environment.anvil, &options).unwrap();
        let chain = DevChain::deploy(&anvil.rpc_url, &environment.artifacts, 1).await.unwrap();
        let pool = StrictPool::start(&anvil.rpc_url, rules).await.unwrap();
        pool.mine(FINALITY_BLOCKS).await.unwrap();
        let write = Databases::migrated(&environment).await.unwrap().write().await.unwrap();
        let (rpc_url, keys) = (pool.rpc_url.clone(), keys(Party::Relayer, Party::Delegate));
        let (recorded, running) = (Recorded::default(), None);
        Self { chain, pool, write, rpc_url, keys, recorded, running, _anvil: anvil }
    }

    async fn begin(&self, owner: &str, lease: Duration) -> Result<Option<Executor<Recorded>>, ExecutorError> {
        let settings = ExecutorSettings {
            policy: policy(),
            chain_rpc_urls: vec![self.rpc_url.parse().unwrap()],
            confirmations: 2,
            spenders: vec![self.chain.deployment().spender],
            lease,
        };
        let (keys, recorded) = (Arc::clone(&self.keys), self.recorded.clone());
        Executor::begin(settings, keys, &self.write, &Arc::from(owner), Clock::system(), recorded).await
    }

    /// Executor of the present process, or of a new one.
    async fn executor(&mut self) -> Result<Executor<Recorded>, ExecutorError> {
        match self.running.take() {
            Some(running) => Ok(running),
            None => Ok(self.begin("host", LEASE).await?.unwrap()),
        }
    }

    async fn try_turn(&mut self) -> Result<(), ExecutorError> {
        let executor = self.executor().await?;
        self.running = Some(executor.turn().await?);
        Ok(())
    }

    async fn turn(&mut self) {
        self.try_turn().await.unwrap();
    }

    /// Runs a turn that is cut off after it was polled so often. Returns true if it came to its end before.
    async fn cut_turn(&mut self, polls: usize) -> bool {
        let executor = self.executor().await.unwrap();
        let turn = CutOff { turn: Box::pin(executor.turn()), polls };
        self.running = turn.await.map(Result::unwrap);
        self.running.is_some()
    }

    async fn answer(&mut self, command: Command) -> Answer {
        let (executor, answer) = self.executor().await.unwrap().command(command).await.unwrap();
        self.running = Some(executor);
        answer
    }

    async fn command(&mut self, command: Command) {
        assert_eq!(self.answer(command).await, Answer::Done);
    }

    async fn submit(&mut self, number: u8) {
        let pull = self.pull(number);
        self.command(Command::Pull(pull)).await;
    }

    fn pull(&self, number: u8) -> Pull {
        let on = self.chain.deployment();
        Pull {
            id: id(number),
            chain_id: on.chain_id,
            spender: on.spender,
            delegate: on.delegate,
            sender: Party::Relayer.address().unwrap(),
            calldata: self.chain.spend_call(0, amount(number)).unwrap(),
            salt: salt(number),
            not_after: Timestamp::from_s(4_000_000_000).unwrap(),
        }
    }

    /// Mines so many blocks, and takes a few turns.
    async fn mine(&mut self, blocks: u64) {
        self.pool.mine(blocks).await.unwrap();
        for _ in 0..3 {
            self.turn().await;
        }
    }

    async fn set_base_fee(&self, base_fee_wei: u128) {
        self.pool.set_next_base_fee(base_fee_wei).await.unwrap();
    }

    /// Sets what the card may still spend.
    async fn set_limit(&self, balance: u128) {
        let limit = Limit { balance, max_refill: balance, refill: 0, period_s: 0 };
        self.chain.set_limit(0, limit).await.unwrap();
    }

    fn outcome(&self, number: u8) -> Option<Outcome> {
        let recorded = self.recorded.0.lock().unwrap();
        recorded.iter().rev().find(|(of, _)| *of == id(number)).map(|(_, outcome)| *outcome)
    }

    fn assert_done(&self, number: u8) {
        let waits = self.running.as_ref().map(Executor::waits);
        let outcome = self.outcome(number);
        assert!(matches!(outcome, Some(Outcome::Done { .. })), "{number}: {outcome:?} {waits:?}");
    }

    /// Nonces of the party's committed transactions, in order.
    async fn nonces(&self, party: Party) -> Vec<u64> {
        let account = party.address().unwrap();
        let rows: Vec<(i64,)> = sqlx::query_as(
            "SELECT nonce FROM submitter_changes WHERE kind = 'signed' AND account = $1 ORDER BY number",
        )
        .bind(account.as_slice())
        .fetch_all(&self.write)
        .await
        .unwrap();
        rows.into_iter().map(|(nonce,)| u64::try_from(nonce).unwrap()).collect()
    }

    /// Number of nonces that were assigned and are not used in a final block.
    async fn open_nonces(&self) -> i64 {
        let count: (i64,) = sqlx::query_as(
            "SELECT count(*) FROM (
                 SELECT account, nonce FROM submitter_changes WHERE kind = 'signed'
                 EXCEPT SELECT account, nonce FROM submitter_changes WHERE kind = 'settled') AS open",
        )
        .fetch_one(&self.write)
        .await
        .unwrap();
        count.0
    }
}

/// Turn that is dropped after it was polled so often, as a process that is killed drops it.
struct CutOff<F> {
    turn: Pin<Box<F>>,
    polls: usize,
}

impl<F: Future> Future for CutOff<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        self.turn.as_mut().poll(context).map(Some)
    }
}

fn keys(sender: Party, delegate: Party) -> Arc<Keys> {
    let lookup = |name: &str| match name {
        "SUBMITTER_SENDER_KEY" => Some(sender.private_key().to_owned()),
        "SUBMITTER_DELEGATE_KEY" => Some(delegate.private_key().to_owned()),
        _ => None,
    };
    Arc::new(Keys::read(lookup).unwrap())
}

fn policy() -> Policy {
    Policy {
        chain_id: 100,
        gas_limit: 500_000,
        prices: PriceLimits {
            floor: Price { fee_cap_wei: GWEI, tip_cap_wei: GWEI / 100 },
            ceiling_fee_cap_wei: 50 * GWEI,
            repair_ceiling_fee_cap_wei: 100 * GWEI,
        },
        max_in_flight: 16,
        raise_after_blocks: 3,
        purse_reserve_wei: U256::from(GWEI),
        max_pulls: 1000,
    }
}

fn id(number: u8) -> PullId {
    PullId::new(&format!("pull-{number}")).unwrap()
}

fn salt(number: u8) -> B256 {
    B256::repeat_byte(number)
}

fn amount(number: u8) -> U256 {
    U256::from(100 + u64::from(number))
}

//! World of the submitter's tests: an executor on a real chain with a real database, which can be cut off, restarted and
//! restored.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use alloy::primitives::{B256, U256};
use clearfold_base::clock::Clock;
use clearfold_chain::submitter::executor::{
    Answer, Executor, ExecutorError, ExecutorSettings, Keys, Outcomes, SharedExecutions,
};
use clearfold_chain::submitter::{
    Command, Follows, Outcome, Policy, Price, PriceLimits, Pull, PullId, Resolution, Unresolved, Wait, Word,
};
use clearfold_devchain::pool::{PoolRules, StrictPool};
use clearfold_devchain::{Anvil, AnvilOptions, DevChain, Limit, Party};
use clearfold_kernel::Timestamp;
use clearfold_tests::{Databases, Environment};
use sqlx::PgPool;

pub const GWEI: u128 = 1_000_000_000;
/// Number of blocks behind the head that are final on the development chain.
pub const FINALITY_BLOCKS: u64 = 32;
pub const LEASE: Duration = Duration::from_secs(60);

/// Sagas of the test: they remember what was recorded.
#[derive(Clone, Default)]
pub struct Recorded(Arc<Mutex<Vec<(PullId, Outcome)>>>);

impl Outcomes for Recorded {
    async fn record(&self, id: &PullId, outcome: Outcome) -> Result<(), String> {
        self.0.lock().unwrap().push((id.clone(), outcome));
        Ok(())
    }
}

/// Submitter with its chain, its database and its sagas.
pub struct World {
    pub chain: DevChain,
    pub pool: StrictPool,
    write: PgPool,
    pub rpc_url: String,
    pub keys: Arc<Keys>,
    recorded: Recorded,
    executions: SharedExecutions,
    /// Executor of the present process; `None` if it was cut off.
    running: Option<Executor<Recorded>>,
    _anvil: Anvil,
}

impl World {
    pub async fn new(rules: PoolRules) -> Self {
        let environment = Environment::read().unwrap();
        let options = AnvilOptions { no_mining: true, ..AnvilOptions::default() };
        let anvil = Anvil::start(&environment.anvil, &options).unwrap();
        let chain = DevChain::deploy(&anvil.rpc_url, &environment.artifacts, 1).await.unwrap();
        let pool = StrictPool::start(&anvil.rpc_url, rules).await.unwrap();
        pool.mine(FINALITY_BLOCKS).await.unwrap();
        let write = Databases::migrated(&environment).await.unwrap().write().await.unwrap();
        let (rpc_url, keys) = (pool.rpc_url.clone(), keys(Party::Relayer, Party::Delegate));
        let (recorded, executions, running) = (Recorded::default(), SharedExecutions::default(), None);
        Self { chain, pool, write, rpc_url, keys, recorded, executions, running, _anvil: anvil }
    }

    pub async fn begin(
        &self,
        owner: &str,
        lease: Duration,
    ) -> Result<Option<Executor<Recorded>>, ExecutorError> {
        let settings = ExecutorSettings {
            policy: policy(),
            chain_rpc_urls: vec![self.rpc_url.parse().unwrap()],
            confirmations: 2,
            spenders: vec![self.chain.deployment().spender],
            lease,
        };
        let (keys, recorded) = (Arc::clone(&self.keys), self.recorded.clone());
        let (owner, clock) = (Arc::from(owner), Clock::system());
        Executor::begin(settings, keys, &self.write, &owner, clock, recorded, &self.executions).await
    }

    /// Executor of the present process, or of a new one.
    pub async fn executor(&mut self) -> Result<Executor<Recorded>, ExecutorError> {
        match self.running.take() {
            Some(running) => Ok(running),
            None => Ok(self.begin("host", LEASE).await?.unwrap()),
        }
    }

    pub async fn try_turn(&mut self) -> Result<(), ExecutorError> {
        let executor = self.executor().await?;
        self.running = Some(executor.turn().await?);
        Ok(())
    }

    pub async fn turn(&mut self) {
        self.try_turn().await.unwrap();
    }

    /// Runs a turn that is cut off after it was polled so often. Returns true if it came to its end before.
    pub async fn cut_turn(&mut self, polls: usize) -> bool {
        let executor = self.executor().await.unwrap();
        let turn = CutOff { turn: Box::pin(executor.turn()), polls };
        self.running = turn.await.map(Result::unwrap);
        self.running.is_some()
    }

    pub async fn answer(&mut self, command: Command) -> Answer {
        let (executor, answer) = self.executor().await.unwrap().command(command).await.unwrap();
        self.running = Some(executor);
        answer
    }

    pub async fn command(&mut self, command: Command) {
        assert_eq!(self.answer(command).await, Answer::Done);
    }

    /// Gives an operator's word.
    pub async fn say(&mut self, number: u8, word: Word) -> Result<Follows, Unresolved> {
        let resolution = Resolution { id: id(number), word, by: "anna".to_owned(), why: None };
        let (executor, answer) = self.executor().await.unwrap().resolve(&resolution).await.unwrap();
        self.running = Some(executor);
        answer
    }

    pub async fn submit(&mut self, number: u8) {
        let pull = self.pull(number);
        self.command(Command::Pull(pull)).await;
    }

    pub fn pull(&self, number: u8) -> Pull {
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
    pub async fn mine(&mut self, blocks: u64) {
        self.pool.mine(blocks).await.unwrap();
        for _ in 0..3 {
            self.turn().await;
        }
    }

    pub async fn set_base_fee(&self, base_fee_wei: u128) {
        self.pool.set_next_base_fee(base_fee_wei).await.unwrap();
    }

    /// Sets what the card may still spend.
    pub async fn set_limit(&self, balance: u128) {
        let limit = Limit { balance, max_refill: balance, refill: 0, period_s: 0 };
        self.chain.set_limit(0, limit).await.unwrap();
    }

    pub fn outcome(&self, number: u8) -> Option<Outcome> {
        let recorded = self.recorded.0.lock().unwrap();
        recorded.iter().rev().find(|(of, _)| *of == id(number)).map(|(_, outcome)| *outcome)
    }

    pub fn wait(&self, number: u8) -> Option<Wait> {
        self.running.as_ref()?.waits().get(&id(number)).copied()
    }

    /// Ends the process, and begins another.
    pub fn restart(&mut self) {
        (self.running, self.executions) = (None, SharedExecutions::default());
    }

    /// Number of changes that a backup of the present database holds.
    pub async fn changes(&self) -> i64 {
        sqlx::query_scalar("SELECT change_count FROM submitters").fetch_one(&self.write).await.unwrap()
    }

    /// Restores the submitter's part of the database from a backup with so many changes.
    pub async fn restore(&mut self, changes: i64) {
        self.restart();
        self.recorded.0.lock().unwrap().clear();
        for statement in [
            "DELETE FROM submitter_changes WHERE number > $1",
            "DELETE FROM submitter_snapshots WHERE number > $1",
            "UPDATE submitters SET change_count = $1",
        ] {
            sqlx::query(statement).bind(changes).execute(&self.write).await.unwrap();
        }
    }

    pub fn assert_done(&self, number: u8) {
        let waits = self.running.as_ref().map(Executor::waits);
        let outcome = self.outcome(number);
        assert!(matches!(outcome, Some(Outcome::Done { .. })), "{number}: {outcome:?} {waits:?}");
    }

    /// Nonces of the party's committed transactions, in order.
    pub async fn nonces(&self, party: Party) -> Vec<u64> {
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
    pub async fn open_nonces(&self) -> i64 {
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

pub fn keys(sender: Party, delegate: Party) -> Arc<Keys> {
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

pub fn id(number: u8) -> PullId {
    PullId::new(&format!("pull-{number}")).unwrap()
}

pub fn salt(number: u8) -> B256 {
    B256::repeat_byte(number)
}

pub fn amount(number: u8) -> U256 {
    U256::from(100 + u64::from(number))
}

//! Executor of the model: takes the steps of the core one by one, and can crash between any two.

use std::collections::BTreeMap;

use alloy::primitives::Address;

use super::super::{
    Change, Command, Evidence, Executions, Follows, Observation, Outcome, PullId, Resolution, State, Step,
    Unresolved, View, Word, Work, accept, plan, resolve, settle,
};
use super::chain::{Chain, Lies, unread};
use super::policy;

/// Most rounds of planning after one observation.
const MAX_ROUNDS: usize = 200;

/// Process with its database, and the saga behind it.
pub struct Driver {
    /// Committed changes: what a crash leaves.
    pub log: Vec<Change>,
    pub state: State,
    pub view: View,
    /// Executions that were read. An executor that fails leaves them to the next, a restore does not.
    pub executions: Executions,
    /// Outcomes that the saga recorded, in order.
    pub saga: BTreeMap<PullId, Vec<Outcome>>,
    /// Number of steps until the process crashes.
    fuse: Option<usize>,
}

/// The process crashed.
pub struct Crash;

impl Driver {
    pub fn new() -> Self {
        Self {
            log: Vec::new(),
            state: State::default(),
            view: View::default(),
            executions: unread(),
            saga: BTreeMap::new(),
            fuse: None,
        }
    }

    /// Gives a command; returns false if it was refused.
    pub fn command(&mut self, command: Command) -> bool {
        let Ok(changes) = accept(&self.state, &policy(), command) else { return false };
        self.commit(changes);
        true
    }

    /// Gives an operator's word, with what final blocks say about the transaction that it names.
    pub fn say(&mut self, id: PullId, word: Word, evidence: Evidence) -> Result<Follows, Unresolved> {
        let resolution = Resolution { id, word, by: "anna".to_owned(), why: None };
        let (changes, follows) = resolve(&self.state, &self.view, &resolution, evidence)?;
        self.commit(changes);
        Ok(follows)
    }

    /// Observes the chain and acts, until nothing is left to do or the process crashes. `reaches_pool` says of each send
    /// whether it does.
    pub fn poll(
        &mut self,
        chain: &mut Chain,
        lies: &Lies,
        fuse: Option<usize>,
        reaches_pool: impl FnMut() -> bool,
    ) {
        self.fuse = fuse;
        if self.work(chain, lies, reaches_pool).is_err() {
            self.restart();
        }
    }

    /// Begins again with what was committed.
    pub fn restart(&mut self) {
        self.state = State::default();
        for change in &self.log {
            self.state.apply(change).expect("what was committed follows from what was committed before");
        }
        self.view = View::default();
    }

    /// Restores the database, in which the saga is too, from a backup with so many changes, and begins again.
    pub fn restore(&mut self, changes: usize) {
        self.log.truncate(changes);
        self.saga.clear();
        for change in &self.log {
            if let Change::Reported { id, outcome } = change {
                self.saga.entry(id.clone()).or_default().push(*outcome);
            }
        }
        self.executions = unread();
        self.restart();
    }

    /// Looks at the chain.
    pub fn look(&mut self, chain: &Chain, lies: &Lies) -> Observation {
        chain.observe(&self.state, &mut self.executions, lies)
    }

    fn work(
        &mut self,
        chain: &mut Chain,
        lies: &Lies,
        mut reaches_pool: impl FnMut() -> bool,
    ) -> Result<(), Crash> {
        let observation = self.look(chain, lies);
        self.view.observe(&self.state, observation).expect("the model's nodes are never behind");
        self.step()?;
        let changes = settle(&self.state, &self.view);
        self.commit(changes);
        self.step()?;
        for _ in 0..MAX_ROUNDS {
            let steps = plan(&self.state, &self.view, &policy());
            if steps.is_empty() {
                return Ok(());
            }
            for step in steps {
                self.take(chain, step, &mut reaches_pool)?;
            }
        }
        panic!("the plan never ends: {:?}", plan(&self.state, &self.view, &policy()));
    }

    fn take(
        &mut self,
        chain: &mut Chain,
        step: Step,
        reaches_pool: &mut impl FnMut() -> bool,
    ) -> Result<(), Crash> {
        match step {
            Step::Sign(draft) => {
                let (hash, raw) = chain.sign(&self.state, &draft);
                self.step()?;
                let seen = self.view.seen().expect("a plan needs a view");
                let (signed_at_block, final_block) = (seen.head, seen.finalized);
                let signed = Command::Sign { draft, hash, raw, signed_at_block, final_block };
                assert!(self.command(signed), "nothing happened between the plan and the signature");
                self.step()
            }
            Step::Send { transaction, raw } => {
                assert!(self.is_committed(&raw), "sent before it was committed");
                chain.send(&raw, reaches_pool());
                self.step()?;
                self.view.sent(transaction);
                Ok(())
            }
            Step::Report { id, outcome } => {
                let known = self.saga.entry(id.clone()).or_default();
                // The saga knows a repeat by the outcome.
                if known.last() != Some(&outcome) {
                    known.push(outcome);
                }
                self.step()?;
                assert!(self.command(Command::Report { id, outcome }));
                self.step()
            }
        }
    }

    fn commit(&mut self, changes: Vec<Change>) {
        for change in &changes {
            self.state.apply(change).expect("a change that follows from the state");
        }
        self.log.extend(changes);
    }

    fn is_committed(&self, raw: &[u8]) -> bool {
        self.signed().any(|(_, _, transaction)| transaction.raw[..] == *raw)
    }

    /// All transactions that were committed, with account and nonce, in order.
    pub fn signed(&self) -> impl Iterator<Item = (Address, u64, &super::super::Transaction)> {
        self.log.iter().filter_map(|change| match change {
            Change::Signed { account, nonce, transaction } => Some((*account, *nonce, transaction)),
            _ => None,
        })
    }

    /// Works that were committed for a nonce, in order.
    pub fn works(&self, account: Address, nonce: u64) -> Vec<Work> {
        let of_nonce = self.signed().filter(|signed| (signed.0, signed.1) == (account, nonce));
        of_nonce.map(|(_, _, transaction)| transaction.work.clone()).collect()
    }

    /// Burns one step of the fuse.
    fn step(&mut self) -> Result<(), Crash> {
        match &mut self.fuse {
            Some(0) => Err(Crash),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

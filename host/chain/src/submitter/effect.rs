//! Effect `pull`: a saga asks for a pull, and hears how it ended for good.
//!
//! It writes the request to the desk and waits until the submitter's changes say the end; the submitter may run on
//! another host. It remembers nothing that the database does not hold, so after a crash the same request waits for the
//! same pull. Its only refusals are definite: the pull is dead, or was never accepted and cannot be made.
//!
//! A request can also withdraw a leg. It is answered as soon as that is written; what becomes of the leg's pull is the
//! outcome of the request for it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alloy::primitives::Address;
use clearfold_base::database::DatabaseError;
use clearfold_base::tasks::{Next, Retry, StepFailure, Task};
use clearfold_base::telemetry::with_causes;
use clearfold_engine::effects::{Effect, EffectCall, Outcome};
use clearfold_kernel::Timestamp;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::json;
use tokio::sync::{Notify, watch};

use super::desk::Desk;
use super::payments::{LegPulls, PullRequest, Verdict, answer, leg_name, verdict};
use super::pull::{Pull, PullId};
use super::state::Cause;
use super::targets::{NoCall, Targets};

/// Name of the effect, for the first leg of a payment.
pub const PULL: &str = "pull";
/// Name of the same effect for later legs and for withdrawals. Hosts from before there were legs offer only the other, and
/// would take their requests for those of the first leg.
pub const PULL_LEG: &str = "pull-leg";
/// Code of the refusal of a pull that its saga has withdrawn.
const WITHDRAWN: &str = "pull_withdrawn";
/// Requests of one partition that wait at once. Each waits for minutes, and costs no connection meanwhile.
const CONCURRENCY: u32 = 1_024;
/// Pause before a request is written again that the database did not take.
const PAUSE: Duration = Duration::from_secs(1);

/// Pulls of legs, by the leg's name.
type Pulls = Arc<BTreeMap<String, LegPulls>>;

/// The effect.
pub struct PullEffect {
    desk: Desk,
    targets: Targets,
    parties: Parties,
    deadline: Duration,
    board: Arc<Board>,
}

/// Accounts that a request names. The accepting host replaces them by its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parties {
    pub delegate: Address,
    pub sender: Address,
}

/// Legs with requests that wait for an outcome, and their pulls as they were read last.
struct Board {
    waiting: Mutex<BTreeMap<String, usize>>,
    more: Notify,
    told: watch::Sender<Pulls>,
}

/// Task that reads the pulls of the legs that are waited for.
pub(super) struct BoardReader {
    desk: Desk,
    board: Arc<Board>,
    interval: Duration,
    /// True if nobody waited at the last look. Otherwise the next look comes in its time, however many begin to wait.
    is_idle: bool,
}

/// Place on the board, left when it is dropped.
struct Waiting<'a> {
    board: &'a Board,
    leg_name: String,
    told: watch::Receiver<Pulls>,
}

impl PullEffect {
    /// Makes the effect, and the task that it needs. `deadline` is the time within which a pull must be executed, from
    /// the commit of its request.
    pub(super) fn new(
        desk: Desk,
        targets: Targets,
        parties: Parties,
        deadline: Duration,
        interval: Duration,
    ) -> (Self, BoardReader) {
        let board = Arc::new(Board {
            waiting: Mutex::default(),
            more: Notify::new(),
            told: watch::Sender::new(Pulls::default()),
        });
        let reader = BoardReader { desk: desk.clone(), board: Arc::clone(&board), interval, is_idle: true };
        (Self { desk, targets, parties, deadline, board }, reader)
    }

    async fn outcome(&self, call: &EffectCall) -> Outcome {
        let request = match read(&call.request) {
            Ok(request) => request,
            Err(detail) => return refused("request_malformed", detail),
        };
        let leg_name = leg_name(request.authorization_id.as_str(), request.leg);
        if request.withdraw {
            return self.withdraw(&leg_name).await;
        }
        let Some(id) = PullId::of_leg(&leg_name, request.number) else {
            return refused("request_malformed", format!("the id of the payment {leg_name} is too long"));
        };
        let mut waiting = self.board.wait_for(leg_name);
        let mut is_asked = false;
        loop {
            let leg = waiting.next().await;
            match verdict(&leg.pulls, &id) {
                Verdict::Executed { pull, transaction, block } => {
                    return Outcome::Answered(answer(&pull, transaction, block));
                }
                Verdict::Dead { cause } => {
                    let code = code_of_dead(cause, leg.is_withdrawn);
                    let detail = format!("the pull {id} was not executed and cannot be any more: {cause:?}");
                    return refused(code, detail);
                }
                // The submitter takes what was asked for before off the desk.
                Verdict::New if leg.is_withdrawn => {
                    if self.is_unasked(&waiting.leg_name, &id).await {
                        return refused(WITHDRAWN, format!("the leg of the pull {id} is withdrawn"));
                    }
                }
                Verdict::New if !is_asked => match self.pull(&id, &request, call.requested_at) {
                    Ok(pull) => is_asked = self.ask(&waiting.leg_name, request.number, &pull).await,
                    Err(NoCall { code, detail }) if self.is_unasked(&waiting.leg_name, &id).await => {
                        return refused(code, detail);
                    }
                    Err(_) => {}
                },
                Verdict::New | Verdict::UnderWay | Verdict::Behind => {}
            }
        }
    }

    async fn withdraw(&self, leg_name: &str) -> Outcome {
        while let Err(error) = self.desk.withdraw(leg_name).await {
            tracing::warn!(error = with_causes(&error), leg = %leg_name, "a pull could not be withdrawn; trying again");
            tokio::time::sleep(PAUSE).await;
        }
        Outcome::Answered(json!({"withdrawn": leg_name}).to_string().into_bytes())
    }

    /// Makes the pull that the request is.
    fn pull(&self, id: &PullId, request: &PullRequest, requested_at: Timestamp) -> Result<Pull, NoCall> {
        let Parties { delegate, sender } = self.parties;
        let deadline_ms = u64::try_from(self.deadline.as_millis()).unwrap_or(u64::MAX);
        let not_after = requested_at.as_ms().checked_add(deadline_ms).and_then(Timestamp::from_ms);
        let not_after = not_after.ok_or_else(|| NoCall {
            code: "deadline_out_of_range",
            detail: "the deadline of a pull lies beyond the calendar; correct SUBMITTER_DEADLINE_S"
                .to_owned(),
        })?;
        Ok(Pull {
            id: id.clone(),
            chain_id: self.targets.chain_id,
            spender: self.targets.spender,
            delegate,
            sender,
            calldata: self.targets.call(request.account, &request.amount)?,
            salt: id.salt(),
            not_after,
        })
    }

    /// Returns true if the leg has no pull that may still be executed, on the desk or accepted. An earlier request can lie
    /// there that the pulls which were told do not hold yet.
    async fn is_unasked(&self, leg_name: &str, id: &PullId) -> bool {
        let unasked = async {
            // In this order: a request is taken off the desk after its pull is accepted.
            let is_asked = self.desk.may_hold(leg_name).await?;
            let leg = self.desk.leg(leg_name).await?;
            Ok::<_, DatabaseError>(!is_asked && verdict(&leg.pulls, id) == Verdict::New)
        };
        unasked.await.unwrap_or_else(|error| {
            tracing::warn!(error = with_causes(&error), pull = %id, "a pull could not be looked up; trying again");
            false
        })
    }

    /// Writes the request; returns false if it must be written again.
    async fn ask(&self, leg_name: &str, number: u32, pull: &Pull) -> bool {
        match self.desk.ask(leg_name, number, pull).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(error = with_causes(&error), pull = %pull.id, "a pull could not be asked for; trying again");
                tokio::time::sleep(PAUSE).await;
                false
            }
        }
    }
}

impl Effect for PullEffect {
    fn concurrency(&self) -> u32 {
        CONCURRENCY
    }

    fn carry_out(&self, call: EffectCall) -> BoxFuture<'_, Outcome> {
        async move { self.outcome(&call).await }.boxed()
    }
}

/// Returns the code of the refusal for a dead pull. A withdrawn leg has no other pull, whatever the cause of death of this
/// one.
const fn code_of_dead(cause: Cause, is_withdrawn: bool) -> &'static str {
    if is_withdrawn || matches!(cause, Cause::Asked) { WITHDRAWN } else { "pull_dead" }
}

fn read(request: &[u8]) -> Result<PullRequest, String> {
    let request: PullRequest =
        serde_json::from_slice(request).map_err(|error| format!("the request is no pull: {error}"))?;
    if request.number == 0 {
        return Err("pulls are numbered from 1".to_owned());
    }
    Ok(request)
}

fn refused(code: &str, detail: String) -> Outcome {
    Outcome::Refused { code: code.to_owned(), detail }
}

impl Board {
    fn wait_for(&self, leg_name: String) -> Waiting<'_> {
        let told = self.told.subscribe();
        self.change(|waiting| *waiting.entry(leg_name.clone()).or_default() += 1);
        self.more.notify_one();
        Waiting { board: self, leg_name, told }
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<String, usize>) -> T) -> T {
        // Each change is whole.
        change(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Waiting<'_> {
    /// Waits until the leg's pulls are read again, and returns them.
    async fn next(&mut self) -> LegPulls {
        loop {
            clearfold_base::tasks::changed(&mut self.told).await;
            if let Some(pulls) = self.told.borrow_and_update().get(&self.leg_name) {
                return pulls.clone();
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.board.change(|waiting| {
            if let Some(count) = waiting.get_mut(&self.leg_name) {
                // One was added when the place was taken.
                *count -= 1;
                if *count == 0 {
                    waiting.remove(&self.leg_name);
                }
            }
        });
    }
}

impl Task for BoardReader {
    type Output = Infallible;
    type Error = DatabaseError;

    async fn step(&mut self) -> Result<Next, DatabaseError> {
        let names: Vec<String> = self.board.change(|waiting| waiting.keys().cloned().collect());
        self.is_idle = names.is_empty();
        if self.is_idle {
            return Ok(Next::Idle);
        }
        self.board.told.send_replace(Arc::new(self.desk.legs(&names).await?));
        Ok(Next::WaitFor(self.interval))
    }

    async fn woken(&mut self) {
        match self.is_idle {
            true => self.board.more.notified().await,
            false => std::future::pending().await,
        }
    }

    fn retry(&self) -> Retry {
        Retry { least: self.interval, longest: self.interval.max(Duration::from_secs(15)) }
    }

    fn failure(&self, _: &DatabaseError) -> StepFailure {
        StepFailure::error("the pulls of payments could not be read; trying again")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_pull_of_a_withdrawn_leg_is_withdrawn_whatever_it_died_of() {
        for cause in [Cause::Asked, Cause::Expired, Cause::Outside] {
            assert_eq!(code_of_dead(cause, true), "pull_withdrawn", "{cause:?}");
        }
        assert_eq!(code_of_dead(Cause::Asked, false), "pull_withdrawn");
        assert_eq!(code_of_dead(Cause::Expired, false), "pull_dead");
        assert_eq!(code_of_dead(Cause::Outside, false), "pull_dead");
    }
}

//! Saga of an authorization: carries one payment from its request to its end, across its card and its account.
//!
//! | event | flow | steps |
//! |---|---|---|
//! | requested | `authorize` | `answer`, `count-pin` if the PIN is wrong, `reserve`, `hold`, `assess` if the host offers a risk check, `approve` (the pivot) |
//! | a part proposed | `authorize-part` | `answer`, `keep`, `hold-part`, `assess` likewise, `approve-part` (the pivot) |
//! | a `Spend` expected | `authorize-spent` | `answer`, `keep`, `hold`, `assess` likewise, `approve` |
//! | declined | none: [`authorize`] undoes what it did itself | |
//! | an increment requested | `increment` | `answer-increment`, `reserve-increment`, `raise`, `assess` likewise, `approve-increment` (the pivot) |
//! | every other event with [bookings](crate::bookings) | `book` | `open` if the account may not be open, then `book` for each command |
//! | a refund that may have another report | `refund`, behind its bookings | `resolve-refund`, `read-refund` (the pivot) |
//! | a clearing that nobody authorized begins a payment | `match-clearing`, in the lane `funding` | `link-clearing`, `find-hold` (the pivot) |
//! | that clearing is linked to another payment | `take-clearing`, behind its bookings | `take-clearing` |
//! | the hold begins to have an expiry time | `expire`, in a lane of its own | `expire` |
//! | a leg of the funding begins, and the host offers pulls | `fund`, in the lane `funding` | `pull` |
//! | nothing is due any more of an undecided leg | `withdraw`, in a lane of its own | `withdraw` |
//! | a leg is abandoned with an exposure | `recover`, in a lane of its own | `recover` |
//! | the pull is in a block | `finalize`, behind the flow that pulls | `finalize` |
//!
//! All flows but `expire` and those of the funding share the lane `books`, so the bookings of a payment are sent in the
//! order of its events. This is the order that [`bookings`](crate::bookings) asks for. An event that ends the hold ends
//! the wait for its expiry.
//!
//! The memory is the payment's state, folded from the observed events. The saga decides nothing about money: it sends
//! what the deciders and the bookings say, and repeats a booking that is refused until the host gives it to an
//! operator.

mod assess;
mod authorize;
mod book;
mod clearing;
mod expire;
mod fund;
mod increment;
mod link;
mod memory;
mod observe;
mod part;
mod refund;

use clearfold_kernel::{Action, Observed, Phase, Retry, Saga, Step, StepCall, Subject};

use crate::authorization::{self, Event};

/// Saga of an authorization.
pub struct AuthorizationSaga;

/// Repetition of a booking. The twelve attempts take 34 minutes at most: an operator has the booking before the audit
/// counts it as missing, which is after an hour.
const BOOKING: Retry = Retry { first_delay_ms: 1_000, longest_delay_ms: 1_024_000, attempts: 12 };

/// Repetition of a compensation. The network waits two seconds for its answer, and the customer's money is held
/// meanwhile, so it begins quickly; after ten minutes an operator has it.
const COMPENSATION: Retry = Retry { first_delay_ms: 100, longest_delay_ms: 60_000, attempts: 20 };

/// Repetition of an expiry. Nobody waits for it, and a hold that lives some hours longer harms nobody.
const EXPIRY: Retry = Retry { first_delay_ms: 60_000, longest_delay_ms: 3_600_000, attempts: 30 };

/// Repetition of a pull that is dead, each time as a new one. Its own deadline is a day or so, within which the submitter
/// tries it again and again; what is dead three times is abandoned by an attempt behind them.
const FUNDING: Retry =
    Retry { first_delay_ms: 60_000, longest_delay_ms: 3_600_000, attempts: 2 * fund::PULLS };

/// Repetition of the question to an operator: the first attempt parks.
const RECOVERY: Retry = Retry { attempts: 1, ..FUNDING };

const fn step(name: &'static str, phase: Phase, retry: Retry) -> Step {
    Step { name, phase, retry }
}

impl Saga for AuthorizationSaga {
    const NAME: &'static str = "authorization";
    const FOLLOWS: &'static str = authorization::AGGREGATE;
    // All events that can be the first of a stream, except a reversal that fits nothing: it moves no money, and no
    // later booking depends on it.
    const STARTS_ON: &'static [&'static str] = &[
        "SwipeRecorded",
        "AuthorizationRequested",
        "AdviceRecorded",
        "ForcePosted",
        "RefundUnlinked",
        "DisputeMoneyMoved",
    ];
    const STEPS: &'static [Step] = &[
        step(authorize::ANSWER, Phase::Compensatable, COMPENSATION),
        step(authorize::COUNT_PIN, Phase::Compensatable, COMPENSATION),
        step(authorize::RESERVE, Phase::Compensatable, COMPENSATION),
        step(authorize::HOLD, Phase::Compensatable, COMPENSATION),
        step(assess::ASSESS, Phase::Compensatable, COMPENSATION),
        step(authorize::APPROVE, Phase::Pivot, COMPENSATION),
        step(part::KEEP, Phase::Compensatable, COMPENSATION),
        step(part::HOLD, Phase::Compensatable, COMPENSATION),
        step(part::APPROVE, Phase::Pivot, COMPENSATION),
        step(increment::ANSWER, Phase::Compensatable, COMPENSATION),
        step(increment::RESERVE, Phase::Compensatable, COMPENSATION),
        step(increment::RAISE, Phase::Compensatable, COMPENSATION),
        step(increment::APPROVE, Phase::Pivot, COMPENSATION),
        step(book::OPEN, Phase::Retriable, BOOKING),
        step(book::BOOK, Phase::Retriable, BOOKING),
        step(expire::EXPIRE, Phase::Retriable, EXPIRY),
        step(fund::PULL, Phase::Retriable, FUNDING),
        step(fund::WITHDRAW, Phase::Retriable, BOOKING),
        step(fund::RECOVER, Phase::Retriable, RECOVERY),
        step(fund::FINALIZE, Phase::Retriable, BOOKING),
        step(link::LINK, Phase::Compensatable, BOOKING),
        step(link::READ, Phase::Pivot, BOOKING),
        step(link::AWAIT, Phase::Compensatable, BOOKING),
        step(link::LINK_SPEND, Phase::Compensatable, BOOKING),
        step(link::FIND, Phase::Pivot, BOOKING),
        step(link::TAKE, Phase::Retriable, BOOKING),
        step(link::GIVE_UP, Phase::Retriable, BOOKING),
        step(link::OBSERVE, Phase::Retriable, BOOKING),
        step(refund::RESOLVE, Phase::Compensatable, BOOKING),
        step(refund::READ, Phase::Pivot, BOOKING),
        step(clearing::LINK, Phase::Compensatable, BOOKING),
        step(clearing::FIND, Phase::Pivot, BOOKING),
        step(clearing::TAKE, Phase::Retriable, BOOKING),
    ];

    const EFFECTS: &'static [&'static str] = &[assess::RISK, fund::PULL, fund::PULL_LEG];

    type Event = Event;

    fn observe(subject: &Subject, event: &Event) -> Result<Observed, String> {
        observe::observe(subject, event)
    }

    fn run(call: &StepCall) -> Result<Action, String> {
        match call.step.as_str() {
            authorize::ANSWER
            | part::KEEP
            | increment::ANSWER
            | link::LINK
            | link::AWAIT
            | link::LINK_SPEND
            | refund::RESOLVE
            | clearing::LINK => Ok(Action::Done),
            authorize::COUNT_PIN => authorize::count_pin(call),
            authorize::RESERVE => authorize::reserve(call),
            authorize::HOLD => authorize::hold(call),
            assess::ASSESS => assess::run(call),
            authorize::APPROVE => authorize::approve(call),
            part::HOLD => part::hold(call),
            part::APPROVE => part::approve(call),
            increment::RESERVE => increment::reserve(call),
            increment::RAISE => increment::raise(call),
            increment::APPROVE => increment::approve(call),
            book::OPEN | book::BOOK => book::run(call),
            expire::EXPIRE => expire::run(call),
            fund::PULL => fund::pull(call),
            fund::WITHDRAW => fund::withdraw(call),
            fund::RECOVER => fund::recover(call),
            fund::FINALIZE => fund::finalize(call),
            link::READ => link::read_match(call),
            link::FIND => link::find(call),
            link::TAKE => link::take(call),
            refund::READ => book::command(call),
            clearing::FIND => clearing::find(call),
            clearing::TAKE => clearing::take(call),
            link::GIVE_UP | link::OBSERVE => link::tell(call),
            _ => Err(unknown(call)),
        }
    }

    fn compensate(call: &StepCall) -> Result<Action, String> {
        match call.step.as_str() {
            authorize::ANSWER => authorize::decline(call),
            authorize::RESERVE | part::KEEP => authorize::release(call),
            authorize::HOLD | part::HOLD => authorize::void(call),
            // A question has nothing to undo, and a wrong PIN stays one.
            assess::ASSESS | authorize::COUNT_PIN => Ok(Action::Done),
            increment::ANSWER => increment::decline(call),
            increment::RESERVE => increment::release(call),
            increment::RAISE => increment::lower(call),
            link::LINK => link::link(call),
            link::LINK_SPEND => link::link_spend(call),
            link::AWAIT => link::await_spend(call),
            refund::RESOLVE => refund::resolve(call),
            clearing::LINK => clearing::link(call),
            _ => Err(unknown(call)),
        }
    }
}

fn unknown(call: &StepCall) -> String {
    format!("the step `{}` is not one that can be done or undone here", call.step)
}

/// Returns true if the attempt before was refused with one of these codes.
fn was_refused(call: &StepCall, codes: &[&str]) -> bool {
    call.last_refusal.as_ref().is_some_and(|refusal| codes.contains(&refusal.code.as_str()))
}

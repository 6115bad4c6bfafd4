//! Checks all invariants of an account, fed one event at a time. It never reads a store.

use clearfold_kernel::{Invariant, Timestamp, Violation};

use super::{
    account_holds::AccountHolds, amounts::Amounts, available::Available, clearing_links::ClearingLinks,
    dispute_money::DisputeMoney, double_entry::DoubleEntry, durable::Durable, holds::Holds,
    identities::Identities, on_chain::OnChain, prevented::Prevented, pulls::Pulls, refunds::Refunds,
    reports::Reports, returns::Returns, single_messages::SingleMessages, suspense::Suspense,
};
use crate::{account, authorization, card};

/// Longest time for which the consequence of an event, or one half of a change, may be outstanding, in milliseconds.
const ON_ITS_WAY_MS: u64 = 60 * 60 * 1_000;

/// Event of one of an account's streams.
#[derive(Debug, Clone, Copy)]
pub enum Happened<'a> {
    /// Event of the account itself.
    Account(&'a account::Event),
    /// Event of one of its payments.
    Authorization(&'a authorization::Event),
    /// Event of one of its cards.
    Card(&'a card::Event),
}

/// Event with its place in the log.
#[derive(Clone, Copy)]
pub(super) struct Fact<'a> {
    pub stream: &'a str,
    /// Stream id without the aggregate.
    pub id: &'a str,
    pub event: Happened<'a>,
    /// Time at which the event was appended to the log.
    pub recorded_at: Timestamp,
}

/// Predicate over the time at which an event was recorded: true if the consequences of the event must be there by
/// now.
pub(super) type IsDue<'a> = &'a dyn Fn(Timestamp) -> bool;

/// Violations found so far in one stream.
pub(super) struct Violations<'a> {
    stream: &'a str,
    violations: Vec<Violation>,
}

impl Violations<'_> {
    /// Reports that an invariant does not hold after the current event.
    pub(super) fn report(&mut self, invariant: Invariant, detail: impl Into<String>) {
        self.report_in(invariant, detail, []);
    }

    /// Reports a violation that concerns further streams as well.
    pub(super) fn report_in<const N: usize>(
        &mut self,
        invariant: Invariant,
        detail: impl Into<String>,
        others: [String; N],
    ) {
        let mut streams = vec![self.stream.to_owned()];
        streams.extend(others.into_iter().filter(|other| other != self.stream));
        self.violations.push(Violation { invariant: invariant.code, detail: detail.into(), streams });
    }
}

/// Check of one invariant, or of a few that share a tally.
pub(super) trait Watch {
    /// Invariants that it checks.
    const INVARIANTS: &'static [Invariant];

    /// Takes an event and reports what it breaks.
    fn observe(&mut self, fact: Fact<'_>, found: &mut Violations<'_>);

    /// Compares the tally with the account's folded state.
    fn compare_account(&self, _state: &account::State, _found: &mut Violations<'_>) {}

    /// Compares the tally with a payment's folded state.
    fn compare_authorization(&self, _id: &str, _state: &authorization::State, _found: &mut Violations<'_>) {}

    /// Reports everything that is due but still outstanding.
    fn settle(&self, _is_due: IsDue<'_>, _found: &mut Violations<'_>) {}
}

macro_rules! tally {
    ($($watch:ident: $type:ty),+ $(,)?) => {
        /// Tallies of all invariants over an account's events so far.
        #[derive(Debug, Default)]
        pub struct Tally { $($watch: $type),+ }

        impl Tally {
            /// Lists all invariants.
            #[must_use]
            pub fn invariants() -> Vec<Invariant> {
                [$(<$type as Watch>::INVARIANTS),+].concat()
            }

            /// Takes the next event, for callers to which its time does not matter. Returns what it breaks.
            #[must_use]
            pub fn observe(&mut self, stream: &str, event: Happened<'_>) -> Vec<Violation> {
                self.observe_at(Timestamp::default(), stream, event)
            }

            /// Takes the next event of the log. Returns what it breaks.
            #[must_use]
            pub fn observe_at(
                &mut self,
                recorded_at: Timestamp,
                stream: &str,
                event: Happened<'_>,
            ) -> Vec<Violation> {
                let id = stream.split_once('-').map_or(stream, |(_, id)| id);
                let fact = Fact { stream, id, event, recorded_at };
                let mut found = Violations { stream, violations: Vec::new() };
                $(self.$watch.observe(fact, &mut found);)+
                found.violations
            }

            /// Returns the differences between an account's folded state and its events.
            #[must_use]
            pub fn compare_account(&self, stream: &str, state: &account::State) -> Vec<Violation> {
                let mut found = Violations { stream, violations: Vec::new() };
                $(self.$watch.compare_account(state, &mut found);)+
                found.violations
            }

            /// Returns the differences between a payment's folded state and its events.
            #[must_use]
            pub fn compare_authorization(&self, stream: &str, state: &authorization::State) -> Vec<Violation> {
                let id = stream.split_once('-').map_or(stream, |(_, id)| id);
                let mut found = Violations { stream, violations: Vec::new() };
                $(self.$watch.compare_authorization(id, state, &mut found);)+
                found.violations
            }

            /// Returns what would be broken if nothing were in flight any more: bookings that the account lacks.
            #[must_use]
            pub fn settle(&self, account_stream: &str) -> Vec<Violation> {
                self.settle_where(account_stream, &|_| true)
            }

            /// Returns what has been outstanding for more than an hour and will not arrive by itself any more.
            #[must_use]
            pub fn overdue(&self, account_stream: &str, checked_at: Timestamp) -> Vec<Violation> {
                // An event after the check began has age 0, so it is not overdue.
                let age_ms = |at: Timestamp| checked_at.as_ms().saturating_sub(at.as_ms());
                self.settle_where(account_stream, &|at| age_ms(at) > ON_ITS_WAY_MS)
            }

            fn settle_where(&self, account_stream: &str, is_due: IsDue<'_>) -> Vec<Violation> {
                let mut found = Violations { stream: account_stream, violations: Vec::new() };
                $(self.$watch.settle(is_due, &mut found);)+
                found.violations
            }
        }
    };
}

tally! {
    holds: Holds,
    double_entry: DoubleEntry,
    available: Available,
    account_holds: AccountHolds,
    identities: Identities,
    refunds: Refunds,
    amounts: Amounts,
    on_chain: OnChain,
    pulls: Pulls,
    reports: Reports,
    returns: Returns,
    single_messages: SingleMessages,
    suspense: Suspense,
    dispute_money: DisputeMoney,
    durable: Durable,
    prevented: Prevented,
    clearing_links: ClearingLinks,
}

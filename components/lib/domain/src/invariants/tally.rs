//! All invariants at once, one event at a time.

use clearfold_kernel::{Invariant, Timestamp, Violation};

use super::{
    account_holds::AccountHolds, amounts::Amounts, available::Available, double_entry::DoubleEntry,
    durable::Durable, holds::Holds, identities::Identities, on_chain::OnChain, refunds::Refunds,
};
use crate::{account, authorization, card};

/// How long what follows from an event may be on its way, and a half of a change alone.
const ON_ITS_WAY_MS: u64 = 60 * 60 * 1_000;

/// An event of one of an account's streams.
#[derive(Debug, Clone, Copy)]
pub enum Happened<'a> {
    /// Of the account itself.
    Account(&'a account::Event),
    /// Of one of its payments.
    Authorization(&'a authorization::Event),
    /// Of one of its cards.
    Card(&'a card::Event),
}

/// An event and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Fact<'a> {
    pub stream: &'a str,
    /// The stream's id without the aggregate.
    pub id: &'a str,
    pub event: Happened<'a>,
    /// When the log took it.
    pub recorded_at: Timestamp,
}

/// Whether what follows from what was recorded then must be there by now.
pub(super) type IsDue<'a> = &'a dyn Fn(Timestamp) -> bool;

/// What is broken.
pub(super) struct Found<'a> {
    stream: &'a str,
    violations: Vec<Violation>,
}

impl Found<'_> {
    /// Something does not hold after the event at hand.
    pub(super) fn report(&mut self, invariant: Invariant, detail: impl Into<String>) {
        self.report_in(invariant, detail, []);
    }

    /// The same where further streams are concerned.
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

/// One invariant, or a few that share a tally.
pub(super) trait Watch {
    /// What it watches.
    const INVARIANTS: &'static [Invariant];

    /// Takes an event, and reports what it breaks.
    fn observe(&mut self, fact: Fact<'_>, found: &mut Found<'_>);

    /// Compares with what the account's fold says.
    fn compare_account(&self, _state: &account::State, _found: &mut Found<'_>) {}

    /// Compares with what a payment's fold says.
    fn compare_authorization(&self, _id: &str, _state: &authorization::State, _found: &mut Found<'_>) {}

    /// What must hold of whatever cannot be on its way any more.
    fn settle(&self, _is_due: IsDue<'_>, _found: &mut Found<'_>) {}
}

macro_rules! tally {
    ($($watch:ident: $type:ty),+ $(,)?) => {
        /// Everything that the invariants must know of an account's events so far.
        #[derive(Debug, Default)]
        pub struct Tally { $($watch: $type),+ }

        impl Tally {
            /// All invariants.
            #[must_use]
            pub fn invariants() -> Vec<Invariant> {
                [$(<$type as Watch>::INVARIANTS),+].concat()
            }

            /// Takes the next event, where nobody asks when it was recorded. The answer: what it breaks.
            #[must_use]
            pub fn observe(&mut self, stream: &str, event: Happened<'_>) -> Vec<Violation> {
                self.observe_at(Timestamp::default(), stream, event)
            }

            /// Takes the next event of the log. The answer: what it breaks.
            #[must_use]
            pub fn observe_at(
                &mut self,
                recorded_at: Timestamp,
                stream: &str,
                event: Happened<'_>,
            ) -> Vec<Violation> {
                let id = stream.split_once('-').map_or(stream, |(_, id)| id);
                let fact = Fact { stream, id, event, recorded_at };
                let mut found = Found { stream, violations: Vec::new() };
                $(self.$watch.observe(fact, &mut found);)+
                found.violations
            }

            /// What an account's fold says otherwise than its events.
            #[must_use]
            pub fn compare_account(&self, stream: &str, state: &account::State) -> Vec<Violation> {
                let mut found = Found { stream, violations: Vec::new() };
                $(self.$watch.compare_account(state, &mut found);)+
                found.violations
            }

            /// What a payment's fold says otherwise than its events.
            #[must_use]
            pub fn compare_authorization(&self, stream: &str, state: &authorization::State) -> Vec<Violation> {
                let id = stream.split_once('-').map_or(stream, |(_, id)| id);
                let mut found = Found { stream, violations: Vec::new() };
                $(self.$watch.compare_authorization(id, state, &mut found);)+
                found.violations
            }

            /// What would be broken if nothing were on its way any more: bookings that the account lacks.
            #[must_use]
            pub fn settle(&self, account_stream: &str) -> Vec<Violation> {
                self.settle_where(account_stream, &|_| true)
            }

            /// What has been on its way for longer than an hour, and does not come by itself any more.
            #[must_use]
            pub fn overdue(&self, account_stream: &str, checked_at: Timestamp) -> Vec<Violation> {
                let age_ms = |at: Timestamp| checked_at.as_ms().saturating_sub(at.as_ms());
                self.settle_where(account_stream, &|at| age_ms(at) > ON_ITS_WAY_MS)
            }

            fn settle_where(&self, account_stream: &str, is_due: IsDue<'_>) -> Vec<Violation> {
                let mut found = Found { stream: account_stream, violations: Vec::new() };
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
    durable: Durable,
}

//! 4. The holds of an account equal those of its open authorizations.
//!
//! The two are in different streams, and either may be ahead: the account places a hold before the approval and
//! raises one before the increment, and it lowers one after the reversal. So each change is matched with its other
//! half by id. Only some halves may come first; a half that stays alone for more than an hour counts as missing its
//! counterpart. An account that was never opened is not compared.

use std::collections::BTreeMap;

use clearfold_kernel::{Amount, Asset, ExternalId, Invariant, Minor, Timestamp};

use super::sum::{Sum, plus};
use super::tally::{Fact, Happened, IsDue, Violations, Watch};
use crate::account::{self, ClaimedOn, FundedBy};
use crate::authorization::{AdviceHold, Event, ForcePostReason, HoldIncreased};
use crate::bookings;

const HOLDS_MATCH_AUTHORIZATIONS: Invariant = Invariant {
    code: "holds_match_authorizations",
    statement: "An account holds what its open authorizations hold, apart from what is on its way between them: the \
                hold of a request that is not decided yet, and the bookings of what happened in the last hour. Of an \
                account that was never opened nothing is said.",
};

#[derive(Debug, Default)]
pub(super) struct AccountHolds {
    opened_at: Option<Timestamp>,
    holds: BTreeMap<String, Hold>,
}

/// Hold of a payment, as its authorization and as its account record it.
#[derive(Debug, Default)]
struct Hold {
    asked: Asked,
    /// Amount that the authorization holds from the start: approved, advised or seen on chain.
    decided: Option<Said>,
    /// Amount that a `Spend` held before it was linked. Its hold may come later, and ends with its money.
    linked: Option<Said>,
    /// Time at which it was refused, or given up before a decision, so that the account voids its hold.
    refused_at: Option<Timestamp>,
    /// Amount that the account placed since it last voided the hold.
    placed: Option<Said>,
    changes: BTreeMap<Change, Halves>,
}

/// Amount that one side recorded, and when.
#[derive(Debug, Clone)]
struct Said {
    amount: Amount,
    at: Timestamp,
}

/// Amount that the request asked for, if there was a request: `Part` if a partial approval is allowed.
#[derive(Debug, Default)]
enum Asked {
    #[default]
    Nothing,
    All(Amount),
    Part(Amount),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Raise(String),
    Lower(String),
    Clearing(String),
}

/// Two halves of the same change, as each side recorded it.
#[derive(Debug, Default)]
struct Halves {
    authorization: Option<Said>,
    account: Option<Said>,
}

impl Watch for AccountHolds {
    const INVARIANTS: &'static [Invariant] = &[HOLDS_MATCH_AUTHORIZATIONS];

    fn observe(&mut self, fact: Fact<'_>, found: &mut Violations<'_>) {
        match fact.event {
            Happened::Authorization(event) => {
                let is_open = self.opened_at.is_some();
                let hold = self.holds.entry(fact.id.to_owned()).or_default();
                if let Err(detail) = hold.authorized(fact.id, event, fact.recorded_at)
                    && is_open
                {
                    found.report(HOLDS_MATCH_AUTHORIZATIONS, detail);
                }
            }
            Happened::Account(event) => self.account(event, fact.recorded_at, found),
            Happened::Card(_) => {}
        }
    }

    fn settle(&self, is_due: IsDue<'_>, found: &mut Violations<'_>) {
        if !self.opened_at.is_some_and(is_due) {
            return;
        }
        for (id, hold) in &self.holds {
            if let Err(detail) = hold.settled(is_due) {
                found.report_in(HOLDS_MATCH_AUTHORIZATIONS, detail, [format!("authorization-{id}")]);
            }
        }
    }

    fn compare_account(&self, state: &account::State, found: &mut Violations<'_>) {
        let says = state.holds();
        for (id, hold) in &self.holds {
            let says = says.get(id).map_or(Minor::ZERO, |held| held.minor);
            let remaining = hold.remaining().net();
            if remaining.is_negative() || remaining.magnitude() != says {
                let detail = format!("of {id} {remaining} is left by the events; the account says {says}");
                found.report_in(HOLDS_MATCH_AUTHORIZATIONS, detail, [format!("authorization-{id}")]);
            }
        }
    }
}

impl AccountHolds {
    fn account(&mut self, event: &account::Event, at: Timestamp, found: &mut Violations<'_>) {
        use account::Event;
        let id = match event {
            Event::AccountOpened(_) => {
                self.opened_at = Some(at);
                return;
            }
            Event::HoldPlaced(event) => &event.hold_id,
            Event::HoldRaised(event) => &event.hold_id,
            Event::HoldLowered(event) => &event.hold_id,
            Event::HoldVoided(event) => &event.hold_id,
            Event::ClearingBooked(event) => &event.hold_id,
            Event::ClearingMoved(event) => &event.payment_id,
            Event::FundingMoved(event) if event.held > Minor::ZERO => &event.spend_id,
            _ => return,
        };
        let hold = self.holds.entry(id.to_string()).or_default();
        if let Err(detail) = hold.booked(event, at) {
            found.report_in(HOLDS_MATCH_AUTHORIZATIONS, detail, [format!("authorization-{id}")]);
        }
    }
}

impl Asked {
    fn shown(&self) -> String {
        match self {
            Self::Nothing => "nothing".to_owned(),
            Self::All(amount) | Self::Part(amount) => amount.to_string(),
        }
    }
}

impl Hold {
    /// Takes an event of the authorization: about the whole hold, or its half of a change.
    fn authorized(&mut self, id: &str, event: &Event, at: Timestamp) -> Result<(), String> {
        match event {
            Event::AuthorizationRequested(event) => {
                let amount = event.amount.clone();
                self.asked = if event.partial_allowed { Asked::Part(amount) } else { Asked::All(amount) };
            }
            Event::AuthorizationApproved(event) => return self.approved(&event.amount, at),
            Event::AuthorizationPartiallyApproved(event) => return self.approved(&event.amount, at),
            // The booking of these is still to come. A stand-in's approval counts, whatever was decided before.
            Event::SwipeRecorded(event) => self.decided = Some(Said { amount: event.amount.clone(), at }),
            Event::AdviceRecorded(event) if event.hold == AdviceHold::Placed => {
                self.decided = Some(Said { amount: event.amount.clone(), at });
                self.refused_at = Some(at);
            }
            Event::AuthorizationDeclined(_) => self.refused_at = Some(at),
            Event::AuthorizationReversed(event) if event.released.minor == Minor::ZERO => {
                self.refused_at = Some(at);
            }
            Event::ForcePosted(event) if event.reason == ForcePostReason::Undecided => {
                self.refused_at = Some(at);
            }
            Event::HoldIncreased(event) => self.raised_before(event)?,
            // The hold of a linked Spend ends with its money, which is another payment's.
            Event::SpendLinked(_) => {
                (self.linked, self.refused_at) = (self.decided.take(), Some(at));
            }
            Event::SpendUnlinked(event) if event.held > Minor::ZERO => {
                let amount = Amount { minor: event.held, asset: event.amount.asset.clone() };
                self.decided = Some(Said { amount, at });
            }
            _ => {}
        }
        let Some((change, amount)) = asked(id, event) else { return Ok(()) };
        self.half(&change, Said { amount, at }, |halves| &mut halves.authorization)
    }

    /// Checks an approval: the account is asked before the answer, so the hold must have been placed already.
    fn approved(&mut self, amount: &Amount, at: Timestamp) -> Result<(), String> {
        // A verification asks no account.
        if amount.minor == Minor::ZERO {
            return Ok(());
        }
        self.decided = Some(Said { amount: amount.clone(), at });
        if self.placed.as_ref().is_some_and(|placed| placed.amount == *amount) {
            return Ok(());
        }
        Err(format!("{amount} was approved while {} was held", shown(self.placed.as_ref())))
    }

    /// Checks an increment: the account is asked first, so the hold must have been raised by the same amount already.
    fn raised_before(&self, event: &HoldIncreased) -> Result<(), String> {
        let raise = Change::Raise(event.message_id.to_string());
        let ahead = self.changes.get(&raise).and_then(|halves| halves.account.as_ref());
        if ahead.is_some_and(|raised| raised.amount == event.amount) {
            return Ok(());
        }
        Err(format!("an increment of {} after a raise of {}", event.amount, shown(ahead)))
    }

    /// Takes an event of the account: about the whole hold, or its half of a change.
    fn booked(&mut self, event: &account::Event, at: Timestamp) -> Result<(), String> {
        use account::Event;
        match event {
            Event::HoldPlaced(event) => return self.was_placed(&event.amount, event.forced, at),
            Event::HoldVoided(event) => return self.was_voided(event.released.as_ref()),
            Event::FundingMoved(event) => {
                return self.was_moved(event, at);
            }
            Event::HoldLowered(event) => {
                let lower = Change::Lower(event.change_id.to_string());
                let is_asked = self.changes.get(&lower).is_some_and(|halves| halves.authorization.is_some());
                if !is_asked && !self.undoes(event.change_id.as_str(), &event.amount) {
                    return Err(format!("{} was lowered, but nobody asked for it", event.change_id));
                }
            }
            _ => {}
        }
        let Some((change, amount)) = booked(event) else { return Ok(()) };
        self.half(&change, Said { amount, at }, |halves| &mut halves.account)
    }

    fn was_placed(&mut self, amount: &Amount, forced: bool, at: Timestamp) -> Result<(), String> {
        let may = match (forced, &self.asked) {
            (true, _) => {
                let mut decided = self.decided.iter().chain(&self.linked);
                decided.any(|decided| decided.amount == *amount)
            }
            (false, Asked::Nothing) => false,
            (false, Asked::All(asked)) => amount == asked,
            (false, Asked::Part(asked)) => amount.asset == asked.asset && amount.minor <= asked.minor,
        };
        let before = self.placed.replace(Said { amount: amount.clone(), at });
        if may && before.is_none() {
            return Ok(());
        }
        let (asked, before) = (self.asked.shown(), shown(before.as_ref()));
        Err(format!("a hold of {amount} was placed (forced: {forced}); asked was {asked}, placed {before}"))
    }

    fn was_voided(&mut self, released: Option<&Amount>) -> Result<(), String> {
        let remaining = self.remaining().net();
        let before = self.placed.take();
        let released_all = released.map_or(Minor::ZERO, |released| released.minor) == remaining.magnitude();
        let is_same_asset =
            released.map(|released| &released.asset) == before.as_ref().map(|before| &before.amount.asset);
        let has_changed = self
            .changes
            .values()
            .any(|halves| halves.account.as_ref().is_some_and(|booked| booked.amount.minor > Minor::ZERO));
        // Only an undecided request may lose its hold before it is refused: what could not be answered is undone first
        // and declined then.
        let may_lose = self.refused_at.is_some() || self.decided.is_none();
        if may_lose && released_all && is_same_asset && !has_changed {
            return Ok(());
        }
        let (before, released) =
            (shown(before.as_ref()), released.map_or("nothing".to_owned(), ToString::to_string));
        Err(format!("a hold of {before} with {remaining} left was voided, releasing {released}"))
    }

    /// The hold of a linked `Spend` ends whole, also what an increment that was refused raised; unlinked, it stands again.
    fn was_moved(&mut self, event: &account::FundingMoved, at: Timestamp) -> Result<(), String> {
        let held = Amount { minor: event.held, asset: event.amount.asset.clone() };
        if event.to == FundedBy::Spend {
            self.placed = Some(Said { amount: held, at });
            return Ok(());
        }
        let remaining = self.remaining().net();
        let before = self.placed.take();
        self.changes.retain(|_, halves| halves.authorization.is_some());
        let is_same_asset = before.as_ref().is_some_and(|before| before.amount.asset == held.asset);
        if self.linked.is_some() && is_same_asset && remaining.magnitude() == held.minor {
            return Ok(());
        }
        let before = shown(before.as_ref());
        Err(format!("a hold of {before} with {remaining} left ended with its linked Spend, releasing {held}"))
    }

    /// Stores one half of a change. If the other half is there, the amounts must be equal.
    fn half(
        &mut self,
        change: &Change,
        said: Said,
        side: fn(&mut Halves) -> &mut Option<Said>,
    ) -> Result<(), String> {
        let halves = self.changes.entry(change.clone()).or_default();
        *side(halves) = Some(said);
        match (&halves.authorization, &halves.account) {
            (Some(Said { amount: asked, .. }), Some(Said { amount: booked, .. })) if asked != booked => {
                Err(format!("{change:?} is {asked} for the authorization and {booked} for the account"))
            }
            _ => Ok(()),
        }
    }

    /// Returns true if the change takes back a raise whose increment was refused. It has an id derived from that of
    /// the raise.
    fn undoes(&self, change_id: &str, amount: &Amount) -> bool {
        self.changes.iter().any(|(change, halves)| match change {
            Change::Raise(raised) => {
                halves.authorization.is_none()
                    && halves.account.as_ref().is_some_and(|raised| raised.amount == *amount)
                    && is_undone(raised, change_id)
            }
            Change::Lower(_) | Change::Clearing(_) => false,
        })
    }

    /// Returns what the account still holds.
    fn remaining(&self) -> Sum {
        let mut sum = Sum::default();
        let Some(placed) = &self.placed else { return sum };
        sum.add(placed.amount.minor);
        for (change, halves) in &self.changes {
            let minor = halves.account.as_ref().map_or(Minor::ZERO, |booked| booked.amount.minor);
            match change {
                Change::Raise(_) => sum.add(minor),
                Change::Lower(_) | Change::Clearing(_) => sum.take(minor),
            }
        }
        sum
    }

    /// Checks that everything due has arrived: every change has both halves, and the hold has the decided amount.
    fn settled(&self, is_due: IsDue<'_>) -> Result<(), String> {
        match (&self.decided, &self.placed) {
            (Some(decided), Some(placed)) if decided.amount == placed.amount => {}
            (Some(decided), placed) if is_due(decided.at) => {
                let placed = shown(placed.as_ref());
                return Err(format!("{} should be held; {placed} was placed", decided.amount));
            }
            // A Spend that was linked may have held, and given back, its amount before.
            (None, Some(_)) if self.linked.is_some() && self.remaining().net().magnitude() == Minor::ZERO => {
            }
            (None, Some(placed)) if self.refused_at.is_some_and(|at| is_due(at.max(placed.at))) => {
                return Err(format!("{} is held of what was refused", self.remaining().net()));
            }
            _ => {}
        }
        for (change, halves) in &self.changes {
            let (alone, said) = match (&halves.authorization, &halves.account) {
                // A linked Spend that was matched, or whose hold ended with its money, has no hold to lower.
                (Some(_), None) if self.linked.is_some() && self.placed.is_none() => continue,
                (Some(asked), None) if asked.amount.minor > Minor::ZERO => (asked, "asked for"),
                (None, Some(booked)) if !self.is_undone_pair(change) => (booked, "booked"),
                _ => continue,
            };
            if is_due(alone.at) {
                return Err(format!("{change:?} of {} was only {said}", alone.amount));
            }
        }
        Ok(())
    }

    fn is_undone_pair(&self, change: &Change) -> bool {
        let booked = |other: &Change| self.changes.get(other).is_some_and(|halves| halves.account.is_some());
        match change {
            Change::Raise(id) => self.changes.keys().any(
                |lower| matches!(lower, Change::Lower(lowered) if is_undone(id, lowered) && booked(lower)),
            ),
            Change::Lower(id) => self.changes.keys().any(
                |raise| matches!(raise, Change::Raise(raised) if is_undone(raised, id) && booked(raise)),
            ),
            Change::Clearing(_) => false,
        }
    }
}

/// Id under which the account releases the hold of an expired payment.
fn expired(id: &str) -> String {
    let expired = id.parse().ok().and_then(|id| bookings::expired(&id).ok());
    expired.map(String::from).unwrap_or_default()
}

/// Returns the change that an event of the authorization asks of the account. A force post takes nothing from a hold.
fn asked(id: &str, event: &Event) -> Option<(Change, Amount)> {
    Some(match event {
        Event::HoldIncreased(event) => (Change::Raise(event.message_id.to_string()), event.amount.clone()),
        Event::AdviceRecorded(event) if matches!(event.hold, AdviceHold::Raised(_)) => {
            let amount = Amount { minor: event.held(), asset: event.amount.asset.clone() };
            (Change::Raise(event.message_id.to_string()), amount)
        }
        Event::AuthorizationReversed(event) if event.released.minor > Minor::ZERO => {
            (Change::Lower(event.message_id.to_string()), event.released.clone())
        }
        Event::AuthorizationExpired(event) if event.released.minor > Minor::ZERO => {
            (Change::Lower(expired(id)), event.released.clone())
        }
        Event::ClearingPosted(event) => {
            let taken = plus(event.against_hold, event.released);
            clearing(&event.clearing_id, taken, &event.asset)
        }
        Event::ForcePosted(event) => clearing(&event.clearing_id, Minor::ZERO, &event.amount.asset),
        Event::ClearingGivenUp(event) => given_up(&event.clearing_id, event.held, &event.amount.asset),
        _ => return None,
    })
}

/// Returns the change that an event of the account books.
fn booked(event: &account::Event) -> Option<(Change, Amount)> {
    use account::Event;
    Some(match event {
        Event::HoldRaised(event) => (Change::Raise(event.change_id.to_string()), event.amount.clone()),
        Event::HoldLowered(event) => (Change::Lower(event.change_id.to_string()), event.amount.clone()),
        Event::ClearingBooked(event) => {
            let taken = plus(event.against_hold, event.released);
            clearing(&event.clearing_id, taken, &event.asset)
        }
        Event::ClearingMoved(event) => {
            let asset = &event.amount.asset;
            match event.to {
                ClaimedOn::Payment => {
                    clearing(&event.clearing_id, plus(event.against_hold, event.released), asset)
                }
                ClaimedOn::Origin => given_up(&event.clearing_id, event.held, asset),
            }
        }
        _ => return None,
    })
}

/// Raise of a hold by the part that is held again when a clearing is given up. No message that raises a hold has the id of a
/// clearing that is linked.
fn given_up(id: &ExternalId, held: Minor, asset: &Asset) -> (Change, Amount) {
    (Change::Raise(id.to_string()), Amount { minor: held, asset: asset.clone() })
}

fn clearing(id: &ExternalId, taken: Minor, asset: &Asset) -> (Change, Amount) {
    (Change::Clearing(id.to_string()), Amount { minor: taken, asset: asset.clone() })
}

fn shown(said: Option<&Said>) -> String {
    said.map_or("nothing".to_owned(), |said| said.amount.to_string())
}

fn is_undone(raised: &str, lowered: &str) -> bool {
    let undone = raised.parse().ok().and_then(|raised| bookings::undone(&raised).ok());
    undone.is_some_and(|undone| undone.as_str() == lowered)
}

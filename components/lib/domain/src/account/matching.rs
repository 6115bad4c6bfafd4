//! Matching of `Spend`s that somebody else submitted with what the network asked for, in either order.
//!
//! The account is the one writer that knows all holds of a Safe. It remembers, for a time, both sides that have no
//! counterpart: what was asked for and not pulled, and what was spent and not asked for. They match by asset and exact
//! amount, one to one, within the window of [`spend_match`]. Of several that are equal it is the oldest: the sums are the
//! same whichever it is, and what is taken by none would be held twice.
//!
//! A match moves nothing. The side that came last asks for it, and then names the other: the entries of a side that is
//! not known before cannot be named.

use clearfold_kernel::{Amount, Asset, ExternalId, Minor, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::identity::{Fact, Identity, Kind};
use super::messages::{
    ClearingBooked, Event, FindSpend, FundedBy, FundingMoved, HoldPlaced, HoldRaised, MatchSpend,
    MoveFunding, ReadMatch, SpendMatched,
};
use super::rule::Rule;
use super::state::Books;
use crate::checks;
use crate::network::MatchBasis;
use crate::policy::spend_match;

/// Code of the answer that names the other side of a match.
const MATCHED: &str = "spend_matched";

/// Answers with the other side of a match. The detail is the reason, a blank and the id: [`matched`] reads it.
fn answer(basis: MatchBasis, id: &ExternalId) -> Rejection {
    Rejection::new(MATCHED, format!("{} {id}", basis.word()))
}

/// Returns the other side of a match and its reason, by the refusal to [`ReadMatch`], [`FindSpend`] or a hold that takes
/// no `Spend`; none if the refusal is another one.
pub(crate) fn matched(refused: &Rejection) -> Option<(ExternalId, MatchBasis)> {
    if refused.code != MATCHED {
        return None;
    }
    let (word, id) = refused.detail.split_once(' ')?;
    Some((id.parse().ok()?, MatchBasis::of_word(word)?))
}

/// Sides that have no counterpart yet, each the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unmatched {
    asks: Vec<Side>,
    spends: Vec<Side>,
}

/// One amount that was asked for, or spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Side {
    id: ExternalId,
    asset: String,
    minor: Minor,
    at: Timestamp,
    /// Other side that it is kept for.
    kept_for: Option<ExternalId>,
    /// Time at which the network gave it back before the money moved. A `Spend` that comes long after that is another one's.
    given_back_at: Option<Timestamp>,
}

impl Side {
    pub(super) fn of(id: &ExternalId, amount: &Amount, at: Timestamp) -> Self {
        let (asset, minor) = (amount.asset.code.clone(), amount.minor);
        Self { id: id.clone(), asset, minor, at, kept_for: None, given_back_at: None }
    }

    fn is_like(&self, amount: &Amount) -> bool {
        self.asset == amount.asset.code && self.minor == amount.minor
    }

    fn is_within(&self, window_s: u64, now: Timestamp) -> bool {
        now <= self.at.after_s(window_s)
    }

    /// Returns true if money that moves now may have been under way when the network gave the payment back.
    fn is_under_way(&self, now: Timestamp) -> bool {
        let window_s = spend_match::behind_a_reversal_s();
        self.given_back_at.is_none_or(|given_back_at| now <= given_back_at.after_s(window_s))
    }
}

impl Unmatched {
    fn ask(&mut self, side: Side) {
        let window_s = spend_match::behind_the_network_s();
        remember(&mut self.asks, side, window_s);
    }

    fn spend(&mut self, side: Side) {
        let window_s = spend_match::behind_the_chain_s();
        remember(&mut self.spends, side, window_s);
    }

    /// Returns what was asked for of that amount, with the reason.
    fn asked(&self, amount: &Amount, now: Timestamp) -> Option<(&Side, MatchBasis)> {
        let window_s = spend_match::behind_the_network_s();
        let is_in_time = |side: &Side| side.is_within(window_s, now) && side.is_under_way(now);
        let is_free = |side: &&Side| side.kept_for.is_none() && side.is_like(amount) && is_in_time(side);
        let (given_back, open): (Vec<_>, Vec<_>) =
            self.asks.iter().filter(is_free).partition(|side| side.given_back_at.is_some());
        match (open.as_slice(), given_back.as_slice()) {
            ([only], _) => Some((only, MatchBasis::OnlyOne)),
            ([oldest, ..], _) => Some((oldest, MatchBasis::OldestOfSeveral)),
            ([], [oldest, ..]) => Some((oldest, MatchBasis::GivenBack)),
            ([], []) => None,
        }
    }

    /// Returns what was spent of that amount and is kept for the payment, or for none.
    fn spent(&self, payment_id: &ExternalId, amount: &Amount, now: Timestamp) -> Option<(&Side, MatchBasis)> {
        let kept = self.spends.iter().find(|side| side.kept_for.as_ref() == Some(payment_id));
        if let Some(kept) = kept.filter(|side| side.is_like(amount)) {
            return Some((kept, MatchBasis::OnlyOne));
        }
        let window_s = spend_match::behind_the_chain_s();
        let mut free = self.spends.iter().filter(|side| {
            let is_like = side.is_like(amount) && side.id != *payment_id;
            side.kept_for.is_none() && is_like && side.is_within(window_s, now)
        });
        let oldest = free.next()?;
        let basis = if free.next().is_none() { MatchBasis::OnlyOne } else { MatchBasis::OldestOfSeveral };
        Some((oldest, basis))
    }

    /// Forgets a `Spend`, and frees what was kept for it.
    pub(super) fn forget(&mut self, spend_id: &ExternalId) {
        self.spends.retain(|side| side.id != *spend_id);
        free(&mut self.asks, spend_id);
    }

    /// Forgets both sides of what was moved. What was unlinked is not matched again.
    fn moved(&mut self, event: &FundingMoved) {
        let FundingMoved { spend_id, payment_id, amount, .. } = event;
        self.spends.retain(|side| side.id != *spend_id);
        if event.to == FundedBy::Spend {
            return free(&mut self.asks, spend_id);
        }
        let is_kept = |side: &Side| side.id == *payment_id && side.kept_for.as_ref() == Some(spend_id);
        match self.asks.iter().position(is_kept) {
            Some(index) => drop(self.asks.remove(index)),
            None => self.pulled(payment_id, amount),
        }
        free(&mut self.asks, spend_id);
    }

    /// Forgets what was added to the payment and is given back, if a `Spend` is kept for it, and frees that.
    fn given_back(&mut self, payment_id: &ExternalId, by: &Amount) {
        let is_added = |side: &Side| side.id == *payment_id && side.kept_for.is_some() && side.is_like(by);
        let Some(index) = self.asks.iter().position(is_added) else { return };
        let spend_id = self.asks.remove(index).kept_for;
        let kept = self.spends.iter_mut().filter(|side| Some(&side.id) == spend_id.as_ref());
        kept.for_each(|side| side.kept_for = None);
    }

    /// Forgets what was asked for of the payment in amounts of which a part is not due any more: the rest was given back, or
    /// was pulled by another amount.
    fn forget_above(&mut self, payment_id: &ExternalId, due: &Amount) {
        let is_above = |side: &Side| side.asset == due.asset.code && side.minor > due.minor;
        self.asks.retain(|side| side.id != *payment_id || side.given_back_at.is_some() || !is_above(side));
    }

    /// Removes what was asked for of the payment and is pulled by now: of that amount, or the oldest that are within it.
    fn pulled(&mut self, payment_id: &ExternalId, amount: &Amount) {
        let is_of = |side: &Side| side.id == *payment_id && side.asset == amount.asset.code;
        if let Some(index) = self.asks.iter().position(|side| is_of(side) && side.minor == amount.minor) {
            self.asks.remove(index);
            return;
        }
        let mut left = amount.minor;
        self.asks.retain(|side| match left.minus(side.minor) {
            Ok(rest) if is_of(side) => {
                left = rest;
                false
            }
            _ => true,
        });
    }
}

fn free(sides: &mut [Side], other: &ExternalId) {
    let kept = sides.iter_mut().filter(|side| side.kept_for.as_ref() == Some(other));
    kept.for_each(|side| side.kept_for = None);
}

/// Keeps one side of that amount for the other.
fn keep(sides: &mut [Side], id: &ExternalId, amount: &Amount, other: &ExternalId) {
    let may_keep = |side: &&mut Side| {
        let is_free = side.kept_for.as_ref().is_none_or(|kept_for| kept_for == other);
        side.id == *id && side.is_like(amount) && is_free
    };
    if let Some(side) = sides.iter_mut().find(may_keep) {
        side.kept_for = Some(other.clone());
    }
}

/// Adds a side, and forgets what is out of its window and what is too much.
fn remember(sides: &mut Vec<Side>, side: Side, window_s: u64) {
    sides.retain(|known| known.is_within(window_s, side.at));
    // A late one is read in the order in which it happened.
    let index = sides.partition_point(|known| known.at <= side.at);
    sides.insert(index, side);
    if sides.len() > spend_match::REMEMBERED {
        sides.remove(0);
    }
}

impl Rule for MatchSpend {
    fn is_seen_on_chain(&self) -> bool {
        true
    }

    fn opens_with(&self) -> Option<&Asset> {
        Some(&self.amount.asset)
    }

    fn is_moot(&self, books: &Books) -> bool {
        books.has(&Identity::new(Kind::ForcedHold, &self.spend_id)) || books.has(&asker(&self.spend_id))
    }

    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        let (account, amount) = (books.address, self.amount.clone());
        if let Some((ask, basis)) = books.unmatched.asked(&self.amount, self.occurred_at) {
            let (spend_id, payment_id) = (self.spend_id.clone(), ask.id.clone());
            return Ok(Event::SpendMatched(SpendMatched {
                account,
                spend_id,
                payment_id,
                amount,
                basis,
                at,
            }));
        }
        Ok(Event::HoldPlaced(HoldPlaced {
            account,
            hold_id: self.spend_id.clone(),
            amount,
            forced: true,
            spent_at: Some(self.occurred_at),
            spend_id: None,
            at,
            asked_by: None,
            purchase: None,
        }))
    }

    fn check(&self, books: &Books) -> Result<(), Rejection> {
        checks::repeated(self.spend_id.as_str(), &false, &books.placed(&self.spend_id).is_ok())?;
        books.can_set_aside(&self.amount, true, false)
    }
}

impl Rule for FindSpend {
    fn is_moot(&self, books: &Books) -> bool {
        books.unmatched.spent(&self.payment_id, &self.amount, books.latest_at).is_none()
    }

    fn event(&self, books: &Books, _at: Timestamp) -> Result<Event, Rejection> {
        Err(books.spent_before(&self.payment_id, &self.amount))
    }
}

impl Rule for ReadMatch {
    fn is_moot(&self, books: &Books) -> bool {
        self.payment(books).is_none()
    }

    fn event(&self, books: &Books, _at: Timestamp) -> Result<Event, Rejection> {
        let (payment_id, basis) = self.payment(books).ok_or_else(|| none(&self.spend_id))?;
        Err(answer(basis, &payment_id))
    }
}

impl ReadMatch {
    fn payment(&self, books: &Books) -> Option<(ExternalId, MatchBasis)> {
        match books.fact(&asker(&self.spend_id)) {
            Some(Fact::Matched(payment_id, basis)) => Some((payment_id, basis)),
            _ => None,
        }
    }
}

impl Rule for MoveFunding {
    fn is_seen_on_chain(&self) -> bool {
        true
    }

    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        let held = match self.to {
            FundedBy::Payment => self.held_by_spend(books),
            FundedBy::Spend => self.held.excess_over(self.held_by_spend(books)),
        };
        Ok(Event::FundingMoved(FundingMoved {
            account: books.address,
            spend_id: self.spend_id.clone(),
            payment_id: self.payment_id.clone(),
            link: self.link,
            to: self.to,
            amount: self.amount.clone(),
            moved: self.moved(books),
            held,
            source: self.source.clone(),
            at,
        }))
    }

    fn check(&self, books: &Books) -> Result<(), Rejection> {
        if let Ok(held) = books.placed(&self.spend_id) {
            checks::same_asset(&held.asset, &self.amount.asset)?;
        }
        let leg = books.leg_of(&self.source);
        let is_ours = |leg: &super::funding::Leg| {
            [&self.spend_id, &self.payment_id].contains(&&leg.hold_id) && leg.amount == self.amount
        };
        match leg {
            None => return Err(super::deposit::not_found("funding", &self.source)),
            Some(leg) => checks::repeated(self.spend_id.as_str(), &true, &is_ours(&leg))?,
        }
        // The payment that has the log books what happened to it.
        if books.has(&Identity::log(&self.source)) == self.is_gone {
            let detail = format!(
                "{} is moved as {}, which is not booked yet; send what happened before first",
                self.spend_id,
                if self.is_gone { "gone with its block" } else { "in its block" }
            );
            return Err(Rejection::new("funding_out_of_order", detail));
        }
        Ok(())
    }
}

impl MoveFunding {
    /// Returns the side whose money it is now, and the one whose money it becomes.
    fn sides(&self) -> (&ExternalId, &ExternalId) {
        match self.to {
            FundedBy::Payment => (&self.spend_id, &self.payment_id),
            FundedBy::Spend => (&self.payment_id, &self.spend_id),
        }
    }

    /// Returns what moves: nothing if the log's block is gone, or if it is the other side's money already.
    fn moved(&self, books: &Books) -> Minor {
        let is_from = books.leg_of(&self.source).is_some_and(|leg| leg.hold_id == *self.sides().0);
        if is_from && !self.is_gone { self.amount.minor } else { Minor::ZERO }
    }

    fn held_by_spend(&self, books: &Books) -> Minor {
        books.placed(&self.spend_id).map_or(Minor::ZERO, |held| held.minor)
    }
}

impl Books {
    /// Refuses by naming the `Spend` that was seen before the payment was asked for.
    pub(super) fn spent_before(&self, payment_id: &ExternalId, amount: &Amount) -> Rejection {
        match self.unmatched.spent(payment_id, amount, self.latest_at) {
            Some((spent, basis)) => answer(basis, &spent.id),
            None => none(payment_id),
        }
    }

    /// Returns the `Spend` whose hold is taken for that of the payment: its money is not counted twice.
    pub(super) fn spend_of(&self, payment_id: &ExternalId, amount: &Amount) -> Option<ExternalId> {
        let (spent, _) = self.unmatched.spent(payment_id, amount, self.latest_at)?;
        Some(spent.id.clone())
    }

    /// Remembers what was asked for, unless its money came before, or what was spent.
    pub(super) fn placed_unmatched(&mut self, event: &HoldPlaced, is_pulled: bool) {
        if let Some(spent_at) = event.spent_at {
            self.unmatched.spend(Side::of(&event.hold_id, &event.amount, spent_at));
            return;
        }
        if let Some(spend_id) = &event.spend_id {
            let kept = self.unmatched.spends.iter_mut().find(|side| side.id == *spend_id);
            kept.into_iter().for_each(|side| side.kept_for = Some(event.hold_id.clone()));
        }
        // A Spend that could not be linked frees what was kept for it.
        free(&mut self.unmatched.asks, &event.hold_id);
        if !is_pulled {
            let kept_for = event.spend_id.clone();
            self.unmatched.ask(Side { kept_for, ..Side::of(&event.hold_id, &event.amount, event.at) });
        }
    }

    /// Remembers what was asked for in addition, as far as its money did not come before, and keeps its `Spend` for it.
    pub(super) fn raised_unmatched(&mut self, event: &HoldRaised) {
        let HoldRaised { hold_id, amount, spend_id, at, .. } = event;
        if let Some(spend_id) = spend_id {
            keep(&mut self.unmatched.spends, spend_id, amount, hold_id);
        }
        self.asked_unmatched(Side { kept_for: spend_id.clone(), ..Side::of(hold_id, amount, *at) }, amount);
    }

    pub(super) fn asked_unmatched(&mut self, side: Side, amount: &Amount) {
        if amount.minor > Minor::ZERO {
            let hold_id = side.id.clone();
            self.unmatched.ask(side);
            self.forget_above_due(&hold_id, &amount.asset);
        }
    }

    /// A claim that takes from a `Spend`'s own hold is its counterpart.
    pub(super) fn claimed_unmatched(&mut self, event: &ClearingBooked) {
        self.unmatched.forget(&event.hold_id);
        let beyond = Amount { minor: event.beyond_hold, asset: event.asset.clone() };
        // A late claim of what was given back is the same purchase.
        let is_same =
            |side: &Side| side.given_back_at.is_some() && side.id == event.hold_id && side.is_like(&beyond);
        if let Some(index) = self.unmatched.asks.iter().position(is_same) {
            self.unmatched.asks.remove(index);
        }
        self.asked_unmatched(Side::of(&event.hold_id, &beyond, event.at), &beyond);
    }

    pub(super) fn voided_unmatched(&mut self, hold_id: &ExternalId) {
        self.unmatched.asks.retain(|side| side.id != *hold_id);
        free(&mut self.unmatched.spends, hold_id);
    }

    /// A `Spend` of which a part was given back is matched by hand. What the network gave back whole may have been spent
    /// all the same: `over` is the time of that. What was added, and is given back, has its `Spend` no more.
    pub(super) fn lowered_unmatched(&mut self, hold_id: &ExternalId, by: &Amount, over: Option<Timestamp>) {
        self.unmatched.forget(hold_id);
        if over.is_none() {
            return self.unmatched.given_back(hold_id, by);
        }
        let given_back = self.unmatched.asks.iter_mut().filter(|side| side.id == *hold_id);
        given_back.for_each(|side| side.given_back_at = side.given_back_at.or(over));
    }

    pub(super) fn pulled_unmatched(&mut self, payment_id: &ExternalId, amount: &Amount) {
        self.unmatched.pulled(payment_id, amount);
        self.forget_above_due(payment_id, &amount.asset);
    }

    fn forget_above_due(&mut self, payment_id: &ExternalId, asset: &Asset) {
        let minor = self.held(payment_id).due(&asset.code);
        self.unmatched.forget_above(payment_id, &Amount { minor, asset: asset.clone() });
    }

    pub(super) fn spend_matched(&mut self, event: &SpendMatched) {
        let SpendMatched { spend_id, payment_id, amount, .. } = event;
        keep(&mut self.unmatched.asks, payment_id, amount, spend_id);
        keep(&mut self.unmatched.spends, spend_id, amount, payment_id);
    }

    /// Moves the money between the entries of the two. The `Spend`'s hold ends with it, or stands again.
    pub(super) fn funding_moved(&mut self, event: &FundingMoved) -> Option<()> {
        let FundingMoved { spend_id, payment_id, amount, moved, .. } = event;
        let held = Amount { minor: event.held, asset: amount.asset.clone() };
        let (mut spender, mut payer) = (self.held(spend_id), self.held(payment_id));
        match event.to {
            FundedBy::Payment => {
                spender.reorged(&amount.asset, *moved)?;
                payer.pulled(&amount.asset, *moved)?;
                if held.minor > Minor::ZERO {
                    spender.lower(held.minor)?;
                }
            }
            FundedBy::Spend => {
                payer.reorged(&amount.asset, *moved)?;
                spender.pulled(&amount.asset, *moved)?;
                if held.minor > Minor::ZERO {
                    spender.stand(&held)?;
                    // It stands as if it had been placed, so it is not placed again.
                    let placed = Identity::new(Kind::ForcedHold, spend_id);
                    self.rewrite(
                        &placed,
                        &Event::FundingMoved(event.clone()).said(self.opened_at).ok()?,
                        None,
                    );
                }
            }
        }
        self.become_held(spend_id, &spender)?;
        self.become_held(payment_id, &payer)?;
        let (owner, from) = match event.to {
            FundedBy::Payment => (payment_id, spend_id),
            FundedBy::Spend => (spend_id, payment_id),
        };
        self.become_leg_of(owner, from, event)?;
        self.unmatched.moved(event);
        if event.to == FundedBy::Payment {
            self.forget_above_due(payment_id, &amount.asset);
        }
        Some(())
    }
}

/// Identity of a match, under the `Spend` that asked for it.
fn asker(spend_id: &ExternalId) -> Identity {
    Identity::new(Kind::Match, spend_id)
}

fn none(id: &ExternalId) -> Rejection {
    Rejection::new("spend_not_found", format!("there is no match of {id}"))
}

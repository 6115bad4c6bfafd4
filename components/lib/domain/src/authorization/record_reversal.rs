//! Reversals of records: the network takes a clearing or a refund back that it sent, as a whole or in part. It is a fact
//! of the network's settlement, so it is never refused.
//!
//! | reversal | outcome |
//! |---|---|
//! | of a posted clearing | the customer has as much again, at most what is left of the clearing |
//! | of more than is left | takes back what is left, and states what the network said; the payment is flagged |
//! | of what was refunded, or awarded in a dispute | takes it back all the same, and states it as `excess`; flagged |
//! | of a clearing in suspense | waits for its resolution; one of the whole returns it |
//! | before its clearing, or of no known payment | waits: the clearing posts when it comes, and is taken back at once |
//! | of a refund | the customer has as much less, though it was paid out on chain; otherwise as for a clearing |
//! | of a clearing that is linked to another payment | is kept, and that payment is told of it |
//! | known id | no effect; rejected if its content differs |
//!
//! The hold is not held again: it ended with the clearing. What is taken back comes off X first, then off K; what comes
//! off K counts as given back (R), so H = A − R − E − K stays as it is. The merchant may claim it again, by a new record:
//! that is neither a duplicate nor an over-capture.

use std::collections::BTreeMap;

use clearfold_kernel::{Amount, Asset, CommandContext, ExternalId, Minor, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::Decision;
use super::claim::{Clearing, ClearingFate, Suspended};
use super::messages::{
    ClearingReversed, Event, KeptReason, Parties, RecordReversalEnded, RecordReversalKept, RefundOrigin,
    RefundReversed, ReverseClearing, ReverseRefund, ReversedRecord,
};
use super::refund::{Resolution, UnlinkedRefund};
use super::state::{State, Subject, sum};
use crate::checks;
use crate::network::{Details, MerchantId, Network};

/// Reversals of records, and what they need of the records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordReversals {
    /// Reversals, by the ids of their own records.
    pub known: BTreeMap<ExternalId, RecordReversal>,
    /// Card and merchant that each claim names, by clearing id: a payment may learn them later, and a force post may
    /// name others.
    pub named: BTreeMap<ExternalId, Named>,
    /// Card and merchant that each refund of the network names, by its id.
    pub named_by_refunds: BTreeMap<ExternalId, Named>,
}

/// Reversal of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordReversal {
    /// Record that it takes back.
    pub of: ReversedRecord,
    /// Network that sent it.
    pub network: Network,
    /// Amount that it states; all that is left if it states none.
    pub stated: Option<Amount>,
    /// Time that the network states.
    pub occurred_at: Timestamp,
    /// Amount that it took back, in minor units.
    pub taken: Minor,
    /// Outcome of the reversal.
    pub fate: RecordReversalFate,
}

/// Outcome of a reversal of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordReversalFate {
    /// It took back what it could.
    Done,
    /// It waits for its record, or for the resolution of that.
    Waiting,
    /// It took nothing back, and does not wait any more.
    Ended,
    /// Its clearing is linked to another payment, which is told of it.
    Linked,
}

/// Card and merchant of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Id of the card; none if it is unknown.
    pub card_id: Option<ExternalId>,
    /// Id of the merchant; none if it is unknown.
    pub merchant_id: Option<MerchantId>,
}

impl RecordReversal {
    pub(super) fn is_waiting(&self) -> bool {
        self.fate == RecordReversalFate::Waiting
    }

    /// Returns what tells reversals apart. A record that is sent again states another time.
    fn content(&self) -> (&ReversedRecord, Network, Option<&Amount>) {
        (&self.of, self.network, self.stated.as_ref())
    }

    pub(super) fn covers(&self, minor: Minor) -> bool {
        self.stated.as_ref().is_none_or(|stated| stated.minor >= minor)
    }
}

impl Named {
    fn of(parties: &Parties) -> Self {
        let Parties { card_id, merchant_id, .. } = parties.clone();
        Self { card_id, merchant_id }
    }
}

impl State {
    /// Returns the amount of a clearing that was taken back.
    #[must_use]
    pub fn taken_back_of(&self, clearing_id: &ExternalId) -> Minor {
        self.taken_of(|of| matches!(of, ReversedRecord::Clearing(of) if of == clearing_id))
    }

    /// Returns the record that a known reversal is of.
    pub(super) fn reversed_by(&self, id: &ExternalId) -> Option<&ReversedRecord> {
        self.record_reversals.known.get(id).map(|known| &known.of)
    }

    /// Returns the amount of all clearings that was taken back.
    #[must_use]
    pub fn taken_back(&self) -> Minor {
        self.taken_of(|of| matches!(of, ReversedRecord::Clearing(_)))
    }

    /// Returns the amount of a refund of the network that was taken back.
    #[must_use]
    pub fn taken_back_of_refund(&self, refund_id: &ExternalId) -> Minor {
        self.taken_of(|of| matches!(of, ReversedRecord::Refund(of) if of == refund_id))
    }

    fn taken_of(&self, is_meant: impl Fn(&ReversedRecord) -> bool) -> Minor {
        let known = self.record_reversals.known.values().filter(|known| is_meant(&known.of));
        known.map(|known| known.taken).fold(Minor::ZERO, sum)
    }

    /// Returns true if a clearing posted and all of it was taken back.
    pub(super) fn is_taken_back(&self, clearing_id: &ExternalId, clearing: &Clearing) -> bool {
        has_posted(clearing) && self.taken_back_of(clearing_id) >= clearing.claimed
    }

    /// Remembers whom a claim names.
    pub(super) fn names(&mut self, clearing_id: &ExternalId, parties: &Parties) {
        self.record_reversals.named.insert(clearing_id.clone(), Named::of(parties));
    }

    /// Remembers whom a refund names that the network told of.
    pub(super) fn names_by_refund(&mut self, origin: &RefundOrigin, parties: &Parties) {
        if let RefundOrigin::Network(refund_id) = origin {
            self.record_reversals.named_by_refunds.insert(refund_id.clone(), Named::of(parties));
        }
    }

    /// Returns the amount of a record that posted and was not taken back; `None` if it did not post.
    pub(super) fn left_of(&self, of: &ReversedRecord) -> Option<Minor> {
        match of {
            ReversedRecord::Clearing(id) => {
                let clearing = self.clearings.get(id).filter(|clearing| has_posted(clearing))?;
                Some(clearing.claimed.excess_over(self.taken_back_of(id)))
            }
            ReversedRecord::Refund(id) => {
                let minor = match self.unlinked_of(id) {
                    Some(refund) if refund.is_paid() => refund.amount.minor,
                    Some(_) => return None,
                    None => *self.refunds.get(&RefundOrigin::Network(id.clone()).identity())?,
                };
                Some(minor.excess_over(self.taken_back_of_refund(id)))
            }
        }
    }

    /// Returns the amount of a record that waits for an operator; `None` if it does not.
    pub(super) fn suspended_of(&self, of: &ReversedRecord) -> Option<Minor> {
        match of {
            ReversedRecord::Clearing(id) => match self.suspended.get(id)? {
                Suspended::Waiting { .. } => self.clearings.get(id).map(|clearing| clearing.claimed),
                Suspended::Resolved(_) => None,
            },
            ReversedRecord::Refund(id) => {
                let refund = self.unlinked_of(id).filter(|refund| refund.resolution == Resolution::Open);
                refund.map(|refund| refund.amount.minor)
            }
        }
    }

    /// Returns true if the record has come, whatever became of it.
    fn knows_record(&self, of: &ReversedRecord) -> bool {
        match of {
            ReversedRecord::Clearing(id) => self.clearings.contains_key(id),
            ReversedRecord::Refund(id) => {
                let identity = RefundOrigin::Network(id.clone()).identity();
                self.unlinked_of(id).is_some() || self.refunds.contains_key(&identity)
            }
        }
    }

    /// Returns true if a reversal of the refund waits for it.
    pub(super) fn awaits_refund(&self, origin: &RefundOrigin) -> bool {
        let RefundOrigin::Network(refund_id) = origin else { return false };
        let of = ReversedRecord::Refund(refund_id.clone());
        self.record_reversals.known.values().any(|known| known.is_waiting() && known.of == of)
    }

    /// Returns the unlinked refund of the stream, if the network told of it by that id.
    fn unlinked_of(&self, id: &ExternalId) -> Option<&UnlinkedRefund> {
        self.unlinked().filter(|refund| matches!(&refund.origin, RefundOrigin::Network(known) if known == id))
    }

    /// Returns the asset of a record; `None` if neither the record nor a payment is known.
    pub(super) fn asset_of(&self, of: &ReversedRecord) -> Option<&Asset> {
        let unlinked = match of {
            ReversedRecord::Clearing(_) => None,
            ReversedRecord::Refund(id) => self.unlinked_of(id).map(|refund| &refund.amount.asset),
        };
        unlinked.or_else(|| self.payment().map(|payment| &payment.asset))
    }
}

pub(super) const fn has_posted(clearing: &Clearing) -> bool {
    matches!(clearing.fate, ClearingFate::Posted | ClearingFate::Forced)
}

pub(super) fn reverse_clearing(
    state: &State,
    command: &ReverseClearing,
    context: &CommandContext,
) -> Decision {
    let ReverseClearing { reversal_id, clearing_id, network, amount, occurred_at, details } = command.clone();
    let of = ReversedRecord::Clearing(state.claim_named(&clearing_id));
    detailed(reverse(state, &reversal_id, &waiting(of, network, amount, occurred_at), context), details)
}

pub(super) fn reverse_refund(state: &State, command: &ReverseRefund, context: &CommandContext) -> Decision {
    let ReverseRefund { reversal_id, refund_id, network, amount, occurred_at, details, known_only } =
        command.clone();
    let of = ReversedRecord::Refund(refund_id);
    if known_only && state.payment().is_none() && !state.knows_record(&of) {
        let detail = format!("{} is no payment, and has no such refund", context.id);
        return Err(Rejection::new("refund_not_found", detail));
    }
    detailed(reverse(state, &reversal_id, &waiting(of, network, amount, occurred_at), context), details)
}

/// States the further facts of the message in its event. If that is [`RecordReversalKept`], a later event lacks them.
pub(super) fn detailed(decided: Decision, details: Option<Box<Details>>) -> Decision {
    let mut events = decided?;
    match events.first_mut() {
        Some(Event::ClearingReversed(event)) => event.details = details,
        Some(Event::RefundReversed(event)) => event.details = details,
        Some(Event::RecordReversalKept(event)) => event.details = details,
        _ => {}
    }
    Ok(events)
}

/// Makes a reversal of which nothing is decided.
pub(super) fn waiting(
    of: ReversedRecord,
    network: Network,
    stated: Option<Amount>,
    occurred_at: Timestamp,
) -> RecordReversal {
    let (taken, fate) = (Minor::ZERO, RecordReversalFate::Waiting);
    RecordReversal { of, network, stated, occurred_at, taken, fate }
}

pub(super) fn reverse(
    state: &State,
    id: &ExternalId,
    reversal: &RecordReversal,
    context: &CommandContext,
) -> Decision {
    if let Some(amount) = &reversal.stated {
        checks::sound(amount)?;
    }
    if let Some(known) = state.record_reversals.known.get(id) {
        checks::repeated(id.as_str(), &known.content(), &reversal.content())?;
        return Ok(Vec::new());
    }
    let parties = parties(state, context)?;
    // Another refund is recorded under an id of its own, and so is its reversal.
    let is_of_refund =
        matches!((&state.subject, &reversal.of), (Subject::Refund(_), ReversedRecord::Refund(_)));
    if is_of_refund && !state.knows_record(&reversal.of) {
        return Err(checks::identity_conflict(context));
    }
    if let (Some(asset), Some(amount)) = (state.asset_of(&reversal.of), &reversal.stated) {
        checks::same_asset(asset, &amount.asset)?;
    }
    let keep = |reason| kept(parties.clone(), id, reversal, reason);
    Ok(vec![if state.is_linked_record(&reversal.of) {
        keep(KeptReason::Linked)
    } else if !state.knows_record(&reversal.of) {
        keep(KeptReason::Unmatched)
    } else if state.suspended_of(&reversal.of).is_some() {
        keep(KeptReason::Unresolved)
    } else {
        take_back(state, id, reversal, false).unwrap_or_else(|| keep(KeptReason::NothingLeft))
    }])
}

/// Returns the parties of the stream; of one without a payment, only the account is known.
pub(super) fn parties(state: &State, context: &CommandContext) -> Result<Parties, Rejection> {
    let parties = match &state.subject {
        Subject::Payment(payment) => payment.parties.clone(),
        Subject::Refund(refund) => Parties::account(refund.account),
        Subject::Nothing => return checks::account(context).map(Parties::account),
    };
    checks::routed_to(parties.account, context)?;
    Ok(parties)
}

fn kept(parties: Parties, reversal_id: &ExternalId, reversal: &RecordReversal, reason: KeptReason) -> Event {
    Event::RecordReversalKept(RecordReversalKept {
        parties,
        reversal_id: reversal_id.clone(),
        of: reversal.of.clone(),
        network: reversal.network,
        amount: reversal.stated.clone(),
        reason,
        occurred_at: reversal.occurred_at,
        details: None,
    })
}

/// Takes back what is left of the record, up to the stated amount, and its network fees with the last of it. `None` if that
/// is nothing.
pub(super) fn take_back(
    state: &State,
    reversal_id: &ExternalId,
    reversal: &RecordReversal,
    waited: bool,
) -> Option<Event> {
    let left = state.left_of(&reversal.of)?;
    let stated = reversal.stated.as_ref().map(|stated| stated.minor);
    let minor = stated.map_or(left, |stated| stated.min(left));
    if minor == Minor::ZERO {
        return None;
    }
    let amount = Amount { minor, asset: state.asset_of(&reversal.of)?.clone() };
    let network_fees_back = if minor == left { state.fees.of(&reversal.of) } else { None };
    let RecordReversal { network, occurred_at, .. } = *reversal;
    let reversal_id = reversal_id.clone();
    Some(match &reversal.of {
        ReversedRecord::Clearing(clearing_id) => {
            let payment = state.payment()?;
            let excess = minor.excess_over(payment.refundable());
            Event::ClearingReversed(ClearingReversed {
                parties: with_names(&payment.parties, state.record_reversals.named.get(clearing_id)),
                reversal_id,
                clearing_id: clearing_id.clone(),
                network,
                amount,
                stated,
                excess: (excess > Minor::ZERO).then_some(excess),
                waited,
                occurred_at,
                details: None,
                network_fees_back,
            })
        }
        ReversedRecord::Refund(refund_id) => {
            let parties = match state.unlinked_of(refund_id) {
                Some(refund) => Parties::account(refund.account),
                None => {
                    let named = state.record_reversals.named_by_refunds.get(refund_id);
                    with_names(&state.payment()?.parties, named)
                }
            };
            Event::RefundReversed(RefundReversed {
                parties,
                reversal_id,
                refund_id: refund_id.clone(),
                network,
                amount,
                stated,
                waited,
                occurred_at,
                details: None,
                network_fees_back,
            })
        }
    })
}

/// Names the card and the merchant as the record did.
fn with_names(parties: &Parties, named: Option<&Named>) -> Parties {
    let mut parties = parties.clone();
    if let Some(named) = named {
        (parties.card_id, parties.merchant_id) = (named.card_id.clone(), named.merchant_id.clone());
    }
    parties
}

/// Applies a reversal of a clearing. What comes off K is given back, so nothing is held again; it can still be claimed.
pub(super) fn clearing_reversed(state: &mut State, event: &ClearingReversed) {
    let Some(payment) = state.payment_mut() else { return };
    let (minor, totals) = (event.amount.minor, &mut payment.totals);
    let against_hold = minor.excess_over(totals.beyond);
    totals.beyond = totals.beyond.excess_over(minor);
    totals.against_hold = totals.against_hold.excess_over(against_hold);
    totals.reversed = sum(totals.reversed, against_hold);
    state.released = sum(state.released, against_hold);
    let of = ReversedRecord::Clearing(event.clearing_id.clone());
    let asset = &event.amount.asset;
    let stated = event.stated.map(|minor| Amount { minor, asset: asset.clone() });
    done(state, &event.reversal_id, waiting(of, event.network, stated, event.occurred_at), minor);
}

pub(super) fn refund_reversed(state: &mut State, event: &RefundReversed) {
    let (minor, asset) = (event.amount.minor, &event.amount.asset);
    // A credit without a payment is no refund of the payment beside it.
    let is_unlinked = state.unlinked_of(&event.refund_id).is_some();
    if let Some(payment) = state.payment_mut().filter(|_| !is_unlinked) {
        payment.totals.refunded = payment.totals.refunded.excess_over(minor);
    }
    let of = ReversedRecord::Refund(event.refund_id.clone());
    let stated = event.stated.map(|minor| Amount { minor, asset: asset.clone() });
    done(state, &event.reversal_id, waiting(of, event.network, stated, event.occurred_at), minor);
}

fn done(state: &mut State, id: &ExternalId, reversal: RecordReversal, taken: Minor) {
    let reversal = RecordReversal { taken, fate: RecordReversalFate::Done, ..reversal };
    state.record_reversals.known.insert(id.clone(), reversal);
}

pub(super) fn kept_back(state: &mut State, event: &RecordReversalKept) {
    let fate = match event.reason {
        KeptReason::Unmatched | KeptReason::Unresolved => RecordReversalFate::Waiting,
        KeptReason::NothingLeft => RecordReversalFate::Ended,
        KeptReason::Linked => RecordReversalFate::Linked,
    };
    let reversal = waiting(event.of.clone(), event.network, event.amount.clone(), event.occurred_at);
    state.record_reversals.known.insert(event.reversal_id.clone(), RecordReversal { fate, ..reversal });
}

pub(super) fn wait_ended(state: &mut State, event: &RecordReversalEnded) {
    state.happened_at(event.at);
    if let Some(known) = state.record_reversals.known.get_mut(&event.reversal_id) {
        known.fate = RecordReversalFate::Ended;
    }
}

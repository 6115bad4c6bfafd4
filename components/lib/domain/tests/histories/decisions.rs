//! Decisions after the payment: disputes, and the resolution of items in suspense.

use clearfold_domain::authorization::{
    AdvanceDispute, ApproveAuthorization, Command as Payments, DismissRecordReversal, DisputeOutcome,
    DisputeReason, DisputeStage, DisputeStatus, Entry, GiveUpClearing, GrantProvisionalCredit, LinkClearing,
    NameCandidates, OpenDispute, Payment, PresentClearing, RecordDisputeMoney, RecordReversalFate,
    RefundOrigin, ResolveClearing, ResolveDispute, ResolveRefund, ReverseClearing, ReverseRefund,
    ReversedRecord, State, Subject, Suspended, UnlinkClearing,
};
use clearfold_domain::network::{DisputeCycle, DisputeDirection, Network, RefundOutcome, SuspenseOutcome};
use clearfold_kernel::{Amount, ExternalId, Minor};

use crate::dice::Dice;
use crate::values::{around, euro, merchant, price};
use crate::world::{CARDS, World};

impl World {
    /// Makes an approval that must be rejected: above the request, or of a part where only the whole is accepted.
    /// Only the saga approves correctly.
    pub fn bad_approval(&mut self, payment: &Payment) -> (Payments, bool) {
        let (minor, partial_allowed) = match &payment.entry {
            Entry::Requested(request) => (request.amount.minor.get(), request.partial_allowed),
            _ => (1, true),
        };
        let minor = if partial_allowed || minor <= 1 { minor.saturating_add(1) } else { minor - 1 };
        let amount = Amount { minor: Minor::new(minor), asset: payment.asset.clone() };
        (Payments::ApproveAuthorization(ApproveAuthorization { amount }), false)
    }

    /// Returns true if a claim to the payment waits in suspense.
    pub fn has_suspended(&self, id: &str) -> bool {
        let mut suspended = self.payments.get(id).into_iter().flat_map(|live| live.state.suspended.values());
        suspended.any(|claim| matches!(claim, Suspended::Waiting { .. }))
    }

    /// Resolves a clearing: mostly one that was suspended, resolved or not; otherwise one that was never suspended.
    pub fn resolve_clearing(&mut self, id: &str, dice: &mut Dice) -> (Payments, bool) {
        let state = self.payments.get(id).map(|live| &live.state);
        let suspended: Vec<ExternalId> =
            state.into_iter().flat_map(|state| state.suspended.keys().cloned()).collect();
        let posted = state.and_then(|state| state.clearings.keys().next().cloned());
        let known = if dice.one_in(8) { posted } else { dice.pick_recent(&suspended).cloned() };
        let clearing_id = known.unwrap_or_else(|| self.id("clr"));
        let outcome = dice.weighted(&[(2, SuspenseOutcome::Charged), (1, SuspenseOutcome::Returned)]);
        (Payments::ResolveClearing(ResolveClearing { clearing_id, outcome }), false)
    }

    /// Takes back a clearing that came, or one that comes later; sometimes an operator dismisses what waits.
    pub fn take_back(&mut self, id: &str, dice: &mut Dice) -> (Payments, bool) {
        let state = self.payments.get(id).map(|live| &live.state);
        if dice.one_in(6) {
            let mut known = state.into_iter().flat_map(|state| state.record_reversals.known.keys());
            let reversal_id = known.next_back().cloned().unwrap_or_else(|| self.id("rvl"));
            let dismiss = DismissRecordReversal { reversal_id };
            return (Payments::DismissRecordReversal(dismiss), false);
        }
        let claims: Vec<(ExternalId, Minor)> = state
            .into_iter()
            .flat_map(|state| &state.clearings)
            .map(|(clearing_id, clearing)| (clearing_id.clone(), clearing.claimed))
            .collect();
        let asset = state.map_or_else(|| euro(1).asset, |state| known_amount(state).asset);
        let known = dice.pick_recent(&claims).cloned();
        let (clearing_id, minor) = match known {
            Some(known) if !dice.one_in(6) => known,
            _ => (self.id("clr"), Minor::new(500)),
        };
        let amount = (!dice.one_in(3)).then(|| around(dice, &Amount { minor, asset }));
        let (reversal_id, occurred_at) = (self.id("rvl"), self.now());
        let network = dice.pick(&[Network::Visa, Network::Mastercard]);
        let reversal =
            ReverseClearing { reversal_id, clearing_id, network, amount, occurred_at, details: None };
        (Payments::ReverseClearing(reversal), false)
    }

    /// Takes back a refund that the network told of, or one that it tells of later.
    pub fn take_refund_back(&mut self, id: &str, dice: &mut Dice) -> (Payments, bool) {
        let state = self.payments.get(id).map(|live| &live.state);
        let told = |identity: &String| identity.strip_prefix("network/")?.parse::<ExternalId>().ok();
        let linked = state.into_iter().flat_map(|state| &state.refunds);
        let mut known: Vec<(ExternalId, Amount)> = linked
            .filter_map(|(identity, minor)| {
                let asset = known_amount(state?).asset;
                Some((told(identity)?, Amount { minor: *minor, asset }))
            })
            .collect();
        if let Some(Subject::Refund(refund)) = state.map(|state| &state.subject)
            && let RefundOrigin::Network(refund_id) = &refund.origin
        {
            known.push((refund_id.clone(), refund.amount.clone()));
        }
        let known = dice.pick_recent(&known).cloned().filter(|_| !dice.one_in(8));
        let (refund_id, of) = known.unwrap_or_else(|| (self.id("rfd"), euro(500)));
        let amount = (!dice.one_in(3)).then(|| around(dice, &of));
        let (reversal_id, occurred_at) = (self.id("rvl"), self.now());
        let network = dice.pick(&[Network::Visa, Network::Mastercard]);
        let reversal = ReverseRefund {
            reversal_id,
            refund_id,
            network,
            amount,
            occurred_at,
            details: None,
            known_only: dice.one_in(6),
        };
        (Payments::ReverseRefund(reversal), false)
    }

    /// Presents the clearing that a reversal waits for, if one does.
    pub fn awaited(&mut self, id: &str, dice: &mut Dice) -> Option<(Payments, bool)> {
        let state = &self.payments.get(id)?.state;
        let waits = state.record_reversals.known.values().find_map(|known| match &known.of {
            ReversedRecord::Clearing(clearing_id) => {
                let is_new = !state.clearings.contains_key(clearing_id);
                (is_new && known.fate == RecordReversalFate::Waiting).then(|| clearing_id.clone())
            }
            ReversedRecord::Refund(_) => None,
        });
        let (clearing_id, of) = (waits?, known_amount(state));
        match self.clearing(dice, &of, &[]) {
            (Payments::PresentClearing(claim), by_chain) => {
                Some((Payments::PresentClearing(PresentClearing { clearing_id, ..claim }), by_chain))
            }
            other => Some(other),
        }
    }

    /// Makes a clearing that begins a payment.
    pub fn unmatched_clearing(&mut self, dice: &mut Dice) -> (Payments, bool) {
        if !dice.one_in(4) {
            return self.odd_clearing(dice);
        }
        let amount = price(dice);
        self.clearing(dice, &amount, &[])
    }

    /// Makes a clearing that names no known payment, and mostly card, merchant and amount of one that is open.
    fn odd_clearing(&mut self, dice: &mut Dice) -> (Payments, bool) {
        let open = |id: &&String| self.payment(id).is_some_and(|payment| payment.held() > Minor::ZERO);
        let held = self.order.iter().rev().filter(open).nth(dice.below(2)).and_then(|id| self.payment(id));
        let purchase = held.and_then(|payment| {
            let (card_id, merchant) = (payment.parties.card_id.clone()?, payment.entry.merchant()?.clone());
            Some((card_id, merchant, Amount { minor: payment.held(), asset: payment.asset.clone() }))
        });
        let (card_id, merchant, held) =
            purchase.unwrap_or_else(|| (CARDS[0].parse().expect("our own id"), merchant(dice), euro(500)));
        let held = if dice.one_in(3) { around(dice, &held) } else { held };
        match self.clearing(dice, &held, &[]) {
            (Payments::PresentClearing(claim), by_chain) => {
                let amount = if dice.one_in(4) { claim.amount.clone() } else { held };
                let mut details = claim.details.clone().unwrap_or_default();
                (details.card_id, details.merchant) = (Some(card_id), Some(merchant));
                let details = Some(details);
                let claim = PresentClearing { amount, presented: None, details, ..claim };
                (Payments::PresentClearing(claim), by_chain)
            }
            other => other,
        }
    }

    /// Makes an operator's link of a clearing to another payment, or the saga's word that no payment fits.
    pub fn link_clearing(&mut self, dice: &mut Dice) -> (Payments, bool) {
        let payment_id = dice.pick_recent(&self.order).cloned().unwrap_or_else(|| "nobody".to_owned());
        let payment_id: ExternalId = payment_id.parse().expect("our own id");
        let command = match dice.below(8) {
            0 => Payments::NameCandidates(NameCandidates { candidates: vec![payment_id] }),
            1 => Payments::UnlinkClearing(UnlinkClearing { payment_id, link: 1 }),
            _ => Payments::LinkClearing(LinkClearing { payment_id, matched: None, reason: None }),
        };
        (command, false)
    }

    /// Makes an operator's order to give up a clearing of another payment, at times of one that there is none of.
    pub fn give_up_clearing(&mut self, id: &str, dice: &mut Dice) -> Option<(Payments, bool)> {
        let taken = &self.payments.get(id)?.state.clearing_links.taken;
        let posted_on = taken.values().next_back().map(|taken| taken.posted_on.clone());
        let nobody = || "nobody".parse().expect("our own id");
        let is_now = dice.one_in(if posted_on.is_some() { 4 } else { 200 });
        let give_up = GiveUpClearing { posted_on: posted_on.unwrap_or_else(nobody), reason: None };
        is_now.then_some((Payments::GiveUpClearing(give_up), false))
    }

    pub fn resolve_refund(&mut self, dice: &mut Dice) -> (Payments, bool) {
        let outcome = dice.weighted(&[
            (3, RefundOutcome::Paid),
            (3, RefundOutcome::TakenBack),
            (3, RefundOutcome::Returned),
            (1, RefundOutcome::Matched),
        ]);
        let is_linked = |id: &&String| self.payments[*id].state.linked_to().is_some();
        let linked = self.order.iter().rfind(is_linked);
        let payment_id = match linked.filter(|_| dice.one_in(3)).or_else(|| dice.pick_recent(&self.order)) {
            Some(recent) if dice.one_in(2) => Some(recent.parse().expect("our own id")),
            _ => None,
        };
        (Payments::ResolveRefund(ResolveRefund { outcome, payment_id }), false)
    }

    pub fn dispute(&mut self, payment: &Payment, dice: &mut Dice) -> (Payments, bool) {
        const STAGES: [DisputeStage; 5] = [
            DisputeStage::New,
            DisputeStage::Submitted,
            DisputeStage::Representment,
            DisputeStage::PreArbitration,
            DisputeStage::Arbitration,
        ];
        let captured = Amount { minor: payment.totals.captured(), asset: payment.asset.clone() };
        let latest = payment.disputes.last();
        let is_open = latest.is_some_and(|dispute| matches!(dispute.status, DisputeStatus::Open { .. }));
        let dispute_id = match latest {
            Some(dispute) if !dice.one_in(16) => dispute.id.clone(),
            _ => self.id("dsp"),
        };
        if dice.one_in(3) {
            return (self.dispute_money(payment, dispute_id, dice), false);
        }
        let command = match dice.below(12) {
            _ if !is_open && !dice.one_in(3) => Payments::OpenDispute(OpenDispute {
                dispute_id: format!("dsp-{}", payment.disputes.len()).parse().expect("our own id"),
                amount: around(dice, &captured),
                reason: dice.pick(&[DisputeReason::Fraud, DisputeReason::NotReceived]),
            }),
            0 => Payments::OpenDispute(OpenDispute {
                dispute_id: self.id("dsp"),
                amount: around(dice, &captured),
                reason: DisputeReason::Duplicate,
            }),
            1..5 => {
                let next = STAGES.into_iter().find(|stage| match latest.map(|dispute| dispute.status) {
                    Some(DisputeStatus::Open { stage: now }) => *stage > now,
                    _ => true,
                });
                let stage =
                    if dice.one_in(6) { dice.pick(&STAGES) } else { next.unwrap_or(DisputeStage::New) };
                Payments::AdvanceDispute(AdvanceDispute { dispute_id, stage })
            }
            5..8 => Payments::GrantProvisionalCredit(GrantProvisionalCredit { dispute_id }),
            _ => {
                let outcome = dice.weighted(&[(3, DisputeOutcome::Won), (1, DisputeOutcome::Lost)]);
                let disputed = latest.map_or(captured.minor, |dispute| dispute.minor);
                // The amount that the merchant still has, after a refund that came while the dispute was open.
                let left = captured.minor.minus(payment.totals.refunded).unwrap_or_default();
                let awarded = dice.one_in(2).then(|| {
                    let minor = disputed.min(left);
                    around(dice, &Amount { minor, ..captured })
                });
                Payments::ResolveDispute(ResolveDispute { dispute_id, outcome, awarded })
            }
        };
        (command, false)
    }
}

impl World {
    /// Money that the network moves in a cycle: of a dispute that was opened, that will be, or that never is.
    fn dispute_money(&mut self, payment: &Payment, dispute_id: ExternalId, dice: &mut Dice) -> Payments {
        let disputed = payment.disputes.iter().find(|dispute| dispute.id == dispute_id);
        let next = format!("dsp-{}", payment.disputes.len()).parse().expect("our own id");
        let dispute_id = if dice.one_in(6) { next } else { dispute_id };
        let minor = disputed.map_or(payment.totals.captured(), |dispute| dispute.minor);
        let of = Amount { minor: minor.max(Minor::new(1)), asset: payment.asset.clone() };
        self.moved(dispute_id, of, dice)
    }

    /// Money of a dispute on a stream without a payment.
    pub fn dispute_money_of_nobody(&mut self, dice: &mut Dice) -> (Payments, bool) {
        (self.moved("dsp-0".parse().expect("our own id"), euro(5), dice), false)
    }

    fn moved(&mut self, dispute_id: ExternalId, of: Amount, dice: &mut Dice) -> Payments {
        let cycle = dice.weighted(&[
            (6, DisputeCycle::Chargeback),
            (5, DisputeCycle::Representment),
            (3, DisputeCycle::PreArbitration),
            (2, DisputeCycle::Arbitration),
            (1, DisputeCycle::Withdrawal),
        ]);
        let directions = [None, None, Some(DisputeDirection::Received), Some(DisputeDirection::Paid)];
        let direction = dice.pick(&directions);
        let moves_nothing = cycle == DisputeCycle::Withdrawal && dice.one_in(2);
        let amount = match moves_nothing {
            true => Amount { minor: Minor::ZERO, ..of },
            false if dice.one_in(2) => of,
            false => around(dice, &of),
        };
        Payments::RecordDisputeMoney(RecordDisputeMoney {
            record_id: self.id("cbk"),
            dispute_id,
            network: dice.pick(&[Network::Visa, Network::Mastercard]),
            cycle,
            direction,
            amount,
            occurred_at: self.now(),
            details: None,
        })
    }
}

/// Amount in the payment's asset that a claim may be about.
fn known_amount(state: &State) -> Amount {
    state
        .payment()
        .map_or_else(|| euro(500), |payment| Amount { minor: Minor::new(500), asset: payment.asset.clone() })
}

//! Beginning and course of payments: what the network, the chain and the customer may send next.

use clearfold_domain::authorization::{
    AbandonCause, AbandonFunding, ApproveIncrement, CloseExposure, Command as Payments, DeclineAuthorization,
    DeclineIncrement, Entry, ExpireAuthorization, Extent, FlagPayment, Funding, IncrementAuthorization,
    IncrementBasis, IncrementFate, LinkSpend, Observation, ObserveFunding, Payment, ProposePartialApproval,
    RecordAdvice, RecordSwipe, RequestAuthorization, ReversalCause, ReverseAuthorization, Status,
    UnlinkSpend,
};
use clearfold_domain::network::{Network, Presented};
use clearfold_domain::policy::DeclineReason;
use clearfold_kernel::{Address, Amount, Minor};

use crate::dice::Dice;
use crate::live::Broken;
use crate::values::{around, checks, converted, details, euro, merchant, price};
use crate::world::{ACCOUNT, CARDS, Command, Sent, World};

pub fn account() -> Address {
    ACCOUNT.parse().expect("an address")
}

pub fn with_presented((amount, presented): (Amount, Presented)) -> (Amount, Option<Presented>) {
    (amount, Some(presented))
}

impl World {
    /// Begins a payment, or sends a command that belongs to none.
    pub fn begin(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        if dice.one_in(10) {
            return self.reverse_by_numbers(dice);
        }
        let id = self.name("auth");
        let sent = match dice.below(20) {
            0..11 => self.request(dice),
            12..15 => self.swipe(dice),
            15 => self.advice(dice),
            16 => self.force_post(dice),
            17 => self.refund(dice, &euro(500)),
            11 | 18 => self.unmatched_clearing(dice),
            _ => self.reversal(dice, Minor::new(5)),
        };
        self.play(&id, sent)
    }

    fn play(&mut self, id: &str, (command, by_chain): (Payments, bool)) -> Result<(), Broken> {
        let command = Command::Payment(id.to_owned(), command);
        let sent = if by_chain { Sent::by_chain(command) } else { Sent::new(command) };
        self.send(&sent).map(drop)
    }

    /// Continues one of the payments.
    pub fn proceed(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        let Some(id) = dice.pick_recent(&self.order).cloned() else { return self.begin(dice) };
        if dice.one_in(3)
            && let Some(sent) = self.awaited(&id, dice)
        {
            return self.play(&id, sent);
        }
        let Some(payment) = self.payment(&id).cloned() else { return self.of_no_payment(&id, dice) };
        if dice.one_in(3)
            && let Some(sent) = self.ambiguous(&id)
        {
            return self.play(&id, sent);
        }
        if self.has_suspended(&id) && dice.one_in(6) {
            let sent = self.resolve_clearing(&id, dice);
            return self.play(&id, sent);
        }
        if let Some(sent) = self.give_up_clearing(&id, dice) {
            return self.play(&id, sent);
        }
        if dice.one_in(14) {
            let sent =
                if dice.one_in(3) { self.take_refund_back(&id, dice) } else { self.take_back(&id, dice) };
            return self.play(&id, sent);
        }
        if payment.status == Status::Requested && !self.queue.is_empty() && !dice.one_in(4) {
            return self.deliver(dice);
        }
        let sent = match payment.status {
            Status::Requested => self.undecided(&id, &payment, dice),
            status if status.is_open() => return self.open(&id, &payment, dice),
            _ => self.closed(&id, &payment, dice),
        };
        self.play(&id, sent)
    }

    /// Sends a command to a stream without a payment: an empty one, or one of an unlinked refund.
    fn of_no_payment(&mut self, id: &str, dice: &mut Dice) -> Result<(), Broken> {
        let sent = match dice.below(11) {
            9 if dice.one_in(2) => self.dispute_money_of_nobody(dice),
            10 if dice.one_in(2) => self.take_back(id, dice),
            10 => self.take_refund_back(id, dice),
            8 | 9 => self.resolve_refund(dice),
            0 => self.request(dice),
            1 => self.swipe(dice),
            2 => self.advice(dice),
            3 => self.refund(dice, &euro(500)),
            4 => self.unmatched_clearing(dice),
            5 => self.force_post(dice),
            6 => (Payments::ExpireAuthorization(ExpireAuthorization {}), false),
            _ => self.reversal(dice, Minor::new(5)),
        };
        self.play(id, sent)
    }

    /// Sends a command to a request that is not answered yet. The saga answers; these come in between.
    fn undecided(&mut self, id: &str, payment: &Payment, dice: &mut Dice) -> (Payments, bool) {
        let asked = euro(dice.below(50) as u128);
        match dice.below(11) {
            0 => self.reversal(dice, Minor::ZERO),
            1 => self.advice(dice),
            2 => self.clearing(dice, &asked, &[]),
            3 => self.funding(id, payment, dice),
            4 => {
                let reasons =
                    [DeclineReason::RiskDeclined, DeclineReason::RiskUnavailable, DeclineReason::Timeout];
                (Payments::DeclineAuthorization(DeclineAuthorization { reason: dice.pick(&reasons) }), false)
            }
            5 => self.force_post(dice),
            6 => (Payments::ExpireAuthorization(ExpireAuthorization {}), false),
            7 if dice.one_in(2) => self.proposal(payment, dice),
            7 => self.bad_approval(payment),
            8 => self.increment_of_nothing(dice),
            _ => self.request(dice),
        }
    }

    /// Makes a proposal of a part, sometimes of the whole. The test's own saga asks for the part without one.
    fn proposal(&mut self, payment: &Payment, dice: &mut Dice) -> (Payments, bool) {
        let asked = payment.entry.request().map_or(Minor::new(2), |request| request.amount.minor);
        let half = Minor::new(asked.get().div_euclid(2).max(1));
        let amount = Amount { minor: dice.pick(&[half, half, asked]), asset: payment.asset.clone() };
        (Payments::ProposePartialApproval(ProposePartialApproval { amount }), false)
    }

    /// Makes an increment of a payment that is not open.
    fn increment_of_nothing(&mut self, dice: &mut Dice) -> (Payments, bool) {
        let (message_id, occurred_at) = (self.id("msg"), self.now());
        let basis = dice.pick(&[IncrementBasis::Addition, IncrementBasis::Total]);
        let increment =
            IncrementAuthorization { message_id, amount: price(dice), basis, occurred_at, details: None };
        (Payments::IncrementAuthorization(increment), false)
    }

    /// Makes an increment by that amount: as an addition, as a new total, or as a further request. Sometimes makes a
    /// decision on an earlier one, which then is declined or known.
    fn increment(&mut self, id: &str, payment: &Payment, by: Amount, dice: &mut Dice) -> (Payments, bool) {
        let (message_id, occurred_at) = (self.id("msg"), self.now());
        let known = self.payments.get(id).and_then(|live| live.state.increments.iter().next_back());
        let known = known.map(|(known, increment)| (known.clone(), increment.fate));
        match (dice.below(12), known, &payment.entry) {
            (0, Some((known, _)), _) => {
                let reason = dice.pick(&[DeclineReason::Timeout, DeclineReason::RiskDeclined]);
                (Payments::DeclineIncrement(DeclineIncrement { message_id: known, reason }), false)
            }
            (1, Some((known, fate)), _) if fate != IncrementFate::Undecided => {
                (Payments::ApproveIncrement(ApproveIncrement { message_id: known }), false)
            }
            (2, _, _) => (Payments::ApproveIncrement(ApproveIncrement { message_id }), false),
            (3 | 4, _, Entry::Requested(request)) => {
                let request = RequestAuthorization {
                    message_id,
                    account: request.account,
                    card_id: request.card_id.clone(),
                    amount: by,
                    presented: None,
                    merchant: request.merchant.clone(),
                    network: request.network,
                    partial_allowed: request.partial_allowed,
                    occurred_at,
                    checks: None,
                    details: None,
                    single_message: dice.one_in(12),
                };
                (Payments::RequestAuthorization(request), false)
            }
            (5..8, _, _) => {
                let total = by.minor.plus(payment.totals.standing()).unwrap_or(by.minor);
                let minor = if dice.one_in(8) { payment.totals.standing().max(Minor::new(1)) } else { total };
                let (amount, basis) = (Amount { minor, ..by }, IncrementBasis::Total);
                let increment =
                    IncrementAuthorization { message_id, amount, basis, occurred_at, details: None };
                (Payments::IncrementAuthorization(increment), false)
            }
            _ => {
                let basis = IncrementBasis::Addition;
                let increment =
                    IncrementAuthorization { message_id, amount: by, basis, occurred_at, details: None };
                (Payments::IncrementAuthorization(increment), false)
            }
        }
    }

    fn open(&mut self, id: &str, payment: &Payment, dice: &mut Dice) -> Result<(), Broken> {
        let held = Amount { minor: payment.held(), asset: payment.asset.clone() };
        let sent = match dice.below(32) {
            0..8 => {
                let references = self.references(id);
                self.clearing(dice, &held, &references)
            }
            8..12 => self.reversal_of(id, payment.held(), dice),
            12..15 => {
                let by = Amount { minor: Minor::new(1 + held.minor.get() / 4), ..held };
                let by = if dice.one_in(3) { price(dice) } else { by };
                self.increment(id, payment, by, dice)
            }
            15..18 => {
                if dice.one_in(2)
                    && let Some(expires_at) = payment.expires_at
                {
                    self.now_ms = self.now_ms.max(expires_at.as_ms());
                }
                (Payments::ExpireAuthorization(ExpireAuthorization {}), false)
            }
            18..25 => self.funding(id, payment, dice),
            25 => self.refund(dice, &self.captured(id)),
            26 | 27 => self.dispute(payment, dice),
            28 => self.flag(dice),
            29 => self.force_post(dice),
            30 => self.completion(&held, dice),
            31 if matches!(payment.entry, Entry::Swiped { .. }) => self.link(payment, dice),
            _ => self.bad_approval(payment),
        };
        self.play(id, sent)
    }

    fn closed(&mut self, id: &str, payment: &Payment, dice: &mut Dice) -> (Payments, bool) {
        match dice.below(20) {
            0..5 => self.refund(dice, &self.captured(id)),
            5..10 => self.dispute(payment, dice),
            10..14 => self.funding(id, payment, dice),
            14 | 15 => {
                let (references, authorized) = (self.references(id), payment.totals.authorized);
                self.clearing(dice, &Amount { minor: authorized, asset: payment.asset.clone() }, &references)
            }
            16 => self.advice(dice),
            17 if !matches!(payment.entry, Entry::Forced { .. }) => self.increment_of_nothing(dice),
            18 if matches!(payment.entry, Entry::Swiped { .. }) => self.link(payment, dice),
            17 | 18 if matches!(payment.entry, Entry::Forced { .. }) => self.link_clearing(dice),
            18 => self.flag(dice),
            _ => match dice.below(6) {
                4 => self.resolve_clearing(id, dice),
                5 => self.resolve_refund(dice),
                0 => self.reversal(dice, Minor::new(1)),
                1 => (Payments::ExpireAuthorization(ExpireAuthorization {}), false),
                2 => self.bad_approval(payment),
                _ => {
                    let decline = DeclineAuthorization { reason: DeclineReason::SystemError };
                    (Payments::DeclineAuthorization(decline), false)
                }
            },
        }
    }

    fn request(&mut self, dice: &mut Dice) -> (Payments, bool) {
        let mut amount = if dice.one_in(6) { self.price_again(dice) } else { price(dice) };
        let mut presented = None;
        match dice.below(30) {
            0..4 => (amount, presented) = with_presented(converted(dice)),
            4 => presented = Some(converted(dice).1),
            // A verification of the card.
            5 => amount.minor = Minor::ZERO,
            _ => {}
        }
        let request = RequestAuthorization {
            // Ids of messages are unique within a payment only.
            message_id: if dice.one_in(8) { "msg-again".parse().expect("an id") } else { self.id("msg") },
            account: account(),
            card_id: dice.pick(&CARDS).parse().expect("our own id"),
            amount,
            presented,
            merchant: merchant(dice),
            network: dice.pick(&[Network::Visa, Network::Mastercard]),
            partial_allowed: dice.one_in(3),
            occurred_at: self.now(),
            checks: checks(dice),
            details: details(dice),
            single_message: dice.one_in(4),
        };
        (Payments::RequestAuthorization(request), false)
    }

    /// Returns the amount of a payment that is there, or a new one.
    fn price_again(&self, dice: &mut Dice) -> Amount {
        let known = dice.pick_recent(&self.order).and_then(|id| self.payment(id));
        let authorized = known.map(|payment| (payment.totals.authorized, payment.asset.clone()));
        match authorized {
            Some((minor, asset)) if minor > Minor::ZERO => Amount { minor, asset },
            _ => price(dice),
        }
    }

    /// Makes an operator's link of a `Spend` to another payment, or undoes one. A payment in another asset never takes it;
    /// if its block is replaced by one with another log meanwhile, the account does not hear of that log (ADR 0031).
    fn link(&mut self, spend: &Payment, dice: &mut Dice) -> (Payments, bool) {
        if dice.one_in(3) {
            let reason = Some("another purchase".to_owned());
            return (Payments::UnlinkSpend(UnlinkSpend { payment_id: None, reason }), false);
        }
        let other = dice
            .pick_recent(&self.order)
            .filter(|id| self.payment(id).is_none_or(|payment| payment.asset == spend.asset));
        let payment_id = other.cloned().unwrap_or_else(|| "nobody".to_owned());
        let payment_id = payment_id.parse().expect("our own id");
        (Payments::LinkSpend(LinkSpend { payment_id, basis: None, reason: None }), false)
    }

    fn swipe(&mut self, dice: &mut Dice) -> (Payments, bool) {
        let (source, occurred_at) = (self.source(), self.now());
        // Mostly somebody pulled what the network asks for as well.
        let amount = if dice.one_in(3) { price(dice) } else { self.price_again(dice) };
        (Payments::RecordSwipe(RecordSwipe { account: account(), amount, source, occurred_at }), true)
    }

    fn advice(&mut self, dice: &mut Dice) -> (Payments, bool) {
        let advice = RecordAdvice {
            message_id: self.id("msg"),
            account: account(),
            card_id: dice.pick(&CARDS).parse().expect("our own id"),
            amount: price(dice),
            merchant: merchant(dice),
            network: Network::Visa,
            occurred_at: self.now(),
            details: details(dice),
            single_message: dice.one_in(8),
        };
        (Payments::RecordAdvice(advice), false)
    }

    /// Makes an advice of what was really sold: about as much as is held, or nothing.
    fn completion(&mut self, held: &Amount, dice: &mut Dice) -> (Payments, bool) {
        let amount = around(dice, held);
        let (command, by_chain) = self.advice(dice);
        let Payments::RecordAdvice(advice) = command else { return (command, by_chain) };
        let amount = if dice.one_in(3) { advice.amount.clone() } else { amount };
        (Payments::RecordAdvice(RecordAdvice { amount, ..advice }), by_chain)
    }

    fn reversal(&mut self, dice: &mut Dice, held: Minor) -> (Payments, bool) {
        let held = euro(held.get());
        let extent = if dice.one_in(2) { Extent::Full } else { Extent::Part(around(dice, &held).minor) };
        let cause = dice.weighted(&[
            (9, ReversalCause::Merchant),
            (9, ReversalCause::Timeout),
            (1, ReversalCause::Returned),
        ]);
        let (message_id, occurred_at) = (self.id("msg"), self.now());
        (
            Payments::ReverseAuthorization(ReverseAuthorization {
                message_id,
                extent,
                cause,
                occurred_at,
                details: None,
                candidates: Vec::new(),
            }),
            false,
        )
    }

    /// Makes a reversal, sometimes under the id of another message, which is then rejected.
    fn reversal_of(&mut self, id: &str, held: Minor, dice: &mut Dice) -> (Payments, bool) {
        let known = self.payments.get(id).and_then(|live| live.state.increments.keys().next().cloned());
        let (mut command, by_chain) = self.reversal(dice, held);
        if let (Payments::ReverseAuthorization(reversal), Some(message_id)) = (&mut command, known)
            && dice.one_in(4)
        {
            reversal.message_id = message_id;
        }
        (command, by_chain)
    }

    /// Makes the next observation of a leg's money, and sometimes one that cannot be next.
    fn funding(&mut self, id: &str, payment: &Payment, dice: &mut Dice) -> (Payments, bool) {
        // The simulated chain reports the outcome of the pulls that a saga asks for.
        if self.has_chain() {
            return self.flag(dice);
        }
        let state = &self.payments[id].state;
        let (newest, due) = (state.newest_leg(), state.due().max(Minor::new(1)));
        let leg = if dice.one_in(3) { 1 + u32::try_from(dice.below(3)).unwrap_or(0) } else { newest };
        let known = state.leg(leg).cloned().unwrap_or(Funding::None);
        if dice.one_in(5) {
            let cause = dice.pick(&[AbandonCause::Dead, AbandonCause::Dead, AbandonCause::Withdrawn]);
            let close = Payments::CloseExposure(CloseExposure { leg, pull_again: dice.one_in(2) });
            let abandon = Payments::AbandonFunding(AbandonFunding { leg, cause });
            return (dice.weighted(&[(3, abandon), (1, close)]), false);
        }
        // A linked Spend that is mined again takes the same amount.
        let spent = state.linked_to().map(|_| payment.totals.authorized);
        let amount = Amount { minor: spent.unwrap_or(due), asset: payment.asset.clone() };
        let (fresh, hash) = (self.source(), self.transaction());
        let included = Observation::Included {
            amount: if spent.is_some() { amount } else { around(dice, &amount) },
            source: fresh.clone(),
        };
        let observation = match &known {
            _ if dice.one_in(12) => dice.pick(&[
                Observation::Finalized { source: fresh.clone() },
                Observation::Reorged { source: fresh },
            ]),
            Funding::Unconfirmed { transaction_hash } => {
                let transaction_hash = *transaction_hash;
                let (dropped, reverted) =
                    (Observation::Dropped { transaction_hash }, Observation::Reverted { transaction_hash });
                dice.weighted(&[(6, included), (1, dropped), (1, reverted)])
            }
            Funding::Included { source, .. } => {
                let (finalized, reorged) = (
                    Observation::Finalized { source: source.clone() },
                    Observation::Reorged { source: source.clone() },
                );
                dice.weighted(&[(3, finalized), (2, reorged)])
            }
            Funding::Finalized { source, .. } => {
                let reorged = Observation::Reorged { source: source.clone() };
                dice.weighted(&[(1, reorged), (1, included)])
            }
            _ => dice.weighted(&[(3, Observation::Submitted { transaction_hash: hash }), (1, included)]),
        };
        (Payments::ObserveFunding(ObserveFunding { leg, observation, occurred_at: self.now() }), true)
    }

    fn flag(&mut self, dice: &mut Dice) -> (Payments, bool) {
        (Payments::FlagPayment(FlagPayment { reason: dice.pick(&DeclineReason::ALL) }), false)
    }
}

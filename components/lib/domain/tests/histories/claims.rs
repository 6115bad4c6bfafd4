//! Claims and refunds of the network, with the fees that it states with them.

use clearfold_domain::authorization::{
    Command as Payments, ForcePost, Part, Payment, PresentClearing, RecordRefund, RefundOrigin,
};
use clearfold_domain::network::NetworkFees;
use clearfold_kernel::{Amount, ExternalId, Minor};

use crate::dice::Dice;
use crate::payments::{account, with_presented};
use crate::values::{around, converted, details, euro, merchant, price};
use crate::world::{CARDS, World};

impl World {
    pub fn force_post(&mut self, dice: &mut Dice) -> (Payments, bool) {
        let (amount, presented) =
            if dice.one_in(4) { with_presented(converted(dice)) } else { (price(dice), None) };
        let claim = ForcePost {
            clearing_id: self.id("clr"),
            account: account(),
            card_id: dice.pick(&CARDS).parse().expect("our own id"),
            amount,
            presented,
            merchant: merchant(dice),
            occurred_at: self.now(),
        };
        (Payments::ForcePost(claim), false)
    }

    /// Returns references and amounts of earlier claims: a new record with the same ones is suspected to be a
    /// duplicate.
    pub fn references(&self, id: &str) -> Vec<(ExternalId, Minor)> {
        let known = self.payments.get(id).into_iter().flat_map(|live| live.state.clearings.values());
        known.filter_map(|clearing| Some((clearing.reference.clone()?, clearing.claimed))).collect()
    }

    pub fn clearing(
        &mut self,
        dice: &mut Dice,
        of: &Amount,
        known: &[(ExternalId, Minor)],
    ) -> (Payments, bool) {
        let mut amount = around(dice, of);
        let mut reference = dice.one_in(2).then(|| self.id("ref"));
        if !known.is_empty() && dice.one_in(4) {
            let (again, minor) = dice.pick(known);
            (reference, amount.minor) = (Some(again), minor);
        }
        let mut presented = None;
        if amount.asset.code == "EURe" && dice.one_in(8) {
            let (charged, of) = converted(dice);
            (amount, presented) = (charged, Some(of));
        }
        let count = 2 + u8::from(dice.one_in(2));
        let number = u8::try_from(dice.below(8)).unwrap_or(0) % (count + 1) + u8::from(!dice.one_in(8));
        let part =
            dice.weighted(&[(4, Part::Partial), (4, Part::Final), (4, Part::Sequence { number, count })]);
        let (clearing_id, occurred_at) = (self.id("clr"), self.now());
        let (details, network_fees) = (details(dice), self.network_fees());
        let claim = PresentClearing {
            clearing_id,
            amount,
            presented,
            reference,
            part,
            occurred_at,
            details,
            network_fees,
        };
        (Payments::PresentClearing(claim), false)
    }

    pub fn captured(&self, id: &str) -> Amount {
        let captured = |payment: &Payment| {
            let rest = payment.totals.captured().minus(payment.totals.refunded).unwrap_or_default();
            Amount { minor: rest, asset: payment.asset.clone() }
        };
        self.payment(id).map_or_else(|| euro(0), captured)
    }

    pub fn refund(&mut self, dice: &mut Dice, of: &Amount) -> (Payments, bool) {
        let by_chain = dice.one_in(2);
        let origin = match by_chain {
            true => RefundOrigin::Chain(self.source()),
            false => RefundOrigin::Network(self.id("rfd")),
        };
        let (amount, occurred_at) = (around(dice, of), self.now());
        let (account, details, known_only) = (account(), None, dice.one_in(12));
        let fees = self.network_fees();
        // A transfer on chain that states fees is rejected.
        let network_fees = fees.filter(|_| !by_chain || self.name("fees").ends_with('7'));
        let refund = RecordRefund { account, amount, origin, occurred_at, details, known_only, network_fees };
        (Payments::RecordRefund(refund), by_chain)
    }

    /// Draws the fees that the network states with a record, from dice of their own: the rest of the history stays as it
    /// was.
    fn network_fees(&mut self) -> Option<Box<NetworkFees>> {
        let mut dice = Dice::new(self.number() ^ self.now_ms);
        let fee = |dice: &mut Dice| {
            // The largest fits as well without decimals.
            let minor = if dice.one_in(12) {
                Minor::LARGEST_AMOUNT.get() >> 32
            } else {
                1 + dice.below(1_000_000) as u128
            };
            let amount = serde_json::json!({
                "minor": minor.to_string(), "asset": dice.pick(&["EUR", "USD"]), "decimals": dice.below(9),
            });
            let (kind, direction) =
                (dice.pick(&["interchange", "scheme", "other"]), dice.pick(&["credit", "debit"]));
            let mut fee = serde_json::json!({"kind": kind, "amount": amount, "direction": direction});
            if dice.one_in(2) {
                fee["code"] = dice.pick(&["75", "A1"]).into();
            }
            fee
        };
        let fees: Vec<_> = (0..=dice.below(3)).map(|_| fee(&mut dice)).collect();
        let stated = serde_json::json!({"network": dice.pick(&["visa", "mastercard"]), "fees": fees});
        dice.one_in(2).then(|| serde_json::from_value(stated).expect("fees"))
    }
}

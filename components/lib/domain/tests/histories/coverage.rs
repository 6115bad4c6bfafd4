//! Coverage of the histories. A run in which some event or some rejection never occurs tests less than it claims.

use std::collections::BTreeMap;

use clearfold_domain::{account, authorization, card};
use clearfold_kernel::{Message, Rejection};

use crate::live::Broken;
use crate::world::Answer;

/// Every rejection code of each decider. A code that is not listed here is an error, and so is one that never occurs.
const CODES: [(&str, &[&str]); 3] = [
    (
        "account",
        &[
            "account_mismatch",
            "account_not_opened",
            "amount_not_positive",
            "amount_too_large",
            "amount_too_precise",
            "asset_mismatch",
            "asset_not_held",
            "asset_scale_mismatch",
            "award_exceeds_dispute",
            "clearing_not_booked",
            "clock_backwards",
            "delay_queue_not_empty",
            "dispute_closed",
            "duplicate_mismatch",
            "funding_final",
            "funding_out_of_order",
            "funding_reorged",
            "hold_ambiguous",
            "hold_found",
            "hold_matched",
            "hold_not_found",
            "hold_not_matched",
            "hold_too_small",
            "insufficient_funds",
            "invalid_assets",
            "invalid_residue",
            "not_from_chain",
            "only_part_available",
            "receivable_not_found",
            "refund_matched",
            "recovery_above_receivable",
            "release_above_hold",
            "return_above_refund",
            "reversal_above_claimed",
            "reversed",
            "source_not_found",
            "spend_matched",
            "suspense_not_found",
            "unknown_asset",
        ],
    ),
    (
        "authorization",
        &[
            "account_mismatch",
            "already_decided",
            "amount_not_positive",
            "amount_too_large",
            "amount_too_precise",
            "approval_above_request",
            "asset_mismatch",
            "asset_scale_mismatch",
            "authorization_not_found",
            "award_exceeds_dispute",
            "clearing_linked",
            "clearing_not_linkable",
            "clock_backwards",
            "conversion_impossible",
            "direction_missing",
            "dispute_closed",
            "dispute_exceeds_captured",
            "dispute_not_found",
            "dispute_open",
            "duplicate_mismatch",
            "exposure_open",
            "fees_of_chain",
            "leg_before_undecided",
            "pull_in_lost_block",
            "funding_final",
            "funding_out_of_order",
            "hold_does_not_expire",
            "identity_conflict",
            "increment_not_found",
            "increment_undecided",
            "invalid_dispute_stage",
            "invalid_sequence",
            "not_flaggable",
            "not_from_chain",
            "not_from_saga",
            "no_part",
            "not_open",
            "not_yet_expired",
            "partial_not_allowed",
            "reason_too_long",
            "refund_exceeds_captured",
            "refund_not_found",
            "refund_on_chain",
            "return_not_on_chain",
            "return_not_resolved",
            "return_of_linked_spend",
            "single_message_credit",
            "single_message_increment",
            "spend_linked",
            "spend_not_linkable",
            "suspense_not_found",
            "total_not_above_authorized",
            "unknown_asset",
        ],
    ),
    (
        "card",
        &[
            "account_mismatch",
            "address_mismatch",
            "all_time_limit",
            "amount_not_positive",
            "amount_too_large",
            "amount_too_precise",
            "asset_scale_mismatch",
            "authentication_failed",
            "authentication_required",
            "blocked_by_holder",
            "card_closed",
            "card_expired",
            "card_frozen",
            "card_lost",
            "card_not_issued",
            "card_number_as_id",
            "card_stolen",
            "cash_limit",
            "check_missing",
            "clock_backwards",
            "country_blocked",
            "cryptogram_mismatch",
            "cvv_mismatch",
            "daily_limit",
            "duplicate_mismatch",
            "expiry_mismatch",
            "identity_conflict",
            "invalid_expiry",
            "invalid_rules",
            "merchant_category_blocked",
            "monthly_limit",
            "per_transaction_limit",
            "pin_incorrect",
            "pin_tries_exceeded",
            "pin_unverifiable",
            "release_above_reservation",
            "reservation_not_found",
            "token_not_active",
            "unknown_asset",
            "velocity",
            "weekly_limit",
            "yearly_limit",
        ],
    ),
];

/// Events that must also occur with something in them: the aggregate, the event, and what its payload contains.
const VARIANTS: [(&str, &str, &str); 17] = [
    ("account", "RefundBooked", "withheld"),
    ("account", "RefundResolved", "withheld"),
    ("authorization", "AuthorizationReversed", "advised/"),
    ("account", "ClearingMoved", "\"to\":\"origin\""),
    ("authorization", "ClearingGivenUp", "\"restored\""),
    ("authorization", "ClearingPosted", "\"origin\""),
    ("authorization", "ClearingPosted", "single-message/"),
    ("authorization", "ClearingResolved", "network_fees_back"),
    ("authorization", "ClearingReversed", "network_fees_back"),
    ("authorization", "ClearingReversed", "reversed/"),
    ("authorization", "RecordReversalKept", "\"linked\""),
    ("authorization", "RefundLinked", "exchange_difference"),
    ("authorization", "RefundLinked", "unexplained"),
    ("authorization", "RefundResolved", "network_fees_back"),
    ("authorization", "RefundReversed", "network_fees_back"),
    ("authorization", "ReversalRefused", "ambiguous"),
    ("authorization", "OverCaptured", "\"flagged\":false"),
];

/// Codes and events that no history reaches, each with the reason.
const NEVER: [(&str, &str); 7] = [
    ("card card_number_as_id", "the histories make the ids of cards"),
    ("authorization single_message_credit", "the histories ask for no credits"),
    ("account refund_matched", "the histories read a match off its event"),
    ("authorization reason_too_long", "the length of a reason is a matter of specifications"),
    ("account funding_out_of_order", "a saga moves a Spend's money behind what happened to its log"),
    ("authorization hold_does_not_expire", "only holds of old events have no expiry time"),
    ("authorization ClearingRefused", "only earlier versions refused a claim after a full reversal"),
];

/// Number of occurrences of each event and each rejection.
#[derive(Debug, Default)]
pub struct Coverage {
    pub accepted: u64,
    pub without_effect: u64,
    pub refused: BTreeMap<(&'static str, String), u64>,
    pub events: BTreeMap<(&'static str, String), u64>,
}

impl Coverage {
    pub fn count<E: Message>(
        &mut self,
        aggregate: &'static str,
        decided: &Result<Vec<E>, Rejection>,
    ) -> Result<Answer, Broken> {
        match decided {
            Ok(events) => {
                *if events.is_empty() { &mut self.without_effect } else { &mut self.accepted } += 1;
                for event in events {
                    let event = event.encode().map_err(|error| error.to_string())?;
                    let payload = String::from_utf8_lossy(&event.payload);
                    for (of, kind, part) in VARIANTS {
                        if (of, kind) == (aggregate, event.kind.as_str()) && payload.contains(part) {
                            *self.events.entry((aggregate, format!("{kind} {part}"))).or_default() += 1;
                        }
                    }
                    *self.events.entry((aggregate, event.kind)).or_default() += 1;
                }
                Ok(Ok(events.len()))
            }
            Err(rejection) => {
                if !codes(aggregate).contains(&rejection.code.as_str()) {
                    return Err(format!("`{}` is no documented code of {aggregate}", rejection.code));
                }
                *self.refused.entry((aggregate, rejection.code.clone())).or_default() += 1;
                Ok(Err(rejection.code.clone()))
            }
        }
    }

    pub fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.without_effect += other.without_effect;
        for (key, count) in other.refused {
            *self.refused.entry(key).or_default() += count;
        }
        for (key, count) in other.events {
            *self.events.entry(key).or_default() += count;
        }
    }

    /// Returns what should have occurred and never did.
    pub fn missing(&self) -> Vec<String> {
        let codes =
            CODES.iter().flat_map(|(aggregate, codes)| codes.iter().map(move |code| (*aggregate, *code)));
        let missing_codes =
            codes.filter(|(aggregate, code)| !self.refused.contains_key(&(*aggregate, (*code).to_owned())));
        let events = [
            ("account", account::Event::TYPES),
            ("authorization", authorization::Event::TYPES),
            ("card", card::Event::TYPES),
        ];
        let events = events
            .iter()
            .flat_map(|(aggregate, types)| types.iter().map(move |kind| (*aggregate, kind.name.to_owned())))
            .chain(VARIANTS.map(|(aggregate, kind, part)| (aggregate, format!("{kind} {part}"))));
        let missing_events =
            events.filter(|(aggregate, kind)| !self.events.contains_key(&(*aggregate, kind.clone())));
        let missing =
            missing_codes.map(|(aggregate, code)| (aggregate, code.to_owned())).chain(missing_events);
        let named = missing.map(|(aggregate, what)| format!("{aggregate} {what}"));
        named.filter(|what| !NEVER.iter().any(|(never, _)| never == what)).collect()
    }

    /// Returns the distribution as text for the report.
    pub fn shown(&self) -> String {
        let refused: u64 = self.refused.values().sum();
        let mut text = format!(
            "{} commands accepted, {} without effect, {refused} refused.\n",
            self.accepted, self.without_effect
        );
        for (title, counts) in [("events", &self.events), ("refusals", &self.refused)] {
            for aggregate in ["account", "authorization", "card"] {
                let of = counts.iter().filter(|((of, _), _)| *of == aggregate);
                let list: Vec<String> = of.map(|((_, what), count)| format!("{what} {count}")).collect();
                text += &format!("{title} of {aggregate}: {}\n", list.join(", "));
            }
        }
        for (what, why) in NEVER {
            text += &format!("never {what}: {why}\n");
        }
        text
    }
}

fn codes(aggregate: &str) -> &'static [&'static str] {
    CODES.iter().find(|(of, _)| *of == aggregate).map_or(&[], |(_, codes)| *codes)
}

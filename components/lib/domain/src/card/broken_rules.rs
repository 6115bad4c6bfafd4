//! Rules of a card that a payment breaks: all of them, in the order in which a payment is declined for them.
//!
//! The order: status, merchant category, country, limit per transaction, limit per day, velocity. Rules that look at
//! the payment alone come before those that depend on earlier payments. A reservation is declined for the first
//! broken rule; a payment that cannot be declined is flagged with all of them.

use std::fmt::Display;

use clearfold_kernel::{Amount, Minor, MoneyError, Rejection, Timestamp};

use super::rules::{Allowed, Limit, Span};
use super::spend::Spend;
use super::state::Issued;
use super::status::Status;
use crate::network::Merchant;
use crate::policy::DeclineReason;

/// Broken rule: the decline reason and a detail text.
pub(super) struct Broken {
    pub reason: DeclineReason,
    detail: String,
}

impl Broken {
    /// Returns true if the rule limits how much the card pays, or how often.
    pub(super) fn is_limit(&self) -> bool {
        use DeclineReason::{DailyLimit, PerTransactionLimit, Velocity};
        matches!(self.reason, PerTransactionLimit | DailyLimit | Velocity)
    }
}

impl From<Broken> for Rejection {
    fn from(broken: Broken) -> Self {
        Self::new(broken.reason.code(), broken.detail)
    }
}

type Rule = fn(&Issued, &Spend<'_>, Timestamp) -> Option<Broken>;

const IN_ORDER: [Rule; 6] = [status, category, country, per_transaction, daily, velocity];

pub(super) fn broken_rules<'a>(
    card: &'a Issued,
    spend: &'a Spend<'a>,
    now: Timestamp,
) -> impl Iterator<Item = Broken> + 'a {
    IN_ORDER.into_iter().filter_map(move |rule| rule(card, spend, now))
}

fn broken(reason: DeclineReason, detail: impl Into<String>) -> Option<Broken> {
    Some(Broken { reason, detail: detail.into() })
}

fn status(card: &Issued, _: &Spend<'_>, _: Timestamp) -> Option<Broken> {
    match &card.status {
        Status::Open { frozen_for } if frozen_for.is_empty() => None,
        Status::Open { frozen_for } => {
            let reasons: Vec<String> = frozen_for.iter().map(ToString::to_string).collect();
            broken(DeclineReason::CardFrozen, format!("the card is frozen: {}", reasons.join(", ")))
        }
        Status::Closed => broken(DeclineReason::CardClosed, "the card was closed for good"),
    }
}

fn category(card: &Issued, spend: &Spend<'_>, _: Timestamp) -> Option<Broken> {
    let reason = DeclineReason::MerchantCategoryBlocked;
    blocked(&card.rules.categories, spend, reason, |merchant| &merchant.category)
}

fn country(card: &Issued, spend: &Spend<'_>, _: Timestamp) -> Option<Broken> {
    blocked(&card.rules.countries, spend, DeclineReason::CountryBlocked, |merchant| &merchant.country)
}

/// Checks a rule about the merchant. An unknown merchant breaks none, because nothing is known about it.
fn blocked<T: Ord + Display>(
    allowed: &Allowed<T>,
    spend: &Spend<'_>,
    reason: DeclineReason,
    of: fn(&Merchant) -> &T,
) -> Option<Broken> {
    let one = of(spend.merchant?);
    if allowed.contains(one) { None } else { broken(reason, format!("the card's rules do not allow {one}")) }
}

fn per_transaction(card: &Issued, spend: &Spend<'_>, now: Timestamp) -> Option<Broken> {
    let before = card.usage.of_payment(spend.authorization_id, &spend.amount.asset, now);
    let limit = exceeded(card, Span::Transaction, before, spend.amount)?;
    broken(DeclineReason::PerTransactionLimit, format!("the card pays at most {limit} at once"))
}

fn daily(card: &Issued, spend: &Spend<'_>, now: Timestamp) -> Option<Broken> {
    let before = card.usage.of_day(&spend.amount.asset, now);
    let limit = exceeded(card, Span::Day, before, spend.amount)?;
    broken(DeclineReason::DailyLimit, format!("the card pays at most {limit} a day, in UTC"))
}

/// Returns the limit that the amount exceeds, added to what counted before. A sum that does not fit exceeds every
/// limit.
fn exceeded<'a>(
    card: &'a Issued,
    per: Span,
    before: Result<Minor, MoneyError>,
    amount: &Amount,
) -> Option<&'a Amount> {
    let of_asset = |limit: &&Limit| limit.per == per && limit.amount.asset == amount.asset;
    let limit = &card.rules.limits.iter().find(of_asset)?.amount;
    let fits = before.and_then(|before| before.plus(amount.minor)).is_ok_and(|sum| sum <= limit.minor);
    if fits { None } else { Some(limit) }
}

/// Checks the velocity rules. An increment of a payment that counts already is not another payment.
fn velocity(card: &Issued, spend: &Spend<'_>, now: Timestamp) -> Option<Broken> {
    let exceeded = card.rules.velocity.iter().find(|rule| {
        let before = card.usage.payments_within(rule.window_s, now);
        !before.contains(spend.authorization_id) && before.len() >= rule.max_count as usize
    })?;
    let (most, window_s) = (exceeded.max_count, exceeded.window_s);
    broken(DeclineReason::Velocity, format!("the card makes at most {most} payments in {window_s} s"))
}

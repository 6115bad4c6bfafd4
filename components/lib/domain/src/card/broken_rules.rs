//! Rules of a card that a payment breaks: all of them, in the order in which a payment is declined for them.
//!
//! The order: status, expiry, checks of card and holder, merchant category, country, limits on amounts from the shortest
//! span to the longest, limits on numbers of payments. Rules that look at the payment alone come before those that depend
//! on earlier payments. A reservation is declined for the first broken rule; a payment that cannot be declined is flagged
//! with all of them.

use std::fmt::Display;

use clearfold_kernel::{Amount, Rejection, Timestamp};

use super::holder_checks;
use super::limit::{Limit, Place, Scope, Span};
use super::rules::Allowed;
use super::spend::Spend;
use super::state::Issued;
use super::status::{CloseCause, FreezeReason, Status};
use super::usage::Counted;
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
        let others = [DeclineReason::CashLimit, DeclineReason::Velocity];
        AMOUNTS.iter().any(|(_, reason)| *reason == self.reason) || others.contains(&self.reason)
    }
}

impl From<Broken> for Rejection {
    fn from(broken: Broken) -> Self {
        Self::new(broken.reason.code(), broken.detail)
    }
}

type Rule = fn(&Issued, &Spend<'_>, Timestamp) -> Option<Broken>;

const IN_ORDER: [Rule; 8] = [
    status,
    holder_checks::expired,
    holder_checks::token,
    holder_checks::cryptogram,
    holder_checks::pin,
    holder_checks::named,
    category,
    country,
];

/// Reason for which a payment is declined that exceeds a limit on amounts, by the limit's span.
const AMOUNTS: [(Span, DeclineReason); 6] = [
    (Span::Transaction, DeclineReason::PerTransactionLimit),
    (Span::Day, DeclineReason::DailyLimit),
    (Span::Week, DeclineReason::WeeklyLimit),
    (Span::Month, DeclineReason::MonthlyLimit),
    (Span::Year, DeclineReason::YearlyLimit),
    (Span::AllTime, DeclineReason::AllTimeLimit),
];

pub(super) fn broken_rules<'a>(
    card: &'a Issued,
    spend: &'a Spend<'a>,
    now: Timestamp,
) -> impl Iterator<Item = Broken> + 'a {
    let about_itself = IN_ORDER.into_iter().filter_map(move |rule| rule(card, spend, now));
    let amounts = AMOUNTS.into_iter().filter_map(move |(per, reason)| amount(card, spend, now, per, reason));
    about_itself.chain(amounts).chain(std::iter::once_with(move || velocity(card, spend, now)).flatten())
}

pub(super) fn broken(reason: DeclineReason, detail: impl Into<String>) -> Option<Broken> {
    Some(Broken { reason, detail: detail.into() })
}

fn status(card: &Issued, _: &Spend<'_>, _: Timestamp) -> Option<Broken> {
    match &card.status {
        Status::Open { frozen_for } if frozen_for.is_empty() => None,
        Status::Open { frozen_for } => {
            // The network has a word of its own for what only the holder's own freeze holds up.
            let is_holders = frozen_for.iter().eq([&FreezeReason::Holder]);
            let reason = if is_holders { DeclineReason::BlockedByHolder } else { DeclineReason::CardFrozen };
            let reasons: Vec<String> = frozen_for.iter().map(ToString::to_string).collect();
            broken(reason, format!("the card is frozen: {}", reasons.join(", ")))
        }
        Status::Closed => match card.closed_as {
            None => broken(DeclineReason::CardClosed, "the card was closed for good"),
            Some(CloseCause::Lost) => {
                broken(DeclineReason::CardLost, "the card is lost, and was closed for good")
            }
            Some(CloseCause::Stolen) => {
                broken(DeclineReason::CardStolen, "the card was stolen, and was closed for good")
            }
        },
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

/// Checks the limits on amounts of one span.
fn amount(
    card: &Issued,
    spend: &Spend<'_>,
    now: Timestamp,
    per: Span,
    reason: DeclineReason,
) -> Option<Broken> {
    let asset = &spend.amount.asset;
    let limits = limits(card, spend, now).filter(|(limit, _)| limit.per == per);
    // A sum that does not fit exceeds every limit.
    let fits = |most: &Amount, counted| {
        let sum = card.usage.amount(asset, counted).and_then(|before| before.plus(spend.amount.minor));
        sum.is_ok_and(|sum| sum <= most.minor)
    };
    let of_asset = limits.filter_map(|(limit, counted)| Some((limit.amount.as_ref()?, limit, counted)));
    let mut of_asset = of_asset.filter(|(most, ..)| most.asset == *asset);
    let (most, limit, _) = of_asset.find(|(most, _, counted)| !fits(most, *counted))?;
    // The network has a word of its own for cash.
    let is_cash = limit.scope.as_ref().is_some_and(Scope::is_cash);
    let reason = if is_cash { DeclineReason::CashLimit } else { reason };
    broken(reason, format!("the card pays at most {most} {}", of(limit)))
}

/// Returns the limits that apply to the payment, with what each counts.
fn limits<'a>(
    card: &'a Issued,
    spend: &'a Spend<'_>,
    now: Timestamp,
) -> impl Iterator<Item = (&'a Limit, Counted<'a>)> {
    let (place, payment) = (Place::of(spend.merchant, spend.transaction_type), spend.authorization_id);
    let applying = card.rules.limits.iter().filter(move |limit| limit.applies(place));
    applying.map(move |limit| {
        (limit, Counted { per: limit.per, scope: limit.scope.as_ref(), place, payment, now })
    })
}

/// Returns the words for a limit's span and scope.
fn of(limit: &Limit) -> String {
    let span = match limit.per {
        Span::Transaction => "at once",
        Span::Day => "a day, in UTC",
        Span::Week => "a week, from Monday in UTC",
        Span::Month => "a month, in UTC",
        Span::Year => "a year, in UTC",
        Span::AllTime => "in all",
    };
    let scope = match &limit.scope {
        None => "",
        Some(Scope::Categories(_)) => ", in some categories of merchants",
        Some(Scope::Merchants(_)) => ", to some merchants",
        Some(Scope::EachCategory) => ", in a category of merchants",
        Some(Scope::EachMerchant) => ", to a merchant",
        Some(scope @ Scope::Types(_)) if scope.is_cash() => ", in cash",
        Some(Scope::Types(_)) => ", in some types of transactions",
    };
    format!("{span}{scope}")
}

/// Checks the limits on numbers of payments and the velocity rules. An increment of a payment that counts already is
/// not another payment.
fn velocity(card: &Issued, spend: &Spend<'_>, now: Timestamp) -> Option<Broken> {
    let too_many = limits(card, spend, now).find_map(|(limit, counted)| {
        let most = limit.max_count?;
        let before = card.usage.payments_before(counted)?;
        (before >= u64::from(most)).then(|| format!("the card makes at most {most} payments {}", of(limit)))
    });
    let too_fast = || {
        card.rules.velocity.iter().find_map(|rule| {
            let before = card.usage.payments_within(rule.window_s, now);
            let (most, window_s) = (rule.max_count, rule.window_s);
            let is_broken = !before.contains(spend.authorization_id) && before.len() >= most as usize;
            is_broken.then(|| format!("the card makes at most {most} payments in {window_s} s"))
        })
    };
    broken(DeclineReason::Velocity, too_many.or_else(too_fast)?)
}

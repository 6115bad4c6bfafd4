//! Translation of the network's messages to commands of the domain.
//!
//! Currencies are converted exactly to the assets that accounts hold: an amount that does not fit an asset's decimals
//! is refused, never rounded. Nothing is decided here.

use clearfold_domain::account::{self, FindHold};
use clearfold_domain::authorization::{
    Command, DeclineAuthorization, DeclineIncrement, Extent, IncrementAuthorization, IncrementBasis, Part,
    PresentClearing, RecordAdvice, RecordRefund, RefundOrigin, RequestAuthorization, ReversalCause,
    ReverseAuthorization, ReverseClearing, ReverseRefund,
};
use clearfold_domain::network;
use clearfold_domain::policy::DeclineReason;
use clearfold_domain::policy::assets::{self, KnownAsset};
use clearfold_domain::verification::CardChecks;
use clearfold_kernel::{Amount, Asset, ExternalId, Minor};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::answer::AWAITED;
use crate::details;
use crate::identity;
use crate::message::{Cause, Checks, Kind, Message, Money};

/// Currencies with the asset that stands for each.
const CURRENCIES: [(&str, &str); 3] = [("EUR", "EURe"), ("GBP", "GBPe"), ("USD", "USDC.e")];

/// Request body of the host's API.
#[derive(Serialize)]
struct Body<'a> {
    aggregate: &'static str,
    id: &'a str,
    account: String,
    #[serde(rename = "type")]
    kind: String,
    schema_version: u32,
    payload: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_for: Option<WaitFor>,
}

/// Wait for a decision, in the host's terms.
#[derive(Serialize)]
struct WaitFor {
    events: [&'static str; AWAITED.len()],
    timeout_ms: u64,
}

/// Command of a message, before it is sent.
pub struct Translated<'a> {
    message: &'a Message,
    /// Ids of the payments that it may be about, each with the command for it. All but the last are refused there if it is
    /// not about them.
    commands: Vec<(String, Command)>,
}

impl Translated<'_> {
    /// Returns the bodies that send it, one after the other until one is not refused as unknown.
    pub fn bodies(&self) -> Result<Vec<String>, String> {
        self.commands.iter().map(|(id, command)| body(id, self.message, command, None)).collect()
    }

    /// Returns the body that asks the account for the hold that a reversal is of; None if it names its payment.
    pub fn question(&self) -> Result<Option<String>, String> {
        let Some((_, Command::ReverseAuthorization(reversal))) = self.commands.last() else {
            return Ok(None);
        };
        let Some(asked_by) = identity::asked_by(self.message, Kind::Reversal) else { return Ok(None) };
        let amount = match reversal.extent {
            Extent::Part(minor) => Some(minor),
            Extent::Full => None,
        };
        let find = FindHold { asked_by, message_id: reversal.message_id.clone(), amount };
        let account = self.message.account.to_string();
        body_to(account::AGGREGATE, &account, self.message, &account::Command::FindHold(find), None).map(Some)
    }

    /// Returns the bodies that send a reversal to the payments whose holds the account named, each in its turn. The only one
    /// is the payment that it is of; several keep it.
    pub fn reversals_of(&self, holds: &[ExternalId]) -> Result<Vec<String>, String> {
        let Some((_, Command::ReverseAuthorization(reversal))) = self.commands.last() else {
            return Err("only a reversal is of a hold".to_owned());
        };
        let candidates = if holds.len() > 1 { holds.to_vec() } else { Vec::new() };
        let command = Command::ReverseAuthorization(ReverseAuthorization { candidates, ..reversal.clone() });
        holds.iter().map(|id| body(id.as_str(), self.message, &command, None)).collect()
    }

    /// Returns the body that sends it and waits for the decision, that long at most.
    pub fn body_that_waits(&self, timeout_ms: u64) -> Result<String, String> {
        let (id, command) = self.commands.last().ok_or("the message is about no payment")?;
        body(id, self.message, command, Some(WaitFor { events: AWAITED, timeout_ms }))
    }
}

/// Returns the command that a message becomes, or what is wrong with the message.
pub fn command(kind: Kind, message: &Message) -> Result<Translated<'_>, String> {
    let needs = |field: &str| format!("{field} is missing; a message of this kind has one");
    let amount = || message.amount.as_ref().ok_or_else(|| needs("amount")).and_then(asset_amount);
    let card_id = || message.card.clone().ok_or_else(|| needs("card"));
    let merchant = || message.merchant.clone().ok_or_else(|| needs("merchant"));
    let record = || message.record.clone().ok_or_else(|| needs("record"));
    if message.basis != IncrementBasis::Addition && !matches!(kind, Kind::Increment) {
        return Err("basis is a field of increments; send it to the route of the increments".to_owned());
    }
    if message.is_credit() && matches!(kind, Kind::Clearing | Kind::ClearingReversal) {
        return Err("a credit is no claim; send it to the route of the refunds".to_owned());
    }
    let is_other = message.transaction_type().is_some() && !message.is_credit();
    if is_other && matches!(kind, Kind::Refund | Kind::RefundReversal) {
        return Err("a purchase is no refund; send it to the route of the clearings".to_owned());
    }
    let single_message = message.is_single(kind)?;
    let asks_for_credit = message.asks_for_credit(kind);
    let message_id = message.message_id.clone();
    let details = details::of(kind, message)?;
    let (account, network, occurred_at) = (message.account, message.network, message.transmitted_at);
    let request = |amount: Amount, presented, details| {
        Ok::<_, String>(Command::RequestAuthorization(RequestAuthorization {
            message_id: message_id.clone(),
            account,
            card_id: card_id()?,
            amount,
            presented,
            merchant: merchant()?,
            network,
            partial_allowed: message.partial_allowed,
            occurred_at,
            checks: checks(message),
            details,
            single_message,
        }))
    };
    let command = match kind {
        // Like the verification of a card: nothing is held, and only the credit itself pays. What a stand-in answered to
        // such a question is recorded as the question.
        Kind::Authorization | Kind::Advice if asks_for_credit => {
            request(Amount { minor: Minor::ZERO, ..amount()? }, None, details)?
        }
        Kind::Authorization => request(amount()?, presented(message), details)?,
        Kind::Increment => Command::IncrementAuthorization(IncrementAuthorization {
            message_id,
            amount: amount()?,
            basis: message.basis,
            occurred_at,
            details,
        }),
        Kind::Advice => Command::RecordAdvice(RecordAdvice {
            message_id,
            account,
            card_id: card_id()?,
            amount: amount()?,
            merchant: merchant()?,
            network,
            occurred_at,
            details,
            single_message,
        }),
        Kind::Reversal => Command::ReverseAuthorization(ReverseAuthorization {
            message_id,
            // Without an amount, all that is left is reversed.
            extent: match &message.amount {
                Some(money) if !asks_for_credit => Extent::Part(asset_amount(money)?.minor),
                _ => Extent::Full,
            },
            cause: match message.cause.ok_or_else(|| needs("cause"))? {
                Cause::Merchant => ReversalCause::Merchant,
                Cause::Timeout => ReversalCause::Timeout,
            },
            occurred_at,
            details,
            candidates: Vec::new(),
        }),
        Kind::Clearing => Command::PresentClearing(PresentClearing {
            clearing_id: message_id,
            amount: amount()?,
            presented: presented(message),
            reference: message.reference.clone(),
            part: match message.sequence {
                Some(sequence) => Part::Sequence { number: sequence.number, count: sequence.count },
                None => Part::Final,
            },
            occurred_at,
            details,
            network_fees: details::network_fees(message)?,
        }),
        Kind::Refund => Command::RecordRefund(RecordRefund {
            account,
            amount: amount()?,
            origin: RefundOrigin::Network(refund_id(message, &message_id)?),
            occurred_at,
            details,
            known_only: false,
            network_fees: details::network_fees(message)?,
        }),
        Kind::ClearingReversal => Command::ReverseClearing(ReverseClearing {
            reversal_id: message_id,
            clearing_id: record()?,
            network,
            // Without an amount, all that is left of the record is taken back.
            amount: message.amount.as_ref().map(asset_amount).transpose()?,
            occurred_at,
            details,
        }),
        Kind::RefundReversal => Command::ReverseRefund(ReverseRefund {
            // Reversals of clearings and of refunds are known by one kind of id, and networks may give both the same.
            reversal_id: refund_id(message, &message_id)?,
            refund_id: refund_id(message, &record()?)?,
            network,
            amount: message.amount.as_ref().map(asset_amount).transpose()?,
            occurred_at,
            details,
            known_only: false,
        }),
    };
    Ok(Translated { message, commands: with_places(kind, message, command)? })
}

/// Returns a command with the payments that it may be about. A refund of a payment that is not known stands alone, under an
/// id of its own: under the payment's, the claims that come later would find it taken.
fn with_places(kind: Kind, message: &Message, command: Command) -> Result<Vec<(String, Command)>, String> {
    let payment_id = identity::payment_id(message, kind);
    Ok(match command {
        Command::RecordRefund(refund) => {
            let known = Command::RecordRefund(RecordRefund { known_only: true, ..refund.clone() });
            let alone = identity::refund_alone(message, &message.message_id)?;
            places(alone, payment_id, known, Command::RecordRefund(refund))
        }
        Command::ReverseRefund(reversal) => {
            let known = Command::ReverseRefund(ReverseRefund { known_only: true, ..reversal.clone() });
            let record = message.record.as_ref().ok_or("record is missing")?;
            let alone = identity::refund_alone(message, record)?;
            places(alone, payment_id, known, Command::ReverseRefund(reversal))
        }
        command => vec![(payment_id, command)],
    })
}

/// Returns the places of a refund: alone, if it stands there; at the payment, if that is known; otherwise alone.
fn places(alone: String, payment_id: String, known: Command, command: Command) -> Vec<(String, Command)> {
    vec![(alone.clone(), known.clone()), (payment_id, known), (alone, command)]
}

/// Returns the command that closes a request that was not decided in time. The first decision counts, so it changes
/// nothing if there already is one.
pub fn too_late(kind: Kind, message: &Message) -> Result<String, String> {
    let command = Command::DeclineAuthorization(DeclineAuthorization { reason: DeclineReason::Timeout });
    body(&identity::payment_id(message, kind), message, &command, None)
}

/// Returns the command that closes an increment that was not decided in time.
pub fn increment_too_late(kind: Kind, message: &Message) -> Result<String, String> {
    let (message_id, reason) = (message.message_id.clone(), DeclineReason::Timeout);
    let decline = Command::DeclineIncrement(DeclineIncrement { message_id, reason });
    body(&identity::payment_id(message, kind), message, &decline, None)
}

/// Returns our id of the refund with this record. The account knows it without its payment, so it has the scope of the
/// message's: two acquirers may use the same id for two refunds.
fn refund_id(message: &Message, record: &ExternalId) -> Result<ExternalId, String> {
    let refund_id = format!("{}/{record}", identity::payment_id(message, Kind::Refund));
    refund_id.try_into().map_err(|_| {
        let longest = ExternalId::MAX_LENGTH;
        format!("network, transaction_id and message_id have more than {longest} characters together")
    })
}

fn body(id: &str, message: &Message, command: &Command, wait_for: Option<WaitFor>) -> Result<String, String> {
    body_to(clearfold_domain::authorization::AGGREGATE, id, message, command, wait_for)
}

fn body_to(
    aggregate: &'static str,
    id: &str,
    message: &Message,
    command: &impl clearfold_kernel::Message,
    wait_for: Option<WaitFor>,
) -> Result<String, String> {
    let encoded = command.encode().map_err(|error| error.to_string())?;
    let payload = String::from_utf8(encoded.payload).map_err(|error| error.to_string())?;
    let body = Body {
        aggregate,
        id,
        account: message.account.to_string(),
        kind: encoded.kind,
        schema_version: encoded.schema_version,
        payload: RawValue::from_string(payload).map_err(|error| error.to_string())?,
        wait_for,
    };
    serde_json::to_string(&body).map_err(|error| error.to_string())
}

/// Returns what the message states of card and holder; None if it states nothing.
fn checks(message: &Message) -> Option<CardChecks> {
    let entry = CardChecks { entry: message.pos_entry, ..CardChecks::default() };
    let Some(Checks { pin, cvv, cryptogram, expiry_date, address, three_ds, token }) = message.checks.clone()
    else {
        return message.pos_entry.map(|_| entry);
    };
    Some(CardChecks { pin, cvv, cryptogram, expiry_date, address, three_ds, token, ..entry })
}

fn presented(message: &Message) -> Option<network::Presented> {
    let presented = message.presented.as_ref()?;
    let asset = Asset { code: presented.currency.clone(), decimals: presented.exponent };
    Some(network::Presented { amount: Amount { minor: presented.minor, asset }, rate: presented.rate })
}

/// Converts an amount in the customer's currency to the asset that the account holds.
fn asset_amount(money: &Money) -> Result<Amount, String> {
    let (asset, factor) = asset_units(money)?;
    let minor = money.minor.get().checked_mul(factor);
    let minor = minor.ok_or_else(|| format!("the amount {} is too large", money.minor))?;
    Ok(Amount { minor: Minor::new(minor), asset: asset.into() })
}

/// Returns the asset that stands for the amount's currency, and how many of its units are one of the amount's.
fn asset_units(money: &Money) -> Result<(KnownAsset, u128), String> {
    let known = CURRENCIES.iter().find(|(currency, _)| *currency == money.currency);
    let asset = known.and_then(|(_, code)| assets::find(code)).ok_or_else(|| {
        let all = CURRENCIES.map(|(currency, _)| currency).join(", ");
        format!("no account is charged in {:?}; amount is in {all}", money.currency)
    })?;
    let scale = asset.decimals.checked_sub(money.exponent);
    let factor = scale.and_then(|scale| 10_u128.checked_pow(u32::from(scale)));
    let factor = factor
        .ok_or_else(|| format!("the exponent {} is more than {} has decimals", money.exponent, asset.code))?;
    Ok((asset, factor))
}

/// Converts the asset's minor units to money as the network writes it, rounded down. A fraction of the smallest unit
/// is not shown, and never held. Fails if the network's currency or exponent is none of the assets'.
pub fn network_money(minor: Minor, money: &Money) -> Result<Money, String> {
    // A power of ten is not zero.
    let (_, factor) = asset_units(money)?;
    let minor = Minor::new(minor.get() / factor);
    Ok(Money { minor, currency: money.currency.clone(), exponent: money.exponent })
}

#[cfg(test)]
mod tests;

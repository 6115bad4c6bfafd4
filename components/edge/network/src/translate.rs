//! Translation of the network's messages to commands of the domain.
//!
//! Currencies are converted exactly to the assets that accounts hold: an amount that does not fit an asset's decimals
//! is refused, never rounded. Nothing is decided here.

use clearfold_domain::authorization::{
    Command, DeclineAuthorization, DeclineIncrement, Extent, IncrementAuthorization, IncrementBasis, Part,
    PresentClearing, RecordAdvice, RecordRefund, RefundOrigin, RequestAuthorization, ReversalCause,
    ReverseAuthorization, ReverseClearing, ReverseRefund,
};
use clearfold_domain::network;
use clearfold_domain::policy::DeclineReason;
use clearfold_domain::policy::assets::{self, KnownAsset};
use clearfold_domain::verification::CardChecks;
use clearfold_kernel::{Amount, Asset, ExternalId, Message as _, Minor};
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
        }),
        Kind::Refund => Command::RecordRefund(RecordRefund {
            account,
            amount: amount()?,
            origin: RefundOrigin::Network(refund_id(message, &message_id)?),
            occurred_at,
            details,
            known_only: false,
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
            let alone = identity::refund_alone(message, &message.message_id);
            places(alone, payment_id, known, Command::RecordRefund(refund))
        }
        Command::ReverseRefund(reversal) => {
            let known = Command::ReverseRefund(ReverseRefund { known_only: true, ..reversal.clone() });
            let alone = message.record.as_ref().map(|record| identity::refund_alone(message, record));
            places(alone.ok_or("record is missing")?, payment_id, known, Command::ReverseRefund(reversal))
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
    let encoded = command.encode().map_err(|error| error.to_string())?;
    let payload = String::from_utf8(encoded.payload).map_err(|error| error.to_string())?;
    let body = Body {
        aggregate: clearfold_domain::authorization::AGGREGATE,
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
mod tests {
    use super::*;

    fn money(minor: u128, currency: &str, exponent: u8) -> Money {
        Money { minor: Minor::new(minor), currency: currency.to_owned(), exponent }
    }

    #[test]
    fn a_currency_is_an_asset_exactly() {
        for (given, asset, minor) in [
            (money(1_250, "EUR", 2), "EURe", 12_500_000_000_000_000_000),
            (money(1, "GBP", 2), "GBPe", 10_000_000_000_000_000),
            (money(1_250, "USD", 2), "USDC.e", 12_500_000),
            (money(12, "USD", 0), "USDC.e", 12_000_000),
            (money(0, "EUR", 2), "EURe", 0),
        ] {
            let amount = asset_amount(&given).unwrap();
            assert_eq!((amount.asset.code.as_str(), amount.minor), (asset, Minor::new(minor)));
            assert_eq!(network_money(amount.minor, &given), Ok(given));
        }
    }

    #[test]
    fn what_does_not_fit_an_asset_is_refused() {
        for (given, said) in [
            (money(1, "XAU", 2), "no account is charged in \"XAU\""),
            (money(1, "USD", 7), "the exponent 7 is more than USDC.e has decimals"),
            (money(u128::MAX, "EUR", 2), "is too large"),
        ] {
            let refused = asset_amount(&given).unwrap_err();
            assert!(refused.contains(said), "{refused}");
            assert!(said == "is too large" || network_money(Minor::new(1), &given).is_err(), "{said}");
        }
    }

    #[test]
    fn a_total_is_only_for_increments() {
        let message: Message = serde_json::from_value(serde_json::json!({
            "message_id": "m-1", "transaction_id": "t-1", "network": "visa", "card": "card-1", "basis": "total",
            "account": "0x1111111111111111111111111111111111111111", "transmitted_at": "2026-11-22T10:00:00.000Z",
            "amount": {"minor": "1250", "currency": "EUR", "exponent": 2},
        }))
        .unwrap();
        assert!(command(Kind::Increment, &message).is_ok());
        for kind in [Kind::Authorization, Kind::Advice, Kind::Reversal, Kind::Clearing] {
            let refused = command(kind, &message).err().unwrap_or_default();
            assert!(refused.contains("the route of the increments"), "{refused:?}");
        }
    }

    /// Reads a message of all kinds with some fields, and returns the body that sends it.
    fn sent(kind: Kind, fields: &serde_json::Value) -> Result<serde_json::Value, String> {
        let mut message = serde_json::json!({
            "message_id": "m-1", "transaction_id": "t-1", "network": "visa", "card": "card-1",
            "account": "0x1111111111111111111111111111111111111111", "transmitted_at": "2026-11-22T10:00:00.000Z",
            "amount": {"minor": "1250", "currency": "EUR", "exponent": 2}, "cause": "merchant",
            "merchant": {"id": "m-1", "name": "Shop", "category": "5812", "country": "AT"},
        });
        message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let message = Message::read(kind, message.to_string().as_bytes())?;
        Ok(serde_json::from_str(&command(kind, &message)?.bodies()?[0]).unwrap())
    }

    #[test]
    fn a_refund_is_credited_on_its_payment_under_an_id_of_its_own() {
        let sent =
            sent(Kind::Refund, &serde_json::json!({"reference": "arn-1", "processing_code": "200000"}))
                .unwrap();
        let (payload, details) = (&sent["payload"], &sent["payload"]["details"]);
        assert_eq!((&sent["id"], &sent["type"]), (&"visa-t-1:m-1".into(), &"RecordRefund".into()));
        assert_eq!(payload["origin"]["network"], "visa-t-1/m-1");
        assert_eq!(payload["amount"]["minor"], "12500000000000000000");
        assert_eq!(
            [&details["transaction_type"], &details["reference"], &details["card_id"]],
            ["refund", "arn-1", "card-1"]
        );
        assert_eq!(details["merchant"]["category"], "5812");
    }

    #[test]
    fn a_refund_is_sent_alone_only_if_its_payment_is_not_known() {
        let text = serde_json::json!({
            "message_id": "m-1", "transaction_id": "t-1", "network": "visa", "record": "r-1",
            "account": "0x1111111111111111111111111111111111111111", "transmitted_at": "2026-11-22T10:00:00.000Z",
            "amount": {"minor": "1250", "currency": "EUR", "exponent": 2},
        });
        for (kind, alone) in [(Kind::Refund, "visa-t-1:m-1"), (Kind::RefundReversal, "visa-t-1:r-1")] {
            let message = Message::read(kind, text.to_string().as_bytes()).unwrap();
            let sent = command(kind, &message).unwrap().bodies().unwrap();
            let sent = sent.iter().map(|body| serde_json::from_str::<serde_json::Value>(body).unwrap());
            let places: Vec<_> =
                sent.map(|body| (body["id"].clone(), body["payload"]["known_only"] == true)).collect();
            assert_eq!(places, [(alone.into(), true), ("visa-t-1".into(), true), (alone.into(), false)]);
        }
    }

    #[test]
    fn a_purchase_is_no_refund() {
        for kind in [Kind::Refund, Kind::RefundReversal] {
            for typed in [
                serde_json::json!({"record": "m-1", "processing_code": "000000"}),
                serde_json::json!({"record": "m-1", "transaction_type": "cash", "processing_code": "200000"}),
            ] {
                let refused = sent(kind, &typed).unwrap_err();
                assert!(refused.contains("the route of the clearings"), "{refused}");
            }
            for typed in [
                serde_json::json!({"record": "m-1", "processing_code": "260000"}),
                serde_json::json!({"record": "m-1", "processing_code": "990000"}),
                serde_json::json!({"record": "m-1"}),
            ] {
                assert!(sent(kind, &typed).is_ok(), "{typed}");
            }
        }
    }

    #[test]
    fn a_record_that_is_taken_back_is_named_as_it_was_sent() {
        let clearing = serde_json::json!({"record": "c-1", "message_id": "m-9", "stan": "004711"});
        let reversed = sent(Kind::ClearingReversal, &clearing).unwrap();
        let payload = &reversed["payload"];
        assert_eq!((&reversed["id"], &reversed["type"]), (&"visa-t-1".into(), &"ReverseClearing".into()));
        assert_eq!(
            [&payload["reversal_id"], &payload["clearing_id"], &payload["details"]["stan"]],
            ["m-9", "c-1", "004711"]
        );
        let refund = serde_json::json!({"record": "m-1", "message_id": "m-9", "processing_code": "200000"});
        let reversed = sent(Kind::RefundReversal, &refund).unwrap();
        assert_eq!(
            (&reversed["id"], &reversed["payload"]["refund_id"], &reversed["payload"]["reversal_id"]),
            (&"visa-t-1:m-1".into(), &"visa-t-1/m-1".into(), &"visa-t-1/m-9".into())
        );
        assert!(sent(Kind::RefundReversal, &serde_json::json!({})).unwrap_err().contains("record"));
        assert!(sent(Kind::ClearingReversal, &refund).unwrap_err().contains("refunds"));
    }

    #[test]
    fn a_question_for_a_credit_holds_nothing_and_has_an_id_of_its_own() {
        let credit = serde_json::json!({"processing_code": "200000", "partial_allowed": true});
        for kind in [Kind::Authorization, Kind::Advice] {
            let sent = sent(kind, &credit).unwrap();
            assert_eq!(
                (&sent["id"], &sent["type"]),
                (&"refund-visa-t-1".into(), &"RequestAuthorization".into())
            );
            assert_eq!(sent["payload"]["amount"]["minor"], "0");
            let asked = &sent["payload"]["details"]["amounts"][0];
            assert_eq!((&asked["amount"]["minor"], &asked["is_credit"]), (&"1250".into(), &true.into()));
        }
        let reversed = sent(Kind::Reversal, &credit).unwrap();
        assert_eq!(
            (&reversed["id"], &reversed["payload"]["extent"]),
            (&"refund-visa-t-1".into(), &"full".into())
        );
        let refused = sent(Kind::Clearing, &credit).unwrap_err();
        assert!(refused.contains("the route of the refunds"), "{refused}");
        let purchase = sent(Kind::Authorization, &serde_json::json!({"processing_code": "000000"})).unwrap();
        assert_eq!(
            (&purchase["id"], &purchase["payload"]["amount"]["minor"]),
            (&"visa-t-1".into(), &"12500000000000000000".into())
        );
    }

    #[test]
    fn what_a_message_states_besides_goes_with_its_command() {
        let stated = serde_json::json!({
            "acquirer": "40000001", "stan": "004711", "future": {"x": 1},
            "fees": [{"kind": "surcharge", "minor": "50", "currency": "EUR", "exponent": 2}],
            "additional_amounts": [{"kind": "40", "minor": "500", "currency": "EUR", "exponent": 2}],
            "original": {"message_type": "0100", "stan": "004710"},
        });
        for kind in
            [Kind::Authorization, Kind::Increment, Kind::Advice, Kind::Reversal, Kind::Clearing, Kind::Refund]
        {
            let details = &sent(kind, &stated).unwrap()["payload"]["details"];
            assert_eq!(
                [&details["acquirer"], &details["additional"]["future.x"]],
                ["40000001", "1"],
                "{kind:?}"
            );
            assert_eq!(details["fees"][0]["amount"]["minor"], "50");
            assert_eq!(details["amounts"][0]["kind"], "40");
            assert_eq!(details["original"]["stan"], "004710");
            let is_required = matches!(kind, Kind::Authorization | Kind::Advice);
            assert_eq!(details["card_id"].is_null(), is_required, "{kind:?}");
        }
        assert!(sent(Kind::Authorization, &serde_json::json!({})).unwrap()["payload"]["details"].is_null());
    }

    #[test]
    fn what_is_stated_of_card_and_holder_is_passed_on() {
        let read = |fields: serde_json::Value| {
            let mut message = serde_json::json!({
                "message_id": "m-1", "transaction_id": "t-1", "network": "visa", "card": "card-1",
                "account": "0x1111111111111111111111111111111111111111",
                "transmitted_at": "2026-11-22T10:00:00.000Z",
            });
            message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            serde_json::from_value::<Message>(message).map(|message| serde_json::json!(checks(&message)))
        };
        assert!(read(serde_json::json!({})).unwrap().is_null());
        let stated =
            read(serde_json::json!({"pos_entry": "chip", "checks": {"pin": "not_matched", "cvv": null}}));
        assert_eq!(stated.unwrap(), serde_json::json!({"entry": "chip", "pin": "not_matched"}));
        assert!(read(serde_json::json!({"checks": {"pin": "1234"}})).is_err());
    }

    #[test]
    fn less_than_the_networks_smallest_unit_is_not_shown() {
        let cents = money(0, "EUR", 2);
        for (minor, shown) in
            [(0, 0), (9_999_999_999_999_999, 0), (10_000_000_000_000_000, 1), (19_999_999_999_999_999, 1)]
        {
            assert_eq!(network_money(Minor::new(minor), &cents).unwrap().minor, Minor::new(shown));
        }
    }
}

//! Example of every message, as JSON.

use clearfold_kernel::schema::Example;
use serde_json::{Value, json};

use super::messages::{
    CardClosed, CardFrozen, CardIssued, CardRenewed, CardRulesSet, CardUnfrozen, CloseCard, FreezeCard,
    IssueCard, PinFailed, PinTriesReset, RecordPinFailure, RecordSpend, ReleasePayment, ReleaseSpend,
    RenewCard, ReservationVoided, ReserveSpend, ResetPinTries, SetRules, SpendRecorded, SpendReleased,
    SpendReserved, UnfreezeCard,
};

const ACCOUNT: &str = "0x7b5e3f2a9c4d1e8f60a7b3c2d5e4f1a09b8c7d6e";
const AT: &str = "2026-11-22T10:15:30.000Z";
const LATER: &str = "2026-11-23T02:00:00.000Z";

fn euro(minor: &str) -> Value {
    json!({"minor": minor, "asset": "EURe", "decimals": 18})
}

/// Rules: at most 250 EURe per transaction, 1000 EURe a day, 300 EURe a month in bars and twenty payments a week; ten
/// payments an hour; no gambling; three countries only.
fn rules() -> Value {
    json!({
        "limits": [
            {"per": "transaction", "amount": euro("250000000000000000000")},
            {"per": "day", "amount": euro("1000000000000000000000")},
            {"per": "month", "amount": euro("300000000000000000000"), "scope": {"categories": ["5813"]}},
            {"per": "week", "max_count": 20},
        ],
        "velocity": [{"max_count": 10, "window_s": 3600}],
        "categories": {"all_but": ["7995"]},
        "countries": {"only": ["AT", "DE", "IT"]},
        "checks": {"decline_if_wrong": ["cvv", "expiry_date", "three_ds"], "require": []},
    })
}

fn merchant() -> Value {
    json!({"id": "mer-4711", "name": "Trattoria Da Enzo", "category": "5812", "country": "IT"})
}

fn reservation() -> Value {
    json!({
        "reservation_id": "aut-1/msg-1",
        "authorization_id": "aut-1",
        "amount": euro("8500000000000000000"),
        "merchant": merchant(),
    })
}

/// A reservation with the checks that the network stated.
fn checked() -> Value {
    let mut checked = reservation();
    checked["checks"] = json!({"cvv": "matched", "three_ds": "authenticated", "entry": "ecommerce"});
    checked
}

/// A payment that was seen on chain, so the merchant is unknown.
fn recorded() -> Value {
    json!({
        "reservation_id": "aut-2/clr-1",
        "authorization_id": "aut-2",
        "amount": euro("300000000000000000000"),
    })
}

/// Adds the fields that every event carries: account and time.
fn event(at: &str, about: Value) -> Value {
    let mut event = json!({"account": ACCOUNT, "at": at});
    if let (Value::Object(event), Value::Object(about)) = (&mut event, about) {
        event.extend(about);
    }
    event
}

macro_rules! examples {
    ($($message:ident: $example:expr,)+) => {
        $(impl Example for $message {
            fn example() -> Value {
                $example
            }
        })+
    };
}

examples! {
    IssueCard: json!({"account": ACCOUNT, "rules": rules(), "expires": "2029-11"}),
    FreezeCard: json!({"reason": "holder"}),
    UnfreezeCard: json!({"reason": "holder"}),
    CloseCard: json!({"cause": "stolen"}),
    RenewCard: json!({"expires": "2032-11"}),
    RecordPinFailure: json!({"authorization_id": "aut-2"}),
    ResetPinTries: json!({}),
    SetRules: json!({"rules": rules()}),
    ReserveSpend: checked(),
    ReleaseSpend: json!({
        "reservation_id": "aut-1/msg-1",
        "release_id": "msg-2",
        "amount": {"part": "2500000000000000000"},
    }),
    ReleasePayment: json!({
        "authorization_id": "aut-1",
        "reservations": ["aut-1/msg-3", "aut-1/msg-1"],
        "release_id": "captured/clr-1",
        "amount": {"part": "2500000000000000000"},
    }),
    RecordSpend: recorded(),
    CardIssued: event(AT, json!({"rules": rules(), "expires": "2029-11"})),
    CardFrozen: event(AT, json!({"reason": "holder"})),
    CardUnfrozen: event(AT, json!({"reason": "holder", "still_frozen_for": ["exposure"]})),
    CardClosed: event(AT, json!({"cause": "stolen"})),
    CardRenewed: event(LATER, json!({"expires": "2032-11"})),
    PinFailed: event(AT, json!({"authorization_id": "aut-2", "failures": 1})),
    PinTriesReset: event(LATER, json!({})),
    CardRulesSet: event(AT, json!({"rules": rules()})),
    SpendReserved: event(AT, checked()),
    SpendReleased: event(LATER, json!({
        "reservation_id": "aut-1/msg-1",
        "release_id": "msg-2",
        "authorization_id": "aut-1",
        "amount": euro("2500000000000000000"),
        "remaining": "6000000000000000000",
        "merchant_id": "mer-4711",
        "reserved_at": AT,
    })),
    ReservationVoided: event(AT, json!({"reservation_id": "aut-1/msg-1", "release_id": "msg-2"})),
    SpendRecorded: {
        let mut recorded = recorded();
        recorded["flags"] = json!(["per_transaction_limit"]);
        event(AT, recorded)
    },
}

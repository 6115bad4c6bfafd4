//! Examples of the messages about clearings that named no known payment.

use super::*;

/// Facts of the clearing that the payment which takes it is told.
fn claim() -> Value {
    json!({
        "clearing_id": "clr-1",
        "link": 1,
        "amount": euro(SWIPED),
        "residue": {"over": "0", "under": "0"},
        "part": "final",
        "reference": "74537606327000000000012",
        "matched": {"by": ["card", "merchant", "amount"], "confidence": "low"},
        "occurred_at": PRESENTED_AT,
    })
}

examples! {
    LinkClearing: json!({"payment_id": "auth-1", "reason": "the receipt has the payment's number"}),
    ClearingLinked: of_payment(with(
        claim(),
        json!({"payment_id": "auth-1", "actor": "saga", "at": PRESENTED_AT}),
    )),
    UnlinkClearing: json!({"payment_id": "auth-1", "link": 1}),
    ClearingUnlinked: of_payment(json!({
        "payment_id": "auth-1",
        "link": 1,
        "clearing_id": "clr-1",
        "amount": euro(SWIPED),
        "at": PRESENTED_AT,
    })),
    TakeClearing: with(claim(), json!({"posted_on": "odd-1"})),
    GiveUpClearing: json!({"posted_on": "odd-1", "reason": "it is another purchase"}),
    ClearingGivenUp: of_payment(json!({
        "posted_on": "odd-1",
        "clearing_id": "linked/odd-1",
        "link": 1,
        "amount": euro(SWIPED),
        "against_hold": SWIPED,
        "held": SWIPED,
        "restored": "authorized",
        "actor": "api",
        "reason": "it is another purchase",
        "at": PRESENTED_AT,
    })),
    NameCandidates: json!({"candidates": ["auth-1", "auth-2"]}),
    CandidatesNamed: of_payment(json!({"candidates": ["auth-1", "auth-2"], "at": PRESENTED_AT})),
}

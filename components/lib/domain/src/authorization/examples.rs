//! Example of every message, in every version, as JSON.

use clearfold_kernel::schema::Example;
use serde_json::{Value, json};

use super::messages::*;
use super::superseded::{
    ClearingPostedV1, ClearingPostedV2, PresentClearingV1, RecordRefundV1, RefundUnlinkedV1,
};

const ACCOUNT: &str = "0x7b5e3f2a9c4d1e8f60a7b3c2d5e4f1a09b8c7d6e";
const TRANSACTION: &str = "0x9a8b7c6d5e4f30213243546576879809a1b2c3d4e5f60718293a4b5c6d7e8f90";
const REQUESTED_AT: &str = "2026-11-22T10:15:30.000Z";
const DECIDED_AT: &str = "2026-11-22T10:15:30.120Z";
const EXPIRES_AT: &str = "2026-11-29T10:15:30.120Z";
const PRESENTED_AT: &str = "2026-11-23T02:00:00.000Z";

/// Amounts: 8.50, 0.50 and 2.17 EURe.
const SWIPED: &str = "8500000000000000000";
const EXCESS: &str = "500000000000000000";
const REFUNDED: &str = "2170000000000000000";

fn euro(minor: &str) -> Value {
    json!({"minor": minor, "asset": "EURe", "decimals": 18})
}

fn source(log_index: u64) -> Value {
    json!({
        "chain_id": 100,
        "block_hash": "0x1fd2c6b0a7e94835d2c1b0a9f8e7d6c5b4a3928170f6e5d4c3b2a190f8e7d6c5",
        "block_number": 46587245,
        "transaction_hash": TRANSACTION,
        "log_index": log_index,
    })
}

fn merchant() -> Value {
    json!({"id": "526567002107", "name": "Caffe Sicilia", "category": "5812", "country": "IT"})
}

/// Merges the fields of two JSON objects.
fn with(mut members: Value, more: Value) -> Value {
    if let (Value::Object(members), Value::Object(more)) = (&mut members, more) {
        members.extend(more);
    }
    members
}

/// Adds the parties of a payment that the network requested.
fn of_payment(more: Value) -> Value {
    with(json!({"account": ACCOUNT, "card_id": "card-1", "merchant_id": "526567002107"}), more)
}

fn seen_on_chain(minor: &str, log_index: u64) -> Value {
    let source = source(log_index);
    json!({"account": ACCOUNT, "amount": euro(minor), "source": source, "occurred_at": REQUESTED_AT})
}

/// Interchange of 0.123456 euros, which the network owes us, and a fee of the scheme.
fn network_fees() -> Value {
    let euros = |minor: &str, decimals: u8| json!({"minor": minor, "asset": "EUR", "decimals": decimals});
    let interchange =
        json!({"kind": "interchange", "code": "75", "amount": euros("123456", 6), "direction": "credit"});
    let scheme = json!({"kind": "scheme", "amount": euros("21", 4), "direction": "debit"});
    json!({"network": "visa", "fees": [interchange, scheme]})
}

fn refund() -> Value {
    let origin = json!({"chain": source(7)});
    json!({"account": ACCOUNT, "amount": euro(REFUNDED), "origin": origin, "occurred_at": REQUESTED_AT})
}

/// Implements `Example` from a JSON expression for each message.
macro_rules! examples {
    ($($(#[$doc:meta])* $message:ident: $example:expr),+ $(,)?) => {
        $($(#[$doc])* impl Example for $message {
            fn example() -> Value {
                $example
            }
        })+
    };
}

mod clearing_links;

examples! {
    RecordSwipe: seen_on_chain(SWIPED, 33),
    SwipeRecorded: with(seen_on_chain(SWIPED, 33), json!({"expires_at": "2026-12-23T10:15:30.000Z"})),
    /// 9.25 US dollars at the rate of that day.
    RequestAuthorization: json!({
        "message_id": "msg-1",
        "account": ACCOUNT,
        "card_id": "card-1",
        "amount": euro(SWIPED),
        "presented": {"amount": {"minor": "925", "asset": "USD", "decimals": 2}, "rate": "0.91892"},
        "merchant": merchant(),
        "network": "visa",
        "partial_allowed": false,
        "occurred_at": REQUESTED_AT,
        "checks": {"cvv": "matched", "three_ds": "authenticated", "entry": "ecommerce"},
        "details": {
            "transaction_type": "purchase",
            "processing_code": "000000",
            "acquirer": "40000001",
            "stan": "004711",
            "retrieval_reference": "632610004711",
            "additional": {"62.23": "A "},
        },
    }),
    AuthorizationRequested: with(
        RequestAuthorization::example(),
        json!({"hold_interval_s": 604800, "at": REQUESTED_AT}),
    ),
    ProposePartialApproval: json!({"amount": euro(REFUNDED)}),
    PartialApprovalProposed: of_payment(
        json!({"amount": euro(REFUNDED), "requested": SWIPED, "at": DECIDED_AT}),
    ),
    ApproveAuthorization: json!({"amount": euro(SWIPED)}),
    AuthorizationApproved: of_payment(
        json!({"amount": euro(SWIPED), "expires_at": EXPIRES_AT, "at": DECIDED_AT}),
    ),
    AuthorizationPartiallyApproved: of_payment(json!({
        "amount": euro(REFUNDED),
        "requested": SWIPED,
        "expires_at": EXPIRES_AT,
        "at": DECIDED_AT,
    })),
    DeclineAuthorization: json!({"reason": "insufficient_funds"}),
    AuthorizationDeclined: of_payment(
        json!({"amount": euro(SWIPED), "reason": "insufficient_funds", "at": DECIDED_AT}),
    ),
    IncrementAuthorization: json!({
        "message_id": "msg-2",
        "amount": euro(EXCESS),
        "basis": "addition",
        "occurred_at": DECIDED_AT,
    }),
    IncrementRequested: of_payment(with(
        IncrementAuthorization::example(),
        json!({"addition": EXCESS, "at": DECIDED_AT}),
    )),
    ApproveIncrement: json!({"message_id": "msg-2"}),
    /// An increment of a Mastercard payment, which lives longer by it.
    HoldIncreased: of_payment(json!({
        "message_id": "msg-2",
        "amount": euro(EXCESS),
        "expires_at": EXPIRES_AT,
        "occurred_at": DECIDED_AT,
        "at": DECIDED_AT,
    })),
    DeclineIncrement: json!({"message_id": "msg-2", "reason": "insufficient_funds"}),
    IncrementDeclined: of_payment(json!({
        "message_id": "msg-2",
        "amount": euro(EXCESS),
        "reason": "insufficient_funds",
        "at": DECIDED_AT,
    })),
    ReverseAuthorization: json!({
        "message_id": "msg-3",
        "extent": {"part": EXCESS},
        "cause": "merchant",
        "occurred_at": DECIDED_AT,
        "details": {
            "original": {"message_type": "0100", "stan": "004711", "transmitted_at": REQUESTED_AT, "acquirer": "40000001"},
        },
    }),
    AuthorizationReversed: of_payment(json!({
        "message_id": "msg-3",
        "extent": {"part": EXCESS},
        "released": euro(EXCESS),
        "full": false,
        "cause": "merchant",
        "occurred_at": DECIDED_AT,
        "at": DECIDED_AT,
    })),
    ReversalRefused: of_payment(json!({
        "message_id": "msg-4",
        "extent": "full",
        "cause": "merchant",
        "reason": "nothing_held",
        "occurred_at": DECIDED_AT,
        "at": DECIDED_AT,
    })),
    ExpireAuthorization: json!({}),
    AuthorizationExpired: of_payment(json!({"released": euro(SWIPED), "owed": euro(SWIPED), "at": EXPIRES_AT})),
    RecordAdvice: json!({
        "message_id": "msg-5",
        "account": ACCOUNT,
        "card_id": "card-1",
        "amount": euro(SWIPED),
        "merchant": merchant(),
        "network": "visa",
        "occurred_at": REQUESTED_AT,
    }),
    AdviceRecorded: with(
        RecordAdvice::example(),
        json!({"hold": "placed", "expires_at": EXPIRES_AT, "at": DECIDED_AT}),
    ),
    PresentClearing: json!({
        "clearing_id": "clr-1",
        "amount": euro("9000000000000000000"),
        "reference": "74537604221431003881865",
        "part": "final",
        "occurred_at": PRESENTED_AT,
        "details": {
            "fees": [{"kind": "surcharge", "amount": {"minor": "50", "asset": "EUR", "decimals": 2}}],
            "approval_code": "A1B2C3",
            "card_id": "card-1",
            "merchant": merchant(),
        },
        "network_fees": network_fees(),
    }),
    PresentClearingV1: json!({
        "clearing_id": "clr-1",
        "amount": euro("9000000000000000000"),
        "final": true,
        "occurred_at": PRESENTED_AT,
    }),
    /// The clearing of 9.00 EURe for a hold of 8.50 EURe: 0.50 EURe were never held.
    ClearingPosted: of_payment(json!({
        "clearing_id": "clr-1",
        "against_hold": SWIPED,
        "beyond_hold": EXCESS,
        "released": "0",
        "asset": "EURe",
        "decimals": 18,
        "residue": {"over": "0", "under": "0"},
        "part": "final",
        "final": true,
        "reference": "74537604221431003881865",
        "occurred_at": PRESENTED_AT,
        "network_fees": network_fees(),
    })),
    ClearingPostedV2: json!({
        "account": ACCOUNT,
        "clearing_id": "clr-1",
        "against_hold": SWIPED,
        "beyond_hold": EXCESS,
        "asset": "EURe",
        "decimals": 18,
        "final": true,
        "occurred_at": PRESENTED_AT,
    }),
    ClearingPostedV1: json!({
        "account": ACCOUNT,
        "clearing_id": "clr-1",
        "amount": euro("9000000000000000000"),
        "final": true,
        "occurred_at": PRESENTED_AT,
    }),
    OverCaptured: of_payment(
        json!({"clearing_id": "clr-1", "excess": euro(EXCESS), "flagged": false}),
    ),
    ConversionDeviates: of_payment(json!({
        "record_id": "clr-1",
        "amount": euro("9000000000000000000"),
        "converted": euro("8500010000000000000"),
        "presented": {"amount": {"minor": "925", "asset": "USD", "decimals": 2}, "rate": "0.91892"},
    })),
    LatePresented: of_payment(json!({"clearing_id": "clr-1"})),
    ClearingSuspended: of_payment(json!({
        "clearing_id": "clr-2",
        "duplicate_of": "clr-1",
        "amount": euro("9000000000000000000"),
        "residue": {"over": "0", "under": "0"},
        "part": "final",
        "reference": "74537604221431003881865",
        "occurred_at": PRESENTED_AT,
    })),
    ResolveClearing: json!({"clearing_id": "clr-2", "outcome": "returned"}),
    ClearingResolved: of_payment(json!({
        "clearing_id": "clr-2",
        "outcome": "returned",
        "amount": euro("9000000000000000000"),
        "at": PRESENTED_AT,
    })),
    ClearingRefused: of_payment(json!({
        "clearing_id": "clr-3",
        "amount": euro(SWIPED),
        "residue": {"over": "0", "under": "0"},
        "part": {"sequence": {"number": 1, "count": 2}},
        "reason": "reversed",
        "occurred_at": PRESENTED_AT,
    })),
    ForcePost: json!({
        "clearing_id": "clr-4",
        "account": ACCOUNT,
        "card_id": "card-1",
        "amount": euro(SWIPED),
        "merchant": merchant(),
        "occurred_at": PRESENTED_AT,
    }),
    ForcePosted: of_payment(json!({
        "clearing_id": "clr-4",
        "amount": euro(SWIPED),
        "merchant": merchant(),
        "residue": {"over": "0", "under": "0"},
        "reason": "no_authorization",
        "part": "final",
        "occurred_at": PRESENTED_AT,
    })),
    RecordRefund: refund(),
    RecordRefundV1: seen_on_chain(REFUNDED, 7),
    RefundLinked: of_payment(json!({
        "amount": euro(REFUNDED),
        "origin": {"network": "rfd-1"},
        "occurred_at": PRESENTED_AT,
    })),
    RefundUnlinked: refund(),
    RefundUnlinkedV1: seen_on_chain(REFUNDED, 7),
    ResolveRefund: json!({"outcome": "paid", "payment_id": "a-1"}),
    RefundResolved: json!({
        "account": ACCOUNT,
        "outcome": "paid",
        "amount": euro(REFUNDED),
        "origin": {"chain": source(7)},
        "payment_id": "a-1",
        "at": PRESENTED_AT,
    }),
    ObserveFunding: json!({
        "observation": {"included": {"amount": euro(SWIPED), "source": source(33)}},
        "occurred_at": DECIDED_AT,
    }),
    FundingSubmitted: of_payment(json!({"transaction_hash": TRANSACTION, "occurred_at": DECIDED_AT})),
    FundingIncluded: of_payment(
        json!({"amount": euro(SWIPED), "source": source(33), "occurred_at": DECIDED_AT}),
    ),
    FundingFinalized: of_payment(
        json!({"amount": euro(SWIPED), "source": source(33), "occurred_at": DECIDED_AT}),
    ),
    FundingReverted: of_payment(json!({"transaction_hash": TRANSACTION, "occurred_at": DECIDED_AT})),
    FundingDropped: of_payment(json!({"transaction_hash": TRANSACTION, "occurred_at": DECIDED_AT})),
    FundingReorged: of_payment(
        json!({"amount": euro(SWIPED), "source": source(33), "occurred_at": DECIDED_AT}),
    ),
    AbandonFunding: json!({"leg": 2, "cause": "dead"}),
    CloseExposure: json!({"leg": 2, "pull_again": true}),
    FundingAbandoned: of_payment(
        json!({"leg": 2, "cause": "dead", "exposed": euro(REFUNDED), "at": DECIDED_AT}),
    ),
    ExposureCleared: of_payment(
        json!({"leg": 2, "amount": euro(REFUNDED), "left": "0", "at": DECIDED_AT}),
    ),
    ReturnOwed: of_payment(json!({"owed": euro(REFUNDED), "before": "0", "at": DECIDED_AT})),
    FlagPayment: json!({"reason": "country_blocked"}),
    PaymentFlagged: json!({"account": ACCOUNT, "reason": "country_blocked", "at": DECIDED_AT}),
    OpenDispute: json!({"dispute_id": "dsp-1", "amount": euro(SWIPED), "reason": "not_received"}),
    DisputeOpened: of_payment(with(OpenDispute::example(), json!({"at": DECIDED_AT}))),
    AdvanceDispute: json!({"dispute_id": "dsp-1", "stage": "submitted"}),
    DisputeAdvanced: of_payment(with(AdvanceDispute::example(), json!({"at": DECIDED_AT}))),
    GrantProvisionalCredit: json!({"dispute_id": "dsp-1"}),
    ProvisionalCreditGranted: of_payment(
        json!({"dispute_id": "dsp-1", "amount": euro(SWIPED), "at": DECIDED_AT}),
    ),
    ResolveDispute: json!({"dispute_id": "dsp-1", "outcome": "won", "awarded": euro(REFUNDED)}),
    DisputeResolved: of_payment(json!({
        "dispute_id": "dsp-1",
        "outcome": "won",
        "amount": euro(SWIPED),
        "awarded": euro(REFUNDED),
        "provisional_credit": true,
        "at": PRESENTED_AT,
    })),
    RecordDisputeMoney: json!({
        "record_id": "cbk-1",
        "dispute_id": "dsp-1",
        "network": "visa",
        "cycle": "chargeback",
        "amount": euro(SWIPED),
        "occurred_at": PRESENTED_AT,
    }),
    DisputeMoneyMoved: of_payment(with(
        RecordDisputeMoney::example(),
        json!({"direction": "received", "flags": ["other_than_awarded"]}),
    )),
    ExpectSpend: json!({"spend_id": "spend-1"}),
    SpendExpected: of_payment(with(ExpectSpend::example(), json!({"at": DECIDED_AT}))),
    LinkSpend: json!({"payment_id": "auth-1", "reason": "the network's request of the same purchase"}),
    SpendLinked: json!({
        "account": ACCOUNT,
        "payment_id": "auth-1",
        "link": 1,
        "amount": euro(SWIPED),
        "released": SWIPED,
        "basis": "only_one",
        "actor": "saga",
        "at": DECIDED_AT,
    }),
    UnlinkSpend: json!({"payment_id": "auth-1", "reason": "it is another purchase"}),
    SpendUnlinked: json!({
        "account": ACCOUNT,
        "payment_id": "auth-1",
        "link": 1,
        "amount": euro(SWIPED),
        "held": SWIPED,
        "source": source(33),
        "actor": "api",
        "reason": "it is another purchase",
        "at": DECIDED_AT,
    }),
    TakeSpend: json!({"spend_id": "spend-1", "link": 1, "amount": euro(SWIPED), "source": source(33), "basis": "only_one"}),
    SpendTaken: of_payment(with(TakeSpend::example(), json!({"leg": 2, "at": DECIDED_AT}))),
    ObserveSpend: json!({
        "spend_id": "spend-1",
        "link": 1,
        "observation": {"finalized": {"source": source(33)}},
        "occurred_at": DECIDED_AT,
    }),
    SpendObserved: json!({
        "account": ACCOUNT,
        "payment_id": "auth-1",
        "link": 1,
        "observation": {"finalized": {"source": source(33)}},
        "occurred_at": DECIDED_AT,
    }),
    TakeReturn: json!({"refund_id": "rfd-1", "amount": euro(SWIPED), "occurred_at": DECIDED_AT}),
    ReturnTaken: of_payment(json!({"refund_id": "rfd-1", "amount": euro(SWIPED), "at": DECIDED_AT})),
    /// A part of a clearing. Some of it was refunded before.
    ReverseClearing: json!({
        "reversal_id": "rvl-1",
        "clearing_id": "clr-1",
        "network": "visa",
        "amount": euro(REFUNDED),
        "occurred_at": PRESENTED_AT,
    }),
    ClearingReversed: of_payment(json!({
        "reversal_id": "rvl-1",
        "clearing_id": "clr-1",
        "network": "visa",
        "amount": euro(REFUNDED),
        "stated": REFUNDED,
        "excess": EXCESS,
        "waited": true,
        "occurred_at": PRESENTED_AT,
    })),
    ReverseRefund: json!({
        "reversal_id": "rvl-2",
        "refund_id": "rfd-1",
        "network": "visa",
        "occurred_at": PRESENTED_AT,
    }),
    RefundReversed: of_payment(json!({
        "reversal_id": "rvl-2",
        "refund_id": "rfd-1",
        "network": "visa",
        "amount": euro(REFUNDED),
        "occurred_at": PRESENTED_AT,
        "network_fees_back": network_fees(),
    })),
    DismissRecordReversal: json!({"reversal_id": "rvl-1"}),
    RecordReversalKept: of_payment(json!({
        "reversal_id": "rvl-1",
        "of": {"clearing": "clr-1"},
        "network": "visa",
        "amount": euro(REFUNDED),
        "reason": "unmatched",
        "occurred_at": PRESENTED_AT,
    })),
    RecordReversalEnded: of_payment(json!({
        "reversal_id": "rvl-1",
        "of": {"clearing": "clr-1"},
        "amount": euro(REFUNDED),
        "cause": "dismissed",
        "at": DECIDED_AT,
    })),
    GiveUpSpend: json!({"spend_id": "spend-1", "link": 1}),
    SpendGivenUp: of_payment(json!({"spend_id": "spend-1", "link": 1, "leg": 2, "amount": euro(SWIPED), "at": DECIDED_AT})),
}

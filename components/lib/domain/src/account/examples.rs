//! An example of every message, in each of its versions, as JSON.

use clearfold_kernel::schema::Example;
use serde_json::{Value, json};

use super::messages::*;
use super::superseded::{
    AccountOpenedV1, BookRefundV1, RefundBookedV1, RefundBookedV2, RefundResolvedV1, ResolveRefundV1,
};

/// Numbers of a request.
const NUMBERS: &str = "visa-40000001-004711-632610004711-1795341600";

/// Amount of EURe, in minor units of 10^-18.
fn euro(minor: &str) -> Value {
    json!({"minor": minor, "asset": "EURe", "decimals": 18})
}

fn log(log_index: u64) -> Value {
    json!({
        "chain_id": 100,
        "block_hash": "0x1fd2c6b0a7e94835d2c1b0a9f8e7d6c5b4a3928170f6e5d4c3b2a190f8e7d6c5",
        "block_number": 46587245,
        "transaction_hash": "0x9a8b7c6d5e4f30213243546576879809a1b2c3d4e5f60718293a4b5c6d7e8f90",
        "log_index": log_index,
    })
}

/// Returns the event of a command: its payload with account and time added.
fn event_of(mut command: Value) -> Value {
    command["account"] = json!("0x7b5e3f2a9c4d1e8f60a7b3c2d5e4f1a09b8c7d6e");
    command["at"] = json!("2026-11-22T10:15:31.250Z");
    command
}

/// Event that books: also lists its transfers as debit, credit and minor units.
fn booked(command: Value, legs: &[(&str, &str, &str)]) -> Value {
    let transfer = |&(debit, credit, minor): &(&str, &str, &str)| -> Value {
        json!({"debit": debit, "credit": credit, "minor": minor})
    };
    let mut event = event_of(command);
    event["transfers"] = legs.iter().map(transfer).collect();
    event
}

/// Adds a member to a message.
fn with(mut message: Value, member: &str, value: Value) -> Value {
    message[member] = value;
    message
}

macro_rules! examples {
    ($($message:ident => $example:expr;)+) => {
        $(impl Example for $message {
            fn example() -> Value {
                $example
            }
        })+
    };
}

// Opening and the delay queue.
examples! {
    OpenAccount => json!({"assets": [{"asset": "EURe", "decimals": 18}, {"asset": "USDC.e", "decimals": 6}]});
    AccountOpenedV1 => event_of(OpenAccount::example());
    AccountOpened => with(AccountOpenedV1::example(), "opened_by", json!("operator"));
    AssetsNamed => event_of(OpenAccount::example());
    ObserveDelayQueue => json!({"state": "waiting", "source": log(2)});
    DelayQueueChanged => event_of(ObserveDelayQueue::example());
}

// Movements of money on chain.
examples! {
    RecordDeposit => json!({
        "amount": euro("100000000000000000000"),
        "source": log(11),
        "occurred_at": "2026-11-22T10:15:30.000Z",
    });
    Deposited => booked(RecordDeposit::example(), &[("safe", "customer", "100000000000000000000")]);
    RevertDeposit => json!({"source": log(11)});
    DepositReorged => booked(
        with(RevertDeposit::example(), "amount", euro("100000000000000000000")),
        &[("customer", "safe", "100000000000000000000")],
    );
    RecordWithdrawal => json!({
        "amount": euro("40000000000000000000"),
        "source": log(12),
        "occurred_at": "2026-11-22T10:15:30.000Z",
    });
    Withdrawn => booked(RecordWithdrawal::example(), &[("customer", "safe", "40000000000000000000")]);
    RevertWithdrawal => json!({"source": log(12)});
    WithdrawalReorged => booked(
        with(RevertWithdrawal::example(), "amount", euro("40000000000000000000")),
        &[("safe", "customer", "40000000000000000000")],
    );
    BookFunding => json!({
        "hold_id": "auth-1",
        "step": "included",
        "amount": euro("8500000000000000000"),
        "source": log(33),
    });
    FundingBooked => booked(BookFunding::example(), &[("in_transit", "safe", "8500000000000000000")]);
    RecordReturn => json!({"amount": euro("8500000000000000000"), "source": log(41)});
    Returned => booked(RecordReturn::example(), &[("safe", "hold", "8500000000000000000")]);
}

// Holds.
examples! {
    PlaceHold => json!({"hold_id": "auth-1", "amount": euro("8500000000000000000"), "forced": false});
    HoldPlaced => event_of(with(
        with(PlaceHold::example(), "asked_by", json!(NUMBERS)),
        "purchase",
        json!({
            "card_id": "card-1",
            "merchant_id": "526567002107",
            "category": "5812",
            "country": "IT",
            "network": "visa",
            "requested_at": "2026-11-22T10:15:30.000Z",
        }),
    ));
    FindHold => json!({"asked_by": NUMBERS, "message_id": "msg-4"});
    HoldPrevented => event_of(FindHold::example());
    RaiseHold => json!({
        "hold_id": "auth-1",
        "change_id": "msg-2",
        "amount": euro("1500000000000000000"),
        "forced": false,
    });
    HoldRaised => event_of(RaiseHold::example());
    LowerHold => json!({
        "hold_id": "auth-1",
        "change_id": "msg-3",
        "amount": "500000000000000000",
        "cause": "reversed",
    });
    HoldLowered => event_of(with(LowerHold::example(), "amount", euro("500000000000000000")));
    VoidHold => json!({"hold_id": "auth-1"});
    HoldVoided => event_of(with(VoidHold::example(), "released", euro("8500000000000000000")));
}

// Clearings. The one that is booked claims 9.00 EURe on a hold of 8.50; its exact amount would be 9.003 EURe.
examples! {
    BookClearing => json!({
        "clearing_id": "clr-1",
        "hold_id": "auth-1",
        "against_hold": "8500000000000000000",
        "beyond_hold": "500000000000000000",
        "released": "0",
        "asset": "EURe",
        "decimals": 18,
        "residue": {"over": "3000000000000000", "under": "0"},
    });
    ClearingBooked => booked(
        BookClearing::example(),
        &[("customer", "settlement", "9000000000000000000"), ("rounding", "settlement", "3000000000000000")],
    );
    BookClearingReversal => json!({
        "reversal_id": "rvl-1",
        "clearing_id": "clr-1",
        "hold_id": "auth-1",
        "amount": euro("9000000000000000000"),
    });
    ClearingReversalBooked => booked(
        BookClearingReversal::example(),
        &[("settlement", "customer", "9000000000000000000")],
    );
    SuspendClearing => json!({
        "clearing_id": "clr-2",
        "amount": euro("9000000000000000000"),
        "hold_id": "auth-1",
    });
    ClearingSuspended => booked(
        SuspendClearing::example(),
        &[("suspense", "settlement", "9000000000000000000")],
    );
    ResolveSuspense => json!({"clearing_id": "clr-2", "outcome": "returned", "hold_id": "auth-1"});
    SuspenseResolved => booked(
        with(ResolveSuspense::example(), "amount", euro("9000000000000000000")),
        &[("settlement", "suspense", "9000000000000000000")],
    );
}

// Refunds and disputes. A refund that did not come on chain has no source, and nothing of it is withheld. The one that
// is resolved was withheld in part.
examples! {
    BookRefundV1 => json!({"refund_id": "rfd-1", "amount": euro("2170000000000000000"), "link": "linked"});
    BookRefund => with(BookRefundV1::example(), "reported_on", json!("auth-1"));
    ReadRefund => json!({"refund_id": "rfd-1"});
    RefundBookedV1 => booked(BookRefundV1::example(), &[("settlement", "customer", "2170000000000000000")]);
    RefundBooked => booked(
        with(
            BookRefund::example(),
            "matched",
            json!({"refund_id": "chain/100/0x1fd2c6b0a7e94835d2c1b0a9f8e7d6c5b4a3928170f6e5d4c3b2a190f8e7d6c5/7", "reported_on": "refund-1"}),
        ),
        &[],
    );
    RefundBookedV2 => booked(
        with(
            with(with(BookRefundV1::example(), "link", json!("unlinked")), "source", log(7)),
            "withheld",
            json!("2000000000000000000"),
        ),
        &[("suspense", "customer", "170000000000000000"), ("safe", "hold", "2170000000000000000")],
    );
    ResolveRefundV1 => json!({"refund_id": "rfd-2", "outcome": "returned"});
    ResolveRefund => with(ResolveRefundV1::example(), "payment_id", json!("auth-1"));
    RefundResolvedV1 => booked(
        with(ResolveRefundV1::example(), "amount", euro("2170000000000000000")),
        &[("customer", "suspense", "2170000000000000000")],
    );
    RefundResolved => booked(
        with(
            with(ResolveRefund::example(), "amount", euro("2170000000000000000")),
            "withheld",
            json!("2000000000000000000"),
        ),
        &[("customer", "suspense", "170000000000000000")],
    );
    BookRefundReversal => json!({
        "reversal_id": "rvl-2",
        "refund_id": "rfd-1",
        "reported_on": "auth-1",
        "amount": euro("2170000000000000000"),
    });
    RefundReversalBooked => booked(
        BookRefundReversal::example(),
        &[("customer", "settlement", "2170000000000000000")],
    );
    BookDispute => json!({
        "hold_id": "auth-1",
        "dispute_id": "dsp-1",
        "step": "provisional",
        "amount": euro("9000000000000000000"),
    });
    DisputeBooked => booked(BookDispute::example(), &[("suspense", "customer", "9000000000000000000")]);
    BookDisputeMoney => json!({
        "record_id": "cbk-1",
        "hold_id": "auth-1",
        "dispute_id": "dsp-1",
        "cycle": "chargeback",
        "direction": "received",
        "amount": euro("9000000000000000000"),
    });
    DisputeMoneyBooked => booked(
        BookDisputeMoney::example(),
        &[("settlement", "suspense", "9000000000000000000")],
    );
}

// Settlement, receivables and fees.
examples! {
    RecordSettlement => json!({
        "settlement_id": "stl-1",
        "direction": "paid",
        "amount": euro("9000000000000000000"),
    });
    SettlementBooked => booked(
        RecordSettlement::example(),
        &[("settlement", "hold", "9000000000000000000")],
    );
    BookReceivable => json!({"receivable_id": "auth-1", "amount": euro("8500000000000000000")});
    ReceivableBooked => booked(
        BookReceivable::example(),
        &[("receivable", "customer", "8500000000000000000")],
    );
    RecoverReceivable => json!({
        "recovery_id": "rcv-1",
        "receivable_id": "auth-1",
        "amount": euro("8500000000000000000"),
    });
    ReceivableRecovered => booked(
        RecoverReceivable::example(),
        &[("customer", "receivable", "8500000000000000000")],
    );
    ChargeFee => json!({"fee_id": "fee-1", "amount": euro("1000000000000000000")});
    FeeCharged => booked(ChargeFee::example(), &[("customer", "fee", "1000000000000000000")]);
}

// Spends that somebody else submitted.
examples! {
    MatchSpend => json!({
        "spend_id": "spend-1",
        "amount": euro("8500000000000000000"),
        "occurred_at": "2026-11-22T10:15:30.000Z",
    });
    SpendMatched => event_of(json!({
        "spend_id": "spend-1",
        "payment_id": "auth-1",
        "amount": euro("8500000000000000000"),
        "basis": "only_one",
    }));
    FindSpend => json!({"payment_id": "auth-1", "amount": euro("8500000000000000000")});
    ReadMatch => json!({"spend_id": "spend-1"});
    MoveFunding => json!({
        "spend_id": "spend-1",
        "payment_id": "auth-1",
        "link": 1,
        "to": "payment",
        "amount": euro("8500000000000000000"),
        "source": log(33),
    });
    FundingMoved => event_of(with(
        with(MoveFunding::example(), "moved", json!("8500000000000000000")),
        "held",
        json!("8500000000000000000"),
    ));
    AssignReturn => json!({
        "refund_id": "rfd-1",
        "hold_id": "auth-1",
        "amount": euro("8500000000000000000"),
    });
    ReturnAssigned => event_of(AssignReturn::example());
}

// Clearings that name no known payment.
examples! {
    MatchClearing => json!({
        "payment_id": "odd-1",
        "card_id": "card-1",
        "merchant_id": "526567002107",
        "category": "5812",
        "country": "IT",
        "amount": euro("8500000000000000000"),
        "occurred_at": "2026-11-23T02:00:00.000Z",
    });
    MoveClearing => json!({
        "posted_on": "odd-1",
        "payment_id": "auth-1",
        "clearing_id": "linked/odd-1",
        "link": 1,
        "to": "payment",
        "amount": euro("8500000000000000000"),
        "against_hold": "8500000000000000000",
        "released": "0",
        "held": "0",
    });
    ClearingMoved => event_of(MoveClearing::example());
}

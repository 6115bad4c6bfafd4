//! An example of every message and of every version of it, as its JSON reads.

use clearfold_kernel::schema::Example;
use serde_json::{Value, json};

use super::messages::{
    ClearingPosted, PresentClearing, RecordRefund, RecordSwipe, RefundUnlinked, SwipeRecorded,
};
use super::superseded::ClearingPostedV1;

const ACCOUNT: &str = "0x7b5e3f2a9c4d1e8f60a7b3c2d5e4f1a09b8c7d6e";
const IN_BLOCK_AT: &str = "2026-11-22T10:15:30.000Z";
const PRESENTED_AT: &str = "2026-11-23T02:00:00.000Z";

fn euro(minor: &str) -> Value {
    json!({"minor": minor, "asset": "EURe", "decimals": 18})
}

fn source(log_index: u64) -> Value {
    json!({
        "chain_id": 100,
        "block_hash": "0x1fd2c6b0a7e94835d2c1b0a9f8e7d6c5b4a3928170f6e5d4c3b2a190f8e7d6c5",
        "block_number": 46587245,
        "transaction_hash": "0x9a8b7c6d5e4f30213243546576879809a1b2c3d4e5f60718293a4b5c6d7e8f90",
        "log_index": log_index,
    })
}

fn seen_on_chain(minor: &str, log_index: u64) -> Value {
    json!({
        "account": ACCOUNT,
        "amount": euro(minor),
        "source": source(log_index),
        "occurred_at": IN_BLOCK_AT,
    })
}

impl Example for RecordSwipe {
    fn example() -> Value {
        seen_on_chain("8500000000000000000", 33)
    }
}

impl Example for SwipeRecorded {
    fn example() -> Value {
        seen_on_chain("8500000000000000000", 33)
    }
}

impl Example for RecordRefund {
    fn example() -> Value {
        seen_on_chain("2170000000000000000", 7)
    }
}

impl Example for RefundUnlinked {
    fn example() -> Value {
        seen_on_chain("2170000000000000000", 7)
    }
}

impl Example for PresentClearing {
    fn example() -> Value {
        json!({
            "clearing_id": "clr-1",
            "amount": euro("9000000000000000000"),
            "final": true,
            "occurred_at": PRESENTED_AT,
        })
    }
}

/// The clearing of 9.00 EURe for the swipe of 8.50 EURe: 0.50 EURe were never held.
impl Example for ClearingPosted {
    fn example() -> Value {
        json!({
            "account": ACCOUNT,
            "clearing_id": "clr-1",
            "against_hold": "8500000000000000000",
            "beyond_hold": "500000000000000000",
            "asset": "EURe",
            "decimals": 18,
            "final": true,
            "occurred_at": PRESENTED_AT,
        })
    }
}

impl Example for ClearingPostedV1 {
    fn example() -> Value {
        json!({
            "account": ACCOUNT,
            "clearing_id": "clr-1",
            "amount": euro("9000000000000000000"),
            "final": true,
            "occurred_at": PRESENTED_AT,
        })
    }
}

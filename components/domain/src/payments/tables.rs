//! What the tables hold, and what the database checks of them.

use clearfold_kernel::ColumnRule::{NonNegative, OneOf, Positive};
use clearfold_kernel::ColumnType::{Integer, Json, Numeric, Text, Timestamp};
use clearfold_kernel::{Column, Table};

use super::rows::Status;

pub(super) const PAYMENT: &str = "payment";
pub(super) const PAYMENT_EVENT: &str = "payment_event";
pub(super) const REFUND: &str = "refund";
pub(super) const ACCOUNT_ASSET: &str = "account_asset";

pub(super) fn all() -> Vec<Table> {
    vec![payment(), payment_event(), refund(), account_asset()]
}

/// One row a swipe.
fn payment() -> Table {
    let mut columns = vec![
        Column::new("id", Text),
        Column::new("account", Text),
        Column::new("status", Text).with(OneOf(Status::ALL.map(Status::word).to_vec())),
        Column::new("amount_minor", Numeric).with(Positive),
        Column::new("cleared_minor", Numeric).with(NonNegative),
        Column::new("asset", Text),
        Column::new("decimals", Integer).with(NonNegative),
    ];
    columns.extend(source());
    columns.extend([Column::new("occurred_at", Timestamp), Column::new("updated_at", Timestamp)]);
    Table {
        name: PAYMENT,
        columns,
        primary_key: vec!["id"],
        indexes: vec![
            vec!["occurred_at", "id"],
            vec!["account", "occurred_at", "id"],
            vec!["status", "occurred_at", "id"],
        ],
    }
}

/// One row an event of a payment: its timeline.
fn payment_event() -> Table {
    Table {
        name: PAYMENT_EVENT,
        columns: vec![
            Column::new("payment_id", Text),
            Column::new("stream_version", Integer).with(Positive),
            Column::new("event_id", Text),
            Column::new("correlation_id", Text),
            Column::new("type", Text),
            Column::new("schema_version", Integer).with(Positive),
            Column::new("occurred_at", Timestamp),
            Column::new("recorded_at", Timestamp),
            Column::new("data", Json),
        ],
        primary_key: vec!["payment_id", "stream_version"],
        indexes: Vec::new(),
    }
}

/// One row a refund that names no payment.
fn refund() -> Table {
    let mut columns = vec![
        Column::new("id", Text),
        Column::new("account", Text),
        Column::new("amount_minor", Numeric).with(Positive),
        Column::new("asset", Text),
        Column::new("decimals", Integer).with(NonNegative),
    ];
    columns.extend(source());
    columns.push(Column::new("occurred_at", Timestamp));
    Table {
        name: REFUND,
        columns,
        primary_key: vec!["id"],
        indexes: vec![vec!["account", "occurred_at", "id"]],
    }
}

/// One row an account and asset: what was spent, cleared and refunded in all.
fn account_asset() -> Table {
    let columns = vec![
        Column::new("account", Text),
        Column::new("asset", Text),
        Column::new("decimals", Integer).with(NonNegative),
        Column::new("payment_count", Integer).with(NonNegative),
        Column::new("spent_minor", Numeric).with(NonNegative),
        Column::new("cleared_minor", Numeric).with(NonNegative),
        Column::new("refund_count", Integer).with(NonNegative),
        Column::new("refunded_minor", Numeric).with(NonNegative),
        Column::new("first_seen_at", Timestamp),
        Column::new("updated_at", Timestamp),
    ];
    Table { name: ACCOUNT_ASSET, columns, primary_key: vec!["account", "asset"], indexes: Vec::new() }
}

/// The log that a payment or a refund was seen in.
fn source() -> [Column; 5] {
    [
        Column::new("chain_id", Integer).with(NonNegative),
        Column::new("block_hash", Text),
        Column::new("block_number", Integer).with(NonNegative),
        Column::new("transaction_hash", Text),
        Column::new("log_index", Integer).with(NonNegative),
    ]
}

//! Events in, rows out; and a batch cut anywhere gives the same rows.

use std::collections::BTreeMap;

use clearfold_kernel::{
    Address, Amount, Asset, ChainSource, Change, Hash, Message, Minor, Projector, RecordedEvent, Row,
    Timestamp, Value,
};

use super::{Payments, tables};
use crate::authorization::{ClearingPosted, Event, RefundUnlinked, SwipeRecorded};

/// The tables as a database would hold them: rows by table and key.
#[derive(Default, Debug, PartialEq, Clone)]
struct Tables(BTreeMap<String, Row>);

impl Tables {
    fn key(table: &str, key: &[Value]) -> String {
        format!("{table} {key:?}")
    }

    fn project(&mut self, events: &[RecordedEvent]) {
        let keys = Payments::keys(events).unwrap();
        let found = keys.iter().filter_map(|key| self.0.get(&Self::key(&key.table, &key.key)).cloned());
        let mut rows: Vec<Row> = found.collect();
        rows.dedup();
        for change in Payments::project(events, rows).unwrap() {
            let Change::Upsert(row) = change else { panic!("nothing is ever deleted") };
            let described = tables::all().into_iter().find(|table| table.name == row.table).unwrap();
            assert_eq!(row.values.len(), described.columns.len(), "{}", row.table);
            let width = described.primary_key.len();
            self.0.insert(Self::key(&row.table, &row.values[..width]), row);
        }
    }

    fn cell(&self, table: &str, key: &[&str], column: &str) -> Value {
        let key: Vec<Value> = key.iter().map(|text| Value::from(*text)).collect();
        let described = tables::all().into_iter().find(|described| described.name == table).unwrap();
        let index = described.columns.iter().position(|described| described.name == column).unwrap();
        self.0[&Self::key(table, &key)].values[index].clone()
    }
}

const ACCOUNT: Address = Address([0xaa; 20]);

fn amount(minor: u128) -> Amount {
    Amount { minor: Minor::new(minor), asset: Asset { code: "EURe".into(), decimals: 18 } }
}

fn source() -> ChainSource {
    ChainSource {
        chain_id: 100,
        block_hash: Hash([1; 32]),
        block_number: 1,
        transaction_hash: Hash([2; 32]),
        log_index: 33,
    }
}

fn at(s: u64) -> Timestamp {
    Timestamp::from_s(s).unwrap()
}

fn history() -> Vec<RecordedEvent> {
    let swipe = |minor| {
        Event::SwipeRecorded(SwipeRecorded {
            account: ACCOUNT,
            amount: amount(minor),
            source: source(),
            occurred_at: at(5),
        })
    };
    let clearing = |id: &str, minor, is_final| {
        Event::ClearingPosted(ClearingPosted {
            account: ACCOUNT,
            clearing_id: id.into(),
            amount: amount(minor),
            is_final,
            occurred_at: at(9),
        })
    };
    let refund = Event::RefundUnlinked(RefundUnlinked {
        account: ACCOUNT,
        amount: amount(217),
        source: source(),
        occurred_at: at(6),
    });
    let events = [
        ("p1", 1, swipe(850)),
        ("p2", 1, swipe(100)),
        ("p1", 2, clearing("c1", 500, false)),
        ("r1", 1, refund),
        ("p1", 3, clearing("c2", 350, true)),
        ("p2", 2, clearing("c3", 60, false)),
    ];
    (1..)
        .zip(events)
        .map(|(position, (id, version, event))| recorded(position, id, version, &event))
        .collect()
}

fn recorded(position: u64, id: &str, stream_version: u64, event: &Event) -> RecordedEvent {
    let encoded = event.encode().unwrap();
    RecordedEvent {
        partition: 0,
        position,
        stream: format!("authorization-{id}"),
        stream_version,
        event_id: format!("event-{position}"),
        correlation_id: "cause".into(),
        kind: encoded.kind,
        schema_version: encoded.schema_version,
        recorded_at: at(10 + position),
        payload: encoded.payload,
    }
}

#[test]
fn payments_and_totals_follow_from_the_events() {
    let mut tables = Tables::default();
    tables.project(&history());
    assert_eq!(tables.cell("payment", &["p1"], "status"), "cleared".into());
    assert_eq!(tables.cell("payment", &["p1"], "cleared_minor"), Minor::new(850).into());
    assert_eq!(tables.cell("payment", &["p1"], "updated_at"), at(15).into());
    assert_eq!(tables.cell("payment", &["p2"], "status"), "partially_cleared".into());
    assert_eq!(tables.cell("refund", &["r1"], "amount_minor"), Minor::new(217).into());
    let total = ["0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "EURe"];
    assert_eq!(tables.cell("account_asset", &total, "payment_count"), Value::Integer(2));
    assert_eq!(tables.cell("account_asset", &total, "spent_minor"), Minor::new(950).into());
    assert_eq!(tables.cell("account_asset", &total, "cleared_minor"), Minor::new(910).into());
    assert_eq!(tables.cell("account_asset", &total, "refunded_minor"), Minor::new(217).into());
}

#[test]
fn the_rows_do_not_depend_on_where_the_batches_are_cut() {
    let history = history();
    let mut whole = Tables::default();
    whole.project(&history);
    for cut in 0..=history.len() {
        let mut parts = Tables::default();
        parts.project(&history[..cut]);
        parts.project(&history[cut..]);
        assert_eq!(parts, whole, "cut at {cut}");
    }
}

#[test]
fn what_other_deciders_say_is_passed_over() {
    let mut events = history();
    events[0].stream = "card-p1".into();
    events[1].kind = "SomethingLater".into();
    assert_eq!(Payments::project(&events[..2], Vec::new()).unwrap(), []);
}

#[test]
fn an_event_that_cannot_be_read_is_named() {
    let mut events = history();
    events[1].schema_version = 9;
    let error = Payments::project(&events, Vec::new()).unwrap_err();
    assert!(error.contains("event 1 of authorization-p2"), "{error}");
}

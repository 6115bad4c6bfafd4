//! Figures of the read store: what the projections `balances` and `payments` make of the events.

use std::collections::BTreeMap;

use clearfold_domain::balances::Balances;
use clearfold_domain::payments::Payments;
use clearfold_kernel::{Change, Message, Projector, RecordedEvent, Row, RowKey, Table, Timestamp, Value};

use crate::compare::{Figures, cents};
use crate::world::{ACCOUNT, World};

pub fn figures(world: &World) -> Figures {
    let account = recorded(&format!("account-{ACCOUNT}"), &world.account.events);
    let payments: Vec<RecordedEvent> = world
        .payments
        .iter()
        .flat_map(|(id, live)| recorded(&format!("authorization-{id}"), &live.events))
        .collect();
    let (balances, tables) = (Balances::describe().tables, Payments::describe().tables);
    let mut figures = Figures::new();
    for row in projected::<Balances>(&account) {
        let columns: &[&str] = match row.table.as_str() {
            "balance" => &["posted", "pending", "available"],
            "ledger" => &["net"],
            _ => continue,
        };
        for column in columns {
            let name = match *column {
                "posted" => "customer".to_owned(),
                "pending" => "held".to_owned(),
                "net" => text(&row, "ledger_account", &balances).replace('_', " "),
                other => other.to_owned(),
            };
            let figure = cents(text(&row, &format!("{column}_minor"), &balances));
            figures.insert(format!("account {name}"), figure);
        }
    }
    for row in projected::<Payments>(&payments) {
        if row.table != "payment" {
            continue;
        }
        let cell = |column: &str| text(&row, column, &tables);
        let id = cell("id");
        for (column, name) in [
            ("held_minor", "held"),
            ("cleared_minor", "captured"),
            ("against_hold_minor", "against the hold"),
            ("refunded_minor", "refunded"),
            ("owed_back_minor", "owed back"),
        ] {
            figures.insert(format!("{id} {name}"), cents(cell(column)));
        }
    }
    figures
}

fn recorded<M: Message>(stream: &str, events: &[M]) -> Vec<RecordedEvent> {
    let recorded = (1..).zip(events).map(|(position, event)| {
        let encoded = event.encode().expect("an event can be written");
        RecordedEvent {
            partition: 0,
            position,
            stream: stream.to_owned(),
            stream_version: position,
            event_id: position.to_string(),
            correlation_id: String::new(),
            kind: encoded.kind,
            schema_version: encoded.schema_version,
            recorded_at: Timestamp::from_ms(1_795_341_600_000).expect("a time"),
            payload: encoded.payload,
        }
    });
    recorded.collect()
}

fn projected<P: Projector>(events: &[RecordedEvent]) -> Vec<Row> {
    let tables = P::describe().tables;
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let place = |table: &str, key: &[Value]| format!("{table} {key:?}");
    for batch in events.chunks(16) {
        let mut keys: Vec<String> =
            P::keys(batch).expect("keys").iter().map(|RowKey { table, key }| place(table, key)).collect();
        keys.sort();
        keys.dedup();
        let fetched = keys.iter().filter_map(|key| rows.get(key).cloned()).collect();
        for change in P::project(batch, fetched).expect("rows") {
            let Change::Upsert(row) = change else { continue };
            let table = tables.iter().find(|table| table.name == row.table).expect("a table");
            rows.insert(place(&row.table, &row.values[..table.primary_key.len()]), row);
        }
    }
    rows.into_values().collect()
}

fn text(row: &Row, column: &str, tables: &[Table]) -> String {
    let table = tables.iter().find(|table| table.name == row.table).expect("a table");
    let index = table.columns.iter().position(|known| known.name == column).expect("a column");
    match &row.values[index] {
        Value::Integer(number) => number.to_string(),
        Value::Numeric(text) | Value::Text(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

//! Property test: after any history, in batches of any size, the tables agree with the account's own books.

use std::collections::BTreeMap;

use clearfold_kernel::{
    Amount, Asset, Change, CommandContext, Decider, ExternalId, Message, Minor, Projector, RecordedEvent,
    Row, RowKey, Timestamp, Value,
};
use proptest::prelude::*;

use super::Balances;
use super::tables::{Balance, Hold, Ledger, Statement};
use crate::account::{
    Account, BookClearing, BookDispute, BookFunding, BookRefund, ChargeFee, Command, DisputeStep, Event,
    FundingStep, LowerCause, LowerHold, Net, OpenAccount, PlaceHold, RaiseHold, RecordDeposit, RefundLink,
    RefundOutcome, ResolveRefund, State, SuspendClearing, VoidHold,
};
use crate::projecting::{Cell, Record};

const ADDRESS: &str = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn eure() -> Asset {
    Asset { code: "EURe".into(), decimals: 18 }
}

fn gbpe() -> Asset {
    Asset { code: "GBPe".into(), decimals: 18 }
}

/// One of few ids, so that commands refer to each other's holds and are repeated.
fn id(number: u8) -> ExternalId {
    format!("{number}").parse().unwrap()
}

fn log(number: u8) -> clearfold_kernel::ChainSource {
    let hash = clearfold_kernel::Hash([number; 32]);
    let log_index = number.into();
    clearfold_kernel::ChainSource {
        chain_id: 100,
        block_hash: hash,
        block_number: 1,
        transaction_hash: hash,
        log_index,
    }
}

fn commands() -> impl Strategy<Value = Command> {
    (0_u8..14, 0_u8..6, 0_u8..4, 1_u128..100).prop_map(|(kind, one, other, units)| {
        let (hold_id, change_id, minor) = (id(other), id(one), Minor::new(units));
        // The account was not opened for pounds.
        let amount = Amount { minor, asset: if units < 20 { gbpe() } else { eure() } };
        let zero = Minor::ZERO;
        match kind {
            0 => Command::RecordDeposit(RecordDeposit { amount, source: log(one), occurred_at: at(0) }),
            1 => Command::PlaceHold(PlaceHold {
                hold_id,
                amount,
                forced: one % 2 == 0,
                partial: false,
                unless_spent: false,
                asked_by: None,
                purchase: None,
            }),
            2 => Command::RaiseHold(RaiseHold { hold_id, change_id, amount, forced: one % 2 == 0 }),
            3 => Command::LowerHold(LowerHold {
                hold_id,
                change_id,
                amount: minor,
                cause: LowerCause::Reversed,
            }),
            4 => Command::VoidHold(VoidHold { hold_id }),
            5 | 6 => Command::BookClearing(BookClearing {
                clearing_id: change_id,
                hold_id,
                against_hold: if kind == 5 { minor } else { zero },
                beyond_hold: if kind == 5 { zero } else { minor },
                released: if kind == 5 { Minor::new(u128::from(one)) } else { zero },
                asset: eure(),
                residue: Default::default(),
            }),
            7 => Command::SuspendClearing(SuspendClearing { clearing_id: change_id, amount, hold_id: None }),
            8 => Command::BookRefund(BookRefund {
                refund_id: change_id,
                amount,
                link: RefundLink::Linked,
                source: None,
                reported_on: Some(hold_id),
            }),
            9 => Command::BookDispute(BookDispute {
                hold_id,
                dispute_id: change_id,
                step: DisputeStep::Lost,
                amount,
                awarded: None,
            }),
            10 => Command::BookFunding(BookFunding {
                hold_id,
                step: FundingStep::Included,
                amount,
                source: log(10 + one),
            }),
            11 => Command::BookRefund(BookRefund {
                refund_id: change_id,
                amount,
                link: RefundLink::Unlinked,
                source: Some(log(20 + one)),
                reported_on: Some(hold_id),
            }),
            12 => Command::ResolveRefund(ResolveRefund {
                refund_id: change_id,
                outcome: if units % 2 == 0 { RefundOutcome::Paid } else { RefundOutcome::Returned },
                payment_id: Some(hold_id),
            }),
            _ => Command::ChargeFee(ChargeFee { fee_id: change_id, amount }),
        }
    })
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_ms(ms).unwrap()
}

/// Decides the commands. Returns the final state, and the events as the log would hold them.
fn decided(commands: Vec<Command>) -> (State, Vec<RecordedEvent>) {
    let open = Command::OpenAccount(OpenAccount { assets: vec![eure()] });
    let mut state = State::default();
    let mut events: Vec<Event> = Vec::new();
    for command in [open].into_iter().chain(commands) {
        let (id, actor) = (ADDRESS.to_owned(), CommandContext::CHAIN.to_owned());
        let context = CommandContext { routing_key: id.clone(), id, actor, accepted_at: at(1) };
        for event in Account::decide(&state, &command, &context).unwrap_or_default() {
            state = Account::evolve(state, &event);
            events.push(event);
        }
    }
    let recorded = (1..).zip(&events).map(|(position, event)| {
        let encoded = event.encode().unwrap();
        RecordedEvent {
            partition: 0,
            position,
            stream: format!("account-{ADDRESS}"),
            stream_version: position,
            event_id: position.to_string(),
            correlation_id: String::new(),
            kind: encoded.kind,
            schema_version: encoded.schema_version,
            recorded_at: at(2),
            payload: encoded.payload,
        }
    });
    (state, recorded.collect())
}

/// Projects the events in batches of `size`. Returns the resulting rows.
fn projected(events: &[RecordedEvent], size: usize) -> BTreeMap<String, Row> {
    let place = |table: &str, key: &[Value]| format!("{table} {key:?}");
    let tables = Balances::describe().tables;
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for batch in events.chunks(size) {
        let mut keys: Vec<String> =
            Balances::keys(batch).unwrap().iter().map(|RowKey { table, key }| place(table, key)).collect();
        keys.sort();
        keys.dedup();
        let asked = keys.iter().filter_map(|key| rows.get(key).cloned()).collect();
        for change in Balances::project(batch, asked).unwrap() {
            let Change::Upsert(row) = change else { panic!("no balance is deleted") };
            let table = tables.iter().find(|table| table.name == row.table).unwrap();
            rows.insert(place(&row.table, &row.values[..table.primary_key.len()]), row);
        }
    }
    rows
}

fn all<R: Record>(rows: &BTreeMap<String, Row>) -> Vec<R> {
    rows.values().filter(|row| row.table == R::TABLE).map(|row| R::read(row.clone()).unwrap()).collect()
}

proptest! {
    #[test]
    fn the_tables_say_what_the_books_say(
        commands in proptest::collection::vec(commands(), 0..60),
        size in 1_usize..8,
    ) {
        let (state, events) = decided(commands);
        let rows = projected(&events, size);

        let balances: BTreeMap<String, Balance> =
            all::<Balance>(&rows).into_iter().map(|balance| (balance.asset.clone(), balance)).collect();
        let is_in_pounds = events.iter().any(|event| String::from_utf8_lossy(&event.payload).contains("GBPe"));
        prop_assert!(balances.contains_key("EURe"));
        prop_assert_eq!(balances.contains_key("GBPe"), is_in_pounds);
        let books = state.ledger().unwrap();
        for asset in [eure(), gbpe()] {
            let none = Balance::none(String::new(), String::new(), 18, at(0));
            let balance = balances.get(&asset.code).unwrap_or(&none);
            prop_assert_eq!(balance.posted_minor, state.posted(&asset));
            prop_assert_eq!(balance.pending_minor, state.pending(&asset));
            prop_assert_eq!(balance.available_minor, state.available(&asset));
            for ledger in all::<Ledger>(&rows).iter().filter(|ledger| ledger.asset == asset.code) {
                let known = books.balance(&asset, ledger.ledger_account);
                prop_assert_eq!((ledger.debits_minor, ledger.credits_minor), (known.debits, known.credits));
                prop_assert_eq!(ledger.net_minor, books.net(&asset, ledger.ledger_account));
            }
        }

        let remaining = all::<Hold>(&rows).into_iter().filter(|hold| hold.remaining_minor > Minor::ZERO);
        let remaining: BTreeMap<_, _> =
            remaining.map(|hold| (hold.hold_id.to_string(), hold.remaining_minor)).collect();
        let held = state.holds().into_iter().map(|(id, held)| (id, held.minor)).collect();
        prop_assert_eq!(remaining, held);

        let mut lines = all::<Statement>(&rows);
        lines.sort_by_key(|line| match line.stream_version.write() {
            Value::Integer(version) => version,
            _ => 0,
        });
        for asset in [eure(), gbpe()] {
            let latest = lines.iter().rfind(|line| line.asset == asset.code);
            let left = latest.map_or(Net::default(), |line| line.balance_minor);
            prop_assert_eq!(left, state.posted(&asset));
        }
    }
}

//! Tests that events of old versions, as the log holds them, keep their meaning when they are folded, decided on and
//! projected.

#![expect(clippy::unwrap_used, reason = "a test fails loudly, in its helpers too")]

use clearfold_domain::account::Account;
use clearfold_domain::authorization::{Authorization, Event};
use clearfold_domain::card::Card;
use clearfold_domain::payments::Payments;
use clearfold_kernel::{
    Change, CommandContext, Encoded, Message, Projector, RecordedEvent, Rejection, Row, StoredState,
    Timestamp, Value,
};

const ACCOUNT: &str = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn encoded(kind: &str, schema_version: u32, payload: &str) -> Encoded {
    Encoded { kind: kind.into(), schema_version, payload: payload.replace("ACCOUNT", ACCOUNT).into_bytes() }
}

/// A swipe of 850, and its clearing of 900, recorded in version 1 without the amount that was held.
fn history() -> [Encoded; 2] {
    let hash = format!("0x{}", "01".repeat(32));
    let swipe = r#"{"account":"ACCOUNT","amount":{"minor":"850","asset":"EURe","decimals":18},
        "source":{"chain_id":100,"block_hash":"HASH","block_number":1,"transaction_hash":"HASH","log_index":33},
        "occurred_at":"2026-11-22T10:00:00.000Z"}"#;
    let clearing = r#"{"account":"ACCOUNT","clearing_id":"c1","final":false,
        "amount":{"minor":"900","asset":"EURe","decimals":18},"occurred_at":"2026-11-23T02:00:00.000Z"}"#;
    [encoded("SwipeRecorded", 1, &swipe.replace("HASH", &hash)), encoded("ClearingPosted", 1, clearing)]
}

fn decided(clearing_id: &str, minor: &str) -> Vec<Encoded> {
    let mut state = StoredState::default();
    state.evolve::<Authorization>(&history()).unwrap();
    let command = r#"{"clearing_id":"ID","amount":{"minor":"MINOR","asset":"EURe","decimals":18},
        "final":false,"occurred_at":"2026-11-24T02:00:00.000Z"}"#;
    let command = encoded("PresentClearing", 1, &command.replace("ID", clearing_id).replace("MINOR", minor));
    let context = CommandContext {
        id: "a1".into(),
        routing_key: ACCOUNT.into(),
        actor: "api".into(),
        accepted_at: Timestamp::from_s(0).unwrap(),
    };
    state.decide::<Authorization>(vec![(context, command)]).unwrap().remove(0).unwrap()
}

#[test]
fn a_clearing_of_version_1_is_known_by_its_whole_amount() {
    assert_eq!(decided("c1", "900"), []);
}

#[test]
fn a_clearing_of_version_1_that_exceeded_the_hold_leaves_nothing_of_it() {
    let [event, over_captured] = &decided("c2", "10")[..] else { panic!("a clearing, and its excess") };
    assert_eq!(over_captured.kind, "OverCaptured");
    assert_eq!(event.schema_version, 3);
    let event = Event::decode(&event.kind, event.schema_version, &event.payload).unwrap();
    let Event::ClearingPosted(clearing) = event else { panic!("not a clearing: {event:?}") };
    assert_eq!((clearing.against_hold.get(), clearing.beyond_hold.get()), (0, 10));
}

#[test]
fn a_clearing_of_version_1_is_projected_whole_and_shown_in_the_newest_version() {
    let recorded = |(index, event): (u64, Encoded)| RecordedEvent {
        partition: 0,
        position: index,
        stream: "authorization-a1".into(),
        stream_version: index,
        event_id: format!("event-{index}"),
        correlation_id: "cause".into(),
        kind: event.kind,
        schema_version: event.schema_version,
        recorded_at: Timestamp::from_s(index).unwrap(),
        payload: event.payload,
    };
    let events: Vec<RecordedEvent> = (1..).zip(history()).map(recorded).collect();
    let changes = Payments::project(&events, Vec::new()).unwrap();
    let cell = |table: &str, row: usize, column: &str| {
        let described =
            Payments::describe().tables.into_iter().find(|described| described.name == table).unwrap();
        let column = described.columns.iter().position(|described| described.name == column).unwrap();
        rows(&changes, table)[row].values[column].clone()
    };
    assert_eq!(cell("payment", 0, "cleared_minor"), Value::Numeric("900".into()));
    assert_eq!(cell("account_asset", 0, "cleared_minor"), Value::Numeric("900".into()));
    assert_eq!(cell("payment_event", 1, "schema_version"), Value::Integer(3));
    let Value::Json(shown) = cell("payment_event", 1, "data") else { panic!("a timeline shows JSON") };
    assert!(shown.contains(r#""against_hold":"900","beyond_hold":"0""#), "{shown}");
}

fn rows<'a>(changes: &'a [Change], table: &str) -> Vec<&'a Row> {
    let upserted = |change: &'a Change| match change {
        Change::Upsert(row) if row.table == table => Some(row),
        _ => None,
    };
    changes.iter().filter_map(upserted).collect()
}

#[test]
fn the_assets_of_an_account_of_version_1_are_an_operators() {
    let opened =
        r#"{"account":"ACCOUNT","assets":[{"asset":"EURe","decimals":18}],"at":"2026-11-22T10:00:00.000Z"}"#;
    let mut state = StoredState::default();
    state.evolve::<Account>(&[encoded("AccountOpened", 1, opened)]).unwrap();
    let context = CommandContext {
        id: ACCOUNT.into(),
        routing_key: ACCOUNT.into(),
        actor: "api".into(),
        accepted_at: "2026-11-23T10:00:00.000Z".parse().unwrap(),
    };
    let open = |assets: &str| (context.clone(), encoded("OpenAccount", 1, assets));
    let same = open(r#"{"assets":[{"asset":"EURe","decimals":18}]}"#);
    let other = open(r#"{"assets":[{"asset":"USDC.e","decimals":6}]}"#);
    let [same, other] = &state.decide::<Account>(vec![same, other]).unwrap()[..] else {
        panic!("two outcomes")
    };
    assert_eq!(*same, Ok(Vec::new()));
    assert_eq!(other.as_ref().unwrap_err().code, "duplicate_mismatch");
}

/// A card's log from before cards had expiry dates, checks, and other spans than the transaction and the day.
#[test]
fn a_card_of_before_expiry_and_checks_decides_as_it_did() {
    let eure = |cents: &str| format!(r#"{{"minor":"{cents}0000000000000000","asset":"EURe","decimals":18}}"#);
    let rules = r#""rules":{"limits":[{"per":"day","amount":MOST}],"velocity":[],
        "categories":{"all_but":["7995"]},"countries":"all"}"#;
    let issue = format!(r#"{{"account":"ACCOUNT",{}}}"#, rules.replace("MOST", &eure("1000")));
    let spend = |id: &str, cents: &str| {
        format!(
            r#"{{"reservation_id":"{id}","authorization_id":"{id}","amount":{},
                "merchant":{{"id":"m1","name":"M","category":"5812","country":"DE"}}}}"#,
            eure(cents)
        )
    };
    let event = |payload: String, at: &str| {
        payload.replacen('{', &format!(r#"{{"account":"ACCOUNT","at":"{at}","#), 1)
    };
    let issued = issue.replacen('{', r#"{"at":"2026-11-22T10:00:00.000Z","#, 1);
    let mut state = StoredState::default();
    let log = [
        encoded("CardIssued", 1, &issued),
        encoded("SpendReserved", 1, &event(spend("r1", "600"), "2026-11-22T10:00:00.000Z")),
        encoded("SpendReserved", 1, &event(spend("r2", "300"), "2026-11-23T10:00:00.000Z")),
    ];
    state.evolve::<Card>(&log).unwrap();
    let context = CommandContext {
        id: "c1".into(),
        routing_key: ACCOUNT.into(),
        actor: "api".into(),
        accepted_at: "2026-11-23T11:00:00.000Z".parse().unwrap(),
    };
    let decided = [
        ("IssueCard", issue),
        ("ReserveSpend", spend("r2", "300")),
        ("ReserveSpend", spend("r3", "701")),
        ("ReserveSpend", spend("r4", "700")),
        ("CloseCard", "{}".to_owned()),
        ("ReserveSpend", spend("r5", "1")),
    ]
    .map(|(kind, payload)| (context.clone(), encoded(kind, 1, &payload)));
    let outcomes = state.decide::<Card>(decided.into()).unwrap();
    let said = |outcome: &Result<Vec<Encoded>, Rejection>| match outcome {
        Ok(events) => events.iter().map(|event| event.kind.clone()).collect(),
        Err(rejection) => rejection.code.clone(),
    };
    let said: Vec<String> = outcomes.iter().map(said).collect();
    assert_eq!(said, ["", "", "daily_limit", "SpendReserved", "CardClosed", "card_closed"]);
}

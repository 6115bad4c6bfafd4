//! Tests of rules that well-known processors have broken, one by one. The random histories check the same rules;
//! these tests show what goes wrong if one is broken.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

use clearfold_domain::account::{self, Account};
use clearfold_domain::authorization::{self, Authorization};
use clearfold_kernel::{CommandContext, Decider, Message, Minor, Timestamp};
use serde_json::{Value, json};

const ACCOUNT: &str = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const AT: &str = "2026-11-22T10:00:00.000Z";

fn amount(minor: u128) -> Value {
    json!({"minor": minor.to_string(), "asset": "EURe", "decimals": 18})
}

fn asset() -> clearfold_kernel::Asset {
    clearfold_kernel::Asset { code: "EURe".into(), decimals: 18 }
}

/// Stream that accepts commands.
struct Stream<D: Decider> {
    id: &'static str,
    state: D::State,
}

impl<D: Decider> Stream<D> {
    fn new(id: &'static str) -> Self {
        Self { id, state: D::State::default() }
    }

    /// Sends a command; returns the names of its events, or the code of the rejection.
    fn send(&mut self, kind: &str, payload: &Value) -> Result<Vec<String>, String> {
        let version = D::Command::TYPES.iter().find(|known| known.name == kind).expect("a known command");
        let command = D::Command::decode(kind, version.schema_version, payload.to_string().as_bytes());
        let is_by_chain = ["RecordDeposit", "BookFunding"].contains(&kind);
        let context = CommandContext {
            id: self.id.into(),
            routing_key: ACCOUNT.into(),
            actor: if is_by_chain { "chain".into() } else { "api".into() },
            accepted_at: AT.parse::<Timestamp>().expect("a time"),
        };
        let events = D::decide(&self.state, &command.expect("a sound payload"), &context)
            .map_err(|rejection| rejection.code)?;
        for event in &events {
            self.state = D::evolve(std::mem::take(&mut self.state), event);
        }
        Ok(events.iter().map(|event| event.encode().expect("an event can be written").kind).collect())
    }
}

/// Makes an approved payment of 100.
fn payment() -> Stream<Authorization> {
    let mut payment = Stream::new("auth-1");
    let request = json!({
        "message_id": "msg-1", "account": ACCOUNT, "card_id": "card-1", "amount": amount(100), "network": "visa",
        "merchant": {"id": "m", "name": "M", "category": "5411", "country": "DE"}, "partial_allowed": false,
        "occurred_at": AT,
    });
    payment.send("RequestAuthorization", &request).expect("a request");
    payment.send("ApproveAuthorization", &json!({"amount": amount(100)})).expect("an approval");
    payment
}

fn clearing(minor: u128) -> Value {
    json!({"clearing_id": "clr-1", "amount": amount(minor), "part": "final", "occurred_at": AT})
}

fn refund(id: &str, minor: u128) -> Value {
    json!({"account": ACCOUNT, "amount": amount(minor), "origin": {"network": id}, "occurred_at": AT})
}

/// Makes an account with a balance of 100.
fn account() -> Stream<Account> {
    let mut account = Stream::new(ACCOUNT);
    let opened = account.send("OpenAccount", &json!({"assets": [{"asset": "EURe", "decimals": 18}]}));
    opened.expect("an account");
    let hash = format!("0x{}", "01".repeat(32));
    let source = json!({
        "chain_id": 100, "block_hash": hash, "block_number": 1, "transaction_hash": hash, "log_index": 1,
    });
    let deposit = json!({"amount": amount(100), "source": source, "occurred_at": AT});
    account.send("RecordDeposit", &deposit).expect("a deposit");
    account
}

fn hold(id: &str, minor: u128) -> Value {
    json!({"hold_id": id, "amount": amount(minor), "forced": false})
}

fn booking(against_hold: u128) -> Value {
    json!({
        "clearing_id": "clr-1", "hold_id": "auth-1", "against_hold": against_hold.to_string(), "beyond_hold": "0",
        "released": "0", "asset": "EURe", "decimals": 18, "residue": {"over": "0", "under": "0"},
    })
}

#[test]
fn of_two_concurrent_refunds_the_second_sees_the_first() {
    let mut payment = payment();
    payment.send("PresentClearing", &clearing(100)).expect("a clearing");
    // Both were sent while nothing was refunded; the stream has one writer, so they are decided one after the other.
    assert_eq!(payment.send("RecordRefund", &refund("rfd-1", 60)), Ok(vec!["RefundLinked".into()]));
    // The network's word counts, so the second posts as well, and what exceeds the captured amount is stated.
    assert_eq!(payment.send("RecordRefund", &refund("rfd-2", 60)), Ok(vec!["RefundLinked".into()]));
    assert_eq!(payment.send("RecordRefund", &refund("rfd-4", 1)), Ok(vec!["RefundLinked".into()]));
    // A repeat of the first one is not another refund.
    assert_eq!(payment.send("RecordRefund", &refund("rfd-1", 60)), Ok(Vec::new()));
    let authorization::Subject::Payment(payment) = payment.state.subject else {
        panic!("there is a payment")
    };
    assert_eq!((payment.totals.captured(), payment.totals.refunded), (Minor::new(100), Minor::new(121)));
}

#[test]
fn holds_always_count_against_the_available_balance() {
    let mut account = account();
    account.send("PlaceHold", &hold("auth-1", 60)).expect("a hold");
    assert_eq!(account.send("PlaceHold", &hold("auth-2", 41)), Err("insufficient_funds".into()));
    let raise = json!({"hold_id": "auth-1", "change_id": "msg-2", "amount": amount(41), "forced": false});
    assert_eq!(account.send("RaiseHold", &raise), Err("insufficient_funds".into()));
    // A payment that could not be declined is held as well, even below zero; after that nothing else is held.
    let forced = json!({"hold_id": "auth-3", "amount": amount(50), "forced": true});
    account.send("PlaceHold", &forced).expect("a forced hold");
    assert_eq!(account.state.available(&asset()).to_string(), "-10");
    assert_eq!(account.send("PlaceHold", &hold("auth-4", 1)), Err("insufficient_funds".into()));
    // A clearing turns a part of the hold into a posting: the available balance does not change.
    account.send("BookClearing", &booking(20)).expect("a clearing");
    assert_eq!(account.state.available(&asset()).to_string(), "-10");
}

#[test]
fn a_rejected_hold_cannot_be_captured() {
    let mut account = account();
    assert_eq!(account.send("PlaceHold", &hold("auth-1", 101)), Err("insufficient_funds".into()));
    assert_eq!(account.send("BookClearing", &booking(1)), Err("hold_not_found".into()));
    // A void that arrives before its hold prevents it, and a prevented hold cannot be captured either.
    account.send("VoidHold", &json!({"hold_id": "auth-1"})).expect("a tombstone");
    assert_eq!(account.send("PlaceHold", &hold("auth-1", 10)), Ok(Vec::new()));
    assert_eq!(account.send("BookClearing", &booking(1)), Err("hold_not_found".into()));
    assert!(account::State::holds(&account.state).is_empty());
}

#[test]
fn an_increment_is_added_once() {
    let mut payment = payment();
    let increment = |minor| json!({"message_id": "msg-2", "amount": amount(minor), "occurred_at": AT});
    assert_eq!(payment.send("IncrementAuthorization", &increment(25)), Ok(vec!["IncrementRequested".into()]));
    let approval = json!({"message_id": "msg-2"});
    assert_eq!(payment.send("ApproveIncrement", &approval), Ok(vec!["HoldIncreased".into()]));
    assert_eq!(payment.send("ApproveIncrement", &approval), Ok(Vec::new()));
    assert_eq!(payment.send("IncrementAuthorization", &increment(25)), Ok(Vec::new()));
    assert_eq!(payment.send("IncrementAuthorization", &increment(26)), Err("duplicate_mismatch".into()));
    assert_eq!(payment.state.payment().expect("a payment").held(), Minor::new(125));

    let mut account = account();
    account.send("PlaceHold", &hold("auth-1", 50)).expect("a hold");
    let raise =
        |minor| json!({"hold_id": "auth-1", "change_id": "msg-2", "amount": amount(minor), "forced": false});
    assert_eq!(account.send("RaiseHold", &raise(25)), Ok(vec!["HoldRaised".into()]));
    assert_eq!(account.send("RaiseHold", &raise(25)), Ok(Vec::new()));
    assert_eq!(account.send("RaiseHold", &raise(26)), Err("duplicate_mismatch".into()));
    assert_eq!(account.state.pending(&asset()), Minor::new(75));
}

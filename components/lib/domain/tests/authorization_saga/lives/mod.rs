//! Whole lives of payments, one after the other. Each ends with nothing on its way.

mod amounts;
mod answers;
mod checks;
mod clearings;
mod course;
mod increments;
mod ledger;
mod partials;
mod pulls;
mod refunds;
mod returns;
mod reversals;
mod singles;
mod spends;

use clearfold_domain::account::LedgerAccount;
use clearfold_domain::authorization::Status;
use clearfold_kernel::{Asset, Decider, Message, Minor};
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::engine::Outcome;
use crate::live::Live;
use crate::world::{ACCOUNT, Answer, Command, Sent, World};

const AT: &str = "2026-11-22T10:00:00.000Z";
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Account of a customer with a card, both of which payments use.
struct Life {
    world: World,
    dice: Dice,
}

fn amount(minor: u128) -> Value {
    json!({"minor": minor.to_string(), "asset": "EURe", "decimals": 18})
}

fn asset() -> Asset {
    Asset { code: "EURe".into(), decimals: 18 }
}

fn merchant() -> Value {
    json!({"id": "m", "name": "M", "category": "5812", "country": "DE"})
}

fn source(number: u8) -> Value {
    let hash = |first: u8| format!("0x{first:02x}{}", format!("{number:02x}").repeat(31));
    json!({
        "chain_id": 100, "block_hash": hash(1), "block_number": 1, "transaction_hash": hash(2), "log_index": 1,
    })
}

fn rules(changes: &Value) -> Value {
    let mut rules = json!({"limits": [], "velocity": [], "categories": "all", "countries": "all"});
    for (name, rule) in changes.as_object().into_iter().flatten() {
        rules[name] = rule.clone();
    }
    rules
}

fn kinds<D: Decider>(live: &Live<D>) -> Vec<String> {
    live.events.iter().map(|event| event.encode().expect("an event can be written").kind).collect()
}

impl Life {
    /// Begins before anything is there.
    fn unknown() -> Self {
        Self { world: World::new(), dice: Dice::new(7) }
    }

    /// Begins with a card without limits, of an account that is not open.
    fn with_a_card_alone() -> Self {
        let mut life = Self::unknown();
        life.accepted(
            "card",
            "card-1",
            "IssueCard",
            &json!({"account": ACCOUNT, "rules": rules(&Value::Null)}),
        );
        life
    }

    /// Begins with an account of 1000 and a card without limits.
    fn new() -> Self {
        let mut life = Self::with_a_card_alone();
        life.accepted(
            "account",
            ACCOUNT,
            "OpenAccount",
            &json!({"assets": [{"asset": "EURe", "decimals": 18}]}),
        );
        let deposit = json!({"amount": amount(1000), "source": source(200), "occurred_at": AT});
        life.seen("account", ACCOUNT, "RecordDeposit", &deposit);
        life
    }

    fn tell(&mut self, aggregate: &str, id: &str, kind: &str, payload: &Value) -> Answer {
        let sent = Sent::new(Command::to(aggregate, id, kind, payload.to_string().as_bytes()));
        self.world.send(&sent).expect("the invariants hold")
    }

    fn accepted(&mut self, aggregate: &str, id: &str, kind: &str, payload: &Value) {
        let answer = self.tell(aggregate, id, kind, payload);
        assert!(answer.is_ok(), "{kind}: {answer:?}");
    }

    /// Reports what was seen on chain.
    fn seen(&mut self, aggregate: &str, id: &str, kind: &str, payload: &Value) {
        let command = Command::to(aggregate, id, kind, payload.to_string().as_bytes());
        let answer = self.world.send(&Sent::by_chain(command)).expect("the invariants hold");
        assert!(answer.is_ok(), "{kind}: {answer:?}");
    }

    /// Tells the payment something, and lets the saga do what follows.
    fn then(&mut self, kind: &str, payload: &Value) {
        self.accepted("authorization", "auth-1", kind, payload);
        self.settle();
    }

    fn settle(&mut self) {
        self.world.deliver_all(&mut self.dice).expect("nothing is parked");
        self.world.settled().expect("nothing is on its way");
    }

    fn request(&mut self, minor: u128) {
        self.begin("auth-1", minor);
        self.settle();
    }

    fn begin(&mut self, id: &str, minor: u128) {
        self.begin_checked(id, minor, &Value::Null);
    }

    /// Begins a payment with what the network states of card and holder.
    fn begin_checked(&mut self, id: &str, minor: u128, checks: &Value) {
        let mut request = json!({
            "message_id": format!("{id}/request"), "account": ACCOUNT, "card_id": "card-1", "amount": amount(minor),
            "network": "visa", "merchant": merchant(), "partial_allowed": true, "occurred_at": AT,
        });
        if !checks.is_null() {
            request["checks"] = checks.clone();
        }
        self.accepted("authorization", id, "RequestAuthorization", &request);
    }

    fn status(&self) -> Status {
        self.world.payment("auth-1").expect("a payment").status
    }

    /// Flags of the payment; for a declined one its reason.
    fn reason(&self) -> String {
        let flags = &self.world.payment("auth-1").expect("a payment").flags;
        flags.iter().map(ToString::to_string).collect()
    }

    fn available(&self) -> String {
        self.world.account.state.available(&asset()).to_string()
    }

    fn net(&self, account: LedgerAccount) -> String {
        self.world.account.state.ledger().expect("an account").net(&asset(), account).to_string()
    }

    /// Names of the account's events after those with which a life begins.
    fn booked(&self) -> Vec<String> {
        let begin = ["AccountOpened", "Deposited"];
        kinds(&self.world.account).into_iter().filter(|kind| !begin.contains(&kind.as_str())).collect()
    }

    fn counted(&self) -> Vec<String> {
        kinds(&self.world.cards["card-1"]).into_iter().filter(|kind| kind != "CardIssued").collect()
    }

    /// Flows that ended, without the searches for a `Spend`, which are before each leg, and for a clearing's hold.
    fn ended(&self) -> Vec<(&'static str, Outcome)> {
        let ended = self.world.instances["auth-1"].ended.iter();
        ended.filter(|(name, _)| !["match", "match-clearing"].contains(name)).copied().collect()
    }

    /// Does one thing of the payment's instance after the other until it asks for a command of this kind.
    fn until_asked(&mut self, kind: &str) {
        let asks = |life: &Self| {
            let asked = life.world.instances["auth-1"].asked();
            asked.iter().any(|(_, child)| child.message.kind == kind)
        };
        while !asks(self) {
            self.world.deliver(&mut self.dice).expect("the invariants hold");
            assert!(!self.world.queue.is_empty(), "{kind} is never asked for");
        }
    }

    fn wait(&mut self, ms: u64) {
        self.world.now_ms += ms;
        self.settle();
    }
}

fn full_reversal() -> Value {
    json!({"message_id": "rev-1", "extent": "full", "cause": "merchant", "occurred_at": AT})
}

fn reversal(id: &str, minor: u128) -> Value {
    json!({"message_id": id, "extent": {"part": minor.to_string()}, "cause": "merchant", "occurred_at": AT})
}

/// Reversal of a clearing by the network: of a part, or of all that is left.
fn taken_back(id: &str, clearing_id: &str, minor: Option<u128>) -> Value {
    let mut reversal =
        json!({"reversal_id": id, "clearing_id": clearing_id, "network": "visa", "occurred_at": AT});
    if let Some(minor) = minor {
        reversal["amount"] = amount(minor);
    }
    reversal
}

fn clearing(id: &str, minor: u128, part: &str) -> Value {
    json!({"clearing_id": id, "amount": amount(minor), "part": part, "reference": "ref-1", "occurred_at": AT})
}

fn advice(minor: u128) -> Value {
    json!({
        "message_id": "adv-1", "account": ACCOUNT, "card_id": "card-1", "amount": amount(minor),
        "merchant": merchant(), "network": "visa", "occurred_at": AT,
    })
}

fn force_post(minor: u128) -> Value {
    json!({
        "clearing_id": "clr-9", "account": ACCOUNT, "card_id": "card-1", "amount": amount(minor),
        "merchant": merchant(), "occurred_at": AT,
    })
}

fn swipe(minor: u128) -> Value {
    json!({"account": ACCOUNT, "amount": amount(minor), "source": source(1), "occurred_at": AT})
}

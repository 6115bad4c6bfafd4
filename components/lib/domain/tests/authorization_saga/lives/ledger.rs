//! Worked examples of the ledger: each is a life that the deciders and the saga lead, written down step by step in
//! `docs/ACCOUNTING.md`. `RECORD_EXAMPLES=1` writes the document's part behind the mark again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use clearfold_domain::account::{Event, Side};

use super::*;
use crate::chain::Weather;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/ACCOUNTING.md");
const MARK: &str = "<!-- The test `ledger` writes what follows. -->\n";

/// Ledger accounts in the order of the columns, with the names that the document uses.
const ACCOUNTS: [(LedgerAccount, &str); 8] = [
    (LedgerAccount::Customer, "customer"),
    (LedgerAccount::Safe, "safe"),
    (LedgerAccount::InTransit, "in_transit"),
    (LedgerAccount::Hold, "hold"),
    (LedgerAccount::Settlement, "settlement"),
    (LedgerAccount::Suspense, "suspense"),
    (LedgerAccount::Receivable, "receivable"),
    (LedgerAccount::Loss, "loss"),
];

/// Life that is written down.
struct Example {
    title: &'static str,
    words: &'static str,
    life: Life,
    rows: Vec<Row>,
    /// Number of the account's events that were written down.
    written: usize,
}

/// State of the books behind a step.
struct Row {
    step: &'static str,
    events: Vec<String>,
    transfers: Vec<String>,
    held: String,
    available: String,
    net: Vec<String>,
}

impl Example {
    fn of(title: &'static str, words: &'static str, life: Life) -> Self {
        let mut example = Self { title, words, life, rows: Vec::new(), written: 0 };
        example.write("1,000 are in the Safe");
        example
    }

    /// Begins with a host that does not pull: the test says what the chain shows.
    fn seen(title: &'static str, words: &'static str) -> Self {
        Self::of(title, words, Life::new())
    }

    /// Begins with a host whose pulls are executed.
    fn pulled(title: &'static str, words: &'static str) -> Self {
        let mut life = Life::new();
        life.world.offers_pulls = true;
        life.world.chain.weather = Weather::Fair;
        Self::of(title, words, life)
    }

    fn step(mut self, step: &'static str, then: impl FnOnce(&mut Life)) -> Self {
        then(&mut self.life);
        self.life.settle();
        self.write(step);
        self
    }

    fn tell(self, step: &'static str, kind: &str, payload: &Value) -> Self {
        self.step(step, |life| life.then(kind, payload))
    }

    /// Settles with the network, and checks that nothing is open behind it.
    fn settled(self, direction: &str, minor: u128) -> Self {
        let settlement = json!({"settlement_id": "set-1", "direction": direction, "amount": amount(minor)});
        let step = if direction == "paid" { "settled with the network" } else { "the network pays" };
        let example =
            self.step(step, |life| life.accepted("account", ACCOUNT, "RecordSettlement", &settlement));
        let open = [LedgerAccount::Settlement, LedgerAccount::Suspense, LedgerAccount::InTransit];
        for account in open {
            assert_eq!(example.life.net(account), "0", "{}: {account:?}", example.title);
        }
        example
    }

    fn write(&mut self, step: &'static str) {
        let account = &self.life.world.account;
        let new = &account.events[self.written..];
        let mut transfers: BTreeMap<(String, String), u128> = BTreeMap::new();
        let mut events: Vec<String> = Vec::new();
        for event in new.iter().filter(|event| !matches!(event, Event::AccountOpened(_))) {
            let event = event.encode().expect("an event can be written");
            if events.last() != Some(&event.kind) {
                events.push(event.kind.clone());
            }
            let payload: Value = serde_json::from_slice(&event.payload).expect("JSON");
            for transfer in payload["transfers"].as_array().into_iter().flatten() {
                let name = |side: &str| transfer[side].as_str().expect("a ledger account").to_owned();
                let minor: u128 = transfer["minor"].as_str().expect("digits").parse().expect("an amount");
                *transfers.entry((name("debit"), name("credit"))).or_default() += minor;
            }
        }
        let transfers = transfers
            .into_iter()
            .map(|((debit, credit), minor)| format!("{debit} → {credit} {}", grouped(&minor.to_string())));
        let row = Row {
            step,
            events,
            transfers: transfers.collect(),
            held: account.state.pending(&asset()).to_string(),
            available: self.life.available(),
            net: ACCOUNTS.iter().map(|(account, _)| self.life.net(*account)).collect(),
        };
        self.written = account.events.len();
        self.rows.push(row);
    }

    fn render(&self) -> String {
        let shown: Vec<usize> =
            (0..ACCOUNTS.len()).filter(|&index| self.rows.iter().any(|row| row.net[index] != "0")).collect();
        let names = shown.iter().map(|&index| ACCOUNTS[index].1);
        let head: Vec<&str> = ["step", "account's events", "debit → credit", "held", "available"]
            .into_iter()
            .chain(names)
            .collect();
        let mut text = format!("\n## {}\n\n{}\n\n", self.title, self.words);
        let line = |text: &mut String, cells: &[String]| writeln!(text, "| {} |", cells.join(" | "));
        line(&mut text, &head.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("text");
        line(&mut text, &vec!["---".to_owned(); head.len()]).expect("text");
        for row in &self.rows {
            let events: Vec<String> = row.events.iter().map(|kind| format!("`{kind}`")).collect();
            let mut cells = vec![row.step.to_owned(), events.join(", "), row.transfers.join("; ")];
            cells.extend([&row.held, &row.available].map(|figure| grouped(figure)));
            cells.extend(shown.iter().map(|&index| grouped(&row.net[index])));
            line(&mut text, &cells).expect("text");
        }
        text.push_str(&self.t_accounts(&shown));
        text
    }

    /// Writes the sums of both sides of each ledger account.
    fn t_accounts(&self, shown: &[usize]) -> String {
        let mut text = "\n| T-account | debits | credits | balance |\n|---|---|---|---|\n".to_owned();
        let ledger = self.life.world.account.state.ledger().expect("an account");
        let mut sums = (Minor::ZERO, Minor::ZERO);
        for (account, name) in shown.iter().map(|&index| ACCOUNTS[index]) {
            let balance = ledger.balance(&asset(), account);
            sums =
                (sums.0.plus(balance.debits).expect("a sum"), sums.1.plus(balance.credits).expect("a sum"));
            let side = if account.normal_side() == Side::Debit { "debit" } else { "credit" };
            let [debits, credits] =
                [balance.debits, balance.credits].map(|minor| grouped(&minor.to_string()));
            let net = self.life.net(account);
            let net = if net == "0" { net } else { format!("{} {side}", grouped(&net)) };
            writeln!(text, "| {name} | {debits} | {credits} | {net} |").expect("text");
        }
        assert_eq!(sums.0, sums.1, "{}: debits equal credits", self.title);
        text
    }
}

/// Groups digits by thousands. Zero is not shown.
fn grouped(figure: &str) -> String {
    let (sign, digits) = figure.strip_prefix('-').map_or(("", figure), |digits| ("−", digits));
    if digits == "0" {
        return String::new();
    }
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).expect("digits")).collect();
    format!("{sign}{}", groups.join(","))
}

fn increment(minor: u128) -> Value {
    json!({"message_id": "increment-1", "amount": amount(minor), "basis": "addition", "occurred_at": AT})
}

fn back(number: u8, minor: u128) -> Value {
    json!({"account": ACCOUNT, "amount": amount(minor), "origin": {"chain": source(number)}, "occurred_at": AT})
}

fn refund(minor: u128) -> Value {
    json!({"account": ACCOUNT, "amount": amount(minor), "origin": {"network": "rfd-1"}, "occurred_at": AT})
}

fn purchases() -> Vec<Example> {
    vec![
        Example::pulled(
            "A restaurant with a tip",
            "The guest adds a tip after the authorization. The claim exceeds the hold within the tolerance, and what the \
             hold did not cover is pulled by a second leg.",
        )
        .step("asked for 100 and pulled", |life| life.request(100))
        .tell("claimed, with the tip", "PresentClearing", &clearing("clr-1", 115, "final"))
        .settled("paid", 115),
        Example::pulled(
            "A hotel",
            "The stay is longer than planned, so the hotel asks for more, and claims less in the end. Each request is \
             pulled by a leg of its own. What was pulled too much is owed back; its transfer to the Safe looks like a \
             refund on chain, and is withheld until an operator says that it is the return.",
        )
        .step("asked for 300 and pulled", |life| life.request(300))
        .tell("an increment of 200", "IncrementAuthorization", &increment(200))
        .tell("claimed", "PresentClearing", &clearing("clr-1", 450, "final"))
        .step("50 are sent back to the Safe", |life| {
            life.seen("authorization", "refund-1", "RecordRefund", &back(9, 50));
        })
        .step("that is the return", |life| {
            let returned = json!({"outcome": "returned", "payment_id": "auth-1"});
            life.accepted("authorization", "refund-1", "ResolveRefund", &returned);
        })
        .settled("paid", 450),
        Example::seen(
            "A fuel dispenser",
            "The pump asks for the most that it sells. Its completion advice says what was sold, and the hold goes down \
             to that.",
        )
        .step("asked for 100", |life| life.request(100))
        .tell("the completion: 42 were sold", "RecordAdvice", &advice(42))
        .tell("claimed", "PresentClearing", &clearing("clr-1", 42, "final"))
        .settled("paid", 42),
        Example::pulled(
            "A split shipment",
            "The merchant claims each parcel by itself, and the hold goes down by what is claimed.",
        )
        .step("asked for 500 and pulled", |life| life.request(500))
        .tell("the first parcel", "PresentClearing", &clearing("clr-1", 200, "partial"))
        .tell("the last parcel", "PresentClearing", &clearing("clr-2", 300, "final"))
        .settled("paid", 500),
        Example::pulled(
            "A cash machine",
            "The machine asks for 100 and a surcharge of 3 in a single message: the request is the claim as well, so hold \
             and claim are booked in one turn. The machine pays out only 60, and a reversal of the rest takes back that \
             part of the claim.",
        )
        .tell("asked for 103, claimed and pulled", "RequestAuthorization", &singles::single(103))
        .tell("40 were not paid out", "ReverseAuthorization", &reversal("rev-1", 40))
        .step("40 are sent back to the Safe", |life| {
            life.seen("authorization", "refund-1", "RecordRefund", &back(9, 40));
        })
        .step("that is the return", |life| {
            let returned = json!({"outcome": "returned", "payment_id": "auth-1"});
            life.accepted("authorization", "refund-1", "ResolveRefund", &returned);
        })
        .settled("paid", 63),
        Example::seen(
            "A cash machine that hears no answer",
            "The answer is lost, so the network reverses the whole request. The claim is taken back.",
        )
        .tell("asked for 103 and claimed", "RequestAuthorization", &singles::single(103))
        .tell("the time-out", "ReverseAuthorization", &singles::timeout()),
        Example::pulled(
            "A claim after the hold expired",
            "The hold ends by time, and what was pulled for it is owed back. The merchant claims all the same, and a first \
             presentment always posts: the money that was not sent back yet pays for it.",
        )
        .step("asked for 100 and pulled", |life| life.request(100))
        .step("seven days later", |life| life.wait(7 * DAY_MS))
        .tell("claimed late", "PresentClearing", &clearing("clr-1", 100, "final"))
        .settled("paid", 100),
        Example::pulled(
            "A purchase that is reversed after its pull",
            "The merchant gives everything back. The money has left the Safe by then, so it is owed back, and its return \
             is no credit.",
        )
        .step("asked for 100 and pulled", |life| life.request(100))
        .tell("reversed", "ReverseAuthorization", &full_reversal())
        .step("100 are sent back to the Safe", |life| {
            life.seen("authorization", "refund-1", "RecordRefund", &back(9, 100));
        })
        .step("that is the return", |life| {
            let returned = json!({"outcome": "returned", "payment_id": "auth-1"});
            life.accepted("authorization", "refund-1", "ResolveRefund", &returned);
        }),
    ]
}

/// Begins with a purchase of 100 that is claimed, disputed and credited.
fn disputed(title: &'static str, words: &'static str) -> Example {
    Example::pulled(title, words)
        .step("asked for 100 and pulled", |life| life.request(100))
        .tell("claimed", "PresentClearing", &clearing("clr-1", 100, "final"))
        .tell(
            "disputed",
            "OpenDispute",
            &json!({"dispute_id": "dsp-1", "amount": amount(100), "reason": "fraud"}),
        )
        .tell("submitted", "AdvanceDispute", &json!({"dispute_id": "dsp-1", "stage": "submitted"}))
        .tell("provisional credit", "GrantProvisionalCredit", &json!({"dispute_id": "dsp-1"}))
}

fn in_cycles() -> Vec<Example> {
    let money = |record_id: &str, cycle: &str, minor: u128| {
        json!({"record_id": record_id, "dispute_id": "dsp-1", "network": "visa", "cycle": cycle,
               "amount": amount(minor), "occurred_at": AT})
    };
    let won = json!({"dispute_id": "dsp-1", "outcome": "won"});
    vec![
        disputed(
            "A dispute that is won at its chargeback",
            "The network states the money of each cycle. The chargeback is received and waits in suspense; the merchant \
             does not contest it, so it pays for the provisional credit.",
        )
        .tell("charged back", "RecordDisputeMoney", &money("cbk-1", "chargeback", 100))
        .tell("won", "ResolveDispute", &won),
        disputed(
            "A dispute that is lost after its representment",
            "The merchant contests the chargeback, and the network takes the money again. We do not go on: the customer \
             gives the provisional credit back.",
        )
        .tell("charged back", "RecordDisputeMoney", &money("cbk-1", "chargeback", 100))
        .tell("represented", "RecordDisputeMoney", &money("rep-1", "representment", 100))
        .tell("lost", "ResolveDispute", &json!({"dispute_id": "dsp-1", "outcome": "lost"}))
        .settled("paid", 100),
        disputed(
            "A dispute that is withdrawn",
            "The network gives a part of the chargeback, and we withdraw instead of going on. The customer keeps the \
             credit; what the network's money lacks of it is the processor's loss.",
        )
        .tell("charged back in part", "RecordDisputeMoney", &money("cbk-1", "chargeback", 40))
        .tell("withdrawn", "RecordDisputeMoney", &money("wdr-1", "withdrawal", 0))
        .tell("won", "ResolveDispute", &won)
        .settled("paid", 60),
    ]
}

fn after_the_claim() -> Vec<Example> {
    vec![
        Example::pulled(
            "A refund",
            "The merchant gives a part back; the customer is credited at once, and the network is paid the difference. \
             The refunded money stays at the processor until it is paid out to the Safe.",
        )
        .step("asked for 100 and pulled", |life| life.request(100))
        .tell("claimed", "PresentClearing", &clearing("clr-1", 100, "final"))
        .tell("40 are refunded", "RecordRefund", &refund(40))
        .settled("paid", 60),
        Example::pulled(
            "A clearing that is corrected",
            "The merchant presents a wrong amount. The network takes the clearing back, and the right one comes as a new \
             record. The pulled money pays for it; what is too much is owed back.",
        )
        .step("asked for 100 and pulled", |life| life.request(100))
        .tell("claimed", "PresentClearing", &clearing("clr-1", 100, "final"))
        .tell("taken back by the network", "ReverseClearing", &taken_back("rvl-1", "clr-1", None))
        .tell("claimed anew", "PresentClearing", &clearing("clr-2", 80, "final"))
        .step("20 are sent back to the Safe", |life| {
            life.seen("authorization", "refund-1", "RecordRefund", &back(9, 20));
        })
        .step("that is the return", |life| {
            let returned = json!({"outcome": "returned", "payment_id": "auth-1"});
            life.accepted("authorization", "refund-1", "ResolveRefund", &returned);
        })
        .settled("paid", 80),
        Example::pulled(
            "A refund that is taken back",
            "The network takes a refund back that was paid out already. The money stays in the Safe, and the customer's \
             claim is less by it; the processor has paid it.",
        )
        .step("asked for 100 and pulled", |life| life.request(100))
        .tell("claimed", "PresentClearing", &clearing("clr-1", 100, "final"))
        .tell("40 are refunded", "RecordRefund", &refund(40))
        .step("40 are paid out to the Safe", |life| {
            life.seen("authorization", "refund-1", "RecordRefund", &back(9, 40));
        })
        .tell(
            "taken back by the network",
            "ReverseRefund",
            &json!({"reversal_id": "rvl-1", "refund_id": "rfd-1", "network": "visa", "occurred_at": AT}),
        )
        .settled("paid", 100),
        disputed(
            "A chargeback that is won",
            "The customer has a provisional credit until the network decides. What is awarded pays for it. The \
             pulled money stays at the processor until it is paid out to the Safe.",
        )
        .tell("won", "ResolveDispute", &json!({"dispute_id": "dsp-1", "outcome": "won", "awarded": amount(100)})),
        disputed(
            "A chargeback that is lost",
            "The provisional credit is taken back, and the claim stands.",
        )
        .tell("lost", "ResolveDispute", &json!({"dispute_id": "dsp-1", "outcome": "lost"}))
        .settled("paid", 100),
        Example::pulled(
            "A second claim that looks like the first",
            "Two equal claims that neither is said to be a part are one until an operator knows better: the second waits \
             in suspense. Here it turns out to be a purchase of its own.",
        )
        .step("asked for 100 and pulled", |life| life.request(100))
        .tell("claimed", "PresentClearing", &clearing("clr-1", 50, "partial"))
        .tell("the same again", "PresentClearing", &clearing("clr-2", 50, "partial"))
        .tell("charged", "ResolveClearing", &json!({"clearing_id": "clr-2", "outcome": "charged"}))
        .settled("paid", 100),
    ]
}

fn on_chain() -> Vec<Example> {
    let observed = |observation: &Value| json!({"observation": observation, "occurred_at": AT});
    let observe = |observation: Value| {
        let payload = observed(&observation);
        move |life: &mut Life| life.seen("authorization", "auth-1", "ObserveFunding", &payload)
    };
    vec![
        Example::seen(
            "The chain first",
            "Another processor submits the `Spend` before the network asks. It is held once, and the request takes that \
             hold for its own ([two doors, one payment](PAYMENT_MODEL.md#two-doors-one-payment)).",
        )
        .step("a `Spend` of 500 is seen", |life| {
            let spent = json!({"account": ACCOUNT, "amount": amount(500), "source": source(1), "occurred_at": AT});
            life.seen("authorization", "spend-1", "RecordSwipe", &spent);
        })
        .step("asked for 500, and linked", |life| life.request(500))
        .tell("claimed", "PresentClearing", &clearing("clr-1", 500, "final")),
        Example::seen(
            "The network first",
            "The network asks, and another processor submits the `Spend`. The account matches the two, and the `Spend` is \
             a leg of the payment.",
        )
        .step("asked for 500", |life| life.request(500))
        .step("a `Spend` of 500 is seen, and linked", |life| {
            let spent = json!({"account": ACCOUNT, "amount": amount(500), "source": source(1), "occurred_at": AT});
            life.seen("authorization", "spend-1", "RecordSwipe", &spent);
        })
        .tell("claimed", "PresentClearing", &clearing("clr-1", 500, "final")),
        Example::seen(
            "A pull whose block is replaced",
            "The block of the pull is reorganized away, and the transaction is in the next one.",
        )
        .step("asked for 100", |life| life.request(100))
        .step("in a block", observe(json!({"included": {"amount": amount(100), "source": source(1)}})))
        .step("the block is gone", observe(json!({"reorged": {"source": source(1)}})))
        .step("in another block", observe(json!({"included": {"amount": amount(100), "source": source(2)}})))
        .step("final", observe(json!({"finalized": {"source": source(2)}})))
        .tell("claimed", "PresentClearing", &clearing("clr-1", 100, "final"))
        .settled("paid", 100),
        Example::seen(
            "A clearing that names no known payment",
            "The clearing has its card, its merchant and its amount, and another id than the request. It posts at once, and \
             is linked to the payment whose hold it fits. Here that was wrong, an operator says so, and the right claim \
             comes ([unlinked clearings](PAYMENT_MODEL.md#unlinked-clearings)).",
        )
        .step("asked for 100", |life| life.request(100))
        .step("an unknown clearing of 100, and linked", |life| {
            life.accepted("authorization", "odd-1", "PresentClearing", &super::clearings::odd(100, &Value::Null));
        })
        .tell("given up by an operator", "GiveUpClearing", &json!({"posted_on": "odd-1"}))
        .tell("claimed", "PresentClearing", &clearing("clr-2", 100, "final"))
        .settled("paid", 200),
        Example::seen(
            "A stand-in approves more than there is",
            "The network approved while the processor did not answer. The claim is a fact: it posts, and what is \
             available goes below zero until the customer pays in.",
        )
        .tell("a stand-in approves 1,200", "RecordAdvice", &advice(1_200))
        .tell("claimed", "PresentClearing", &clearing("clr-1", 1_200, "final"))
        .step("300 are paid in", |life| {
            let deposit = json!({"amount": amount(300), "source": source(201), "occurred_at": AT});
            life.seen("account", ACCOUNT, "RecordDeposit", &deposit);
        })
        .settled("paid", 1_200),
    ]
}

#[test]
fn ledger() {
    let examples: Vec<Example> =
        purchases().into_iter().chain(after_the_claim()).chain(in_cycles()).chain(on_chain()).collect();
    let rendered: String = examples.iter().map(Example::render).collect();
    let text = fs::read_to_string(DOCUMENT).expect("the document is there");
    let (before, written) = text.split_once(MARK).expect("the document has the mark");
    if std::env::var_os("RECORD_EXAMPLES").is_some() {
        fs::write(DOCUMENT, format!("{before}{MARK}{rendered}")).expect("the document can be written");
        return;
    }
    assert_eq!(written, rendered, "write docs/ACCOUNTING.md again with RECORD_EXAMPLES=1, and read it");
}

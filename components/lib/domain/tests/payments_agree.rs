//! Test that the payments projection can project every event that an authorization's decider produces, and that its
//! row agrees with the decider's state. The two fold the same events independently, so one checks the other.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly, in its helpers too")]

use std::collections::BTreeMap;

use clearfold_domain::authorization::{
    AbandonCause, AbandonFunding, ApproveAuthorization, ApproveIncrement, Authorization, Command,
    DeclineAuthorization, DeclineIncrement, DismissRecordReversal, Event, ExpireAuthorization, Extent,
    FlagPayment, ForcePost, Funding, IncrementAuthorization, IncrementBasis, Observation, ObserveFunding,
    Part, Payment, PresentClearing, RecordAdvice, RecordRefund, RecordSwipe, RefundOrigin,
    RequestAuthorization, Resolution, ResolveClearing, ResolveRefund, ReversalCause, ReverseAuthorization,
    ReverseClearing, ReverseRefund, State, Status,
};
use clearfold_domain::network::{Merchant, MerchantCategory, Network, RefundOutcome, SuspenseOutcome};
use clearfold_domain::payments::Payments;
use clearfold_domain::policy::DeclineReason;
use clearfold_kernel::{
    Address, Amount, Asset, ChainSource, Change, Column, ColumnRule, CommandContext, Decider, ExternalId,
    Hash, Message, Minor, Projector, RecordedEvent, Row, RowKey, Table, Timestamp, Value,
};
use proptest::prelude::*;

const ACCOUNT: Address = Address([0xaa; 20]);
const TRANSACTION: Hash = Hash([2; 32]);

/// Step of a history: kind of command, id that it bears, and amount in minor units.
#[derive(Debug, Clone, Copy)]
struct Step {
    command: u8,
    id: u8,
    minor: u16,
}

const COMMANDS: u8 = 36;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step =
        (0..COMMANDS, 0..4_u8, 1..1_000_u16).prop_map(|(command, id, minor)| Step { command, id, minor });
    proptest::collection::vec(step, 1..60)
}

fn command(step: Step, at: Timestamp) -> Command {
    let id: ExternalId = format!("i{}", step.id).parse().unwrap();
    let asset = Asset { code: "EURe".into(), decimals: 18 };
    let amount = Amount { minor: Minor::new(step.minor.into()), asset };
    let source = source(step.id);
    let leg = if step.minor.is_multiple_of(3) { 2 } else { 1 };
    let observed =
        |observation| Command::ObserveFunding(ObserveFunding { leg, observation, occurred_at: at });
    let present = |part| {
        let (clearing_id, amount) = (id.clone(), amount.clone());
        let claim = PresentClearing {
            clearing_id,
            amount,
            presented: None,
            reference: None,
            part,
            occurred_at: at,
            details: None,
            network_fees: None,
        };
        Command::PresentClearing(claim)
    };
    let reverse = |extent| {
        let (message_id, cause) = (id.clone(), ReversalCause::Merchant);
        Command::ReverseAuthorization(ReverseAuthorization {
            message_id,
            extent,
            cause,
            occurred_at: at,
            details: None,
            candidates: Vec::new(),
        })
    };
    match step.command {
        0 => Command::RecordSwipe(RecordSwipe { account: ACCOUNT, amount, source, occurred_at: at }),
        1..=3 => Command::RequestAuthorization(request(id, amount, at)),
        4 => Command::ApproveAuthorization(ApproveAuthorization { amount }),
        5 => Command::ApproveAuthorization(ApproveAuthorization { amount: whole(amount) }),
        6 => Command::DeclineAuthorization(DeclineAuthorization { reason: DeclineReason::Velocity }),
        7 => Command::IncrementAuthorization(IncrementAuthorization {
            message_id: id,
            amount,
            basis: if step.minor.is_multiple_of(2) {
                IncrementBasis::Addition
            } else {
                IncrementBasis::Total
            },
            occurred_at: at,
            details: None,
        }),
        30 => Command::AbandonFunding(AbandonFunding { leg, cause: AbandonCause::Dead }),
        27 | 28 => Command::ApproveIncrement(ApproveIncrement { message_id: id }),
        29 => {
            let reason = DeclineReason::InsufficientFunds;
            Command::DeclineIncrement(DeclineIncrement { message_id: id, reason })
        }
        8 => reverse(Extent::Full),
        9 => reverse(Extent::Part(amount.minor)),
        10 => Command::ExpireAuthorization(ExpireAuthorization {}),
        11 => Command::RecordAdvice(advice(id, amount, at)),
        12 => present(Part::Partial),
        13 => present(Part::Final),
        14 => Command::ForcePost(force_post(id, amount, at)),
        15 => {
            let origin = RefundOrigin::Network(id);
            Command::RecordRefund(RecordRefund {
                account: ACCOUNT,
                amount,
                origin,
                occurred_at: at,
                details: None,
                known_only: false,
                network_fees: None,
            })
        }
        16 => observed(Observation::Submitted { transaction_hash: TRANSACTION }),
        17 => observed(Observation::Included { amount, source }),
        18 => observed(Observation::Reorged { source }),
        19 => observed(Observation::Reverted { transaction_hash: TRANSACTION }),
        20 => observed(Observation::Dropped { transaction_hash: TRANSACTION }),
        21 => observed(Observation::Finalized { source }),
        22 => suspicious(&id, amount, at),
        23 | 24 => {
            let outcome =
                if step.command == 23 { SuspenseOutcome::Charged } else { SuspenseOutcome::Returned };
            let clearing_id = format!("again-{id}").parse().unwrap();
            Command::ResolveClearing(ResolveClearing { clearing_id, outcome })
        }
        31 | 32 => {
            let clearing_id = if step.minor.is_multiple_of(5) { "again-i1".parse().unwrap() } else { id };
            // Reversals are fewer than the clearings that they name, and some state no amount.
            let reversal_id = format!("back-{}", step.minor % 7).parse().unwrap();
            let amount = (step.command == 31).then_some(amount);
            let network = Network::Visa;
            let reversal =
                ReverseClearing { reversal_id, clearing_id, network, amount, occurred_at: at, details: None };
            Command::ReverseClearing(reversal)
        }
        34 | 35 => {
            let reversal_id = format!("back-{}", step.minor % 7).parse().unwrap();
            let amount = (step.command == 34).then_some(amount);
            let (refund_id, network) = (id, Network::Visa);
            let reversal = ReverseRefund {
                reversal_id,
                refund_id,
                network,
                amount,
                occurred_at: at,
                details: None,
                known_only: false,
            };
            Command::ReverseRefund(reversal)
        }
        33 => {
            let reversal_id = format!("back-{}", step.minor % 7).parse().unwrap();
            Command::DismissRecordReversal(DismissRecordReversal { reversal_id })
        }
        25 => Command::ResolveRefund(ResolveRefund { outcome: RefundOutcome::TakenBack, payment_id: None }),
        _ => Command::FlagPayment(FlagPayment { reason: DeclineReason::CardFrozen }),
    }
}

fn source(id: u8) -> ChainSource {
    ChainSource {
        chain_id: 100,
        block_hash: Hash([id; 32]),
        block_number: 1,
        transaction_hash: TRANSACTION,
        log_index: 0,
    }
}

fn merchant() -> Merchant {
    Merchant {
        id: "m1".parse().unwrap(),
        name: "Korn".into(),
        category: MerchantCategory::new(5462).unwrap(),
        country: "DE".to_owned().try_into().unwrap(),
    }
}

fn card_id() -> ExternalId {
    "card-1".parse().unwrap()
}

/// Returns the amount that requests are for: 500, and at times zero, which verifies the card.
fn whole(amount: Amount) -> Amount {
    let minor = if amount.minor.get().is_multiple_of(4) { 0 } else { 500 };
    Amount { minor: Minor::new(minor), ..amount }
}

/// Request for a fixed amount, which an approval may agree with or stay below.
fn request(message_id: ExternalId, amount: Amount, at: Timestamp) -> RequestAuthorization {
    RequestAuthorization {
        message_id,
        account: ACCOUNT,
        card_id: card_id(),
        amount: whole(amount),
        presented: None,
        merchant: merchant(),
        network: Network::Visa,
        partial_allowed: true,
        occurred_at: at,
        checks: None,
        details: None,
        single_message: false,
    }
}

fn advice(message_id: ExternalId, amount: Amount, at: Timestamp) -> RecordAdvice {
    RecordAdvice {
        message_id,
        account: ACCOUNT,
        card_id: card_id(),
        amount,
        merchant: merchant(),
        network: Network::Mastercard,
        occurred_at: at,
        details: None,
        single_message: false,
    }
}

fn force_post(clearing_id: ExternalId, amount: Amount, at: Timestamp) -> ForcePost {
    ForcePost {
        clearing_id,
        account: ACCOUNT,
        card_id: card_id(),
        amount,
        presented: None,
        merchant: merchant(),
        occurred_at: at,
    }
}

/// Makes a claim that looks like a duplicate of every other claim made here.
fn suspicious(id: &ExternalId, amount: Amount, at: Timestamp) -> Command {
    Command::PresentClearing(PresentClearing {
        clearing_id: format!("again-{id}").parse().unwrap(),
        amount: Amount { minor: Minor::new(100), ..amount },
        presented: None,
        reference: Some("r1".parse().unwrap()),
        part: Part::Partial,
        occurred_at: at,
        details: None,
        network_fees: None,
    })
}

/// Read store: rows by table and key.
#[derive(Default)]
struct Store(BTreeMap<String, Row>);

impl Store {
    fn project(&mut self, event: &RecordedEvent) {
        let events = std::slice::from_ref(event);
        let keys = Payments::keys(events).unwrap();
        let fetched = keys.iter().filter_map(|RowKey { table, key }| self.0.get(&format!("{table} {key:?}")));
        let fetched = fetched.cloned().collect();
        for change in Payments::project(events, fetched).unwrap() {
            let Change::Upsert(row) = change else { panic!("nothing is deleted") };
            let table = table(&row.table);
            table.columns.iter().zip(&row.values).for_each(|(column, value)| satisfies(column, value));
            let keys = table.primary_key.len();
            self.0.insert(format!("{} {:?}", row.table, &row.values[..keys]), row);
        }
    }

    fn cell(&self, name: &str, column: &str) -> Option<Value> {
        let row = self.0.values().find(|row| row.table == name)?;
        let index = table(name).columns.iter().position(|described| described.name == column);
        Some(row.values[index.unwrap()].clone())
    }
}

/// Checks the rule that the database enforces.
fn satisfies(column: &Column, value: &Value) {
    let number = match value {
        Value::Integer(number) => i128::from(*number),
        Value::Numeric(number) => number.parse().unwrap(),
        _ => return,
    };
    let least = match column.rule {
        Some(ColumnRule::Positive) => 1,
        Some(ColumnRule::NonNegative) => 0,
        _ => return,
    };
    assert!(number >= least, "{} is {number}", column.name);
}

fn table(name: &str) -> Table {
    Payments::describe().tables.into_iter().find(|table| table.name == name).unwrap()
}

fn recorded(stream_version: u64, event: &Event) -> RecordedEvent {
    let encoded = event.encode().unwrap();
    RecordedEvent {
        partition: 0,
        position: stream_version,
        stream: "authorization-p1".into(),
        stream_version,
        event_id: format!("event-{stream_version}"),
        correlation_id: "cause".into(),
        kind: encoded.kind,
        schema_version: encoded.schema_version,
        recorded_at: Timestamp::from_s(0).unwrap(),
        payload: encoded.payload,
    }
}

fn status(state: &State, payment: &Payment) -> &'static str {
    let is_claimed = payment.totals.captured() > Minor::ZERO || state.taken_back() > Minor::ZERO;
    match payment.status {
        status if status.is_open() && is_claimed => "partially_cleared",
        Status::Requested => "requested",
        Status::Declined => "declined",
        Status::Recorded => "recorded",
        Status::Authorized => "authorized",
        Status::PartiallyAuthorized => "partially_authorized",
        Status::Advised => "advised",
        Status::Reversed => "reversed",
        Status::Cleared => "cleared",
        Status::Expired => "expired",
        Status::ClearedLate => "cleared_late",
        Status::ForcePosted => "force_posted",
        Status::Linked => "linked",
    }
}

/// Returns the projection's word for the funding of a leg.
fn funding(funding: &Funding) -> &'static str {
    match funding {
        Funding::None => "none",
        Funding::Unsubmitted => "unsubmitted",
        Funding::Unconfirmed { .. } => "unconfirmed",
        Funding::Included { .. } => "included",
        Funding::Finalized { .. } => "finalized",
        Funding::ExecReverted { .. } => "exec_reverted",
        Funding::Dropped { .. } => "dropped",
        Funding::Abandoned => "abandoned",
    }
}

/// Returns what stands of the unlinked refund beside which the payment began.
fn unlinked(state: &State) -> Minor {
    let Some(refund) = state.unlinked() else { return Minor::ZERO };
    let stands = match &refund.resolution {
        Resolution::Open => true,
        Resolution::Resolved { outcome, .. } => *outcome == RefundOutcome::Paid,
    };
    match &refund.origin {
        RefundOrigin::Network(id) if stands => {
            refund.amount.minor.minus(state.taken_back_of_refund(id)).unwrap()
        }
        _ => Minor::ZERO,
    }
}

fn agrees(store: &Store, state: &State) {
    let Some(payment) = state.payment() else {
        assert_eq!(store.cell("payment", "id"), None);
        return;
    };
    let totals = payment.totals;
    let of_nothing = |known: &Funding| matches!(known, Funding::None | Funding::Unsubmitted);
    let shown = state.legs().filter(|(_, known)| !of_nothing(known)).last();
    let funding = funding(shown.map_or(&payment.funding, |(_, known)| known));
    let spent =
        state.legs().map(|(_, known)| known.pulled()).fold(Minor::ZERO, |sum, leg| sum.plus(leg).unwrap());
    let amounts = [
        ("payment", "authorized_minor", totals.authorized),
        ("payment", "reversed_minor", totals.reversed),
        ("payment", "expired_minor", totals.expired),
        ("payment", "against_hold_minor", totals.against_hold),
        ("payment", "beyond_hold_minor", totals.beyond),
        ("payment", "refunded_minor", totals.refunded),
        ("payment", "cleared_minor", totals.captured()),
        ("payment", "taken_back_minor", state.taken_back()),
        ("payment", "held_minor", payment.held()),
        ("payment", "owed_back_minor", state.legs.owed_back),
        ("account_asset", "cleared_minor", totals.captured()),
        ("account_asset", "refunded_minor", totals.refunded.plus(unlinked(state)).unwrap()),
        ("account_asset", "spent_minor", spent),
    ];
    for (table, column, expected) in amounts {
        assert_eq!(store.cell(table, column), Some(Value::from(expected)), "{table}.{column} of {payment:?}");
    }
    assert_eq!(store.cell("payment", "status"), Some(Value::from(status(state, payment))), "{payment:?}");
    assert_eq!(store.cell("payment", "funding"), Some(Value::from(funding)), "{payment:?}");
    let count = i64::from(state.linked_to().is_none());
    assert_eq!(store.cell("account_asset", "payment_count"), Some(Value::Integer(count)));
    let linked_to = state.linked_to().map_or(Value::Null, |payment_id| payment_id.as_str().into());
    assert_eq!(store.cell("payment", "linked_to"), Some(linked_to));
    let expires_at = payment.expires_at.map_or(Value::Null, Value::from);
    assert_eq!(store.cell("payment", "expires_at"), Some(expires_at), "{payment:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn the_row_says_what_the_decider_knows(steps in steps()) {
        let (mut state, mut store, mut version) = (State::default(), Store::default(), 0);
        for (day, step) in (0_u64..).zip(steps) {
            let at = Timestamp::from_s(day * 86_400).unwrap();
            let is_seen_on_chain = matches!(step.command, 0 | 16..=21);
            let context = CommandContext {
                id: "p1".into(),
                routing_key: ACCOUNT.to_string(),
                actor: if is_seen_on_chain { CommandContext::CHAIN } else { "api" }.into(),
                accepted_at: at,
            };
            let Ok(events) = Authorization::decide(&state, &command(step, at), &context) else { continue };
            for event in events {
                version += 1;
                store.project(&recorded(version, &event));
                state = Authorization::evolve(state, &event);
                agrees(&store, &state);
            }
        }
    }
}

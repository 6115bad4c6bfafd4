//! Property test over random courses of payments: what the card counts at the end is what the payments hold and what
//! was claimed of them, recounted from the payments alone.

use std::collections::BTreeMap;

use clearfold_kernel::{
    CommandContext, Decider, Encoded, ExternalId, Message, Minor, StoredState, Timestamp,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::of_card;
use crate::authorization::{self, Authorization, Status};
use crate::card::{self, Card};

const ACCOUNT: &str = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const HOUR_MS: u64 = 60 * 60 * 1000;

/// Happening in the life of a payment.
#[derive(Debug, Clone, Copy)]
enum Happens {
    /// The network asks for the payment, or for more of it.
    Asked { is_approved: bool },
    /// The network reverses a part, or all.
    Reversed { is_full: bool },
    /// The merchant claims a part, or for the last time.
    Claimed { is_last: bool },
    /// A stand-in approves an amount, or a pump states what it sold.
    Advised,
    /// The network claims without an authorization.
    Forced,
    /// The network takes a claim back, or a part of it.
    TakenBack { is_whole: bool },
    /// The merchant refunds. It gives back nothing of a limit.
    Refunded,
    /// The hold's time is over.
    Expired,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    payment: usize,
    happens: Happens,
    minor: u32,
    wait_ms: u64,
}

fn step() -> impl Strategy<Value = Step> {
    let happens = prop_oneof![
        4 => Just(Happens::Asked { is_approved: true }),
        1 => Just(Happens::Asked { is_approved: false }),
        2 => any::<bool>().prop_map(|is_full| Happens::Reversed { is_full }),
        3 => any::<bool>().prop_map(|is_last| Happens::Claimed { is_last }),
        1 => Just(Happens::Advised),
        1 => Just(Happens::Forced),
        2 => any::<bool>().prop_map(|is_whole| Happens::TakenBack { is_whole }),
        1 => Just(Happens::Refunded),
        1 => Just(Happens::Expired),
    ];
    let wait_ms = prop_oneof![6 => 0..HOUR_MS, 2 => 0..72 * HOUR_MS, 1 => 0..40 * 24 * HOUR_MS];
    (0..5_usize, happens, 1..300_u32, wait_ms).prop_map(|(payment, happens, minor, wait_ms)| Step {
        payment,
        happens,
        minor,
        wait_ms,
    })
}

/// Payments of one card, with the card.
struct World {
    payments: BTreeMap<usize, authorization::State>,
    card: StoredState,
    now_ms: u64,
    ids: u32,
}

fn amount(minor: u32) -> Value {
    json!({"minor": minor.to_string(), "asset": "EURe", "decimals": 18})
}

fn id(payment: usize) -> ExternalId {
    format!("payment-{payment}").parse().unwrap()
}

impl World {
    fn new() -> Self {
        let (payments, card) = (BTreeMap::new(), StoredState::default());
        let mut world = Self { payments, card, now_ms: 1_795_000_000_000, ids: 0 };
        let scope = json!({"categories": ["5812"]});
        let limits = json!([
            {"per": "all_time", "amount": amount(4_000_000_000)},
            {"per": "year", "max_count": 4_000_000, "scope": scope},
        ]);
        let rules = json!({"limits": limits, "velocity": [], "categories": "all", "countries": "all"});
        let issue = json!({"account": ACCOUNT, "rules": rules});
        assert!(world.tell(&card::Command::decode("IssueCard", 1, issue.to_string().as_bytes()).unwrap()));
        world
    }

    fn context(&self, id: &str) -> CommandContext {
        CommandContext {
            id: id.into(),
            routing_key: ACCOUNT.into(),
            actor: CommandContext::SAGA.into(),
            accepted_at: Timestamp::from_ms(self.now_ms).unwrap(),
        }
    }

    /// Sends a command to the card. Returns true if it was accepted.
    fn tell(&mut self, command: &card::Command) -> bool {
        let sent: (CommandContext, Encoded) = (self.context("card-1"), command.encode().unwrap());
        self.card.decide::<Card>(vec![sent]).unwrap().remove(0).is_ok()
    }

    /// Sends a command to a payment, and what follows from its events to the card, as the saga does.
    fn send(&mut self, payment: usize, kind: &str, mut payload: Value) {
        let version = authorization::Command::TYPES.iter().find(|known| known.name == kind).unwrap();
        payload["occurred_at"] = json!(Timestamp::from_ms(self.now_ms).unwrap());
        if ["ApproveAuthorization", "DeclineAuthorization", "ApproveIncrement", "DeclineIncrement"]
            .contains(&kind)
            || kind == "ExpireAuthorization"
        {
            payload.as_object_mut().unwrap().remove("occurred_at");
        }
        let payload = payload.to_string();
        let command =
            authorization::Command::decode(kind, version.schema_version, payload.as_bytes()).unwrap();
        let context = self.context(id(payment).as_str());
        let state = self.payments.remove(&payment).unwrap_or_default();
        let events = Authorization::decide(&state, &command, &context).unwrap_or_default();
        let mut state = state;
        for event in &events {
            for (_, command) in of_card(&id(payment), &state, event).unwrap() {
                self.tell(&command);
            }
            state = Authorization::evolve(state, event);
        }
        self.payments.insert(payment, state);
    }

    fn next_id(&mut self) -> String {
        self.ids += 1;
        format!("message-{}", self.ids)
    }

    fn happens(&mut self, step: Step) {
        self.now_ms += step.wait_ms;
        let names_card = matches!(step.happens, Happens::Asked { .. } | Happens::Advised | Happens::Forced);
        // A claim to what nobody asked for names no card.
        if !names_card && !self.payments.contains_key(&step.payment) {
            return;
        }
        let (payment, message_id, amount) = (step.payment, self.next_id(), amount(step.minor));
        let merchant = json!({"id": "m", "name": "M", "category": "5812", "country": "DE"});
        let of_network = json!({
            "message_id": message_id, "account": ACCOUNT, "card_id": "card-1", "amount": amount, "merchant": merchant,
            "network": "visa",
        });
        match step.happens {
            Happens::Asked { is_approved } => self.ask(payment, &message_id, of_network, is_approved),
            Happens::Advised => self.send(payment, "RecordAdvice", of_network),
            Happens::Reversed { is_full } => {
                let extent = if is_full { json!("full") } else { json!({"part": step.minor.to_string()}) };
                let reversal = json!({"message_id": message_id, "extent": extent, "cause": "merchant"});
                self.send(payment, "ReverseAuthorization", reversal);
            }
            Happens::Claimed { is_last } => {
                let part = if is_last { "final" } else { "partial" };
                let claim = json!({"clearing_id": message_id, "amount": amount, "part": part});
                self.send(payment, "PresentClearing", claim);
            }
            Happens::Forced => {
                let claim = json!({
                    "clearing_id": message_id, "account": ACCOUNT, "card_id": "card-1", "amount": amount,
                    "merchant": merchant,
                });
                self.send(payment, "ForcePost", claim);
            }
            Happens::TakenBack { is_whole } => {
                let claims = &self.payments[&payment].clearings;
                let Some(index) = (step.minor as usize).checked_rem(claims.len()) else { return };
                let clearing_id = claims.keys().nth(index);
                let mut reversal =
                    json!({"reversal_id": message_id, "clearing_id": clearing_id, "network": "visa"});
                if !is_whole {
                    reversal["amount"] = amount;
                }
                self.send(payment, "ReverseClearing", reversal);
            }
            Happens::Refunded => {
                let origin = json!({"network": message_id});
                self.send(
                    payment,
                    "RecordRefund",
                    json!({"account": ACCOUNT, "amount": amount, "origin": origin}),
                );
            }
            Happens::Expired => self.send(payment, "ExpireAuthorization", json!({})),
        }
    }

    /// Asks the card for a payment or an increment that the network asks for, and approves or declines it.
    fn ask(&mut self, payment: usize, message_id: &str, request: Value, is_approved: bool) {
        let (amount, merchant) = (request["amount"].clone(), request["merchant"].clone());
        let mut request = request;
        request["partial_allowed"] = json!(false);
        self.send(payment, "RequestAuthorization", request);
        let state = &self.payments[&payment];
        let message: ExternalId = message_id.parse().unwrap();
        let increment = state.increments.get(&message).map(|increment| increment.fate);
        let is_open = match increment {
            Some(fate) => fate == authorization::IncrementFate::Undecided,
            None => state.payment().is_some_and(|payment| {
                let is_this = payment.entry.request().is_some_and(|request| request.message_id == message);
                payment.status == Status::Requested && is_this
            }),
        };
        if !is_open {
            return;
        }
        let reserve = json!({
            "reservation_id": message_id, "authorization_id": id(payment), "amount": amount, "merchant": merchant,
        });
        let reserve = card::Command::decode("ReserveSpend", 1, reserve.to_string().as_bytes()).unwrap();
        assert!(self.tell(&reserve), "no limit is reached");
        let (of, payload) = if increment.is_some() {
            ("Increment", json!({"message_id": message_id}))
        } else {
            ("Authorization", json!({}))
        };
        let mut payload = payload;
        if is_approved {
            if increment.is_none() {
                payload["amount"] = amount;
            }
            return self.send(payment, &format!("Approve{of}"), payload);
        }
        payload["reason"] = json!("insufficient_funds");
        self.send(payment, &format!("Decline{of}"), payload);
        // As the saga's compensation does; a declined request is released by its event, too.
        let release = json!({"reservation_id": message_id, "release_id": message_id, "amount": "everything"});
        let release = card::Command::decode("ReleaseSpend", 1, release.to_string().as_bytes()).unwrap();
        self.tell(&release);
    }

    /// Recounts the payments: the amount that they hold and that was claimed, and their number.
    fn recounted(&self) -> (Minor, u64) {
        let payments = self.payments.values().filter_map(authorization::State::payment);
        let counting =
            payments.map(|payment| payment.held().plus(payment.totals.captured()).expect("small amounts"));
        counting.fold((Minor::ZERO, 0), |(sum, payments), counts| {
            (sum.plus(counts).expect("small amounts"), payments + u64::from(counts > Minor::ZERO))
        })
    }

    /// Returns what the card counts: of all time, and of all time for the category's limit, if the year did not change.
    fn counted(&self) -> (Minor, u64) {
        let card::State::Issued(card) = self.card.read::<Card>().unwrap() else { panic!("it was issued") };
        let asset = serde_json::from_value(json!({"asset": "EURe", "decimals": 18})).unwrap();
        let totals = card.usage.tallies().of(None).expect("of all payments").of_all_time();
        let scope = card.rules.limits[1].scope.as_ref();
        let scoped = card.usage.tallies().of(scope).expect("named by a limit").of_all_time();
        assert_eq!(totals, scoped, "every payment was to a merchant of that category");
        (totals.amount(&asset), totals.payments())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_card_counts_what_its_payments_hold_and_what_was_claimed(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::new();
        let begun_ms = world.now_ms;
        for step in steps {
            world.happens(step);
            let ((counts, payments), (amount, number)) = (world.recounted(), world.counted());
            prop_assert_eq!(amount, counts, "after {:?}", step);
            // A release behind the time for which the card keeps the reservation changes the amounts alone.
            prop_assert!(number >= payments, "after {:?}: {} of {} payments", step, number, payments);
            if world.now_ms - begun_ms < 45 * 24 * HOUR_MS {
                prop_assert_eq!(number, payments, "after {:?}", step);
            }
        }
    }
}

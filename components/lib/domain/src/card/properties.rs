//! Property tests over random histories of a card: its totals against a plain list of payments that is kept beside
//! it.

use std::collections::{BTreeMap, BTreeSet};

use clearfold_kernel::{CommandContext, Encoded, Message, Minor, StoredState, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const ACCOUNT: &str = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const SPANS: [Span; 5] = [Span::Day, Span::Week, Span::Month, Span::Year, Span::AllTime];
const ASSETS: [(&str, u8); 2] = [("EURe", 18), ("USDC.e", 6)];

/// Step of a history: milliseconds since the step before, and the command.
type Step = (i64, Command);

fn command(kind: &str, payload: &serde_json::Value) -> Command {
    Command::decode(kind, 1, payload.to_string().as_bytes()).unwrap()
}

fn asset(code: &str) -> serde_json::Value {
    let (_, decimals) = ASSETS.into_iter().find(|(known, _)| *known == code).unwrap();
    serde_json::json!({"asset": code, "decimals": decimals})
}

fn amount(minor: u32, code: &str) -> serde_json::Value {
    let mut amount = asset(code);
    amount["minor"] = minor.to_string().into();
    amount
}

/// Generates limits that some of the payments break, and windows that some of the waits outlast.
fn rules() -> impl Strategy<Value = serde_json::Value> {
    (1u32..30, 1u32..90, 1u32..6, select(vec![60u32, 3600, 86_400, 2_678_400])).prop_map(
        |(at_once, a_day, max_count, window_s)| {
            serde_json::json!({
                "limits": [
                    {"per": "transaction", "amount": amount(at_once, "EURe")},
                    {"per": "day", "amount": amount(a_day, "EURe")},
                    {"per": "day", "amount": amount(a_day, "USDC.e")},
                    {"per": "month", "amount": amount(10 * a_day, "EURe")},
                    {"per": "all_time", "max_count": 20 * max_count, "scope": {"categories": ["5812"]}},
                ],
                "velocity": [{"max_count": max_count, "window_s": window_s}],
                "categories": {"all_but": ["7995"]},
                "countries": "all",
            })
        },
    )
}

/// Draws from few ids, so that repeats, increments, and releases before their reservations come up often.
fn spend() -> impl Strategy<Value = serde_json::Value> {
    let ids = (0u8..40, 0u8..25);
    let what = (0u32..25, select(vec!["EURe", "USDC.e"]), select(vec!["5812", "7995"]));
    (ids, what).prop_map(|((reservation, authorization), (minor, code, category))| {
        serde_json::json!({
            "reservation_id": format!("r{reservation}"),
            "authorization_id": format!("a{authorization}"),
            "amount": amount(minor, code),
            "merchant": {"id": "m", "name": "M", "category": category, "country": "DE"},
        })
    })
}

fn release() -> impl Strategy<Value = serde_json::Value> {
    let portion = prop_oneof![
        Just(serde_json::json!("everything")),
        (0u32..12).prop_map(|part| serde_json::json!({"part": part.to_string()})),
    ];
    (0u8..40, 0u8..4, portion).prop_map(|(reservation, release, amount)| {
        serde_json::json!({
            "reservation_id": format!("r{reservation}"),
            "release_id": format!("l{release}"),
            "amount": amount,
        })
    })
}

fn step() -> impl Strategy<Value = Step> {
    let reason = select(vec!["holder", "exposure"]).prop_map(|reason| serde_json::json!({"reason": reason}));
    let command = prop_oneof![
        8 => spend().prop_map(|payload| command("ReserveSpend", &payload)),
        3 => spend().prop_map(|payload| command("RecordSpend", &payload)),
        6 => release().prop_map(|payload| command("ReleaseSpend", &payload)),
        1 => rules().prop_map(|rules| command("SetRules", &serde_json::json!({"rules": rules}))),
        1 => reason.clone().prop_map(|payload| command("FreezeCard", &payload)),
        2 => reason.prop_map(|payload| command("UnfreezeCard", &payload)),
    ];
    let wait_ms = prop_oneof![
        10 => 0..HOUR_MS / 2,
        3 => 0..24 * HOUR_MS,
        1 => 0..40 * 24 * HOUR_MS,
        // The host's clock was set back.
        1 => -HOUR_MS..0,
    ];
    (wait_ms, command)
}

fn issue(rules: &serde_json::Value) -> Step {
    (0, command("IssueCard", &serde_json::json!({"account": ACCOUNT, "rules": rules})))
}

/// Reservation as the commands alone tell it.
struct Reserved {
    at_ms: u64,
    asset: String,
    left: u128,
    payment: String,
}

/// Expected content of the card, derived from the answers alone.
#[derive(Default)]
struct Expected {
    reservations: BTreeMap<String, Reserved>,
}

impl Expected {
    /// Follows a command that was accepted and caused events. The amount is taken from the command.
    fn follow(&mut self, command: &Command, at_ms: u64) {
        let (id, payment, amount) = match command {
            Command::ReserveSpend(spend) => (&spend.reservation_id, &spend.authorization_id, &spend.amount),
            Command::RecordSpend(spend) => (&spend.reservation_id, &spend.authorization_id, &spend.amount),
            Command::ReleaseSpend(release) => {
                let Some(reserved) = self.reservations.get_mut(release.reservation_id.as_str()) else {
                    return;
                };
                reserved.left = match release.amount {
                    Portion::Everything => 0,
                    Portion::Part(part) => {
                        reserved.left.checked_sub(part.get()).expect("no more than is left")
                    }
                };
                return;
            }
            _ => return,
        };
        let (asset, left) = (amount.asset.code.clone(), amount.minor.get());
        let counted = Reserved { at_ms, asset, left, payment: payment.to_string() };
        assert!(self.reservations.insert(id.to_string(), counted).is_none(), "{id} counts twice");
    }

    /// Recounts the amount of an asset that was reserved in the period of a time, and the payments of the period in
    /// whatever asset. The periods are read from the times as they are written.
    fn of(&self, per: Span, code: &str, now_ms: u64) -> (u128, u64) {
        let period = |ms: u64| match per {
            Span::Day => written(ms)[..10].to_owned(),
            // Thursday 1970-01-01 was in the week of Monday 1969-12-29.
            Span::Week => ((ms + 3 * DAY_MS) / (7 * DAY_MS)).to_string(),
            Span::Month => written(ms)[..7].to_owned(),
            Span::Year => written(ms)[..4].to_owned(),
            Span::AllTime | Span::Transaction => String::new(),
        };
        let in_period =
            || self.reservations.values().filter(|of| period(of.at_ms) == period(now_ms) && of.left > 0);
        let payments: BTreeSet<&String> = in_period().map(|of| &of.payment).collect();
        (in_period().filter(|of| of.asset == code).map(|of| of.left).sum(), payments.len() as u64)
    }
}

fn written(ms: u64) -> String {
    Timestamp::from_ms(ms).unwrap().to_string()
}

fn context(at_ms: u64) -> CommandContext {
    CommandContext {
        id: "c1".into(),
        routing_key: ACCOUNT.into(),
        actor: "api".into(),
        accepted_at: Timestamp::from_ms(at_ms).unwrap(),
    }
}

/// Returns the card's amount of an asset and its payments in a span, and the limit that its rules set for the amount.
fn of(state: &StoredState, per: Span, code: &str, now_ms: u64) -> (Minor, u64, Option<Minor>) {
    let State::Issued(card) = state.read::<Card>().unwrap() else { panic!("there is a card") };
    let asset = serde_json::from_value(asset(code)).unwrap();
    let mut of_span = card.rules.limits.iter().filter(|limit| limit.per == per);
    let limit = of_span.find_map(|limit| limit.amount.as_ref().filter(|amount| amount.asset == asset));
    let (now, payment) = (Timestamp::from_ms(now_ms).unwrap(), "none".parse().unwrap());
    let counted = Counted { per, scope: None, place: Place::default(), payment: &payment, now };
    let payments = card.usage.payments_before(counted).expect("no payment has that id");
    (card.usage.amount(&asset, counted).unwrap(), payments, limit.map(|limit| limit.minor))
}

/// Plays a history and checks every property after every step.
fn play(history: Vec<Step>) {
    let (mut state, mut log) = (StoredState::default(), Vec::<Encoded>::new());
    let begun_ms = 1_795_000_000_000_u64;
    let (mut now_ms, mut latest_ms) = (begun_ms, begun_ms);
    let mut expected = Expected::default();
    for (wait_ms, command) in history {
        now_ms = u64::checked_add_signed(now_ms, wait_ms).unwrap();
        let before = state.clone();
        let sent = vec![(context(now_ms), command.encode().unwrap())];
        match state.decide::<Card>(sent).unwrap().remove(0) {
            Err(_) if before.state.is_empty() => panic!("a card can be issued"),
            Err(refused) => assert_eq!(state, before, "refused as {} and changed", refused.code),
            Ok(events) if events.is_empty() => assert_eq!(state, before, "no event and changed"),
            Ok(events) => {
                expected.follow(&command, now_ms);
                log.extend(events);
            }
        }
        latest_ms = latest_ms.max(now_ms);
        let is_kept = latest_ms - begun_ms < 45 * DAY_MS;
        for (per, (code, _)) in SPANS.into_iter().flat_map(|per| ASSETS.map(|asset| (per, asset))) {
            let (total, payments, limit) = of(&state, per, code, latest_ms);
            let expected = expected.of(per, code, latest_ms);
            assert_eq!(total.get(), expected.0, "{code} of {per:?}");
            // Two cases are not exact: what is released after 45 days leaves the amounts of long spans, not the numbers of
            // payments, and a payment of two years counts in one of them.
            let is_exact = !per.is_long() || (is_kept && written(latest_ms)[..4] == written(begun_ms)[..4]);
            let is_enough = per == Span::Year || payments >= expected.1;
            assert!(if is_exact { payments == expected.1 } else { is_enough }, "payments of {per:?}");
            let reserved = state != before
                && matches!(&command, Command::ReserveSpend(spend) if spend.amount.asset.code == code);
            assert!(
                !reserved || limit.is_none_or(|limit| total <= limit),
                "{total} of {code} in one {per:?}"
            );
        }
    }
    let mut folded = StoredState::default();
    folded.evolve::<Card>(&log).unwrap();
    assert_eq!(folded, state, "the fold is the live state");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_span_counts_what_was_reserved_in_it_and_not_released(
        rules in rules(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        play(std::iter::once(issue(&rules)).chain(steps).collect());
    }
}

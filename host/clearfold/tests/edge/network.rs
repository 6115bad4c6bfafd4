//! The card network's adapter in the real edge runtime, at a time that each test sets, against a stand-in of the API.

use super::{API, call_with, component, parts};
use axum::Router;
use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;
use clearfold_base::clock::Clock;
use clearfold_edge_kit::Secrets;
use clearfold_kernel::Timestamp;
use clearfold_sandbox::edge::{EdgeError, EdgeHandler, EdgeLimits, EdgeRuntime, InProcessApi};
use clearfold_sandbox::manifest::OutboundHost;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

pub(super) const SECRET: &str = "the-networks-own-secret";
const NOW_S: u64 = 1_800_000_000;
const PATH: &str = "/network/authorizations";

/// Loads the adapter at `NOW_S`, with these variables in the place of the usual ones.
fn adapter(variables: &[(&str, &str)], router: Router) -> EdgeHandler {
    let usual = [
        ("host_url", API),
        ("network_secret", SECRET),
        ("network_window_s", "300"),
        ("network_budget_ms", "400"),
    ];
    let all: Vec<_> = usual.iter().chain(variables).copied().collect();
    at_now("edge-network", &all, router)
}

/// Loads an edge component at `NOW_S`.
pub(super) fn at_now(name: &str, variables: &[(&str, &str)], router: Router) -> EdgeHandler {
    let all = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let api = InProcessApi { authorities: vec!["127.0.0.1:9100".parse().expect("an authority")], router };
    let clock = Clock::new(|| Timestamp::from_s(NOW_S).expect("a time"));
    // The deadline is long, so that a slow machine does not matter.
    let limits = EdgeLimits { deadline_ms: 60_000, ..EdgeLimits::default() };
    let runtime = EdgeRuntime::with_clock(limits, clock).expect("a runtime");
    let allowed = vec![OutboundHost::parse(API).expect("a host")];
    runtime.load(name, &component(name), all.collect(), allowed, api).expect("a component")
}

fn message() -> Value {
    json!({
        "message_id": "m-1", "transaction_id": "t-1", "network": "mastercard", "card": "card-1",
        "account": "0x1111111111111111111111111111111111111111", "transmitted_at": "2026-11-22T10:00:00.000Z",
        "amount": {"minor": "1250", "currency": "EUR", "exponent": 2},
        "merchant": {"id": "m", "name": "Shop", "category": "5812", "country": "AT"},
    })
}

async fn send_at(edge: &EdgeHandler, at_s: u64, message: &Value) -> Result<Response<Body>, EdgeError> {
    send_to(edge, PATH, at_s, message).await
}

/// Sends a message signed at a time.
async fn send_to(
    edge: &EdgeHandler,
    path: &str,
    at_s: u64,
    message: &Value,
) -> Result<Response<Body>, EdgeError> {
    let (timestamp, body) = (at_s.to_string(), message.to_string());
    let secrets = Secrets::parse("s", SECRET).expect("a secret");
    let code = secrets.code(&[timestamp.as_bytes(), b".", path.as_bytes(), b".", body.as_bytes()]);
    let headers = [("x-timestamp", timestamp), ("x-signature", format!("v1={code}"))];
    call_with(edge, "POST", path, &headers, body).await
}

async fn send(edge: &EdgeHandler, message: &Value) -> (StatusCode, Value) {
    send_now(edge, PATH, message).await
}

/// Sends a message signed now, and returns the answer.
pub(super) async fn send_now(edge: &EdgeHandler, path: &str, message: &Value) -> (StatusCode, Value) {
    let (status, _, body) = parts(send_to(edge, path, NOW_S, message).await).await;
    (status, body)
}

pub(super) fn problem(status: StatusCode, code: &str) -> axum::response::Response {
    (status, [(header::CONTENT_TYPE, "application/problem+json")], json!({"code": code}).to_string())
        .into_response()
}

/// API that accepts the request for an authorization and answers the command that closes it with `closing`. Nothing is
/// decided until then, and `decided` from then on.
fn api(closing: StatusCode, decided: Value) -> Router {
    let closed = Arc::new(AtomicU32::new(0));
    let command = async move |axum::Json(body): axum::Json<Value>| {
        if body["type"] == "RequestAuthorization" {
            let awaited = if closed.load(Ordering::Relaxed) == 0 { json!([]) } else { json!([decided]) };
            let is_awaited = |kind: &str| {
                body["wait_for"]["events"].as_array().is_some_and(|kinds| kinds.contains(&json!(kind)))
            };
            assert!(is_awaited("AuthorizationApproved") && is_awaited("AuthorizationDeclined"), "{body}");
            return axum::Json(json!({"outcome": "accepted", "awaited": awaited})).into_response();
        }
        assert_eq!(
            (&body["type"], &body["payload"]["reason"]),
            (&json!("DeclineAuthorization"), &json!("timeout"))
        );
        closed.fetch_add(1, Ordering::Relaxed);
        match closing {
            StatusCode::OK => axum::Json(json!({"outcome": "accepted"})).into_response(),
            refused => problem(refused, "already_decided"),
        }
    };
    Router::new().route("/v1/commands", post(command))
}

fn approved() -> Value {
    json!({"type": "AuthorizationApproved", "data": {"amount": {"minor": "12500000000000000000"}}})
}

fn declined() -> Value {
    json!({"type": "AuthorizationDeclined", "data": {"reason": "velocity"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signatures_age_is_measured_by_the_hosts_clock() {
    let edge = adapter(&[], api(StatusCode::OK, declined()));
    for (at_s, expected) in [(NOW_S - 300, 200), (NOW_S + 300, 200), (NOW_S - 301, 401), (NOW_S + 301, 401)] {
        let (status, _, body) = parts(send_at(&edge, at_s, &message()).await).await;
        assert_eq!(status.as_u16(), expected, "{at_s} {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_nobody_decides_is_closed_before_it_is_answered() {
    let (status, body) = send(&adapter(&[], api(StatusCode::OK, declined())), &message()).await;
    let said = json!([body["action"], body["response_code"], body["reason"]]);
    assert_eq!((status, said), (StatusCode::OK, json!(["declined", "91", "timeout"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_came_first_is_the_answer() {
    let refused = StatusCode::UNPROCESSABLE_ENTITY;
    let (_, body) = send(&adapter(&[], api(refused, approved())), &message()).await;
    assert_eq!(json!([body["action"], body["approved"]["minor"]]), json!(["approved", "1250"]));
    let (_, body) = send(&adapter(&[], api(refused, declined())), &message()).await;
    assert_eq!(json!([body["action"], body["response_code"]]), json!(["declined", "65"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_does_not_answer_is_never_taken_for_an_approval() {
    let failing =
        Router::new().fallback(async || problem(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"));
    for router in [super::silence(), failing] {
        let (status, body) = send(&adapter(&[], router), &message()).await;
        let said = json!([body["action"], body["response_code"], body["reason"]]);
        assert_eq!((status, said), (StatusCode::OK, json!(["declined", "91", "no_answer"])));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_question_is_declined_with_the_networks_code() {
    for (code, expected) in
        [("asset_not_held", "12"), ("idempotency_key_reused", "94"), ("something_new", "05")]
    {
        let router = Router::new().fallback(async move || problem(StatusCode::UNPROCESSABLE_ENTITY, code));
        let (_, body) = send(&adapter(&[], router), &message()).await;
        assert_eq!(
            json!([body["action"], body["response_code"], body["reason"]]),
            json!(["declined", expected, code])
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_never_reaches_the_host() {
    let edge = adapter(&[], super::silence());
    let with = |change: fn(&mut Value)| {
        let mut message = message();
        change(&mut message);
        message
    };
    for (message, said) in [
        (with(|message| message["transaction_id"] = json!("../x")), "transaction_id has"),
        (with(|message| message["amount"]["minor"] = json!(1250)), "invalid type"),
        (with(|message| message["amount"]["minor"] = json!("-1")), "The message cannot be read"),
        (with(|message| message["amount"]["exponent"] = json!(19)), "the exponent 19"),
        (with(|message| message["amount"]["currency"] = json!("USD2")), "no account is charged in"),
        (with(|message| message["pan"] = json!("4111111111111111")), "must not be stored (PCI DSS)"),
        (with(|message| message["amuont"] = message["amount"].take()), "amount"),
        (with(|message| message["card"] = Value::Null), "card is missing"),
        (json!([]), "The message cannot be read"),
    ] {
        let (status, body) = send(&edge, &message).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(body["detail"].as_str().expect("text").contains(said), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_is_named_and_serves_nothing() {
    for (variable, value, status, said) in [
        ("network_secret", "", 503, "SPIN_VARIABLE_NETWORK_SECRET"),
        ("network_secret", "short", 503, "at least 16 characters"),
        ("network_window_s", "soon", 500, "network_window_s is \"soon\""),
        ("network_budget_ms", "5000", 500, "give a whole number from 400 to 900"),
    ] {
        let edge = adapter(&[(variable, value)], super::silence());
        let (found, body) = send(&edge, &message()).await;
        let detail = body["detail"].as_str().expect("text");
        assert!(found.as_u16() == status && detail.contains(said) && !detail.contains(SECRET), "{body}");
    }
}

/// A refused clearing is lost to the network, so it is refused only if the host has decided about this very one.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_decision_about_a_message_is_never_final() {
    let mut clearing = message();
    for field in ["card", "merchant"] {
        clearing.as_object_mut().expect("an object").remove(field);
    }
    for (status, code, expected) in [
        // A `host_url` with a wrong path, a host without the decider, and answers of a gateway before the host.
        (404, "no_such_path", (503, Value::Null)),
        (404, "unknown_aggregate", (503, Value::Null)),
        (405, "method_not_allowed", (503, Value::Null)),
        (401, "not_for_you", (503, Value::Null)),
        (429, "too_many", (503, Value::Null)),
        (422, "clearing_reused", (200, json!("refused"))),
        (409, "idempotency_key_reused", (200, json!("refused"))),
    ] {
        let status = StatusCode::from_u16(status).expect("a status");
        let router = Router::new().fallback(async move || problem(status, code));
        let (found, body) = send_now(&adapter(&[], router), "/network/clearings", &clearing).await;
        assert_eq!((found.as_u16(), body["action"].clone()), expected, "{status} {code} {body}");
    }
}

/// The host's wait before a component begins has to fit into the rest.
#[test]
fn the_largest_budget_ends_before_the_host_ends_the_request() {
    let longest = clearfold_edge_kit::LONGEST_MS + clearfold_edge_kit::RESERVE_MS;
    assert!(longest < EdgeLimits::default().deadline_ms, "{longest}");
}

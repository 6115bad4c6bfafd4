//! The provider's receiver in the real edge runtime, against a stand-in of the API that each test defines.

use super::API;
use super::network::{SECRET, at_now, problem, send_now};
use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use clearfold_sandbox::edge::EdgeHandler;
use serde_json::{Value, json};

const PATH: &str = "/provider/events";

fn receiver(router: Router) -> EdgeHandler {
    let variables = [("host_url", API), ("provider_secret", SECRET), ("provider_window_s", "300")];
    at_now("edge-provider", &variables, router)
}

fn frozen(card_id: &str) -> Value {
    json!({"id": "evt-1", "type": "card.frozen", "data": {"card_id": card_id, "reason": "stolen"}})
}

/// An event that is acknowledged is never sent again: a stolen card would stay unfrozen.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_acknowledged_only_when_the_host_has_decided_about_it() {
    let none = Value::Null;
    for (status, code, expected) in [
        (422, Some("card_closed"), (200, json!("rejected"))),
        (409, Some("idempotency_key_reused"), (409, none.clone())),
        (404, Some("no_such_path"), (503, none.clone())),
        (404, Some("stream_not_found"), (503, none.clone())),
        (401, None, (503, none.clone())),
        (403, None, (503, none.clone())),
        (405, Some("method_not_allowed"), (503, none.clone())),
        (413, None, (503, none.clone())),
        (422, None, (503, none.clone())),
        (429, None, (503, none.clone())),
        (502, Some("component_failed"), (503, none.clone())),
    ] {
        let status = StatusCode::from_u16(status).expect("a status");
        let answer = async move || match code {
            Some(code) => problem(status, code),
            None => (status, [("content-type", "text/html")], "<html>").into_response(),
        };
        let (found, body) =
            send_now(&receiver(Router::new().fallback(answer)), PATH, &frozen("card-1")).await;
        assert_eq!((found.as_u16(), body["outcome"].clone()), expected, "{status} {code:?} {body}");
    }
}

/// A provider adds members without asking.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_not_known_is_ignored() {
    let answer = async || problem(StatusCode::UNPROCESSABLE_ENTITY, "card_closed");
    let edge = receiver(Router::new().fallback(answer));
    let mut event = frozen("card-1");
    event["created_at"] = json!("2026-11-28T00:00:00Z");
    event["data"]["note"] = json!("lost in the bus");
    let (status, body) = send_now(&edge, PATH, &event).await;
    assert_eq!((status, &body["outcome"]), (StatusCode::OK, &json!("rejected")), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_could_never_take_is_refused_before_it_is_asked() {
    let edge = receiver(super::silence());
    for (event, said) in [
        (frozen("../card"), "is no id"),
        (frozen(&"c".repeat(129)), "is no id"),
        (json!({"id": "evt-1", "type": "birthday", "data": {"of": "a\u{0}b"}}), "U+0000"),
    ] {
        let (status, body) = send_now(&edge, PATH, &event).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(body["detail"].as_str().expect("text").contains(said), "{body}");
    }
}

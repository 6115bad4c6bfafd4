//! Real edge components in the real edge runtime; only the host's API is a stand-in that each test defines.

#![expect(clippy::expect_used, reason = "a test fails loudly, in its helpers too")]

#[path = "edge/hostile.rs"]
mod hostile;
#[path = "edge/network.rs"]
mod network;
#[path = "edge/provider.rs"]
mod provider;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{Request, Response, StatusCode, header};
use axum::routing::get;
use clearfold::api::Edges;
use clearfold_sandbox::edge::{EdgeError, EdgeHandler, EdgeLimits, EdgeLoadError, EdgeRuntime, InProcessApi};
use clearfold_sandbox::manifest::{OutboundHost, Route};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::ServiceExt;

const API: &str = "http://127.0.0.1:9100";
const ID: &str = "00112233445566778899aabbccddeeff";
const PROBLEM: &str = "application/problem+json";

fn component(name: &str) -> Vec<u8> {
    let folder = std::env::var("CLEARFOLD_COMPONENTS").expect("CLEARFOLD_COMPONENTS: run `cargo xtask test`");
    std::fs::read(std::path::Path::new(&folder).join(format!("{name}.wasm"))).expect("run `cargo xtask test`")
}

/// Loads the edge component with `host_url`, allowed to call `allowed`. The API at [`API`] is `router`.
fn edge(limits: EdgeLimits, host_url: &str, allowed: &[&str], router: Router) -> EdgeHandler {
    let variables = [("host_url", host_url), ("customer_secret", "")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let allowed = allowed.iter().map(|host| OutboundHost::parse(host).expect("a host")).collect();
    let api = InProcessApi { authorities: vec!["127.0.0.1:9100".parse().expect("an authority")], router };
    let runtime = EdgeRuntime::new(limits).expect("a runtime");
    runtime.load("edge-payments", &component("edge-payments"), variables, allowed, api).expect("a component")
}

fn with_api(limits: EdgeLimits, router: Router) -> EdgeHandler {
    edge(limits, API, &[API], router)
}

/// API that answers with the payment asked for, with all fields of the host's API.
fn payments() -> Router {
    Router::new().route("/v1/payments/{id}", get(async |Path(id): Path<String>| axum::Json(payment(&id))))
}

fn payment(id: &str) -> Value {
    json!({
        "id": id, "account": "0x1111111111111111111111111111111111111111", "status": "cleared",
        "amount": {"minor": "8500000000000000000", "decimals": 18, "asset": "EURe", "display": "8.50 EURe"},
        "source": {"chain_id": 100, "log_index": 8}, "timeline": [{"type": "SwipeRecorded"}],
        "occurred_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:15Z",
    })
}

/// API that keeps every request waiting.
fn silence() -> Router {
    Router::new().fallback(async || std::future::pending::<()>().await)
}

async fn call(edge: &EdgeHandler, method: &str, path: &str) -> Result<Response<Body>, EdgeError> {
    call_with(edge, method, path, &[], String::new()).await
}

async fn call_with(
    edge: &EdgeHandler,
    method: &str,
    path: &str,
    headers: &[(&str, String)],
    body: String,
) -> Result<Response<Body>, EdgeError> {
    let request = Request::builder().method(method).uri(path).header(header::HOST, "shop.example:9100");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    edge.handle(request.body(Body::from(body)).expect("a request")).await
}

async fn read(edge: &EdgeHandler, id: &str) -> Result<Response<Body>, EdgeError> {
    call(edge, "GET", &format!("/edge/payments/{id}")).await
}

/// Returns the status, content type and body of an answer.
async fn parts(answer: Result<Response<Body>, EdgeError>) -> (StatusCode, String, Value) {
    let (head, body) = answer.expect("an answer").into_parts();
    let content_type = head.headers[header::CONTENT_TYPE].to_str().expect("text").to_owned();
    let body = body.collect().await.expect("a body").to_bytes();
    (head.status, content_type, serde_json::from_slice(&body).expect("JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_reduced_to_the_customers_view() {
    let edge = with_api(EdgeLimits::default(), payments());
    let mut expected = payment(ID);
    for field in ["account", "source", "timeline"] {
        expected.as_object_mut().expect("an object").remove(field);
    }
    let answer = parts(read(&edge, ID).await).await;
    assert_eq!(answer, (StatusCode::OK, "application/json".to_owned(), expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apis_not_found_is_told_in_the_edges_words() {
    let problem = json!({"status": 404, "code": "payment_not_found", "detail": "internal words"}).to_string();
    let not_found = async || (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, PROBLEM)], problem);
    let edge = with_api(EdgeLimits::default(), Router::new().fallback(not_found));
    let (status, content_type, body) = parts(read(&edge, ID).await).await;
    assert_eq!((status, content_type.as_str()), (StatusCode::NOT_FOUND, PROBLEM));
    assert!(!body.to_string().contains("internal words"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_no_read_of_a_payment_never_reach_the_api() {
    let edge = with_api(EdgeLimits::default(), silence());
    let posted = call(&edge, "POST", &format!("/edge/payments/{ID}")).await.expect("an answer");
    assert_eq!(
        (posted.status(), posted.headers()["allow"].as_bytes()),
        (StatusCode::METHOD_NOT_ALLOWED, &b"GET"[..])
    );
    for path in ["/edge/cards/1", "/edge/payments/not%20an%20id", "/edge?a=/edge/payments/1"] {
        let (status, content_type, body) = parts(call(&edge, "GET", path).await).await;
        assert_eq!((status, content_type.as_str()), (StatusCode::NOT_FOUND, PROBLEM), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_allowed_is_not_called() {
    let called = Arc::new(OnceLock::new());
    let seen = Arc::clone(&called);
    let router = Router::new().fallback(async move || seen.set(()).expect("one call"));
    // Not even the host's own API may be called: only the manifest grants access.
    let edge = edge(EdgeLimits::default(), API, &["http://127.0.0.1:9101", "https://127.0.0.1:9100"], router);
    let (status, content_type, body) = parts(read(&edge, ID).await).await;
    assert_eq!((status, content_type.as_str()), (StatusCode::BAD_GATEWAY, PROBLEM));
    // The cause is not shown to customers.
    assert_eq!(body["detail"], "The payment service cannot be reached. Try again later.");
    assert!(called.get().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_host_that_is_not_this_one_is_called_over_the_network() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let mut server = JoinSet::new();
    server.spawn(axum::serve(listener, payments()).into_future());
    let edge = edge(EdgeLimits::default(), &url, &[&url], silence());
    assert_eq!(parts(read(&edge, ID).await).await.0, StatusCode::OK);

    server.shutdown().await;
    assert_eq!(parts(read(&edge, ID).await).await.0, StatusCode::BAD_GATEWAY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_a_component_that_waits_for_ever() {
    let edge = with_api(EdgeLimits { deadline_ms: 100, ..EdgeLimits::default() }, silence());
    let start = Instant::now();
    let error = read(&edge, ID).await.expect_err("a deadline");
    assert!((Duration::from_millis(100)..Duration::from_secs(5)).contains(&start.elapsed()));
    assert!(matches!(error, EdgeError::Deadline { deadline_ms: 100, .. }), "{error:?}");
    assert_eq!(error.problem().status, StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_wants_too_much_memory_loses_only_its_request() {
    let limits = EdgeLimits { memory_bytes: 4 << 20, deadline_ms: 30_000, ..EdgeLimits::default() };
    let large = async |Path(id): Path<String>| {
        let mut payment = payment(&id);
        payment["timeline"] = json!("x".repeat(if id == ID { 16 << 20 } else { 0 }));
        axum::Json(payment)
    };
    let edge = with_api(limits, Router::new().route("/v1/payments/{id}", get(large)));
    let error = read(&edge, ID).await.expect_err("a trap");
    assert!(matches!(error, EdgeError::Failed { .. }), "{error:?}");
    assert_eq!(error.problem().status, StatusCode::BAD_GATEWAY);
    assert_eq!(parts(read(&edge, &ID.replace('0', "1")).await).await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_has_a_limit() {
    let edge = with_api(EdgeLimits { response_bytes: 100, ..EdgeLimits::default() }, payments());
    let error = read(&edge, ID).await.expect_err("too large");
    assert!(matches!(error, EdgeError::ResponseTooLarge { limit_bytes: 100, .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_instances_wait_and_then_hear_that_all_are_busy() {
    let limits =
        EdgeLimits { concurrent_requests: 1, wait_ms: 300, deadline_ms: 600, ..EdgeLimits::default() };
    let edge = with_api(limits, silence());
    let start = Instant::now();
    let (first, second) = tokio::join!(read(&edge, ID), async { (read(&edge, ID).await, start.elapsed()) });
    assert!(matches!(first, Err(EdgeError::Deadline { .. })), "{first:?}");
    let (second, waited) = second;
    let error = second.expect_err("busy");
    assert!(matches!(error, EdgeError::Busy { .. }) && waited >= Duration::from_millis(300), "{error:?}");
    assert_eq!(error.problem().status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_turned_away_hears_when_to_come_again() {
    let limits =
        EdgeLimits { concurrent_requests: 1, wait_ms: 50, deadline_ms: 600, ..EdgeLimits::default() };
    let route = Route::parse("/edge/...").expect("a route");
    let edges = Edges::new(vec![(route, with_api(limits, silence()))]).alone();
    let ask = || {
        let request = Request::get(format!("/edge/payments/{ID}")).header(header::HOST, "shop.example");
        edges.clone().oneshot(request.body(Body::empty()).expect("a request"))
    };
    let (first, second) = tokio::join!(ask(), ask());
    let (first, second) = (first.expect("an answer"), second.expect("an answer"));
    assert_eq!(
        (first.status(), first.headers().get(header::RETRY_AFTER)),
        (StatusCode::GATEWAY_TIMEOUT, None)
    );
    assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(second.headers()[header::RETRY_AFTER], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_sends_the_body_keeps_no_instance_from_others() {
    let limits = EdgeLimits { concurrent_requests: 1, receive_ms: 500, ..EdgeLimits::default() };
    let edge = with_api(limits, payments());
    let never = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let slow = Request::post("/edge/payments").header(header::HOST, "shop.example").body(never);
    let (slow, quick) = tokio::join!(edge.handle(slow.expect("a request")), read(&edge, ID));
    assert_eq!(quick.expect("an answer").status(), StatusCode::OK);
    let error = slow.expect_err("nothing came");
    assert!(matches!(error, EdgeError::NotReceived { receive_ms: 500, .. }), "{error:?}");
    assert_eq!(error.problem().status, StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_a_limit() {
    let edge = with_api(EdgeLimits { request_bytes: 100, ..EdgeLimits::default() }, payments());
    let error = call_with(&edge, "POST", "/edge/payments", &[], "x".repeat(101)).await;
    let error = error.expect_err("too large");
    assert!(matches!(error, EdgeError::RequestTooLarge { limit_bytes: 100, .. }), "{error:?}");
    assert_eq!(error.problem().status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_get_each_their_own_answer() {
    let limits =
        EdgeLimits { concurrent_requests: 8, wait_ms: 30_000, deadline_ms: 30_000, ..EdgeLimits::default() };
    let edge = with_api(limits, payments());
    let mut answers = JoinSet::new();
    for number in 0..200 {
        let (edge, id) = (edge.clone(), format!("{number:032x}"));
        answers.spawn(async move {
            let (status, _, body) = parts(read(&edge, &id).await).await;
            (status, body["id"] == *id)
        });
    }
    assert_eq!(answers.join_all().await, vec![(StatusCode::OK, true); 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_comes_back_to_the_edge_is_contained() {
    let itself = Arc::new(OnceLock::<EdgeHandler>::new());
    let known = Arc::clone(&itself);
    let back =
        async move || read(known.get().expect("itself"), ID).await.map_err(|error| error.problem().status);
    let limits = EdgeLimits { concurrent_requests: 4, deadline_ms: 300, ..EdgeLimits::default() };
    let edge = with_api(limits, Router::new().fallback(back));
    assert!(itself.set(edge.clone()).is_ok());
    // The component gets "loop detected" from the API, and answers as for any failure of the API.
    assert_eq!(parts(read(&edge, ID).await).await.0, StatusCode::BAD_GATEWAY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_is_replaced_ends_what_it_began_and_gets_nothing_new() {
    let (begun, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (began, gate) = (Arc::clone(&begun), Arc::clone(&go_on));
    let slow = async move |Path(id): Path<String>| {
        began.add_permits(1);
        gate.acquire().await.expect("open").forget();
        axum::Json(payment(&id))
    };
    let patient = EdgeLimits { deadline_ms: 60_000, ..EdgeLimits::default() };
    let old = with_api(patient, Router::new().route("/v1/payments/{id}", get(slow)));
    let quick = async |Path(id): Path<String>| {
        let mut payment = payment(&id);
        payment["status"] = json!("recorded");
        axum::Json(payment)
    };
    let new = with_api(EdgeLimits::default(), Router::new().route("/v1/payments/{id}", get(quick)));
    let edges = Edges::new(vec![(Route::parse("/edge/...").expect("a route"), old)]);
    let app = edges.clone().in_front_of(Router::new().fallback(async || StatusCode::NOT_FOUND));
    let status = async || {
        let request = Request::get(format!("/edge/payments/{ID}")).header(header::HOST, "shop.example");
        let answer = app.clone().oneshot(request.body(Body::empty()).expect("a request")).await;
        parts(answer.map_err(|never| match never {})).await.2["status"].clone()
    };
    let replaced = async {
        begun.acquire().await.expect("open").forget();
        assert_eq!((edges.replace("nobody", &new), edges.replace("edge-payments", &new)), (0, 1));
        let after = status().await;
        go_on.add_permits(1);
        after
    };
    assert_eq!(tokio::join!(status(), replaced), (json!("cleared"), json!("recorded")));
}

/// Makes a component in the binary format: its preamble, and sections.
fn bare_component(sections: &[u8]) -> Vec<u8> {
    [b"\0asm\x0d\0\x01\0", sections].concat()
}

fn refusal(wasm: &[u8]) -> EdgeLoadError {
    let api = InProcessApi { authorities: Vec::new(), router: Router::new() };
    let runtime = EdgeRuntime::new(EdgeLimits::default()).expect("a runtime");
    runtime.load("odd", wasm, BTreeMap::new(), Vec::new(), api).err().expect("a refusal")
}

#[test]
fn a_component_is_refused_by_the_name_of_what_it_may_not_import() {
    const NAME: &[u8; 27] = b"wasi:filesystem/types@0.3.0";
    // A section with one type, an empty instance; a section with one import of that type.
    let sections = [b"\x07\x03\x01\x42\x00\x0a\x20\x01\x00\x1b".as_slice(), NAME, b"\x05\x00"].concat();
    let error = refusal(&bare_component(&sections));
    assert!(matches!(&error, EdgeLoadError::Import { import, .. } if import.as_bytes() == NAME), "{error:?}");
    assert!(
        error.to_string().contains("imports wasi:filesystem/types@0.3.0, which an edge component may not")
    );
}

#[test]
fn a_component_is_refused_by_the_name_of_what_it_lacks() {
    let error = refusal(&bare_component(&[]));
    assert!(error.to_string().contains("does not export wasi:http/handler@0.3.0"), "{error}");
}

#[test]
fn what_is_no_component_is_refused() {
    assert!(matches!(refusal(b"\0asm\x01\0\0\0"), EdgeLoadError::Unreadable { .. }));
    assert!(matches!(refusal(b"<html>"), EdgeLoadError::Unreadable { .. }));
}

//! An HTTP component that misbehaves in every way, each by another path, in the real edge runtime: each costs one
//! request.
//!
//! It is made as an author makes one, by `clearfold new` and `clearfold build`, from the program `hostile.txt`.

use super::{API, payments};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use clearfold_sandbox::edge::{EdgeError, EdgeHandler, EdgeLimits, EdgeRuntime, InProcessApi};
use clearfold_sandbox::manifest::OutboundHost;
use http_body_util::BodyExt;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

const PROGRAM: &str = include_str!("hostile.txt");

/// Builds the component. The first build on a machine compiles the standard library, which is kept for the next.
fn hostile() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let said = std::env::var("CLEARFOLD_AUTHORING").expect("run `cargo xtask test`");
        let compiling: BTreeMap<String, String> = serde_json::from_str(&said).expect("JSON");
        let shared = PathBuf::from(&compiling["CARGO_TARGET_DIR"]);
        std::fs::create_dir_all(&shared).expect("a folder");
        // The authoring tests use the same folder.
        let lock = std::fs::File::create(shared.join("lock")).expect("a file");
        lock.lock().expect("a lock");
        let folder = shared.join("hostile/http-hostile");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).expect("an old folder");
        }
        let author = |arguments: &[&str]| {
            let program = std::env::var_os("CLEARFOLD_BIN").expect("run `cargo xtask test`");
            let mut command = Command::new(program);
            let done = command.args(arguments).arg(&folder).envs(&compiling).output().expect("the program");
            assert!(done.status.success(), "{done:?}");
        };
        author(&["new", "http", "hostile", "--path"]);
        std::fs::write(folder.join("src/lib.rs"), PROGRAM).expect("a program");
        // The versions that are already on this machine.
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        std::fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).expect("a lock file");
        author(&["build"]);
        std::fs::read(folder.join("target/http-hostile.wasm")).expect("a component")
    })
}

fn edge(limits: EdgeLimits, router: Router) -> EdgeHandler {
    let api = InProcessApi { authorities: vec!["127.0.0.1:9100".parse().expect("an authority")], router };
    let variables = BTreeMap::from([("host_url".to_owned(), API.to_owned())]);
    let allowed = vec![OutboundHost::parse(API).expect("a host")];
    let runtime = EdgeRuntime::new(limits).expect("a runtime");
    runtime.load("http-hostile", hostile(), variables, allowed, api).expect("a component")
}

async fn ask(edge: &EdgeHandler, path: &str) -> Result<Response<Body>, EdgeError> {
    let request = Request::get(path).header(header::HOST, "shop.example").body(Body::empty());
    edge.handle(request.expect("a request")).await
}

async fn text(answer: Result<Response<Body>, EdgeError>) -> String {
    let body = answer.expect("an answer").into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8(body.to_vec()).expect("text")
}

/// More time than any of these paths needs on a slow machine, except the one that never ends.
fn limits(deadline_ms: u64) -> EdgeLimits {
    EdgeLimits { deadline_ms, ..EdgeLimits::default() }
}

#[tokio::test]
async fn a_component_that_computes_without_end_is_stopped_and_stops_nobody() {
    let edge = edge(limits(500), payments());
    // On one thread: other requests are answered meanwhile, since a component that computes yields.
    let (endless, other) = tokio::join!(ask(&edge, "/loop"), ask(&edge, "/fine"));
    let error = endless.expect_err("a deadline");
    assert!(matches!(error, EdgeError::Deadline { deadline_ms: 500, .. }), "{error:?}");
    assert_eq!(error.problem().status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(text(other).await, "fine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_fails_costs_its_request_and_tells_the_caller_nothing_of_it() {
    let edge = edge(limits(60_000), payments());
    for path in ["/recursion", "/panic", "/memory", "/resources"] {
        let error = ask(&edge, path).await.expect_err(path);
        assert!(matches!(error, EdgeError::Failed { .. }), "{path}: {error:?}");
        let problem = error.problem();
        assert_eq!(problem.status, StatusCode::BAD_GATEWAY, "{path}");
        assert!(!problem.detail.contains("wasm"), "{path}: {}", problem.detail);
        assert_eq!(text(ask(&edge, "/fine").await).await, "fine", "after {path}");
    }
    let error = ask(&edge, "/output").await.expect_err("too large");
    assert!(matches!(error, EdgeError::ResponseTooLarge { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_may_send_so_many_requests_and_no_more() {
    let edge = edge(limits(60_000), payments());
    assert_eq!(text(ask(&edge, "/requests").await).await, "64 of 100 were answered");
    // They are counted anew for each request.
    assert_eq!(text(ask(&edge, "/requests").await).await, "64 of 100 were answered");
}

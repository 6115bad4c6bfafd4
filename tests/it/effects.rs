//! Effects of sagas over HTTP: a risk check that approves, declines, is silent, or is asked again because the host died.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use clearfold_tests::{Application, World, eventually};
use serde_json::{Value, json};
use sqlx::query_scalar;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::scene::Scene;

/// Risk check that advises by the amount, and remembers what it was asked.
struct RiskCheck {
    url: String,
    asked: Arc<Mutex<Asked>>,
    _server: JoinSet<()>,
}

/// Requests by their idempotency key, in the order in which they came.
type Asked = BTreeMap<String, Vec<Value>>;

impl RiskCheck {
    async fn start() -> Result<Self> {
        let asked = Arc::new(Mutex::new(Asked::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/assess", listener.local_addr()?);
        let app = axum::Router::new().route("/assess", post(assess)).with_state(Arc::clone(&asked));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Ok(Self { url, asked, _server: server })
    }

    fn asked(&self) -> Asked {
        self.asked.lock().unwrap().clone()
    }
}

/// Advises by the merchant's id.
async fn assess(
    State(asked): State<Arc<Mutex<Asked>>>,
    headers: HeaderMap,
    request: Json<Value>,
) -> Response {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    asked.lock().unwrap().entry(key).or_default().push(request.0.clone());
    match request.0["merchant"]["id"].as_str().unwrap() {
        "m-bad" => Json(json!({"decision": "decline", "detail": "a stolen card"})).into_response(),
        "m-silent" => {
            tokio::time::sleep(Duration::from_secs(5)).await;
            StatusCode::OK.into_response()
        }
        "m-broken" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "m-nonsense" => "approve".into_response(),
        "m-unwelcome" => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
        _ => Json(json!({"decision": "approve", "score": 3})).into_response(),
    }
}

fn request(account: &str, id: &str, merchant: &str) -> Value {
    json!({
        "message_id": format!("{id}-ask"), "transaction_id": id, "network": "visa", "account": account,
        "transmitted_at": "2026-11-22T10:00:00.000Z", "card": "card-1",
        "amount": {"minor": "1250", "currency": "EUR", "exponent": 2},
        "merchant": {"id": merchant, "name": "Café", "category": "5812", "country": "AT"},
    })
}

async fn decided(scene: &mut Scene, id: &str, merchant: &str) -> Result<(String, String)> {
    let ask = request(&scene.account, id, merchant);
    let answer = scene.told("authorizations", &ask).await?.body;
    let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    Ok((text("action"), text("reason")))
}

/// Scene with this risk check, which has so much time for all its tries.
async fn with_risk(risk: &RiskCheck, stand_in: &str, deadline_ms: u32) -> Result<Scene> {
    let world = World::new().await?;
    let application = Application::of(&world)?;
    let timeout = "timeout_ms = 300\n";
    application.edit(|text| text.replace(timeout, &format!("{timeout}deadline_ms = {deadline_ms}\n")))?;
    let variables = vec![
        ("MANIFEST", application.manifest().display().to_string()),
        ("SPIN_VARIABLE_RISK_URL", risk.url.clone()),
        ("SPIN_VARIABLE_RISK_STAND_IN", stand_in.to_owned()),
    ];
    let scene = Scene::of(world, variables).await?;
    let funds = scene.world.chain.balance(0).await?;
    scene.available(&funds.to_string()).await?;
    Ok(scene)
}

fn words(action: &str, reason: &str) -> (String, String) {
    (action.to_owned(), reason.to_owned())
}

#[tokio::test]
async fn the_risk_check_decides_what_card_and_account_have_granted() -> Result<()> {
    let risk = RiskCheck::start().await?;
    let mut scene = with_risk(&risk, "", 300).await?;
    assert_eq!(decided(&mut scene, "good", "m-1").await?, words("approved", ""));
    assert_eq!(decided(&mut scene, "bad", "m-bad").await?, words("declined", "risk_declined"));
    for merchant in ["m-silent", "m-broken", "m-nonsense"] {
        assert_eq!(decided(&mut scene, merchant, merchant).await?, words("declined", "risk_unavailable"));
    }
    let unwelcome = decided(&mut scene, "unwelcome", "m-unwelcome").await?;
    assert_eq!(unwelcome, words("declined", "system_error"), "it refused the question");
    let asked = risk.asked();
    let of_good = &asked["saga-authorization-visa-good/effect/1"];
    assert_eq!((of_good.len(), &of_good[0]["authorization_id"]), (1, &json!("visa-good")));

    // A request that the card refuses is not assessed.
    let mut lost = request(&scene.account, "lost", "m-1");
    lost["card"] = json!("card-lost");
    assert_eq!(scene.told("authorizations", &lost).await?.body["reason"], "card_frozen");
    assert_eq!(risk.asked().len(), asked.len());

    let commits =
        "SELECT count(DISTINCT xmin::text) FROM events WHERE stream = 'saga-authorization-visa-good'";
    let commits: i64 = query_scalar(commits).fetch_one(&scene.write().await?).await?;
    assert_eq!(commits, 2, "one before the question, one behind it");
    settled(&mut scene).await
}

#[tokio::test]
async fn the_stand_in_answers_for_a_risk_check_that_is_silent() -> Result<()> {
    let risk = RiskCheck::start().await?;
    let mut scene = with_risk(&risk, r#"{"decision":"approve"}"#, 300).await?;
    for merchant in ["m-silent", "m-broken", "m-unwelcome"] {
        assert_eq!(decided(&mut scene, merchant, merchant).await?, words("approved", ""));
    }
    assert_eq!(decided(&mut scene, "bad", "m-bad").await?, words("declined", "risk_declined"));
    let stood_in = "SELECT count(*) FROM events WHERE type IN ('EffectAnswered', 'SagaAdvanced')
                    AND convert_from(payload, 'UTF8')::jsonb @? '$.**.answer.stood_in.why'";
    let stood_in: i64 = query_scalar(stood_in).fetch_one(&scene.write().await?).await?;
    assert_eq!(stood_in, 3, "the log says who answered");
    settled(&mut scene).await
}

#[tokio::test]
async fn a_host_that_dies_around_the_question_asks_it_again_under_the_same_identity() -> Result<()> {
    let risk = RiskCheck::start().await?;
    let mut scene = with_risk(&risk, "", 60_000).await?;
    let points = ["effect_read", "effect_carried_out", "before_append", "committed", "answered"];
    let mut deaths = 0;
    for (point, passage) in points.iter().flat_map(|point| [0, 1].map(|passage| (point, passage))) {
        if let Some(host) = scene.host.take() {
            host.stop()?;
        }
        scene.start(&format!("{point}={passage}*off->return")).await?;
        for number in 0..2 {
            let id = format!("{point}-{passage}-{number}");
            let (action, reason) = decided(&mut scene, &id, "m-1").await?;
            assert_eq!((action.as_str(), reason.as_str()), ("approved", ""), "{id}");
        }
        deaths += usize::from(scene.host()?.log()?.contains(&format!("clearfold ends here: {point}")));
    }
    assert!(deaths >= points.len(), "the host did not die");
    let asked = risk.asked();
    assert!(asked.values().any(|requests| requests.len() > 1), "a question was repeated");
    assert!(
        asked.values().all(|requests| requests.iter().all(|request| *request == requests[0])),
        "{asked:?}"
    );
    settled(&mut scene).await
}

/// Checks that nothing waits for an outcome, that the books are sound, and that everything is decided again in the same
/// way. Reverses what was approved, so that no hold waits for its expiry.
async fn settled(scene: &mut Scene) -> Result<()> {
    let write = scene.write().await?;
    eventually("no effect waits", async || {
        let waiting: i64 = query_scalar("SELECT count(*) FROM effects").fetch_one(&write).await?;
        Ok((waiting == 0).then_some(()))
    })
    .await?;
    let approved = "SELECT stream FROM events WHERE type = 'AuthorizationApproved'";
    let approved: Vec<String> = query_scalar(approved).fetch_all(&write).await?;
    for stream in approved {
        let id = stream.strip_prefix("authorization-visa-").context("a payment of the network")?;
        let reversal = json!({
            "message_id": format!("{id}-reversal"), "transaction_id": id, "network": "visa",
            "account": scene.account, "transmitted_at": "2026-11-22T10:00:00.000Z", "cause": "merchant",
        });
        assert_eq!(scene.told("reversals", &reversal).await?.body["action"], "recorded");
    }
    let funds = scene.world.chain.balance(0).await?;
    scene.available(&funds.to_string()).await?;
    scene.every_saga_has_ended().await?;
    scene.prove().await
}

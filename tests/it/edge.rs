//! The edge from outside: requests of the network, a provider and customers.
//!
//! `the_contract_of_the_edge` runs against the host, or against the base URL in `EDGE_URL` (a `spin up`, for
//! example), with the secrets of `EDGE_NETWORK_SECRET`, `EDGE_PROVIDER_SECRET` and `EDGE_CUSTOMER_SECRET`.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use clearfold_base::clock::Clock;
use clearfold_edge_kit::Secrets;
use clearfold_tests::{Answer, Application, Host, World, cents, eventually};
use serde_json::{Value, json};

pub const ACCOUNT: &str = "0x00000000000000000000000000000000000000ed";
const PROBLEM: &str = "application/problem+json";
const SECRET: &str = "a-secret-that-nobody-shares";

/// An edge, wherever it is served, and the secrets shared with it.
pub struct Edge {
    url: String,
    network_secret: String,
    provider_secret: String,
    customer_secret: String,
    client: reqwest::Client,
}

impl Edge {
    pub fn of(host: &Host) -> Self {
        let secret = |of: &str| format!("the-{of}-secret-of-the-tests");
        Self {
            url: format!("http://{}", host.address()),
            network_secret: secret("network"),
            provider_secret: secret("provider"),
            customer_secret: secret("customer"),
            client: clearfold_tests::http_client(),
        }
    }

    /// Edge that the environment names, if it does.
    fn named() -> Result<Option<Self>> {
        let Ok(url) = std::env::var("EDGE_URL") else { return Ok(None) };
        let secret = |name: &str| std::env::var(name).with_context(|| format!("EDGE_URL needs {name}"));
        Ok(Some(Self {
            url: url.trim_end_matches('/').to_owned(),
            network_secret: secret("EDGE_NETWORK_SECRET")?,
            provider_secret: secret("EDGE_PROVIDER_SECRET")?,
            customer_secret: secret("EDGE_CUSTOMER_SECRET")?,
            client: clearfold_tests::http_client(),
        }))
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, String)], body: &str) -> Result<Answer> {
        let url = format!("{}{path}", self.url);
        let mut request = self.client.request(method.parse()?, url).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        Answer::of(request.send().await?).await
    }

    /// Sends a message signed `age_s` ago.
    async fn signed(&self, secret: &str, path: &str, body: &str, age_s: u64) -> Result<Answer> {
        let at_s = (Clock::system().now().as_ms() / 1_000 - age_s).to_string();
        let secrets = Secrets::parse("secret", secret).map_err(|error| anyhow::anyhow!("{error}"))?;
        let code = secrets.code(&[at_s.as_bytes(), b".", path.as_bytes(), b".", body.as_bytes()]);
        let headers = [("x-timestamp", at_s), ("x-signature", format!("v1={code}"))];
        self.send("POST", path, &headers, body).await
    }

    pub async fn network(&self, route: &str, message: &Value) -> Result<Answer> {
        self.signed(&self.network_secret, &format!("/network/{route}"), &message.to_string(), 0).await
    }

    /// Returns the final answer to a message: while the log does not answer in time (the tests' machine is busy), the
    /// message is sent again, as the network would.
    pub async fn told(&self, route: &str, message: &Value) -> Result<Answer> {
        eventually("the log is asked in time", async || {
            let answer = self.network(route, message).await?;
            let unknown = answer.status >= 503 || answer.body["reason"] == "no_answer";
            Ok((!unknown).then_some(answer))
        })
        .await
    }

    async fn provider(&self, event: &Value) -> Result<Answer> {
        self.signed(&self.provider_secret, "/provider/events", &event.to_string(), 0).await
    }

    /// Reads as the customer of an account.
    pub async fn customer(&self, account: &str, path: &str) -> Result<Answer> {
        let secrets =
            Secrets::parse("secret", &self.customer_secret).map_err(|error| anyhow::anyhow!("{error}"))?;
        let expires_s = Clock::system().now().as_ms() / 1_000 + 3_600;
        let signed = format!("v1.{account}.{expires_s}");
        let token = format!("Bearer {signed}.{}", secrets.code(&[signed.as_bytes()]));
        self.send("GET", path, &[("authorization", token)], "").await
    }
}

/// Host that knows the edge's secrets.
pub async fn host_of(world: &World) -> Result<(Host, Edge)> {
    with_secrets(world, world.host_command()?).await
}

/// The same without a saga: nothing is decided but what the test decides.
pub async fn host_without_saga(world: &World) -> Result<(Host, Edge)> {
    let application = Application::of(world)?;
    application.remove_saga("authorization", "saga-authorization")?;
    with_secrets(world, application.host_command(world)?).await
}

async fn with_secrets(world: &World, mut command: Command) -> Result<(Host, Edge)> {
    for of in ["network", "provider", "customer"] {
        let variable = format!("SPIN_VARIABLE_{}_SECRET", of.to_uppercase());
        command.env(variable, format!("the-{of}-secret-of-the-tests"));
    }
    let host = Host::start(command, world.file("host.log")).await?;
    let edge = Edge::of(&host);
    Ok((host, edge))
}

pub fn authorization(transaction_id: &str) -> Value {
    json!({
        "message_id": format!("{transaction_id}-0100"), "transaction_id": transaction_id, "network": "visa",
        "account": ACCOUNT, "card": "card-1", "transmitted_at": "2026-11-22T10:00:00.000Z",
        "amount": {"minor": "1250", "currency": "EUR", "exponent": 2}, "pos_entry": "contactless",
        "merchant": {"id": "m-1", "name": "Café", "category": "5812", "country": "AT"},
    })
}

/// Common fields of the messages about the same payment.
pub fn about(transaction_id: &str, message_id: &str) -> Value {
    json!({"message_id": message_id, "transaction_id": transaction_id, "network": "visa", "account": ACCOUNT,
           "transmitted_at": "2026-11-22T11:00:00.000Z"})
}

/// Ids that no earlier run has used, whatever system it runs against.
fn fresh() -> String {
    format!("{}-{}", std::process::id(), Clock::system().now().as_ms())
}

#[tokio::test]
async fn the_contract_of_the_edge() -> Result<()> {
    if let Some(edge) = Edge::named()? {
        return contract(&edge).await;
    }
    let world = World::new().await?;
    let (_host, edge) = host_of(&world).await?;
    contract(&edge).await
}

async fn contract(edge: &Edge) -> Result<()> {
    who_is_not_known_is_refused(edge).await?;
    the_network_is_answered(edge).await?;
    a_provider_is_acknowledged(edge).await?;
    customer(edge).await
}

async fn who_is_not_known_is_refused(edge: &Edge) -> Result<()> {
    let body = authorization(&fresh()).to_string();
    for (path, secret) in
        [("/network/authorizations", &edge.network_secret), ("/provider/events", &edge.provider_secret)]
    {
        let nobody = edge.send("POST", path, &[], &body).await?;
        let stranger = edge.signed(SECRET, path, &body, 0).await?;
        let late = edge.signed(secret, path, &body, 100_000).await?;
        for (answer, said) in [(nobody, "x-timestamp"), (stranger, "signature"), (late, "within")] {
            let detail = answer.body["detail"].as_str().unwrap_or_default();
            assert_eq!((answer.status, answer.content_type.as_str()), (401, PROBLEM), "{path} {answer:?}");
            assert!(detail.contains(said), "{path} {answer:?}");
        }
        assert_eq!(edge.send("GET", path, &[], "").await?.status, 405);
    }
    assert_eq!(edge.send("POST", "/network/refunds", &[], &body).await?.status, 401);
    assert_eq!(edge.send("POST", "/network/balances", &[], &body).await?.status, 404);
    for path in ["/edge/account", "/edge/payments", "/edge/payments/some-id"] {
        assert_eq!(edge.send("GET", path, &[], "").await?.status, 401, "{path}");
    }
    Ok(())
}

async fn the_network_is_answered(edge: &Edge) -> Result<()> {
    let odd = edge.network("authorizations", &json!({"message_id": "m"})).await?;
    assert_eq!((odd.status, odd.content_type.as_str()), (400, PROBLEM), "{odd:?}");
    let dear = json!({"minor": "1250", "currency": "XAU", "exponent": 2});
    let mut message = authorization(&fresh());
    message["amount"] = dear;
    let refused = edge.network("authorizations", &message).await?;
    assert!(refused.status == 400 && refused.body["detail"].as_str().unwrap_or_default().contains("XAU"));

    // However it is decided, the answer names the message, and a repeat gets the same answer.
    let message = authorization(&fresh());
    let answer = edge.told("authorizations", &message).await?;
    assert_eq!((answer.status, &answer.body["message_id"]), (200, &message["message_id"]), "{answer:?}");
    let action = answer.body["action"].as_str().context("no action")?;
    ensure!(["approved", "partially_approved", "declined"].contains(&action), "{answer:?}");
    assert_eq!(edge.told("authorizations", &message).await?, answer);

    // Without the network's id, acquirer, STAN, retrieval reference and time tell which payment it is.
    let mut traced = message.clone();
    traced.as_object_mut().context("an object")?.remove("transaction_id");
    let refused = edge.network("authorizations", &traced).await?;
    assert!(
        refused.status == 400 && refused.body["detail"].as_str().unwrap_or_default().contains("acquirer")
    );
    let stan = format!("{:06}", Clock::system().now().as_ms() % 1_000_000);
    (traced["acquirer"], traced["stan"], traced["retrieval_reference"]) =
        (json!("40000001"), json!(stan), json!(std::process::id().to_string()));
    let answer = edge.told("authorizations", &traced).await?;
    assert_eq!((answer.status, &answer.body["message_id"]), (200, &message["message_id"]), "{answer:?}");
    (traced["cause"], traced["original"]) =
        (json!("timeout"), json!({"message_type": "0100", "transmitted_at": message["transmitted_at"]}));
    traced["transmitted_at"] = json!("2026-11-22T10:00:30.000Z");
    let recorded = edge.told("reversals", &traced).await?;
    assert_eq!((recorded.status, &recorded.body["action"]), (200, &json!("recorded")), "{recorded:?}");

    let transaction_id = message["transaction_id"].as_str().context("an id")?;
    let mut reversal = about(transaction_id, &format!("{transaction_id}-0400"));
    reversal["cause"] = json!("merchant");
    let recorded = edge.told("reversals", &reversal).await?;
    assert_eq!((recorded.status, &recorded.body["action"]), (200, &json!("recorded")), "{recorded:?}");
    assert_eq!(edge.told("reversals", &reversal).await?, recorded);
    Ok(())
}

async fn a_provider_is_acknowledged(edge: &Edge) -> Result<()> {
    let event =
        |kind: &str, data: Value| json!({"id": format!("evt-{}", fresh()), "type": kind, "data": data});
    let ignored = edge.provider(&event("customer.birthday", json!({}))).await?;
    assert_eq!((ignored.status, &ignored.body["outcome"]), (200, &json!("ignored")), "{ignored:?}");
    let unknown = json!({"card_id": format!("card-{}", fresh()), "reason": "stolen"});
    let later = edge.provider(&event("card.frozen", unknown)).await?;
    assert_eq!((later.status, later.content_type.as_str()), (503, PROBLEM), "{later:?}");
    let grown =
        json!({"id": format!("evt-{}", fresh()), "type": "something.new", "created_at": "today", "data": {}});
    assert_eq!(edge.provider(&grown).await?.body["outcome"], "ignored");
    let odd = edge.provider(&event("card.frozen", json!({"card_id": "c", "reason": "bored"}))).await?;
    assert_eq!(odd.status, 400, "{odd:?}");
    Ok(())
}

async fn customer(edge: &Edge) -> Result<()> {
    let stranger = format!("0x{:040x}", Clock::system().now().as_ms());
    let account = edge.customer(&stranger, "/edge/account").await?;
    assert_eq!(
        (account.status, &account.body),
        (200, &json!({"id": stranger, "balances": [], "assets": []}))
    );
    let payments = edge.customer(&stranger, "/edge/payments?limit=5").await?;
    assert_eq!((payments.status, &payments.body["data"]), (200, &json!([])), "{payments:?}");
    let none = edge.customer(&stranger, "/edge/payments/some-id").await?;
    assert_eq!((none.status, none.content_type.as_str()), (404, PROBLEM));
    assert_eq!(edge.customer(&stranger, "/edge/payments?limit=none").await?.status, 400);
    assert_eq!(edge.customer("somebody", "/edge/account").await?.status, 401);
    Ok(())
}

/// Returns the payment of a network's transaction, once it has that status.
pub async fn payment_when(host: &Host, transaction_id: &str, status: &str) -> Result<Value> {
    eventually(&format!("{transaction_id} is {status}"), async || {
        let payment = host.get(&format!("/v1/payments/visa-{transaction_id}")).await?.body;
        Ok((payment["status"] == status).then_some(payment))
    })
    .await
}

pub fn command(transaction_id: &str, kind: &str, payload: &Value) -> Value {
    json!({"aggregate": "authorization", "id": format!("visa-{transaction_id}"), "account": ACCOUNT, "type": kind,
           "schema_version": 1, "payload": payload})
}

/// Asks the same as the adapter, from another client and under another key.
pub fn request(message: &Value) -> Value {
    let amount = json!({"minor": "12500000000000000000", "decimals": 18, "asset": "EURe"});
    json!({"message_id": message["message_id"], "account": ACCOUNT, "card_id": "card-1", "amount": amount,
           "merchant": message["merchant"], "network": "visa", "partial_allowed": message["partial_allowed"] == true,
           "occurred_at": message["transmitted_at"]})
}

#[tokio::test]
async fn the_network_hears_what_the_log_says() -> Result<()> {
    let world = World::new().await?;
    let (host, edge) = host_without_saga(&world).await?;
    a_request_without_a_decision_is_closed(&host, &edge).await?;
    a_decision_made_before_is_told(&host, &edge).await?;
    a_reversed_request_is_declined(&host, &edge).await?;
    another_request_with_the_same_id_is_refused(&edge).await
}

/// Without a decision the request is closed in the log before the network is answered.
async fn a_request_without_a_decision_is_closed(host: &Host, edge: &Edge) -> Result<()> {
    let answer = edge.told("authorizations", &authorization("t1")).await?;
    assert_eq!(
        (answer.status, &answer.body["action"], &answer.body["response_code"], &answer.body["reason"]),
        (200, &json!("declined"), &json!("91"), &json!("timeout")),
        "{answer:?}"
    );
    let payment = payment_when(host, "t1", "declined").await?;
    assert_eq!(payment["decline_reason"], "timeout");
    assert_eq!(payment["requested"]["minor"], "12500000000000000000");
    let late = command("t1", "ApproveAuthorization", &json!({"amount": amount(1_250)}));
    let late = host.command_to("late", &late).await?;
    assert_eq!((late.status, &late.body["code"]), (422, &json!("already_decided")));
    Ok(())
}

/// The decision is made before the network asks (again).
async fn a_decision_made_before_is_told(host: &Host, edge: &Edge) -> Result<()> {
    let approved = |cents| ("ApproveAuthorization", json!({"amount": amount(cents)}));
    let declined = |reason| ("DeclineAuthorization", json!({"reason": reason}));
    for (id, partial, (kind, payload), status, expected) in [
        ("t2", false, approved(1_250), "authorized", json!(["approved", "00", null, "1250"])),
        ("t3", true, approved(500), "partially_authorized", json!(["partially_approved", "10", null, "500"])),
        (
            "t4",
            false,
            declined("insufficient_funds"),
            "declined",
            json!(["declined", "51", "insufficient_funds", null]),
        ),
        ("t5", false, declined("card_frozen"), "declined", json!(["declined", "62", "card_frozen", null])),
    ] {
        let mut message = authorization(id);
        message["partial_allowed"] = json!(partial);
        let asked = command(id, "RequestAuthorization", &request(&message));
        assert_eq!(host.command_to(&format!("{id}-ask"), &asked).await?.status, 200);
        assert_eq!(host.command_to(&format!("{id}-say"), &command(id, kind, &payload)).await?.status, 200);
        payment_when(host, id, status).await?;
        let said = edge.told("authorizations", &message).await?.body;
        let said = json!([said["action"], said["response_code"], said["reason"], said["approved"]["minor"]]);
        assert_eq!(said, expected, "{id}");
    }
    Ok(())
}

/// The network reverses its request; the repeat is told that nothing is held any more.
async fn a_reversed_request_is_declined(host: &Host, edge: &Edge) -> Result<()> {
    let mut reversal = about("t2", "t2-0400");
    reversal["cause"] = json!("timeout");
    assert_eq!(edge.told("reversals", &reversal).await?.body["action"], "recorded");
    payment_when(host, "t2", "reversed").await?;
    let said = edge.told("authorizations", &authorization("t2")).await?.body;
    let said = json!([said["action"], said["response_code"], said["reason"], said["approved"]]);
    assert_eq!(said, json!(["declined", "05", "reversed", null]));
    Ok(())
}

/// The same id with another content is an error of the sender, and changes nothing.
async fn another_request_with_the_same_id_is_refused(edge: &Edge) -> Result<()> {
    let mut other = authorization("t2");
    other["amount"]["minor"] = json!("9999");
    let refused = edge.told("authorizations", &other).await?;
    assert_eq!((refused.status, &refused.body["response_code"]), (200, &json!("94")), "{refused:?}");
    Ok(())
}

/// Amount in the log's form.
pub fn amount(cents: u64) -> Value {
    json!({"minor": cents_text(cents), "decimals": 18, "asset": "EURe"})
}

pub fn cents_text(amount: u64) -> String {
    cents(amount).to_string()
}

#[tokio::test]
async fn the_saga_decides_before_the_network_is_answered() -> Result<()> {
    let world = World::new().await?;
    let (host, edge) = host_of(&world).await?;
    let said = async |id: &str| {
        let said = edge.told("authorizations", &authorization(id)).await?.body;
        anyhow::Ok(json!([said["action"], said["response_code"], said["reason"]]))
    };
    let nobody_issued_it = json!(["declined", "14", "card_not_issued"]);
    assert_eq!(said("t1").await?, nobody_issued_it);
    assert_eq!(said("t1").await?, nobody_issued_it, "a repeat");
    let rules = json!({"categories": "all", "countries": "all", "limits": [], "velocity": []});
    let issue = json!({"aggregate": "card", "id": "card-1", "account": ACCOUNT, "type": "IssueCard",
                       "schema_version": 1, "payload": {"account": ACCOUNT, "rules": rules}});
    assert_eq!(host.command_to("issue", &issue).await?.status, 200);
    assert_eq!(said("t2").await?, json!(["declined", "14", "account_not_opened"]));
    let open = json!({"aggregate": "account", "id": ACCOUNT, "account": ACCOUNT, "type": "OpenAccount",
                      "schema_version": 1, "payload": {"assets": [{"asset": "EURe", "decimals": 18}]}});
    assert_eq!(host.command_to("open", &open).await?.status, 200);
    assert_eq!(said("t3").await?, json!(["declined", "51", "insufficient_funds"]));
    // The answer does not depend on the read store.
    let read = world.databases.read().await?;
    let schema = "DROP SCHEMA payments CASCADE; REVOKE ALL ON SCHEMA public FROM PUBLIC";
    sqlx::raw_sql(schema).execute(&read).await?;
    assert_eq!(said("t4").await?, json!(["declined", "51", "insufficient_funds"]));
    let write = world.databases.write().await?;
    let commits: i64 = sqlx::query_scalar(
        "SELECT max(n) FROM (SELECT count(DISTINCT xmin::text) AS n FROM events
         WHERE stream LIKE '%visa-t%' GROUP BY correlation_id) AS of_each",
    )
    .fetch_one(&write)
    .await?;
    assert_eq!(commits, 1, "request, saga and decision are one commit");
    Ok(())
}

#[tokio::test]
async fn a_providers_event_acts_once_and_is_acknowledged_when_it_is_committed() -> Result<()> {
    let world = World::new().await?;
    world.unlist_accounts()?;
    let (host, edge) = host_of(&world).await?;
    let rules = json!({"categories": "all", "countries": "all", "limits": [], "velocity": []});
    let issue = json!({"aggregate": "card", "id": "card-1", "account": ACCOUNT, "type": "IssueCard",
                       "schema_version": 1, "payload": {"account": ACCOUNT, "rules": rules}});
    let frozen =
        json!({"id": "evt-1", "type": "card.frozen", "data": {"card_id": "card-1", "reason": "stolen"}});
    // The event came before its card existed; once the card exists, the same delivery succeeds.
    assert_eq!(edge.provider(&frozen).await?.status, 503);
    let issued = host.command_to("issue", &issue).await?;
    assert_eq!(issued.status, 200, "{issued:?}");
    for _ in 0..2 {
        let answer = edge.provider(&frozen).await?;
        assert_eq!(answer.body, json!({"id": "evt-1", "outcome": "committed"}));
    }
    let write = world.databases.write().await?;
    let types: Vec<String> =
        sqlx::query_scalar("SELECT type FROM events ORDER BY position").fetch_all(&write).await?;
    assert_eq!(types, ["CardIssued", "CardFrozen"]);

    let mut reused = frozen.clone();
    reused["data"]["reason"] = json!("lost");
    assert_eq!(edge.provider(&reused).await?.status, 409);
    let dispute = json!({"id": "evt-2", "type": "dispute.advanced",
                         "data": {"payment_id": "visa-t1", "dispute_id": "d-1", "stage": "submitted"}});
    assert_eq!(edge.provider(&dispute).await?.status, 503);
    let advice = edge.told("advices", &authorization("t1")).await?;
    assert_eq!(advice.body["action"], "recorded", "{advice:?}");
    let rejected = edge.provider(&dispute).await?.body;
    assert_eq!(rejected, json!({"id": "evt-2", "outcome": "rejected", "code": "dispute_not_found"}));
    Ok(())
}

#[tokio::test]
async fn without_a_secret_an_edge_serves_nothing_that_needs_one() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    let edge = Edge::of(&host);
    let message = authorization("t1");
    let network = edge.network("authorizations", &message).await?;
    let provider = edge.provider(&json!({"id": "e", "type": "t", "data": {}})).await?;
    let customer = edge.customer(ACCOUNT, "/edge/account").await?;
    for (answer, variable) in [(network, "NETWORK"), (provider, "PROVIDER"), (customer, "CUSTOMER")] {
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        assert!(
            answer.status == 503 && detail.contains(&format!("SPIN_VARIABLE_{variable}_SECRET")),
            "{answer:?}"
        );
    }
    Ok(())
}

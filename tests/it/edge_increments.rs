//! Increments by the network's own route: each hears its own decision, and a repeat hears it again.

use anyhow::Result;
use clearfold_tests::{World, eventually};
use serde_json::{Value, json};

use crate::edge::{about, amount, authorization, cents_text, command, host_without_saga, request};

fn increment(message_id: &str, cents: u64) -> Value {
    let mut more = about("t1", message_id);
    more["amount"] = json!({"minor": cents.to_string(), "currency": "EUR", "exponent": 2});
    more
}

#[tokio::test]
async fn an_increment_hears_its_own_decision_and_leaves_the_first_one() -> Result<()> {
    let world = World::new().await?;
    // Without the saga, only this test decides.
    let (host, edge) = host_without_saga(&world).await?;
    let mut first = authorization("t1");
    first["partial_allowed"] = json!(true);
    let more = increment("t1-0100-2", 250);
    let asked =
        json!({"message_id": "t1-0100-2", "amount": amount(250), "occurred_at": more["transmitted_at"]});
    for (key, kind, payload) in [
        ("ask", "RequestAuthorization", request(&first)),
        ("say", "ApproveAuthorization", json!({"amount": amount(500)})),
        ("more", "IncrementAuthorization", asked),
        ("approve", "ApproveIncrement", json!({"message_id": "t1-0100-2"})),
    ] {
        let mut command = command("t1", kind, &json!({}));
        command["payload"] = payload;
        let answer = host.command_to(key, &command).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    eventually("the increment counts", async || {
        let payment = host.get("/v1/payments/visa-t1").await?.body;
        Ok((payment["authorized"]["minor"] == cents_text(750)).then_some(()))
    })
    .await?;
    let said = async |route: &str, message: &Value| {
        let said = edge.told(route, message).await?.body;
        anyhow::Ok(json!([said["action"], said["response_code"], said["reason"], said["approved"]["minor"]]))
    };
    let route = "authorizations/t1/increments";
    let in_part = json!(["partially_approved", "10", null, "500"]);
    assert_eq!(said("authorizations", &first).await?, in_part, "the first approval");
    for _ in 0..2 {
        assert_eq!(said(route, &more).await?, json!(["approved", "00", null, "250"]));
    }
    let other = increment("t1-0100-2", 251);
    assert_eq!(said(route, &other).await?, json!(["declined", "94", "idempotency_key_reused", null]));
    // Nobody decides these, so each is closed in the log: an increment, and a further request of the same payment.
    let mut further = first.clone();
    further["message_id"] = json!("t1-0100-4");
    let timeout = json!(["declined", "91", "timeout", null]);
    for (route, message, id) in
        [(route, &increment("t1-0100-3", 250), "t1-0100-3"), ("authorizations", &further, "t1-0100-4")]
    {
        assert_eq!(said(route, message).await?, timeout, "{id}");
        let late = command("t1", "ApproveIncrement", &json!({"message_id": id}));
        let late = host.command_to(&format!("late-{id}"), &late).await?;
        assert_eq!((late.status, &late.body["code"]), (422, &json!("already_decided")));
    }
    assert_eq!(said("authorizations", &first).await?, in_part, "still the first approval");
    Ok(())
}

#[tokio::test]
async fn an_increment_names_its_payment_in_its_path() -> Result<()> {
    let world = World::new().await?;
    let (_host, edge) = host_without_saga(&world).await?;
    let more = increment("t1-0100-2", 250);
    assert_eq!(edge.network("authorizations/t2/increments", &more).await?.status, 400);
    assert_eq!(edge.network("authorizations/t1/decrements", &more).await?.status, 404);
    assert_eq!(edge.network("authorizations/t1/increments/1", &more).await?.status, 404);
    let none = edge.told("authorizations/t1/increments", &more).await?.body;
    assert_eq!(
        (&none["action"], &none["response_code"], &none["reason"]),
        (&json!("declined"), &json!("25"), &json!("authorization_not_found"))
    );
    Ok(())
}

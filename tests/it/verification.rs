//! Account verification: a request of zero asks whether the card is good.

use anyhow::Result;
use clearfold_tests::World;
use serde_json::{Value, json};

use crate::edge::{ACCOUNT, authorization, host_of, payment_when};
use crate::sagas::Place;

#[tokio::test]
async fn a_request_of_zero_verifies_the_card_and_holds_nothing() -> Result<()> {
    let place = Place::with_a_card().await?;
    let before = place.head().await?;
    place.request("a1", 0).await?;
    place.accepted("card", "c1", "FreezeCard", json!({"reason": "holder"})).await?;
    place.request("a2", 0).await?;
    let events = place.events_behind(before).await?;
    let events: Vec<&String> = events.iter().filter(|event| !event.starts_with("saga-")).collect();
    let expected = [
        "authorization-a1 AuthorizationRequested",
        "authorization-a1 AuthorizationApproved",
        "card-c1 CardFrozen",
        "authorization-a2 AuthorizationRequested",
        "authorization-a2 AuthorizationDeclined",
    ];
    assert_eq!(events, expected);
    place.prove().await
}

#[tokio::test]
async fn the_network_hears_of_a_verification_and_the_payment_is_shown() -> Result<()> {
    let world = World::new().await?;
    let (host, edge) = host_of(&world).await?;
    let order = async |key: &str, kind: &str, payload: Value| {
        let command = json!({"aggregate": "card", "id": "card-1", "account": ACCOUNT, "type": kind,
                             "schema_version": 1, "payload": payload});
        assert_eq!(host.command_to(key, &command).await?.status, 200, "{kind}");
        anyhow::Ok(())
    };
    let said = async |id: &str, minor: &str| {
        let mut message = authorization(id);
        message["amount"]["minor"] = json!(minor);
        message["merchant"]["id"] = json!("5265           ");
        let said = edge.told("authorizations", &message).await?.body;
        anyhow::Ok(json!([said["action"], said["response_code"], said["reason"], said["approved"]]))
    };
    let rules = json!({"categories": "all", "countries": "all", "limits": [], "velocity": []});
    order("issue", "IssueCard", json!({"account": ACCOUNT, "rules": rules})).await?;
    for _ in 0..2 {
        assert_eq!(said("t1", "0").await?, json!(["approved", "85", null, null]));
    }
    let shown = payment_when(&host, "t1", "authorized").await?;
    assert_eq!(
        (&shown["requested"]["minor"], &shown["funding"]["status"], &shown["merchant"]["id"]),
        (&json!("0"), &json!("none"), &json!("5265"))
    );
    order("freeze", "FreezeCard", json!({"reason": "holder"})).await?;
    assert_eq!(said("t2", "0").await?, json!(["declined", "9G", "blocked_by_holder", null]));
    payment_when(&host, "t2", "declined").await?;
    // Later payments of the partition are shown as well.
    assert_eq!(said("t3", "1250").await?, json!(["declined", "9G", "blocked_by_holder", null]));
    payment_when(&host, "t3", "declined").await?;
    Ok(())
}

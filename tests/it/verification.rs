//! Account verification: a request of zero asks whether the card is good.

use anyhow::Result;
use serde_json::json;

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

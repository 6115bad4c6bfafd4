//! The customer's edge component: who reads what.

use anyhow::{Context, Result};
use clearfold_tests::{World, cents, eventually};
use serde_json::{Value, json};

use crate::edge::host_of;

#[tokio::test]
async fn a_customer_reads_what_is_theirs_and_nothing_else() -> Result<()> {
    let world = World::new().await?;
    let (host, edge) = host_of(&world).await?;
    world.chain.swipes_at_once(&[(0, cents(850)), (1, cents(300)), (0, cents(150))]).await?;
    let payments = host.payments_when(3).await?;
    let owner = format!("{:#x}", world.chain.deployment().account(0)?.safe);
    let (mine, others): (Vec<Value>, Vec<Value>) =
        payments.into_iter().partition(|payment| payment["account"] == owner.as_str());

    let listed = edge.customer(&owner, "/edge/payments").await?.body;
    let ids = |list: &[Value]| list.iter().map(|payment| payment["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(listed["data"].as_array().context("a list")?), ids(&mine));
    let first = edge.customer(&owner, "/edge/payments?limit=1").await?.body;
    let cursor = first["next_cursor"].as_str().context("a second page")?;
    let second = edge.customer(&owner, &format!("/edge/payments?limit=1&cursor={cursor}")).await?.body;
    assert_eq!(ids(second["data"].as_array().context("a list")?), [mine[1]["id"].clone()]);

    let read = async |payment: &Value| {
        let id = payment["id"].as_str().context("an id")?;
        edge.customer(&owner, &format!("/edge/payments/{id}")).await
    };
    assert_eq!(read(&mine[0]).await?.body["amount"], mine[0]["amount"]);
    let foreign = read(&others[0]).await?;
    let nothing = edge.customer(&owner, "/edge/payments/00000000000000000000000000000000").await?;
    assert_eq!((foreign.status, &foreign), (404, &nothing));
    let account = eventually("both payments count", async || {
        let account = edge.customer(&owner, "/edge/account").await?.body;
        Ok((account["assets"][0]["payment_count"] == 2).then_some(account))
    })
    .await?;
    assert_eq!(
        (&account["id"], &account["assets"][0]["spent"]["display"]),
        (&json!(owner), &json!("10.00 EURe"))
    );
    Ok(())
}

//! Malformed or unexpected input is stored with its reason, and stops nothing.

use anyhow::Result;
use clearfold_devchain::Oddity;
use clearfold_tests::{World, cents, eventually};
use serde_json::{Value, json};
use sqlx::Row;

use crate::swipe::{sorted_facts, spends};

#[tokio::test]
async fn odd_logs_are_kept_with_their_reason_and_the_listener_goes_on() -> Result<()> {
    let world = World::new().await?;
    let mut contracts = world.chain.contract_set();
    let oddities = format!("{:#x}", world.chain.deployment().oddities);
    contracts["spenders"].as_array_mut().unwrap().push(json!({"address": oddities, "from_block": 0}));
    std::fs::write(&world.contracts, contracts.to_string())?;
    let host = world.host().await?;
    let mut expected = Vec::new();
    for oddity in Oddity::ALL {
        let mined = world.chain.odd(oddity).await?;
        let code = match oddity {
            Oddity::SpendWithoutAccount => "spend_without_account",
            Oddity::SpendTooShort | Oddity::SpendOfWideAddress | Oddity::SpendWithIndexedAsset => {
                "spend_malformed"
            }
            Oddity::SpendOfUnknownAsset => "spend_of_unknown_asset",
            // Neither moved any money.
            Oddity::SpendToStranger | Oddity::SpendOfNothing => "spend_without_transfer",
            // A log outside the filters.
            Oddity::LogWithoutTopics => continue,
        };
        expected.push((mined.transaction_hash.to_vec(), code.to_owned()));
        world.chain.swipe(0, cents(100)).await?;
    }
    let payments = host.payments_when(expected.len()).await?;
    assert_eq!(payments.len(), expected.len());

    let write = world.databases.write().await?;
    let letters =
        sqlx::query("SELECT transaction_hash, code, detail FROM dead_letters ORDER BY block_number");
    let letters: Vec<(Vec<u8>, String, String)> =
        letters.fetch_all(&write).await?.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert!(letters.iter().all(|(_, _, detail)| !detail.is_empty()));
    let found: Vec<_> = letters.into_iter().map(|(hash, code, _)| (hash, code)).collect();
    assert_eq!(found, expected);

    // Read again after a crash, each is still stored once.
    host.kill()?;
    sqlx::query("DELETE FROM chain_cursor").execute(&write).await?;
    let host = world.host().await?;
    eventually("the cursor", async || {
        let cursor = sqlx::query("SELECT 1 FROM chain_cursor").fetch_optional(&write).await?;
        Ok(cursor.map(|_| ()))
    })
    .await?;
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM dead_letters").fetch_one(&write).await?;
    assert_eq!((usize::try_from(count)?, host.payments().await?.len()), (expected.len(), payments.len()));
    Ok(())
}

#[tokio::test]
async fn nobody_but_the_chain_can_report_a_swipe() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    world.chain.swipe(0, cents(100)).await?;
    let payments = host.payments_when(1).await?;
    let forged = json!({
        "aggregate": "authorization", "id": "forged", "account": payments[0]["account"],
        "type": "RecordSwipe", "schema_version": 1,
        "payload": {
            "account": payments[0]["account"], "occurred_at": "2026-11-22T10:00:00.000Z",
            "amount": {"minor": "1", "decimals": 18, "asset": "EURe"},
            "source": payments[0]["source"],
        },
    });
    let answer = host.command_to("forged", &forged).await?;
    assert_eq!((answer.status, &answer.body["code"]), (422, &json!("not_from_chain")));
    assert_eq!(sorted_facts(&host.payments().await?), spends(&world).await?);
    Ok(())
}

#[tokio::test]
async fn a_bad_request_says_what_is_wrong() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    for (path, status, code) in [
        ("/v1/payments?limit=0", 400, "invalid_limit"),
        ("/v1/payments?limit=201", 400, "invalid_limit"),
        ("/v1/payments?limit=many", 400, "invalid_query"),
        ("/v1/payments?colour=red", 400, "invalid_query"),
        ("/v1/payments?status=done", 400, "invalid_status"),
        ("/v1/payments?account=0x12", 400, "invalid_account"),
        ("/v1/payments?cursor=zz", 400, "invalid_cursor"),
        ("/v1/payments/A%20B", 400, "invalid_id"),
        ("/v1/payments/a-payment-made-by-hand", 404, "payment_not_found"),
        ("/v1/payments/00000000000000000000000000000000", 404, "payment_not_found"),
        ("/v1/network-fees", 400, "invalid_query"),
        ("/v1/network-fees?from=2026-11-31&to=2026-12-01", 400, "invalid_day"),
        ("/v1/network-fees?from=2026-12-02&to=2026-12-01", 400, "invalid_range"),
        ("/v1/network-fees?from=2026-01-01&to=2026-04-03", 400, "invalid_range"),
        ("/v1/network-fees?from=2026-12-01&to=2026-12-01&network=amex", 400, "invalid_network"),
        ("/v1/accounts/0x0000000000000000000000000000000000000000", 404, "account_not_found"),
        ("/v1/accounts/somebody", 400, "invalid_account"),
        ("/v2", 404, "no_such_path"),
        ("/v1/payments/%FF", 400, "invalid_path"),
        ("/v1/commands", 405, "method_not_allowed"),
    ] {
        let answer = host.get(path).await?;
        assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{path}");
        assert_eq!(answer.content_type, "application/problem+json", "{path}");
        assert_eq!(answer.body["status"], status, "{path}");
    }
    let account = "0x00000000000000000000000000000000000000aa";
    let body = |change: &dyn Fn(&mut Value)| {
        let mut body = json!({"aggregate": "authorization", "id": "a", "account": account, "type": "PresentClearing",
                              "schema_version": 1, "payload": {}});
        change(&mut body);
        body
    };
    let cases = [
        ("", body(&|_| {}), 400, "invalid_idempotency_key"),
        ("chain/1", body(&|_| {}), 400, "invalid_idempotency_key"),
        ("k1", body(&|body| body["id"] = json!("../x")), 400, "invalid_id"),
        ("k2", body(&|body| body["account"] = Value::Null), 404, "stream_not_found"),
        ("k3", body(&|body| body["account"] = json!("0x1")), 400, "invalid_account"),
        ("k4", body(&|body| body["aggregate"] = json!("cheque")), 404, "unknown_aggregate"),
        ("k5", body(&|body| body["type"] = json!("Pay")), 422, "unknown_type"),
        ("k6", body(&|body| body["schema_version"] = json!(9)), 422, "unknown_schema_version"),
        ("k7", body(&|_| {}), 422, "malformed_payload"),
        ("k12", body(&|body| body["schema_version"] = json!(0)), 400, "invalid_schema_version"),
        ("k13", body(&|body| body["schema_version"] = json!(1_u32 << 31)), 400, "invalid_schema_version"),
        ("k14", body(&|body| body["schema_version"] = json!(i32::MAX)), 422, "unknown_schema_version"),
        ("k8", body(&|body| body["extra"] = json!(1)), 422, "invalid_body"),
        ("k9", json!([]), 422, "invalid_body"),
        ("k10", body(&|body| body["type"] = json!("a\u{0}b")), 400, "invalid_body"),
        ("k11", body(&|body| body["payload"] = json!({"note": "a\u{0}b"})), 400, "invalid_body"),
    ];
    for (key, body, status, code) in cases {
        let answer = host.command_to(key, &body).await?;
        assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{key} {body}");
    }
    let write = world.databases.write().await?;
    let sent = "SELECT count(*) FROM events WHERE actor = 'api'";
    let events: i64 = sqlx::query_scalar(sent).fetch_one(&write).await?;
    assert_eq!(events, 0);
    Ok(())
}

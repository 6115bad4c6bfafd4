//! Simulated card network: presents the clearing of a payment some time after it was recorded. It keeps no persistent
//! state: the payments to clear are those that the host's API lists as recorded, so a restart continues with the
//! rest.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::time::Instant;

use clearfold_devchain::install_cryptography;

const PAGE: u32 = 100;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

pub struct CardNetwork {
    api: String,
    http: Client,
    clear_after: Duration,
    /// Payments listed as recorded, by id.
    open: HashMap<String, Open>,
}

enum Open {
    SeenAt(Instant),
    Presented,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Payment>,
}

#[derive(Deserialize)]
struct Payment {
    id: String,
    status: String,
    amount: Amount,
}

#[derive(Deserialize)]
struct Amount {
    minor: String,
    decimals: u8,
    asset: String,
    display: String,
}

impl CardNetwork {
    pub fn new(api: &str, clear_after_ms: u64) -> Self {
        install_cryptography();
        Self {
            api: api.trim_end_matches('/').to_owned(),
            http: Client::new(),
            clear_after: Duration::from_millis(clear_after_ms),
            open: HashMap::new(),
        }
    }

    /// Presents the clearing of every payment that has been recorded for long enough.
    pub async fn clear_due(&mut self) -> Result<()> {
        let recorded = self.recorded().await?;
        self.open.retain(|id, _| recorded.iter().any(|payment| payment.id == *id));
        for payment in recorded {
            let open = self.open.entry(payment.id.clone()).or_insert_with(|| Open::SeenAt(Instant::now()));
            if !matches!(open, Open::SeenAt(at) if at.elapsed() >= self.clear_after) {
                continue;
            }
            self.present(&payment).await?;
            self.open.insert(payment.id, Open::Presented);
        }
        Ok(())
    }

    async fn recorded(&self) -> Result<Vec<Payment>> {
        let url = format!("{}/v1/payments?status=recorded&limit={PAGE}", self.api);
        let response = self.http.get(&url).timeout(REQUEST_TIMEOUT).send().await?.error_for_status()?;
        let page: Page = response.json().await.with_context(|| format!("{url} gave no list of payments"))?;
        Ok(page.data.into_iter().filter(|payment| payment.status == "recorded").collect())
    }

    /// Presents one clearing. The idempotency key is derived from the payment, so that a second presentment, for
    /// instance after a restart, changes nothing.
    async fn present(&self, payment: &Payment) -> Result<()> {
        let response = self
            .http
            .post(format!("{}/v1/commands", self.api))
            .header("Idempotency-Key", format!("clearing:{}", payment.id))
            .timeout(REQUEST_TIMEOUT)
            .json(&command(payment)?)
            .send()
            .await?;
        if response.status().is_server_error() {
            response.error_for_status()?;
        } else if response.status().is_success() {
            println!("cleared {} payment {}", payment.amount.display, payment.id);
        } else {
            let (status, reason) = (response.status(), response.text().await?);
            eprintln!("the clearing of payment {} was refused ({status}): {reason}", payment.id);
        }
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "the card network is outside: this is its own clock")]
fn command(payment: &Payment) -> Result<Value> {
    let utc_ms = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let Payment { id, amount: Amount { minor, decimals, asset, .. }, .. } = payment;
    Ok(json!({
        "aggregate": "authorization",
        "id": id,
        "type": "PresentClearing",
        "schema_version": 1,
        "payload": {
            "clearing_id": format!("clr-{id}"),
            "amount": {"minor": minor, "decimals": decimals, "asset": asset},
            "final": true,
            "occurred_at": OffsetDateTime::now_utc().format(&utc_ms)?,
        },
    }))
}

//! Client of the host: commands, payments, and messages that the card network signs.

use std::time::Duration;

use anyhow::{Context, Result};
use clearfold_devchain::install_cryptography;
use clearfold_edge_kit::Secrets;
use reqwest::{Client, Response};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::format_description;

const PAGE: u32 = 100;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The host's API, and its edge with the secret that the network shares.
pub struct Host {
    url: String,
    http: Client,
    secrets: Secrets,
}

/// Payment as the API lists it.
#[derive(Debug, Clone, Deserialize)]
pub struct Payment {
    pub id: String,
    pub account: String,
    pub status: String,
    pub amount: Amount,
    pub held: Amount,
    pub reversed: Amount,
    pub cleared: Amount,
    pub refunded: Amount,
    pub occurred_at: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Amount {
    /// Minor units. The API sends them as a string of decimal digits.
    #[serde(deserialize_with = "minor")]
    pub minor: u128,
    pub decimals: u8,
    pub asset: String,
}

fn minor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// Answer to a message of the network.
#[derive(Debug, Deserialize, Serialize)]
pub struct Said {
    pub action: String,
    pub reason: Option<String>,
}

impl Host {
    pub fn new(url: &str, secret: &str) -> Result<Self> {
        install_cryptography();
        let secrets = Secrets::parse("NETWORK_SECRET", secret).map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(Self { url: url.trim_end_matches('/').to_owned(), http: Client::new(), secrets })
    }

    /// Lists the newest payments with a status.
    pub async fn payments(&self, status: &str) -> Result<Vec<Payment>> {
        #[derive(Deserialize)]
        struct Page {
            data: Vec<Payment>,
        }
        let url = format!("{}/v1/payments?status={status}&limit={PAGE}", self.url);
        let answer = self.http.get(&url).timeout(REQUEST_TIMEOUT).send().await?.error_for_status()?;
        let page: Page = answer.json().await.with_context(|| format!("{url} gave no list of payments"))?;
        Ok(page.data)
    }

    /// Sends a command; a repeat with the same key changes nothing. Returns the refusal if it was refused.
    pub async fn command(&self, key: &str, command: &Value) -> Result<Option<String>> {
        let request = self.http.post(format!("{}/v1/commands", self.url)).header("Idempotency-Key", key);
        let answer = request.timeout(REQUEST_TIMEOUT).json(command).send().await?;
        if answer.status().is_server_error() {
            return Err(failed(answer).await);
        }
        let is_accepted = answer.status().is_success();
        let said = answer.text().await?;
        Ok((!is_accepted).then_some(said))
    }

    /// Sends a message of the network, signed.
    pub async fn message(&self, route: &str, message: &Value) -> Result<Said> {
        let (path, body) = (format!("/network/{route}"), message.to_string());
        let at_s = now().unix_timestamp().to_string();
        let code = self.secrets.code(&[at_s.as_bytes(), b".", path.as_bytes(), b".", body.as_bytes()]);
        let request = self.http.post(format!("{}{path}", self.url)).body(body);
        let request = request.header("x-timestamp", at_s).header("x-signature", format!("v1={code}"));
        let answer = request.timeout(REQUEST_TIMEOUT).send().await?;
        if !answer.status().is_success() {
            return Err(failed(answer).await);
        }
        Ok(answer.json().await?)
    }
}

async fn failed(answer: Response) -> anyhow::Error {
    let (status, said) = (answer.status(), answer.text().await.unwrap_or_default());
    anyhow::anyhow!("the host answered {status}: {said}")
}

/// Time as messages state it.
pub fn moment() -> String {
    let utc_ms = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    // A time of this century has this format.
    now().format(&utc_ms).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "the card network is outside: this is its own clock")]
fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

//! The admin API of a running host, asked over HTTP.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use reqwest::{Client, RequestBuilder};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use clearfold_base::clock::Clock;
use clearfold_base::tls;

/// Longest wait for an answer: longer than a command may wait for its partition's writer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Host whose admin API is asked, and the form of the answer.
#[derive(Debug, Clone, Args)]
pub(super) struct AdminHost {
    /// URL of a running host's API. An order is decided only by the host that writes the account's partition
    #[arg(long, env = "ADMIN_URL", value_name = "URL", default_value = "http://127.0.0.1:9100")]
    admin_url: Url,
    /// Bearer token of the admin API, with which the host was started
    #[arg(long, env = "ADMIN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    admin_token: Option<String>,
    /// Print the answer as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// Operator and reason of what is ordered, and the host that is asked.
#[derive(Debug, Args)]
pub(super) struct OperatorArgs {
    /// Name of the operator, for the record
    #[arg(long, env = "USER", value_name = "NAME", default_value = "operator")]
    pub(super) by: String,
    /// Reason, for the record
    #[arg(long)]
    pub(super) why: Option<String>,
    #[command(flatten)]
    pub(super) host: AdminHost,
}

/// Problem that the API returned.
#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
}

impl AdminHost {
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> anyhow::Result<T> {
        let mut url = self.url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.answer(client()?.get(url)).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        idempotency_key: &str,
        body: &Value,
    ) -> anyhow::Result<T> {
        let request = client()?.post(self.url(path)?).header("idempotency-key", idempotency_key);
        let answer = self.answer(request.json(body)).await;
        answer.map_err(|error| anyhow!("{error:#} (idempotency key of the order: {idempotency_key})"))
    }

    /// Makes the URL of a path below the admin API, each part of it encoded.
    fn url(&self, path: &[&str]) -> anyhow::Result<Url> {
        let mut url = self.admin_url.clone();
        let parts = url.path_segments_mut();
        let mut parts = parts.ok().context("ADMIN_URL (--admin-url) is no URL of a host")?;
        parts.pop_if_empty().extend(["admin", "v1"]).extend(path);
        drop(parts);
        Ok(url)
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> anyhow::Result<T> {
        let token = self.admin_token.as_ref().context(
            "the admin API needs its token: set ADMIN_TOKEN (--admin-token) to the one that the host was started with",
        )?;
        let sent = request.bearer_auth(token).send().await;
        let response = sent.with_context(|| {
            format!(
                "the host at {} does not answer; start it, or give another URL with ADMIN_URL (--admin-url)",
                self.admin_url
            )
        })?;
        let status = response.status();
        let body = response.bytes().await.context("the host broke off its answer; ask again")?;
        if status.is_success() {
            return serde_json::from_slice(&body)
                .context("the host's answer is not that of this version; use the host's own program");
        }
        match serde_json::from_slice(&body) {
            Ok(Problem { code, detail }) => bail!("{detail} ({code})"),
            Err(_) => {
                bail!("the host answered {status}; is ADMIN_URL (--admin-url) the URL of a Clearfold host?")
            }
        }
    }
}

fn client() -> anyhow::Result<Client> {
    tls::install();
    Client::builder().timeout(PATIENCE).build().context("the HTTP client cannot be used")
}

/// Makes the key of a new order: no two programs of a machine have the same number at the same time.
pub(super) fn new_key() -> String {
    format!("order/{}/{}", Clock::system().now().as_ms(), std::process::id())
}

/// Returns the word of a value, as the command line spells it.
pub(super) fn word(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Prints the value as JSON with `--json`, else the text.
pub(super) fn show(
    host: &AdminHost,
    value: &impl Serialize,
    text: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if host.json {
        writeln!(out, "{}", serde_json::to_string(value)?)?;
    } else {
        write!(out, "{}", text())?;
    }
    Ok(())
}

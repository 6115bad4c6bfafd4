//! `GET /v1/network-fees`.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use clearfold_kernel::Timestamp;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::parameters::invalid;
use super::{ApiState, Problem};
use clearfold_views::query::DaysNetworkFee;

/// Most days of one answer.
const MOST_DAYS: u64 = 92;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FeesQuery {
    from: String,
    to: String,
    network: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Fees {
    data: Vec<DaysNetworkFee>,
}

pub(super) async fn by_day(
    State(state): State<ApiState>,
    query: Result<Query<FeesQuery>, QueryRejection>,
) -> Result<Json<Fees>, Problem> {
    let Query(query) = query?;
    let (from, to) = (day(&query.from)?, day(&query.to)?);
    let days = to.as_ms().checked_sub(from.as_ms()).map(|behind_ms| behind_ms / DAY_MS);
    if days.is_none_or(|behind| behind >= MOST_DAYS) {
        let detail = format!("`from` is not after `to`, and they include at most {MOST_DAYS} days");
        return Err(invalid("invalid_range", detail));
    }
    let network = query.network.map(network).transpose()?;
    match state.read_store.fees_by_day(from, to, network.as_deref()).await? {
        Some(data) => Ok(Json(Fees { data })),
        None => {
            let detail = "this host keeps no network fees; add the projector `settlement` to its manifest";
            Err(Problem::new(StatusCode::NOT_FOUND, "network_fees_not_kept", detail))
        }
    }
}

/// Reads a day as its first moment in UTC.
fn day(text: &str) -> Result<Timestamp, Problem> {
    let midnight = format!("{text}T00:00:00.000Z").parse();
    midnight.map_err(|_| invalid("invalid_day", format!("`{text}` is no day; write it like 2026-11-22")))
}

/// Refuses an unknown network, since a misspelt one would look like "no fees".
fn network(text: String) -> Result<String, Problem> {
    const NETWORKS: [&str; 2] = ["mastercard", "visa"];
    if NETWORKS.contains(&text.as_str()) {
        return Ok(text);
    }
    Err(invalid("invalid_network", format!("`{text}` is no network; give one of {}", NETWORKS.join(", "))))
}

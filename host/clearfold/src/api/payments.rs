//! `GET /v1/payments` and `GET /v1/payments/{id}`.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::parameters::{address, check_id, invalid};
use super::{ApiState, Problem};
use clearfold_views::query::{NetworkFee, Payment, PaymentFilter, TimelineEvent};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    account: Option<String>,
    status: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct Page {
    data: Vec<Payment>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
pub(super) struct PaymentWithTimeline {
    #[serde(flatten)]
    payment: Payment,
    /// `None` if no projector keeps them.
    network_fees: Option<Vec<NetworkFee>>,
    timeline: Vec<TimelineEvent>,
}

pub(super) async fn list(
    State(state): State<ApiState>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let Query(query) = query?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(invalid("invalid_limit", format!("limit is {limit}; give 1 to {MAX_LIMIT}")));
    }
    let filter = PaymentFilter {
        account: query.account.map(|account| address(&account)).transpose()?,
        status: query.status.map(status).transpose()?,
        after: query
            .cursor
            .map(|cursor| cursor.parse())
            .transpose()
            .map_err(|error| invalid("invalid_cursor", format!("{error}")))?,
    };
    let (data, next) = state.read_store.payments(&filter, limit).await?;
    Ok(Json(Page { data, next_cursor: next.map(|cursor| cursor.to_string()) }))
}

pub(super) async fn show(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<PaymentWithTimeline>, Problem> {
    let Path(id) = id?;
    check_id(&id)?;
    match state.read_store.payment(&id).await? {
        Some((payment, timeline)) => {
            let network_fees = state.read_store.fees_of_payment(&payment.account, &id).await?;
            Ok(Json(PaymentWithTimeline { payment, network_fees, timeline }))
        }
        None => {
            let detail = format!("there is no payment {id}; a swipe appears when its block is confirmed");
            Err(Problem::new(StatusCode::NOT_FOUND, "payment_not_found", detail))
        }
    }
}

/// Refuses an unknown status, since a misspelt one would look like "no payments".
fn status(text: String) -> Result<String, Problem> {
    const STATUSES: [&str; 13] = [
        "recorded",
        "requested",
        "authorized",
        "partially_authorized",
        "declined",
        "advised",
        "partially_cleared",
        "cleared",
        "reversed",
        "expired",
        "cleared_late",
        "force_posted",
        "linked",
    ];
    if STATUSES.contains(&text.as_str()) {
        return Ok(text);
    }
    Err(invalid("invalid_status", format!("`{text}` is no status; give one of {}", STATUSES.join(", "))))
}

//! `/admin/v1/sagas`: lists and shows instances of sagas, and gives them orders.
//!
//! The list comes from the read store, an instance from the event store. An order is a command: its `Idempotency-Key`
//! gets the same answer again.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AdminState, BY};
use crate::api::Problem;
use crate::api::commands::idempotency_key;
use crate::api::parameters::invalid;
use clearfold_engine::command::Answer;
use clearfold_engine::saga::{InstanceView, OrderedAction, Resolution, SagaError, SagaOrder};
use clearfold_views::query::{SagaFilter, SagaPage};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    state: Option<String>,
    saga: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// Flow that a retry or a cancel is about; without one, all of the instance's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FlowBody {
    flow: Option<u32>,
    by: Option<String>,
    why: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResolveBody {
    flow: u32,
    #[serde(rename = "as")]
    outcome: Resolution,
    code: Option<String>,
    by: Option<String>,
    why: Option<String>,
}

/// Operator and reason of a pause or a resume.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseBody {
    by: Option<String>,
    why: Option<String>,
}

pub(super) async fn list(
    State(state): State<AdminState>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<SagaPage>, Problem> {
    let Query(query) = query?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(invalid("invalid_limit", format!("limit is {limit}; give 1 to {MAX_LIMIT}")));
    }
    let after = query.cursor.map(|cursor| cursor.parse()).transpose();
    let after = after.map_err(|error| invalid("invalid_cursor", format!("{error}")))?;
    let filter = SagaFilter { saga: query.saga, after, ..state_filter(query.state)? };
    Ok(Json(state.read_store.sagas(&filter, limit).await?))
}

/// Reads a state. An unknown one is refused, since a misspelt one would look like "no instances".
fn state_filter(text: Option<String>) -> Result<SagaFilter, Problem> {
    const STATES: [&str; 5] = ["running", "waiting", "compensating", "parked", "ended"];
    let (state, is_open) = match text.as_deref() {
        None => (None, None),
        Some("open") => (None, Some(true)),
        Some(known) if STATES.contains(&known) => (text, None),
        Some(unknown) => {
            let detail = format!("`{unknown}` is no state; give open or one of {}", STATES.join(", "));
            return Err(invalid("invalid_state", detail));
        }
    };
    Ok(SagaFilter { state, is_open, ..SagaFilter::default() })
}

pub(super) async fn show(
    State(state): State<AdminState>,
    Path(instance): Path<String>,
) -> Result<Json<InstanceView>, Problem> {
    Ok(Json(state.sagas.show(&instance).await?))
}

pub(super) async fn retry(
    State(state): State<AdminState>,
    Path(instance): Path<String>,
    headers: HeaderMap,
    body: Result<Json<FlowBody>, JsonRejection>,
) -> Result<Json<Answer>, Problem> {
    let Json(FlowBody { flow, by, why }) = body?;
    order(&state, &instance, &headers, OrderedAction::Retry { flow }, by, why).await
}

pub(super) async fn cancel(
    State(state): State<AdminState>,
    Path(instance): Path<String>,
    headers: HeaderMap,
    body: Result<Json<FlowBody>, JsonRejection>,
) -> Result<Json<Answer>, Problem> {
    let Json(FlowBody { flow, by, why }) = body?;
    order(&state, &instance, &headers, OrderedAction::Cancel { flow }, by, why).await
}

pub(super) async fn resolve(
    State(state): State<AdminState>,
    Path(instance): Path<String>,
    headers: HeaderMap,
    body: Result<Json<ResolveBody>, JsonRejection>,
) -> Result<Json<Answer>, Problem> {
    let Json(ResolveBody { flow, outcome, code, by, why }) = body?;
    order(&state, &instance, &headers, OrderedAction::Resolve { flow, outcome, code }, by, why).await
}

pub(super) async fn pause(
    State(state): State<AdminState>,
    Path(saga): Path<String>,
    body: Result<Json<PauseBody>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(PauseBody { by, why }) = body?;
    let activation = state.operations.pause(&saga, why, by.unwrap_or_else(|| BY.to_owned())).await?;
    Ok(Json(json!({ "activation": activation })))
}

pub(super) async fn resume(
    State(state): State<AdminState>,
    Path(saga): Path<String>,
    body: Result<Json<PauseBody>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(PauseBody { by, why }) = body?;
    let activation = state.operations.resume(&saga, why, by.unwrap_or_else(|| BY.to_owned())).await?;
    Ok(Json(json!({ "activation": activation })))
}

async fn order(
    state: &AdminState,
    instance: &str,
    headers: &HeaderMap,
    what: OrderedAction,
    by: Option<String>,
    why: Option<String>,
) -> Result<Json<Answer>, Problem> {
    let key = idempotency_key(headers)?;
    let order = SagaOrder { what, by: by.unwrap_or_else(|| BY.to_owned()), why };
    match state.sagas.order(instance, key, order).await? {
        accepted @ Answer::Accepted { .. } => Ok(Json(accepted)),
        Answer::Rejected { code, detail } => {
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail))
        }
    }
}

impl From<SagaError> for Problem {
    fn from(error: SagaError) -> Self {
        let (status, code) = match error {
            SagaError::Command(error) => return error.into(),
            SagaError::NoInstance(_) => (StatusCode::NOT_FOUND, "instance_not_found"),
            SagaError::Paused(_) => (StatusCode::CONFLICT, "saga_paused"),
            SagaError::NoText { .. } => (StatusCode::BAD_REQUEST, "invalid_body"),
            SagaError::Log(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
            SagaError::Unreadable(_) => (StatusCode::INTERNAL_SERVER_ERROR, "stream_damaged"),
            SagaError::Json(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
        };
        Self::new(status, code, clearfold_base::telemetry::with_causes(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_state_is_refused_with_the_known_ones() {
        let refused = state_filter(Some("parkd".into())).unwrap_err();
        let detail = "`parkd` is no state; give open or one of running, waiting, compensating, parked, ended";
        assert_eq!(refused, invalid("invalid_state", detail));
        let open = state_filter(Some("open".into())).unwrap();
        assert_eq!((open.state, open.is_open), (None, Some(true)));
        let parked = state_filter(Some("parked".into())).unwrap();
        assert_eq!((parked.state.as_deref(), parked.is_open), (Some("parked"), None));
    }
}

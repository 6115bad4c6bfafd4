//! `/admin/v1/handlers` and `/admin/v1/activations`: rolls back, ends a canary, and lists the activations.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AdminState, BY};
use crate::api::Problem;
use clearfold_engine::registry::{ActivationView, Handler};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RollbackBody {
    /// Beginning of the digest of an earlier component. Without it, the one before.
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    why: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryQuery {
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

pub(super) async fn rollback(
    State(state): State<AdminState>,
    Path((kind, name)): Path<(String, String)>,
    body: Result<Json<RollbackBody>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let (handler, Json(body)) = (handler(&kind, name)?, body?);
    let by = BY.to_owned();
    let (activation, digest) = state.operations.rollback(&handler, body.to.as_deref(), body.why, by).await?;
    Ok(Json(json!({ "activation": activation, "digest": digest.to_string() })))
}

pub(super) async fn end_canary(
    State(state): State<AdminState>,
    Path((kind, name)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let handler = handler(&kind, name)?;
    let (activation, digest) = state.operations.end_canary(&handler, None, BY.to_owned()).await?;
    Ok(Json(json!({ "activation": activation, "digest": digest.to_string() })))
}

pub(super) async fn history(
    State(state): State<AdminState>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Json<Vec<ActivationView>>, Problem> {
    let Query(query) = query?;
    let only = match (query.kind, query.name) {
        (Some(kind), Some(name)) => Some(handler(&kind, name)?),
        (None, None) => None,
        _ => return Err(invalid_query("give both `kind` and `name`, or neither")),
    };
    Ok(Json(state.operations.registry.history(only.as_ref()).await?))
}

fn handler(kind: &str, name: String) -> Result<Handler, Problem> {
    let kind =
        kind.parse().map_err(|error: clearfold_sandbox::UnknownKind| invalid_query(&error.to_string()))?;
    Ok(Handler { kind, name })
}

fn invalid_query(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_query", detail)
}

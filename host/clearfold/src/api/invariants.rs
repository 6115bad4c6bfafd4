//! `GET /v1/invariants`: checks the invariants now.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use http::StatusCode;
use serde::Deserialize;

use super::{ApiState, Problem, parameters};
use clearfold_audit::{AuditError, Report, Scope};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckQuery {
    account: Option<String>,
}

pub(super) async fn check(
    State(state): State<ApiState>,
    query: Result<Query<CheckQuery>, QueryRejection>,
) -> Result<Json<Report>, Problem> {
    let Query(query) = query?;
    let scope = match query.account {
        None => Scope::Everything,
        Some(account) => Scope::Account(parameters::address(&account)?),
    };
    Ok(Json(state.audit.check(&scope, &|_| {}).await?))
}

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        const RETRY_AFTER_S: u32 = 5;
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        match &error {
            AuditError::Running => {
                Self::new(unavailable, "check_running", error.to_string()).retry_after_s(RETRY_AFTER_S)
            }
            AuditError::UnknownAccount(_) => {
                Self::new(StatusCode::NOT_FOUND, "account_not_found", error.to_string())
            }
            AuditError::Log(_)
            | AuditError::ReadStore(_)
            | AuditError::Panicked(_)
            | AuditError::CodeTwice(_) => {
                tracing::error!(error = %clearfold_base::telemetry::with_causes(&error), "a check failed");
                let code = if matches!(error, AuditError::ReadStore(_)) {
                    "read_store_unavailable"
                } else {
                    "store_unavailable"
                };
                let detail =
                    format!("{error}, so the invariants could not be checked; try again in a moment");
                Self::new(unavailable, code, detail).retry_after_s(RETRY_AFTER_S)
            }
        }
    }
}

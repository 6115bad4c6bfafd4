//! The REST API: extract, make one call, convert.
//!
//! Reads come from the read store, commands go to the command intake. Errors are RFC 9457 problem details. Nothing
//! here knows a business rule.

mod accounts;
pub mod admin;
mod canonical;
mod commands;
mod edge;
mod fees;
mod invariants;
mod parameters;
mod payments;
mod problem;

pub use edge::Edges;
pub use problem::Problem;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::routing::{get, post};
use http::StatusCode;

use clearfold_audit::Audit;
use clearfold_engine::command::CommandIntake;
use clearfold_views::query::{QueryError, ReadStore};

/// Resources of the endpoints.
#[derive(Clone)]
pub struct ApiState {
    pub read_store: ReadStore,
    pub intake: CommandIntake,
    pub audit: Arc<Audit>,
}

/// The host's own API.
pub fn router(state: ApiState) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/v1/payments", get(payments::list))
        .route("/v1/payments/{id}", get(payments::show))
        .route("/v1/accounts/{id}", get(accounts::show))
        .route("/v1/accounts/{id}/balances", get(accounts::balances))
        .route("/v1/network-fees", get(fees::by_day))
        .route("/v1/commands", post(commands::submit))
        .route("/v1/invariants", get(invariants::check))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .with_state(state)
}

async fn not_found(uri: http::Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_path", format!("there is no path {}", uri.path()))
}

async fn method_not_allowed(method: http::Method, uri: http::Uri) -> Problem {
    let detail = format!("{} does not take {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        if let QueryError::NoProjection(_) = error {
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, "no_projection", error.to_string());
        }
        tracing::error!(error = %clearfold_base::telemetry::with_causes(&error), "a query failed");
        let detail = "the read store did not answer; try again in a moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "read_store_unavailable", detail)
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_query", rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_path", rejection.body_text())
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), "invalid_body", rejection.body_text())
    }
}

//! The admin API: the operations of `clearfold component`, `clearfold saga` and `clearfold pull`, for programs.
//!
//! Its token gives the right to change what runs, so without ADMIN_TOKEN the admin API is off. Each endpoint makes
//! one call of the registry's operations, or of those on sagas or pulls, and converts the result; nothing is decided here.

mod components;
mod handlers;
mod pulls;
mod sagas;
mod versions;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::Problem;
use clearfold_chain::submitter::SubmitterHand;
use clearfold_engine::registry::{Operations, RegistryError};
use clearfold_engine::saga::SagaOperations;
use clearfold_sandbox::MAX_COMPONENT_BYTES;
use clearfold_views::query::ReadStore;

pub(crate) use versions::SagaVersions;

/// Name under which the registry records these operations.
const BY: &str = "admin api";

/// Resources of the admin endpoints.
#[derive(Clone)]
pub struct AdminState {
    pub operations: Arc<Operations>,
    pub sagas: SagaOperations,
    pub read_store: ReadStore,
    /// Hand on the chain submitter of this host; none if it has none.
    pub submitter: Option<SubmitterHand>,
    /// Token that requests must bring; none if the admin API is off.
    pub token: Option<Arc<str>>,
    /// Progress of a projection's build in this host, or why it failed; none if the projector in force is already
    /// read.
    pub builds: Builds,
    /// Held during a shadow run: one runs at a time, so that its connections suffice.
    pub trying: Arc<Mutex<()>>,
}

/// Function from a projection's name to the progress of its build.
pub type Builds = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Router of the endpoints below `/admin/v1`.
pub fn router(state: AdminState) -> Router {
    let components = Router::new()
        .route("/components", get(components::list).post(components::deploy))
        .route("/components/{digest}", get(components::show))
        .route("/components/{digest}/diff/{other}", get(components::diff))
        .route("/components/{digest}/verify", post(components::verify))
        .route("/components/{digest}/activate", post(components::activate))
        .route("/components/{digest}/canary", post(components::canary))
        .route("/handlers/{kind}/{name}/rollback", post(handlers::rollback))
        .route("/handlers/{kind}/{name}/end-canary", post(handlers::end_canary))
        .route("/activations", get(handlers::history))
        .route("/handlers/saga/{name}/pause", post(sagas::pause))
        .route("/handlers/saga/{name}/resume", post(sagas::resume))
        .route("/handlers/saga/{name}/versions", get(versions::list))
        .route("/handlers/saga/{name}/migrate", post(versions::migrate))
        .route("/sagas", get(sagas::list))
        .route("/sagas/{instance}", get(sagas::show))
        .route("/sagas/{instance}/retry", post(sagas::retry))
        .route("/sagas/{instance}/cancel", post(sagas::cancel))
        .route("/sagas/{instance}/resolve", post(sagas::resolve))
        .route("/pulls", get(pulls::list))
        .route("/pulls/{pull}/resolve", post(pulls::resolve))
        .route("/pulls/{pull}/search", post(pulls::search))
        .method_not_allowed_fallback(super::method_not_allowed)
        .fallback(super::not_found)
        .layer(DefaultBodyLimit::max(MAX_COMPONENT_BYTES))
        .layer(middleware::from_fn_with_state(state.clone(), authorize));
    Router::new().nest("/admin/v1", components.with_state(state))
}

async fn authorize(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    match allowed(&state, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn allowed(state: &AdminState, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(token) = &state.token else {
        let detail = "the admin API is off; start the host with ADMIN_TOKEN to turn it on";
        return Err(Problem::new(StatusCode::FORBIDDEN, "admin_off", detail));
    };
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer "));
    // Digests are compared, so that the time it takes reveals nothing about the token.
    if given.is_some_and(|given| Sha256::digest(given) == Sha256::digest(&**token)) {
        return Ok(());
    }
    let detail =
        "the token is missing or wrong; send the header Authorization: Bearer with the host's ADMIN_TOKEN";
    Err(Problem::new(StatusCode::UNAUTHORIZED, "not_the_admin", detail))
}

/// Problem of a body that cannot be used.
fn invalid_body(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_body", detail)
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        let (status, code) = match &error {
            RegistryError::Database(_) | RegistryError::Log(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable")
            }
            RegistryError::Unknown(_) => (StatusCode::NOT_FOUND, "component_not_found"),
            RegistryError::Ambiguous { .. } => (StatusCode::CONFLICT, "digest_ambiguous"),
            RegistryError::NotADigest(_) => (StatusCode::BAD_REQUEST, "invalid_digest"),
            RegistryError::NoSuchHandler(_) => (StatusCode::NOT_FOUND, "handler_not_found"),
            RegistryError::ChangedMeanwhile { .. } => (StatusCode::CONFLICT, "changed_meanwhile"),
            RegistryError::InForceAlready { .. } => (StatusCode::CONFLICT, "in_force_already"),
            RegistryError::OnlyDeciders(_) => (StatusCode::UNPROCESSABLE_ENTITY, "only_deciders"),
            RegistryError::NothingBefore(_) => (StatusCode::CONFLICT, "nothing_before"),
            RegistryError::NoCanary(_) => (StatusCode::CONFLICT, "no_canary"),
            RegistryError::FollowerFails { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "follower_fails"),
            RegistryError::HasCanary(_) => (StatusCode::CONFLICT, "has_canary"),
            RegistryError::NoInstances { .. } => (StatusCode::CONFLICT, "no_instances"),
            RegistryError::MovedAway { .. } => (StatusCode::CONFLICT, "moved_away"),
            RegistryError::CannotMove { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "cannot_move"),
            RegistryError::Unreadable(_) => (StatusCode::INTERNAL_SERVER_ERROR, "stream_damaged"),
            RegistryError::PausedAlready(_) => (StatusCode::CONFLICT, "paused_already"),
            RegistryError::NotPaused(_) => (StatusCode::CONFLICT, "not_paused"),
            RegistryError::AnothersName { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "anothers_name"),
            RegistryError::NoText { .. } => (StatusCode::BAD_REQUEST, "invalid_body"),
            RegistryError::NothingCompared(_) => (StatusCode::UNPROCESSABLE_ENTITY, "nothing_compared"),
            RegistryError::Diverges { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "diverges"),
            RegistryError::Signature(_) => (StatusCode::FORBIDDEN, "not_signed"),
            RegistryError::Component(_) => (StatusCode::UNPROCESSABLE_ENTITY, "component_refused"),
            RegistryError::Comparison(_) | RegistryError::Json(_) | RegistryError::Panicked(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal_error")
            }
        };
        Self::new(status, code, clearfold_base::telemetry::with_causes(&error))
    }
}

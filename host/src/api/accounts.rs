//! `GET /v1/accounts/{id}`.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use http::StatusCode;

use super::{ApiState, Problem, payments};
use crate::query::Account;

pub(super) async fn show(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Account>, Problem> {
    let Path(id) = id?;
    let id = payments::address(&id)?;
    match state.read_store.account(&id).await? {
        Some(account) => Ok(Json(account)),
        None => {
            let detail = format!("the account {id} has neither paid nor been paid");
            Err(Problem::new(StatusCode::NOT_FOUND, "account_not_found", detail))
        }
    }
}

//! `GET /v1/accounts/{id}` and `GET /v1/accounts/{id}/balances`.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Serialize;

use super::{ApiState, Problem, parameters};
use clearfold_views::query::{Account, Balance};

#[derive(Serialize)]
pub(super) struct Balances {
    id: String,
    balances: Vec<Balance>,
}

pub(super) async fn show(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Account>, Problem> {
    let Path(id) = id?;
    let id = parameters::address(&id)?;
    match state.read_store.account(&id).await? {
        Some(account) => Ok(Json(account)),
        None => {
            let detail = format!("the account {id} has neither paid nor been paid");
            Err(Problem::new(StatusCode::NOT_FOUND, "account_not_found", detail))
        }
    }
}

pub(super) async fn balances(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Balances>, Problem> {
    let Path(id) = id?;
    let id = parameters::address(&id)?;
    match state.read_store.balances(&id).await? {
        Some(balances) => Ok(Json(Balances { id, balances })),
        None => {
            let detail = "this host keeps no balances; add the projector `balances` to its manifest";
            Err(Problem::new(StatusCode::NOT_FOUND, "balances_not_kept", detail))
        }
    }
}

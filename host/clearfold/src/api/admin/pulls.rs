//! `/admin/v1/pulls`: lists the pulls of the chain submitter that have not ended, and takes an operator's word about one.
//!
//! A word needs no idempotency key: a pull ends once, and the same word gets the same answer again.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AdminState, BY, invalid_body};
use crate::api::Problem;
use clearfold_chain::submitter::{HandError, SubmitterHand, Unresolved, Word};
use clearfold_kernel::Hash;

/// End of a pull, as an operator says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum End {
    Paid,
    NotPaid,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResolveBody {
    #[serde(rename = "as")]
    end: End,
    transaction: Option<Hash>,
    by: Option<String>,
    why: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchBody {
    from_block: u64,
    by: Option<String>,
    why: Option<String>,
}

pub(super) async fn list(State(state): State<AdminState>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "data": hand(&state)?.list().await? })))
}

pub(super) async fn resolve(
    State(state): State<AdminState>,
    Path(pull): Path<String>,
    body: Result<Json<ResolveBody>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(ResolveBody { end, transaction, by, why }) = body?;
    say(&state, &pull, word(end, transaction)?, by, why).await
}

pub(super) async fn search(
    State(state): State<AdminState>,
    Path(pull): Path<String>,
    body: Result<Json<SearchBody>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(SearchBody { from_block, by, why }) = body?;
    say(&state, &pull, Word::Search { from_block }, by, why).await
}

fn word(end: End, transaction: Option<Hash>) -> Result<Word, Problem> {
    match (end, transaction) {
        (End::Paid, Some(transaction)) => Ok(Word::paid(transaction)),
        (End::NotPaid, None) => Ok(Word::NotPaid),
        (End::Paid, None) => {
            Err(invalid_body("`transaction` is missing; give the one that pulled the money"))
        }
        (End::NotPaid, Some(_)) => {
            Err(invalid_body("`transaction` is given, but as `not-paid` there is none; leave it out"))
        }
    }
}

async fn say(
    state: &AdminState,
    pull: &str,
    word: Word,
    by: Option<String>,
    why: Option<String>,
) -> Result<Json<Value>, Problem> {
    let by = by.unwrap_or_else(|| BY.to_owned());
    let follows = hand(state)?.resolve(pull, word, by, why).await?;
    Ok(Json(json!({ "follows": follows })))
}

fn hand(state: &AdminState) -> Result<&SubmitterHand, Problem> {
    let detail = "this host submits no pulls; ask one that has the SUBMITTER_ variables";
    let none = || Problem::new(StatusCode::NOT_FOUND, "no_submitter", detail);
    state.submitter.as_ref().ok_or_else(none)
}

impl From<HandError> for Problem {
    fn from(error: HandError) -> Self {
        let (status, code) = match &error {
            HandError::StandsBy => (StatusCode::SERVICE_UNAVAILABLE, "not_the_submitter"),
            HandError::Unanswered => (StatusCode::SERVICE_UNAVAILABLE, "submitter_unavailable"),
            HandError::NoText { .. } => (StatusCode::BAD_REQUEST, "invalid_body"),
            HandError::Unresolved(why) => match why {
                Unresolved::NoPull(_) => (StatusCode::NOT_FOUND, "pull_not_found"),
                Unresolved::Ended { .. } => (StatusCode::CONFLICT, "pull_ended"),
                Unresolved::Unobserved(_) => (StatusCode::SERVICE_UNAVAILABLE, "submitter_unavailable"),
                Unresolved::EndsByItself(_) => (StatusCode::CONFLICT, "pull_ends_by_itself"),
                Unresolved::WasPaid { .. }
                | Unresolved::WasNotPaid { .. }
                | Unresolved::OtherTransaction { .. } => {
                    (StatusCode::UNPROCESSABLE_ENTITY, "contradicted_by_chain")
                }
                Unresolved::UnknownTransaction(_) => {
                    (StatusCode::UNPROCESSABLE_ENTITY, "transaction_not_final")
                }
                Unresolved::Searching(_) => (StatusCode::CONFLICT, "pull_searched"),
                Unresolved::Unread(_) => (StatusCode::CONFLICT, "blocks_unread"),
            },
        };
        Self::new(status, code, clearfold_base::telemetry::with_causes(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paid_pull_has_a_transaction_and_one_that_was_not_paid_has_none() {
        let body = |text: &str| serde_json::from_str::<ResolveBody>(text);
        let given = format!("0x{}", "01".repeat(32));
        let paid = body(&format!(r#"{{"as": "paid", "transaction": "{given}"}}"#)).unwrap();
        assert!(matches!(word(paid.end, paid.transaction), Ok(Word::Paid { .. })));
        assert!(matches!(word(End::NotPaid, None), Ok(Word::NotPaid)));
        assert_eq!(body(r#"{"as": "not-paid"}"#).unwrap().end, End::NotPaid);
        assert!(word(End::Paid, None).is_err() && word(End::NotPaid, paid.transaction).is_err());
        assert!(body(r#"{"as": "done"}"#).is_err());
    }
}

//! `POST /v1/commands`: sends a command to a stream.
//!
//! The client chooses the idempotency key and sends it in the `Idempotency-Key` header. The same command with the
//! same key gets the same answer again, however it is written: white space and the order of members are no content.
//!
//! With `wait_for` the answer comes with committed events of the stream, as soon as there is one of the named types:
//! what a saga decided about the command, without polling.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::canonical::canonical;
use super::parameters::{MAX_ID_LENGTH, address, check_id, invalid};
use super::{ApiState, Problem};
use clearfold_engine::command::{Answer, Awaited, Command, CommandError, WaitFor};
use clearfold_sandbox::MAX_SCHEMA_VERSION;
use clearfold_store::StoredEvent;

/// Sender that the log records for these commands.
const ACTOR: &str = "api";
/// Length of an idempotency key, in bytes.
const MAX_KEY_LENGTH: usize = 255;
/// Longest wait for events, in milliseconds.
const MAX_WAIT_MS: u64 = 30_000;
/// Types of events that a caller may wait for.
const MAX_AWAITED_TYPES: usize = 32;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    aggregate: String,
    id: String,
    /// Account that a new stream will belong to. Not needed for a stream that exists.
    #[serde(default)]
    account: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    schema_version: u32,
    payload: Box<RawValue>,
    /// Events to wait for behind the answer.
    #[serde(default)]
    wait_for: Option<WaitForBody>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WaitForBody {
    /// Types of events of the command's stream; one of them ends the wait.
    events: BTreeSet<String>,
    timeout_ms: u64,
}

/// Answer with the events that were waited for.
#[derive(Serialize)]
struct WithAwaited {
    #[serde(flatten)]
    answer: Answer,
    awaited: Vec<AwaitedEvent>,
}

#[derive(Serialize)]
struct AwaitedEvent {
    stream_version: u64,
    #[serde(rename = "type")]
    kind: String,
    schema_version: u32,
    data: Box<RawValue>,
}

pub(super) async fn submit(
    State(state): State<ApiState>,
    headers: HeaderMap,
    body: Result<Json<Body>, JsonRejection>,
) -> Result<Response, Problem> {
    let idempotency_key = idempotency_key(&headers)?;
    let Json(body) = body?;
    check_id(&body.id)?;
    if !is_name(&body.aggregate) || !is_name(&body.kind) {
        let detail = format!("`aggregate` and `type` are names: 1 to {MAX_ID_LENGTH} letters and digits");
        return Err(invalid("invalid_body", detail));
    }
    check_schema_version(body.schema_version)?;
    let wait = body.wait_for.map(wait_for).transpose()?;
    // Payloads become JSON and text in databases, which cannot store this character.
    if clearfold_kernel::holds_zero(body.payload.get().as_bytes()) {
        return Err(invalid(
            "invalid_body",
            "the payload holds the character U+0000, which cannot be stored",
        ));
    }
    let payload = canonical(&body.payload)
        .map_err(|error| invalid("invalid_body", format!("the payload cannot be read: {error}")))?;
    let account = body.account.as_deref().map(address).transpose()?;
    let command = Command {
        idempotency_key,
        routing_key: state.intake.route(&body.aggregate, &body.id, account).await?,
        aggregate: body.aggregate,
        id: body.id,
        kind: body.kind,
        schema_version: body.schema_version,
        payload,
        actor: ACTOR.to_owned(),
    };
    let Some(wait) = wait else {
        let answer = accepted(state.intake.submit(command).await?)?;
        return Ok((StatusCode::OK, Json(answer)).into_response());
    };
    let Awaited { answer, events } = state.intake.submit_and_wait(command, &wait).await?;
    let answer = accepted(answer)?;
    let awaited = events.into_iter().map(awaited).collect::<Result<_, _>>()?;
    Ok((StatusCode::OK, Json(WithAwaited { answer, awaited })).into_response())
}

/// Turns a rejection into a problem.
fn accepted(answer: Answer) -> Result<Answer, Problem> {
    match answer {
        Answer::Accepted { .. } => Ok(answer),
        Answer::Rejected { code, detail } => {
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail))
        }
    }
}

fn wait_for(body: WaitForBody) -> Result<WaitFor, Problem> {
    let WaitForBody { events, timeout_ms } = body;
    if events.is_empty() || events.len() > MAX_AWAITED_TYPES || !events.iter().all(|kind| is_name(kind)) {
        let detail = format!("`wait_for.events` are 1 to {MAX_AWAITED_TYPES} types of events");
        return Err(invalid("invalid_wait", detail));
    }
    if timeout_ms > MAX_WAIT_MS {
        let detail = format!("`wait_for.timeout_ms` is {timeout_ms}; give 0 to {MAX_WAIT_MS}");
        return Err(invalid("invalid_wait", detail));
    }
    Ok(WaitFor { events, at_most: Duration::from_millis(timeout_ms) })
}

fn awaited(event: StoredEvent) -> Result<AwaitedEvent, Problem> {
    let data = serde_json::from_slice(&event.payload).map_err(|error| {
        let (stream, version) = (event.stream, event.stream_version);
        tracing::error!(stream, version, %error, "the log holds an event that is no JSON");
        CommandError::Damaged { stream }
    })?;
    let StoredEvent { stream_version, kind, schema_version, .. } = event;
    Ok(AwaitedEvent { stream_version, kind, schema_version, data })
}

/// Reads the idempotency key of a command.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Keys below chain/ identify logs. A client that used one would answer in the place of the listener's command.
    if key.is_empty() || key.len() > MAX_KEY_LENGTH || key.starts_with("chain/") {
        let detail = format!(
            "give the header Idempotency-Key with 1 to {MAX_KEY_LENGTH} ASCII characters, not beginning with chain/; \
             the same key means the same command"
        );
        return Err(invalid("invalid_idempotency_key", detail));
    }
    Ok(key.to_owned())
}

/// Checks that the log can hold a schema version, so that it is recorded exactly as it was decided on.
fn check_schema_version(version: u32) -> Result<(), Problem> {
    if (1..=MAX_SCHEMA_VERSION).contains(&version) {
        return Ok(());
    }
    let detail = format!(
        "`schema_version` is {version}; give the version of the payload's schema, 1 to {MAX_SCHEMA_VERSION}"
    );
    Err(invalid("invalid_schema_version", detail))
}

fn is_name(text: &str) -> bool {
    (1..=MAX_ID_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        let (status, code) = match &error {
            CommandError::UnknownAggregate { .. } => (StatusCode::NOT_FOUND, "unknown_aggregate"),
            CommandError::UnknownStream { .. } => (StatusCode::NOT_FOUND, "stream_not_found"),
            CommandError::AccountMismatch { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "account_mismatch"),
            CommandError::KeyReused { .. } => (StatusCode::CONFLICT, "idempotency_key_reused"),
            CommandError::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
            CommandError::NotTheWriter { .. } => (StatusCode::SERVICE_UNAVAILABLE, "not_the_writer"),
            CommandError::Component(_) => (StatusCode::BAD_GATEWAY, "component_failed"),
            CommandError::Damaged { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "stream_damaged"),
            CommandError::Unstorable(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unstorable"),
            CommandError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
            CommandError::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
            CommandError::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        };
        let problem = Self::new(status, code, error.to_string());
        if error.is_passing() { problem.retry_after_s(1) } else { problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_version_that_the_log_cannot_hold_is_a_bad_request() {
        for version in [1, MAX_SCHEMA_VERSION] {
            assert!(check_schema_version(version).is_ok(), "{version}");
        }
        for version in [0, MAX_SCHEMA_VERSION + 1, u32::MAX] {
            let detail = format!(
                "`schema_version` is {version}; give the version of the payload's schema, 1 to 2147483647"
            );
            let refused = Problem::new(StatusCode::BAD_REQUEST, "invalid_schema_version", detail);
            assert_eq!(check_schema_version(version), Err(refused));
        }
    }
}

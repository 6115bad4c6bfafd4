//! Webhook receiver for a provider: signed events about cards and disputes become commands.
//!
//! An event is acknowledged only after its command is committed. The provider's id of the event is the idempotency
//! key, so it acts once however often it is delivered. This component decides nothing and keeps no state.

mod event;

use clearfold_edge_kit::host::{self, Deadline, Host};
use clearfold_edge_kit::{self as kit, KEY_REUSED, LONGEST_MS, Reply};
use event::Event;
use serde::Serialize;
use spin_sdk::http::{Method, Request, Response};
use spin_sdk::http_service;

const ROUTE: &str = "/provider/events";

#[http_service]
async fn handle(request: Request) -> Response<String> {
    host::response(answer(request).await.unwrap_or_else(|problem| problem))
}

/// Acknowledgement to the provider: the event need not be sent again.
#[derive(Serialize)]
struct Acknowledged {
    id: String,
    outcome: Outcome,
    /// Rejection code of the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Committed,
    Rejected,
    /// The event is not relevant; nothing was sent.
    Ignored,
}

async fn answer(request: Request) -> Result<Reply, Reply> {
    if request.uri().path() != ROUTE {
        return Err(Reply::problem(404, format!("There is nothing here. Events are sent to {ROUTE}.")));
    }
    if request.method() != Method::POST {
        return Err(Reply::wrong_method("POST"));
    }
    let patience = Deadline::now().plus_ms(LONGEST_MS);
    let secrets = host::secrets("provider_secret").await?;
    let window_s = host::number("provider_window_s", 1..=3_600).await?;
    let body = host::signed_body(request, &secrets, window_s).await?;

    let odd = |why: String| Reply::problem(400, format!("The event cannot be read: {why}."));
    let event = Event::read(&body).map_err(odd)?;
    let acknowledged =
        |outcome, code| Ok(Reply::json(&Acknowledged { id: event.id.to_string(), outcome, code }));
    let Some(command) = event.command().map_err(odd)? else { return acknowledged(Outcome::Ignored, None) };

    let host = Host::found().await?;
    let later = || Reply::later("Whether the event was recorded is not known; send it again.");
    let key = format!("provider/{}", event.id);
    let said = patience.limit(host.command(&key, command)).await.ok_or_else(later)??;
    match said.outcome() {
        kit::Outcome::Committed => acknowledged(Outcome::Committed, None),
        kit::Outcome::Refused(code) if code == KEY_REUSED => {
            let detail = format!("This id was used for another event ({code}); give each event its own.");
            Err(Reply::problem(409, detail))
        }
        kit::Outcome::Refused(code) => acknowledged(Outcome::Rejected, Some(code)),
        // The event may, for instance, have arrived before the card or payment that it is about.
        kit::Outcome::Unknown => {
            let code = said.code().map(|code| format!(" ({code})")).unwrap_or_default();
            Err(Reply::later(format!("The event is not recorded as far as is known{code}; send it again.")))
        }
    }
}

//! A provider's webhook receiver: signed events about cards and disputes become commands.
//!
//! An event is acknowledged when its command is committed, and not before; the provider's id of the event is the
//! idempotency key, so however often it is delivered it acts once. Nothing is decided here, and nothing is kept.

mod event;

use clearfold_edge_kit::Reply;
use clearfold_edge_kit::host::{self, Deadline, Host};
use event::Event;
use serde::Serialize;
use spin_sdk::http::{Method, Request, Response};
use spin_sdk::http_service;

const ROUTE: &str = "/provider/events";
/// The host gives a request one second.
const PATIENCE_MS: u64 = 900;

#[http_service]
async fn handle(request: Request) -> Response<String> {
    host::response(answer(request).await.unwrap_or_else(|problem| problem))
}

/// What the provider hears: the event need not be sent again.
#[derive(Serialize)]
struct Acknowledged {
    id: String,
    outcome: Outcome,
    /// Why the command was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Committed,
    Rejected,
    /// It is none of our business: nothing was sent.
    Ignored,
}

async fn answer(request: Request) -> Result<Reply, Reply> {
    if request.uri().path() != ROUTE {
        return Err(Reply::problem(404, format!("There is nothing here. Events are sent to {ROUTE}.")));
    }
    if request.method() != Method::POST {
        return Err(Reply::wrong_method("POST"));
    }
    let patience = Deadline::in_ms(PATIENCE_MS);
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
    match (said.status, said.code()) {
        (200, _) => acknowledged(Outcome::Committed, None),
        // The event may have overtaken what it is about.
        (404, Some(code)) => {
            Err(Reply::later(format!("What the event is about is not known yet ({code}); send it again.")))
        }
        (409, Some(code)) => {
            let detail = format!("This id was used for another event ({code}); give each event its own.");
            Err(Reply::problem(409, detail))
        }
        (400..=499, code) => acknowledged(Outcome::Rejected, code),
        _ => Err(later()),
    }
}

//! The card network's adapter: its signed messages become commands, and what the log says becomes its answer.
//!
//! An authorization is answered within the budget, and "approved" only if the log says so. At the end of the budget
//! the question is closed in the log (`DeclineAuthorization`, reason `timeout`) before the network hears "declined",
//! so nothing that was declined here is ever approved later. Nothing is decided in this component, and it keeps
//! nothing: a message that is repeated gets what the log says by then.

mod answer;
mod message;
mod translate;

use answer::{Answer, Payment};
use clearfold_edge_kit::host::{self, Deadline, Host};
use clearfold_edge_kit::{LONGEST_MS, Outcome, Reply};
use message::{Kind, Message};
use spin_sdk::http::{Method, Request, Response};
use spin_sdk::http_service;

/// Of the budget, what closing the question in the log may take.
const CLOSING_MS: u64 = 200;
/// How often the read store is asked for the decision; the host lets a component ask 64 times in all.
const FIRST_PAUSE_MS: u64 = 5;
const LONGEST_PAUSE_MS: u64 = 40;

#[http_service]
async fn handle(request: Request) -> Response<String> {
    host::response(answer(request).await.unwrap_or_else(|problem| problem))
}

/// Both sides are answers; the error is one that is no answer to the message.
async fn answer(request: Request) -> Result<Reply, Reply> {
    let kind = Kind::of(request.uri().path()).ok_or_else(|| {
        let routes = "authorizations, advices, reversals and clearings";
        Reply::problem(404, format!("There is nothing here. {routes} are sent to /network/."))
    })?;
    if request.method() != Method::POST {
        return Err(Reply::wrong_method("POST"));
    }
    // Nothing is awaited before this: what comes next is part of the budget, the reading of variables too.
    let begun = Deadline::now();
    let secrets = host::secrets("network_secret").await?;
    let window_s = host::number("network_window_s", 1..=3_600).await?;
    let budget_ms = host::number("network_budget_ms", 2 * CLOSING_MS..=LONGEST_MS).await?;
    let (closing, end) = (begun.plus_ms(budget_ms - CLOSING_MS), begun.plus_ms(budget_ms));
    let body = host::signed_body(request, &secrets, window_s).await?;

    let odd = |why: String| Reply::problem(400, format!("The message cannot be read: {why}."));
    let message = Message::read(&body).map_err(odd)?;
    let command = translate::command(kind, &message).map_err(odd)?;
    let conversation = Conversation { host: Host::found().await?, message: &message, kind };
    match kind {
        Kind::Authorization => {
            let too_late = translate::too_late(&message).map_err(odd)?;
            Ok(conversation.decide(command, too_late, closing, end).await)
        }
        Kind::Advice | Kind::Reversal | Kind::Clearing => conversation.record(command, end).await,
    }
}

/// One message, and the host that it is put to.
struct Conversation<'a> {
    host: Host,
    message: &'a Message,
    kind: Kind,
}

impl Conversation<'_> {
    /// Asks for a decision, and says what the log says of it at the end of the budget.
    async fn decide(&self, command: String, too_late: String, closing: Deadline, end: Deadline) -> Reply {
        // Spin hands on a body while it comes. After a slow one, a question could not be closed in time: none is asked.
        if closing.is_over() {
            return Reply::json(&Answer::declined(self.message, "no_answer"));
        }
        let key = self.message.idempotency_key(self.kind);
        let asked = closing.limit(self.host.command(&key, command)).await;
        match asked.map(|said| said.map(|said| said.outcome())) {
            // Refused: it was never asked for, and nothing is held.
            Some(Ok(Outcome::Refused(code))) => return Reply::json(&Answer::declined(self.message, &code)),
            Some(Ok(Outcome::Committed)) => {}
            // Whether it was asked for nobody knows, so it is closed below like what was.
            Some(Ok(Outcome::Unknown) | Err(_)) | None => return self.close(&key, too_late, end).await,
        }
        match self.decision(closing).await {
            Some(answer) => Reply::json(&answer),
            None => self.close(&key, too_late, end).await,
        }
    }

    /// Closes the question in the log. If it was decided meanwhile, that is the answer.
    async fn close(&self, key: &str, too_late: String, end: Deadline) -> Reply {
        // A key of its own each time: "there is no such question" may have been the answer a moment before there was
        // one. Declined twice for the same reason is declined once.
        let key = format!("{key}/timeout/{}", host::now_ms());
        let closed = end.limit(self.host.command(&key, too_late)).await;
        let answer = match closed.map(|said| said.map(|said| said.outcome())) {
            Some(Ok(Outcome::Committed)) => Answer::declined(self.message, "timeout"),
            Some(Ok(Outcome::Refused(code))) if code == "already_decided" => {
                let decided = self.decision(end).await;
                decided.unwrap_or_else(|| Answer::declined(self.message, "no_answer"))
            }
            // The log could not be asked in time. The network's stand-in decides, and an advice tells us what.
            _ => Answer::declined(self.message, "no_answer"),
        };
        Reply::json(&answer)
    }

    /// Waits for the decision to be seen.
    async fn decision(&self, until: Deadline) -> Option<Answer> {
        let path = format!("/v1/payments/{}", self.message.payment_id());
        let mut pause_ms = FIRST_PAUSE_MS;
        while !until.is_over() {
            let said = until.limit(self.host.get(&path)).await?;
            let payment = said.ok().filter(|said| said.status == 200);
            let payment = payment.and_then(|said| serde_json::from_slice::<Payment>(&said.body).ok());
            if let Some(answer) = payment.and_then(|payment| Answer::decided(self.message, &payment)) {
                return Some(answer);
            }
            until.limit(host::pause_ms(pause_ms)).await?;
            pause_ms = (pause_ms * 2).min(LONGEST_PAUSE_MS);
        }
        None
    }

    /// Records what the network tells us. It is confirmed when it is committed, and not before.
    async fn record(&self, command: String, end: Deadline) -> Result<Reply, Reply> {
        let key = self.message.idempotency_key(self.kind);
        let later = || Reply::later("Whether the message was recorded is not known; send it again.");
        let said = end.limit(self.host.command(&key, command)).await.ok_or_else(later)??;
        match said.outcome() {
            Outcome::Committed => Ok(Reply::json(&Answer::recorded(self.message))),
            Outcome::Refused(code) => Ok(Reply::json(&Answer::refused(self.message, &code))),
            Outcome::Unknown => Err(later()),
        }
    }
}

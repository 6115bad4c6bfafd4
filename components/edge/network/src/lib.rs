//! Adapter for the card network: translates its signed messages to commands, and answers with what the log says.
//!
//! An authorization is answered within the budget, and "approved" only if the log says so. At the end of the budget
//! the request is closed in the log (`DeclineAuthorization`, reason `timeout`) before the network is told "declined",
//! so nothing that was declined here is ever approved later. This component decides nothing and keeps no state: the
//! answer to a repeated message is what the log says by then.

mod answer;
mod details;
mod identity;
mod message;
mod translate;
mod unknown;

use answer::{Answer, Answered};
use clearfold_domain::account;
use clearfold_domain::network::Additional;
use clearfold_edge_kit::host::{self, Deadline, Host};
use clearfold_edge_kit::{LONGEST_MS, Outcome, Reply, Said};
use message::{Kind, Message};
use spin_sdk::http::{Method, Request, Response};
use spin_sdk::http_service;
use translate::Translated;

/// Part of the budget reserved for closing the request in the log.
const CLOSING_MS: u64 = 200;
/// Time between two looks at an increment that is not decided yet.
const PAUSE_MS: u64 = 20;
/// Codes by which the host says that a message is about something else than the payment that it was sent to.
const UNKNOWN: [&str; 3] = ["authorization_not_found", "refund_not_found", "identity_conflict"];

#[http_service]
async fn handle(request: Request) -> Response<String> {
    host::response(answer(request).await.unwrap_or_else(|problem| problem))
}

/// Both variants are replies; the error is a reply that does not answer the message.
async fn answer(request: Request) -> Result<Reply, Reply> {
    let path = request.uri().path().to_owned();
    let (kind, transaction_id) = Kind::of(&path).ok_or_else(|| {
        let routes =
            "authorizations, authorizations/{transaction_id}/increments, advices, reversals, clearings, \
             clearings/reversals, refunds and refunds/reversals";
        Reply::problem(404, format!("There is nothing here. {routes} are sent to /network/."))
    })?;
    if request.method() != Method::POST {
        return Err(Reply::wrong_method("POST"));
    }
    // The budget begins before the first `await`: reading the variables counts towards it too.
    let begun = Deadline::now();
    let secrets = host::secrets("network_secret").await?;
    let window_s = host::number("network_window_s", 1..=3_600).await?;
    let budget_ms = host::number("network_budget_ms", 2 * CLOSING_MS..=LONGEST_MS).await?;
    let (closing, end) = (begun.plus_ms(budget_ms - CLOSING_MS), begun.plus_ms(budget_ms));
    let body = host::signed_body(request, &secrets, window_s).await?;

    let message = Message::read(kind, &body).map_err(unreadable)?;
    message.is_about(transaction_id).map_err(unreadable)?;
    let command = translate::command(kind, &message).map_err(unreadable)?;
    let conversation = Conversation { host: Host::found().await?, message: &message, kind };
    match kind {
        Kind::Authorization | Kind::Increment => {
            conversation.decide(&command, closing, end).await.map_err(unreadable)
        }
        Kind::Advice
        | Kind::Reversal
        | Kind::Clearing
        | Kind::Refund
        | Kind::ClearingReversal
        | Kind::RefundReversal => conversation.record(&command, end).await,
    }
}

/// Answers what is wrong with a message. A field may hold a card's number where none belongs.
#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes it")]
fn unreadable(why: String) -> Reply {
    Reply::problem(400, format!("The message cannot be read: {}.", Additional::shown(&why)))
}

/// Replies that the outcome of a message is not known.
fn later() -> Reply {
    Reply::later("Whether the message was recorded is not known; send it again.")
}

/// Question of a message: may the payment be made, or may more be added to it?
#[derive(Clone, Copy)]
enum Question {
    Payment,
    Increment,
}

/// Result of a request: decided, or not decided within the time.
enum Asked {
    Decided(Answer),
    Undecided(Question),
}

/// A message, and the host that it is sent to.
struct Conversation<'a> {
    host: Host,
    message: &'a Message,
    kind: Kind,
}

impl Conversation<'_> {
    /// Requests a decision, and returns what the log says of it by the end of the budget.
    async fn decide(
        &self,
        command: &Translated<'_>,
        closing: Deadline,
        end: Deadline,
    ) -> Result<Reply, String> {
        // Spin passes a body on while it arrives. If it arrived too slowly, a request could not be closed in time, so
        // none is made.
        if closing.is_over() {
            return Ok(Reply::json(&Answer::declined(self.message, "no_answer")));
        }
        let mut asked = self.ask(command.body_that_waits(closing.left_ms())?, closing).await;
        // Decisions on the payment's earlier messages end the host's wait for this one at once.
        while let Asked::Undecided(Question::Increment) = asked
            && !closing.is_over()
        {
            Deadline::now().plus_ms(PAUSE_MS).come().await;
            asked = self.ask(command.body_that_waits(0)?, closing).await;
        }
        let answer = match asked {
            Asked::Decided(answer) => answer,
            // It is not decided, or unknown whether the request was recorded: it is closed as if it was.
            Asked::Undecided(question) => self.close(command, question, end).await?,
        };
        Ok(Reply::json(&answer))
    }

    /// Sends the request, and returns the decision that the host has waited for.
    async fn ask(&self, command: String, until: Deadline) -> Asked {
        let key = identity::idempotency_key(self.message, self.kind);
        let said = until.limit(self.host.command(&key, command)).await;
        let Some(Ok(said)) = said else { return Asked::Undecided(self.question()) };
        match said.outcome() {
            // The request was refused, so it was never recorded and nothing is held.
            Outcome::Refused(code) => Asked::Decided(Answer::declined(self.message, &code)),
            Outcome::Committed => self.decision(&said),
            Outcome::Unknown => Asked::Undecided(self.question()),
        }
    }

    fn decision(&self, said: &Said) -> Asked {
        let Ok(answered) = serde_json::from_slice::<Answered>(&said.body) else {
            return Asked::Undecided(self.question());
        };
        let (question, decided) = match self.question() {
            Question::Payment if !answered.is_increment(self.message) => {
                (Question::Payment, Answer::decided(self.message, &answered))
            }
            _ => (Question::Increment, Answer::increment_decided(self.message, &answered)),
        };
        decided.map_or(Asked::Undecided(question), Asked::Decided)
    }

    /// Returns what the message asks by its route. The host may say that it became an increment.
    fn question(&self) -> Question {
        match self.kind {
            Kind::Increment => Question::Increment,
            _ => Question::Payment,
        }
    }

    /// Closes the request in the log. If it was decided meanwhile, returns that decision.
    async fn close(
        &self,
        command: &Translated<'_>,
        question: Question,
        end: Deadline,
    ) -> Result<Answer, String> {
        let no_answer = || Answer::declined(self.message, "no_answer");
        let mut question = question;
        loop {
            let too_late = match question {
                Question::Payment => translate::too_late(self.kind, self.message)?,
                Question::Increment => translate::increment_too_late(self.kind, self.message)?,
            };
            // The key is new each time: a moment ago the answer may have been that there is no such request, and it
            // would be repeated for the same key. Declining twice for the same reason has the same effect as
            // declining once.
            let key =
                format!("{}/timeout/{}", identity::idempotency_key(self.message, self.kind), host::moment());
            let closed = end.limit(self.host.command(&key, too_late)).await;
            match closed.map(|said| said.map(|said| said.outcome())) {
                Some(Ok(Outcome::Committed)) => return Ok(Answer::declined(self.message, "timeout")),
                Some(Ok(Outcome::Refused(code))) if code == "already_decided" => {}
                // The log could not be reached in time. The network's stand-in decides, and an advice reports its
                // decision to us.
                _ => return Ok(no_answer()),
            }
            match (self.ask(command.body_that_waits(0)?, end).await, question) {
                (Asked::Decided(answer), _) => return Ok(answer),
                // The payment is decided; the message asks for more of it.
                (Asked::Undecided(Question::Increment), Question::Payment) => question = Question::Increment,
                (Asked::Undecided(_), _) => return Ok(no_answer()),
            }
        }
    }

    /// Records a message of the network. A reversal that does not name its payment goes to the one whose hold the account
    /// finds. If it finds several, each of them keeps it; if it finds none, the reversal is kept under its numbers.
    async fn record(&self, command: &Translated<'_>, end: Deadline) -> Result<Reply, Reply> {
        if let Some(question) = command.question().map_err(unreadable)? {
            let key = format!("{}/hold", self.key());
            let said = end.limit(self.host.command(&key, question)).await.ok_or_else(later)??;
            let holds = match said.outcome() {
                Outcome::Committed => None,
                Outcome::Refused(code) => account::holds_of(&code, &said.detail().unwrap_or_default()),
                Outcome::Unknown => return Err(later()),
            };
            if let Some(holds) = holds {
                let reversals = command.reversals_of(&holds).map_err(unreadable)?;
                return self.record_at_all(reversals, end).await;
            }
        }
        self.record_at_first(command.bodies().map_err(unreadable)?, end).await
    }

    fn key(&self) -> String {
        identity::idempotency_key(self.message, self.kind)
    }

    /// Records a message at each of several payments. It is confirmed only after it is committed at all of them.
    async fn record_at_all(&self, commands: Vec<String>, end: Deadline) -> Result<Reply, Reply> {
        let key = self.key();
        let is_one = commands.len() == 1;
        for (place, command) in commands.into_iter().enumerate() {
            let key = if is_one { key.clone() } else { format!("{key}/{place}") };
            let said = end.limit(self.host.command(&key, command)).await.ok_or_else(later)??;
            match said.outcome() {
                Outcome::Committed => {}
                Outcome::Refused(code) => return Ok(Reply::json(&Answer::refused(self.message, &code))),
                Outcome::Unknown => return Err(later()),
            }
        }
        Ok(Reply::json(&Answer::recorded(self.message)))
    }

    /// Records a message at the first of several places where it is known. It is confirmed only after it is committed.
    async fn record_at_first(&self, commands: Vec<String>, end: Deadline) -> Result<Reply, Reply> {
        let key = self.key();
        let last = commands.len().saturating_sub(1);
        for (place, command) in commands.into_iter().enumerate() {
            let is_last = place == last;
            let key = if is_last { key.clone() } else { format!("{key}/{place}") };
            let said = end.limit(self.host.command(&key, command)).await.ok_or_else(later)??;
            match said.outcome() {
                Outcome::Committed => return Ok(Reply::json(&Answer::recorded(self.message))),
                Outcome::Refused(code) if !is_last && UNKNOWN.contains(&code.as_str()) => {}
                Outcome::Refused(code) => return Ok(Reply::json(&Answer::refused(self.message, &code))),
                Outcome::Unknown => break,
            }
        }
        Err(later())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_never_repeats_data_of_the_card() {
        let said = |field: &str, value: serde_json::Value| {
            let mut message = serde_json::json!({
                "message_id": "m-1", "transaction_id": "t-1", "network": "visa", "card": "card-1",
                "account": "0x1111111111111111111111111111111111111111",
                "transmitted_at": "2026-11-22T10:00:00.000Z",
            });
            message[field] = value;
            Message::read(Kind::Clearing, message.to_string().as_bytes())
                .map_err(unreadable)
                .unwrap_err()
                .body
        };
        for value in ["987", "4111111111111111"].map(serde_json::Value::from) {
            for checks in [
                serde_json::json!({"cvv": value}),
                serde_json::json!({"cvv": {"987": 1, "4111111111111111": 1}}),
                serde_json::json!({"pin": [value]}),
                value.clone(),
                serde_json::json!([value]),
            ] {
                let said = said("checks", checks);
                assert!(
                    said.contains("checks") && !said.contains("987") && !said.contains("41111"),
                    "{said}"
                );
            }
            let said = said("pos_entry", value);
            assert!(!said.contains("4111111111111111"), "{said}");
        }
        let said = said("network", ";4111111111111111=29121010000".into());
        assert!(!said.contains("2912"), "{said}");
    }
}

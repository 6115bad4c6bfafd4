//! What operators do with instances: look at one, give one an order. An order is a command of the instance like any
//! other, so it is recorded, and decided by the writer of its partition.

use clearfold_store::{EventStore, StoreError};

use super::PREFIX;
use super::follow;
use super::input::{self, Cancel, Input, Order, Resolution, Resolve, Retry};
use super::view::InstanceView;
use crate::command::{Answer, Command, CommandError, CommandIntake};

/// Sender of the orders, as the log records it. The operator's name is in the event.
const ACTOR: &str = "admin";

/// Operations on instances of sagas. Cheap to clone.
#[derive(Clone)]
pub struct SagaOperations {
    pub store: EventStore,
    pub intake: CommandIntake,
}

/// Order to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaOrder {
    pub what: OrderedAction,
    /// Name of the operator.
    pub by: String,
    pub why: Option<String>,
}

/// What an instance is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderedAction {
    /// Try a parked flow again; without a flow, everything that is parked. Done steps stay done.
    Retry { flow: Option<u32> },
    /// Undo a flow, or end it if it has done nothing; without a flow, all that are open.
    Cancel { flow: Option<u32> },
    /// Take the operator's word for how the present step of a flow ended.
    Resolve { flow: u32, outcome: Resolution, code: Option<String> },
}

/// Reason why an operation was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum SagaError {
    #[error(
        "there is no instance `{0}`; `clearfold saga list` shows them, each by its stream, like \
         saga-authorization-…"
    )]
    NoInstance(String),
    #[error(
        "{what} is empty, longer than {MAX_TEXT} bytes or has control characters; give a text without them"
    )]
    NoText { what: &'static str },
    #[error("the log could not be read")]
    Log(#[from] StoreError),
    #[error("{0}; run `clearfold verify`, and look at the log with `clearfold stream show`")]
    Unreadable(String),
    #[error(
        "the saga {0} is paused, so its instances take no orders; resume it with `clearfold saga resume {0}`, and give \
         the order again"
    )]
    Paused(String),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("the order cannot be written as JSON; this is a bug of Clearfold, please report it")]
    Json(#[from] serde_json::Error),
}

/// Length of a name or a reason, in bytes: they are kept for ever.
const MAX_TEXT: usize = 500;

impl SagaOperations {
    /// Reads an instance.
    pub async fn show(&self, stream: &str) -> Result<InstanceView, SagaError> {
        let none = || SagaError::NoInstance(stream.to_owned());
        split(stream).ok_or_else(none)?;
        let head = self.store.stream_head(stream).await?.ok_or_else(none)?;
        let events = self.store.streams(head.partition, &[stream.to_owned()]).await?;
        let view = InstanceView::fold(stream, &head.routing_key, &events).map_err(SagaError::Unreadable)?;
        view.ok_or_else(none)
    }

    /// Gives an instance an order, and returns its answer when it is committed. The same key gets the same answer.
    pub async fn order(
        &self,
        stream: &str,
        idempotency_key: String,
        order: SagaOrder,
    ) -> Result<Answer, SagaError> {
        let none = || SagaError::NoInstance(stream.to_owned());
        let (aggregate, id) = split(stream).ok_or_else(none)?;
        let input = input_of(order)?;
        let head = self.store.stream_head(stream).await?.ok_or_else(none)?;
        if self.intake.is_paused(aggregate) {
            return Err(SagaError::Paused(aggregate.trim_start_matches(PREFIX).to_owned()));
        }
        let command = Command {
            idempotency_key,
            aggregate: aggregate.to_owned(),
            id: id.to_owned(),
            routing_key: head.routing_key,
            kind: input.kind().to_owned(),
            schema_version: input::VERSION,
            payload: input.payload()?,
            actor: ACTOR.to_owned(),
        };
        Ok(self.intake.submit_order(command).await?)
    }
}

/// Splits the stream of an instance. None for what no instance can be called, which no query could be asked for.
fn split(stream: &str) -> Option<(&str, &str)> {
    let is_instance = stream.starts_with(PREFIX) && !stream.contains(char::is_control);
    follow::split(stream).filter(|_| is_instance)
}

fn input_of(order: SagaOrder) -> Result<Input, SagaError> {
    let SagaOrder { what, by, why } = order;
    is_text("the name of the operator", Some(&by))?;
    is_text("the reason", why.as_deref())?;
    let order = Order { by, why };
    Ok(match what {
        OrderedAction::Retry { flow } => Input::Retry(Retry { flow, order }),
        OrderedAction::Cancel { flow } => Input::Cancel(Cancel { flow, spares_retriable: true, order }),
        OrderedAction::Resolve { flow, outcome, code } => {
            is_text("the refusal's code", code.as_deref())?;
            Input::Resolve(Resolve { flow, outcome, code, order })
        }
    })
}

/// Refuses a text that people cannot read or the database cannot store. Without a text there is nothing to refuse.
fn is_text(what: &'static str, text: Option<&str>) -> Result<(), SagaError> {
    let is_no_text =
        |text: &str| text.trim().is_empty() || text.len() > MAX_TEXT || text.chars().any(char::is_control);
    if text.is_some_and(is_no_text) { Err(SagaError::NoText { what }) } else { Ok(()) }
}

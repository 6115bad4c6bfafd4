//! Operators' orders to the submitter of this host: list the pulls that have not ended, and state how one ended if the
//! submitter cannot decide it.
//!
//! An order is carried out by the submitter's task, between two looks at the chain, under its lease.

use std::time::Duration;

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::pull::PullId;
use super::resolve::{Follows, Resolution, Unresolved};
use super::state::Word;

/// Capacity of the queue of orders.
const MAX_ORDERS: usize = 16;
/// Maximum length of a name or a reason, in bytes: they are kept for ever.
const MAX_TEXT: usize = 500;
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(45);

/// Sender of operators' orders to the submitter. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SubmitterHand {
    orders: mpsc::Sender<Order>,
}

/// Order to the submitter's task, with the place for its answer.
#[derive(Debug)]
pub(super) enum Order {
    List(oneshot::Sender<Result<Vec<WaitingPull>, HandError>>),
    Resolve(Resolution, oneshot::Sender<Result<Follows, HandError>>),
}

/// Pull that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingPull {
    pub pull: String,
    /// Hash that the Spender consumes.
    pub hash: B256,
    /// Name of the reason.
    pub reason: String,
    /// Remedy; `None` if it ends by itself.
    pub remedy: Option<String>,
}

/// Reason for which an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum HandError {
    #[error(transparent)]
    Unresolved(#[from] Unresolved),
    #[error("another host submits pulls; give the order to that one")]
    StandsBy,
    #[error(
        "the submitter did not answer, and may still do what it was told; see what its log says, and give the order again"
    )]
    Unanswered,
    #[error(
        "{what} is empty, longer than {MAX_TEXT} bytes or has control characters; give a text without them"
    )]
    NoText { what: &'static str },
}

/// Creates the sender and the receiver of orders.
pub(super) fn hand() -> (SubmitterHand, mpsc::Receiver<Order>) {
    let (orders, given) = mpsc::channel(MAX_ORDERS);
    (SubmitterHand { orders }, given)
}

impl SubmitterHand {
    /// Returns the pulls that have not ended, by their ids.
    pub async fn list(&self) -> Result<Vec<WaitingPull>, HandError> {
        self.answer(Order::List).await
    }

    /// Sends an operator's word. Its consequences are committed when this returns. A repeat gets the first answer.
    pub async fn resolve(
        &self,
        pull: &str,
        word: Word,
        by: String,
        why: Option<String>,
    ) -> Result<Follows, HandError> {
        is_text("the name of the operator", Some(&by))?;
        is_text("the reason", why.as_deref())?;
        let id = PullId::new(pull).filter(|_| !pull.contains(char::is_control));
        let id = id.ok_or(HandError::NoText { what: "the id of the pull" })?;
        self.answer(|reply| Order::Resolve(Resolution { id, word, by, why }, reply)).await
    }

    async fn answer<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, HandError>>) -> Order,
    ) -> Result<T, HandError> {
        let (reply, answer) = oneshot::channel();
        let answered = async {
            self.orders.send(order(reply)).await.ok()?;
            answer.await.ok()
        };
        tokio::time::timeout(PATIENCE, answered).await.ok().flatten().ok_or(HandError::Unanswered)?
    }
}

impl Order {
    /// Returns true if nobody waits for the answer any more; what is not done yet need not be done.
    pub fn is_given_up(&self) -> bool {
        match self {
            Self::List(reply) => reply.is_closed(),
            Self::Resolve(_, reply) => reply.is_closed(),
        }
    }

    /// Answers that another host has the lease.
    pub fn stands_by(self) {
        // A send fails only if the caller has disconnected.
        match self {
            Self::List(reply) => _ = reply.send(Err(HandError::StandsBy)),
            Self::Resolve(_, reply) => _ = reply.send(Err(HandError::StandsBy)),
        }
    }
}

/// Refuses a text that people cannot read or the database cannot store. Without a text there is nothing to refuse.
fn is_text(what: &'static str, text: Option<&str>) -> Result<(), HandError> {
    let is_no_text =
        |text: &str| text.trim().is_empty() || text.len() > MAX_TEXT || text.chars().any(char::is_control);
    if text.is_some_and(is_no_text) { Err(HandError::NoText { what }) } else { Ok(()) }
}

//! Schemas of every message of the domain: the source of `docs/events`.

use clearfold_kernel::Decider;
use clearfold_kernel::schema::{Described, MessageSchema, of_decider};

use crate::account::Account;
use crate::authorization::Authorization;
use crate::card::Card;

/// Returns all versions of all messages, by aggregate. A new decider must be added here.
#[must_use]
pub fn all() -> Vec<(&'static str, Vec<MessageSchema>)> {
    vec![aggregate::<Account>(), aggregate::<Authorization>(), aggregate::<Card>()]
}

fn aggregate<D: Decider>() -> (&'static str, Vec<MessageSchema>)
where
    D::Command: Described,
    D::Event: Described,
{
    (D::AGGREGATE, of_decider::<D>())
}

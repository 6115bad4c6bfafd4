//! Commands that are in flight, each with what follows its answer.

use clearfold_domain::account;
use clearfold_domain::authorization::{self, ExpectSpend, LinkSpend, ResolveRefund};
use clearfold_domain::bookings;
use clearfold_domain::card;
use clearfold_domain::network::{MatchBasis, RefundOutcome};
use clearfold_kernel::{Amount, ExternalId};

use crate::world::{Command, Sent};

#[derive(Debug, Clone)]
pub struct Pending {
    pub sent: Sent,
    pub then: Then,
}

/// Step that follows the answer.
#[derive(Debug, Clone)]
pub enum Then {
    /// A booking: it is sent again until it is accepted.
    Booked {
        payment: String,
        overtakes: Overtakes,
    },
    /// No step follows: the saga has given up on the command.
    Forgotten,
    Reserved {
        payment: String,
    },
    Expected {
        payment: String,
        amount: Amount,
    },
    Held {
        payment: String,
        amount: Amount,
    },
    Answered,
    /// A `Spend` that cannot be linked is held after all.
    Linked {
        spend: String,
    },
    /// A clearing that its payment cannot have is unlinked.
    ClearingTaken {
        clearing: String,
    },
    MoreReserved(More),
    Raised(More),
    Increased(More),
}

/// Order of a booking relative to the others of its payment: free, or strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overtakes {
    Freely,
    Never,
}

/// In-flight increment.
#[derive(Debug, Clone)]
pub struct More {
    pub payment: String,
    pub message_id: ExternalId,
    pub amount: Amount,
    pub card: Option<String>,
}

impl Pending {
    pub fn account_booking(payment: &str, command: account::Command) -> Self {
        let overtakes = match command {
            account::Command::PlaceHold(_)
            | account::Command::VoidHold(_)
            | account::Command::MatchSpend(_)
            | account::Command::MoveFunding(_)
            | account::Command::MoveClearing(_)
            | account::Command::BookFunding(_)
            | account::Command::BookDispute(_) => Overtakes::Never,
            _ => Overtakes::Freely,
        };
        let by_chain = bookings::is_seen_on_chain(&command);
        let command = Command::Account(command);
        let sent = if by_chain { Sent::by_chain(command) } else { Sent::new(command) };
        Self { sent, then: Then::Booked { payment: payment.to_owned(), overtakes } }
    }

    pub fn card_booking(payment: &str, card: ExternalId, command: card::Command) -> Self {
        let sent = Sent::new(Command::Card(card.into(), command));
        // Bookings to the card and to the account are sent independently of each other.
        Self { sent, then: Then::Booked { payment: format!("{payment}/card"), overtakes: Overtakes::Never } }
    }

    /// Command to another payment, in the order of this one's bookings.
    pub fn to_payment(payment: &str, other: &str, command: authorization::Command) -> Self {
        let then = Then::Booked { payment: payment.to_owned(), overtakes: Overtakes::Never };
        let by_chain = matches!(command, authorization::Command::ObserveSpend(_));
        let by_saga = matches!(command, authorization::Command::UnlinkClearing(_));
        let command = Command::Payment(other.to_owned(), command);
        if by_saga {
            return Self { sent: Sent::by_saga(command), then };
        }
        Self { sent: if by_chain { Sent::by_chain(command) } else { Sent::new(command) }, then }
    }

    /// Link of a `Spend` to the payment with which the account matched it.
    pub fn link(spend: &str, payment_id: ExternalId, basis: MatchBasis) -> Self {
        let link = LinkSpend { payment_id, basis: Some(basis), reason: None };
        let then = Then::Linked { spend: spend.to_owned() };
        Self::of(Command::Payment(spend.to_owned(), authorization::Command::LinkSpend(link)), then)
    }

    /// Expectation of the `Spend` that was seen before the payment was asked for, with which its hold goes on.
    pub fn expect(payment_id: &ExternalId, spend: &str, amount: Amount) -> Self {
        let expect = ExpectSpend { spend_id: spend.parse().expect("our own id") };
        let then = Then::Expected { payment: payment_id.to_string(), amount };
        Self::of(Command::Payment(payment_id.to_string(), authorization::Command::ExpectSpend(expect)), then)
    }

    /// Resolution of a refund on chain that the network told of.
    pub fn matched(on_chain: &ExternalId, payment_id: &ExternalId) -> Self {
        let resolve = ResolveRefund { outcome: RefundOutcome::Matched, payment_id: Some(payment_id.clone()) };
        let command = authorization::Command::ResolveRefund(resolve);
        Self::answered(Command::Payment(on_chain.to_string(), command))
    }

    /// Returns true if the hold of a `Spend` may follow from it.
    pub fn may_hold(&self, id: &str) -> bool {
        let is_hold = matches!(
            &self.sent.command,
            Command::Account(account::Command::PlaceHold(hold)) if hold.hold_id.as_str() == id
        );
        is_hold || matches!(&self.then, Then::Linked { spend } if spend == id)
    }

    /// Question whose answer the world reads itself.
    pub fn answered(command: Command) -> Self {
        Self::of(command, Then::Answered)
    }

    pub fn of(command: Command, then: Then) -> Self {
        Self { sent: Sent::new(command), then }
    }
}

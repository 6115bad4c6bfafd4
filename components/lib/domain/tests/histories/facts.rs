//! Facts of the network: each has happened, so it is refused only for what it says itself, or for what it contradicts.
//!
//! The list is that of [PAYMENT_MODEL](../../../../../docs/PAYMENT_MODEL.md#what-of-the-network-is-refused).

use clearfold_domain::authorization::{Authorization, Command, RefundOrigin, ReversalCause, State, Subject};
use clearfold_kernel::{Asset, CommandContext, Decider, ExternalId};

use crate::live::Broken;

/// Checks that a refused fact is one that may be refused.
pub fn is_kept(state: &State, command: &Command, context: &CommandContext, code: &str) -> Result<(), Broken> {
    let is_lost = is_fact(command)
        && !is_unsound(command, context, code)
        && !contradicts(state, command, context, code)
        && !has_another_stream(state, command, code);
    if is_lost { Err(format!("a fact of the network is lost: it is refused as `{code}`")) } else { Ok(()) }
}

fn is_fact(command: &Command) -> bool {
    match command {
        Command::RecordRefund(refund) => matches!(refund.origin, RefundOrigin::Network(_)),
        Command::ReverseAuthorization(reversal) => reversal.cause != ReversalCause::Returned,
        Command::RecordAdvice(_)
        | Command::PresentClearing(_)
        | Command::ForcePost(_)
        | Command::ReverseClearing(_)
        | Command::ReverseRefund(_)
        | Command::RecordDisputeMoney(_) => true,
        _ => false,
    }
}

/// Returns true if the message is refused wherever it comes: it names what is not there, or moves nothing.
fn is_unsound(command: &Command, context: &CommandContext, code: &str) -> bool {
    let mut command = command.clone();
    match &mut command {
        Command::RecordRefund(refund) => refund.known_only = false,
        Command::ReverseRefund(reversal) => reversal.known_only = false,
        _ => {}
    }
    let decided = Authorization::decide(&State::default(), &command, context);
    decided.is_err_and(|rejection| rejection.code == code)
}

/// Returns true if the message contradicts what is known: another account or asset, or other content under a known id.
fn contradicts(state: &State, command: &Command, context: &CommandContext, code: &str) -> bool {
    match code {
        "account_mismatch" => {
            let refund = state.unlinked().map(|refund| refund.account);
            let account = state.payment().map(|payment| payment.parties.account).or(refund);
            account.is_some_and(|account| account.to_string() != context.routing_key)
        }
        "asset_mismatch" => asset_of(command).is_some_and(|asset| assets(state).any(|known| known != asset)),
        "duplicate_mismatch" => is_known(state, command),
        "identity_conflict" => match command {
            Command::RecordRefund(refund) => {
                state.unlinked().is_some_and(|known| known.origin == refund.origin)
            }
            _ => false,
        },
        _ => false,
    }
}

fn assets(state: &State) -> impl Iterator<Item = &Asset> {
    let payment = state.payment().map(|payment| &payment.asset);
    let refund = state.unlinked().map(|refund| &refund.amount.asset);
    payment.into_iter().chain(refund).chain(state.dispute_money.values().map(|known| &known.amount.asset))
}

fn asset_of(command: &Command) -> Option<&Asset> {
    let amount = match command {
        Command::RecordAdvice(command) => Some(&command.amount),
        Command::PresentClearing(command) => Some(&command.amount),
        Command::ForcePost(command) => Some(&command.amount),
        Command::RecordRefund(command) => Some(&command.amount),
        Command::RecordDisputeMoney(command) => Some(&command.amount),
        Command::ReverseClearing(command) => command.amount.as_ref(),
        Command::ReverseRefund(command) => command.amount.as_ref(),
        _ => None,
    };
    amount.map(|amount| &amount.asset)
}

/// Returns true if the stream knows a message of the same kind under the id.
fn is_known(state: &State, command: &Command) -> bool {
    let is_asked = |id: &ExternalId| {
        let request = state.payment().and_then(|payment| payment.entry.request());
        request.is_some_and(|request| request.message_id == *id) || state.increments.contains_key(id)
    };
    match command {
        Command::RecordAdvice(command) => {
            state.advices.contains_key(&command.message_id) || is_asked(&command.message_id)
        }
        Command::PresentClearing(command) => state.clearings.contains_key(&command.clearing_id),
        Command::ForcePost(command) => state.clearings.contains_key(&command.clearing_id),
        Command::RecordRefund(command) => state.refunds.contains_key(&command.origin.identity()),
        Command::ReverseAuthorization(command) => {
            let derived = format!("reversed/{}", command.message_id);
            let known = state.record_reversals.known.keys().any(|known| known.as_str() == derived);
            known || state.reversals.contains_key(&command.message_id)
        }
        Command::ReverseClearing(command) => state.record_reversals.known.contains_key(&command.reversal_id),
        Command::ReverseRefund(command) => state.record_reversals.known.contains_key(&command.reversal_id),
        Command::RecordDisputeMoney(command) => state.dispute_money.contains_key(&command.record_id),
        _ => false,
    }
}

/// Returns true if the refusal says that the message belongs to a stream of its own, where the edge sends it.
fn has_another_stream(state: &State, command: &Command, code: &str) -> bool {
    let is_refund = matches!(state.subject, Subject::Refund(_));
    match command {
        Command::RecordRefund(refund) => match code {
            "identity_conflict" => is_refund,
            "authorization_not_found" => refund.known_only,
            _ => false,
        },
        Command::ReverseRefund(reversal) => match code {
            "identity_conflict" => is_refund,
            "refund_not_found" => reversal.known_only,
            _ => false,
        },
        _ => false,
    }
}

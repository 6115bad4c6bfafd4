//! The rules: which events a command causes, and why it may be refused.
//!
//! Refusals, by code:
//!
//! | code | meaning |
//! |---|---|
//! | `not_from_chain` | what only the chain can say, said by somebody else |
//! | `amount_not_positive` | an amount of zero |
//! | `account_mismatch` | the command names another account than the one it was routed to |
//! | `identity_conflict` | the id already belongs to something else |
//! | `authorization_not_found` | a clearing for a payment that was never seen |
//! | `asset_mismatch` | a clearing in another asset than the payment |
//! | `duplicate_mismatch` | a known clearing id with another amount or another final flag |
//! | `already_cleared` | a further clearing after the last one |
//! | `amount_too_large` | an amount beyond what one command may move |
//! | `invalid_clearing_id` | an id that is empty, too long, or not printable |

use clearfold_kernel::{Address, Amount, CommandContext, Hash, Minor, Rejection};

use super::messages::{
    ClearingPosted, Command, Event, PresentClearing, RecordRefund, RecordSwipe, RefundUnlinked, SwipeRecorded,
};
use super::state::{Clearing, Payment, State};

pub(super) fn decide(
    state: &State,
    command: &Command,
    context: &CommandContext,
) -> Result<Vec<Event>, Rejection> {
    match command {
        Command::RecordSwipe(swipe) => record_swipe(state, swipe, context),
        Command::PresentClearing(clearing) => present_clearing(state, clearing, context),
        Command::RecordRefund(refund) => record_refund(state, refund, context),
    }
}

fn record_swipe(
    state: &State,
    swipe: &RecordSwipe,
    context: &CommandContext,
) -> Result<Vec<Event>, Rejection> {
    from_chain(context)?;
    sound(&swipe.amount)?;
    routed_to(&swipe.account, context)?;
    match state {
        State::New => Ok(vec![Event::SwipeRecorded(SwipeRecorded {
            account: swipe.account,
            amount: swipe.amount.clone(),
            source: swipe.source.clone(),
            occurred_at: swipe.occurred_at,
        })]),
        // The same transaction seen again, perhaps mined in another block: it paid once.
        State::Payment(payment)
            if same(payment.account, &payment.amount, payment.transaction_hash, swipe) =>
        {
            Ok(Vec::new())
        }
        _ => Err(identity_conflict(context)),
    }
}

fn same(account: Address, amount: &Amount, transaction_hash: Hash, swipe: &RecordSwipe) -> bool {
    account == swipe.account && *amount == swipe.amount && transaction_hash == swipe.source.transaction_hash
}

fn present_clearing(
    state: &State,
    clearing: &PresentClearing,
    context: &CommandContext,
) -> Result<Vec<Event>, Rejection> {
    sound(&clearing.amount)?;
    external_id(&clearing.clearing_id)?;
    let State::Payment(payment) = state else {
        return Err(Rejection::new(
            "authorization_not_found",
            format!("no payment {} has been seen; present the clearing when it has", context.id),
        ));
    };
    routed_to(&payment.account, context)?;
    if clearing.amount.asset != payment.amount.asset {
        return Err(Rejection::new(
            "asset_mismatch",
            format!(
                "the payment is in {}, the clearing in {}",
                payment.amount.asset.code, clearing.amount.asset.code
            ),
        ));
    }
    let presented = Clearing { claimed: clearing.amount.minor, is_final: clearing.is_final };
    match payment.clearings.get(&clearing.clearing_id) {
        None => post_clearing(payment, clearing),
        Some(known) if *known == presented => Ok(Vec::new()),
        Some(Clearing { claimed, is_final }) => {
            let (id, last) = (&clearing.clearing_id, if *is_final { "the last" } else { "not the last" });
            let detail =
                format!("clearing {id} was presented before with {claimed} minor units, as {last} one");
            Err(Rejection::new("duplicate_mismatch", detail))
        }
    }
}

fn post_clearing(payment: &Payment, clearing: &PresentClearing) -> Result<Vec<Event>, Rejection> {
    if payment.closed {
        return Err(Rejection::new(
            "already_cleared",
            format!("the payment's last clearing has come; {} is one too many", clearing.clearing_id),
        ));
    }
    // A clearing above the payment still posts: the merchant was paid.
    let claimed = clearing.amount.minor;
    payment.cleared.plus(claimed).map_err(|error| Rejection::new("amount_too_large", error.to_string()))?;
    let held = payment.held();
    Ok(vec![Event::ClearingPosted(ClearingPosted {
        account: payment.account,
        clearing_id: clearing.clearing_id.clone(),
        against_hold: claimed.min(held),
        beyond_hold: claimed.minus(held).unwrap_or(Minor::ZERO),
        asset: clearing.amount.asset.clone(),
        is_final: clearing.is_final,
        occurred_at: clearing.occurred_at,
    })])
}

fn record_refund(
    state: &State,
    refund: &RecordRefund,
    context: &CommandContext,
) -> Result<Vec<Event>, Rejection> {
    from_chain(context)?;
    sound(&refund.amount)?;
    routed_to(&refund.account, context)?;
    match state {
        State::New => Ok(vec![Event::RefundUnlinked(RefundUnlinked {
            account: refund.account,
            amount: refund.amount.clone(),
            source: refund.source.clone(),
            occurred_at: refund.occurred_at,
        })]),
        State::Refund { account, amount, transaction_hash }
            if *account == refund.account
                && *amount == refund.amount
                && *transaction_hash == refund.source.transaction_hash =>
        {
            Ok(Vec::new())
        }
        _ => Err(identity_conflict(context)),
    }
}

/// Money that moved on chain is not a matter of opinion.
fn from_chain(context: &CommandContext) -> Result<(), Rejection> {
    if context.actor != CommandContext::CHAIN {
        let detail = format!("only the chain can report this; `{}` cannot", context.actor);
        return Err(Rejection::new("not_from_chain", detail));
    }
    Ok(())
}

/// An id that another system made: it ends up in tables, logs and addresses.
fn external_id(id: &str) -> Result<(), Rejection> {
    const MAX_LENGTH: usize = 128;
    if (1..=MAX_LENGTH).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let detail = format!("a clearing's id has 1 to {MAX_LENGTH} printable ASCII characters and no space");
    Err(Rejection::new("invalid_clearing_id", detail))
}

fn sound(amount: &Amount) -> Result<(), Rejection> {
    if amount.minor > Minor::LARGEST_AMOUNT {
        let detail = format!(
            "the amount exceeds {} minor units, the most that one command may move",
            Minor::LARGEST_AMOUNT
        );
        return Err(Rejection::new("amount_too_large", detail));
    }
    if amount.minor.get() == 0 {
        return Err(Rejection::new(
            "amount_not_positive",
            "the amount is zero; only amounts above zero move money",
        ));
    }
    Ok(())
}

fn routed_to(account: &Address, context: &CommandContext) -> Result<(), Rejection> {
    if account.to_string() != context.routing_key {
        return Err(Rejection::new(
            "account_mismatch",
            format!("the account is {account}, but the command was routed to {}", context.routing_key),
        ));
    }
    Ok(())
}

fn identity_conflict(context: &CommandContext) -> Rejection {
    Rejection::new("identity_conflict", format!("{} already belongs to something else", context.id))
}

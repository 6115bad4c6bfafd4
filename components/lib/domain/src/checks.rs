//! Checks that every decider makes on a command before its own rules. Each rejection code is defined here and nowhere
//! else.
//!
//! | code | meaning |
//! |---|---|
//! | `not_from_chain` | an observation that only the chain may report was sent by another actor |
//! | `not_from_saga` | a command that only a saga or an operator may send was sent by another actor |
//! | `account_mismatch` | the command names another account than the one that it was routed to |
//! | `unknown_asset` | the asset is not one that accounts hold |
//! | `amount_too_precise` | the amount has more decimals than the asset |
//! | `asset_scale_mismatch` | the amount has fewer decimals than the asset |
//! | `amount_not_positive` | the amount is zero |
//! | `amount_too_large` | the amount exceeds what one command may move |
//! | `asset_mismatch` | the asset differs from that of the payment or account concerned |
//! | `duplicate_mismatch` | a known id comes with other content |
//! | `clock_backwards` | the request was accepted earlier than something that has already happened |
//! | `identity_conflict` | the id already belongs to something else |
//!
//! The kernel rejects what cannot be decoded: `unknown_type`, `unknown_schema_version`, `amount_negative`,
//! `amount_too_precise`, `amount_too_large`, `invalid_id`, `malformed_payload`.

use clearfold_kernel::{Address, Amount, Asset, CommandContext, Minor, Rejection, Timestamp};

use crate::policy::assets::{self, KnownAsset};

/// Checks that the chain reader sent the command: no other actor may report what happened on chain.
pub fn from_chain(context: &CommandContext) -> Result<(), Rejection> {
    if context.actor == CommandContext::CHAIN {
        return Ok(());
    }
    let detail = format!("only the chain can report this; `{}` cannot", context.actor);
    Err(Rejection::new("not_from_chain", detail))
}

/// Checks that a saga or an operator sent the command: the chain reports what it saw, and decides nothing.
pub fn from_saga_or_operator(context: &CommandContext) -> Result<(), Rejection> {
    if [CommandContext::SAGA, CommandContext::API].contains(&context.actor.as_str()) {
        return Ok(());
    }
    let detail = format!("only a saga or an operator can decide this; `{}` cannot", context.actor);
    Err(Rejection::new("not_from_saga", detail))
}

/// Checks that the command names the account that it was routed to.
pub fn routed_to(account: Address, context: &CommandContext) -> Result<(), Rejection> {
    if account.to_string() == context.routing_key {
        return Ok(());
    }
    let detail = format!("the account is {account}, but the command was routed to {}", context.routing_key);
    Err(Rejection::new("account_mismatch", detail))
}

/// Reads the account from the routing key, for commands that do not name one.
pub fn account(context: &CommandContext) -> Result<Address, Rejection> {
    let error = |error| Rejection::new("account_mismatch", format!("the routing key is no account: {error}"));
    context.routing_key.parse().map_err(error)
}

/// Checks that an amount can be moved: a known asset in its own scale, above zero, and not too large.
pub fn sound(amount: &Amount) -> Result<KnownAsset, Rejection> {
    let asset = known(&amount.asset)?;
    moves(amount.minor)?;
    Ok(asset)
}

/// Checks that an amount can be asked for. A zero asks only whether the card is good, and moves nothing.
pub fn askable(amount: &Amount) -> Result<KnownAsset, Rejection> {
    if amount.minor == Minor::ZERO { known(&amount.asset) } else { sound(amount) }
}

/// Checks that accounts hold the asset and that its scale is right.
pub fn known(asset: &Asset) -> Result<KnownAsset, Rejection> {
    let Asset { code, decimals } = asset;
    let Some(known) = assets::find(code) else {
        let detail = format!("`{code}` is no asset that accounts hold; they hold {}", assets::codes());
        return Err(Rejection::new("unknown_asset", detail));
    };
    let code = match decimals.cmp(&known.decimals) {
        std::cmp::Ordering::Equal => return Ok(known),
        std::cmp::Ordering::Greater => "amount_too_precise",
        std::cmp::Ordering::Less => "asset_scale_mismatch",
    };
    let detail = format!("{} has {} decimals, not {decimals}", known.code, known.decimals);
    Err(Rejection::new(code, detail))
}

/// Checks that one command may move this number of minor units: above zero, and not too large.
pub fn moves(minor: Minor) -> Result<(), Rejection> {
    if minor > Minor::LARGEST_AMOUNT {
        let limit = Minor::LARGEST_AMOUNT;
        let detail = format!("the amount exceeds {limit} minor units, the most that one command may move");
        return Err(Rejection::new("amount_too_large", detail));
    }
    if minor == Minor::ZERO {
        let detail = "the amount is zero; only amounts above zero move money";
        return Err(Rejection::new("amount_not_positive", detail));
    }
    Ok(())
}

/// Checks that an amount is in the expected asset.
pub fn same_asset(expected: &Asset, given: &Asset) -> Result<(), Rejection> {
    if expected == given {
        return Ok(());
    }
    let detail = format!("this is in {}, not in {}", expected.code, given.code);
    Err(Rejection::new("asset_mismatch", detail))
}

/// Compares a repeated message with the known one: the same content is accepted, other content is rejected.
pub fn repeated<T: PartialEq>(id: &str, known: &T, given: &T) -> Result<(), Rejection> {
    if known == given {
        return Ok(());
    }
    let detail = format!("{id} is known with another content; a new message needs a new id");
    Err(Rejection::new("duplicate_mismatch", detail))
}

/// Checks that a request was not accepted before `latest`. A clock that runs backwards would shift the windows and
/// intervals that limits are counted over. Only requests are judged by the clock: a fact has happened, whatever the
/// clock says.
pub fn in_time(latest: Option<Timestamp>, context: &CommandContext) -> Result<(), Rejection> {
    match latest {
        Some(latest) if context.accepted_at < latest => {
            let detail = format!(
                "accepted at {}, before {latest}, when something already happened; set the host's clock right",
                context.accepted_at
            );
            Err(Rejection::new("clock_backwards", detail))
        }
        _ => Ok(()),
    }
}

/// Rejection of a command whose id already belongs to something else.
#[must_use]
pub fn identity_conflict(context: &CommandContext) -> Rejection {
    Rejection::new("identity_conflict", format!("{} already belongs to something else", context.id))
}

/// Rejects a sum that does not fit with the same code as an amount that does not fit.
pub fn fits<T, E: std::fmt::Display>(sum: Result<T, E>) -> Result<T, Rejection> {
    sum.map_err(|error| {
        let text = error.to_string();
        let detail = text.strip_prefix("amount_too_large: ").unwrap_or(&text);
        Rejection::new("amount_too_large", detail)
    })
}

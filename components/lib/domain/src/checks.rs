//! What every decider asks of a command before its own rules. Each refusal has one code, here and nowhere else.
//!
//! | code | meaning |
//! |---|---|
//! | `not_from_chain` | what only the chain can say, said by somebody else |
//! | `account_mismatch` | the command names another account than the one it was routed to |
//! | `unknown_asset` | an asset that accounts do not hold |
//! | `amount_too_precise` | more decimals than the asset has |
//! | `asset_scale_mismatch` | fewer decimals than the asset has |
//! | `amount_not_positive` | an amount of zero |
//! | `amount_too_large` | an amount beyond what one command may move |
//! | `asset_mismatch` | another asset than the one it is about |
//! | `duplicate_mismatch` | a known id with another content |
//! | `clock_backwards` | accepted before something that has already happened |
//! | `identity_conflict` | the id already belongs to something else |
//!
//! What cannot even be read is refused by the kernel: `unknown_type`, `unknown_schema_version`, `amount_negative`,
//! `amount_too_precise`, `amount_too_large`, `invalid_id`, `malformed_payload`.

use clearfold_kernel::{Address, Amount, Asset, CommandContext, Minor, Rejection, Timestamp};

use crate::policy::assets::{self, KnownAsset};

/// What happened on chain is not a matter of opinion.
pub fn from_chain(context: &CommandContext) -> Result<(), Rejection> {
    if context.actor == CommandContext::CHAIN {
        return Ok(());
    }
    let detail = format!("only the chain can report this; `{}` cannot", context.actor);
    Err(Rejection::new("not_from_chain", detail))
}

/// The account that a command names is the one whose partition this is.
pub fn routed_to(account: Address, context: &CommandContext) -> Result<(), Rejection> {
    if account.to_string() == context.routing_key {
        return Ok(());
    }
    let detail = format!("the account is {account}, but the command was routed to {}", context.routing_key);
    Err(Rejection::new("account_mismatch", detail))
}

/// The account that a command is for, where it does not name one itself.
pub fn account(context: &CommandContext) -> Result<Address, Rejection> {
    let error = |error| Rejection::new("account_mismatch", format!("the routing key is no account: {error}"));
    context.routing_key.parse().map_err(error)
}

/// An amount that can be moved: of a known asset in its own scale, above zero, and not too large.
pub fn sound(amount: &Amount) -> Result<KnownAsset, Rejection> {
    let asset = known(&amount.asset)?;
    moves(amount.minor)?;
    Ok(asset)
}

/// An asset that accounts hold, in its own scale.
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

/// A number of units that one command may move.
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

/// An amount in the asset that the thing is about.
pub fn same_asset(expected: &Asset, given: &Asset) -> Result<(), Rejection> {
    if expected == given {
        return Ok(());
    }
    let detail = format!("this is in {}, not in {}", expected.code, given.code);
    Err(Rejection::new("asset_mismatch", detail))
}

/// A repeat that says the same is satisfied; one that says something else is refused.
pub fn repeated<T: PartialEq>(id: &str, known: &T, given: &T) -> Result<(), Rejection> {
    if known == given {
        return Ok(());
    }
    let detail = format!("{id} is known with another content; a new message needs a new id");
    Err(Rejection::new("duplicate_mismatch", detail))
}

/// Time does not run backwards. What limits and intervals are counted from would else be moved.
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

/// The id is taken.
#[must_use]
pub fn identity_conflict(context: &CommandContext) -> Rejection {
    Rejection::new("identity_conflict", format!("{} already belongs to something else", context.id))
}

/// Sums that do not fit are refused like amounts that do not.
pub fn fits<T, E: std::fmt::Display>(sum: Result<T, E>) -> Result<T, Rejection> {
    sum.map_err(|error| {
        let text = error.to_string();
        let detail = text.strip_prefix("amount_too_large: ").unwrap_or(&text);
        Rejection::new("amount_too_large", detail)
    })
}

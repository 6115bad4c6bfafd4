//! Opening of an account: the Safe's address, and the assets in which its cards pay, neither of which changes later.
//! Movements in another asset are booked as well.

use std::collections::BTreeMap;

use clearfold_kernel::{Address, CommandContext, Entries, Rejection};

use super::ledger::Ledger;
use super::messages::{AccountOpened, DelayQueue, Event, OpenAccount};
use super::state::{Books, State};
use crate::checks;

pub(super) fn decide(
    state: &State,
    open: &OpenAccount,
    context: &CommandContext,
) -> Result<Vec<Event>, Rejection> {
    let account = address(context)?;
    open.assets.iter().try_for_each(|asset| checks::known(asset).map(drop))?;
    let has_twice = open
        .assets
        .iter()
        .enumerate()
        .any(|(index, asset)| open.assets.iter().take(index).any(|before| before == asset));
    if open.assets.is_empty() || has_twice {
        return Err(Rejection::new(
            "invalid_assets",
            "name each asset of the account once, and at least one",
        ));
    }
    match state {
        State::New(_) => Ok(vec![Event::AccountOpened(AccountOpened {
            account,
            assets: open.assets.clone(),
            at: context.accepted_at,
        })]),
        State::Open(books) => {
            checks::repeated(&context.id, &books.assets, &open.assets)?;
            Ok(Vec::new())
        }
    }
}

/// Parses the stream's id, which must be the Safe's address in lower case.
fn address(context: &CommandContext) -> Result<Address, Rejection> {
    match context.id.parse::<Address>() {
        Ok(address) if address.to_string() == context.id => {
            checks::routed_to(address, context)?;
            Ok(address)
        }
        _ => {
            let detail = format!("`{}` is no Safe's address in lower case", context.id);
            Err(Rejection::new("account_mismatch", detail))
        }
    }
}

impl Books {
    pub(super) fn new(opened: &AccountOpened, entries: Entries) -> Self {
        Self {
            address: opened.account,
            assets: opened.assets.clone(),
            opened_at: opened.at,
            latest_at: opened.at,
            delay_queue: DelayQueue::Empty,
            ledger: Ledger::default(),
            pending: BTreeMap::new(),
            entries,
        }
    }
}

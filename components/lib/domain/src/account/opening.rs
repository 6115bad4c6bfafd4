//! Opening of an account: the Safe's address, which never changes, and the assets in which its cards pay. Movements in
//! another asset are booked as well.
//!
//! An operator names the assets once, by `OpenAccount`. A fact may come before that: a deposit or a withdrawal seen on
//! chain, or a payment whose saga opens the account. A fact is never refused, so it opens the account with its own
//! asset, and the operator's list replaces that asset when it comes.

use std::collections::BTreeMap;

use clearfold_kernel::{Address, Asset, CommandContext, Entries, Rejection};

use super::awaited::Awaited;
use super::ledger::Ledger;
use super::matching::Unmatched;
use super::messages::{AccountOpened, AssetsNamed, DelayQueue, Event, OpenAccount, Opener};
use super::refund_match::Reports;
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
    // A saga asks for the account of a payment that has happened: it names that payment's asset, not a list.
    let opened_by = if context.actor == CommandContext::SAGA { Opener::Fact } else { Opener::Operator };
    match state {
        State::New(_) => {
            Ok(vec![Event::AccountOpened(opened(account, open.assets.clone(), opened_by, context))])
        }
        State::Open(_) if opened_by == Opener::Fact => Ok(Vec::new()),
        State::Open(books) if books.assets_by == Opener::Fact => {
            let (assets, at) = (open.assets.clone(), context.accepted_at);
            Ok(vec![Event::AssetsNamed(AssetsNamed { account, assets, at })])
        }
        State::Open(books) => {
            checks::repeated(&context.id, &books.assets, &open.assets)?;
            Ok(Vec::new())
        }
    }
}

/// Opens the account for a fact that must be booked, with the fact's asset.
pub(super) fn by_fact(asset: &Asset, context: &CommandContext) -> Result<AccountOpened, Rejection> {
    checks::known(asset)?;
    Ok(opened(address(context)?, vec![asset.clone()], Opener::Fact, context))
}

fn opened(
    account: Address,
    assets: Vec<Asset>,
    opened_by: Opener,
    context: &CommandContext,
) -> AccountOpened {
    AccountOpened { account, assets, opened_by, at: context.accepted_at }
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
            assets_by: opened.opened_by,
            opened_at: opened.at,
            latest_at: opened.at,
            delay_queue: DelayQueue::Empty,
            ledger: Ledger::default(),
            pending: BTreeMap::new(),
            owed_back: BTreeMap::new(),
            unassigned: BTreeMap::new(),
            unmatched: Unmatched::default(),
            reports: Reports::default(),
            awaited: Awaited::default(),
            entries,
        }
    }

    pub(super) fn assets_named(&mut self, event: &AssetsNamed) -> Option<()> {
        if self.assets_by == Opener::Operator {
            return None;
        }
        self.assets.clone_from(&event.assets);
        self.assets_by = Opener::Operator;
        Some(())
    }
}

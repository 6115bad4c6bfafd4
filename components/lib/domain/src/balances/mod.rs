//! Projection of every account: its balances and ledger, its holds, and the statement that the customer reads.
//!
//! Built from the events of accounts alone. The ledger is summed from the transfers in the events, so nothing here
//! decides what a deposit or a clearing books, and the tables agree with the account's own books.

mod hold;
#[cfg(test)]
mod properties;
mod statement;
mod tables;

use clearfold_kernel::{Asset, Change, ProjectionDescriptor, Projector, RecordedEvent, Row, RowKey};

use self::hold::HoldChange;
use self::tables::{Account, Balance, Hold, Ledger};
use crate::account::{
    self, AccountOpened, AssetsNamed, DelayQueue, DelayQueueChanged, Event, LedgerAccount, Net, Side,
    Transfer,
};
use crate::projecting::{self, Misfit, Rows, legs, posted};

type Seen<'a> = projecting::Seen<'a, Event>;

/// Projector of `balances`.
pub struct Balances;

impl Projector for Balances {
    fn describe() -> ProjectionDescriptor {
        ProjectionDescriptor {
            name: "balances",
            version: 6,
            tables: tables::all(),
            reads: &[account::AGGREGATE],
        }
    }

    fn keys(events: &[RecordedEvent]) -> Result<Vec<RowKey>, String> {
        let mut keys = Vec::new();
        projecting::each(account::AGGREGATE, events, |seen: &Seen| {
            keys.extend(keys_of(seen)?);
            Ok(())
        })?;
        Ok(keys)
    }

    fn project(events: &[RecordedEvent], rows: Vec<Row>) -> Result<Vec<Change>, String> {
        let mut rows = Rows::fetched(&tables::all(), rows)?;
        projecting::each(account::AGGREGATE, events, |seen: &Seen| apply(&mut rows, seen))?;
        Ok(rows.into_changes())
    }
}

/// Returns the keys of the rows that an event changes.
fn keys_of(seen: &Seen) -> Result<Vec<RowKey>, Misfit> {
    if let Event::AccountOpened(_) = seen.event {
        return Ok(Vec::new());
    }
    let account = seen.id.to_owned();
    let mut keys = vec![Account::key(&account)];
    if let Event::AssetsNamed(named) = &seen.event {
        keys.extend(named.assets.iter().map(|asset| Balance::key(&account, &asset.code)));
    }
    if let Some((asset, transfers)) = seen.event.booked() {
        keys.push(Balance::key(&account, &asset.code));
        keys.extend(
            legs(transfers).map(|(ledger_account, ..)| Ledger::key(&account, &asset.code, &ledger_account)),
        );
    }
    if let Some(change) = HoldChange::of(&seen.event)? {
        keys.push(Balance::key(&account, &change.asset.code));
        keys.push(Hold::key(&account, change.hold_id));
    }
    Ok(keys)
}

fn apply(rows: &mut Rows, seen: &Seen) -> Result<(), Misfit> {
    if let Event::AccountOpened(opened) = &seen.event {
        open(rows, seen, opened);
        return Ok(());
    }
    let account: Account = rows.existing(&Account::key(&seen.id.to_owned()))?;
    if let Event::AssetsNamed(named) = &seen.event {
        name(rows, seen, named)?;
    }
    if let Event::DelayQueueChanged(changed) = &seen.event {
        observe(rows, seen, account, changed);
    }
    if let Some((asset, transfers)) = seen.event.booked() {
        book(rows, seen, asset, transfers)?;
    }
    if let Some(change) = HoldChange::of(&seen.event)? {
        hold::change(rows, seen, &change)?;
    }
    Ok(())
}

/// Creates the account, with a zero balance for each of its assets.
fn open(rows: &mut Rows, seen: &Seen, opened: &AccountOpened) {
    let (account, updated_at) = (seen.id.to_owned(), seen.recorded.recorded_at);
    for Asset { code, decimals } in &opened.assets {
        rows.put(&Balance::none(account.clone(), code.clone(), *decimals, updated_at));
    }
    let (delay_queue, opened_at) = (DelayQueue::Empty, opened.at);
    rows.put(&Account { account, delay_queue, opened_at, updated_at });
}

/// Gives each asset that is new to the account a zero balance.
fn name(rows: &mut Rows, seen: &Seen, named: &AssetsNamed) -> Result<(), Misfit> {
    for asset in &named.assets {
        let balance = balance(rows, seen, asset)?;
        rows.put(&balance);
    }
    Ok(())
}

fn observe(rows: &mut Rows, seen: &Seen, mut account: Account, changed: &DelayQueueChanged) {
    account.delay_queue = changed.state;
    account.updated_at = seen.recorded.recorded_at;
    rows.put(&account);
}

/// Returns the balance of an asset. An asset that is new to the account starts at zero.
fn balance(rows: &Rows, seen: &Seen, asset: &Asset) -> Result<Balance, Misfit> {
    let (account, at) = (seen.id.to_owned(), seen.recorded.recorded_at);
    let known = rows.find(&Balance::key(&account, &asset.code))?;
    Ok(known.unwrap_or_else(|| Balance::none(account, asset.code.clone(), asset.decimals, at)))
}

fn book(rows: &mut Rows, seen: &Seen, asset: &Asset, transfers: &[Transfer]) -> Result<(), Misfit> {
    let account = seen.id.to_owned();
    let mut balance = balance(rows, seen, asset)?;
    let mut amount = Net::default();
    for (ledger_account, side, minor) in legs(transfers) {
        let known: Option<Ledger> = rows.find(&Ledger::key(&account, &asset.code, &ledger_account))?;
        let mut ledger = known.unwrap_or_else(|| Ledger::none(account.clone(), asset, ledger_account));
        match side {
            Side::Debit => ledger.debits_minor = ledger.debits_minor.plus(minor)?,
            Side::Credit => ledger.credits_minor = ledger.credits_minor.plus(minor)?,
        }
        ledger.net_minor = posted(ledger.net_minor, ledger_account, side, minor)?;
        if ledger_account == LedgerAccount::Customer {
            amount = posted(amount, ledger_account, side, minor)?;
            balance.posted_minor = ledger.net_minor;
        }
        // A receivable is credited to the customer, and is not available.
        if matches!(ledger_account, LedgerAccount::Customer | LedgerAccount::Receivable) {
            let available = balance.available_minor;
            balance.available_minor = posted(available, LedgerAccount::Customer, side, minor)?;
        }
        rows.put(&ledger);
    }
    balance.updated_at = seen.recorded.recorded_at;
    if let Some(line) = statement::line(seen, &balance, amount)? {
        rows.put(&line);
    }
    rows.put(&balance);
    Ok(())
}

//! The figures of each account and of all accounts: what the chain and the network did, and the balances of the
//! books.

use clearfold_kernel::{Minor, MoneyError, Timestamp};

use super::comparison::{Subject, What, compare};
use super::reported_change::{ReportedChange, Step};
use super::tables::{AccountAsset, AssetTotal};
use crate::account::{LedgerAccount, Net};
use crate::projecting::{Misfit, Rows, legs, posted};

/// Figure of what the chain or the network did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reported {
    /// Deposited to the Safe, without what was reorganized away.
    Deposited,
    /// Withdrawn from the Safe, without what was reorganized away.
    Withdrawn,
    /// Pulled from the Safe and ever included in a block.
    PulledIncluded,
    /// Part of `PulledIncluded` whose block is final.
    PulledFinalized,
    /// Part of `PulledIncluded` whose block was reorganized away.
    PulledReorged,
    /// Sent back to the Safe, as after a reversal.
    Returned,
    /// Refunded to the Safe on chain.
    Refunded,
    /// Paid to the network.
    Paid,
    /// Received from the network.
    Received,
}

/// Comparisons of a whole account, made whenever one of its figures changes.
pub(super) const COMPARED: [What; 4] = [What::Safe, What::InTransit, What::HoldAccount, What::Settlement];

/// Row of such figures.
pub(super) trait Figures {
    fn reported(&mut self, figure: Reported) -> &mut Minor;
    fn ledger(&mut self, account: LedgerAccount) -> &mut Net;
    fn updated_at(&mut self) -> &mut Timestamp;
}

pub(super) fn add(rows: &mut Rows, change: &ReportedChange, at: Timestamp) -> Result<(), Misfit> {
    let (account, asset) = (&change.account, &change.asset);
    let total: Option<AssetTotal> = rows.find(&AssetTotal::key(&asset.code))?;
    let mut total = total.unwrap_or_else(|| AssetTotal::none(asset.code.clone(), asset.decimals, at));
    change.add_to(&mut total, at)?;
    rows.put(&total);

    let own: Option<AccountAsset> = rows.find(&AccountAsset::key(account, &asset.code))?;
    let mut own =
        own.unwrap_or_else(|| AccountAsset::none(account.clone(), asset.code.clone(), asset.decimals, at));
    change.add_to(&mut own, at)?;
    rows.put(&own);
    for (what, expected, booked) in own.compared()? {
        compare(rows, change, &Subject::of_account(what, account), expected, booked, at)?;
    }
    Ok(())
}

impl ReportedChange {
    fn add_to(&self, figures: &mut impl Figures, at: Timestamp) -> Result<(), MoneyError> {
        for (reported, step) in &self.reported {
            let figure = figures.reported(*reported);
            *figure = match step {
                Step::Up(minor) => figure.plus(*minor)?,
                Step::Down(minor) => figure.minus(*minor)?,
            };
        }
        for (account, side, minor) in legs(&self.transfers) {
            let figure = figures.ledger(account);
            *figure = posted(*figure, account, side, minor)?;
        }
        // Partitions are projected in any order, and a total must not depend on that order.
        let updated_at = figures.updated_at();
        *updated_at = at.max(*updated_at);
        Ok(())
    }
}

impl AccountAsset {
    /// Returns each comparison with the expected balance and that of the books.
    fn compared(&self) -> Result<[(What, Net, Net); 4], MoneyError> {
        let went_in =
            [self.deposited_minor, self.returned_minor, self.refunded_minor, self.pulled_reorged_minor];
        let safe = net(&went_in, &[self.withdrawn_minor, self.pulled_included_minor])?;
        let pulled_for_good = self.pulled_finalized_minor;
        let in_transit = net(&[self.pulled_included_minor], &[pulled_for_good, self.pulled_reorged_minor])?;
        let went_out = [self.returned_minor, self.refunded_minor, self.settled_paid_minor];
        let hold = net(&[pulled_for_good, self.settled_received_minor], &went_out)?;
        Ok([
            (What::Safe, safe, self.ledger_safe_minor),
            (What::InTransit, in_transit, self.ledger_in_transit_minor),
            (What::HoldAccount, hold, self.ledger_hold_minor),
            (What::Settlement, Net::default(), self.ledger_settlement_minor),
        ])
    }
}

fn net(plus: &[Minor], minus: &[Minor]) -> Result<Net, MoneyError> {
    let sum = |parts: &[Minor]| parts.iter().copied().try_fold(Minor::ZERO, Minor::plus);
    Ok(Net::of(sum(plus)?, sum(minus)?))
}

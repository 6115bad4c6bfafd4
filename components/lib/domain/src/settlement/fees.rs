//! Network fees: what the network owes us and we owe it, by network and day, and by payment. They are in nobody's books,
//! so they are compared with nothing.
//!
//! Both sides rise only: what is taken back with its record counts on the other side, on the day on which it is. The
//! difference of the two sides is what is owed.

use clearfold_kernel::{Minor, MoneyError, RowKey, Timestamp};

use super::tables::{NetworkFee, PaymentFee};
use crate::authorization::{Event, StatedFees};
use crate::network::{FeeAmount, FeeDirection, FeeKind, Network};
use crate::projecting::{Misfit, Rows, day_of};

/// Fee that an event states, or states as taken back.
pub(super) struct FeeChange {
    account: String,
    network: Network,
    /// Beginning of the day, in UTC.
    day: Timestamp,
    payment_id: String,
    kind: FeeKind,
    currency: String,
    /// Side on which it counts.
    side: FeeDirection,
    /// Number of the smallest units of fees.
    minor: Minor,
}

/// Returns the fees that an event states, or states as taken back.
pub(super) fn of(payment_id: &str, event: &Event) -> Result<Vec<FeeChange>, MoneyError> {
    let Some(StatedFees { parties, fees, is_back, occurred_at, .. }) = event.network_fees() else {
        return Ok(Vec::new());
    };
    let changes = fees.fees.iter().map(|fee| {
        Ok(FeeChange {
            account: parties.account.to_string(),
            network: fees.network,
            day: day_of(occurred_at),
            payment_id: payment_id.to_owned(),
            kind: fee.kind,
            currency: fee.amount.stated().asset.code.clone(),
            side: if is_back { other(fee.direction) } else { fee.direction },
            minor: fee.amount.units()?,
        })
    });
    changes.collect()
}

const fn other(side: FeeDirection) -> FeeDirection {
    match side {
        FeeDirection::Credit => FeeDirection::Debit,
        FeeDirection::Debit => FeeDirection::Credit,
    }
}

pub(super) fn keys(change: &FeeChange) -> [RowKey; 2] {
    let FeeChange { account, network, day, payment_id, kind, currency, .. } = change;
    [NetworkFee::key(network, day, kind, currency), PaymentFee::key(account, payment_id, kind, currency)]
}

pub(super) fn add(rows: &mut Rows, change: &FeeChange, at: Timestamp) -> Result<(), Misfit> {
    let [of_day, of_payment] = keys(change);
    let FeeChange { account, network, day, payment_id, kind, currency, .. } = change;
    let known: Option<NetworkFee> = rows.find(&of_day)?;
    let mut total = known.unwrap_or_else(|| NetworkFee {
        network: *network,
        day: *day,
        kind: *kind,
        currency: currency.clone(),
        decimals: FeeAmount::DECIMALS,
        credit_minor: Minor::ZERO,
        debit_minor: Minor::ZERO,
        updated_at: at,
    });
    change.add_to(&mut total.credit_minor, &mut total.debit_minor)?;
    // Partitions are projected in any order, and a total must not depend on that order.
    total.updated_at = at.max(total.updated_at);
    rows.put(&total);

    let known: Option<PaymentFee> = rows.find(&of_payment)?;
    let mut own = known.unwrap_or_else(|| PaymentFee {
        account: account.clone(),
        payment_id: payment_id.clone(),
        kind: *kind,
        currency: currency.clone(),
        decimals: FeeAmount::DECIMALS,
        credit_minor: Minor::ZERO,
        debit_minor: Minor::ZERO,
        updated_at: at,
    });
    change.add_to(&mut own.credit_minor, &mut own.debit_minor)?;
    own.updated_at = at;
    rows.put(&own);
    Ok(())
}

impl FeeChange {
    fn add_to(&self, credit: &mut Minor, debit: &mut Minor) -> Result<(), MoneyError> {
        let side = match self.side {
            FeeDirection::Credit => credit,
            FeeDirection::Debit => debit,
        };
        *side = side.plus(self.minor)?;
        Ok(())
    }
}

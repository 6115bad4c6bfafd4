//! The hold of a payment, as its authorization and as its account state it. The row exists as long as one of them is
//! above zero.

use clearfold_kernel::{Minor, MoneyError, Timestamp};

use super::comparison::{Subject, compare};
use super::reported_change::{HoldStep, ReportedChange, ReportingSide, Step};
use super::tables::Hold;
use crate::account::Net;
use crate::projecting::{Misfit, Rows};

pub(super) fn update(
    rows: &mut Rows,
    change: &ReportedChange,
    payment_id: &str,
    step: HoldStep,
    at: Timestamp,
) -> Result<(), Misfit> {
    let payment_id = payment_id.to_owned();
    let key = Hold::key(&change.account, &change.asset.code, &payment_id);
    let known: Option<Hold> = rows.find(&key)?;
    let is_known = known.is_some();
    let mut hold = known.unwrap_or_else(|| Hold {
        account: change.account.clone(),
        asset: change.asset.code.clone(),
        payment_id,
        decimals: change.asset.decimals,
        authorization_minor: Minor::ZERO,
        account_minor: Minor::ZERO,
        updated_at: at,
    });
    hold.updated_at = at;
    let minor = match change.reporting_side {
        ReportingSide::Authorization => &mut hold.authorization_minor,
        ReportingSide::Account => &mut hold.account_minor,
    };
    *minor = step.applied(*minor)?;
    if hold.authorization_minor > Minor::ZERO || hold.account_minor > Minor::ZERO {
        rows.put(&hold);
    } else if is_known {
        rows.remove(key);
    }
    let [expected, booked] =
        [hold.authorization_minor, hold.account_minor].map(|held| Net::of(held, Minor::ZERO));
    compare(rows, change, &Subject::of_payment(&hold.payment_id), expected, booked, at)
}

impl HoldStep {
    fn applied(self, held: Minor) -> Result<Minor, MoneyError> {
        match self {
            Self::By(Step::Up(minor)) => held.plus(minor),
            Self::By(Step::Down(minor)) => held.minus(minor),
            Self::Claimed { is_final: true, .. } => Ok(Minor::ZERO),
            Self::Claimed { minor, is_final: false } => held.minus(minor.min(held)),
        }
    }
}

//! Numbers that can be below zero, as cells, and how the ledger's transfers move them.

use clearfold_kernel::{ColumnType, Minor, MoneyError, Value};

use super::Cell;
use crate::account::{LedgerAccount, Net, Side, Transfer};

impl Cell for Net {
    const KIND: ColumnType = ColumnType::Numeric;

    fn write(&self) -> Value {
        Value::Numeric(self.to_string())
    }

    fn read(value: Value) -> Option<Self> {
        if let Value::Numeric(digits) = value { digits.parse().ok() } else { None }
    }
}

/// What transfers do to single ledger accounts: each to two of them.
pub fn legs(transfers: &[Transfer]) -> impl Iterator<Item = (LedgerAccount, Side, Minor)> {
    transfers.iter().flat_map(|&Transfer { debit, credit, minor }| {
        [(debit, Side::Debit, minor), (credit, Side::Credit, minor)]
    })
}

/// What stands in a ledger account after one more leg, above zero on its normal side.
pub fn posted(before: Net, account: LedgerAccount, side: Side, minor: Minor) -> Result<Net, MoneyError> {
    if side == account.normal_side() { raised(before, minor) } else { lowered(before, minor) }
}

/// That much more.
pub fn raised(net: Net, by: Minor) -> Result<Net, MoneyError> {
    let (above, below) = parts(net);
    Ok(Net::of(above.plus(by)?, below))
}

/// That much less.
pub fn lowered(net: Net, by: Minor) -> Result<Net, MoneyError> {
    let (above, below) = parts(net);
    Ok(Net::of(above, below.plus(by)?))
}

fn parts(net: Net) -> (Minor, Minor) {
    if net.is_negative() { (Minor::ZERO, net.magnitude()) } else { (net.magnitude(), Minor::ZERO) }
}

//! Cells of signed amounts, and how the ledger's transfers move them.

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

/// Splits transfers into legs, two for each: ledger account, side, and minor units.
pub fn legs(transfers: &[Transfer]) -> impl Iterator<Item = (LedgerAccount, Side, Minor)> {
    transfers.iter().flat_map(|&Transfer { debit, credit, minor }| {
        [(debit, Side::Debit, minor), (credit, Side::Credit, minor)]
    })
}

/// Returns a ledger account's balance after one more leg; it is positive on the account's normal side.
pub fn posted(before: Net, account: LedgerAccount, side: Side, minor: Minor) -> Result<Net, MoneyError> {
    if side == account.normal_side() { raised(before, minor) } else { lowered(before, minor) }
}

/// Adds minor units to a signed amount.
pub fn raised(net: Net, by: Minor) -> Result<Net, MoneyError> {
    let (above, below) = parts(net);
    Ok(Net::of(above.plus(by)?, below))
}

/// Subtracts minor units from a signed amount.
pub fn lowered(net: Net, by: Minor) -> Result<Net, MoneyError> {
    let (above, below) = parts(net);
    Ok(Net::of(above, below.plus(by)?))
}

fn parts(net: Net) -> (Minor, Minor) {
    if net.is_negative() { (Minor::ZERO, net.magnitude()) } else { (net.magnitude(), Minor::ZERO) }
}

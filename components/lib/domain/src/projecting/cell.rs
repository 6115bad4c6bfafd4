//! Types that a column can hold. Each knows its column's type and rule, and converts to a cell and back.

use clearfold_kernel::{Address, ColumnRule, ColumnType, ExternalId, Hash, Minor, Timestamp, Value};

use super::Misfit;
use crate::network::{Country, FeeKind, MerchantCategory, MerchantId, Network};
use crate::policy::DeclineReason;

/// Type that a column can hold.
pub trait Cell: Sized {
    /// Type of the column.
    const KIND: ColumnType;

    /// True if the column may be empty.
    const NULLABLE: bool = false;

    /// Returns the rule that the database checks, if there is one.
    #[must_use]
    fn rule() -> Option<ColumnRule> {
        None
    }

    /// Converts the value to a database cell.
    fn write(&self) -> Value;

    /// Reads the value from a database cell; None if the cell does not belong in such a column.
    fn read(value: Value) -> Option<Self>;
}

macro_rules! text_cells {
    ($($type:ty),+) => {
        $(impl Cell for $type {
            const KIND: ColumnType = ColumnType::Text;

            fn write(&self) -> Value {
                Value::Text(self.to_string())
            }

            fn read(value: Value) -> Option<Self> {
                match value {
                    Value::Text(text) => text.try_into().ok(),
                    _ => None,
                }
            }
        })+
    };
}
text_cells!(String, ExternalId, MerchantId, Address, Hash, MerchantCategory, Country);

/// Closed list of words.
pub trait Word: Copy + PartialEq + 'static {
    /// All values of the list.
    const ALL: &'static [Self];

    /// Returns the word, as the database and JSON spell it.
    fn word(self) -> &'static str;
}

/// Gives each variant of an enum its word: `words!(Side { Debit = "debit", Credit = "credit" })`.
macro_rules! words {
    ($type:ty { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $crate::projecting::Word for $type {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}
pub(crate) use words;

impl<W: Word> Cell for W {
    const KIND: ColumnType = ColumnType::Text;

    fn rule() -> Option<ColumnRule> {
        Some(ColumnRule::OneOf(W::ALL.iter().map(|known| known.word()).collect()))
    }

    fn write(&self) -> Value {
        Value::from(self.word())
    }

    fn read(value: Value) -> Option<Self> {
        W::ALL.iter().copied().find(|known| value == Value::from(known.word()))
    }
}

words!(Network { Visa = "visa", Mastercard = "mastercard" });

words!(FeeKind { Interchange = "interchange", Scheme = "scheme", Other = "other" });

impl Word for DeclineReason {
    const ALL: &'static [Self] = &Self::ALL;

    fn word(self) -> &'static str {
        self.code()
    }
}

/// Words as a JSON list.
impl<W: Word> Cell for Vec<W> {
    const KIND: ColumnType = ColumnType::Json;

    fn write(&self) -> Value {
        let words: Vec<&str> = self.iter().map(|word| word.word()).collect();
        Value::Json(serde_json::Value::from(words).to_string())
    }

    fn read(value: Value) -> Option<Self> {
        let Value::Json(document) = value else { return None };
        let words: Vec<String> = serde_json::from_str(&document).ok()?;
        words.into_iter().map(|word| W::read(Value::Text(word))).collect()
    }
}

/// A JSON document, as its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document(pub String);

impl Cell for Document {
    const KIND: ColumnType = ColumnType::Json;

    fn write(&self) -> Value {
        Value::Json(self.0.clone())
    }

    fn read(value: Value) -> Option<Self> {
        if let Value::Json(document) = value { Some(Self(document)) } else { None }
    }
}

impl Cell for Minor {
    const KIND: ColumnType = ColumnType::Numeric;

    fn rule() -> Option<ColumnRule> {
        Some(ColumnRule::NonNegative)
    }

    fn write(&self) -> Value {
        Value::from(*self)
    }

    fn read(value: Value) -> Option<Self> {
        if let Value::Numeric(digits) = value { digits.parse().ok() } else { None }
    }
}

/// Count, version or block height: not negative, and within the database's integers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(i64);

impl Number {
    /// Returns the number minus one; fails below zero.
    pub fn previous(self) -> Result<Self, Misfit> {
        self.0.checked_sub(1).filter(|number| *number >= 0).map(Self).ok_or(Misfit::Number)
    }

    /// Returns the number plus one; fails beyond what the database can hold.
    pub fn next(self) -> Result<Self, Misfit> {
        self.0.checked_add(1).map(Self).ok_or(Misfit::Number)
    }
}

impl TryFrom<u64> for Number {
    type Error = Misfit;

    fn try_from(number: u64) -> Result<Self, Misfit> {
        i64::try_from(number).map(Self).map_err(|_| Misfit::Number)
    }
}

impl From<u32> for Number {
    fn from(number: u32) -> Self {
        Self(number.into())
    }
}

impl Cell for Number {
    const KIND: ColumnType = ColumnType::Integer;

    fn rule() -> Option<ColumnRule> {
        Some(ColumnRule::NonNegative)
    }

    fn write(&self) -> Value {
        Value::Integer(self.0)
    }

    fn read(value: Value) -> Option<Self> {
        match value {
            Value::Integer(number) if number >= 0 => Some(Self(number)),
            _ => None,
        }
    }
}

/// The decimals of an asset.
impl Cell for u8 {
    const KIND: ColumnType = ColumnType::Integer;

    fn rule() -> Option<ColumnRule> {
        Some(ColumnRule::NonNegative)
    }

    fn write(&self) -> Value {
        Value::Integer((*self).into())
    }

    fn read(value: Value) -> Option<Self> {
        if let Value::Integer(number) = value { number.try_into().ok() } else { None }
    }
}

impl Cell for bool {
    const KIND: ColumnType = ColumnType::Boolean;

    fn write(&self) -> Value {
        Value::Boolean(*self)
    }

    fn read(value: Value) -> Option<Self> {
        if let Value::Boolean(truth) = value { Some(truth) } else { None }
    }
}

impl Cell for Timestamp {
    const KIND: ColumnType = ColumnType::Timestamp;

    fn write(&self) -> Value {
        Value::from(*self)
    }

    fn read(value: Value) -> Option<Self> {
        if let Value::TimestampMs(ms) = value { Self::from_ms(ms) } else { None }
    }
}

impl<C: Cell> Cell for Option<C> {
    const KIND: ColumnType = C::KIND;
    const NULLABLE: bool = true;

    fn rule() -> Option<ColumnRule> {
        C::rule()
    }

    fn write(&self) -> Value {
        self.as_ref().map_or(Value::Null, Cell::write)
    }

    fn read(value: Value) -> Option<Self> {
        if value == Value::Null { Some(None) } else { C::read(value).map(Some) }
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;
    use crate::authorization::{DisputeOutcome, DisputeReason, DisputeStage};

    fn as_in_json<W: Word + Serialize>() {
        for word in W::ALL {
            assert_eq!(serde_json::to_value(word).unwrap(), word.word());
        }
    }

    #[test]
    fn a_word_of_a_message_is_the_same_in_a_table() {
        as_in_json::<Network>();
        as_in_json::<FeeKind>();
        as_in_json::<DeclineReason>();
        as_in_json::<DisputeReason>();
        as_in_json::<DisputeStage>();
        as_in_json::<DisputeOutcome>();
    }

    #[test]
    fn a_number_ends_where_the_database_does() {
        let largest = Number::try_from(i64::MAX.unsigned_abs()).unwrap();
        assert_eq!(largest.next(), Err(Misfit::Number));
        assert_eq!(Number::try_from(i64::MAX.unsigned_abs() + 1), Err(Misfit::Number));
        assert_eq!(Number::read(Value::Integer(-1)), None);
    }

    #[test]
    fn what_may_be_empty_is_so_in_both_directions() {
        assert_eq!(Option::<Minor>::read(Value::Null), Some(None));
        assert_eq!(None::<Minor>.write(), Value::Null);
        assert_eq!(Minor::read(Value::Null), None);
    }
}

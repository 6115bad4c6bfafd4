//! Fees of a record between the network and us: interchange and scheme fees, exact. The customer pays none of them, and
//! they are no parts of the record's amount; those are among its [`Details`](super::Details).

use clearfold_kernel::{Amount, Minor, MoneyError};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::{FieldText, Network};

/// Error for fees that no record has. It never repeats a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFees {
    /// No fee, or more than are kept.
    #[error(
        "a record has {0} network fees, and 1 to {most} can be stated; leave the member out if there are none",
        most = FeeList::MOST
    )]
    Count(usize),
    /// A fee of nothing.
    #[error("the amount of a network fee is zero; leave the fee out")]
    Zero,
    /// More decimals than are counted.
    #[error("a network fee has {0} decimals, and at most {most} are counted", most = FeeAmount::DECIMALS)]
    Decimals(u8),
    /// A currency that is no code of ISO 4217.
    #[error("the currency of a network fee is none; write its code of three capital letters, like EUR")]
    Currency,
    /// An amount that cannot be counted in the smallest unit of fees.
    #[error(
        "the amount of a network fee exceeds 2^96 - 1 units of 10^-{} of its currency",
        FeeAmount::DECIMALS
    )]
    TooLarge,
}

/// Interchange and scheme fees of a record, as the network that settles them states them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NetworkFees {
    /// Network that settles them, which need not be the one that asked.
    pub network: Network,
    /// Fees of the record.
    pub fees: FeeList,
}

/// Fees of one record, at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<NetworkFee>")]
pub struct FeeList(Vec<NetworkFee>);

/// Fee that the network states with a record.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NetworkFee {
    /// Kind of the fee.
    pub kind: FeeKind,
    /// Code of the network's programme or rate. Absent if it states none.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(skip_serializing_if = "Option::is_none"))]
    pub code: Option<FieldText>,
    /// Amount in the currency in which the network settles it, with as many decimals as the network states.
    pub amount: FeeAmount,
    /// Direction in which it is owed.
    pub direction: FeeDirection,
}

/// In a state every field has its place; in JSON an absent code is left out.
impl Serialize for NetworkFee {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_stated = self.code.is_some() || !serializer.is_human_readable();
        let count = if is_stated { 4 } else { 3 };
        let mut fields = serializer.serialize_struct("NetworkFee", count)?;
        fields.serialize_field("kind", &self.kind)?;
        match is_stated {
            true => fields.serialize_field("code", &self.code)?,
            false => fields.skip_field("code")?,
        }
        fields.serialize_field("amount", &self.amount)?;
        fields.serialize_field("direction", &self.direction)?;
        fields.end()
    }
}

/// Kind of a fee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FeeKind {
    /// Interchange, between the acquirer and us.
    Interchange,
    /// Fee of the scheme itself.
    Scheme,
    /// Any other.
    Other,
}

/// Direction in which a fee is owed, as we see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FeeDirection {
    /// The network owes it to us.
    Credit,
    /// We owe it to the network.
    Debit,
}

/// Amount of a fee: above zero, and a whole number of the smallest unit of fees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Amount")]
pub struct FeeAmount(Amount);

impl FeeAmount {
    /// Decimals of the unit in which fees are counted: the finest that networks state.
    pub const DECIMALS: u8 = 8;

    /// Returns the amount as the network stated it.
    #[must_use]
    pub const fn stated(&self) -> &Amount {
        &self.0
    }

    /// Returns the amount in the smallest unit of fees.
    pub fn units(&self) -> Result<Minor, MoneyError> {
        let missing = Self::DECIMALS.checked_sub(self.0.asset.decimals).ok_or(MoneyError::Underflow)?;
        let factor = 10_u128.checked_pow(u32::from(missing));
        let units = factor.and_then(|factor| self.0.minor.get().checked_mul(factor));
        units.map(Minor::new).ok_or(MoneyError::Overflow)
    }
}

impl TryFrom<Amount> for FeeAmount {
    type Error = InvalidFees;

    fn try_from(amount: Amount) -> Result<Self, InvalidFees> {
        let (code, decimals) = (&amount.asset.code, amount.asset.decimals);
        if code.len() != 3 || !code.bytes().all(|letter| letter.is_ascii_uppercase()) {
            return Err(InvalidFees::Currency);
        }
        if decimals > Self::DECIMALS {
            return Err(InvalidFees::Decimals(decimals));
        }
        let amount = Self(amount);
        match amount.units() {
            Ok(Minor::ZERO) => Err(InvalidFees::Zero),
            // As much as one command may move: no sum of such amounts overflows.
            Ok(units) if units <= Minor::LARGEST_AMOUNT => Ok(amount),
            _ => Err(InvalidFees::TooLarge),
        }
    }
}

impl FeeList {
    /// Most fees of one record.
    pub const MOST: usize = 32;

    /// Returns the fees, in the order in which they were stated.
    pub fn iter(&self) -> impl Iterator<Item = &NetworkFee> {
        self.0.iter()
    }
}

impl TryFrom<Vec<NetworkFee>> for FeeList {
    type Error = InvalidFees;

    fn try_from(fees: Vec<NetworkFee>) -> Result<Self, InvalidFees> {
        match (1..=Self::MOST).contains(&fees.len()) {
            true => Ok(Self(fees)),
            false => Err(InvalidFees::Count(fees.len())),
        }
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{FeeAmount, FeeList, NetworkFee};

    impl JsonSchema for FeeList {
        fn schema_name() -> Cow<'static, str> {
            "FeeList".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            let items = generator.subschema_for::<NetworkFee>();
            json_schema!({
                "description": "Fees of one record.",
                "type": "array",
                "items": items,
                "minItems": 1,
                "maxItems": Self::MOST,
            })
        }
    }

    impl JsonSchema for FeeAmount {
        fn schema_name() -> Cow<'static, str> {
            "FeeAmount".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "Amount of a fee, above zero: at most 2^96 - 1 units of 10^-8 of its currency.",
                "type": "object",
                "properties": {
                    "minor": {
                        "description": "Number of the smallest unit, in decimal digits.",
                        "type": "string",
                        "pattern": "^[1-9][0-9]{0,28}$",
                    },
                    "asset": {"description": "Currency (ISO 4217).", "type": "string", "pattern": "^[A-Z]{3}$"},
                    "decimals": {
                        "description": "Digits behind the point.",
                        "type": "integer",
                        "minimum": 0,
                        "maximum": Self::DECIMALS,
                    },
                },
                "required": ["minor", "asset", "decimals"],
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use clearfold_kernel::{decode_state, encode_state};
    use serde_json::{Value, json};

    use super::*;

    fn fee(minor: &str, decimals: u8) -> Value {
        let amount = json!({"minor": minor, "asset": "EUR", "decimals": decimals});
        json!({"kind": "interchange", "amount": amount, "direction": "credit"})
    }

    fn read(fees: &[Value]) -> Result<NetworkFees, String> {
        serde_json::from_value(json!({"network": "visa", "fees": fees})).map_err(|error| error.to_string())
    }

    fn units(minor: &str, decimals: u8) -> Minor {
        let read = read(&[fee(minor, decimals)]).unwrap();
        read.fees.iter().next().unwrap().amount.units().unwrap()
    }

    #[test]
    fn fees_are_counted_exactly() {
        assert_eq!(units("123456", 6), Minor::new(12_345_600));
        assert_eq!(units("1", 8), Minor::new(1));
        assert_eq!(units("1", 0), Minor::new(100_000_000));
        assert_eq!(units(&Minor::LARGEST_AMOUNT.to_string(), 8), Minor::LARGEST_AMOUNT);
    }

    #[test]
    fn what_no_record_has_is_refused_with_what_to_do() {
        let most = vec![fee("1", 2); FeeList::MOST];
        assert!(read(&most).is_ok());
        let beyond = (Minor::LARGEST_AMOUNT.get() + 1).to_string();
        let with = |member: &str, value: Value| {
            let mut fee = fee("1", 2);
            *fee.pointer_mut(member).unwrap() = value;
            vec![fee]
        };
        for (fees, said) in [
            (Vec::new(), "a record has 0 network fees, and 1 to 32 can be stated"),
            ([most, vec![fee("1", 2)]].concat(), "a record has 33 network fees"),
            (vec![fee("0", 2)], "the amount of a network fee is zero"),
            (vec![fee("1", 9)], "a network fee has 9 decimals, and at most 8 are counted"),
            (vec![fee(&beyond, 8)], "exceeds 2^96 - 1 units of 10^-8"),
            (vec![fee(&Minor::LARGEST_AMOUNT.to_string(), 7)], "exceeds 2^96 - 1 units of 10^-8"),
            (vec![fee(&u128::MAX.to_string(), 0)], "exceeds 2^96 - 1 units of 10^-8"),
            (with("/amount/asset", json!("EURe")), "write its code of three capital letters"),
            (with("/amount/asset", json!("eur")), "write its code of three capital letters"),
            (with("/kind", json!("assessment")), "unknown variant"),
            (with("/direction", json!(true)), "invalid type"),
        ] {
            let refused = read(&fees).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
    }

    #[test]
    fn a_fee_with_or_without_a_code_is_read_as_it_was_written() {
        let mut coded = fee("123456", 6);
        coded["code"] = json!("75");
        let fees = read(&[coded, fee("1", 2)]).unwrap();
        let json = serde_json::to_value(&fees).unwrap();
        assert_eq!(json["fees"][0]["code"], "75");
        assert_eq!(json["fees"][1].get("code"), None);
        assert_eq!(serde_json::from_value::<NetworkFees>(json).unwrap(), fees);
        assert_eq!(decode_state::<NetworkFees>(&encode_state(&fees).unwrap()), Ok(fees));
    }
}

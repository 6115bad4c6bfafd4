//! Types of transactions by processing code (ISO 8583 field 3): its first two digits, which the networks assign
//! differently.
//!
//! As of November 2026, from: Thredd and Viva (purchase, cash, cash back, refund, account funding, quasi-cash, original
//! credit), Thredd (balance, verification). Bill payment is from memory.

use crate::network::{Network, TransactionType};

/// Codes of both networks.
const BOTH: [(&str, TransactionType); 8] = [
    ("00", TransactionType::Purchase),
    ("01", TransactionType::Cash),
    ("09", TransactionType::CashBack),
    ("10", TransactionType::AccountFunding),
    ("20", TransactionType::Refund),
    ("30", TransactionType::BalanceInquiry),
    ("39", TransactionType::Verification),
    ("50", TransactionType::BillPayment),
];

const VISA: [(&str, TransactionType); 2] =
    [("11", TransactionType::QuasiCash), ("26", TransactionType::OriginalCredit)];

/// At a counter cash is 17 in the authorization, and 12 in the clearing.
const MASTERCARD: [(&str, TransactionType); 4] = [
    ("12", TransactionType::Cash),
    ("17", TransactionType::Cash),
    ("18", TransactionType::QuasiCash),
    ("28", TransactionType::OriginalCredit),
];

/// Returns the type that a processing code names; `None` if the network has no such code.
#[must_use]
pub fn of(network: Network, processing_code: &str) -> Option<TransactionType> {
    let own = match network {
        Network::Visa => &VISA[..],
        Network::Mastercard => &MASTERCARD[..],
    };
    let code = processing_code.get(..2)?;
    BOTH.iter().chain(own).find(|(known, _)| *known == code).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_its_networks() {
        let visa = ["000000", "090000", "110000", "260000"].map(|code| of(Network::Visa, code));
        let types = [
            TransactionType::Purchase,
            TransactionType::CashBack,
            TransactionType::QuasiCash,
            TransactionType::OriginalCredit,
        ];
        assert_eq!(visa, types.map(Some));
        let mastercard = ["170000", "180000", "280000"].map(|code| of(Network::Mastercard, code));
        let types = [TransactionType::Cash, TransactionType::QuasiCash, TransactionType::OriginalCredit];
        assert_eq!(mastercard, types.map(Some));
        assert_eq!(
            [of(Network::Visa, "18"), of(Network::Visa, "9"), of(Network::Mastercard, "26")],
            [None; 3]
        );
    }

    #[test]
    fn a_code_stands_once() {
        for own in [&VISA[..], &MASTERCARD[..]] {
            let codes: Vec<_> = BOTH.iter().chain(own).map(|(code, _)| code).collect();
            assert!(codes.iter().all(|code| codes.iter().filter(|other| other == &code).count() == 1));
        }
    }
}

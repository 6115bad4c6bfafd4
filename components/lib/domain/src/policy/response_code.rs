//! Response codes (ISO 8583 field 39): which reason a network hears as which number, by network and by what it asked.
//!
//! The numbers change twice a year, so they are data. As of November 2026, from: Thredd (5C, 57, the codes that a refund
//! allows; 41 and 43 only for cards that are lost or stolen for good), Cielo (9G), Galileo (62, 57 of Mastercard), Checkout.com
//! (which codes forbid another attempt, 57 among them). Where these say nothing, the entry says that
//! the choice is our own.

use crate::network::Network;

/// Question that a response code answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A payment, more of it, or whether its card is good; and every message that is only confirmed.
    Payment,
    /// A refund: whether the card takes it.
    Refund,
}

/// Codes for some reasons: of Visa, and of Mastercard.
struct Entry {
    visa: &'static str,
    mastercard: &'static str,
    reasons: &'static [&'static str],
}

const fn both(code: &'static str, reasons: &'static [&'static str]) -> Entry {
    Entry { visa: code, mastercard: code, reasons }
}

const fn each(visa: &'static str, mastercard: &'static str, reasons: &'static [&'static str]) -> Entry {
    Entry { visa, mastercard, reasons }
}

/// "Do not honour": a reason that has no code of its own. Networks fine issuers who use it too often.
const OTHER: &str = "05";

const CODES: [Entry; 30] = [
    both("51", &["insufficient_funds", "delay_queue_not_empty"]),
    // A pause; 41 and 43 would have the card taken away for good. For a token the choice is our own.
    both("62", &["card_frozen", "token_not_active"]),
    // "Blocked by cardholder", of Visa since April 2025.
    each("9G", "62", &["blocked_by_holder"]),
    both("41", &["card_lost"]),
    both("43", &["card_stolen"]),
    each("46", "14", &["card_closed"]),
    both("14", &["card_not_issued", "account_not_opened"]),
    both("54", &["card_expired", "expiry_mismatch"]),
    both("55", &["pin_incorrect"]),
    both("75", &["pin_tries_exceeded"]),
    both("86", &["pin_unverifiable"]),
    // Mastercard has no number for a wrong CVC 2; "security violation" is our choice.
    each("N7", "63", &["cvv_mismatch"]),
    both("82", &["cryptogram_mismatch"]),
    // The same choice for Mastercard.
    each("6P", "63", &["address_mismatch", "check_missing"]),
    // "Security violation" is our choice for both.
    both("63", &["authentication_failed"]),
    // Mastercard's, from memory.
    each("1A", "65", &["authentication_required"]),
    // Visa allows 57 for rules of the whole product only, since 18 October 2025.
    each("5C", "57", &["merchant_category_blocked"]),
    both("62", &["country_blocked"]),
    both("59", &["risk_declined"]),
    both("61", &["per_transaction_limit", "daily_limit", "weekly_limit", "monthly_limit"]),
    both("61", &["yearly_limit", "all_time_limit"]),
    // Mastercard has no number for cash.
    each("N4", "61", &["cash_limit"]),
    both("65", &["velocity"]),
    both("91", &["timeout", "risk_unavailable", "no_answer"]),
    both("96", &["system_error"]),
    both("94", &["duplicate_mismatch", "identity_conflict", "idempotency_key_reused"]),
    both(
        "12",
        &[
            "unknown_asset",
            "asset_not_held",
            "asset_mismatch",
            "conversion_impossible",
            "account_mismatch",
            "not_open",
            "single_message_increment",
            "single_message_credit",
        ],
    ),
    both(
        "13",
        &["amount_not_positive", "amount_too_large", "amount_too_precise", "total_not_above_authorized"],
    ),
    both("30", &["malformed_payload", "invalid_id"]),
    both("25", &["authorization_not_found"]),
];

/// Codes that Visa accepts in the answer to a refund; for another one its stand-in answers.
const VISA_REFUND: [&str; 10] = ["00", "03", "12", "13", "14", "15", "46", "57", "59", "93"];

/// Code for a refund that is declined with none of these. Our choice: the transaction is invalid for this card.
const VISA_REFUND_OTHER: &str = "12";

/// Returns the network's response code for a decline reason or the code of a rejection.
#[must_use]
pub fn of(network: Network, asked: Asked, reason: &str) -> &'static str {
    let entry = CODES.iter().find(|entry| entry.reasons.contains(&reason));
    let code = entry.map_or(OTHER, |entry| match network {
        Network::Visa => entry.visa,
        Network::Mastercard => entry.mastercard,
    });
    let is_refused = network == Network::Visa && asked == Asked::Refund && !VISA_REFUND.contains(&code);
    if is_refused { VISA_REFUND_OTHER } else { code }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::DeclineReason;

    const NETWORKS: [Network; 2] = [Network::Visa, Network::Mastercard];

    fn visa(reason: &str) -> &'static str {
        of(Network::Visa, Asked::Payment, reason)
    }

    #[test]
    fn a_reason_stands_once_and_each_has_a_code_of_its_own() {
        let reasons: Vec<_> = CODES.iter().flat_map(|entry| entry.reasons).collect();
        assert!(reasons.iter().all(|reason| reasons.iter().filter(|other| other == &reason).count() == 1));
        for reason in DeclineReason::ALL {
            for network in NETWORKS {
                let code = of(network, Asked::Payment, reason.code());
                // The network itself took it back before it asked, and needs no better word.
                assert!(code != OTHER || reason == DeclineReason::Reversed, "{reason}");
                assert!(
                    code.len() == 2 && code.bytes().all(|of| of.is_ascii_alphanumeric()),
                    "{reason}: {code}"
                );
            }
        }
        assert_eq!(visa("a_word_of_tomorrow"), OTHER);
    }

    #[test]
    fn only_a_card_that_is_gone_for_good_is_taken_away() {
        for reason in DeclineReason::ALL {
            for network in NETWORKS {
                let is_gone = ["41", "43"].contains(&of(network, Asked::Payment, reason.code()));
                assert_eq!(is_gone, [DeclineReason::CardLost, DeclineReason::CardStolen].contains(&reason));
            }
        }
    }

    #[test]
    fn visa_hears_its_own_codes() {
        let said =
            ["merchant_category_blocked", "blocked_by_holder", "card_closed", "cvv_mismatch"].map(visa);
        assert_eq!(said, ["5C", "9G", "46", "N7"]);
        for reason in DeclineReason::ALL {
            assert_ne!(visa(reason.code()), "57", "{reason} is no rule of the whole product");
        }
        let of_mastercard = |reason| of(Network::Mastercard, Asked::Payment, reason);
        let said = ["merchant_category_blocked", "blocked_by_holder", "card_closed"].map(of_mastercard);
        assert_eq!(said, ["57", "62", "14"]);
    }

    #[test]
    fn a_refund_of_visa_is_answered_with_what_it_allows() {
        for reason in DeclineReason::ALL {
            assert!(VISA_REFUND.contains(&of(Network::Visa, Asked::Refund, reason.code())), "{reason}");
        }
        let refund = |network, reason| of(network, Asked::Refund, reason);
        assert_eq!(refund(Network::Visa, "card_closed"), "46");
        assert_eq!(refund(Network::Visa, "card_frozen"), "12");
        assert_eq!(refund(Network::Mastercard, "card_frozen"), "62");
    }
}

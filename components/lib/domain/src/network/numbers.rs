//! Numbers by which a request is known that its sender does not know by the network's id: after a time-out it saw no answer.
//! Alone, none of them is unique. Together they nearly are: two messages of an acquirer within one second may repeat them.

use clearfold_kernel::{ExternalId, Timestamp};

use super::{Details, FieldText, Network};

/// Numbers of a request, as its sender writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers<'a> {
    /// Network that carries the request.
    pub network: Network,
    /// Acquirer (field 32).
    pub acquirer: &'a str,
    /// System trace audit number (field 11).
    pub stan: &'a str,
    /// Retrieval reference (field 37).
    pub retrieval_reference: &'a str,
    /// Time at which it was sent (field 7), of which the second counts: networks write no fraction.
    pub sent_at: Timestamp,
}

impl<'a> Numbers<'a> {
    /// Longest acquirer, STAN or retrieval reference, in characters.
    pub const LONGEST: usize = 16;

    /// Returns true if a text can be one of the numbers: letters and digits alone, so that no two lists of numbers are
    /// written alike.
    #[must_use]
    pub fn is_number(text: &str) -> bool {
        (1..=Self::LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    }

    /// Returns the numbers of the message that a message is about, or its own if it is about none; None if one is missing.
    #[must_use]
    pub fn of(network: Network, details: Option<&'a Details>, sent_at: Timestamp) -> Option<Self> {
        let details = details?;
        let original = details.original.as_ref();
        let acquirer = original.and_then(|original| original.acquirer.as_ref()).or(details.acquirer.as_ref());
        let stan = original.and_then(|original| original.stan.as_ref()).or(details.stan.as_ref());
        let retrieval_reference = details.retrieval_reference.as_ref();
        Some(Self {
            network,
            acquirer: acquirer.map(FieldText::as_str)?,
            stan: stan.map(FieldText::as_str)?,
            retrieval_reference: retrieval_reference.map(FieldText::as_str)?,
            sent_at: original.map_or(Some(sent_at), |original| original.transmitted_at)?,
        })
    }

    /// Returns the numbers as one text; None if one of them has other characters than numbers have.
    #[must_use]
    pub fn written(&self) -> Option<ExternalId> {
        let Self { network, acquirer, stan, retrieval_reference, sent_at } = self;
        let network = match network {
            Network::Visa => "visa",
            Network::Mastercard => "mastercard",
        };
        if ![acquirer, stan, retrieval_reference].into_iter().all(|text| Self::is_number(text)) {
            return None;
        }
        let second = sent_at.as_ms() / 1_000;
        format!("{network}-{acquirer}-{stan}-{retrieval_reference}-{second}").try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(stated: &serde_json::Value) -> Option<String> {
        let details: Details = serde_json::from_value(stated.clone()).unwrap();
        let sent_at = "2026-11-22T10:00:00.250Z".parse().unwrap();
        Numbers::of(Network::Visa, Some(&details), sent_at)?.written().map(Into::into)
    }

    #[test]
    fn a_reversal_has_the_numbers_of_its_request() {
        let asked = json!({"acquirer": "40000001", "stan": "004711", "retrieval_reference": "632610004711"});
        let numbers = Some("visa-40000001-004711-632610004711-1795341600".to_owned());
        assert_eq!(written(&asked), numbers);
        let mut reversal = asked.clone();
        reversal["original"] = json!({"transmitted_at": "2026-11-22T10:00:00.000Z"});
        assert_eq!(written(&reversal), numbers);
        reversal["original"]["stan"] = json!("004712");
        assert_ne!(written(&reversal), numbers);
    }

    #[test]
    fn a_message_that_lacks_a_number_has_none() {
        let asked = json!({"acquirer": "40000001", "stan": "004711", "retrieval_reference": "632610004711"});
        for field in ["acquirer", "stan", "retrieval_reference"] {
            let mut without = asked.clone();
            without.as_object_mut().unwrap().remove(field);
            assert_eq!(written(&without), None, "{field}");
            for odd in ["a-b", "00471100471100471"] {
                without[field] = json!(odd);
                assert_eq!(written(&without), None, "{field} {odd}");
            }
        }
        let mut of_other = asked;
        of_other["original"] = json!({"message_type": "0100"});
        assert_eq!(written(&of_other), None, "the original's time is not stated");
    }
}

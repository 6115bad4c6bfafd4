//! Match of a clearing that names no known payment with the hold of one: the keys that agree, and the confidence.

use serde::{Deserialize, Serialize};

/// Fact in which a clearing and a hold agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MatchKey {
    /// Card.
    Card,
    /// Merchant's id.
    Merchant,
    /// Terminal.
    Terminal,
    /// Amount: as much is claimed as is held.
    Amount,
    /// Amount: more is claimed than is held, within the tolerance for over-capture.
    ToleratedAmount,
}

impl MatchKey {
    const WORDS: [(Self, &'static str); 5] = [
        (Self::Card, "card"),
        (Self::Merchant, "merchant"),
        (Self::Terminal, "terminal"),
        (Self::Amount, "amount"),
        (Self::ToleratedAmount, "tolerated_amount"),
    ];

    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(key, _)| *key == self).map_or("", |(_, word)| word)
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(key, _)| *key)
    }
}

/// Confidence of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Card, merchant, terminal and amount agree.
    High,
    /// The terminal is not stated by both, or the amount is above what is held.
    Low,
}

impl Confidence {
    const WORDS: [(Self, &'static str); 2] = [(Self::High, "high"), (Self::Low, "low")];

    fn word(self) -> &'static str {
        if self == Self::High { "high" } else { "low" }
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(confidence, _)| *confidence)
    }
}

/// Reason for which a clearing is taken for the claim to a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ClearingMatch {
    /// Keys that agree.
    pub by: Vec<MatchKey>,
    /// Confidence of the match.
    pub confidence: Confidence,
}

impl ClearingMatch {
    /// Returns the match as the detail of a refusal has it: the confidence, a blank, and the keys with commas between them.
    #[must_use]
    pub fn written(&self) -> String {
        let by: Vec<&str> = self.by.iter().map(|key| key.word()).collect();
        format!("{} {}", self.confidence.word(), by.join(","))
    }

    /// Reads a match as it is written.
    #[must_use]
    pub fn of_written(text: &str) -> Option<Self> {
        let (confidence, by) = text.split_once(' ')?;
        let by: Option<Vec<MatchKey>> = by.split(',').map(MatchKey::of_word).collect();
        Some(Self { by: by?, confidence: Confidence::of_word(confidence)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_reads_as_it_is_written() {
        let by = vec![MatchKey::Card, MatchKey::Merchant, MatchKey::Terminal, MatchKey::ToleratedAmount];
        let found = ClearingMatch { by, confidence: Confidence::Low };
        assert_eq!(found.written(), "low card,merchant,terminal,tolerated_amount");
        assert_eq!(ClearingMatch::of_written(&found.written()), Some(found));
        for bad in ["", "high", "high card,", "sure card", "low card merchant"] {
            assert_eq!(ClearingMatch::of_written(bad), None, "{bad}");
        }
    }
}

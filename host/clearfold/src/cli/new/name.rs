//! A new component's name, in the forms in which it is written. It never becomes a path or a word of Rust unchecked.

use super::Kind;

/// The name that the templates have.
const TEMPLATE: &str = "sample";
const LONGEST: usize = 40;

/// A name that fits everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    kind: Kind,
    /// Small letters and digits, in words with hyphens between them.
    plain: String,
}

impl Name {
    pub(super) fn of(kind: Kind, text: &str) -> anyhow::Result<Self> {
        // A stream's id is its aggregate and an id with a hyphen between them.
        let is_aggregate = kind == Kind::Decider;
        let letter = |byte: u8| byte.is_ascii_lowercase() || (!is_aggregate && byte.is_ascii_digit());
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(letter);
        let words: Vec<&str> = text.split('-').collect();
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let fits = begins && words.iter().all(|word| is_word(word)) && text.len() <= LONGEST;
        if fits && (words.len() == 1 || !is_aggregate) {
            return Ok(Self { kind, plain: text.to_owned() });
        }
        let rule = if is_aggregate {
            "an aggregate's name has the letters a to z only, like `loyalty`"
        } else {
            "a name has the letters a to z, digits and single hyphens, and begins with a letter, like `gnosis-pay`"
        };
        anyhow::bail!("`{text}` is no name for a {}: {rule}, {LONGEST} at most", kind.as_str())
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// `gnosis-pay`
    pub(super) fn plain(&self) -> &str {
        &self.plain
    }

    /// `gnosis_pay`
    pub(super) fn snake(&self) -> String {
        self.plain.replace('-', "_")
    }

    /// `translator-gnosis-pay`
    pub(super) fn package(&self) -> String {
        format!("{}-{}", self.kind.as_str(), self.plain)
    }

    /// A template's text with this name instead of its own.
    pub(super) fn fill(&self, template: &str) -> String {
        template.replace(TEMPLATE, &self.snake()).replace("Sample", &self.camel())
    }

    /// `GnosisPay`
    fn camel(&self) -> String {
        let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
        self.plain.split('-').map(capital).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_its_forms() {
        let name = Name::of(Kind::Translator, "gnosis-pay2").unwrap();
        assert_eq!(
            (name.package().as_str(), name.snake().as_str()),
            ("translator-gnosis-pay2", "gnosis_pay2")
        );
        assert_eq!(name.fill("a sample: struct Sample"), "a gnosis_pay2: struct GnosisPay2");
    }

    #[test]
    fn what_is_no_name_is_refused_with_the_rule() {
        for text in
            ["", "-", "a-", "-a", "a--b", "A", "1a", "a b", "ä", "../a", "a/b", "a.b", &"a".repeat(41)]
        {
            let refused = Name::of(Kind::Projector, text).unwrap_err().to_string();
            assert!(refused.contains("is no name for a projector"), "{refused}");
        }
        for text in ["gnosis-pay", "a1"] {
            assert!(Name::of(Kind::Decider, text).unwrap_err().to_string().contains("a to z only"), "{text}");
            assert!(Name::of(Kind::Auditor, text).is_ok(), "{text}");
        }
    }
}

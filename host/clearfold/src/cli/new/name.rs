//! The name of a new component, in all forms in which it is written. It is checked before it becomes a path or an
//! identifier.

use clearfold_sandbox::ComponentKind;

/// Name that stands in the templates.
const TEMPLATE: &str = "sample";
const LONGEST: usize = 40;

/// Name that is valid in every form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    kind: ComponentKind,
    /// Lower-case letters and digits, in words that are separated by hyphens.
    plain: String,
}

impl Name {
    pub(super) fn of(kind: ComponentKind, text: &str) -> anyhow::Result<Self> {
        // A stream's name is `{aggregate}-{id}`, an instance's `saga-{name}-{id}`, so neither name has a hyphen.
        let letters_only = matches!(kind, ComponentKind::Decider | ComponentKind::Saga);
        let letter = |byte: u8| byte.is_ascii_lowercase() || (!letters_only && byte.is_ascii_digit());
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(letter);
        let words: Vec<&str> = text.split('-').collect();
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let fits = begins && words.iter().all(|word| is_word(word)) && text.len() <= LONGEST;
        if fits && (words.len() == 1 || !letters_only) {
            return Ok(Self { kind, plain: text.to_owned() });
        }
        let rule = match kind {
            ComponentKind::Decider => "an aggregate's name has the letters a to z only, like `loyalty`",
            ComponentKind::Saga => "a saga's name has the letters a to z only, like `payout`",
            _ => {
                "a name has the letters a to z, digits and single hyphens, and begins with a letter, like `gnosis-pay`"
            }
        };
        anyhow::bail!("`{text}` is no name for a {}: {rule}, {LONGEST} at most", kind.as_str())
    }

    pub(super) fn kind(&self) -> ComponentKind {
        self.kind
    }

    /// Form `gnosis-pay`.
    pub(super) fn plain(&self) -> &str {
        &self.plain
    }

    /// Form `gnosis_pay`.
    pub(super) fn snake(&self) -> String {
        self.plain.replace('-', "_")
    }

    /// Form `translator-gnosis-pay`.
    pub(super) fn package(&self) -> String {
        format!("{}-{}", self.kind.as_str(), self.plain)
    }

    /// Name of the handler in the host: the one that the component states, or else the one that the operator gives.
    pub(super) fn handler(&self) -> String {
        match self.kind {
            ComponentKind::Translator
            | ComponentKind::Decider
            | ComponentKind::Saga
            | ComponentKind::Auditor => self.plain.clone(),
            // It names a schema of the read store.
            ComponentKind::Projector => self.snake(),
            // The manifest names no handler of this kind; the component's id serves.
            ComponentKind::Http => self.package(),
        }
    }

    /// Fills a template: replaces the template's own name by this one.
    pub(super) fn fill(&self, template: &str) -> String {
        template.replace(TEMPLATE, &self.snake()).replace("Sample", &self.camel())
    }

    /// Form `GnosisPay`.
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
        let name = Name::of(ComponentKind::Translator, "gnosis-pay2").unwrap();
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
            let refused = Name::of(ComponentKind::Projector, text).unwrap_err().to_string();
            assert!(refused.contains("is no name for a projector"), "{refused}");
        }
        for text in ["gnosis-pay", "a1"] {
            for kind in [ComponentKind::Decider, ComponentKind::Saga] {
                let refused = Name::of(kind, text).unwrap_err().to_string();
                assert!(refused.contains("a to z only"), "{refused}");
            }
            assert!(Name::of(ComponentKind::Auditor, text).is_ok(), "{text}");
        }
    }
}

//! Specification file: the kind of handler that it specifies, and its cases.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::{DeciderFile, ProjectorFile, TranslatorFile};

/// Parsed specification file.
#[derive(Debug)]
pub enum Specification {
    /// File with `decider: …`.
    Decider(DeciderFile),
    /// File with `projector: …`.
    Projector(ProjectorFile),
    /// File with `translator: …`.
    Translator(TranslatorFile),
}

/// Reason why a file is not a valid specification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}; docs/SPECIFICATIONS.md describes the format")]
pub struct Unreadable {
    /// Line number, from 1.
    pub line: u64,
    /// Explanation of the error.
    pub why: String,
}

/// Members that tell the kinds of files apart.
#[derive(Deserialize)]
struct Kind {
    decider: Option<IgnoredAny>,
    projector: Option<IgnoredAny>,
    translator: Option<IgnoredAny>,
}

impl Specification {
    /// Reads a file's text.
    pub fn read(yaml: &str) -> Result<Self, Unreadable> {
        let kind: Kind = parse(yaml)?;
        match (kind.decider, kind.projector, kind.translator) {
            (Some(_), None, None) => parse(yaml).map(Self::Decider),
            (None, Some(_), None) => parse(yaml).map(Self::Projector),
            (None, None, Some(_)) => parse(yaml).map(Self::Translator),
            _ => {
                let why =
                    "the file must say what it specifies: one of `decider:`, `projector:` or `translator:`";
                Err(Unreadable { line: 1, why: why.to_owned() })
            }
        }
    }
}

fn parse<T: DeserializeOwned>(yaml: &str) -> Result<T, Unreadable> {
    // Text stays text: `no` is a country and `007` an id.
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    };
    serde_saphyr::from_str_with_options(yaml, options).map_err(|error| {
        let line = error.location().map_or(1, |location| location.line());
        let said = error.without_snippet().render_with_formatter(&serde_saphyr::UserMessageFormatter);
        // The line is already reported separately, and an author of payment rules need not know the parser's terms.
        let why = said.split(" at line ").next().unwrap_or_default().replace('\n', " ");
        let why = why
            .replace("sequence start", "a list")
            .replace("mapping start", "a mapping")
            .replace("string scalar", "a text");
        Unreadable { line, why }
    })
}

/// Refuses an empty list of cases, which would always pass.
pub(crate) fn not_empty<T>(cases: Vec<T>) -> Result<Vec<T>, String> {
    if cases.is_empty() {
        return Err("`cases` is empty, so there is nothing that could fail; write one".to_owned());
    }
    Ok(cases)
}

/// Checks that a file specifies this subject.
pub(crate) fn same_name(file: &str, subject: &str) -> Result<(), String> {
    if file == subject {
        return Ok(());
    }
    Err(format!(
        "the file specifies `{file}`, but this is `{subject}`; give the one that belongs to the other"
    ))
}

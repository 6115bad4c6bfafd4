//! A specification's file: which kind of handler it is about, and its cases.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::{DeciderFile, ProjectorFile, TranslatorFile};

/// A file, read.
#[derive(Debug)]
pub enum Specification {
    /// `decider: …`
    Decider(DeciderFile),
    /// `projector: …`
    Projector(ProjectorFile),
    /// `translator: …`
    Translator(TranslatorFile),
}

/// Why a file is no specification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}; docs/SPECIFICATIONS.md describes the format")]
pub struct Unreadable {
    /// From 1.
    pub line: u64,
    /// What is wrong there.
    pub why: String,
}

/// What tells the kinds apart.
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
    // Text stays text: `no` is a country, `007` an id.
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    };
    serde_saphyr::from_str_with_options(yaml, options).map_err(|error| {
        let line = error.location().map_or(1, |location| location.line());
        let said = error.without_snippet().render_with_formatter(&serde_saphyr::UserMessageFormatter);
        // The line is already said in front, and whoever writes payments need not know the parser's words.
        let why = said.split(" at line ").next().unwrap_or_default().replace('\n', " ");
        let why = why
            .replace("sequence start", "a list")
            .replace("mapping start", "a mapping")
            .replace("string scalar", "a text");
        Unreadable { line, why }
    })
}

/// Refuses a list of cases that would pass because there is nothing in it.
pub(crate) fn not_empty<T>(cases: Vec<T>) -> Result<Vec<T>, String> {
    if cases.is_empty() {
        return Err("`cases` is empty, so there is nothing that could fail; write one".to_owned());
    }
    Ok(cases)
}

/// Whether a subject is what a file is about.
pub(crate) fn same_name(file: &str, subject: &str) -> Result<(), String> {
    if file == subject {
        return Ok(());
    }
    Err(format!(
        "the file specifies `{file}`, but this is `{subject}`; give the one that belongs to the other"
    ))
}

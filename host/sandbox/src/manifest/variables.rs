//! Application variables: their values, and the `{{ name }}` templates that use them.

use super::EntryError;
use super::raw::RawVariable;

/// Prefix of the environment variables, as in Spin.
const PREFIX: &str = "SPIN_VARIABLE_";

/// Returns the value of a variable: from the environment, else its default.
pub fn value(
    name: &str,
    declared: &RawVariable,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<String, EntryError> {
    if declared.default.is_none() && !declared.required {
        return Err(EntryError::Undecided);
    }
    let key = format!("{PREFIX}{}", name.to_ascii_uppercase());
    environment(&key).or_else(|| declared.default.clone()).ok_or(EntryError::ValueMissing(key))
}

/// Replaces the templates in a text by the variables' values, which `value_of` returns.
pub fn expand(
    template: &str,
    value_of: &dyn Fn(&str) -> Result<String, EntryError>,
) -> Result<String, EntryError> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) =
            after.split_once("}}").ok_or_else(|| EntryError::OpenTemplate(template.to_owned()))?;
        text.push_str(before);
        text.push_str(&value_of(name.trim())?);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

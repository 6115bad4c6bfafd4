//! Application variables: their values, and the `{{ name }}` templates that use them.

use super::{Fault, raw};

/// The environment's prefix, as Spin has it.
const PREFIX: &str = "SPIN_VARIABLE_";

/// The value of a variable: the environment's before the default.
pub fn value(
    name: &str,
    declared: &raw::Variable,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<String, Fault> {
    if declared.default.is_none() && !declared.required {
        return Err(Fault::Undecided);
    }
    let key = format!("{PREFIX}{}", name.to_ascii_uppercase());
    environment(&key).or_else(|| declared.default.clone()).ok_or(Fault::ValueMissing(key))
}

/// The text with the variables' values in the place of its templates. `value_of` knows the values.
pub fn expand(template: &str, value_of: &dyn Fn(&str) -> Result<String, Fault>) -> Result<String, Fault> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or_else(|| Fault::OpenTemplate(template.to_owned()))?;
        text.push_str(before);
        text.push_str(&value_of(name.trim())?);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

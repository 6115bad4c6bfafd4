//! Effects of sagas as the manifest names them: requests over HTTP.

use super::EntryError;
use super::raw::RawEffect;
use super::variables::expand;
use std::collections::BTreeMap;
use std::time::Duration;
use url::Url;

/// Longest time of an effect: a saga's step waits for it.
const LONGEST_MS: u32 = 24 * 60 * 60 * 1_000;
/// Largest number of requests of one partition that are under way at once.
const MOST: u32 = 1_024;

/// Effect over HTTP: a POST of the saga's request. It has no `Debug`, because its header may be a secret.
#[derive(Clone)]
pub struct ManifestEffect {
    /// Address of the other side, and the only one that is reached: redirects are not followed.
    pub url: Url,
    /// Value of the header `Authorization`.
    pub authorization: Option<String>,
    /// JSON document that answers if the other side does not.
    pub stand_in: Option<String>,
    /// Time for one try.
    pub timeout: Duration,
    /// Time from the request's commit for all tries. One that is no longer than `timeout` allows one try.
    pub deadline: Duration,
    /// Number of requests of one partition that are under way at once.
    pub concurrency: u32,
}

/// Reads the effects. One whose address is empty is not offered.
pub(super) fn effects(
    raw: BTreeMap<String, RawEffect>,
    value_of: &dyn Fn(&str) -> Result<String, EntryError>,
) -> Result<BTreeMap<String, ManifestEffect>, (String, EntryError)> {
    let mut effects = BTreeMap::new();
    for (name, raw) in raw {
        let entry = format!("application.trigger.clearfold.effects.{name}");
        let read = effect(&name, raw, value_of).map_err(|error| (entry, error))?;
        effects.extend(read.map(|effect| (name, effect)));
    }
    Ok(effects)
}

fn effect(
    name: &str,
    raw: RawEffect,
    value_of: &dyn Fn(&str) -> Result<String, EntryError>,
) -> Result<Option<ManifestEffect>, EntryError> {
    if !is_name(name) {
        return Err(EntryError::EffectName);
    }
    let url = expand(&raw.url, value_of)?;
    if url.is_empty() {
        return Ok(None);
    }
    let url = Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.ok_or(EntryError::EffectUrl)?;
    let authorization = raw.authorization.map(|template| expand(&template, value_of)).transpose()?;
    let stand_in = raw.stand_in.map(|template| expand(&template, value_of)).transpose()?;
    let stand_in = stand_in.filter(|text| !text.is_empty());
    if let Some(text) = &stand_in {
        serde_json::from_str::<serde::de::IgnoredAny>(text)
            .map_err(|error| EntryError::StandIn(error.to_string()))?;
    }
    let deadline_ms = raw.deadline_ms.unwrap_or(raw.timeout_ms);
    for (key, value, most) in [
        ("timeout_ms", raw.timeout_ms, LONGEST_MS),
        ("deadline_ms", deadline_ms, LONGEST_MS),
        ("concurrency", raw.concurrency, MOST),
    ] {
        if !(1..=most).contains(&value) {
            return Err(EntryError::OutOfRange { key, value, most });
        }
    }
    Ok(Some(ManifestEffect {
        url,
        authorization: authorization.filter(|value| !value.is_empty()),
        stand_in,
        timeout: Duration::from_millis(raw.timeout_ms.into()),
        deadline: Duration::from_millis(deadline_ms.into()),
        concurrency: raw.concurrency,
    }))
}

/// Returns true if a text can name an effect: in the form of a step's name.
fn is_name(name: &str) -> bool {
    name.len() <= 63
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

//! Resolution of a manifest: from the file as it is written to consistent values, or the first error in it.

use super::raw::{RawApplication, RawComponent, RawHandlerTrigger, RawHttpTrigger, RawManifest};
use super::{
    EntryError, HandlerTrigger, HttpTrigger, Manifest, ManifestComponent, ManifestError, OutboundHost, Route,
    effect, variables,
};
use crate::ComponentKind;
use std::collections::BTreeMap;
use std::path::Path;

/// Error with the entry that has it.
pub(super) type LocatedError = (String, EntryError);

/// Resolves the manifest in `text`. `path` is absolute, and the components' sources are relative to its folder.
pub fn manifest(
    path: &Path,
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Manifest, ManifestError> {
    let malformed = |source| ManifestError::Malformed { path: path.to_owned(), source: Box::new(source) };
    // The version is read first, because a manifest of another version may have another shape.
    let version: VersionOnly = toml::from_str(text).map_err(malformed)?;
    let in_entry = |(entry, error)| ManifestError::Entry { path: path.to_owned(), entry, error };
    if version.spin_manifest_version != 2 {
        let error = EntryError::Version(version.spin_manifest_version);
        return Err(in_entry(("spin_manifest_version".to_owned(), error)));
    }
    let raw: RawManifest = toml::from_str(text).map_err(malformed)?;
    let folder = path.parent().unwrap_or(path);
    resolve(raw, folder, &environment).map_err(in_entry)
}

fn resolve(
    mut raw: RawManifest,
    folder: &Path,
    environment: &impl Fn(&str) -> Option<String>,
) -> Result<Manifest, LocatedError> {
    if let Some(other) = raw.trigger.others.keys().next() {
        return Err((format!("trigger.{other}"), EntryError::TriggerType));
    }
    let mut values = BTreeMap::new();
    for (name, declared) in std::mem::take(&mut raw.variables) {
        let value = variables::value(&name, &declared, environment);
        values.insert(name.clone(), value.map_err(|error| (format!("variable {name:?}"), error))?);
    }
    let value_of =
        |name: &str| values.get(name).cloned().ok_or_else(|| EntryError::Undeclared(name.to_owned()));
    assemble(raw, folder, &value_of)
}

/// Resolves everything but the values of the application's variables, which `value_of` returns.
pub(super) fn assemble(
    raw: RawManifest,
    folder: &Path,
    value_of: &dyn Fn(&str) -> Result<String, EntryError>,
) -> Result<Manifest, LocatedError> {
    let mut components = BTreeMap::new();
    for (id, raw) in raw.component {
        let component = component(raw, folder, value_of);
        components.insert(id.clone(), component.map_err(|error| (format!("component.{id}"), error))?);
    }
    let effects = effect::effects(raw.application.trigger.clearfold.effects, value_of)?;
    let (mut http, mut handlers) = (Vec::new(), Vec::new());
    for raw in raw.trigger.http {
        let entry = format!("trigger.http with the route {:?}", raw.route);
        http.push(http_trigger(raw, &http, &components).map_err(|error| (entry, error))?);
    }
    for raw in raw.trigger.clearfold {
        let entry = format!("trigger.clearfold of the component {:?}", raw.component);
        handlers.push(handler_trigger(raw, &handlers, &components).map_err(|error| (entry, error))?);
    }
    let RawApplication { name, version, .. } = raw.application;
    Ok(Manifest { name, version, http, handlers, effects, components })
}

fn component(
    raw: RawComponent,
    folder: &Path,
    value_of: &dyn Fn(&str) -> Result<String, EntryError>,
) -> Result<ManifestComponent, EntryError> {
    let mut variables = BTreeMap::new();
    for (name, template) in raw.variables {
        variables.insert(name, variables::expand(&template, value_of)?);
    }
    let hosts = raw.allowed_outbound_hosts.iter();
    let hosts = hosts.map(|host| OutboundHost::parse(&variables::expand(host, value_of)?));
    let allowed_outbound_hosts = hosts.collect::<Result<_, _>>()?;
    Ok(ManifestComponent { source: folder.join(raw.source), variables, allowed_outbound_hosts })
}

fn http_trigger(
    raw: RawHttpTrigger,
    before: &[HttpTrigger],
    components: &BTreeMap<String, ManifestComponent>,
) -> Result<HttpTrigger, EntryError> {
    let route = Route::parse(&raw.route).ok_or(EntryError::Route(raw.route))?;
    if before.iter().any(|other| other.route == route) {
        return Err(EntryError::DuplicateRoute);
    }
    Ok(HttpTrigger { route, component: existing(raw.component, components)? })
}

fn handler_trigger(
    mut raw: RawHandlerTrigger,
    before: &[HandlerTrigger],
    components: &BTreeMap<String, ManifestComponent>,
) -> Result<HandlerTrigger, EntryError> {
    let kind = raw.kind.parse::<ComponentKind>().ok();
    let Some((kind, key)) = kind.and_then(|kind| Some((kind, kind.facts().name_key?))) else {
        return Err(EntryError::Kind(raw.kind));
    };
    let name = match raw.keys.remove(key) {
        Some(serde_json::Value::String(name)) if !name.is_empty() => name,
        _ => return Err(EntryError::NameMissing { kind: kind.as_str(), key }),
    };
    if let Some(key) = raw.keys.into_keys().next() {
        return Err(EntryError::UnknownKey(key));
    }
    if before.iter().any(|other| other.kind == kind && other.name == name) {
        return Err(EntryError::DuplicateHandler);
    }
    Ok(HandlerTrigger { kind, name, component: existing(raw.component, components)? })
}

fn existing(id: String, components: &BTreeMap<String, ManifestComponent>) -> Result<String, EntryError> {
    if components.contains_key(&id) { Ok(id) } else { Err(EntryError::ComponentMissing(id)) }
}

#[derive(serde::Deserialize)]
struct VersionOnly {
    spin_manifest_version: i64,
}

//! From the file as written to a manifest that holds together, or the first thing that is wrong with it.

use super::{
    Component, Fault, HandlerKind, HandlerTrigger, HttpTrigger, Manifest, ManifestError, OutboundHost, Route,
    raw, variables,
};
use std::collections::BTreeMap;
use std::path::Path;

/// A fault, and the entry that has it.
pub(super) type Faulty = (String, Fault);

/// `path` is absolute: the components' sources are relative to its folder.
pub fn manifest(
    path: &Path,
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Manifest, ManifestError> {
    let malformed = |source| ManifestError::Malformed { path: path.to_owned(), source: Box::new(source) };
    // The version comes first: a manifest of another one need not have the shape of this one.
    let version: VersionOnly = toml::from_str(text).map_err(malformed)?;
    let faulty = |(entry, fault)| ManifestError::Faulty { path: path.to_owned(), entry, fault };
    if version.spin_manifest_version != 2 {
        let fault = Fault::Version(version.spin_manifest_version);
        return Err(faulty(("spin_manifest_version".to_owned(), fault)));
    }
    let raw: raw::Manifest = toml::from_str(text).map_err(malformed)?;
    let folder = path.parent().unwrap_or(path);
    resolve(raw, folder, &environment).map_err(faulty)
}

fn resolve(
    mut raw: raw::Manifest,
    folder: &Path,
    environment: &impl Fn(&str) -> Option<String>,
) -> Result<Manifest, Faulty> {
    if let Some(other) = raw.trigger.others.keys().next() {
        return Err((format!("trigger.{other}"), Fault::TriggerType));
    }
    let mut values = BTreeMap::new();
    for (name, declared) in std::mem::take(&mut raw.variables) {
        let value = variables::value(&name, &declared, environment);
        values.insert(name.clone(), value.map_err(|fault| (format!("variable {name:?}"), fault))?);
    }
    let value_of = |name: &str| values.get(name).cloned().ok_or_else(|| Fault::Undeclared(name.to_owned()));
    assemble(raw, folder, &value_of)
}

/// Everything but the values of the variables, which `value_of` knows.
pub(super) fn assemble(
    raw: raw::Manifest,
    folder: &Path,
    value_of: &dyn Fn(&str) -> Result<String, Fault>,
) -> Result<Manifest, Faulty> {
    let mut components = BTreeMap::new();
    for (id, raw) in raw.component {
        let component = component(raw, folder, value_of);
        components.insert(id.clone(), component.map_err(|fault| (format!("component.{id}"), fault))?);
    }
    let (mut http, mut handlers) = (Vec::new(), Vec::new());
    for raw in raw.trigger.http {
        let entry = format!("trigger.http with the route {:?}", raw.route);
        http.push(http_trigger(raw, &http, &components).map_err(|fault| (entry, fault))?);
    }
    for raw in raw.trigger.clearfold {
        let entry = format!("trigger.clearfold of the component {:?}", raw.component);
        handlers.push(handler_trigger(raw, &handlers, &components).map_err(|fault| (entry, fault))?);
    }
    Ok(Manifest { name: raw.application.name, version: raw.application.version, http, handlers, components })
}

fn component(
    raw: raw::Component,
    folder: &Path,
    value_of: &dyn Fn(&str) -> Result<String, Fault>,
) -> Result<Component, Fault> {
    let mut variables = BTreeMap::new();
    for (name, template) in raw.variables {
        variables.insert(name, variables::expand(&template, value_of)?);
    }
    let hosts = raw.allowed_outbound_hosts.iter();
    let hosts = hosts.map(|host| OutboundHost::parse(&variables::expand(host, value_of)?));
    let allowed_outbound_hosts = hosts.collect::<Result<_, _>>()?;
    Ok(Component { source: folder.join(raw.source), variables, allowed_outbound_hosts })
}

fn http_trigger(
    raw: raw::Http,
    before: &[HttpTrigger],
    components: &BTreeMap<String, Component>,
) -> Result<HttpTrigger, Fault> {
    let route = Route::parse(&raw.route).ok_or(Fault::Route(raw.route))?;
    if before.iter().any(|other| other.route == route) {
        return Err(Fault::DuplicateRoute);
    }
    Ok(HttpTrigger { route, component: existing(raw.component, components)? })
}

fn handler_trigger(
    mut raw: raw::Handler,
    before: &[HandlerTrigger],
    components: &BTreeMap<String, Component>,
) -> Result<HandlerTrigger, Fault> {
    let kind = HandlerKind::ALL.into_iter().find(|kind| kind.as_str() == raw.kind);
    let kind = kind.ok_or(Fault::ComponentKind(raw.kind))?;
    let name = match raw.keys.remove(kind.name_key()) {
        Some(serde_json::Value::String(name)) if !name.is_empty() => name,
        _ => return Err(Fault::NameMissing { kind: kind.as_str(), key: kind.name_key() }),
    };
    if let Some(key) = raw.keys.into_keys().next() {
        return Err(Fault::UnknownKey(key));
    }
    if before.iter().any(|other| other.kind == kind && other.name == name) {
        return Err(Fault::DuplicateHandler);
    }
    Ok(HandlerTrigger { kind, name, component: existing(raw.component, components)? })
}

fn existing(id: String, components: &BTreeMap<String, Component>) -> Result<String, Fault> {
    if components.contains_key(&id) { Ok(id) } else { Err(Fault::ComponentMissing(id)) }
}

#[derive(serde::Deserialize)]
struct VersionOnly {
    spin_manifest_version: i64,
}

//! The locked application: `spin.toml` as Spin hands it to a trigger program, resolved, in one JSON file that
//! `SPIN_LOCKED_URL` names.
//!
//! Only the handlers are read. Spin serves and checks the HTTP triggers, their components and the variables that only
//! they need, so none of those is opened or refused here.

use super::raw::{
    RawApplication, RawComponent, RawHandlerTrigger, RawManifest, RawTriggerSettings, RawTriggers,
    RawVariable, TriggerSettings,
};
use super::resolve::{LocatedError, assemble};
use super::{EntryError, Manifest, ManifestError, variables};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use url::Url;

/// Environment variable in which Spin gives the URL of the file.
pub const LOCKED_URL: &str = "SPIN_LOCKED_URL";

/// Type of the triggers that this host serves.
const TRIGGER: &str = "clearfold";

/// Versions of the file that are understood. Version 1 is version 0 with `must_understand`.
const VERSIONS: [i64; 2] = [0, 1];

/// Entries of `must_understand` that are accepted. The requirements of a host concern calls between HTTP components,
/// which Spin serves.
const UNDERSTOOD: [&str; 1] = ["host_requirements"];

/// Application that Spin has resolved.
pub struct Locked {
    /// Manifest without HTTP triggers, which Spin serves.
    pub manifest: Manifest,
    /// Address at which the API listens: `admin` of `[application.trigger.clearfold]`.
    pub admin: Option<SocketAddr>,
}

#[derive(Deserialize)]
struct LockedApplication {
    #[serde(default)]
    must_understand: Vec<String>,
    metadata: LockedMetadata,
    #[serde(default)]
    variables: BTreeMap<String, LockedVariable>,
    triggers: Vec<LockedTrigger>,
    components: Vec<LockedComponent>,
}

#[derive(Deserialize)]
struct LockVersion {
    spin_lock_version: i64,
}

#[derive(Deserialize)]
struct LockedMetadata {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    triggers: BTreeMap<String, Value>,
}

/// Variable; one without a default is required.
#[derive(Deserialize)]
struct LockedVariable {
    default: Option<String>,
}

#[derive(Deserialize)]
struct LockedTrigger {
    id: String,
    trigger_type: String,
    trigger_config: Value,
}

#[derive(Deserialize)]
struct LockedComponent {
    id: String,
    #[serde(default)]
    metadata: LockedComponentMetadata,
    source: LockedSource,
    #[serde(default)]
    config: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct LockedComponentMetadata {
    #[serde(default)]
    allowed_outbound_hosts: Vec<String>,
}

#[derive(Deserialize)]
struct LockedSource {
    source: Option<String>,
}

impl Locked {
    /// Reads the application that `SPIN_LOCKED_URL` names. `environment` returns the value of an environment variable,
    /// as for [`Manifest::read`].
    pub fn read(environment: impl Fn(&str) -> Option<String>) -> Result<Self, ManifestError> {
        let url = environment(LOCKED_URL).filter(|url| !url.is_empty()).ok_or(ManifestError::NotLocked)?;
        let path = file_of(&url).ok_or(ManifestError::LockedUrl { url })?;
        let text = std::fs::read(&path)
            .map_err(|source| ManifestError::LockedUnreadable { path: path.clone(), source })?;
        parse(&path, &text, environment)
    }
}

fn parse(
    path: &Path,
    text: &[u8],
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Locked, ManifestError> {
    let malformed = |source| ManifestError::LockedMalformed { path: path.to_owned(), source };
    let in_entry = |(entry, error)| ManifestError::Entry { path: path.to_owned(), entry, error };
    // The version is read first, because a file of another version may have another shape.
    let LockVersion { spin_lock_version: version } = serde_json::from_slice(text).map_err(malformed)?;
    if !VERSIONS.contains(&version) {
        return Err(in_entry(("spin_lock_version".to_owned(), EntryError::LockVersion(version))));
    }
    let file = serde_json::from_slice(text).map_err(malformed)?;
    locked(file, path, &environment).map_err(in_entry)
}

fn locked(
    mut file: LockedApplication,
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Locked, LocatedError> {
    if let Some(other) = file.must_understand.iter().find(|field| !UNDERSTOOD.contains(&field.as_str())) {
        return Err((format!("must_understand {other:?}"), EntryError::NotUnderstood));
    }
    let in_settings = |error| ("application.trigger.clearfold".to_owned(), error);
    let clearfold = settings(file.metadata.triggers.remove(TRIGGER)).map_err(in_settings)?;
    let admin = admin(clearfold.admin.as_deref()).map_err(in_settings)?;
    let (handlers, component) = ours(file.triggers, file.components)?;
    let raw = RawManifest {
        application: RawApplication {
            name: file.metadata.name,
            version: file.metadata.version,
            trigger: RawTriggerSettings { clearfold },
        },
        variables: BTreeMap::new(),
        trigger: RawTriggers { clearfold: handlers, ..RawTriggers::default() },
        component,
    };
    let declared = file.variables;
    let value_of = |name: &str| {
        let variable = declared.get(name).ok_or_else(|| EntryError::Undeclared(name.to_owned()))?;
        let required = variable.default.is_none();
        variables::value(name, &RawVariable { default: variable.default.clone(), required }, environment)
    };
    let manifest = assemble(raw, path.parent().unwrap_or(path), &value_of)?;
    Ok(Locked { manifest, admin })
}

fn settings(settings: Option<Value>) -> Result<TriggerSettings, EntryError> {
    let Some(settings) = settings else { return Ok(TriggerSettings::default()) };
    serde_json::from_value(settings).map_err(|error| EntryError::Shape(error.to_string()))
}

fn admin(admin: Option<&str>) -> Result<Option<SocketAddr>, EntryError> {
    admin.map(|admin| admin.parse().map_err(|_| EntryError::Address(admin.to_owned()))).transpose()
}

/// Selects the handlers, and the components that they name.
fn ours(
    triggers: Vec<LockedTrigger>,
    components: Vec<LockedComponent>,
) -> Result<(Vec<RawHandlerTrigger>, BTreeMap<String, RawComponent>), LocatedError> {
    let mut handlers = Vec::new();
    for trigger in triggers.into_iter().filter(|trigger| trigger.trigger_type == TRIGGER) {
        let handler = serde_json::from_value::<RawHandlerTrigger>(trigger.trigger_config);
        let shape = |error: serde_json::Error| {
            (format!("trigger.clearfold with the id {:?}", trigger.id), EntryError::Shape(error.to_string()))
        };
        handlers.push(handler.map_err(shape)?);
    }
    let mut named = BTreeMap::new();
    for component in components {
        if !handlers.iter().any(|handler| handler.component == component.id) {
            continue;
        }
        let source = component.source.source.as_deref().and_then(file_of);
        let Some(source) = source.and_then(|path| path.into_os_string().into_string().ok()) else {
            return Err((format!("component.{}", component.id), EntryError::NoFile));
        };
        let raw = RawComponent {
            source,
            variables: component.config,
            allowed_outbound_hosts: component.metadata.allowed_outbound_hosts,
        };
        named.insert(component.id, raw);
    }
    Ok((handlers, named))
}

/// Returns the path that a file URL names.
fn file_of(url: &str) -> Option<PathBuf> {
    Url::parse(url).ok().filter(|url| url.scheme() == "file")?.to_file_path().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ComponentKind;
    use serde_json::json;

    /// A file as Spin writes it, with entries that this host reads and entries that it ignores.
    fn file() -> Value {
        json!({
            "spin_lock_version": 0,
            "metadata": {"name": "clearfold", "version": "0.1.0", "origin": "file:///app/spin.toml",
                         "triggers": {"clearfold": {"admin": "127.0.0.1:9200"}, "http": {"base": "/"}}},
            "variables": {"host_url": {"default": "http://127.0.0.1:9100"}, "token": {"secret": true}, "mine": {}},
            "triggers": [
                {"id": "edge", "trigger_type": "http", "trigger_config": {"component": "edge", "route": "/e/:id"}},
                {"id": "card", "trigger_type": "clearfold",
                 "trigger_config": {"component": "decider-card", "kind": "decider", "aggregate": "card"}},
            ],
            "components": [
                {"id": "edge", "source": {"content_type": "application/wasm", "digest": "sha256:00"},
                 "metadata": {"allowed_outbound_hosts": ["http://self"]}, "config": {"token": "{{ token }}"}},
                {"id": "decider-card",
                 "source": {"content_type": "application/wasm", "source": "file:///app/a%20b.wasm"},
                 "config": {"url": "{{ host_url }}/x"}},
            ],
        })
    }

    fn read(change: impl Fn(&mut Value), environment: &[(&str, &str)]) -> Result<Locked, ManifestError> {
        let mut file = file();
        change(&mut file);
        let value =
            |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, v)| (*v).to_owned());
        parse(Path::new("/run/spin.lock"), file.to_string().as_bytes(), value)
    }

    fn message(change: impl Fn(&mut Value)) -> String {
        read(change, &[]).err().expect("a fault").to_string()
    }

    #[test]
    fn handlers_are_taken_and_what_spin_serves_is_left() {
        let locked = read(|_| {}, &[]).expect("an application");
        let manifest = locked.manifest;
        assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("clearfold", "0.1.0"));
        assert_eq!(locked.admin, Some(([127, 0, 0, 1], 9200).into()));
        assert!(manifest.http.is_empty());
        let handler = &manifest.handlers[0];
        assert_eq!((handler.kind, handler.name.as_str()), (ComponentKind::Decider, "card"));
        assert_eq!(manifest.components.len(), 1);
        let component = &manifest.components["decider-card"];
        assert_eq!(component.source, Path::new("/app/a b.wasm"));
        assert_eq!(component.variables["url"], "http://127.0.0.1:9100/x");
    }

    #[test]
    fn a_variable_comes_from_the_environment_and_only_what_is_used_is_needed() {
        let locked = read(|_| {}, &[("SPIN_VARIABLE_HOST_URL", "http://h")]).expect("an application");
        assert_eq!(locked.manifest.components["decider-card"].variables["url"], "http://h/x");
        let used = |file: &mut Value| file["components"][1]["config"]["url"] = json!("{{ mine }}");
        let expected = "/run/spin.lock: component.decider-card: it is required and has no value; \
                        set SPIN_VARIABLE_MINE in the environment";
        assert_eq!(message(used), expected);
        assert!(read(used, &[("SPIN_VARIABLE_MINE", "1")]).is_ok());
    }

    #[test]
    fn each_fault_names_its_entry_and_its_remedy() {
        type Change = fn(&mut Value);
        let cases: [(Change, &str); 10] = [
            (
                |file| file["spin_lock_version"] = json!(2),
                "spin_lock_version: the version is 2, and only 0 and 1",
            ),
            (
                |file| file["must_understand"] = json!(["tea"]),
                "must_understand \"tea\": this host does not know",
            ),
            (
                |file| file["metadata"]["triggers"]["clearfold"]["admin"] = json!("home"),
                "application.trigger.clearfold: \"home\" is no address",
            ),
            (
                |file| file["metadata"]["triggers"]["clearfold"]["adnim"] = json!("x"),
                "application.trigger.clearfold: it is not as Spin writes it (unknown field `adnim`",
            ),
            (
                |file| file["components"][1]["source"] = json!({"content_type": "application/wasm"}),
                "component.decider-card: it has no file",
            ),
            (
                |file| file["components"][1]["source"]["source"] = json!("https://x/y.wasm"),
                "component.decider-card: it has no file",
            ),
            (|file| file["components"] = json!([]), "there is no [component.decider-card]"),
            (
                |file| file["triggers"][1]["trigger_config"] = json!({"kind": "decider"}),
                "trigger.clearfold with the id \"card\": it is not as Spin writes it (missing field `component`",
            ),
            (
                |file| file["triggers"][1]["trigger_config"]["kind"] = json!("sage"),
                "the kind \"sage\" is unknown",
            ),
            (|file| file["triggers"][1]["trigger_config"]["x"] = json!(1), "the key \"x\" is not known"),
        ];
        for (change, expected) in cases {
            let message = message(change);
            assert!(message.starts_with("/run/spin.lock: ") && message.contains(expected), "{message}");
        }
        let understood = |file: &mut Value| file["must_understand"] = json!(["host_requirements"]);
        assert!(read(understood, &[]).is_ok());
    }

    #[test]
    fn where_the_file_is_must_be_said_as_spin_says_it() {
        let from = |url: Option<&str>| {
            let url = url.map(str::to_owned);
            Locked::read(|name| (name == LOCKED_URL).then(|| url.clone()).flatten()).err().expect("a fault")
        };
        assert!(from(None).to_string().starts_with("SPIN_LOCKED_URL is not set"));
        for url in ["http://host/spin.lock", "/tmp/spin.lock", "file://host/spin.lock"] {
            let message = from(Some(url)).to_string();
            assert!(message.contains(url) && message.contains("is no file URL"), "{message}");
        }
        let message = from(Some("file:///nowhere/spin.lock")).to_string();
        assert!(
            message.starts_with("/nowhere/spin.lock: the application that SPIN_LOCKED_URL names"),
            "{message}"
        );
        let error = parse(Path::new("/l"), b"{\"spin_lock", |_| None).err().expect("a fault");
        assert!(matches!(error, ManifestError::LockedMalformed { .. }), "{error}");
    }
}

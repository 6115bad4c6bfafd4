//! Inspection of a component of unknown kind: its world, its version, its imports and exports, and its own description.
//!
//! The world follows from the exports, and is known before anything is compiled. A file's name or its sender is never
//! trusted, and nothing is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmparser::{Encoding, Parser, Payload};

use super::admission::Refused;
use super::component::fits;
use super::edge::{EdgeLimits, EdgeRuntime, InProcessApi};
use super::{
    Auditor, ComponentKind, Decider, HandlerEngine, KindFacts, Projector, RuntimeError, Saga, Translator,
};
use clearfold_base::digest::Digest;

/// Result of an inspection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    pub digest: Digest,
    pub size_bytes: usize,
    pub kind: ComponentKind,
    /// World in `wit/`, or `service` for HTTP.
    pub world: String,
    /// Version of the package that has the world.
    pub wit_version: String,
    pub imports: Vec<String>,
    pub exports: Vec<String>,
    /// Name in its description: a decider's aggregate, a projector's projection, a saga's or an auditor's name. None
    /// for a kind without one.
    pub name: Option<String>,
    /// Summary of its description, for people.
    pub about: String,
}

/// Inspects a component of any kind: admits it to its world, and asks it for its description.
pub fn inspect(engine: &Arc<HandlerEngine>, name: &str, wasm: &[u8]) -> Result<Inspection, RuntimeError> {
    fits(name, wasm)?;
    let interfaces = Interfaces::read(wasm).map_err(|cause| RuntimeError::NotAComponent {
        component: name.to_owned(),
        cause: anyhow::Error::msg(cause),
    })?;
    let refused = |cause| RuntimeError::Refused { component: name.to_owned(), cause };
    let kind = interfaces.kind().map_err(refused)?;
    let (own_name, about) = match kind {
        ComponentKind::Translator => Translator::load(engine, name, wasm, Vec::new())?.about(),
        ComponentKind::Decider => Decider::load(engine, name, wasm)?.about(),
        ComponentKind::Saga => Saga::load(engine, name, wasm)?.about(),
        ComponentKind::Projector => Projector::load(engine, name, wasm)?.about(),
        ComponentKind::Auditor => Auditor::load(engine, name, wasm)?.about(),
        ComponentKind::Http => {
            admit_http(name, wasm)?;
            (None, "answers HTTP requests".to_owned())
        }
    };
    let KindFacts { world, version, .. } = kind.facts();
    let (world, wit_version) = ((*world).to_owned(), (*version).to_owned());
    let Interfaces { imports, exports } = interfaces;
    let (digest, size_bytes) = (Digest::of(wasm), wasm.len());
    Ok(Inspection { digest, size_bytes, kind, world, wit_version, imports, exports, name: own_name, about })
}

/// Admits an HTTP component, in an engine that lives for this check only.
fn admit_http(name: &str, wasm: &[u8]) -> Result<(), RuntimeError> {
    let nowhere = InProcessApi { authorities: Vec::new(), router: axum::Router::new() };
    EdgeRuntime::new(EdgeLimits::default())?.load(name, wasm, BTreeMap::new(), Vec::new(), nowhere)?;
    Ok(())
}

/// Names of what a component imports and exports.
#[derive(Debug, Default)]
struct Interfaces {
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Interfaces {
    fn read(wasm: &[u8]) -> Result<Self, String> {
        let mut interfaces = Self::default();
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.map_err(|error| error.to_string())? {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                    return Err(
                        "it is a core module; `wasm-tools component new` makes a component of it".into()
                    );
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                // The outermost component ends at depth 0.
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        interfaces
                            .imports
                            .push(import.map_err(|error| error.to_string())?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        interfaces
                            .exports
                            .push(export.map_err(|error| error.to_string())?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(interfaces)
    }

    /// Kind of the one world that it exports, in the version that runs here.
    fn kind(&self) -> Result<ComponentKind, Refused> {
        let mut worlds: Vec<(ComponentKind, &str)> =
            self.exports.iter().filter_map(|export| world_of(export)).collect();
        let Some((kind, version)) = worlds.pop() else {
            return Err(Refused::NoWorld { exports: self.exports.clone() });
        };
        if !worlds.is_empty() {
            return Err(Refused::SeveralWorlds { exports: self.exports.clone() });
        }
        let KindFacts { package, version: runs, .. } = kind.facts();
        if version != *runs {
            let (built_against, runs) = (format!("{package}@{version}"), (*runs).to_owned());
            return Err(Refused::Version { built_against, runs });
        }
        Ok(kind)
    }
}

/// Finds the kind whose world has an interface, and the version of it that a component exports.
fn world_of(export: &str) -> Option<(ComponentKind, &str)> {
    let (path, version) = export.split_once('@').unwrap_or((export, "no version"));
    // The name in WASI 0.2. It is found here so that it is refused for its version.
    let path = if path == "wasi:http/incoming-handler" { "wasi:http/handler" } else { path };
    let exports_it = |kind: &ComponentKind| {
        let KindFacts { package, interface, .. } = kind.facts();
        path.split_once('/') == Some((*package, *interface))
    };
    ComponentKind::ALL.into_iter().find(exports_it).map(|kind| (kind, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(exports: &[&str]) -> Result<ComponentKind, String> {
        let exports = exports.iter().map(|export| (*export).to_owned()).collect();
        Interfaces { imports: Vec::new(), exports }.kind().map_err(|refused| refused.to_string())
    }

    #[test]
    fn the_kind_follows_from_what_is_exported() {
        for expected in ComponentKind::ALL {
            assert_eq!(kind(&["other:thing/x@1.0.0", &expected.export()]), Ok(expected));
        }
    }

    #[test]
    fn another_version_is_refused_with_both() {
        for (export, said) in [
            (
                "clearfold:handlers/decision@0.2.0",
                "it is built against clearfold:handlers@0.2.0, this host runs 0.1.0",
            ),
            (
                "clearfold:handlers/projection@0.0.9",
                "it is built against clearfold:handlers@0.0.9, this host runs 0.1.0",
            ),
            (
                "clearfold:handlers/audit",
                "it is built against clearfold:handlers@no version, this host runs 0.1.0",
            ),
            ("wasi:http/incoming-handler@0.2.3", "it is built against wasi:http@0.2.3, this host runs 0.3.0"),
        ] {
            let refused = kind(&[export]).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
    }

    #[test]
    fn no_world_and_two_worlds_are_refused() {
        assert!(kind(&[]).unwrap_err().contains("exports nothing"));
        assert!(kind(&["run"]).unwrap_err().contains("`run`"));
        let two = ["clearfold:handlers/decision@0.1.0", "clearfold:handlers/audit@0.1.0"];
        assert!(kind(&two).unwrap_err().contains("more than one world"));
    }
}

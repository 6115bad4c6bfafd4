//! What a component is, asked of the component itself: its world, its version, what it wants, and what it says of itself.
//!
//! The world follows from what is exported, and is known before anything is compiled. Nothing is taken on trust from a
//! file's name or from who sends it, and nothing is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmparser::{Encoding, Parser, Payload};

use super::admission::Refused;
use super::component::{RuntimeError, fits};
use super::edge::{EdgeLimits, EdgeRuntime, InProcessApi};
use super::{Auditor, ComponentKind, Decider, HandlerEngine, Projector, Translator};
use clearfold_base::digest::Digest;

/// The package of the handlers' worlds, and the version of it that this host runs.
pub const HANDLERS: &str = "clearfold:handlers";
pub const WIT_VERSION: &str = "0.1.0";
const HTTP: &str = "wasi:http";
const HTTP_VERSION: &str = "0.3.0";

/// What a component turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    pub digest: Digest,
    pub size_bytes: usize,
    pub kind: ComponentKind,
    /// The world in `wit/`, or `service` for HTTP.
    pub world: String,
    /// The version of the package that has the world.
    pub wit_version: String,
    pub imports: Vec<String>,
    pub exports: Vec<String>,
    /// What it calls itself: a decider its aggregate, a projector its projection, an auditor itself.
    pub name: Option<String>,
    /// What it says of itself, as a sentence.
    pub about: String,
}

/// Looks at a component of any kind: admits it as its world demands, and asks it what it is.
pub fn inspect(engine: &Arc<HandlerEngine>, name: &str, wasm: &[u8]) -> Result<Inspection, RuntimeError> {
    fits(name, wasm)?;
    let outside = Outside::read(wasm).map_err(|cause| RuntimeError::NotAComponent {
        component: name.to_owned(),
        cause: anyhow::Error::msg(cause),
    })?;
    let refused = |cause| RuntimeError::Refused { component: name.to_owned(), cause };
    let (kind, world) = outside.world().map_err(refused)?;
    let (own_name, about) = match kind {
        ComponentKind::Translator => Translator::load(engine, name, wasm, Vec::new())?.about(),
        ComponentKind::Decider => Decider::load(engine, name, wasm)?.about(),
        ComponentKind::Projector => Projector::load(engine, name, wasm)?.about(),
        ComponentKind::Auditor => Auditor::load(engine, name, wasm)?.about(),
        ComponentKind::Http => {
            admit_http(name, wasm)?;
            (None, "answers HTTP requests".to_owned())
        }
    };
    let wit_version = if kind == ComponentKind::Http { HTTP_VERSION } else { WIT_VERSION }.to_owned();
    let Outside { imports, exports } = outside;
    let (digest, size_bytes) = (Digest::of(wasm), wasm.len());
    Ok(Inspection { digest, size_bytes, kind, world, wit_version, imports, exports, name: own_name, about })
}

/// HTTP components have an engine of their own; it is needed for a moment only.
fn admit_http(name: &str, wasm: &[u8]) -> Result<(), RuntimeError> {
    let nowhere = InProcessApi { authorities: Vec::new(), router: axum::Router::new() };
    EdgeRuntime::new(EdgeLimits::default())?.load(name, wasm, BTreeMap::new(), Vec::new(), nowhere)?;
    Ok(())
}

/// What can be seen of a component from outside: the names of what it imports and exports.
#[derive(Debug, Default)]
struct Outside {
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Outside {
    fn read(wasm: &[u8]) -> Result<Self, String> {
        let mut outside = Self::default();
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.map_err(|error| error.to_string())? {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                    return Err(
                        "it is a core module; `wasm-tools component new` makes a component of it".into()
                    );
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        outside.imports.push(import.map_err(|error| error.to_string())?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        outside.exports.push(export.map_err(|error| error.to_string())?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(outside)
    }

    /// The one world that it exports, of the version that runs here.
    fn world(&self) -> Result<(ComponentKind, String), Refused> {
        let mut worlds: Vec<(ComponentKind, &str, &str)> =
            self.exports.iter().filter_map(|export| world_of(export)).collect();
        let Some((kind, package, version)) = worlds.pop() else {
            return Err(Refused::NoWorld { exports: self.exports.clone() });
        };
        if !worlds.is_empty() {
            return Err(Refused::SeveralWorlds { exports: self.exports.clone() });
        }
        let runs = if kind == ComponentKind::Http { HTTP_VERSION } else { WIT_VERSION };
        if version != runs {
            let (built_against, runs) = (format!("{package}@{version}"), runs.to_owned());
            return Err(Refused::Version { built_against, runs });
        }
        let world = if kind == ComponentKind::Http { "service" } else { kind.as_str() };
        Ok((kind, world.to_owned()))
    }
}

/// The kind of world that has this interface, with its package and its version.
fn world_of(export: &str) -> Option<(ComponentKind, &str, &str)> {
    let (path, version) = export.split_once('@').unwrap_or((export, "no version"));
    let (package, interface) = path.split_once('/')?;
    let kind = match (package, interface) {
        (HANDLERS, "translation") => ComponentKind::Translator,
        (HANDLERS, "decision") => ComponentKind::Decider,
        (HANDLERS, "projection") => ComponentKind::Projector,
        (HANDLERS, "audit") => ComponentKind::Auditor,
        (HTTP, "handler" | "incoming-handler") => ComponentKind::Http,
        _ => return None,
    };
    Some((kind, package, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(exports: &[&str]) -> Result<(ComponentKind, String), String> {
        let exports = exports.iter().map(|export| (*export).to_owned()).collect();
        Outside { imports: Vec::new(), exports }.world().map_err(|refused| refused.to_string())
    }

    #[test]
    fn the_world_follows_from_what_is_exported() {
        assert_eq!(
            world(&["clearfold:handlers/decision@0.1.0"]),
            Ok((ComponentKind::Decider, "decider".into()))
        );
        assert_eq!(
            world(&["other:thing/x@1.0.0", "clearfold:handlers/audit@0.1.0"]),
            Ok((ComponentKind::Auditor, "auditor".into()))
        );
        assert_eq!(world(&["wasi:http/handler@0.3.0"]), Ok((ComponentKind::Http, "service".into())));
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
            let refused = world(&[export]).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
    }

    #[test]
    fn no_world_and_two_worlds_are_refused() {
        assert!(world(&[]).unwrap_err().contains("exports nothing"));
        assert!(world(&["run"]).unwrap_err().contains("`run`"));
        let two = ["clearfold:handlers/decision@0.1.0", "clearfold:handlers/audit@0.1.0"];
        assert!(world(&two).unwrap_err().contains("more than one world"));
    }
}

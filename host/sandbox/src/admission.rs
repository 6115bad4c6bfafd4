//! Whether a component may come in: it exports all of its world, and imports nothing.
//!
//! Decided from the component's own type, before any of its code runs.

use std::collections::BTreeSet;

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::ComponentKind;

/// Why a component is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It wants something from outside.
    #[error("it imports {}; a {world} may import nothing, so that every call can be repeated", list(.imports))]
    Imports { world: ComponentKind, imports: Vec<String> },
    /// It lacks a part of its world.
    #[error("it is no {world}: it does not export {}; build it against wit/{world}.wit of this version", list(.missing))]
    Missing { world: ComponentKind, missing: Vec<String> },
    /// It is of no world that this host knows.
    #[error("it exports {}, which is no world of this host; build it against a world of wit/", list(.exports))]
    NoWorld { exports: Vec<String> },
    /// It is of more than one.
    #[error("it exports more than one world, {}; make a component of each", list(.exports))]
    SeveralWorlds { exports: Vec<String> },
    /// It is of another version of its world.
    #[error(
        "it is built against {built_against}, this host runs {runs}; build it against the wit/ folder of this version"
    )]
    Version { built_against: String, runs: String },
}

/// What a world asks a component to export: an interface, and the functions in it.
pub(super) struct World {
    pub kind: ComponentKind,
    pub interface: &'static str,
    pub functions: &'static [&'static str],
}

pub(super) fn admit(engine: &Engine, component: &Component, world: &World) -> Result<(), Refused> {
    let component_type = component.component_type();
    let imports: Vec<String> = component_type.imports(engine).map(|(name, _)| name.to_owned()).collect();
    if !imports.is_empty() {
        return Err(Refused::Imports { world: world.kind, imports });
    }
    let exported = component_type.exports(engine).find(|(name, _)| *name == world.interface);
    let Some((_, export)) = exported else {
        let path = |name: &str| name.split('@').next().map(str::to_owned);
        let mut exports = component_type.exports(engine);
        if let Some((name, _)) = exports.find(|(name, _)| path(name) == path(world.interface)) {
            return Err(Refused::Version {
                built_against: name.to_owned(),
                runs: world.interface.to_owned(),
            });
        }
        return Err(Refused::Missing { world: world.kind, missing: vec![world.interface.to_owned()] });
    };
    let functions: BTreeSet<String> = match export.ty {
        ComponentItem::ComponentInstance(instance) => instance
            .exports(engine)
            .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)))
            .map(|(name, _)| name.to_owned())
            .collect(),
        _ => BTreeSet::new(),
    };
    let missing: Vec<String> = world
        .functions
        .iter()
        .filter(|function| !functions.contains(**function))
        .map(|function| format!("{}#{function}", world.interface))
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(Refused::Missing { world: world.kind, missing }) }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

//! The admission of handlers: a handler exports all of its world, and imports nothing.
//!
//! It is decided from the component's type alone, before any of its code runs.

use std::collections::BTreeSet;

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::ComponentKind;

/// Reason why a component is not admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It imports something, so that its answers could depend on more than its arguments.
    #[error("it imports {}; a {world} may import nothing, so that every call can be repeated", list(.imports))]
    Imports { world: ComponentKind, imports: Vec<String> },
    /// It lacks the interface of its world, or functions of it.
    #[error("it is no {world}: it does not export {}; build it against wit/{world}.wit of this version", list(.missing))]
    Missing { world: ComponentKind, missing: Vec<String> },
    /// It exports no world that this host knows.
    #[error("it exports {}, which is no world of this host; build it against a world of wit/", list(.exports))]
    NoWorld { exports: Vec<String> },
    /// It exports more than one world.
    #[error("it exports more than one world, {}; make a component of each", list(.exports))]
    SeveralWorlds { exports: Vec<String> },
    /// It is built against another version of its world.
    #[error(
        "it is built against {built_against}, this host runs {runs}; build it against the wit/ folder of this version"
    )]
    Version { built_against: String, runs: String },
}

/// Checks a component's type against the world of its kind.
pub(super) fn admit(engine: &Engine, component: &Component, world: ComponentKind) -> Result<(), Refused> {
    let component_type = component.component_type();
    let imports: Vec<String> = component_type.imports(engine).map(|(name, _)| name.to_owned()).collect();
    if !imports.is_empty() {
        return Err(Refused::Imports { world, imports });
    }
    let interface = world.export();
    let exported = component_type.exports(engine).find(|(name, _)| *name == interface);
    let Some((_, export)) = exported else {
        let path = |name: &str| name.split('@').next().map(str::to_owned);
        let mut exports = component_type.exports(engine);
        if let Some((name, _)) = exports.find(|(name, _)| path(name) == path(&interface)) {
            return Err(Refused::Version { built_against: name.to_owned(), runs: interface });
        }
        return Err(Refused::Missing { world, missing: vec![interface] });
    };
    let functions: BTreeSet<String> = match export.ty {
        ComponentItem::ComponentInstance(instance) => instance
            .exports(engine)
            .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)))
            .map(|(name, _)| name.to_owned())
            .collect(),
        _ => BTreeSet::new(),
    };
    let required = world.facts().functions.iter();
    let missing = required.filter(|function| !functions.contains(**function));
    let missing: Vec<String> = missing.map(|function| format!("{interface}#{function}")).collect();
    if missing.is_empty() { Ok(()) } else { Err(Refused::Missing { world, missing }) }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

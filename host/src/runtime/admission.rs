//! Whether a component may come in: it exports all of its world, and imports nothing.
//!
//! Decided from the component's own type, before any of its code runs.

use std::collections::BTreeSet;

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

/// Why a component is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It wants something from outside.
    #[error("it imports {}; a {world} may import nothing, so that every call can be repeated", list(.imports))]
    Imports { world: &'static str, imports: Vec<String> },
    /// It lacks a part of its world.
    #[error("it is no {world}: it does not export {}; build it against wit/{world}.wit of this version", list(.missing))]
    Missing { world: &'static str, missing: Vec<String> },
}

/// What a world asks a component to export: an interface, and the functions in it.
pub(super) struct World {
    pub name: &'static str,
    pub interface: &'static str,
    pub functions: &'static [&'static str],
}

pub(super) fn admit(engine: &Engine, component: &Component, world: &World) -> Result<(), Refused> {
    let component_type = component.component_type();
    let imports: Vec<String> = component_type.imports(engine).map(|(name, _)| name.to_owned()).collect();
    if !imports.is_empty() {
        return Err(Refused::Imports { world: world.name, imports });
    }
    let exported = component_type.exports(engine).find(|(name, _)| *name == world.interface);
    let Some((_, export)) = exported else {
        return Err(Refused::Missing { world: world.name, missing: vec![world.interface.to_owned()] });
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
    if missing.is_empty() { Ok(()) } else { Err(Refused::Missing { world: world.name, missing }) }
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

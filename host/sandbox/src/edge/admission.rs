//! The admission of edge components: the interfaces that one may import, and the one that it must export.
//!
//! The list below and the linker are the sandbox's whole boundary: nothing is linked that is not on the list.

use super::EdgeLoadError;
use super::state::{EdgeState, HasVariables};
use super::time;
use crate::ComponentKind;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Result};

/// Interfaces that may be imported, without versions: the linker checks those.
///
/// The clocks are here because they measure the age of a signature: a time in the request would be the sender's claim.
/// A handler never gets them, and no event depends on what an edge component makes of the time.
pub const IMPORTS: [&str; 6] = [
    "wasi:http/types",
    "wasi:http/client",
    "wasi:clocks/types",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/system-clock",
    "spin:variables/variables",
];

/// Links the interfaces of the list.
pub fn linker(engine: &Engine) -> Result<Linker<EdgeState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    time::add_to_linker(&mut linker)?;
    HasVariables::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Checks the imports and the export of a component.
pub fn check(id: &str, engine: &Engine, component: &Component) -> Result<(), EdgeLoadError> {
    let component_type = component.component_type();
    let admitted = |import: &str| IMPORTS.contains(&import.split('@').next().unwrap_or(import));
    if let Some((import, _)) = component_type.imports(engine).find(|(import, _)| !admitted(import)) {
        return Err(EdgeLoadError::Import { component: id.to_owned(), import: import.to_owned() });
    }
    if component_type.get_export(engine, &ComponentKind::Http.export()).is_none() {
        return Err(EdgeLoadError::MissingExport { component: id.to_owned() });
    }
    Ok(())
}

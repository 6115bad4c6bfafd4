//! What an edge component may import, and what it must export. The list below and the linker are the
//! sandbox's whole boundary: nothing is linked that is not on the list.

use super::EdgeLoadError;
use super::state::{EdgeState, HasVariables};
use super::time;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Result};

/// Without versions: whether a version fits is for the linker to say.
///
/// The clocks are here because a signature's age is measured by them: a time that came with the request would be the
/// sender's word. A handler never gets them; what an edge component makes of the time, no event depends on.
pub const IMPORTS: [&str; 6] = [
    "wasi:http/types",
    "wasi:http/client",
    "wasi:clocks/types",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/system-clock",
    "spin:variables/variables",
];
pub const EXPORT: &str = "wasi:http/handler@0.3.0";

pub fn linker(engine: &Engine) -> Result<Linker<EdgeState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    time::add_to_linker(&mut linker)?;
    HasVariables::add_to_linker(&mut linker)?;
    Ok(linker)
}

pub fn check(id: &str, engine: &Engine, component: &Component) -> Result<(), EdgeLoadError> {
    let kind = component.component_type();
    let admitted = |import: &str| IMPORTS.contains(&import.split('@').next().unwrap_or(import));
    if let Some((import, _)) = kind.imports(engine).find(|(import, _)| !admitted(import)) {
        return Err(EdgeLoadError::Import { component: id.to_owned(), import: import.to_owned() });
    }
    if kind.get_export(engine, EXPORT).is_none() {
        return Err(EdgeLoadError::MissingExport { component: id.to_owned() });
    }
    Ok(())
}

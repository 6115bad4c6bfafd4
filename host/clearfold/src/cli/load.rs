//! Reads the manifest's components, and loads those in force.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use tokio::sync::watch;

use clearfold_engine::registry::{ComponentFile, Handler, Registry, Shelf, fold};
use clearfold_sandbox::manifest::Manifest;
use clearfold_sandbox::{Auditor, ComponentKind, HandlerEngine, Limits, Projector};

/// Reads the manifest. `host_url` is the URL of this host, for components that call it.
pub(super) fn manifest(path: &Path, host_url: Option<&str>) -> anyhow::Result<Manifest> {
    let environment = |name: &str| {
        let own = (name == "SPIN_VARIABLE_HOST_URL").then(|| host_url.map(str::to_owned)).flatten();
        std::env::var(name).ok().or(own)
    };
    Ok(Manifest::read(path, environment)?)
}

/// Reads the components of the manifest's handlers and HTTP triggers, with the signature files beside them.
pub(super) fn named(manifest: &Manifest) -> anyhow::Result<Vec<ComponentFile>> {
    let count = |kind| manifest.handlers.iter().filter(|trigger| trigger.kind == kind).count();
    ensure!(
        count(ComponentKind::Decider) > 0,
        "the manifest names no decider; without one no command can be decided"
    );
    ensure!(
        count(ComponentKind::Translator) == 1,
        "the manifest must name exactly one translator for the chain that the host follows"
    );
    let handlers = manifest
        .handlers
        .iter()
        .map(|trigger| (Handler { kind: trigger.kind, name: trigger.name.clone() }, &trigger.component));
    let http = manifest.http.iter().map(|trigger| {
        (Handler { kind: ComponentKind::Http, name: trigger.component.clone() }, &trigger.component)
    });
    handlers
        .chain(http)
        .map(|(handler, component)| {
            let source = source(manifest, component)?;
            let (wasm, signature) = (read_wasm(source)?, signature_beside(source)?);
            Ok(ComponentFile { handler, component: component.clone(), wasm, signature })
        })
        .collect()
}

/// Loads the projectors and auditors in force, the handlers that `check` needs.
pub(super) async fn check_handlers(
    registry: &Registry,
    shelf: &mut Shelf,
) -> anyhow::Result<(Vec<watch::Receiver<Arc<Projector>>>, watch::Receiver<Vec<Arc<Auditor>>>)> {
    let (mut projectors, mut auditors) = (Vec::new(), Vec::new());
    for (handler, in_force) in fold(&registry.activations(0).await?) {
        match handler.kind {
            ComponentKind::Projector => {
                let projector = shelf.projector(in_force.digest).await?;
                projectors.push(watch::Sender::new(projector).subscribe());
            }
            ComponentKind::Auditor => auditors.push(shelf.auditor(in_force.digest).await?),
            ComponentKind::Translator
            | ComponentKind::Decider
            | ComponentKind::Saga
            | ComponentKind::Http => {}
        }
    }
    Ok((projectors, watch::Sender::new(auditors).subscribe()))
}

/// Creates the engine that runs handlers.
pub(super) fn engine() -> anyhow::Result<Arc<HandlerEngine>> {
    Ok(Arc::new(HandlerEngine::new(Limits::of)?))
}

fn source<'a>(manifest: &'a Manifest, id: &str) -> anyhow::Result<&'a Path> {
    let component = manifest.components.get(id);
    Ok(&component.with_context(|| format!("the manifest has no component `{id}`"))?.source)
}

/// Reads the signature of a component from `FILE.sig` beside it; none if there is no such file.
pub(super) fn signature_beside(path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    let beside = path.with_added_extension("sig");
    match std::fs::read(&beside) {
        Ok(signature) => Ok(Some(signature)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", beside.display())),
    }
}

/// A component's name by its file: the file's name without its ending.
pub(super) fn stem(file: &Path) -> String {
    file.file_stem().map_or_else(|| "component".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

pub(super) fn read_wasm(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| {
        format!("the component {} cannot be read; build it with `cargo xtask build`", path.display())
    })
}

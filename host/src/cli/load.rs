//! Loads what the manifest names: handlers into the sandbox, each checked before anything runs.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use clearfold_kernel::Selection;

use crate::command::Deciders;
use crate::manifest::{HandlerKind, HandlerTrigger, Manifest};
use crate::runtime::{Auditor, Decider, HandlerEngine, Limits, Projector, Translator};

/// The handlers of an application.
pub(super) struct Handlers {
    pub translator: Arc<Translator>,
    /// What the translator wants to see, and of which chain.
    pub selection: Selection,
    pub deciders: Deciders,
    /// The bytes of each decider, by its name.
    pub decider_wasm: Vec<(String, Vec<u8>)>,
    pub watchers: Watchers,
}

/// The handlers that only look at what happened.
pub(super) struct Watchers {
    pub projectors: Vec<Arc<Projector>>,
    pub auditors: Vec<Arc<Auditor>>,
}

/// Reads the manifest. `host_url` is where this very host is, for components that call it.
pub(super) fn manifest(path: &Path, host_url: Option<&str>) -> anyhow::Result<Manifest> {
    let environment = |name: &str| {
        let own = (name == "SPIN_VARIABLE_HOST_URL").then(|| host_url.map(str::to_owned)).flatten();
        std::env::var(name).ok().or(own)
    };
    Ok(Manifest::read(path, environment)?)
}

/// Loads all handlers, and asks each whether it is what the manifest says.
pub(super) fn handlers(
    manifest: &Manifest,
    contracts: &[u8],
    contracts_name: &str,
) -> anyhow::Result<Handlers> {
    let engine = engine()?;
    let mut translators = Vec::new();
    let (mut deciders, mut decider_wasm) = (Deciders::new(), Vec::new());
    for trigger in &manifest.handlers {
        let name = trigger.component.as_str();
        match trigger.kind {
            HandlerKind::Translator => {
                let wasm = wasm(manifest, name)?;
                let translator = Translator::load(&engine, name, &wasm, contracts.to_vec())?;
                let selection =
                    translator.filters().with_context(|| format!("{contracts_name} cannot be used"))?;
                translators.push((Arc::new(translator), selection));
            }
            HandlerKind::Decider => {
                let wasm = wasm(manifest, name)?;
                let decider = Decider::load(&engine, name, &wasm)?;
                agree(trigger, "aggregate", decider.aggregate())?;
                deciders.insert(trigger.name.clone(), Arc::new(decider));
                decider_wasm.push((name.to_owned(), wasm));
            }
            HandlerKind::Projector | HandlerKind::Auditor => {}
        }
    }
    ensure!(!deciders.is_empty(), "the manifest names no decider; without one no command can be decided");
    let Some((translator, selection)) = translators.pop().filter(|_| translators.is_empty()) else {
        bail!("the manifest must name exactly one translator for the chain that the host follows");
    };
    let watchers = watchers(manifest, &engine)?;
    Ok(Handlers { translator, selection, deciders, decider_wasm, watchers })
}

/// Loads the handlers that only look at what happened, each asked as well.
pub(super) fn watchers(manifest: &Manifest, engine: &Arc<HandlerEngine>) -> anyhow::Result<Watchers> {
    let mut watchers = Watchers { projectors: Vec::new(), auditors: Vec::new() };
    for trigger in &manifest.handlers {
        let name = trigger.component.as_str();
        match trigger.kind {
            HandlerKind::Projector => {
                let projector = Projector::load(engine, name, &wasm(manifest, name)?)?;
                agree(trigger, "projection", &projector.descriptor().name)?;
                watchers.projectors.push(Arc::new(projector));
            }
            HandlerKind::Auditor => {
                let auditor = Auditor::load(engine, name, &wasm(manifest, name)?)?;
                agree(trigger, "name", &auditor.descriptor().name)?;
                watchers.auditors.push(Arc::new(auditor));
            }
            HandlerKind::Translator | HandlerKind::Decider => {}
        }
    }
    Ok(watchers)
}

/// The engine that runs handlers.
pub(super) fn engine() -> anyhow::Result<Arc<HandlerEngine>> {
    Ok(Arc::new(HandlerEngine::new(Limits::default())?))
}

/// The bytes of a component.
pub(super) fn wasm(manifest: &Manifest, id: &str) -> anyhow::Result<Vec<u8>> {
    let component =
        manifest.components.get(id).with_context(|| format!("the manifest has no component `{id}`"))?;
    read_wasm(&component.source)
}

pub(super) fn read_wasm(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| {
        format!("the component {} cannot be read; build it with `cargo xtask build`", path.display())
    })
}

fn agree(trigger: &HandlerTrigger, key: &str, said: &str) -> anyhow::Result<()> {
    ensure!(
        trigger.name == said,
        "the manifest gives {} the {key} `{}`, but the component says that it is `{said}`; correct the manifest",
        trigger.component,
        trigger.name
    );
    Ok(())
}

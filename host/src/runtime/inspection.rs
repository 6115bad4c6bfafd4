//! What a component is, asked of the component itself: it is tried as every kind.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::edge::{EdgeLimits, EdgeRuntime, InProcessApi};
use super::{Auditor, Decider, HandlerEngine, Kind, Projector, RuntimeError, Translator};
use crate::digest::Digest;

/// What a component is.
pub struct Inspection {
    pub digest: Digest,
    pub kind: Kind,
    pub handler: String,
    pub wit_version: String,
    pub imports: Vec<String>,
}

/// Finds out.
pub fn inspect(engine: &Arc<HandlerEngine>, name: &str, wasm: &[u8]) -> Result<Inspection, RuntimeError> {
    let made = |kind, handler: &str| Inspection {
        digest: Digest::of(wasm),
        kind,
        handler: handler.to_owned(),
        wit_version: "0.1.0".to_owned(),
        imports: Vec::new(),
    };
    if let Ok(projector) = Projector::load(engine, name, wasm) {
        return Ok(made(Kind::Projector, &projector.descriptor().name));
    }
    if let Ok(auditor) = Auditor::load(engine, name, wasm) {
        return Ok(made(Kind::Auditor, &auditor.descriptor().name));
    }
    if Translator::load(engine, name, wasm, Vec::new()).is_ok() {
        return Ok(made(Kind::Translator, name));
    }
    if let Ok(decider) = Decider::load(engine, name, wasm) {
        return Ok(made(Kind::Decider, decider.aggregate()));
    }
    let nowhere = InProcessApi { authorities: Vec::new(), router: axum::Router::new() };
    let edge = EdgeRuntime::new(EdgeLimits::default())
        .and_then(|edge| edge.load(name, wasm, BTreeMap::new(), Vec::new(), nowhere));
    match edge {
        Ok(_) => Ok(made(Kind::Http, name)),
        Err(_) => Decider::load(engine, name, wasm).map(|decider| made(Kind::Decider, decider.aggregate())),
    }
}

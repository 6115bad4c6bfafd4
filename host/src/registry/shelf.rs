//! Components that are loaded, by digest: each once, whatever it is needed for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Registry, RegistryError};
use crate::database::DatabaseError;
use crate::digest::Digest;
use crate::runtime::{Auditor, Decider, HandlerEngine, Projector, RuntimeError, Translator};
use crate::signature::Signers;

/// Loads components from the registry.
pub struct Shelf {
    registry: Registry,
    engine: Arc<HandlerEngine>,
    /// Who must vouch for what is loaded, however it came into the registry.
    signers: Signers,
    /// What a translator is told of the chain.
    contracts: Vec<u8>,
    deciders: BTreeMap<Digest, Arc<Decider>>,
    projectors: BTreeMap<Digest, Arc<Projector>>,
    auditors: BTreeMap<Digest, Arc<Auditor>>,
    translators: BTreeMap<Digest, Arc<Translator>>,
}

impl Shelf {
    #[must_use]
    pub fn new(registry: Registry, engine: Arc<HandlerEngine>, signers: Signers, contracts: Vec<u8>) -> Self {
        Self {
            registry,
            engine,
            signers,
            contracts,
            deciders: BTreeMap::new(),
            projectors: BTreeMap::new(),
            auditors: BTreeMap::new(),
            translators: BTreeMap::new(),
        }
    }

    #[must_use]
    pub fn engine(&self) -> &Arc<HandlerEngine> {
        &self.engine
    }

    /// Lets go of all others.
    pub fn keep_only(&mut self, digests: &BTreeSet<Digest>) {
        self.deciders.retain(|digest, _| digests.contains(digest));
        self.projectors.retain(|digest, _| digests.contains(digest));
        self.auditors.retain(|digest, _| digests.contains(digest));
        self.translators.retain(|digest, _| digests.contains(digest));
    }

    pub async fn decider(&mut self, digest: Digest) -> Result<Arc<Decider>, RegistryError> {
        if let Some(decider) = self.deciders.get(&digest) {
            return Ok(Arc::clone(decider));
        }
        let decider = self.load(digest, Decider::load);
        let decider = decider.await?;
        self.deciders.insert(digest, Arc::clone(&decider));
        Ok(decider)
    }

    pub async fn projector(&mut self, digest: Digest) -> Result<Arc<Projector>, RegistryError> {
        if let Some(projector) = self.projectors.get(&digest) {
            return Ok(Arc::clone(projector));
        }
        let projector = self.load(digest, Projector::load).await?;
        self.projectors.insert(digest, Arc::clone(&projector));
        Ok(projector)
    }

    pub async fn auditor(&mut self, digest: Digest) -> Result<Arc<Auditor>, RegistryError> {
        if let Some(auditor) = self.auditors.get(&digest) {
            return Ok(Arc::clone(auditor));
        }
        let auditor = self.load(digest, Auditor::load).await?;
        self.auditors.insert(digest, Arc::clone(&auditor));
        Ok(auditor)
    }

    pub async fn translator(&mut self, digest: Digest) -> Result<Arc<Translator>, RegistryError> {
        if let Some(translator) = self.translators.get(&digest) {
            return Ok(Arc::clone(translator));
        }
        let contracts = self.contracts.clone();
        let translator =
            self.load(digest, move |engine, name, wasm| Translator::load(engine, name, wasm, contracts));
        let translator = translator.await?;
        self.translators.insert(digest, Arc::clone(&translator));
        Ok(translator)
    }

    /// Loads one, on a thread that may be busy: it may have to be compiled.
    async fn load<T: Send + 'static>(
        &self,
        digest: Digest,
        load: impl FnOnce(&Arc<HandlerEngine>, &str, &[u8]) -> Result<T, RuntimeError> + Send + 'static,
    ) -> Result<Arc<T>, RegistryError> {
        let (name, wasm, signature) = self.registry.wasm(digest).await?;
        self.signers.check(&name, &wasm, signature.as_deref())?;
        let engine = Arc::clone(&self.engine);
        let loaded = tokio::task::spawn_blocking(move || load(&engine, &name, &wasm)).await;
        let loaded = loaded.map_err(|error| DatabaseError::Corrupt(error.to_string()))?;
        Ok(Arc::new(loaded?))
    }
}

//! Cache of loaded components by digest. A component is loaded once for all its users and unloaded with the last of
//! them. A component without a required signature is never loaded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Registry, RegistryError};
use clearfold_base::blocking::blocking;
use clearfold_base::database::with_time_out;
use clearfold_base::digest::Digest;
use clearfold_base::signature::Signers;
use clearfold_sandbox::{Auditor, Decider, HandlerEngine, Projector, RuntimeError, Saga, Translator};

use crate::saga::{SagaLogic, SagaVersions};
use clearfold_base::telemetry::with_causes;

/// Loader of components from the registry. Clones share one cache.
#[derive(Clone)]
pub struct Shelf(Arc<ShelfState>);

struct ShelfState {
    registry: Registry,
    engine: Arc<HandlerEngine>,
    /// Keys of which one must have signed each component that is loaded, however it came into the registry.
    signers: Signers,
    /// Contract set that each translator gets.
    contracts: Vec<u8>,
    deciders: LoadedByDigest<Decider>,
    sagas: LoadedByDigest<Saga>,
    projectors: LoadedByDigest<Projector>,
    auditors: LoadedByDigest<Auditor>,
    translators: LoadedByDigest<Translator>,
}

/// Loaded components of one kind; those that are no longer used cannot be upgraded.
type LoadedByDigest<T> = Mutex<BTreeMap<Digest, Weak<T>>>;

impl SagaVersions for Shelf {
    fn version(&self, digest: Digest) -> Result<Arc<dyn SagaLogic>, String> {
        // Decisions are made on threads that may block.
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| error.to_string())?;
        let loaded = runtime.block_on(self.saga(digest));
        Ok(loaded.map_err(|error| with_causes(&error))?)
    }
}

impl Shelf {
    #[must_use]
    pub fn new(registry: Registry, engine: Arc<HandlerEngine>, signers: Signers, contracts: Vec<u8>) -> Self {
        Self(Arc::new(ShelfState {
            registry,
            engine,
            signers,
            contracts,
            deciders: LoadedByDigest::default(),
            sagas: LoadedByDigest::default(),
            projectors: LoadedByDigest::default(),
            auditors: LoadedByDigest::default(),
            translators: LoadedByDigest::default(),
        }))
    }

    pub async fn decider(&self, digest: Digest) -> Result<Arc<Decider>, RegistryError> {
        self.load(&self.0.deciders, digest, Decider::load).await
    }

    pub async fn saga(&self, digest: Digest) -> Result<Arc<Saga>, RegistryError> {
        self.load(&self.0.sagas, digest, Saga::load).await
    }

    pub async fn projector(&self, digest: Digest) -> Result<Arc<Projector>, RegistryError> {
        self.load(&self.0.projectors, digest, Projector::load).await
    }

    pub async fn auditor(&self, digest: Digest) -> Result<Arc<Auditor>, RegistryError> {
        self.load(&self.0.auditors, digest, Auditor::load).await
    }

    pub async fn translator(&self, digest: Digest) -> Result<Arc<Translator>, RegistryError> {
        let contracts = self.0.contracts.clone();
        let load = move |engine: &_, name: &str, wasm: &[u8]| Translator::load(engine, name, wasm, contracts);
        self.load(&self.0.translators, digest, load).await
    }

    /// Checks that the component exists and has the required signature, for a component that is loaded elsewhere.
    pub async fn vouch(&self, digest: Digest) -> Result<(), RegistryError> {
        with_time_out(self.0.registry.wasm(digest, &self.0.signers)).await.map(drop)
    }

    /// Returns the component from the cache, or loads it on a blocking thread, since it may have to be compiled.
    async fn load<T: Send + Sync + 'static>(
        &self,
        loaded: &LoadedByDigest<T>,
        digest: Digest,
        load: impl FnOnce(&Arc<HandlerEngine>, &str, &[u8]) -> Result<T, RuntimeError> + Send + 'static,
    ) -> Result<Arc<T>, RegistryError> {
        // Each change of the map is one call, so the map is whole even if the lock is poisoned.
        let known =
            loaded.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).and_then(Weak::upgrade);
        if let Some(known) = known {
            return Ok(known);
        }
        let (name, wasm) = with_time_out(self.0.registry.wasm(digest, &self.0.signers)).await?;
        let engine = Arc::clone(&self.0.engine);
        let new = Arc::new(blocking(move || load(&engine, &name, &wasm)).await??);
        let mut loaded = loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.retain(|_, used| used.strong_count() > 0);
        loaded.insert(digest, Arc::downgrade(&new));
        Ok(new)
    }
}

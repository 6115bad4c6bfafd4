//! Components that are loaded, by digest: each once while anybody uses it, whatever it is needed for. It keeps none that
//! nobody uses, and loads none for which nobody vouches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Registry, RegistryError};
use clearfold_base::database::DatabaseError;
use clearfold_base::digest::Digest;
use clearfold_base::signature::Signers;
use clearfold_sandbox::{Auditor, Decider, HandlerEngine, Projector, RuntimeError, Translator};

/// Loads components from the registry. A clone is the same shelf.
#[derive(Clone)]
pub struct Shelf(Arc<ShelfState>);

struct ShelfState {
    registry: Registry,
    engine: Arc<HandlerEngine>,
    /// Who must vouch for what is loaded, however it came into the registry.
    signers: Signers,
    /// What a translator is told of the chain.
    contracts: Vec<u8>,
    deciders: LoadedByDigest<Decider>,
    projectors: LoadedByDigest<Projector>,
    auditors: LoadedByDigest<Auditor>,
    translators: LoadedByDigest<Translator>,
}

/// What is loaded of one kind.
type LoadedByDigest<T> = Mutex<BTreeMap<Digest, Weak<T>>>;

impl Shelf {
    #[must_use]
    pub fn new(registry: Registry, engine: Arc<HandlerEngine>, signers: Signers, contracts: Vec<u8>) -> Self {
        Self(Arc::new(ShelfState {
            registry,
            engine,
            signers,
            contracts,
            deciders: LoadedByDigest::default(),
            projectors: LoadedByDigest::default(),
            auditors: LoadedByDigest::default(),
            translators: LoadedByDigest::default(),
        }))
    }

    pub async fn decider(&self, digest: Digest) -> Result<Arc<Decider>, RegistryError> {
        self.load(&self.0.deciders, digest, Decider::load).await
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

    /// Whether there is such a component and somebody vouches for it; of one that is loaded elsewhere.
    pub async fn vouch(&self, digest: Digest) -> Result<(), RegistryError> {
        self.0.registry.wasm(digest, &self.0.signers).await.map(drop)
    }

    /// Loads one, on a thread that may be busy: it may have to be compiled.
    async fn load<T: Send + Sync + 'static>(
        &self,
        loaded: &LoadedByDigest<T>,
        digest: Digest,
        load: impl FnOnce(&Arc<HandlerEngine>, &str, &[u8]) -> Result<T, RuntimeError> + Send + 'static,
    ) -> Result<Arc<T>, RegistryError> {
        let known =
            loaded.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).and_then(Weak::upgrade);
        if let Some(known) = known {
            return Ok(known);
        }
        let (name, wasm) = self.0.registry.wasm(digest, &self.0.signers).await?;
        let engine = Arc::clone(&self.0.engine);
        let new = tokio::task::spawn_blocking(move || load(&engine, &name, &wasm)).await;
        let new = Arc::new(new.map_err(|error| DatabaseError::Corrupt(error.to_string()))??);
        let mut loaded = loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.retain(|_, used| used.strong_count() > 0);
        loaded.insert(digest, Arc::downgrade(&new));
        Ok(new)
    }
}

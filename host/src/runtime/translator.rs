//! Translators: the `translator` world, called.

use std::sync::Arc;

use self::bindings::TranslatorPre;
use super::admission::World;
use super::component::{ComponentId, Fault, Loaded, RuntimeError, incompatible};
use super::engine::HandlerEngine;
use super::limits::Guard;

pub use self::bindings::exports::clearfold::handlers::translation::{
    Command as TranslatedCommand, Log, LogFilter, Refusal, Transaction, Translated,
};

mod bindings {
    //! Made by wasmtime from `wit/translator.wit`.
    wasmtime::component::bindgen!({
        world: "translator",
        path: "../wit",
        additional_derives: [Clone],
    });
}

const WORLD: World = World {
    name: "translator",
    interface: "clearfold:handlers/translation@0.1.0",
    functions: &["filters", "translate"],
};

/// A translator that was let in, with the contract set that it translates by.
pub struct Translator {
    loaded: Loaded,
    pre: TranslatorPre<Guard>,
    contracts: Vec<u8>,
}

impl Translator {
    /// Loads a component. The contract set is checked by [`Translator::filters`].
    pub fn load(
        engine: &Arc<HandlerEngine>,
        name: &str,
        wasm: &[u8],
        contracts: Vec<u8>,
    ) -> Result<Self, RuntimeError> {
        let loaded = Loaded::new(engine, name, wasm, &WORLD)?;
        let pre = TranslatorPre::new(loaded.pre.clone()).map_err(|cause| incompatible(name, cause))?;
        Ok(Self { loaded, pre, contracts })
    }

    /// Name and digest.
    #[must_use]
    pub fn id(&self) -> &ComponentId {
        &self.loaded.id
    }

    /// The logs that it wants to see, or what is wrong with the contract set.
    pub fn filters(&self) -> Result<Vec<LogFilter>, Fault> {
        let filters = self.loaded.call("filters", |mut store| {
            let instance = self.pre.instantiate(&mut store)?;
            instance.clearfold_handlers_translation().call_filters(&mut store, &self.contracts)
        })?;
        filters.map_err(|why| self.loaded.failed("filters", why))
    }

    /// Translates transactions; one answer for each.
    pub fn translate(&self, transactions: &[Transaction]) -> Result<Vec<Translated>, Fault> {
        let translated = self.loaded.call("translate", |mut store| {
            let instance = self.pre.instantiate(&mut store)?;
            let translation = instance.clearfold_handlers_translation();
            translation.call_translate(&mut store, &self.contracts, transactions)
        })?;
        let translated = translated.map_err(|why| self.loaded.failed("translate", why))?;
        self.loaded.one_each("translate", transactions.len(), translated)
    }
}

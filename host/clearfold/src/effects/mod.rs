//! Effects of sagas that this host carries out: requests over HTTP, as the manifest names them, and pulls on chain.

mod breaker;
mod http;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::ensure;
use clearfold_base::clock::Clock;
use clearfold_engine::effects::{Effect, Effects};
use clearfold_sandbox::manifest::ManifestEffect;

use self::http::HttpEffect;

/// Makes the effects that a manifest names, beside those that this host has itself.
pub fn offered(
    named: &BTreeMap<String, ManifestEffect>,
    own: Vec<(&str, Arc<dyn Effect>)>,
    clock: &Clock,
) -> anyhow::Result<Effects> {
    let mut effects = BTreeMap::new();
    for (name, effect) in own {
        ensure!(
            !named.contains_key(name),
            "the manifest names the effect `{name}`, which the chain submitter of this host carries out; take it out of \
             the manifest, or unset the SUBMITTER_ variables"
        );
        effects.insert(name.to_owned(), effect);
    }
    for (name, effect) in named {
        let http = HttpEffect::new(name.clone(), effect.clone(), clock.clone())?;
        effects.insert(name.clone(), Arc::new(http) as Arc<dyn Effect>);
    }
    Ok(Effects::new(effects))
}

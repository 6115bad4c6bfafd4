//! Effects of sagas that this host carries out: requests over HTTP, as the manifest names them.

mod breaker;
mod http;

use std::collections::BTreeMap;
use std::sync::Arc;

use clearfold_base::clock::Clock;
use clearfold_engine::effects::{Effect, Effects};
use clearfold_sandbox::manifest::ManifestEffect;

use self::http::HttpEffect;

/// Makes the effects that a manifest names.
pub fn of_manifest(named: &BTreeMap<String, ManifestEffect>, clock: &Clock) -> anyhow::Result<Effects> {
    let mut effects = BTreeMap::new();
    for (name, effect) in named {
        let http = HttpEffect::new(name.clone(), effect.clone(), clock.clone())?;
        effects.insert(name.clone(), Arc::new(http) as Arc<dyn Effect>);
    }
    Ok(Effects::new(effects))
}

//! What is in force and decides nothing: handler by handler, since none of them depends on another. One that cannot be
//! loaded keeps no other from being followed.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Failing, Wanted, say_followed};
use crate::registry::{ActiveComponent, Handler, RegistryError, Shelf};
use clearfold_base::digest::Digest;
use clearfold_base::telemetry::with_causes;
use clearfold_sandbox::{Auditor, ComponentKind, Projector, Translator};

pub(super) struct Others {
    shelf: Shelf,
    pub(super) translators: BTreeMap<String, watch::Sender<(u64, Arc<Translator>)>>,
    pub(super) projectors: BTreeMap<String, watch::Sender<Arc<Projector>>>,
    pub(super) auditors: watch::Sender<Vec<Arc<Auditor>>>,
    pub(super) http: BTreeMap<String, watch::Sender<(u64, Digest)>>,
    auditors_by_name: BTreeMap<String, Arc<Auditor>>,
    /// The activation that each follows.
    follows: BTreeMap<Handler, u64>,
    failing: BTreeMap<Handler, Failing>,
}

impl Others {
    pub(super) fn new(shelf: Shelf) -> Self {
        Self {
            shelf,
            translators: BTreeMap::new(),
            projectors: BTreeMap::new(),
            auditors: watch::Sender::default(),
            http: BTreeMap::new(),
            auditors_by_name: BTreeMap::new(),
            follows: BTreeMap::new(),
            failing: BTreeMap::new(),
        }
    }

    /// Loads what is in force; where that does not run here, what was in force before, as a host would that had not been
    /// started again.
    pub(super) async fn begin(&mut self, wanted: &Wanted) -> Result<(), RegistryError> {
        for (handler, in_force) in wanted.others() {
            let refused = match self.take_one(handler, in_force.digest, in_force.since).await {
                Ok(()) => continue,
                Err(error) if error.is_of_the_component() => error,
                Err(error) => return Err(error),
            };
            self.take_one_before(handler, in_force, refused).await?;
        }
        Ok(())
    }

    async fn take_one_before(
        &mut self,
        handler: &Handler,
        in_force: &ActiveComponent,
        refused: RegistryError,
    ) -> Result<(), RegistryError> {
        for (digest, _) in in_force.before.iter().rev() {
            match self.take_one(handler, *digest, 0).await {
                Ok(()) => {
                    let error = with_causes(&refused);
                    tracing::error!(%handler, %digest, error, "what is in force does not run here; beginning with what was before");
                    self.failing.entry(handler.clone()).or_default().tries = 1;
                    return Ok(());
                }
                Err(error) if error.is_of_the_component() => {}
                Err(error) => return Err(error),
            }
        }
        Err(refused)
    }

    /// Follows for ever.
    pub(super) async fn follow(mut self, mut wanted: watch::Receiver<Arc<Wanted>>) {
        loop {
            let soonest = self.failing.values().min_by_key(|failing| failing.tries);
            let again = async {
                match soonest {
                    Some(failing) => failing.again().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = wanted.changed() => if changed.is_err() { return },
                () = again => {}
            }
            let now = Arc::clone(&wanted.borrow_and_update());
            self.take_over(&now).await;
        }
    }

    async fn take_over(&mut self, wanted: &Wanted) {
        for (handler, in_force) in wanted.others() {
            if self.follows.get(handler) == Some(&in_force.since) {
                self.failing.remove(handler);
                continue;
            }
            match self.take_one(handler, in_force.digest, in_force.since).await {
                Ok(()) => {
                    self.failing.remove(handler);
                    say_followed(handler, in_force);
                }
                Err(error) => {
                    let failing = self.failing.entry(handler.clone()).or_default();
                    failing.say(&error, &handler.to_string());
                }
            }
        }
    }

    /// Loads a component and tells whoever uses it; nobody is told if it cannot be loaded.
    async fn take_one(
        &mut self,
        handler: &Handler,
        digest: Digest,
        activation: u64,
    ) -> Result<(), RegistryError> {
        let name = handler.name.clone();
        match handler.kind {
            ComponentKind::Decider => return Ok(()),
            ComponentKind::Translator => {
                let translator = self.shelf.translator(digest).await?;
                tell(&mut self.translators, name, (activation, translator));
            }
            ComponentKind::Projector => {
                let projector = self.shelf.projector(digest).await?;
                let told = self.projectors.get(&name);
                // The same again is no reason to look at the rows again.
                if told.is_none_or(|told| told.borrow().id().digest != digest) {
                    tell(&mut self.projectors, name, projector);
                }
            }
            ComponentKind::Auditor => {
                self.auditors_by_name.insert(name, self.shelf.auditor(digest).await?);
                self.auditors.send_replace(self.auditors_by_name.values().cloned().collect());
            }
            ComponentKind::Http => {
                self.shelf.vouch(digest).await?;
                tell(&mut self.http, name, (activation, digest));
            }
        }
        self.follows.insert(handler.clone(), activation);
        Ok(())
    }
}

impl Wanted {
    fn others(&self) -> impl Iterator<Item = (&Handler, &ActiveComponent)> {
        self.handlers.iter().filter(|(handler, _)| handler.kind != ComponentKind::Decider)
    }
}

fn tell<T>(senders: &mut BTreeMap<String, watch::Sender<T>>, name: String, component: T) {
    match senders.get(&name) {
        Some(sender) => drop(sender.send_replace(component)),
        None => drop(senders.insert(name, watch::Sender::new(component))),
    }
}

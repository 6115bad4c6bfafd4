//! Handlers that decide nothing. Each is followed by a task of its own, since none depends on another: a component that
//! cannot be loaded keeps no other handler from being followed.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;
use tokio::sync::watch;

use super::{FAILURE, LOAD_AGAIN, RECOVERED, WantedHandlers, say_followed};
use crate::registry::{ActiveComponent, Handler, RegistryError, Shelf};
use clearfold_base::digest::Digest;
use clearfold_base::tasks::{Driver, Next, Retry, StepFailure, Task, changed};
use clearfold_base::telemetry::with_causes;
use clearfold_sandbox::{Auditor, ComponentKind, Projector, Translator};

pub(super) struct Others {
    shelf: Shelf,
    pub(super) translators: BTreeMap<String, watch::Sender<(u64, Arc<Translator>)>>,
    pub(super) projectors: BTreeMap<String, watch::Sender<Arc<Projector>>>,
    pub(super) auditors: watch::Sender<Vec<Arc<Auditor>>>,
    pub(super) http: BTreeMap<String, watch::Sender<(u64, Digest)>>,
    auditors_by_name: Mutex<BTreeMap<String, Arc<Auditor>>>,
    /// The activation with which each handler begins; 0 for a component of before.
    begun: BTreeMap<Handler, u64>,
}

/// A component that can be used.
enum Usable {
    Translator(Arc<Translator>),
    Projector(Arc<Projector>),
    Auditor(Arc<Auditor>),
    /// Loaded by the edge, with what it needs there.
    Http,
    /// Followed by itself.
    Decider,
}

/// Follows one handler.
struct FollowOne<'a> {
    others: &'a Others,
    handler: Handler,
    /// The activation that it follows.
    follows: u64,
    wanted: watch::Receiver<Arc<WantedHandlers>>,
}

impl Others {
    pub(super) fn new(shelf: Shelf) -> Self {
        Self {
            shelf,
            translators: BTreeMap::new(),
            projectors: BTreeMap::new(),
            auditors: watch::Sender::default(),
            http: BTreeMap::new(),
            auditors_by_name: Mutex::default(),
            begun: BTreeMap::new(),
        }
    }

    /// Loads the components in force. Where one does not run here, loads the one in force before, as a host that was
    /// not started again would still run it.
    pub(super) async fn begin(&mut self, wanted: &WantedHandlers) -> Result<(), RegistryError> {
        for (handler, in_force) in wanted.others() {
            let refused = match self.load(handler, in_force.digest).await {
                Ok(usable) => {
                    self.first(handler, in_force.digest, in_force.since, usable);
                    continue;
                }
                Err(error) if error.is_of_the_component() => error,
                Err(error) => return Err(error),
            };
            self.begin_with_one_before(handler, in_force, refused).await?;
        }
        Ok(())
    }

    async fn begin_with_one_before(
        &mut self,
        handler: &Handler,
        in_force: &ActiveComponent,
        refused: RegistryError,
    ) -> Result<(), RegistryError> {
        for (digest, _) in in_force.before.iter().rev() {
            match self.load(handler, *digest).await {
                Ok(usable) => {
                    let error = with_causes(&refused);
                    tracing::error!(%handler, %digest, error, "what is in force does not run here; beginning with what was before");
                    self.first(handler, *digest, 0, usable);
                    return Ok(());
                }
                Err(error) if error.is_of_the_component() => {}
                Err(error) => return Err(error),
            }
        }
        Err(refused)
    }

    /// Makes the place where a handler's component is told, with the first one.
    fn first(&mut self, handler: &Handler, digest: Digest, activation: u64, usable: Usable) {
        let name = handler.name.clone();
        self.begun.insert(handler.clone(), activation);
        match usable {
            Usable::Translator(translator) => {
                self.translators.insert(name, watch::Sender::new((activation, translator)));
            }
            Usable::Projector(projector) => {
                self.projectors.insert(name, watch::Sender::new(projector));
            }
            Usable::Auditor(auditor) => self.tell_auditor(name, auditor),
            Usable::Http => {
                self.http.insert(name, watch::Sender::new((activation, digest)));
            }
            Usable::Decider => {}
        }
    }

    /// Follows all of them until the driver stops.
    pub(super) async fn follow(&self, wanted: &watch::Receiver<Arc<WantedHandlers>>, driver: &Driver) {
        let each = self.begun.iter().map(|(handler, begun)| async move {
            let wanted = wanted.clone();
            let mut one = FollowOne { others: self, handler: handler.clone(), follows: *begun, wanted };
            driver.run(format!("{handler} in force"), &mut one).await
        });
        join_all(each).await;
    }

    async fn load(&self, handler: &Handler, digest: Digest) -> Result<Usable, RegistryError> {
        Ok(match handler.kind {
            ComponentKind::Translator => Usable::Translator(self.shelf.translator(digest).await?),
            ComponentKind::Projector => Usable::Projector(self.shelf.projector(digest).await?),
            ComponentKind::Auditor => Usable::Auditor(self.shelf.auditor(digest).await?),
            ComponentKind::Http => {
                self.shelf.vouch(digest).await?;
                Usable::Http
            }
            ComponentKind::Decider | ComponentKind::Saga => Usable::Decider,
        })
    }

    /// Tells a component to the tasks that use it.
    fn tell(&self, handler: &Handler, digest: Digest, activation: u64, usable: Usable) {
        let name = &handler.name;
        match usable {
            Usable::Translator(translator) => send(&self.translators, name, (activation, translator)),
            Usable::Projector(projector) => {
                // The same component again is no reason to look at the rows again.
                let told = self.projectors.get(name);
                if told.is_some_and(|told| told.borrow().id().digest != digest) {
                    send(&self.projectors, name, projector);
                }
            }
            Usable::Auditor(auditor) => self.tell_auditor(name.clone(), auditor),
            Usable::Http => send(&self.http, name, (activation, digest)),
            Usable::Decider => {}
        }
    }

    fn tell_auditor(&self, name: String, auditor: Arc<Auditor>) {
        // A panic between the two lines leaves a map that is whole.
        let mut by_name = self.auditors_by_name.lock().unwrap_or_else(PoisonError::into_inner);
        by_name.insert(name, auditor);
        self.auditors.send_replace(by_name.values().cloned().collect());
    }
}

impl Task for FollowOne<'_> {
    type Output = Infallible;
    type Error = RegistryError;

    async fn step(&mut self) -> Result<Next, RegistryError> {
        let wanted = Arc::clone(&self.wanted.borrow_and_update());
        if let Some(in_force) = wanted.handlers.get(&self.handler)
            && self.follows != in_force.since
        {
            let usable = self.others.load(&self.handler, in_force.digest).await?;
            self.others.tell(&self.handler, in_force.digest, in_force.since, usable);
            self.follows = in_force.since;
            say_followed(&self.handler, in_force);
        }
        Ok(Next::Idle)
    }

    async fn woken(&mut self) {
        changed(&mut self.wanted).await;
    }

    fn retry(&self) -> Retry {
        LOAD_AGAIN
    }

    fn failure(&self, _: &RegistryError) -> StepFailure {
        FAILURE
    }

    fn recovered(&self) -> &'static str {
        RECOVERED
    }
}

impl WantedHandlers {
    fn others(&self) -> impl Iterator<Item = (&Handler, &ActiveComponent)> {
        self.handlers.iter().filter(|(handler, _)| !handler.kind.decides())
    }
}

fn send<T>(senders: &BTreeMap<String, watch::Sender<T>>, name: &str, component: T) {
    if let Some(sender) = senders.get(name) {
        sender.send_replace(component);
    }
}

//! Makes a running host do what was recorded: looks for new activations, loads what they name, and hands it to those who
//! use it. When each begins to use it is their affair, and theirs to record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Activation, Handler, InForce, Registry, RegistryError, Shelf, fold};
use crate::command::{self, Canary, Deciders, LiveDeciders, Running};
use crate::digest::Digest;
use crate::runtime::{Auditor, Kind, Projector, Translator};
use crate::telemetry::chain;

/// How long an activation may go unnoticed by a host.
const LOOK_MS: u64 = 200;

/// A component in force, and the activation that put it there.
pub type InForceNow<T> = watch::Receiver<(u64, T)>;

/// What is in force, for those who use it.
pub struct Live {
    pub deciders: LiveDeciders,
    pub translator: InForceNow<Arc<Translator>>,
    pub projectors: BTreeMap<String, watch::Receiver<Arc<Projector>>>,
    pub auditors: watch::Receiver<Vec<Arc<Auditor>>>,
    /// By component.
    pub http: BTreeMap<String, InForceNow<Digest>>,
}

/// Follows the registry.
pub struct Follower {
    registry: Registry,
    shelf: Shelf,
    /// What the manifest names; what else is activated is another host's.
    handlers: BTreeSet<Handler>,
    known: Vec<Activation>,
    /// By component and family.
    running: BTreeMap<(Digest, Digest), Arc<Running>>,
    deciders: watch::Sender<Arc<Deciders>>,
    translators: BTreeMap<String, watch::Sender<(u64, Arc<Translator>)>>,
    projectors: BTreeMap<String, watch::Sender<Arc<Projector>>>,
    auditors: watch::Sender<Vec<Arc<Auditor>>>,
    http: BTreeMap<String, watch::Sender<(u64, Digest)>>,
}

impl Follower {
    /// Loads all that is in force for these handlers.
    pub async fn begin(
        registry: Registry,
        shelf: Shelf,
        handlers: BTreeSet<Handler>,
    ) -> Result<Self, RegistryError> {
        let mut follower = Self {
            known: registry.activations(0).await?,
            registry,
            shelf,
            handlers,
            running: BTreeMap::new(),
            deciders: watch::Sender::default(),
            translators: BTreeMap::new(),
            projectors: BTreeMap::new(),
            auditors: watch::Sender::default(),
            http: BTreeMap::new(),
        };
        follower.publish().await?;
        Ok(follower)
    }

    /// What is in force, now and later. None: there is no translator.
    #[must_use]
    pub fn live(&self) -> Option<Live> {
        Some(Live {
            deciders: self.deciders.subscribe(),
            translator: self.translators.values().next()?.subscribe(),
            projectors: receivers(&self.projectors),
            auditors: self.auditors.subscribe(),
            http: receivers(&self.http),
        })
    }

    /// A projector that was in force once, if the registry has it.
    pub async fn projector(&mut self, digest: Digest) -> Result<Option<Arc<Projector>>, RegistryError> {
        match self.shelf.projector(digest).await {
            Err(RegistryError::Unknown(_)) => Ok(None),
            projector => projector.map(Some),
        }
    }

    /// Follows until it is told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        // What cannot be followed is said once, not at every look.
        let mut said = String::new();
        loop {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(LOOK_MS)) => {}
                () = stop.cancelled() => return,
            }
            match self.look().await {
                Ok(()) => said.clear(),
                Err(error) => {
                    let error = chain(&error);
                    if error != said {
                        tracing::error!(
                            error,
                            "an activation cannot be followed; going on with what is in force here"
                        );
                        said = error;
                    }
                }
            }
        }
    }

    async fn look(&mut self) -> Result<(), RegistryError> {
        let newest = self.known.last().map_or(0, |activation| activation.activation);
        let new = self.registry.activations(newest).await?;
        if new.is_empty() {
            return Ok(());
        }
        let before = self.known.len();
        self.known.extend(new);
        if let Err(error) = self.publish().await {
            self.known.truncate(before);
            return Err(error);
        }
        for activation in &self.known[before..] {
            let (handler, digest, cause) =
                (&activation.handler, &activation.digest, activation.cause.as_str());
            tracing::info!(activation.activation, %handler, %digest, cause, "activated");
        }
        Ok(())
    }

    /// Loads what is not loaded, then tells everybody; so nobody is told if something cannot be loaded.
    async fn publish(&mut self) -> Result<(), RegistryError> {
        let mut deciders = BTreeMap::new();
        let (mut translators, mut projectors, mut http) = (Vec::new(), Vec::new(), Vec::new());
        let mut auditors = Vec::new();
        let mut handlers = fold(&self.known);
        handlers.retain(|handler, _| self.handlers.contains(handler));
        for (handler, in_force) in &handlers {
            let (digest, since, name) = (in_force.digest, in_force.since, handler.name.clone());
            match handler.kind {
                Kind::Decider => {
                    deciders.insert(name, self.in_force(in_force).await?);
                }
                Kind::Translator => translators.push((name, (since, self.shelf.translator(digest).await?))),
                Kind::Projector => projectors.push((name, self.shelf.projector(digest).await?)),
                Kind::Auditor => auditors.push(self.shelf.auditor(digest).await?),
                Kind::Http => http.push((name, (since, digest))),
            }
        }
        let kept = in_use(&handlers);
        self.running.retain(|(digest, _), _| kept.contains(digest));
        self.shelf.keep_only(&kept);
        tell(&mut self.translators, translators, |one, other| one.0 == other.0);
        tell(&mut self.projectors, projectors, |one, other| one.id().digest == other.id().digest);
        tell(&mut self.http, http, |one, other| one.0 == other.0);
        self.auditors.send_replace(auditors);
        let of_deciders = self.known.iter().filter(|activation| activation.handler.kind == Kind::Decider);
        let through = of_deciders.map(|activation| activation.activation).max().unwrap_or(0);
        if self.deciders.borrow().through < through {
            self.deciders.send_replace(Arc::new(Deciders::new(through, deciders)));
        }
        Ok(())
    }

    async fn in_force(&mut self, in_force: &InForce) -> Result<command::InForce, RegistryError> {
        let stable = self.running(in_force.digest, in_force.family).await?;
        let canary = match &in_force.canary {
            None => None,
            Some(tried) => {
                let running = self.running(tried.digest, tried.family).await?;
                Some(Canary { since: tried.since, trial: tried.trial, running })
            }
        };
        Ok(command::InForce { stable, canary })
    }

    /// The same one for the same component and family, so that its faults are counted together.
    async fn running(
        &mut self,
        digest: Digest,
        family: Option<Digest>,
    ) -> Result<Arc<Running>, RegistryError> {
        let family = family.unwrap_or(digest);
        let decider = self.shelf.decider(digest).await?;
        let running = self.running.entry((digest, family));
        Ok(Arc::clone(running.or_insert_with(|| Arc::new(Running::new(decider, family)))))
    }
}

fn receivers<T>(senders: &BTreeMap<String, watch::Sender<T>>) -> BTreeMap<String, watch::Receiver<T>> {
    senders.iter().map(|(name, sender)| (name.clone(), sender.subscribe())).collect()
}

/// What may be needed at any moment; what else was loaded is loaded again if it comes back.
fn in_use(handlers: &BTreeMap<Handler, InForce>) -> BTreeSet<Digest> {
    let digests = handlers.values().flat_map(|in_force| {
        let canary = in_force.canary.as_ref().map(|tried| tried.digest);
        [Some(in_force.digest), canary]
    });
    digests.flatten().collect()
}

/// Tells those whose component is another one now.
fn tell<T>(
    senders: &mut BTreeMap<String, watch::Sender<T>>,
    in_force: Vec<(String, T)>,
    is_same: fn(&T, &T) -> bool,
) {
    for (name, component) in in_force {
        match senders.get(&name) {
            None => {
                senders.insert(name, watch::Sender::new(component));
            }
            Some(sender) if !is_same(&sender.borrow(), &component) => {
                sender.send_replace(component);
            }
            Some(_) => {}
        }
    }
}

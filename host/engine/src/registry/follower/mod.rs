//! Makes a running host do what was recorded: looks for new activations, loads what they name, and hands it to those who
//! use it. When each begins to use it is their affair, and theirs to record.
//!
//! Deciders are followed apart from all else, so that nothing which cannot be loaded, or takes long, holds up what decides
//! payments. What cannot be followed changes nothing: what was followed before goes on, and it is tried again.

mod deciders;
mod others;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::deciders::FollowedDeciders;
use self::others::Others;
use super::{Activation, ActiveComponent, Handler, Registry, RegistryError, Shelf, fold};
use crate::command::LiveDeciders;
use clearfold_base::digest::Digest;
use clearfold_base::telemetry::with_causes;
use clearfold_sandbox::{Auditor, ComponentKind, Projector, Translator};

/// How long an activation may go unnoticed by a host.
const LOOK_MS: u64 = 200;

/// A component in force, and the activation that put it there; 0 if the one that is in force cannot be loaded here, and
/// this is one of before.
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
    deciders: FollowedDeciders,
    others: Others,
}

/// What shall be in force here.
struct Wanted {
    /// The newest activation of a decider.
    through: u64,
    handlers: BTreeMap<Handler, ActiveComponent>,
}

/// What could not be followed: said once, and tried again after pauses that grow.
#[derive(Default)]
struct Failing {
    said: String,
    tries: u32,
}

impl Follower {
    /// Loads all that is in force for these handlers.
    pub async fn begin(
        registry: Registry,
        shelf: Shelf,
        handlers: BTreeSet<Handler>,
    ) -> Result<Self, RegistryError> {
        let known = registry.activations(0).await?;
        Self::begin_with(known, registry, shelf, handlers).await
    }

    /// The same after these activations, whether they were recorded or not.
    pub async fn begin_with(
        known: Vec<Activation>,
        registry: Registry,
        shelf: Shelf,
        handlers: BTreeSet<Handler>,
    ) -> Result<Self, RegistryError> {
        let (deciders, others) = (FollowedDeciders::new(shelf.clone()), Others::new(shelf.clone()));
        let mut follower = Self { registry, shelf, handlers, known, deciders, others };
        let wanted = follower.wanted();
        follower.deciders.take_over(&wanted).await?;
        follower.others.begin(&wanted).await?;
        Ok(follower)
    }

    /// What is in force, now and later. None: there is no translator.
    #[must_use]
    pub fn live(&self) -> Option<Live> {
        Some(Live {
            deciders: self.deciders.told.subscribe(),
            translator: self.others.translators.values().next()?.subscribe(),
            projectors: receivers(&self.others.projectors),
            auditors: self.others.auditors.subscribe(),
            http: receivers(&self.others.http),
        })
    }

    /// A projector that was in force once, if the registry has it and it can still be loaded.
    pub async fn projector(&mut self, digest: Digest) -> Result<Option<Arc<Projector>>, RegistryError> {
        match self.shelf.projector(digest).await {
            Err(RegistryError::Unknown(_)) => Ok(None),
            Err(error) if error.is_of_the_component() => {
                let error = with_causes(&error);
                tracing::warn!(%digest, error, "what made the rows that are read does not run here; they stand still \
                    until they are built anew");
                Ok(None)
            }
            projector => projector.map(Some),
        }
    }

    /// Follows until it is told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let wanted = watch::Sender::new(Arc::new(self.wanted()));
        let Self { registry, handlers, known, deciders, others, .. } = self;
        let (to_deciders, to_others) = (wanted.subscribe(), wanted.subscribe());
        tokio::select! {
            () = look(registry, handlers, known, wanted) => {}
            () = deciders.follow(to_deciders) => {}
            () = others.follow(to_others) => {}
            () = stop.cancelled() => {}
        }
    }

    fn wanted(&self) -> Wanted {
        Wanted::after(&self.known, &self.handlers)
    }
}

/// Tells what shall be in force whenever something was activated.
async fn look(
    registry: Registry,
    handlers: BTreeSet<Handler>,
    mut known: Vec<Activation>,
    wanted: watch::Sender<Arc<Wanted>>,
) {
    let mut failing = Failing::default();
    loop {
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        let newest = known.last().map_or(0, |activation| activation.activation);
        match registry.activations(newest).await {
            Ok(new) if new.is_empty() => failing = Failing::default(),
            Ok(new) => {
                failing = Failing::default();
                known.extend(new);
                wanted.send_replace(Arc::new(Wanted::after(&known, &handlers)));
            }
            Err(error) => failing.say(&error, "the registry"),
        }
    }
}

impl Wanted {
    fn after(known: &[Activation], handlers: &BTreeSet<Handler>) -> Self {
        let of_deciders = known.iter().filter(|activation| activation.handler.kind == ComponentKind::Decider);
        let through = of_deciders.map(|activation| activation.activation).max().unwrap_or(0);
        let mut in_force = fold(known);
        in_force.retain(|handler, _| handlers.contains(handler));
        Self { through, handlers: in_force }
    }
}

impl Failing {
    /// Says what cannot be followed, unless that was said.
    fn say(&mut self, error: &RegistryError, what: &str) {
        self.tries = self.tries.saturating_add(1);
        let error = with_causes(error);
        if error != self.said {
            tracing::error!(
                what,
                error,
                "an activation cannot be followed; going on with what is in force here, and trying again"
            );
            self.said = error;
        }
    }

    /// Waits until it is to be tried again; for ever if there is nothing to try.
    async fn again(&self) {
        /// The longest pause is 51 seconds.
        const DOUBLED: u32 = 8;
        if self.tries == 0 {
            return std::future::pending().await;
        }
        tokio::time::sleep(Duration::from_millis(LOOK_MS << self.tries.min(DOUBLED))).await;
    }
}

/// Says that this host follows an activation.
fn say_followed(handler: &Handler, in_force: &ActiveComponent) {
    let (activation, digest) = (in_force.newest, in_force.digest);
    let canary = in_force.canary.as_ref().map(|tried| tracing::field::display(tried.digest));
    tracing::info!(activation, %handler, %digest, canary, "activated");
}

fn receivers<T>(senders: &BTreeMap<String, watch::Sender<T>>) -> BTreeMap<String, watch::Receiver<T>> {
    senders.iter().map(|(name, sender)| (name.clone(), sender.subscribe())).collect()
}

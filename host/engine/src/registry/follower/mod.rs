//! Makes a running host follow the registry: looks for new activations, loads their components, and hands these to the
//! tasks that use them. Each of those decides when it begins to use one, and records it.
//!
//! Deciders are followed apart from all else, so that a component that cannot be loaded, or takes long, holds up
//! nothing that decides payments. An activation that cannot be followed changes nothing: the component followed before
//! goes on, and the activation is retried with backoff.

mod deciders;
mod others;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use self::deciders::{FollowDeciders, FollowedDeciders};
use self::others::Others;
use super::{Activation, ActiveComponent, Handler, Registry, RegistryError, Shelf, fold};
use crate::command::LiveDeciders;
use clearfold_base::database::with_time_out;
use clearfold_base::digest::Digest;
use clearfold_base::tasks::{Driver, Next, Retry, StepFailure, Task};
use clearfold_base::telemetry::with_causes;
use clearfold_sandbox::{Auditor, Projector, Translator};

/// Longest time for which an activation goes unnoticed by a host.
const LOOK: Duration = Duration::from_millis(200);
/// Longest pause after the registry could not be read: a database that is back is noticed soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Pauses before a component that could not be loaded is tried again. With their random part they grow to a minute.
const LOAD_AGAIN: Retry = Retry { least: Duration::from_millis(400), longest: Duration::from_secs(30) };

const FAILURE: StepFailure = StepFailure::error(
    "an activation cannot be followed; going on with what is in force here, and trying again",
)
.or_when_woken();
const RECOVERED: &str = "activations are followed again";

/// The component in force, and the activation that put it in force; 0 if the component in force cannot be loaded here,
/// and this is an earlier one.
pub type InForceNow<T> = watch::Receiver<(u64, T)>;

/// Components in force, for the tasks that use them.
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
    /// Handlers that the manifest names; activations of others concern other hosts.
    handlers: BTreeSet<Handler>,
    known: Vec<Activation>,
    deciders: FollowedDeciders,
    others: Others,
}

/// Handlers with the components that must be in force here.
struct WantedHandlers {
    /// The newest activation of a decider; 0 if there is none.
    through: u64,
    handlers: BTreeMap<Handler, ActiveComponent>,
}

/// Reads new activations, and tells the wanted components to the tasks that load them.
struct Look {
    registry: Registry,
    handlers: BTreeSet<Handler>,
    known: Vec<Activation>,
    wanted: watch::Sender<Arc<WantedHandlers>>,
}

impl Follower {
    /// Loads all components in force for these handlers.
    pub async fn begin(
        registry: Registry,
        shelf: Shelf,
        handlers: BTreeSet<Handler>,
    ) -> Result<Self, RegistryError> {
        let known = registry.activations(0).await?;
        Self::begin_with(known, registry, shelf, handlers).await
    }

    /// Loads all components in force after these activations, whether they were recorded or not.
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

    /// Components in force, now and later. `None` if there is no translator.
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

    /// Loads a projector that was in force before, if the registry has it and it still runs here.
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
    pub async fn run(self, driver: Driver) {
        let wanted = watch::Sender::new(Arc::new(self.wanted()));
        let Self { registry, handlers, known, deciders, others, .. } = self;
        let mut deciders = FollowDeciders { deciders, wanted: wanted.subscribe() };
        let to_others = wanted.subscribe();
        let mut look = Look { registry, handlers, known, wanted };
        tokio::join!(
            driver.run("registry", &mut look),
            driver.run("deciders in force", &mut deciders),
            others.follow(&to_others, &driver),
        );
    }

    fn wanted(&self) -> WantedHandlers {
        WantedHandlers::after(&self.known, &self.handlers)
    }
}

impl Task for Look {
    type Output = Infallible;
    type Error = RegistryError;

    async fn step(&mut self) -> Result<Next, RegistryError> {
        // Activations are numbered from 1, so 0 lies before the first.
        let newest = self.known.last().map_or(0, |activation| activation.activation);
        let new = with_time_out(self.registry.activations(newest)).await?;
        if !new.is_empty() {
            self.known.extend(new);
            self.wanted.send_replace(Arc::new(WantedHandlers::after(&self.known, &self.handlers)));
        }
        Ok(Next::WaitFor(LOOK))
    }

    fn retry(&self) -> Retry {
        Retry { least: LOOK, longest: LONGEST_PAUSE }
    }

    fn failure(&self, _: &RegistryError) -> StepFailure {
        FAILURE
    }

    fn recovered(&self) -> &'static str {
        RECOVERED
    }
}

impl WantedHandlers {
    fn after(known: &[Activation], handlers: &BTreeSet<Handler>) -> Self {
        let of_deciders = known.iter().filter(|activation| activation.handler.kind.decides());
        let through = of_deciders.map(|activation| activation.activation).max().unwrap_or(0);
        let mut in_force = fold(known);
        in_force.retain(|handler, _| handlers.contains(handler));
        Self { through, handlers: in_force }
    }
}

/// Logs that this host follows an activation.
fn say_followed(handler: &Handler, in_force: &ActiveComponent) {
    let (activation, digest) = (in_force.newest, in_force.digest);
    let canary = in_force.canary.as_ref().map(|tried| tracing::field::display(tried.digest));
    tracing::info!(activation, %handler, %digest, canary, "activated");
}

fn receivers<T>(senders: &BTreeMap<String, watch::Sender<T>>) -> BTreeMap<String, watch::Receiver<T>> {
    senders.iter().map(|(name, sender)| (name.clone(), sender.subscribe())).collect()
}

//! Deciders in force, as the writers use them. No decider is ever left out: either all are known up to an activation,
//! or the deciders known before go on.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use tokio::sync::watch;

use super::{FAILURE, LOAD_AGAIN, RECOVERED, WantedHandlers, say_followed};
use crate::command::{ActiveDecider, AggregateDeciders, Canary, Deciders};
use crate::registry::{ActiveComponent, RegistryError, Shelf};
use crate::saga::SagaDecider;
use clearfold_base::digest::Digest;
use clearfold_base::tasks::{Next, Retry, StepFailure, Task, changed};
use clearfold_sandbox::ComponentKind;

pub(super) struct FollowedDeciders {
    shelf: Shelf,
    running: BTreeMap<RunningKey, Arc<ActiveDecider>>,
    pub(super) told: watch::Sender<Arc<Deciders>>,
}

/// Component and family; for a saga also the versions whose instances were moved, and whether there are other versions.
type RunningKey = (Digest, Digest, BTreeMap<Digest, Digest>, bool);

/// Task that loads the wanted deciders each time the set of wanted ones changes.
pub(super) struct FollowDeciders {
    pub(super) deciders: FollowedDeciders,
    pub(super) wanted: watch::Receiver<Arc<WantedHandlers>>,
}

impl FollowedDeciders {
    pub(super) fn new(shelf: Shelf) -> Self {
        Self { shelf, running: BTreeMap::new(), told: watch::Sender::default() }
    }

    /// Loads what is not loaded, then tells the writers. If one decider cannot be loaded, the writers are told nothing:
    /// they record that they follow up to an activation, and that must be true of every decider.
    pub(super) async fn take_over(&mut self, wanted: &WantedHandlers) -> Result<(), RegistryError> {
        if self.told.borrow().through >= wanted.through {
            return Ok(());
        }
        let mut deciders = BTreeMap::new();
        for (handler, in_force) in &wanted.handlers {
            if handler.kind.decides() {
                deciders.insert(handler.aggregate(), self.in_force(handler.kind, in_force).await?);
            }
        }
        let used: Vec<Arc<ActiveDecider>> = deciders
            .values()
            .flat_map(|in_force| {
                let canary = in_force.canary.as_ref().map(|canary| Arc::clone(&canary.running));
                [Some(Arc::clone(&in_force.stable)), canary].into_iter().flatten()
            })
            .collect();
        self.running.retain(|_, running| used.iter().any(|used| Arc::ptr_eq(used, running)));
        let paused = wanted.handlers.iter().filter(|(_, in_force)| in_force.is_paused);
        let paused = paused.map(|(handler, _)| handler.aggregate()).collect();
        self.told.send_replace(Arc::new(Deciders::new(wanted.through, deciders).pausing(paused)));
        Ok(())
    }

    async fn in_force(
        &mut self,
        kind: ComponentKind,
        in_force: &ActiveComponent,
    ) -> Result<AggregateDeciders, RegistryError> {
        let stable = self.running(kind, in_force, in_force.digest, in_force.family).await?;
        let canary = match &in_force.canary {
            None => None,
            Some(tried) => {
                let running = self.running(kind, in_force, tried.digest, tried.family).await?;
                Some(Canary { since: tried.since, trial: tried.trial, running })
            }
        };
        Ok(AggregateDeciders { stable, canary })
    }

    /// The same decider for the same component and family, so that its faults are counted together.
    async fn running(
        &mut self,
        kind: ComponentKind,
        now: &ActiveComponent,
        digest: Digest,
        family: Option<Digest>,
    ) -> Result<Arc<ActiveDecider>, RegistryError> {
        // A component of no family begins its own.
        let family = family.unwrap_or(digest);
        let active = if kind == ComponentKind::Saga {
            let saga = SagaDecider::new(self.shelf.saga(digest).await?);
            let saga = saga.with_versions(Arc::new(self.shelf.clone()), now.moves.clone());
            ActiveDecider::of_saga(&Arc::new(saga), family, now.has_others)
        } else {
            ActiveDecider::new(self.shelf.decider(digest).await?, family)
        };
        let running = self.running.entry((digest, family, now.moves.clone(), now.has_others));
        Ok(Arc::clone(running.or_insert_with(|| Arc::new(active))))
    }
}

impl Task for FollowDeciders {
    type Output = Infallible;
    type Error = RegistryError;

    async fn step(&mut self) -> Result<Next, RegistryError> {
        let now = Arc::clone(&self.wanted.borrow_and_update());
        let before = self.deciders.told.borrow().through;
        self.deciders.take_over(&now).await?;
        let new = now
            .handlers
            .iter()
            .filter(|(handler, in_force)| handler.kind.decides() && in_force.newest > before);
        new.for_each(|(handler, in_force)| say_followed(handler, in_force));
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

//! Keeps the inbox to its retention period: its shorter periods end as a whole, so that nothing is deleted row by row.

use std::convert::Infallible;
use std::time::Duration;

use clearfold_base::clock::Clock;
use clearfold_base::tasks::{Driver, Next, Retry, StepFailure, Task};
use clearfold_store::{EventStore, Retention, StoreError};

/// Time between two looks. The periods are days long.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// First pause after a failure. A statement that holds up appends is given up soon, so this is common.
const RETRY_AFTER: Duration = Duration::from_secs(60);

struct Keeper {
    store: EventStore,
    clock: Clock,
    retention: Retention,
}

/// Looks after the inbox until it is told to stop.
pub async fn run(store: EventStore, clock: Clock, retention: Retention, driver: Driver) {
    driver.run("inbox keeper", &mut Keeper { store, clock, retention }).await;
}

impl Task for Keeper {
    type Output = Infallible;
    type Error = StoreError;

    async fn step(&mut self) -> Result<Next, StoreError> {
        self.store.keep_inbox(self.clock.now(), self.retention).await?;
        Ok(Next::WaitFor(EVERY))
    }

    fn retry(&self) -> Retry {
        Retry { least: RETRY_AFTER, longest: EVERY }
    }

    fn failure(&self, _: &StoreError) -> StepFailure {
        StepFailure::warning("the inbox was not tidied; trying again later")
    }
}

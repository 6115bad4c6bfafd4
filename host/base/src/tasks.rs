//! The parts of the host that run side by side: listener, writers, outbox, projections, API.
//!
//! None of them may end before it is told to. One that does, by a panic or by itself, takes the others down in
//! order and is named: a host that looks alive and does nothing would be worse.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// How long the parts may take to finish what they have begun.
const SHUTDOWN_MS: u64 = 10_000;

/// A part ended that never should.
#[derive(Debug, thiserror::Error)]
#[error("the {name} ended ({why}); the host stopped, and what was committed is safe: start it again")]
pub struct PartEnded {
    name: &'static str,
    why: String,
}

/// Running parts.
#[derive(Default)]
pub struct Parts {
    running: JoinSet<()>,
    names: BTreeMap<Id, &'static str>,
    stop: CancellationToken,
}

impl Parts {
    /// Tells the parts when to stop.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Starts a part.
    pub fn spawn(&mut self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        let id = self.running.spawn(part).id();
        self.names.insert(id, name);
    }

    /// Runs until `told` to stop, then stops all parts. Being told again cuts off what has not stopped.
    pub async fn run_until<F: Future<Output = ()>>(mut self, told: impl Fn() -> F) -> Result<(), PartEnded> {
        let ended = tokio::select! {
            () = told() => None,
            ended = self.running.join_next_with_id() => ended.map(|ended| self.name(ended)),
        };
        tracing::info!("stopping");
        self.stop.cancel();
        tokio::select! {
            () = self.drain() => tracing::info!("stopped"),
            () = tokio::time::sleep(Duration::from_millis(SHUTDOWN_MS)) => self.cut_off(),
            () = told() => self.cut_off(),
        }
        ended.map_or(Ok(()), Err)
    }

    fn name(&mut self, ended: Result<(Id, ()), JoinError>) -> PartEnded {
        let (id, why) = match ended {
            Ok((id, ())) => (id, "by itself".to_owned()),
            Err(error) => (error.id(), error.to_string()),
        };
        PartEnded { name: self.names.remove(&id).unwrap_or("part"), why }
    }

    async fn drain(&mut self) {
        while let Some(ended) = self.running.join_next_with_id().await {
            let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
            self.names.remove(&id);
        }
    }

    fn cut_off(&mut self) {
        let names: Vec<&str> = self.names.values().copied().collect();
        tracing::warn!(parts = ?names, "cut off what did not stop in time; what was committed is safe");
        self.running.abort_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_ends_takes_the_others_down_and_is_named() {
        for panics in [false, true] {
            let mut parts = Parts::default();
            let stop = parts.stop();
            parts.spawn("patient", async move { stop.cancelled().await });
            parts.spawn("hasty", async move { assert!(!panics, "it fell over") });
            let ended = parts.run_until(std::future::pending).await.unwrap_err();
            assert_eq!(ended.name, "hasty");
        }
    }

    #[tokio::test]
    async fn a_part_that_does_not_stop_is_cut_off_when_told_again() {
        let mut parts = Parts::default();
        parts.spawn("deaf", std::future::pending());
        assert!(parts.run_until(|| std::future::ready(())).await.is_ok());
    }
}

//! The translator in use, with the filters of the logs that it asks for.
//!
//! Another translator takes over from the next range on, if it can read the contract set of this chain. One that fails
//! is asked again with backoff, because a missed deadline is temporary, and the one before goes on meanwhile.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use alloy::rpc::types::Filter;
use tokio::sync::watch;

use super::fetch;
use clearfold_base::blocking::{Panicked, blocking};
use clearfold_base::tasks::{Next, Retry, StepFailure, Task, changed};
use clearfold_sandbox::{Fault, Translator};

/// Pauses before a translator that could not name its filters is asked again.
const ASK_AGAIN: Retry = Retry { least: Duration::from_secs(1), longest: Duration::from_secs(30) };

/// A translator, and the filters that it named.
#[derive(Clone)]
pub(super) struct Translation {
    pub translator: Arc<Translator>,
    pub filters: Arc<[Filter]>,
}

/// Reason why a call of the translator gave no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum TranslatorCallError {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

/// Reason why a translator does not take over.
#[derive(Debug, thiserror::Error)]
pub(super) enum TakeoverError {
    #[error(transparent)]
    Call(#[from] TranslatorCallError),
    #[error(
        "the translator is of chain {of_component}, and the listener follows chain {chain_id}; activate one of this \
         chain"
    )]
    OtherChain { chain_id: u64, of_component: u64 },
}

/// Asks each translator that comes into force for its filters, and hands it to the listener.
pub(super) struct FollowTranslator {
    chain_id: u64,
    /// The translator in force, with the activation that put it there.
    live: watch::Receiver<(u64, Arc<Translator>)>,
    told: watch::Sender<Translation>,
    asked: Asked,
}

/// The activation whose translator was asked last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Asked {
    activation: Option<u64>,
    /// True if the one asked before it was another one.
    is_other: bool,
}

impl FollowTranslator {
    /// Begins with a translator whose filters are known.
    pub(super) fn new(
        chain_id: u64,
        mut live: watch::Receiver<(u64, Arc<Translator>)>,
        filters: &[clearfold_kernel::LogFilter],
    ) -> Self {
        let translator = Arc::clone(&live.borrow_and_update().1);
        let told = watch::Sender::new(Translation { translator, filters: fetch::filters(filters).into() });
        Self { chain_id, live, told, asked: Asked::default() }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Translation> {
        self.told.subscribe()
    }
}

impl Task for FollowTranslator {
    type Output = Infallible;
    type Error = TakeoverError;

    async fn step(&mut self) -> Result<Next, TakeoverError> {
        let (activation, newest) = self.live.borrow_and_update().clone();
        if Arc::ptr_eq(&newest, &self.told.borrow().translator) {
            return Ok(Next::Idle);
        }
        self.asked.ask(activation);
        let asked = Arc::clone(&newest);
        let selection = blocking(move || asked.filters()).await.map_err(TranslatorCallError::from)?;
        let selection = selection.map_err(TranslatorCallError::from)?;
        check_chain(self.chain_id, selection.chain_id)?;
        let filters = fetch::filters(&selection.filters).into();
        self.told.send_replace(Translation { translator: newest, filters });
        tracing::info!(activation, "another translator translates from the next range on");
        Ok(Next::Idle)
    }

    async fn woken(&mut self) {
        changed(&mut self.live).await;
    }

    fn retry(&self) -> Retry {
        ASK_AGAIN
    }

    fn failure(&self, _: &TakeoverError) -> StepFailure {
        let failure = StepFailure::error(
            "the translator cannot be used; going on with the one before, and asking it again",
        );
        // A new translator does not inherit the backoff of the one before it.
        let failure = if self.asked.is_other { failure.asking_otherwise() } else { failure };
        failure.or_when_woken()
    }

    fn recovered(&self) -> &'static str {
        "the translator was asked again and answered"
    }
}

fn check_chain(chain_id: u64, of_component: u64) -> Result<(), TakeoverError> {
    if chain_id == of_component { Ok(()) } else { Err(TakeoverError::OtherChain { chain_id, of_component }) }
}

impl Asked {
    fn ask(&mut self, activation: u64) {
        *self = Self { activation: Some(activation), is_other: self.activation != Some(activation) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_translator_of_another_chain_is_a_failure_that_names_both() {
        assert!(check_chain(100, 100).is_ok());
        let error = check_chain(100, 1).unwrap_err().to_string();
        assert!(error.contains("of chain 1,") && error.contains("follows chain 100"), "{error}");
    }

    #[test]
    fn another_translator_is_told_from_one_that_is_asked_again() {
        let mut asked = Asked::default();
        let is_other = [7, 7, 8, 8, 7].map(|activation| {
            asked.ask(activation);
            asked.is_other
        });
        assert_eq!(is_other, [true, false, true, false, true]);
    }
}

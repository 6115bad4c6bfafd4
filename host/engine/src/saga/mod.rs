//! Sagas: workflows whose instances are streams. What an event causes is decided and committed with it (ADR 0019).
//!
//! ```text
//! follow      says what follows from a decided command (pure)
//! decider     a saga as the write path knows it: a decider
//! operations  what operators do with an instance
//! migration   trial of the version to which instances are to be moved
//! recorded    instances folded from their stored events
//! view        an instance as operators see it (pure)
//! machine     order, attempts, delays, compensation of one instance; orders of operators (pure)
//! instance    state of an instance, folded from its events (pure)
//! event       events of an instance          input    inputs of an instance
//! logic       what the machine asks          sandboxed  the component that answers
//! versions    versions that are not in force, for instances that began on them
//! content     bytes that the host does not look into
//! ```

mod content;
mod decider;
mod event;
pub(crate) mod follow;
mod input;
mod instance;
mod logic;
mod machine;
mod migration;
mod operations;
mod recorded;
mod sandboxed;
#[cfg(test)]
mod tests;
mod versions;
mod view;

#[cfg(test)]
pub(crate) use self::tests::Spelled;
pub(crate) use decider::PREFIX;
pub use decider::{SagaDecider, load_deciding};
pub(crate) use event::{PARKING, without_version};
pub(crate) use follow::AskedBy;
pub use follow::Outcome;
pub use input::Resolution;
pub(crate) use logic::{SagaLogic, SagaVersions};
pub(crate) use migration::{FollowedInstance, OpenInstance, Trial};
pub use migration::{StuckInstance, TrialReport};
pub use operations::{OrderedAction, SagaError, SagaOperations, SagaOrder};
pub(crate) use recorded::{WaitsFor, began_on};
pub use view::{
    AttemptView, CommandView, ContradictionView, EffectView, FlowView, InstanceState, InstanceView,
    OrderView, RefusalView, StepView, WaitingEventView,
};

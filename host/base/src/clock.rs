//! The one place where the wall clock is read. All other code is given the time.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clearfold_kernel::Timestamp;

/// Source of the time. Tests bring their own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::new(system_now)
    }

    /// A clock that calls `now`.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Returns the time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn system_now() -> Timestamp {
    // A clock before 1970 or beyond 9999 is broken. The epoch then stands for whatever it shows.
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ms = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_ms(ms).or(Timestamp::from_ms(0)).unwrap_or_else(|| unreachable!("0 ms is a time"))
}

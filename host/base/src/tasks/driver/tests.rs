//! The driver's pauses, its statuses, and what it says of failures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use clearfold_kernel::Timestamp;
use tokio::sync::Notify;

use super::*;

/// Long enough for a test to fail rather than to wait for it.
const NEVER: Duration = Duration::from_secs(3600);

#[derive(Debug, thiserror::Error)]
#[error("failure {0}")]
struct Refused(u32);

/// Fails some times, then succeeds, then ends with the number of its steps.
struct Flaky {
    failures: u32,
    ends_after: u32,
    steps: u32,
    retry: Retry,
}

impl Task for Flaky {
    type Output = u32;
    type Error = Refused;

    async fn step(&mut self) -> Result<Next<u32>, Refused> {
        self.steps += 1;
        if self.steps <= self.failures {
            return Err(Refused(self.steps));
        }
        Ok(if self.steps == self.ends_after { Next::End(self.steps) } else { Next::Idle })
    }

    fn retry(&self) -> Retry {
        self.retry
    }

    fn failure(&self, _: &Refused) -> StepFailure {
        StepFailure::error("the test's step failed")
    }
}

/// Counts its steps, and waits as it is told until it is woken.
struct Waiting {
    next: Next,
    bell: Arc<Notify>,
    steps: Arc<AtomicU32>,
}

impl Task for Waiting {
    type Output = Infallible;
    type Error = Refused;

    async fn step(&mut self) -> Result<Next, Refused> {
        self.steps.fetch_add(1, Ordering::Relaxed);
        Ok(self.next)
    }

    async fn woken(&mut self) {
        self.bell.notified().await;
    }

    fn retry(&self) -> Retry {
        Retry { least: NEVER, longest: NEVER }
    }

    fn failure(&self, _: &Refused) -> StepFailure {
        StepFailure::warning("the test's step failed")
    }
}

/// Fails at each step with one kind of failure, and is woken all the time.
struct Pestered {
    failure: StepFailure,
    steps: Arc<AtomicU32>,
    retry: Retry,
}

impl Task for Pestered {
    type Output = Infallible;
    type Error = Refused;

    async fn step(&mut self) -> Result<Next, Refused> {
        Err(Refused(self.steps.fetch_add(1, Ordering::Relaxed)))
    }

    async fn woken(&mut self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    fn retry(&self) -> Retry {
        self.retry
    }

    fn failure(&self, _: &Refused) -> StepFailure {
        self.failure
    }
}

/// Fails at every second step, and does other work in between.
struct HalfStuck {
    steps: u32,
}

impl Task for HalfStuck {
    type Output = Infallible;
    type Error = Refused;

    async fn step(&mut self) -> Result<Next, Refused> {
        self.steps += 1;
        if self.steps.is_multiple_of(2) { Ok(Next::Again) } else { Err(Refused(0)) }
    }

    fn retry(&self) -> Retry {
        Retry { least: Duration::from_millis(1), longest: Duration::from_millis(1) }
    }

    fn failure(&self, _: &Refused) -> StepFailure {
        StepFailure::error("the test's step failed")
    }

    fn is_still_failing(&self) -> bool {
        true
    }
}

fn driver() -> Driver {
    Driver::new(CancellationToken::new(), Clock::new(|| Timestamp::from_s(7).unwrap()))
}

async fn eventually(holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come to that within 5 s");
}

#[tokio::test]
async fn a_step_that_fails_is_retried_after_growing_pauses_and_recovers() {
    let retry = Retry { least: Duration::from_millis(20), longest: Duration::from_millis(40) };
    let mut task = Flaky { failures: 3, ends_after: 4, steps: 0, retry };
    let began = Instant::now();
    assert_eq!(driver().run("flaky", &mut task).await, Some(4));
    // 20 + 40 + 40 ms, each plus at most as much.
    assert!(began.elapsed() >= Duration::from_millis(100), "{:?}", began.elapsed());
}

#[test]
fn pauses_double_up_to_the_longest_with_a_random_part() {
    let retry = Retry { least: Duration::from_millis(100), longest: Duration::from_millis(300) };
    let pauses: Vec<u128> = backoff(retry).build().take(4).map(|pause| pause.as_millis()).collect();
    for (pause, least) in pauses.iter().zip([100, 200, 300, 300]) {
        assert!((least..=2 * least).contains(pause), "{pauses:?}");
    }
}

#[test]
fn a_failure_is_logged_when_its_reason_is_new_or_its_time_has_come_again() {
    let retry = Retry { least: Duration::from_millis(1), longest: NEVER };
    let (mut failing, failure) = (Failing::none(retry), StepFailure::error("failed"));
    let long_ago = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
    let mut is_logged_anew = |error: &str, failure| {
        if let Some((_, at)) = &mut failing.logged {
            *at = long_ago;
        }
        failing.failed("test", failure, error.to_owned(), 1, retry);
        failing.logged.as_ref().is_some_and(|(logged, at)| logged == error && *at > long_ago)
    };
    assert!(is_logged_anew("away", failure));
    assert!(!is_logged_anew("away", failure));
    assert!(is_logged_anew("full", failure));
    assert!(!is_logged_anew("full", failure.repeated_every(NEVER)));
    assert!(is_logged_anew("full", failure.repeated_every(Duration::from_secs(30))));
}

#[test]
fn a_failure_after_which_something_else_is_asked_does_not_lengthen_the_pause() {
    let retry = Retry { least: Duration::from_millis(100), longest: NEVER };
    let mut failing = Failing::none(retry);
    let failure = StepFailure::error("failed").asking_otherwise();
    for failures in 1..20 {
        let pause = failing.failed("test", failure, "refused".to_owned(), failures, retry);
        assert!(pause <= Duration::from_millis(200), "{pause:?}");
    }
}

#[tokio::test]
async fn a_wake_ends_the_wait_with_a_time_and_the_one_without() {
    for next in [Next::WaitFor(NEVER), Next::Idle] {
        let (bell, steps) = (Arc::new(Notify::new()), Arc::new(AtomicU32::new(0)));
        let mut task = Waiting { next, bell: Arc::clone(&bell), steps: Arc::clone(&steps) };
        let driver = driver();
        let woken = async {
            eventually(|| steps.load(Ordering::Relaxed) == 1).await;
            bell.notify_one();
            eventually(|| steps.load(Ordering::Relaxed) == 2).await;
            driver.stop().cancel();
        };
        let (ended, ()) = tokio::join!(driver.run("waiting", &mut task), woken);
        assert_eq!(ended, None);
    }
}

#[tokio::test]
async fn a_wake_shortens_the_pause_after_a_failure_only_if_it_asks_for_other_work() {
    let steps_within = async |failure, least| {
        let steps = Arc::new(AtomicU32::new(0));
        let retry = Retry { least, longest: NEVER };
        let mut task = Pestered { failure, steps: Arc::clone(&steps), retry };
        let (driver, mut waited) = (driver(), false);
        tokio::select! {
            _ = driver.run("pestered", &mut task) => {}
            () = tokio::time::sleep(Duration::from_millis(250)) => waited = true,
        }
        assert!(waited);
        steps.load(Ordering::Relaxed)
    };
    let failure = StepFailure::error("the test's step failed");
    let steps = steps_within(failure, Duration::from_millis(100)).await;
    assert!(steps <= 4, "{steps} steps");
    let steps = steps_within(failure.or_when_woken(), NEVER).await;
    assert!(steps > 4, "{steps} steps");
}

#[tokio::test]
async fn a_failure_that_lasts_stays_in_the_status_while_other_work_succeeds() {
    let (driver, mut task) = (driver(), HalfStuck { steps: 0 });
    let look = async {
        let lasts = || driver.statuses().list().iter().any(|status| status.consecutive_failures >= 3);
        eventually(lasts).await;
        assert_eq!(driver.statuses().list()[0].last_success, None);
        driver.stop().cancel();
    };
    let (ended, ()) = tokio::join!(driver.run("half stuck", &mut task), look);
    assert_eq!(ended, None);
}

#[tokio::test]
async fn cancellation_ends_a_wait_a_pause_before_a_retry_and_a_step() {
    struct Stuck;
    impl Task for Stuck {
        type Output = Infallible;
        type Error = Refused;
        async fn step(&mut self) -> Result<Next, Refused> {
            pending().await
        }
        fn retry(&self) -> Retry {
            Retry { least: NEVER, longest: NEVER }
        }
        fn failure(&self, _: &Refused) -> StepFailure {
            StepFailure::error("the test's step failed")
        }
    }
    let (driver, mut stuck) = (driver(), Stuck);
    let (bell, steps) = (Arc::default(), Arc::new(AtomicU32::new(0)));
    let mut waiting = Waiting { next: Next::Idle, bell, steps: Arc::clone(&steps) };
    let retry = Retry { least: NEVER, longest: NEVER };
    let mut failing = Flaky { failures: u32::MAX, ends_after: 0, steps: 0, retry };
    let stop = async {
        eventually(|| driver.statuses().list().iter().any(|status| status.consecutive_failures == 1)).await;
        eventually(|| steps.load(Ordering::Relaxed) == 1).await;
        driver.stop().cancel();
    };
    let ended = tokio::join!(
        driver.run("waiting", &mut waiting),
        driver.run("failing", &mut failing),
        driver.run("stuck", &mut stuck),
        stop,
    );
    assert_eq!(ended, (None, None, None, ()));
    assert_eq!(driver.statuses().list(), []);
}

#[tokio::test]
async fn the_status_tells_the_last_success_the_last_error_and_the_failures_in_a_row() {
    let driver = driver();
    let retry = Retry { least: Duration::from_millis(1), longest: Duration::from_millis(1) };
    let mut recovering = Flaky { failures: 2, ends_after: 0, steps: 0, retry };
    let mut failing =
        Flaky { failures: u32::MAX, ends_after: 0, steps: 0, retry: Retry { least: NEVER, longest: NEVER } };
    let look = async {
        let is_settled = || {
            let statuses = driver.statuses().list();
            statuses.len() == 2 && statuses[0].last_success.is_some() && statuses[1].last_failure.is_some()
        };
        eventually(is_settled).await;
        let statuses = driver.statuses().list();
        driver.stop().cancel();
        statuses
    };
    let running = (driver.run("recovering", &mut recovering), driver.run("failing", &mut failing), look);
    let (_, _, statuses) = tokio::join!(running.0, running.1, running.2);
    let now = Timestamp::from_s(7).unwrap();
    let failure = |error: &str| Some(super::super::TaskFailure { error: error.to_owned(), at: now });
    assert_eq!(statuses[0].name, "recovering");
    assert_eq!((statuses[0].last_success, statuses[0].consecutive_failures), (Some(now), 0));
    assert_eq!(statuses[0].last_failure, failure("failure 2"));
    assert_eq!((statuses[1].last_success, statuses[1].consecutive_failures), (None, 1));
    assert_eq!(statuses[1].last_failure, failure("failure 1"));
}

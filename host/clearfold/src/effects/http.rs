//! Effect over HTTP: a POST of the saga's request, whose answer is a JSON document.
//!
//! The identity of the effect is the header `Idempotency-Key`, the same for each repetition: the other side must answer a
//! repetition as it answered the first, and do nothing again.
//!
//! | the other side | outcome |
//! |---|---|
//! | 200 to 299 with JSON | the answer |
//! | 400 to 499, but not 408, 425 and 429 | refused: it was not carried out |
//! | anything else, or nothing in time | tried again until the deadline, then unanswered |
//!
//! Repetitions have a budget over all requests of the effect: a fifth of the requests of the last ten seconds, and ten a
//! second. What is beyond it is not sent, as while the circuit is open, and waits for its next pause.
//!
//! If the manifest has a stand-in, that answers in place of everything but the first.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use backon::{BackoffBuilder, ExponentialBuilder};
use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response, StatusCode, redirect};
use serde_json::value::RawValue;
use tokio::time::Instant;
use tower::retry::budget::{Budget, TpsBudget};

use super::breaker::Breaker;
use clearfold_base::clock::Clock;
use clearfold_base::telemetry::with_causes;
use clearfold_engine::effects::{Effect, EffectCall, Outcome};
use clearfold_sandbox::manifest::ManifestEffect;

/// Longest answer, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// First and longest pause between two tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// Time that the commit of a request may take without costing it its one try.
const COMMIT: Duration = Duration::from_secs(5);

/// Time for which a request counts in the budget of repetitions.
const BUDGET_WINDOW: Duration = Duration::from_secs(10);
/// Repetitions per second that are allowed however few requests there are.
const BUDGET_LEAST: u32 = 10;
/// Part of the requests that may be repeated beyond these.
const BUDGET_PART: f32 = 0.2;

pub(super) struct HttpEffect {
    name: String,
    effect: ManifestEffect,
    authorization: Option<HeaderValue>,
    client: Client,
    clock: Clock,
    breaker: Mutex<Breaker>,
    /// Repetitions that are left.
    budget: TpsBudget,
    /// Moment since which the breaker counts.
    began: Instant,
}

/// Result of one try.
enum Tried {
    Answered(Vec<u8>),
    /// The other side says that it did not carry it out.
    Refused(String),
    /// It is not known whether it was carried out.
    Unknown(String),
}

impl HttpEffect {
    pub(super) fn new(name: String, effect: ManifestEffect, clock: Clock) -> anyhow::Result<Self> {
        let authorization = effect.authorization.as_deref().map(|value| {
            let mut value = HeaderValue::from_str(value).with_context(|| {
                format!("the authorization of the effect `{name}` is no value of a header; correct it in the manifest")
            })?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        });
        // A request is repeated here, under its identity, or not at all.
        let client =
            Client::builder().redirect(redirect::Policy::none()).retry(reqwest::retry::never()).build()?;
        Ok(Self {
            name,
            authorization: authorization.transpose()?,
            effect,
            client,
            clock,
            breaker: Mutex::default(),
            budget: TpsBudget::new(BUDGET_WINDOW, BUDGET_LEAST, BUDGET_PART),
            began: Instant::now(),
        })
    }

    async fn outcome(&self, call: EffectCall) -> Outcome {
        let why = match self.tried_until_deadline(&call).await {
            Tried::Answered(answer) => return Outcome::Answered(answer),
            Tried::Refused(detail) if self.effect.stand_in.is_none() => {
                return Outcome::Refused { code: "effect_refused".to_owned(), detail };
            }
            Tried::Refused(why) | Tried::Unknown(why) => why,
        };
        match &self.effect.stand_in {
            Some(answer) => {
                tracing::warn!(
                    effect = self.name,
                    identity = call.identity,
                    why,
                    "the stand-in answers for an effect"
                );
                Outcome::StoodIn { answer: answer.clone().into_bytes(), why }
            }
            None => Outcome::Unanswered(why),
        }
    }

    /// Tries until there is an answer or the deadline passes. One try has its whole time even if the commit of the request
    /// took most of the deadline; none is made if that passed long before, as it may after a crash.
    async fn tried_until_deadline(&self, call: &EffectCall) -> Tried {
        let passed = self.clock.now().as_ms().saturating_sub(call.requested_at.as_ms());
        let passed = Duration::from_millis(passed);
        if passed >= self.effect.deadline + COMMIT {
            return Tried::Unknown(format!(
                "the deadline of {} ms has passed",
                self.effect.deadline.as_millis()
            ));
        }
        let left = self.effect.deadline.saturating_sub(passed).max(self.effect.timeout);
        let until = Instant::now() + left;
        let (first, longest) = PAUSES;
        let mut pauses = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(first)
            .with_max_delay(longest)
            .without_max_times()
            .build();
        self.budget.deposit();
        let mut is_repetition = false;
        loop {
            let tried = self.guarded_try(call, until, is_repetition).await;
            let Tried::Unknown(why) = tried else { return tried };
            let again = Instant::now() + pauses.next().unwrap_or(longest);
            if self.effect.deadline <= self.effect.timeout || again >= until {
                return Tried::Unknown(why);
            }
            tracing::debug!(effect = self.name, identity = call.identity, why, "an effect is tried again");
            tokio::time::sleep_until(again).await;
            is_repetition = true;
        }
    }

    /// Tries once, unless the circuit is open or a repetition has no budget.
    async fn guarded_try(&self, call: &EffectCall, until: Instant, is_repetition: bool) -> Tried {
        // The one request that tries whether the other side is back needs no budget.
        let needs_budget = is_repetition && self.breaker(|breaker| breaker.is_closed());
        if !self.breaker(|breaker| breaker.lets_through(self.began.elapsed())) {
            return Tried::Unknown(
                "the circuit is open, because the other side failed several times in a row".to_owned(),
            );
        }
        if needs_budget && !self.budget.withdraw() {
            return Tried::Unknown(
                "the budget of repetitions is used up, because the other side fails too often".to_owned(),
            );
        }
        let time = self.effect.timeout.min(until.saturating_duration_since(Instant::now()));
        let tried = match tokio::time::timeout(time, self.once(call)).await {
            Ok(tried) => tried,
            Err(_) => Tried::Unknown(format!("no answer within {} ms", time.as_millis())),
        };
        let has_answered = !matches!(tried, Tried::Unknown(_));
        if self.breaker(|breaker| breaker.note(has_answered, self.began.elapsed())) {
            tracing::error!(
                effect = self.name,
                "the circuit of an effect opens: it failed several times in a row"
            );
        }
        tried
    }

    fn breaker<T>(&self, work: impl FnOnce(&mut Breaker) -> T) -> T {
        // Each change of the breaker is whole.
        work(&mut self.breaker.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn once(&self, call: &EffectCall) -> Tried {
        let mut request = self
            .client
            .post(self.effect.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("Idempotency-Key", &call.identity)
            .body(call.request.clone());
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        match request.send().await {
            Ok(response) => read(response).await,
            Err(error) => Tried::Unknown(with_causes(&error.without_url())),
        }
    }
}

impl Effect for HttpEffect {
    fn concurrency(&self) -> u32 {
        self.effect.concurrency
    }

    fn carry_out(&self, call: EffectCall) -> BoxFuture<'_, Outcome> {
        self.outcome(call).boxed()
    }
}

async fn read(mut response: Response) -> Tried {
    let status = response.status();
    if !status.is_success() {
        return match status {
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                Tried::Unknown(format!("it answered with {status}"))
            }
            status if status.is_client_error() => Tried::Refused(format!("it answered with {status}")),
            status => Tried::Unknown(format!("it answered with {status}")),
        };
    }
    let mut answer = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if answer.len() + chunk.len() <= MAX_ANSWER => answer.extend_from_slice(&chunk),
            Ok(Some(_)) => return Tried::Unknown(format!("its answer is longer than {MAX_ANSWER} bytes")),
            Ok(None) => break,
            Err(error) => return Tried::Unknown(with_causes(&error.without_url())),
        }
    }
    match serde_json::from_slice::<&RawValue>(&answer) {
        Ok(json) => Tried::Answered(json.get().as_bytes().to_vec()),
        Err(error) => Tried::Unknown(format!("its answer is no JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use axum::Router;
    use axum::routing::post;
    use tokio::task::JoinSet;

    use super::*;

    /// Server that counts what it receives, and fails. It ends with the returned set.
    async fn failing() -> (String, Arc<AtomicU64>, JoinSet<std::io::Result<()>>) {
        let received = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&received);
        let answer = move || async move {
            count.fetch_add(1, Ordering::Relaxed);
            StatusCode::SERVICE_UNAVAILABLE
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(axum::serve(listener, Router::new().route("/", post(answer))).into_future());
        (url, received, server)
    }

    #[tokio::test]
    async fn repetitions_beyond_their_budget_are_not_sent_and_first_requests_are() {
        clearfold_base::tls::install();
        let (url, received, _server) = failing().await;
        let effect = ManifestEffect {
            url: url.parse().unwrap(),
            timeout: Duration::from_secs(5),
            deadline: Duration::from_secs(30),
            concurrency: 1,
            authorization: None,
            stand_in: None,
        };
        let clock = Clock::system();
        let (identity, request) = ("saga-a-1/effect/1".to_owned(), b"{}".to_vec());
        let call = EffectCall { identity, request, requested_at: clock.now() };
        let effect = HttpEffect::new("risk".to_owned(), effect, clock).unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        let tried = async |is_repetition| match effect.guarded_try(&call, until, is_repetition).await {
            Tried::Unknown(why) => why,
            Tried::Answered(_) | Tried::Refused(_) => panic!("it fails"),
        };
        assert!(tried(true).await.contains("503"));
        let mut left = 0;
        while effect.budget.withdraw() {
            left += 1;
        }
        assert_eq!(left, 99, "ten a second for ten seconds, and one was used");
        assert!(tried(true).await.contains("budget"));
        assert!(tried(false).await.contains("503"));
        assert_eq!(received.load(Ordering::Relaxed), 2);
        for _ in 0..5 {
            effect.budget.deposit();
        }
        assert!(tried(true).await.contains("503"), "five requests allow one more repetition");
        assert!(tried(true).await.contains("budget"));
    }
}

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

pub(super) struct HttpEffect {
    name: String,
    effect: ManifestEffect,
    authorization: Option<HeaderValue>,
    client: Client,
    clock: Clock,
    breaker: Mutex<Breaker>,
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
        loop {
            let tried = self.guarded_try(call, until).await;
            let Tried::Unknown(why) = tried else { return tried };
            let again = Instant::now() + pauses.next().unwrap_or(longest);
            if self.effect.deadline <= self.effect.timeout || again >= until {
                return Tried::Unknown(why);
            }
            tracing::debug!(effect = self.name, identity = call.identity, why, "an effect is tried again");
            tokio::time::sleep_until(again).await;
        }
    }

    /// Tries once, unless the circuit is open.
    async fn guarded_try(&self, call: &EffectCall, until: Instant) -> Tried {
        if !self.breaker(|breaker| breaker.lets_through(self.began.elapsed())) {
            return Tried::Unknown(
                "the circuit is open, because the other side failed several times in a row".to_owned(),
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

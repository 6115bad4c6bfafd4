//! Access to the outside of the sandbox: variables, the time, and calls to the host's API.
//!
//! The time is the runtime's own clock (`wasi:clocks`), never a header: a client that can set the time can replay
//! requests. This is the only part of the kit that does I/O, and it calls nothing but the host that `host_url` names.

use std::pin::pin;

use futures::future::{Either, select};
use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, send};
use spin_sdk::variables;
use spin_sdk::wasip3::clocks::{monotonic_clock, system_clock};

use crate::{Reply, SIGNATURE, Said, Secrets, Signed, TIMESTAMP};

const NS_PER_MS: u64 = 1_000_000;

/// Reads a variable of the component; the error is the reply of a wrongly configured component.
pub async fn variable(name: &str) -> Result<String, Reply> {
    variables::get(name).await.map_err(|error| {
        let detail = format!("The variable {name} cannot be read ({error}); set it in spin.toml.");
        Reply::problem(500, detail)
    })
}

/// Reads a variable that is a whole number within `range`.
pub async fn number(name: &str, range: std::ops::RangeInclusive<u64>) -> Result<u64, Reply> {
    let value = variable(name).await?;
    value.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        let (start, end) = (range.start(), range.end());
        let detail = format!("The variable {name} is {value:?}; give a whole number from {start} to {end}.");
        Reply::problem(500, detail)
    })
}

/// Reads a variable that holds secrets. Without one the reply is 503, because only the operator can fix it.
pub async fn secrets(name: &str) -> Result<Secrets, Reply> {
    Secrets::parse(name, &variable(name).await?).map_err(|error| Reply::problem(503, error.to_string()))
}

/// Returns the seconds since 1970. A clock before 1970 reads 1970, and no signature is within its window then.
#[must_use]
pub fn now_s() -> u64 {
    u64::try_from(system_clock::now().seconds).unwrap_or_default()
}

/// Returns the system's time to the nanosecond, as a text for keys that are new each time.
#[must_use]
pub fn moment() -> String {
    let now = system_clock::now();
    format!("{}.{:09}", now.seconds, now.nanoseconds)
}

/// Deadline by the runtime's monotonic clock.
#[derive(Clone, Copy)]
pub struct Deadline(u64);

impl Deadline {
    /// Returns the current instant, from which deadlines are computed.
    #[must_use]
    pub fn now() -> Self {
        Self(monotonic_clock::now())
    }

    /// Returns the deadline that much later; one beyond the clock's range never comes.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(NS_PER_MS)))
    }

    #[must_use]
    pub fn is_over(self) -> bool {
        monotonic_clock::now() >= self.0
    }

    /// Returns the whole milliseconds until the deadline.
    #[must_use]
    pub fn left_ms(self) -> u64 {
        self.0.saturating_sub(monotonic_clock::now()) / NS_PER_MS
    }

    /// Waits until the deadline.
    pub async fn come(self) {
        monotonic_clock::wait_until(self.0).await;
    }

    /// Returns the result of `work`, or `None` if it is not done by the deadline.
    pub async fn limit<T>(self, work: impl Future<Output = T>) -> Option<T> {
        match select(pin!(work), pin!(monotonic_clock::wait_until(self.0))).await {
            Either::Left((done, _)) => Some(done),
            Either::Right(_) => None,
        }
    }
}

/// Returns the body of a request after checking that it was signed with a secret within the window.
pub async fn signed_body(request: Request, secrets: &Secrets, window_s: u64) -> Result<Vec<u8>, Reply> {
    let (head, body) = request.into_parts();
    let body = body.bytes().await.map_err(|error| {
        Reply::problem(400, format!("The body cannot be read ({error:?}); send at most 1 MiB."))
    })?;
    let signed = Signed {
        timestamp: text(&head.headers, TIMESTAMP),
        signature: text(&head.headers, SIGNATURE),
        path: head.uri.path(),
        body: &body,
    };
    let checked = signed.check(secrets, now_s(), window_s);
    checked.map_err(|refused| Reply::unauthenticated(refused.to_string()))?;
    Ok(body.to_vec())
}

/// Returns the value of a header; `None` if it is missing or not text.
#[must_use]
pub fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Client of the host's API.
pub struct Host {
    url: String,
}

impl Host {
    /// Creates a client for the URL in the variable `host_url`.
    pub async fn found() -> Result<Self, Reply> {
        let url = variable("host_url").await?;
        Ok(Self { url: url.trim_end_matches('/').to_owned() })
    }

    /// Sends a GET request. If it fails, the reply does not name the cause, because the readers may be customers.
    pub async fn get(&self, path: &str) -> Result<Said, Reply> {
        let said = self.call(http::Request::get(format!("{}{path}", self.url)).body(String::new())).await;
        said.map_err(|_| Reply::problem(502, "The payment service cannot be reached. Try again later."))
    }

    /// Sends a command. Repeats with the same key are the same command.
    pub async fn command(&self, idempotency_key: &str, body: String) -> Result<Said, Reply> {
        let request = http::Request::post(format!("{}/v1/commands", self.url))
            .header("content-type", crate::JSON)
            .header("idempotency-key", idempotency_key)
            .body(body);
        // The cause is named because the operator has no other source for it: a refused connection needs another
        // remedy than a host that is missing from `allowed_outbound_hosts`. Only clients that know a secret can send
        // commands.
        self.call(request).await.map_err(|why| {
            Reply::problem(502, format!("The payment service cannot be reached ({why}). Try again later."))
        })
    }

    async fn call<E: std::fmt::Display>(
        &self,
        request: Result<http::Request<String>, E>,
    ) -> Result<Said, String> {
        let request = request.map_err(|error| format!("the request is none: {error}"))?;
        let answer = send(request).await.map_err(|error| format!("{error:?}"))?;
        let status = answer.status().as_u16();
        let content_type = text(answer.headers(), "content-type").unwrap_or_default().to_owned();
        let body = answer.into_body().bytes().await.map_err(|error| format!("{error:?}"))?;
        Ok(Said { status, content_type, body: body.to_vec() })
    }
}

/// Converts a reply to Spin's response type.
#[must_use]
pub fn response(reply: Reply) -> Response<String> {
    let mut response = Response::new(reply.body);
    // Every reply has a status that exists: a constant, or one that the host's answer had.
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static(reply.content_type));
    if let Some((name, value)) = reply.header {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

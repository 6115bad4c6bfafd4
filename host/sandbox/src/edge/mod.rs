//! Edge components: HTTP triggers written with `spin-sdk`, served inside the host.
//!
//! A request gets an instance of its own, and the instance gets nothing but that request, its variables, the hosts
//! that the manifest allows it, and the time. It never sees a file, the environment or a database. A call to the
//! host's own API is answered in this process, without a socket.
//!
//! Whatever a component does (trap, never end, use up memory, answer without end) costs one request: the instance is
//! discarded, and the caller gets an [`EdgeError`] as an HTTP problem.
//!
//! WASI 0.3 needs wasmtime's async engine, so this engine is separate from the handlers' synchronous one.

mod admission;
mod engine;
mod error;
mod outbound;
mod state;
mod time;

pub use error::{EdgeError, EdgeLoadError, EdgeProblem};
pub use outbound::InProcessApi;

use super::compiled::Compiled;
use super::target::CompileTarget;
use crate::manifest::OutboundHost;
use axum::body::{Body, Bytes, HttpBody};
use clearfold_base::clock::Clock;
use http::{Request, Response, Uri, header, uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use state::{EdgeState, Shared};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wasmtime::component::Linker;
use wasmtime::{Engine, Store};
use wasmtime_wasi_http::p3;
use wasmtime_wasi_http::p3::bindings::ServicePre;

/// Limits of one request.
#[derive(Clone, Copy, Debug)]
pub struct EdgeLimits {
    /// Time-out for receiving the request's body. Until it has arrived, no instance is occupied.
    pub receive_ms: u64,
    /// Maximum wait of a received request for a free instance.
    pub wait_ms: u64,
    /// Deadline from the start of an instance to the end of its response. A component's own time-outs must be shorter.
    pub deadline_ms: u64,
    pub memory_bytes: usize,
    pub request_bytes: usize,
    pub response_bytes: usize,
    /// Maximum number of requests at once over all components. One component gets half of them, so that it cannot take
    /// those that the others need.
    pub concurrent_requests: u32,
}

impl Default for EdgeLimits {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            receive_ms: 1_000,
            wait_ms: 50,
            deadline_ms: 1_000,
            memory_bytes: 64 * MIB,
            request_bytes: MIB,
            response_bytes: MIB,
            concurrent_requests: 512,
        }
    }
}

/// Engine that edge components share, and the slots for their requests.
pub struct EdgeRuntime {
    engine: Engine,
    compiled: Compiled,
    linker: Linker<EdgeState>,
    limits: EdgeLimits,
    slots: Arc<Semaphore>,
    clock: Clock,
}

impl EdgeRuntime {
    pub fn new(limits: EdgeLimits) -> Result<Self, EdgeLoadError> {
        Self::with_clock(limits, Clock::system())
    }

    /// Builds the runtime with another clock than the machine's.
    pub fn with_clock(limits: EdgeLimits, clock: Clock) -> Result<Self, EdgeLoadError> {
        let engine = engine::new(&limits).map_err(EdgeLoadError::engine)?;
        let linker = admission::linker(&engine).map_err(EdgeLoadError::engine)?;
        let slots = Arc::new(Semaphore::new(limits.concurrent_requests as usize));
        let compiled = Compiled::of_user(CompileTarget::Edge, &engine);
        Ok(Self { engine, compiled, linker, limits, slots, clock })
    }

    #[cfg(test)]
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Compiles and admits a component; the error names the import that it may not have, or the export that it lacks.
    ///
    /// A component that is not in the cache blocks this thread for a second or two. `id` is its id in the manifest.
    pub fn load(
        &self,
        id: &str,
        wasm: &[u8],
        variables: BTreeMap<String, String>,
        allowed_outbound_hosts: Vec<OutboundHost>,
        api: InProcessApi,
    ) -> Result<EdgeHandler, EdgeLoadError> {
        let component = self.compiled.component(&self.engine, wasm);
        let component = component.map_err(|error| EdgeLoadError::unreadable(id, error))?;
        admission::check(id, &self.engine, &component)?;
        let service = self.linker.instantiate_pre(&component).and_then(ServicePre::new);
        let service = service.map_err(|error| EdgeLoadError::mismatch(id, error))?;
        let clock = self.clock.clone();
        let shared = Shared { id: id.to_owned(), variables, allowed_outbound_hosts, api, clock };
        let half = self.limits.concurrent_requests.div_ceil(2) as usize;
        let slots = [Arc::new(Semaphore::new(half)), Arc::clone(&self.slots)];
        Ok(EdgeHandler { service, shared: Arc::new(shared), limits: self.limits, slots })
    }
}

/// Component that is ready to answer requests. Cheap to clone.
#[derive(Clone)]
pub struct EdgeHandler {
    service: ServicePre<EdgeState>,
    shared: Arc<Shared>,
    limits: EdgeLimits,
    /// Slots of this component, then those shared by all.
    slots: [Arc<Semaphore>; 2],
}

impl EdgeHandler {
    /// Id of the component in the manifest.
    #[must_use]
    pub fn component(&self) -> &str {
        &self.shared.id
    }

    /// Answers a request; the response's body is complete. The request's URI must be the caller's: a router that strips
    /// prefixes must restore them.
    pub async fn handle(&self, request: Request<Body>) -> Result<Response<Body>, EdgeError> {
        let component = || self.shared.id.clone();
        if outbound::is_within() {
            return Err(EdgeError::Nested { component: component() });
        }
        let request = self.received(request).await?;
        // After a long wait an answer would hardly come in time, so "busy" at once is better.
        let wait = Duration::from_millis(self.limits.wait_ms);
        let slots = async { (self.slots[0].acquire().await, self.slots[1].acquire().await) };
        let Ok((Ok(_own), Ok(_of_all))) = timeout(wait, slots).await else {
            return Err(EdgeError::Busy { component: component() });
        };
        // This also ends a component that computes for ever: each tick of the epoch makes it yield, and dropping the
        // call ends it.
        let deadline_ms = self.limits.deadline_ms;
        let answer = timeout(Duration::from_millis(deadline_ms), self.answer(request)).await;
        answer.unwrap_or_else(|_| Err(EdgeError::Deadline { component: component(), deadline_ms }))
    }

    /// Receives the whole body of a request first, so that a slow sender does not keep others waiting.
    async fn received(&self, request: Request<Body>) -> Result<Request<Full<Bytes>>, EdgeError> {
        let component = || self.shared.id.clone();
        let EdgeLimits { receive_ms, request_bytes: limit_bytes, .. } = self.limits;
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, limit_bytes).collect();
        match timeout(Duration::from_millis(receive_ms), body).await {
            Ok(Ok(body)) => Ok(Request::from_parts(parts, Full::new(body.to_bytes()))),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                Err(EdgeError::RequestTooLarge { component: component(), limit_bytes })
            }
            Ok(Err(_)) | Err(_) => Err(EdgeError::NotReceived { component: component(), receive_ms }),
        }
    }

    async fn answer(&self, request: Request<Full<Bytes>>) -> Result<Response<Body>, EdgeError> {
        let failed = |source: wasmtime::Error| EdgeError::failed(&self.shared.id, source);
        let state = EdgeState::new(Arc::clone(&self.shared), &self.limits);
        let mut store = Store::new(self.service.engine(), state);
        store.limiter(|state| &mut state.limits);
        store.set_hostcall_fuel(self.limits.memory_bytes);
        store.epoch_deadline_async_yield_and_update(engine::YIELD_TICKS);
        store.set_epoch_deadline(engine::YIELD_TICKS);

        let request = incoming(request);
        let (request, _) = p3::Request::from_http(&mut store.data_mut().outbound, request);
        let service = self.service.instantiate_async(&mut store).await.map_err(failed)?;
        let answered = store.run_concurrent(async |store| {
            let response = match service.handle(store, request).await.map_err(failed)? {
                Ok(response) => response,
                Err(code) => return Err(EdgeError::refused(&self.shared.id, &code)),
            };
            let response = store.with(|store| response.into_http(store, async { Ok(()) })).map_err(failed)?;
            self.collect(response).await
        });
        answered.await.map_err(failed)?
    }

    /// Reads the whole body while the instance lives, so that the deadline and the limits cover it.
    async fn collect(
        &self,
        response: Response<wasmtime_wasi_http::WasiBody>,
    ) -> Result<Response<Body>, EdgeError> {
        let component = self.shared.id.clone();
        let limit_bytes = self.limits.response_bytes;
        let (parts, body) = response.into_parts();
        match Limited::new(body, limit_bytes).collect().await {
            Ok(body) => Ok(Response::from_parts(parts, Body::from(body.to_bytes()))),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(EdgeError::ResponseTooLarge { component, limit_bytes })
            }
            Err(source) => Err(EdgeError::Incomplete { component, source }),
        }
    }
}

/// Converts a request to the form that WASI requires: with the authority that the caller addressed.
fn incoming(
    request: Request<Full<Bytes>>,
) -> Request<impl HttpBody<Data = Bytes, Error = wasmtime_wasi_http::Error> + Send + 'static> {
    let (mut parts, body) = request.into_parts();
    let host = parts.headers.get(header::HOST).and_then(|host| host.as_bytes().try_into().ok());
    if parts.uri.authority().is_none() && host.is_some() {
        let mut whole = parts.uri.clone().into_parts();
        (whole.scheme, whole.authority) = (Some(uri::Scheme::HTTP), host);
        parts.uri = Uri::from_parts(whole).unwrap_or(parts.uri);
    }
    Request::from_parts(parts, body.map_err(|never| match never {}))
}

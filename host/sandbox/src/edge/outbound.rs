//! Outbound requests of a component: to the host's own API, to an allowed host, or refused.

use super::state::Shared;
use axum::body::Body;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use std::sync::Arc;
use tower::ServiceExt;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, default_send_request};

/// API of this host, callable without a socket.
#[derive(Clone)]
pub struct InProcessApi {
    /// Authorities at which components address the API, such as that of `host_url`. Plain HTTP.
    pub authorities: Vec<Authority>,
    pub router: axum::Router,
}

impl InProcessApi {
    fn answers(&self, uri: &Uri) -> bool {
        // 80 is the port of plain HTTP when an authority names none.
        let same = |ours: &Authority, theirs: &Authority| {
            ours.host().eq_ignore_ascii_case(theirs.host())
                && ours.port_u16().unwrap_or(80) == theirs.port_u16().unwrap_or(80)
        };
        uri.scheme() == Some(&Scheme::HTTP)
            && uri.authority().is_some_and(|theirs| self.authorities.iter().any(|ours| same(ours, theirs)))
    }
}

/// Maximum number of requests that a component sends while it handles one: each takes memory of the host.
const REQUESTS: u32 = 64;

pub struct Outbound {
    shared: Arc<Shared>,
    requests_left: u32,
}

impl Outbound {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, requests_left: REQUESTS }
    }

    /// Returns true if the component may call an address. User names in it are refused: nothing needs them, and they
    /// make one host look like another.
    fn allows(&self, uri: &Uri) -> bool {
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return false };
        let allowed = &self.shared.allowed_outbound_hosts;
        !authority.as_str().contains('@')
            && allowed.iter().any(|host| host.allows(scheme, authority.host(), authority.port_u16()))
    }
}

/// Work of a connection that is left after the response's head.
type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(Response<WasiBody>, Rest), Error>;

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _response_read: Rest,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let uri = request.uri();
        if !self.allows(uri) {
            let authority = uri.authority().map(Authority::as_str);
            let component = self.shared.id.as_str();
            tracing::warn!(component, authority, "outbound request denied; see allowed_outbound_hosts");
            return Box::new(async { Err(Error::HttpRequestDenied) });
        }
        let Some(requests_left) = self.requests_left.checked_sub(1) else {
            return Box::new(async { Err(Error::ConnectionLimitReached) });
        };
        self.requests_left = requests_left;
        if self.shared.api.answers(uri) {
            return Box::new(call_api(self.shared.api.router.clone(), request));
        }
        Box::new(async move {
            let (response, rest) = default_send_request(request, options).await?;
            Ok((response.map(BodyExt::boxed_unsync), Box::new(rest) as Rest))
        })
    }
}

tokio::task_local! {
    static WITHIN: ();
}

/// Returns true within a request of an edge component. No edge component may be entered then: wasmtime panics when it
/// is entered twice.
pub fn is_within() -> bool {
    WITHIN.try_with(|()| ()).is_ok()
}

/// Calls the host's API in the component's own task: another task would cost two wake-ups of a thread for each request.
async fn call_api(router: axum::Router, request: Request<WasiBody>) -> Sent {
    let Ok(response) = WITHIN.scope((), router.oneshot(request.map(Body::new))).await;
    let internal = |error: axum::Error| Error::InternalError(Some(error.to_string()));
    let response = response.map(|body| body.map_err(internal).boxed_unsync());
    Ok((response, Box::new(async { Ok(()) })))
}

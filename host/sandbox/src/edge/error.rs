//! The errors of edge components: when one is loaded, and when it answers a request.

use super::admission;
use crate::ComponentKind;
use http::StatusCode;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;

type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// Reason why a component cannot be served. It is refused before the first request.
#[derive(Debug, thiserror::Error)]
pub enum EdgeLoadError {
    #[error("the engine for edge components cannot start; lower its limits or give the host more memory")]
    Engine { source: BoxedError },
    #[error("the component {component:?} is not WebAssembly that this host can compile; build it again")]
    Unreadable { component: String, source: BoxedError },
    #[error(
        "the component {component:?} imports {import}, which an edge component may not; \
         remove it (allowed: {})",
        admission::IMPORTS.join(", ")
    )]
    Import { component: String, import: String },
    #[error(
        "the component {component:?} does not export {}; write it with spin-sdk 7 and #[http_service]",
        ComponentKind::Http.export()
    )]
    MissingExport { component: String },
    #[error("the component {component:?} has another version of an interface; build it with spin-sdk 7")]
    Mismatch { component: String, source: BoxedError },
}

impl EdgeLoadError {
    pub(super) fn engine(source: wasmtime::Error) -> Self {
        Self::Engine { source: source.into() }
    }

    pub(super) fn unreadable(component: &str, source: wasmtime::Error) -> Self {
        Self::Unreadable { component: component.to_owned(), source: source.into() }
    }

    pub(super) fn mismatch(component: &str, source: wasmtime::Error) -> Self {
        Self::Mismatch { component: component.to_owned(), source: source.into() }
    }
}

/// Reason why a request got no answer from its component.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    #[error("the request to the component {component:?} did not arrive whole within {receive_ms} ms")]
    NotReceived { component: String, receive_ms: u64 },
    #[error("the request to the component {component:?} has more than {limit_bytes} bytes")]
    RequestTooLarge { component: String, limit_bytes: usize },
    #[error(
        "the component {component:?} was asked for by an edge component, which only the host's API answers"
    )]
    Nested { component: String },
    #[error("no instance became free for a request to the component {component:?}")]
    Busy { component: String },
    #[error("the component {component:?} did not answer within {deadline_ms} ms")]
    Deadline { component: String, deadline_ms: u64 },
    #[error("the component {component:?} failed: a trap or a limit")]
    Failed { component: String, source: BoxedError },
    #[error("the component {component:?} returned the error {code} instead of a response")]
    Refused { component: String, code: String },
    #[error("the component {component:?} answered with more than {limit_bytes} bytes")]
    ResponseTooLarge { component: String, limit_bytes: usize },
    #[error("the component {component:?} broke off its answer")]
    Incomplete { component: String, source: BoxedError },
}

/// Error as the caller sees it: the members of RFC 9457 problem details, of the type `about:blank`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeProblem {
    pub status: StatusCode,
    pub title: &'static str,
    pub detail: String,
}

impl EdgeError {
    pub(super) fn failed(component: &str, source: wasmtime::Error) -> Self {
        Self::Failed { component: component.to_owned(), source: source.into() }
    }

    pub(super) fn refused(component: &str, code: &ErrorCode) -> Self {
        Self::Refused { component: component.to_owned(), code: format!("{code:?}") }
    }

    /// Error for the caller. Why the component failed is for the host's log: `source` has its backtrace.
    pub fn problem(&self) -> EdgeProblem {
        let (status, title) = match self {
            Self::NotReceived { .. } => (StatusCode::REQUEST_TIMEOUT, "Request Timeout"),
            Self::RequestTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "Content Too Large"),
            Self::Nested { .. } => (StatusCode::LOOP_DETECTED, "Loop Detected"),
            Self::Busy { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
            Self::Deadline { .. } => (StatusCode::GATEWAY_TIMEOUT, "Gateway Timeout"),
            Self::Failed { .. }
            | Self::Refused { .. }
            | Self::ResponseTooLarge { .. }
            | Self::Incomplete { .. } => (StatusCode::BAD_GATEWAY, "Bad Gateway"),
        };
        EdgeProblem { status, title, detail: format!("{self}; try again later") }
    }
}

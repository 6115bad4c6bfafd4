//! The reasons why a component cannot be loaded. Each sentence says what to do.

use super::admission::Refused;
use super::edge::EdgeLoadError;
use super::fault::Fault;
use super::figures::{Size, grouped};
use super::limits::{MAX_COMPONENT_BYTES, MAX_FUNCTION_BYTES, MAX_FUNCTIONS};

/// Reason why the engine cannot start or a component cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    #[error("the WebAssembly engine does not start on this machine")]
    Engine(#[source] anyhow::Error),
    #[error(
        "`{component}` is {size_bytes} bytes large, a component may have {}; leave out what it does not need",
        Size(MAX_COMPONENT_BYTES)
    )]
    TooLarge { component: String, size_bytes: usize },
    #[error(
        "`{component}` has {what}, which takes too long to compile; a component may have {} functions of {} each",
        grouped(MAX_FUNCTIONS as u64),
        Size(MAX_FUNCTION_BYTES)
    )]
    TooMuchCode { component: String, what: String },
    #[error(
        "`{component}` cannot be loaded as a WebAssembly component; build it for a world of wit/, within the limits of \
         docs/RUNTIME.md"
    )]
    NotAComponent {
        component: String,
        #[source]
        cause: anyhow::Error,
    },
    #[error("component `{component}` is refused")]
    Refused {
        component: String,
        #[source]
        cause: Refused,
    },
    #[error(
        "component `{component}` does not fit this host; build it against the wit/ folder of this version"
    )]
    Incompatible {
        component: String,
        #[source]
        cause: anyhow::Error,
    },
    #[error("the description of component `{component}` is impossible ({why}); correct what it exports")]
    Descriptor { component: String, why: String },
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(transparent)]
    Http(#[from] EdgeLoadError),
}

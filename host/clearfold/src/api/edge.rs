//! The edge: routes requests to HTTP components, before the host's own API.

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::Request;

use super::Problem;
use clearfold_sandbox::edge::{EdgeError, EdgeHandler};
use clearfold_sandbox::manifest::Route;

/// HTTP components by route. A component can be replaced while requests arrive: each request is answered by the
/// component that was there when it arrived.
#[derive(Clone, Default)]
pub struct Edges(Arc<RwLock<Served>>);

/// Routes, the most specific first. The list is never changed but replaced as a whole, so readers do not wait.
type Served = Arc<Vec<(Route, EdgeHandler)>>;

impl Edges {
    /// Serves these components at these routes.
    #[must_use]
    pub fn new(mut handlers: Vec<(Route, EdgeHandler)>) -> Self {
        handlers.sort_by_key(|(route, _)| std::cmp::Reverse(route.precedence()));
        Self(Arc::new(RwLock::new(Arc::new(handlers))))
    }

    /// Replaces the component with that id by `handler` at all its routes, and returns the number of these routes.
    #[must_use]
    pub fn replace(&self, component: &str, handler: &EdgeHandler) -> usize {
        // The list is replaced as a whole, so it is complete even if the lock is poisoned.
        let mut served = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut handlers = Served::unwrap_or_clone(Arc::clone(&served));
        let mut replaced = 0;
        for (_, old) in handlers.iter_mut().filter(|(_, old)| old.component() == component) {
            *old = handler.clone();
            replaced += 1;
        }
        *served = Arc::new(handlers);
        replaced
    }

    /// Router of the edge alone; every other path is not found.
    pub fn alone(self) -> Router {
        self.in_front_of(Router::new().fallback(super::not_found))
    }

    /// Router that tries the edge first, and then the host's own API.
    pub fn in_front_of(self, api: Router) -> Router {
        api.layer(axum::middleware::from_fn(move |request: Request<Body>, next: axum::middleware::Next| {
            let handler = self.find(request.uri().path());
            async move {
                match handler {
                    Some(handler) => answer(&handler, request).await,
                    None => next.run(request).await,
                }
            }
        }))
    }

    fn find(&self, path: &str) -> Option<EdgeHandler> {
        let served = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        served.iter().find(|(route, _)| route.matches(path)).map(|(_, handler)| handler.clone())
    }
}

async fn answer(handler: &EdgeHandler, request: Request<Body>) -> Response {
    match handler.handle(request).await {
        Ok(response) => response,
        Err(error) => refusal(&error).into_response(),
    }
}

/// Makes the answer to a request that an HTTP component did not answer. Too many requests at once are the callers'
/// doing and pass in a moment, so they are only a warning.
fn refusal(error: &EdgeError) -> Problem {
    let told = error.problem();
    let problem = Problem::new(told.status, "edge_failed", told.detail);
    if matches!(error, EdgeError::Busy { .. }) {
        tracing::warn!(%error, "a request was turned away");
        return problem.retry_after_s(1);
    }
    tracing::error!(error = %clearfold_base::telemetry::with_causes(error), "an edge component did not answer");
    problem
}

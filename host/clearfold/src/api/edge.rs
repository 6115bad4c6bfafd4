//! The edge: requests for the routes of HTTP components, before the host's own API.

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::Request;

use super::Problem;
use clearfold_sandbox::edge::{EdgeError, EdgeHandler};
use clearfold_sandbox::manifest::Route;

/// The HTTP components by route. A component can be replaced while requests come: each request has the one that
/// answered when it came, to its end.
#[derive(Clone, Default)]
pub struct Edges(Arc<RwLock<Served>>);

/// The most specific route first. Never changed: another list takes its place, so a reader waits for nobody.
type Served = Arc<Vec<(Route, EdgeHandler)>>;

impl Edges {
    /// Components and the routes that they answer.
    #[must_use]
    pub fn new(mut handlers: Vec<(Route, EdgeHandler)>) -> Self {
        handlers.sort_by_key(|(route, _)| std::cmp::Reverse(route.precedence()));
        Self(Arc::new(RwLock::new(Arc::new(handlers))))
    }

    /// Lets `handler` answer from now on wherever the component of that id did, and says at how many routes that is.
    #[must_use]
    pub fn replace(&self, component: &str, handler: &EdgeHandler) -> usize {
        // Nothing that can panic is done under the lock, so a poisoned one holds a whole list all the same.
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

    /// The edges alone: no other path leads anywhere.
    pub fn alone(self) -> Router {
        self.in_front_of(Router::new().fallback(super::not_found))
    }

    /// What the outside sees: the edges in front of the host's own API.
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

/// What the caller hears. That all are busy, callers bring about: no error of ours, and over in a moment.
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

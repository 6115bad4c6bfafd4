//! The edge: requests for the routes of HTTP components, before the host's own API.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::Request;

use super::Problem;
use crate::manifest::Route;
use crate::runtime::edge::EdgeHandler;

/// The HTTP components by route, the most specific first.
#[derive(Clone, Default)]
pub struct Edges(Arc<Vec<(Route, EdgeHandler)>>);

impl Edges {
    /// Components and the routes that they answer.
    #[must_use]
    pub fn new(mut handlers: Vec<(Route, EdgeHandler)>) -> Self {
        handlers.sort_by_key(|(route, _)| std::cmp::Reverse(route.precedence()));
        Self(Arc::new(handlers))
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
        self.0.iter().find(|(route, _)| route.matches(path)).map(|(_, handler)| handler.clone())
    }
}

async fn answer(handler: &EdgeHandler, request: Request<Body>) -> Response {
    match handler.handle(request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(error = %crate::telemetry::chain(&error), "an edge component did not answer");
            let problem = error.problem();
            Problem::new(problem.status, "edge_failed", problem.detail).into_response()
        }
    }
}

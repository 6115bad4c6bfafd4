//! The customer's read of a payment: `GET /edge/payments/{id}`.
//!
//! A Spin HTTP component. It asks the host's API, whose address is the variable `host_url`, and shows the
//! part of a payment that is the customer's business. It never holds a database connection, and it never
//! shows where a payment comes from or its timeline. This file does the talking; what to ask for and what
//! to answer is decided in `route` and `view`, which do no I/O.

mod reply;
mod route;
mod view;

use reply::Reply;
use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{self, HeaderValue, Request, Response, StatusCode};
use spin_sdk::{http_service, variables};

#[http_service]
async fn handle(request: Request) -> Response<String> {
    let reply = match route::payment_id(request.method(), request.uri().path()) {
        Ok(id) => fetch(id).await.unwrap_or_else(|problem| problem),
        Err(refusal) => refusal,
    };
    response(reply)
}

/// Asks the host for a payment. Both sides are answers for the customer; the error is one without the host.
async fn fetch(id: &str) -> Result<Reply, Reply> {
    let host_url = variables::get("host_url").await.map_err(|error| {
        let detail = format!("The variable host_url cannot be read ({error}); set it in spin.toml.");
        Reply::problem(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })?;
    let url = format!("{}/v1/payments/{id}", host_url.trim_end_matches('/'));
    let answer = http::get(url).await.map_err(|error| unreachable_host(&error))?;

    let status = answer.status();
    let content_type = answer.headers().get("content-type").cloned();
    let content_type = content_type.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default();
    let body = answer.into_body().bytes().await.map_err(|error| unreachable_host(&error))?;
    Ok(view::reply(id, status, content_type, &body))
}

/// The code is named because it is all that an operator gets: a refused connection is another remedy than
/// a host that is missing from `allowed_outbound_hosts`.
fn unreachable_host(error: &impl std::fmt::Debug) -> Reply {
    let detail = format!("The payment service cannot be reached ({error:?}). Try again later.");
    Reply::problem(StatusCode::BAD_GATEWAY, detail)
}

fn response(reply: Reply) -> Response<String> {
    let mut response = Response::new(reply.body);
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static(reply.content_type));
    if let Some(methods) = reply.allow {
        headers.insert("allow", HeaderValue::from_static(methods));
    }
    response
}

//! HTTP component `sample`, which the host and Spin can both run. It has no database connection, and reaches only the
//! hosts that spin.toml allows it.

use spin_sdk::http::{HeaderValue, Method, Request, Response, StatusCode};
use spin_sdk::http_service;

#[http_service]
async fn handle(request: Request) -> Response<String> {
    let (status, body) = answer(request.method(), request.uri().path());
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}

/// Returns the answer to a request. It does no I/O, so that a test can call it.
fn answer(method: &Method, path: &str) -> (StatusCode, String) {
    if method != Method::GET {
        return (StatusCode::METHOD_NOT_ALLOWED, r#"{"detail":"only GET is understood here"}"#.to_owned());
    }
    (StatusCode::OK, serde_json::json!({ "path": path }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_get_is_answered() {
        assert_eq!(answer(&Method::GET, "/sample/1"), (StatusCode::OK, r#"{"path":"/sample/1"}"#.to_owned()));
        assert_eq!(answer(&Method::POST, "/sample/1").0, StatusCode::METHOD_NOT_ALLOWED);
    }
}

//! What goes back to the customer: JSON, or problem details (RFC 9457) where something is wrong.

use serde::Serialize;
use spin_sdk::http::StatusCode;

pub const JSON: &str = "application/json";
pub const PROBLEM: &str = "application/problem+json";

#[derive(Debug, PartialEq)]
pub struct Reply {
    pub status: StatusCode,
    pub content_type: &'static str,
    /// The methods that would have been right, where the method was wrong.
    pub allow: Option<&'static str>,
    pub body: String,
}

impl Reply {
    pub fn json(status: StatusCode, content: &impl Serialize) -> Self {
        // Plain structs of text and integers always have a JSON form; an empty body would only say otherwise.
        let body = serde_json::to_string(content).unwrap_or_default();
        Self { status, content_type: JSON, allow: None, body }
    }

    pub fn problem(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        let problem =
            Problem { r#type: "about:blank", title, status: status.as_u16(), detail: detail.into() };
        Self { content_type: PROBLEM, ..Self::json(status, &problem) }
    }
}

/// RFC 9457. `about:blank` says that the status tells the kind, and `detail` the rest.
#[derive(Serialize)]
struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
}

//! What goes back to the caller, JSON or problem details (RFC 9457), and what the host said.

use serde::Serialize;

pub const JSON: &str = "application/json";
pub const PROBLEM: &str = "application/problem+json";

/// An answer, before it is anybody's HTTP type.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    /// One header more, where the status wants it: `Allow`, `Retry-After`, `WWW-Authenticate`.
    pub header: Option<(&'static str, &'static str)>,
    pub body: String,
}

impl Reply {
    pub fn json(content: &impl Serialize) -> Self {
        // Plain structs of text and integers always have a JSON form; an empty body would only say otherwise.
        let body = serde_json::to_string(content).unwrap_or_default();
        Self { status: 200, content_type: JSON, header: None, body }
    }

    /// Of the type `about:blank`: the status tells the kind, and `detail` the rest.
    pub fn problem(status: u16, detail: impl Into<String>) -> Self {
        let (title, detail) = (title(status), detail.into());
        let problem = Problem { r#type: "about:blank", title, status, detail };
        Self { status, content_type: PROBLEM, ..Self::json(&problem) }
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    /// The same request may be answered a moment later.
    pub fn later(detail: impl Into<String>) -> Self {
        Self::problem(503, detail).with("retry-after", "1")
    }

    /// Nobody proved who is asking.
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::problem(401, detail)
    }

    pub fn wrong_method(allowed: &'static str) -> Self {
        Self::problem(405, format!("Use {allowed} here.")).with("allow", allowed)
    }
}

#[derive(Serialize)]
struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
}

/// The usual words for the statuses that edge components answer with.
fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Error",
    }
}

/// What the host said.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    pub status: u16,
    pub content_type: String,
    pub body: Vec<u8>,
}

impl Said {
    /// The stable code of a problem, if it is one.
    #[must_use]
    pub fn code(&self) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Coded {
            code: String,
        }
        let essence = self.content_type.split(';').next()?.trim();
        if !essence.eq_ignore_ascii_case(PROBLEM) {
            return None;
        }
        serde_json::from_slice::<Coded>(&self.body).ok().map(|coded| coded.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_its_status_and_what_to_do() {
        let reply = Reply::wrong_method("POST");
        let expected =
            r#"{"type":"about:blank","title":"Method Not Allowed","status":405,"detail":"Use POST here."}"#;
        assert_eq!((reply.status, reply.content_type, reply.body.as_str()), (405, PROBLEM, expected));
        assert_eq!(reply.header, Some(("allow", "POST")));
    }

    #[test]
    fn only_a_problem_has_a_code() {
        let said = |content_type: &str, body: &str| Said {
            status: 422,
            content_type: content_type.to_owned(),
            body: body.as_bytes().to_vec(),
        };
        let code = said("application/problem+json; charset=utf-8", r#"{"code":"not_open"}"#).code();
        assert_eq!(code.as_deref(), Some("not_open"));
        assert_eq!(said(JSON, r#"{"code":"not_open"}"#).code(), None);
        assert_eq!(said(PROBLEM, "<html>").code(), None);
    }
}

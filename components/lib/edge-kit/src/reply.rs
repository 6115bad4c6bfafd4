//! Replies to the caller, as JSON or problem details (RFC 9457), and answers of the host.

use serde::Serialize;

pub const JSON: &str = "application/json";
pub const PROBLEM: &str = "application/problem+json";

/// Host's code for an idempotency key that was already used for another command.
pub const KEY_REUSED: &str = "idempotency_key_reused";

/// Reply, independent of any HTTP library's types.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    /// Additional header that the status needs: `Allow`, `Retry-After`, `WWW-Authenticate`.
    pub header: Option<(&'static str, &'static str)>,
    pub body: String,
}

impl Reply {
    pub fn json(content: &impl Serialize) -> Self {
        // Plain structs of text and integers can always be serialized; an empty body would be the result otherwise.
        let body = serde_json::to_string(content).unwrap_or_default();
        Self { status: 200, content_type: JSON, header: None, body }
    }

    /// Creates problem details of type `about:blank`: the status gives the kind of problem, and `detail` the rest.
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

    /// Creates a 503: the same request may succeed a moment later.
    pub fn later(detail: impl Into<String>) -> Self {
        Self::problem(503, detail).with("retry-after", "1")
    }

    /// Creates a 401: the caller is not authenticated.
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

/// Returns the standard title of each status that edge components use.
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

/// Outcome of a command that was sent to the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Committed,
    /// The host refused it with that code. Nothing changed, and a repeat will be refused as well.
    Refused(String),
    /// The outcome is unknown; sending the same command again may succeed.
    Unknown,
}

/// Answer of the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    pub status: u16,
    pub content_type: String,
    pub body: Vec<u8>,
}

impl Said {
    /// Returns the outcome of a command. Only a decision about this very command is final: any other answer may come
    /// from something between the component and the host, or from a host that is not set up yet.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match (self.status, self.code()) {
            (200, _) => Outcome::Committed,
            (422, Some(code)) => Outcome::Refused(code),
            (409, Some(code)) if code == KEY_REUSED => Outcome::Refused(code),
            _ => Outcome::Unknown,
        }
    }

    /// Returns the stable code of a problem; `None` if the answer is not a problem with a code.
    #[must_use]
    pub fn code(&self) -> Option<String> {
        self.problem().map(|problem| problem.code)
    }

    /// Returns the detail of a problem with a code.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        self.problem().map(|problem| problem.detail)
    }

    fn problem(&self) -> Option<Coded> {
        let essence = self.content_type.split(';').next()?.trim();
        if !essence.eq_ignore_ascii_case(PROBLEM) {
            return None;
        }
        serde_json::from_slice(&self.body).ok()
    }
}

/// Members of a problem of the host that are read.
#[derive(serde::Deserialize)]
struct Coded {
    code: String,
    #[serde(default)]
    detail: String,
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

    fn said(status: u16, content_type: &str, body: &str) -> Said {
        Said { status, content_type: content_type.to_owned(), body: body.as_bytes().to_vec() }
    }

    #[test]
    fn only_a_decision_about_a_command_is_final() {
        let refused = |code: &str| Outcome::Refused(code.to_owned());
        for (status, code, outcome) in [
            (200, None, Outcome::Committed),
            (422, Some("not_open"), refused("not_open")),
            (409, Some(KEY_REUSED), refused(KEY_REUSED)),
            (409, Some("changed_meanwhile"), Outcome::Unknown),
            // Wrong `host_url`, a host without the decider, a stream that does not exist yet, another version.
            (404, Some("no_such_path"), Outcome::Unknown),
            (404, Some("unknown_aggregate"), Outcome::Unknown),
            (404, Some("stream_not_found"), Outcome::Unknown),
            (405, Some("method_not_allowed"), Outcome::Unknown),
            (400, Some("invalid_body"), Outcome::Unknown),
            // Answers of a proxy in front of the host.
            (401, None, Outcome::Unknown),
            (403, None, Outcome::Unknown),
            (413, None, Outcome::Unknown),
            (422, None, Outcome::Unknown),
            (429, None, Outcome::Unknown),
            (302, None, Outcome::Unknown),
            (503, Some("overloaded"), Outcome::Unknown),
        ] {
            let said = match code {
                Some(code) => said(status, PROBLEM, &format!(r#"{{"code":"{code}"}}"#)),
                None => said(status, "text/html", "<html>"),
            };
            assert_eq!(said.outcome(), outcome, "{status} {code:?}");
        }
    }

    #[test]
    fn only_a_problem_has_a_code() {
        let said = |content_type: &str, body: &str| said(422, content_type, body);
        let code = said("application/problem+json; charset=utf-8", r#"{"code":"not_open"}"#).code();
        assert_eq!(code.as_deref(), Some("not_open"));
        assert_eq!(said(JSON, r#"{"code":"not_open"}"#).code(), None);
        assert_eq!(said(PROBLEM, "<html>").code(), None);
    }
}

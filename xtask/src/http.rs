//! Questions to our own processes over local HTTP. No answer is None: they may not be up yet, or any more.

use std::sync::LazyLock;
use std::time::Duration;

static AGENT: LazyLock<ureq::Agent> = LazyLock::new(|| {
    // A proxy that the environment names is for the world outside.
    ureq::Agent::config_builder().proxy(None).timeout_global(Some(Duration::from_secs(5))).build().into()
});

/// The body of a good answer.
pub fn get(url: &str) -> Option<String> {
    AGENT.get(url).call().ok()?.body_mut().read_to_string().ok()
}

/// The body of a good answer to JSON.
pub fn post_json(url: &str, body: &str) -> Option<String> {
    let request = AGENT.post(url).header("content-type", "application/json");
    request.send(body).ok()?.body_mut().read_to_string().ok()
}

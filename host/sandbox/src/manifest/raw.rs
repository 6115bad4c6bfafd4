//! The manifest as it is written. Keys that only Spin or a person reads are ignored.

use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub struct RawManifest {
    pub application: RawApplication,
    #[serde(default)]
    pub variables: BTreeMap<String, RawVariable>,
    #[serde(default)]
    pub trigger: RawTriggers,
    #[serde(default)]
    pub component: BTreeMap<String, RawComponent>,
}

#[derive(Deserialize)]
pub struct RawApplication {
    pub name: String,
    #[serde(default)]
    pub version: String,
    #[serde(default)]
    pub trigger: RawTriggerSettings,
}

/// Content of `[application.trigger]`. Those of other trigger types are not ours.
#[derive(Default, Deserialize)]
pub struct RawTriggerSettings {
    #[serde(default)]
    pub clearfold: TriggerSettings,
}

/// Content of `[application.trigger.clearfold]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriggerSettings {
    /// Address at which the API listens under Spin.
    pub admin: Option<String>,
    /// Effects of sagas, by name.
    #[serde(default)]
    pub effects: BTreeMap<String, RawEffect>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawEffect {
    pub url: String,
    pub authorization: Option<String>,
    pub stand_in: Option<String>,
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u32,
    pub deadline_ms: Option<u32>,
    #[serde(default = "concurrency")]
    pub concurrency: u32,
}

const fn timeout_ms() -> u32 {
    500
}

const fn concurrency() -> u32 {
    64
}

#[derive(Deserialize)]
pub struct RawVariable {
    pub default: Option<String>,
    #[serde(default)]
    pub required: bool,
}

#[derive(Default, Deserialize)]
pub struct RawTriggers {
    #[serde(default)]
    pub http: Vec<RawHttpTrigger>,
    #[serde(default)]
    pub clearfold: Vec<RawHandlerTrigger>,
    #[serde(flatten)]
    pub others: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
pub struct RawHttpTrigger {
    pub route: String,
    pub component: String,
}

#[derive(Deserialize)]
pub struct RawHandlerTrigger {
    pub kind: String,
    pub component: String,
    /// Spin lets any trigger have an id.
    #[serde(rename = "id")]
    pub _id: Option<String>,
    #[serde(flatten)]
    pub keys: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
pub struct RawComponent {
    pub source: String,
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    #[serde(default)]
    pub allowed_outbound_hosts: Vec<String>,
}

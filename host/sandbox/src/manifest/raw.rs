//! The file as it is written. Keys that only Spin or a person reads are passed over.

use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub struct Manifest {
    pub application: Application,
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
    #[serde(default)]
    pub trigger: Triggers,
    #[serde(default)]
    pub component: BTreeMap<String, Component>,
}

#[derive(Deserialize)]
pub struct Application {
    pub name: String,
    #[serde(default)]
    pub version: String,
}

#[derive(Deserialize)]
pub struct Variable {
    pub default: Option<String>,
    #[serde(default)]
    pub required: bool,
}

#[derive(Default, Deserialize)]
pub struct Triggers {
    #[serde(default)]
    pub http: Vec<Http>,
    #[serde(default)]
    pub clearfold: Vec<Handler>,
    #[serde(flatten)]
    pub others: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
pub struct Http {
    pub route: String,
    pub component: String,
}

#[derive(Deserialize)]
pub struct Handler {
    pub kind: String,
    pub component: String,
    /// Spin lets any trigger have an id.
    #[serde(rename = "id")]
    pub _id: Option<String>,
    #[serde(flatten)]
    pub keys: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
pub struct Component {
    pub source: String,
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    #[serde(default)]
    pub allowed_outbound_hosts: Vec<String>,
}

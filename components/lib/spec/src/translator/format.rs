//! Format of a translator's specification file, and its validation.

use clearfold_kernel::{Hash, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::file::not_empty;
use crate::log::WrittenLog;
use crate::message::{Beside, Message};

/// Specification of a translator.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranslatorFile {
    /// Named values (YAML anchors) for use further down.
    #[serde(default, rename = "let")]
    _values: IgnoredAny,
    /// Name for the reader; a translator does not report its own.
    #[serde(rename = "translator")]
    _name: String,
    pub(super) contracts: Value,
    pub(super) transaction: Defaults,
    pub(super) cases: Cases,
}

/// Defaults for a case's transaction.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Defaults {
    pub chain_id: u64,
    pub block_number: u64,
    pub block_hash: Hash,
    pub transaction_hash: Hash,
    pub at: Timestamp,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "Vec<Case>")]
pub(super) struct Cases(pub Vec<Case>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub case: String,
    pub row: Option<String>,
    #[serde(default)]
    pub transaction: Changes,
    pub given: Vec<WrittenLog>,
    /// Pulls of the processor that the transaction executed.
    #[serde(default)]
    pub pulls: Vec<WrittenPull>,
    pub commands: Option<Vec<Message<FromLog>>>,
    pub refusals: Option<Vec<RefusedLog>>,
    pub fails: Option<String>,
}

/// Execution of a pull that the processor sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenPull {
    pub log_index: u64,
    pub payment_id: String,
    /// The first if it is absent.
    #[serde(default = "first_leg")]
    pub leg: u32,
}

const fn first_leg() -> u32 {
    1
}

/// Overrides of a case's transaction.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Changes {
    pub chain_id: Option<u64>,
    pub block_number: Option<u64>,
    pub block_hash: Option<Hash>,
    pub transaction_hash: Option<Hash>,
    pub at: Option<Timestamp>,
}

/// Expected metadata of a command; a missing member is not compared.
#[derive(Debug, Deserialize)]
pub(super) struct FromLog {
    pub log_index: Option<u64>,
    pub part: Option<u32>,
    pub aggregate: Option<String>,
    pub id: Option<String>,
    pub account: Option<String>,
}

impl Beside for FromLog {
    const MEMBERS: &'static str = "`log_index`, `part`, `aggregate`, `id` and `account`";
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefusedLog {
    pub code: String,
    pub log_index: Option<u64>,
}

impl TryFrom<Vec<Case>> for Cases {
    type Error = String;

    fn try_from(cases: Vec<Case>) -> Result<Self, String> {
        let vague =
            |case: &&Case| (case.commands.is_some() || case.refusals.is_some()) == case.fails.is_some();
        if let Some(case) = cases.iter().find(vague) {
            return Err(format!(
                "`{}` must have `commands`, `refusals` or both (a list that must be empty is `[]`), or else `fails`",
                case.case
            ));
        }
        not_empty(cases).map(Self)
    }
}

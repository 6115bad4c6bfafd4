//! Stored form of the rules: their JSON leaves absent members out, and a state's form has no names, so there every
//! field has its place.
//!
//! The compiler holds both forms together. A change here needs a new state version.

use clearfold_kernel::Amount;
use serde::{Deserialize, Serialize};

use super::limit::{Limit, Scope, Span};
use super::rules::{Allowed, Rules, Velocity};
use crate::network::{Country, MerchantCategory};
use crate::verification::CheckRules;

#[derive(Serialize, Deserialize)]
#[serde(remote = "Rules")]
pub(super) struct StoredRules {
    #[serde(with = "limits")]
    limits: Vec<Limit>,
    velocity: Vec<Velocity>,
    categories: Allowed<MerchantCategory>,
    countries: Allowed<Country>,
    checks: Option<CheckRules>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Limit")]
struct StoredLimit {
    per: Span,
    amount: Option<Amount>,
    max_count: Option<u32>,
    scope: Option<Scope>,
}

mod limits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Limit, StoredLimit};

    #[derive(Serialize, Deserialize)]
    struct Stored(#[serde(with = "StoredLimit")] Limit);

    pub(super) fn serialize<S: Serializer>(limits: &[Limit], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(limits.iter().map(|limit| Stored(limit.clone())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Limit>, D::Error> {
        let stored = Vec::<Stored>::deserialize(deserializer)?;
        Ok(stored.into_iter().map(|Stored(limit)| limit).collect())
    }
}

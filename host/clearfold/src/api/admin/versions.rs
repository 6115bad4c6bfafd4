//! `/admin/v1/handlers/saga/{name}/versions` and `…/migrate`: shows which version decides how many instances, and moves
//! them to the version in force.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use clearfold_sandbox::ComponentKind;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{AdminState, BY};
use crate::api::Problem;
use clearfold_base::digest::Digest;
use clearfold_engine::registry::{Handler, MigrationRequest};
use clearfold_views::query::VersionCounts;

/// Instances of a saga by version.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SagaVersions {
    pub saga: String,
    /// Digest of the version on which instances begin now.
    pub in_force: String,
    pub data: Vec<SagaVersion>,
}

/// Instances that began on one version.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SagaVersion {
    /// Digest of the version that decides them now: another one if they were moved.
    pub decided_by: String,
    #[serde(flatten)]
    pub counts: VersionCounts,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MigrateBody {
    /// Beginning of the digest of the version that decides the instances.
    from: String,
    expect_divergence: Option<String>,
    by: Option<String>,
    /// True to find what a migration would do, and change nothing.
    #[serde(default)]
    dry_run: bool,
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Path(saga): Path<String>,
) -> Result<Json<SagaVersions>, Problem> {
    let handler = Handler { kind: ComponentKind::Saga, name: saga.clone() };
    let now = state.operations.now(&handler).await?;
    let decided_by = |began_on: &str| {
        let moved = began_on.parse::<Digest>().ok().and_then(|digest| now.moves.get(&digest).copied());
        moved.map_or_else(|| began_on.to_owned(), |digest| digest.to_string())
    };
    let counts = state.read_store.saga_versions(&saga).await?.into_iter();
    let data =
        counts.map(|counts| SagaVersion { decided_by: decided_by(&counts.began_on), counts }).collect();
    Ok(Json(SagaVersions { saga, in_force: now.digest.to_string(), data }))
}

pub(super) async fn migrate(
    State(state): State<AdminState>,
    Path(saga): Path<String>,
    body: Result<Json<MigrateBody>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(MigrateBody { from, expect_divergence, by, dry_run }) = body?;
    let _one = state.trying.lock().await;
    if dry_run {
        let report = state.operations.verify_migration(&saga, &from, &|_| ()).await?;
        return Ok(Json(json!({ "activation": null, "report": report })));
    }
    let by = by.unwrap_or_else(|| BY.to_owned());
    let request = MigrationRequest { saga, from, by, expect_divergence };
    let (activation, report) = state.operations.migrate(&request, &|_| ()).await?;
    Ok(Json(json!({ "activation": activation, "report": report })))
}

//! `/admin/v1/components`: deploys, shows, verifies and activates components, and starts canaries.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use clearfold_kernel::Timestamp;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AdminState, BY, invalid_body};
use crate::api::Problem;
use clearfold_engine::command::Trial;
use clearfold_engine::registry::{
    ActivationRequest, ComponentSelector, ComponentView, DeployRequest, DeployedView, Overview, VerifiedView,
    Window, differing,
};
use clearfold_sandbox::ComponentKind;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeployQuery {
    /// Name of the component's file.
    name: String,
    /// Name of the handler, for a translator or an HTTP component.
    #[serde(default)]
    handler: Option<String>,
    #[serde(default)]
    revision: Option<String>,
}

/// Commands for the shadow run, and the expected result. By default the last 100,000 commands.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Past {
    last: Option<u64>,
    since_ms: Option<u64>,
    all: bool,
    expect_divergence: Option<String>,
    /// Name of the handler, for a translator or an HTTP component. Without it, the one that it was deployed for.
    handler: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CanaryBody {
    share_permille: u16,
    #[serde(default)]
    max_faults: u64,
    #[serde(default)]
    max_differences: u64,
    #[serde(default)]
    past: Past,
}

pub(super) async fn list(State(state): State<AdminState>) -> Result<Json<Overview>, Problem> {
    let mut overview = state.operations.registry.overview().await?;
    for handler in
        overview.handlers.iter_mut().filter(|handler| handler.kind == ComponentKind::Projector.as_str())
    {
        handler.build = (state.builds)(&handler.name);
    }
    Ok(Json(overview))
}

pub(super) async fn show(
    State(state): State<AdminState>,
    Path(digest): Path<String>,
) -> Result<Json<ComponentView>, Problem> {
    Ok(Json(state.operations.registry.find(&digest).await?.into()))
}

/// Takes the component as the body, and its signature, if one is required, in hexadecimal in X-Component-Signature.
pub(super) async fn deploy(
    State(state): State<AdminState>,
    query: Result<Query<DeployQuery>, QueryRejection>,
    headers: HeaderMap,
    wasm: Bytes,
) -> Result<(StatusCode, Json<DeployedView>), Problem> {
    let Query(query) = query?;
    let signature = headers.get("x-component-signature").map(|value| hex::decode(value.as_bytes()));
    let signature = signature.transpose().map_err(|_| {
        invalid_body(
            "X-Component-Signature is not hexadecimal; give the signature's 64 bytes as 128 characters",
        )
    })?;
    let deploying = DeployRequest {
        name: query.name,
        handler: query.handler,
        source_revision: query.revision,
        by: BY.to_owned(),
        signature,
    };
    let deployed = state.operations.deploy(&wasm, &deploying).await?;
    Ok((StatusCode::CREATED, Json(DeployedView::from(&deployed))))
}

pub(super) async fn diff(
    State(state): State<AdminState>,
    Path((one, other)): Path<(String, String)>,
) -> Result<Json<BTreeMap<String, [Value; 2]>>, Problem> {
    let registry = &state.operations.registry;
    Ok(Json(differing(registry.find(&one).await?, registry.find(&other).await?)?))
}

pub(super) async fn verify(
    State(state): State<AdminState>,
    Path(digest): Path<String>,
    past: Result<Json<Past>, JsonRejection>,
) -> Result<Json<VerifiedView>, Problem> {
    let Json(past) = past?;
    let _one = state.trying.lock().await;
    let verified = state.operations.verify(past.wanted(&digest), past.window()?, &|_| ()).await?;
    Ok(Json(VerifiedView::from(&verified)))
}

pub(super) async fn activate(
    State(state): State<AdminState>,
    Path(digest): Path<String>,
    past: Result<Json<Past>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(past) = past?;
    let wanted = past.wanted(&digest);
    let _one = state.trying.lock().await;
    let (activation, verified) = state.operations.activate(wanted, &past.activating()?, &|_| ()).await?;
    Ok(Json(json!({ "activation": activation, "verified": VerifiedView::from(&verified) })))
}

pub(super) async fn canary(
    State(state): State<AdminState>,
    Path(digest): Path<String>,
    body: Result<Json<CanaryBody>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(CanaryBody { share_permille: permille, max_faults, max_differences, past }) = body?;
    if !(1..1_000).contains(&permille) {
        return Err(invalid_body("share_permille must be 1 to 999, in thousandths of the accounts"));
    }
    let trial = Trial { permille, max_faults, max_differences };
    let wanted = past.wanted(&digest);
    let _one = state.trying.lock().await;
    let (activation, verified) = state.operations.canary(wanted, trial, &past.activating()?, &|_| ()).await?;
    Ok(Json(json!({ "activation": activation, "verified": VerifiedView::from(&verified) })))
}

impl Past {
    fn wanted<'a>(&'a self, digest: &'a str) -> ComponentSelector<'a> {
        ComponentSelector { digest, handler: self.handler.as_deref() }
    }

    fn window(&self) -> Result<Window, Problem> {
        /// Number of commands by default.
        const USUAL: u64 = 100_000;
        match (self.all, self.since_ms, self.last) {
            (true, None, None) => Ok(Window::All),
            (false, Some(ms), None) => {
                let since = Timestamp::from_ms(ms);
                Ok(Window::Since(
                    since.ok_or_else(|| invalid_body("since_ms is no time; give milliseconds since 1970"))?,
                ))
            }
            (false, None, Some(0)) => {
                Err(invalid_body("`last` must be 1 or more, since nothing is activated without a shadow run"))
            }
            (false, None, last) => Ok(Window::Last(last.unwrap_or(USUAL))),
            _ => Err(invalid_body("give only one of `last`, `since_ms` and `all`")),
        }
    }

    fn activating(&self) -> Result<ActivationRequest, Problem> {
        let expect_divergence = self.expect_divergence.clone();
        Ok(ActivationRequest { by: BY.to_owned(), window: self.window()?, expect_divergence })
    }
}

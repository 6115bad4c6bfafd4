//! JSON shapes of the registry, which the command line's `--json` and the admin API share.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Activation, ActivationCause, ActiveComponent, ComponentRecord, Deployed, FollowerReport, Handler, Point,
    Registry, RegistryError, Verified, fold,
};
use crate::integrity::ShadowReport;
use clearfold_base::digest::Digest;

/// Handlers with their components in force, and all deployed components.
#[derive(Debug, Serialize)]
pub struct Overview {
    pub handlers: Vec<HandlerView>,
    pub components: Vec<ComponentView>,
}

/// Handler with its component in force.
#[derive(Debug, Serialize)]
pub struct HandlerView {
    pub kind: &'static str,
    pub name: String,
    pub digest: String,
    pub activation: u64,
    pub since: String,
    pub by: String,
    pub cause: ActivationCause,
    /// Number of partitions in which a decider or projector has begun. A projector begins in all of them at once,
    /// when its rows are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begun_in: Option<usize>,
    /// Progress of the build of a projector that is not read yet, or why it failed. Only a running host knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryView>,
    /// True for a saga that is paused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_paused: bool,
}

/// Component that is tried on a share of the accounts.
#[derive(Debug, Serialize)]
pub struct CanaryView {
    pub digest: String,
    pub activation: u64,
    pub since: String,
    pub share_permille: u16,
    pub max_faults: u64,
    pub max_differences: u64,
}

/// Deployed component.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComponentView {
    pub digest: String,
    pub name: String,
    pub kind: &'static str,
    pub handler: Option<String>,
    pub wit_version: Option<String>,
    pub imports: Vec<String>,
    pub size_bytes: u64,
    pub source_revision: Option<String>,
    pub deployed_by: String,
    pub deployed_at: String,
    pub signer: Option<String>,
}

/// Outcome of a deploy.
#[derive(Debug, Serialize)]
pub struct DeployedView {
    pub digest: String,
    pub kind: &'static str,
    pub handler: String,
    pub in_force: Option<String>,
    pub newly_imports: Vec<String>,
}

/// Findings about a component before it is activated.
#[derive(Debug, Serialize)]
pub struct VerifiedView {
    pub digest: String,
    pub against: String,
    pub shadow: Option<ShadowReport>,
    pub followers: Vec<FollowerReport>,
}

/// Activation with its points.
#[derive(Debug, Serialize)]
pub struct ActivationView {
    pub activation: u64,
    pub kind: &'static str,
    pub name: String,
    pub digest: String,
    pub cause: ActivationCause,
    pub why: Option<String>,
    pub by: String,
    pub at: String,
    pub state_family: Option<String>,
    pub share_permille: Option<u16>,
    pub shadow: Option<Value>,
    /// Version whose instances the activation moves to the one in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<String>,
    /// Points of the partitions in which it is in force so far.
    pub begun: Vec<PointView>,
}

/// Last command and event of a partition before an activation is in force.
#[derive(Debug, Serialize)]
pub struct PointView {
    pub partition: u32,
    pub after_sequence: u64,
    pub after_position: u64,
}

/// Returns the fields in which two components differ, with both values.
pub fn differing(
    one: ComponentRecord,
    other: ComponentRecord,
) -> Result<BTreeMap<String, [Value; 2]>, RegistryError> {
    // Both have the same fields in the same order: they are of one type, which leaves none out.
    let fields = view_fields(one)?.into_iter().zip(view_fields(other)?);
    let differing = fields.filter(|((_, one), (_, other))| one != other);
    Ok(differing.map(|((name, one), (_, other))| (name, [one, other])).collect())
}

fn view_fields(record: ComponentRecord) -> Result<Map<String, Value>, RegistryError> {
    Ok(serde_json::from_value(serde_json::to_value(ComponentView::from(record))?)?)
}

impl Registry {
    /// Returns the components in force and all that are deployed.
    pub async fn overview(&self) -> Result<Overview, RegistryError> {
        let activations = self.activations(0).await?;
        let by_number: BTreeMap<u64, &Activation> =
            activations.iter().map(|activation| (activation.activation, activation)).collect();
        let handlers = fold(&activations);
        let mut begun = BTreeMap::<u64, usize>::new();
        for point in self.points().await? {
            *begun.entry(point.activation).or_default() += 1;
        }
        let handlers = handlers.iter().filter_map(|(handler, now)| {
            // No point is recorded: it has begun in no partition.
            let begun_in = begun.get(&now.since).copied().unwrap_or(0);
            handler_view(handler, now, &by_number, begun_in)
        });
        let handlers = handlers.collect();
        let components = self.components().await?.into_iter().map(ComponentView::from).collect();
        Ok(Overview { handlers, components })
    }

    /// Returns every activation of one handler or of all, the oldest first.
    pub async fn history(&self, only: Option<&Handler>) -> Result<Vec<ActivationView>, RegistryError> {
        let mut points = BTreeMap::<u64, Vec<PointView>>::new();
        for point in self.points().await? {
            points.entry(point.activation).or_default().push(point.into());
        }
        let activations = self.activations(0).await?.into_iter();
        let wanted =
            activations.filter(|activation| only.is_none_or(|handler| activation.handler == *handler));
        Ok(wanted
            .map(|activation| {
                let begun = points.remove(&activation.activation).unwrap_or_default();
                activation_view(activation, begun)
            })
            .collect())
    }
}

fn handler_view(
    handler: &Handler,
    now: &ActiveComponent,
    activations: &BTreeMap<u64, &Activation>,
    begun_in: usize,
) -> Option<HandlerView> {
    let since = activations.get(&now.since)?;
    let canary = now.canary.as_ref().and_then(|tried| {
        Some(CanaryView {
            digest: tried.digest.to_string(),
            activation: tried.since,
            since: activations.get(&tried.since)?.at.to_string(),
            share_permille: tried.trial.permille,
            max_faults: tried.trial.max_faults,
            max_differences: tried.trial.max_differences,
        })
    });
    Some(HandlerView {
        kind: handler.kind.as_str(),
        name: handler.name.clone(),
        digest: now.digest.to_string(),
        activation: now.since,
        since: since.at.to_string(),
        by: since.by.clone(),
        cause: since.cause,
        begun_in: handler.kind.begins_in_partitions().then_some(begun_in),
        build: None,
        canary,
        is_paused: now.is_paused,
    })
}

fn activation_view(activation: Activation, begun: Vec<PointView>) -> ActivationView {
    ActivationView {
        activation: activation.activation,
        kind: activation.handler.kind.as_str(),
        name: activation.handler.name,
        digest: activation.digest.to_string(),
        cause: activation.cause,
        why: activation.why,
        by: activation.by,
        at: activation.at.to_string(),
        state_family: activation.family.as_ref().map(Digest::to_string),
        share_permille: activation.trial.map(|trial| trial.permille),
        shadow: activation.shadow,
        moved_from: activation.moved_from.as_ref().map(Digest::to_string),
        begun,
    }
}

impl From<&Deployed> for DeployedView {
    fn from(deployed: &Deployed) -> Self {
        Self {
            digest: deployed.digest.to_string(),
            kind: deployed.handler.kind.as_str(),
            handler: deployed.handler.name.clone(),
            in_force: deployed.in_force.as_ref().map(Digest::to_string),
            newly_imports: deployed.newly_imports.clone(),
        }
    }
}

impl From<&Verified> for VerifiedView {
    fn from(verified: &Verified) -> Self {
        Self {
            digest: verified.record.digest.to_string(),
            against: verified.now.digest.to_string(),
            shadow: verified.shadow.clone(),
            followers: verified.followers.clone(),
        }
    }
}

impl From<ComponentRecord> for ComponentView {
    fn from(record: ComponentRecord) -> Self {
        Self {
            digest: record.digest.to_string(),
            name: record.name,
            kind: record.kind.as_str(),
            handler: record.handler.map(|handler| handler.name),
            wit_version: record.wit_version,
            imports: record.imports,
            size_bytes: record.size_bytes,
            source_revision: record.source_revision,
            deployed_by: record.deployed_by,
            deployed_at: record.deployed_at.to_string(),
            signer: record.signer.map(hex::encode),
        }
    }
}

impl From<Point> for PointView {
    fn from(point: Point) -> Self {
        Self {
            partition: point.partition,
            after_sequence: point.after_sequence,
            after_position: point.after_position,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clearfold_kernel::Timestamp;
    use clearfold_sandbox::ComponentKind;

    fn record(code: &[u8], revision: Option<&str>) -> ComponentRecord {
        ComponentRecord {
            digest: Digest::of(code),
            name: "card.wasm".into(),
            kind: ComponentKind::Decider,
            handler: None,
            wit_version: None,
            imports: Vec::new(),
            source_revision: revision.map(str::to_owned),
            deployed_by: "test".into(),
            deployed_at: Timestamp::from_s(0).unwrap(),
            signer: None,
            size_bytes: 1,
        }
    }

    #[test]
    fn components_differ_in_the_fields_whose_values_differ() {
        assert_eq!(differing(record(b"a", None), record(b"a", None)).unwrap(), BTreeMap::new());
        let differs = differing(record(b"a", None), record(b"b", Some("v2"))).unwrap();
        assert_eq!(differs.keys().collect::<Vec<_>>(), ["digest", "source_revision"]);
        assert_eq!(differs["source_revision"], [Value::Null, Value::from("v2")]);
    }
}

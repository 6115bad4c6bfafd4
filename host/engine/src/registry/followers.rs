//! Check of the sagas that follow a decider's streams, for each version with open instances. Before another decider is
//! activated, each version is asked to observe the events that the candidate decides otherwise: an instance stays on its
//! version for weeks, and would be parked by an event that the version cannot take in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clearfold_kernel::Timestamp;
use futures::StreamExt;
use serde::Serialize;

use super::{ActiveComponent, Handler, Operations, RegistryError, fold};
use crate::integrity::{OtherEvents, ShadowReport, next_stream};
use crate::saga::{FollowedInstance, OpenInstance, SagaLogic, began_on};
use clearfold_base::blocking::blocking;
use clearfold_base::clock::Clock;
use clearfold_base::digest::Digest;
use clearfold_base::signature::Signers;
use clearfold_base::telemetry::with_causes;
use clearfold_sandbox::{ComponentKind, Decides, Message};
use clearfold_store::StoredEvent;

/// One version of a saga, and how it takes in what a candidate decides otherwise.
#[derive(Debug, Clone, Serialize)]
pub struct FollowerReport {
    pub saga: String,
    /// Digest of the version.
    pub version: String,
    /// Number of its open instances.
    pub open: u64,
    /// Reason why the version cannot be loaded, so that it was not asked: none of its instances can be decided anyway.
    pub not_loaded: Option<String>,
    /// Number of events that it was asked to observe.
    pub events: u64,
    /// Number of those that it cannot observe, though it can observe what is in force.
    pub failed: u64,
    /// The first of them.
    pub first_failed: Option<String>,
    /// Types of events that are new with the candidate, and that the version in force observes and this one does not.
    pub unseen: Vec<String>,
}

impl FollowerReport {
    /// Returns true if the version takes in everything.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.failed == 0 && self.unseen.is_empty()
    }
}

/// Version of a saga, or the reason why it cannot be loaded.
type Version = Result<Arc<dyn SagaLogic>, String>;

/// Saga that follows the streams, with what its versions are asked about.
struct Follower {
    saga: String,
    in_force: Arc<dyn SagaLogic>,
    /// Version in force, those with open instances, and those of the instances that are asked.
    versions: BTreeMap<Digest, Version>,
    /// Numbers of open instances by the version that decides them.
    open: BTreeMap<Digest, u64>,
    /// Instances whose streams have other events, by the version that decides them.
    met: BTreeMap<Digest, Vec<(FollowedInstance, OtherEvents)>>,
}

impl Operations {
    /// Finds how the sagas that follow an aggregate take in what a candidate decides otherwise.
    pub(super) async fn followers(
        &self,
        followed: &Handler,
        in_force: &dyn Decides,
        candidate: &dyn Decides,
        shadow: &ShadowReport,
    ) -> Result<Vec<FollowerReport>, RegistryError> {
        let (known, events) = (in_force.events(), candidate.events());
        let new: Vec<String> = events.into_keys().filter(|kind| !known.contains_key(kind)).collect();
        let mut reports = Vec::new();
        let is_same = new.is_empty() && shadow.other_events.is_empty();
        if followed.kind != ComponentKind::Decider || is_same {
            return Ok(reports);
        }
        for (handler, now) in fold(&self.registry.activations(0).await?) {
            if handler.kind != ComponentKind::Saga {
                continue;
            }
            let saga = self.saga(now.digest, &Signers::default()).await?;
            if saga.follows() == followed.name {
                let follower = self.follower(&handler, &now, saga, &shadow.other_events).await?;
                let new = new.clone();
                reports.extend(blocking(move || follower.reports(&new, Clock::system().now())).await?);
            }
        }
        Ok(reports)
    }

    /// Finds the instances that are asked, and loads the versions that decide them.
    async fn follower(
        &self,
        handler: &Handler,
        now: &ActiveComponent,
        in_force: Arc<dyn SagaLogic>,
        others: &[OtherEvents],
    ) -> Result<Follower, RegistryError> {
        let open = self.open_instances(handler, now).await?;
        let mut met: BTreeMap<Digest, Vec<(FollowedInstance, OtherEvents)>> = BTreeMap::new();
        for other in others {
            let id = other.stream.strip_prefix(in_force.follows()).and_then(|rest| rest.strip_prefix('-'));
            let Some(id) = id else { continue };
            let stream = format!("{}-{id}", handler.aggregate());
            let events = self.store.streams(other.partition, std::slice::from_ref(&stream)).await?;
            let instance = FollowedInstance::fold(id, &other.routing_key, &events);
            let instance = instance.map_err(RegistryError::Unreadable)?;
            met.entry(version_of(now, &events)).or_default().push((instance, other.clone()));
        }
        let mut versions = BTreeMap::from([(now.digest, Ok(Arc::clone(&in_force)))]);
        for version in open.keys().chain(met.keys()).copied().collect::<BTreeSet<_>>() {
            if version != now.digest {
                let loaded = self.saga(version, &Signers::default()).await;
                let loaded = loaded.map(|saga| saga as _).map_err(|error| with_causes(&error));
                versions.insert(version, loaded);
            }
        }
        Ok(Follower { saga: handler.name.clone(), in_force, versions, open, met })
    }

    /// Counts the open instances by the version that decides them.
    async fn open_instances(
        &self,
        handler: &Handler,
        now: &ActiveComponent,
    ) -> Result<BTreeMap<Digest, u64>, RegistryError> {
        let (mut open, prefix) = (BTreeMap::new(), format!("{}-", handler.aggregate()));
        for partition in 0..self.store.partition_count() {
            let mut events = std::pin::pin!(self.store.events_by_stream(partition, &prefix)?.peekable());
            while let Some(events) = next_stream(events.as_mut()).await? {
                let is_open = OpenInstance::fold("", "", &events).map_err(RegistryError::Unreadable)?;
                if is_open.is_some() {
                    *open.entry(version_of(now, &events)).or_default() += 1;
                }
            }
        }
        Ok(open)
    }
}

/// Version that decides an instance; the one in force if it has not begun.
fn version_of(now: &ActiveComponent, events: &[StoredEvent]) -> Digest {
    let first = began_on(events).unwrap_or(now.digest);
    now.moves.get(&first).copied().unwrap_or(first)
}

impl Follower {
    fn reports(&self, new: &[String], now: Timestamp) -> Vec<FollowerReport> {
        let report = |(digest, version): (&Digest, &Version)| {
            let mut report = FollowerReport {
                saga: self.saga.clone(),
                version: digest.to_string(),
                open: self.open.get(digest).copied().unwrap_or(0),
                not_loaded: version.as_ref().err().cloned(),
                events: 0,
                failed: 0,
                first_failed: None,
                unseen: Vec::new(),
            };
            if let Ok(version) = version {
                let is_unseen = |kind: &&String| self.in_force.observes(kind) && !version.observes(kind);
                report.unseen = new.iter().filter(is_unseen).cloned().collect();
                for (instance, others) in self.met.get(digest).into_iter().flatten() {
                    report.compare(&**version, instance, others, now);
                }
            }
            report
        };
        self.versions.iter().map(report).collect()
    }
}

impl FollowerReport {
    /// Asks a version to observe the events of one command, as they are and as the candidate decides them.
    fn compare(
        &mut self,
        version: &dyn SagaLogic,
        instance: &FollowedInstance,
        others: &OtherEvents,
        now: Timestamp,
    ) {
        let observed = |events: &[Message]| -> Result<u64, String> {
            let observed = events.iter().filter(|event| version.observes(&event.type_));
            observed.map(|event| instance.observe(version, event, now).map(|()| 1)).sum()
        };
        // A version that cannot take in what is in force is none of the candidate's doing.
        if observed(&others.in_force).is_err() {
            return;
        }
        match observed(&others.candidate) {
            Ok(count) => self.events += count,
            Err(why) => {
                (self.events, self.failed) = (self.events + 1, self.failed + 1);
                self.first_failed.get_or_insert_with(|| format!("{}: {why}", others.stream));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saga::Spelled;

    fn events(payloads: &[&str]) -> Vec<Message> {
        let event = |payload: &&str| Message {
            type_: "Began".to_owned(),
            schema_version: 1,
            payload: payload.as_bytes().to_vec(),
        };
        payloads.iter().map(event).collect()
    }

    fn compared(in_force: &[&str], candidate: &[&str]) -> FollowerReport {
        let mut report = FollowerReport {
            saga: "spelled".to_owned(),
            version: "1".to_owned(),
            open: 1,
            not_loaded: None,
            events: 0,
            failed: 0,
            first_failed: None,
            unseen: Vec::new(),
        };
        let others = OtherEvents {
            partition: 0,
            stream: "thing-a".to_owned(),
            routing_key: "0xaa".to_owned(),
            in_force: events(in_force),
            candidate: events(candidate),
        };
        let instance = FollowedInstance::fold("a", "0xaa", &[]).unwrap();
        report.compare(&*Spelled::version(b"one"), &instance, &others, Timestamp::from_s(1).unwrap());
        report
    }

    #[test]
    fn a_version_is_held_to_what_the_candidate_changes_and_to_nothing_else() {
        let report = compared(&["c"], &["c", "cp"]);
        assert_eq!((report.events, report.failed, report.holds()), (2, 0, true));
        let report = compared(&["c"], &["trap"]);
        assert_eq!((report.events, report.failed, report.holds()), (1, 1, false));
        assert!(report.first_failed.is_some_and(|first| first.starts_with("thing-a: ")));
        // It cannot take in what is in force, whatever the candidate decides.
        assert!(compared(&["trap"], &["trap"]).holds());
    }

    #[test]
    fn a_type_that_only_the_version_in_force_observes_is_unseen() {
        let report = FollowerReport { unseen: vec!["IncrementRequested".to_owned()], ..compared(&[], &[]) };
        assert!(!report.holds());
    }
}

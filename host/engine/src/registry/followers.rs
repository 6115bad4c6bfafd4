//! Sagas that follow a decider's streams, on every version with open instances. Before another decider is activated, each
//! version is asked to observe the events that the candidate decides otherwise: an instance stays on its version for
//! weeks, and would be parked by an event that the version cannot take in.

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
use clearfold_sandbox::{ComponentKind, Decides, Message};

/// One version of a saga, and how it takes in what a candidate decides otherwise.
#[derive(Debug, Clone, Serialize)]
pub struct FollowerReport {
    pub saga: String,
    /// Digest of the version.
    pub version: String,
    /// Number of its open instances.
    pub open: u64,
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

/// Saga that follows the streams, with its versions.
struct Follower {
    handler: Handler,
    /// Aggregate of the streams.
    followed: String,
    now: ActiveComponent,
    /// Version in force, and those with open instances.
    versions: BTreeMap<Digest, Arc<dyn SagaLogic>>,
    /// Numbers of open instances by the version that decides them.
    open: BTreeMap<Digest, u64>,
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
        if new.is_empty() && shadow.other_events.is_empty() {
            return Ok(reports);
        }
        for (handler, now) in fold(&self.registry.activations(0).await?) {
            if handler.kind != ComponentKind::Saga {
                continue;
            }
            let saga = self.saga(now.digest, &Signers::default()).await?;
            if saga.follows() == followed.name {
                let follower = self.follower(handler, now, saga).await?;
                reports.extend(self.ask(follower, &new, &shadow.other_events).await?);
            }
        }
        Ok(reports)
    }

    /// Loads the versions of a saga that have open instances.
    async fn follower(
        &self,
        handler: Handler,
        now: ActiveComponent,
        in_force: Arc<dyn SagaLogic>,
    ) -> Result<Follower, RegistryError> {
        let (mut open, followed) = (BTreeMap::new(), in_force.follows().to_owned());
        let prefix = format!("{}-", handler.aggregate());
        for partition in 0..self.store.partition_count() {
            let mut events = std::pin::pin!(self.store.events_by_stream(partition, &prefix)?.peekable());
            while let Some(events) = next_stream(events.as_mut()).await? {
                let Some(first) = began_on(&events) else { continue };
                let is_open = OpenInstance::fold("", "", &events).map_err(RegistryError::Unreadable)?;
                let version = now.moves.get(&first).copied().unwrap_or(first);
                *open.entry(version).or_default() += u64::from(is_open.is_some());
            }
        }
        open.retain(|_, count| *count > 0);
        let mut versions = BTreeMap::from([(now.digest, in_force)]);
        let others: BTreeSet<Digest> =
            open.keys().filter(|version| **version != now.digest).copied().collect();
        for version in others {
            versions.insert(version, self.saga(version, &Signers::default()).await? as _);
        }
        Ok(Follower { handler, followed, now, versions, open })
    }

    /// Asks each version about the events of its own instances.
    async fn ask(
        &self,
        follower: Follower,
        new: &[String],
        others: &[OtherEvents],
    ) -> Result<Vec<FollowerReport>, RegistryError> {
        let mut met: BTreeMap<Digest, Vec<(FollowedInstance, OtherEvents)>> = BTreeMap::new();
        for other in others {
            let id = other.stream.strip_prefix(follower.followed.as_str());
            let Some(id) = id.and_then(|rest| rest.strip_prefix('-')) else { continue };
            let stream = format!("{}-{id}", follower.handler.aggregate());
            let events = self.store.streams(other.partition, std::slice::from_ref(&stream)).await?;
            let first = began_on(&events).unwrap_or(follower.now.digest);
            let version = follower.now.moves.get(&first).copied().unwrap_or(first);
            let instance =
                FollowedInstance::fold(id, &other.routing_key, &events).map_err(RegistryError::Unreadable)?;
            met.entry(version).or_default().push((instance, other.clone()));
        }
        let new = new.to_vec();
        Ok(blocking(move || follower.reports(&met, &new, Clock::system().now())).await?)
    }
}

impl Follower {
    fn reports(
        &self,
        met: &BTreeMap<Digest, Vec<(FollowedInstance, OtherEvents)>>,
        new: &[String],
        now: Timestamp,
    ) -> Vec<FollowerReport> {
        let in_force = self.versions.get(&self.now.digest);
        let report = |(digest, version): (&Digest, &Arc<dyn SagaLogic>)| {
            let is_unseen = |kind: &&String| {
                in_force.is_some_and(|in_force| in_force.observes(kind)) && !version.observes(kind)
            };
            let mut report = FollowerReport {
                saga: self.handler.name.clone(),
                version: digest.to_string(),
                open: self.open.get(digest).copied().unwrap_or(0),
                events: 0,
                failed: 0,
                first_failed: None,
                unseen: new.iter().filter(is_unseen).cloned().collect(),
            };
            for (instance, others) in met.get(digest).into_iter().flatten() {
                report.compare(&**version, instance, others, now);
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

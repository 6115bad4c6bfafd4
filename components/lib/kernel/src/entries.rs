//! Entries: the keyed part of a state, which a stream remembers by id for ever.
//!
//! The state's bytes cross the sandbox boundary with every turn, so data that grows with its stream is not part of
//! them: the host keeps it as entries and hands over those that the decider named. An entry that is used without
//! having been named is never taken for absent, because that would silently lead to a wrong decision. It is recorded
//! as a fault, and the turn fails with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reason why a state cannot be used: a fault of its decider or of the host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StateFault(pub(crate) String);

impl StateFault {
    pub(crate) fn unreadable(error: impl std::fmt::Display) -> Self {
        Self(format!("the state cannot be read or written: {error}"))
    }
}

/// One entry, in the form that crosses the sandbox boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Key, 1 to 512 bytes without control characters.
    pub key: String,
    /// Value as JSON; `None` if there is no entry under the key, or it was removed.
    pub value: Option<Vec<u8>>,
}

/// Entries of a state: all of them, when folding outside the sandbox, or the part that was named for a turn.
///
/// Two are equal if they hold the same values, whether whole or a part.
#[derive(Debug, Clone, Default)]
pub struct Entries {
    /// Values by key. A part also holds the named keys that have no value.
    values: BTreeMap<String, Option<Vec<u8>>>,
    is_part: bool,
    /// Keys whose values changed. Tracked only for a part, which hands its changes back.
    changed: BTreeSet<String>,
    /// The first fault. Later ones are ignored, since they may follow from it.
    fault: OnceLock<String>,
}

impl Entries {
    /// Creates a part from the named entries, each given once.
    pub fn part(named: impl IntoIterator<Item = Entry>) -> Self {
        let values = named.into_iter().map(|entry| (entry.key, entry.value)).collect();
        Self { values, is_part: true, ..Self::default() }
    }

    /// Returns the value under a key.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        self.read(key, self.bytes(key)?)
    }

    /// Returns true if there is a value under a key.
    pub fn contains(&self, key: &str) -> bool {
        self.bytes(key).is_some()
    }

    /// Sets the value under a key, replacing the previous one.
    pub fn set<T: Serialize>(&mut self, key: &str, value: &T) {
        match crate::json::to_vec(value) {
            Ok(bytes) => self.put(key, Some(bytes)),
            Err(error) => self.fail(|| format!("the entry `{key}` cannot be written: {error}")),
        }
    }

    /// Removes the value under a key.
    pub fn remove(&mut self, key: &str) {
        self.put(key, None);
    }

    /// Returns all values whose keys begin with `prefix`, by the rest of their keys. Only the host has all entries:
    /// for a part this is a fault.
    pub fn all<T: DeserializeOwned>(&self, prefix: &str) -> BTreeMap<String, T> {
        if self.is_part {
            self.fail(|| format!("all entries under `{prefix}` were asked for, of which only some are here"));
        }
        let from =
            self.values.range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
        let under = from.map_while(|(key, value)| Some((key, key.strip_prefix(prefix)?, value.as_deref()?)));
        under.filter_map(|(key, rest, value)| Some((rest.to_owned(), self.read(key, value)?))).collect()
    }

    /// Iterates over the existing values in their stored form.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.values.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_deref()?)))
    }

    /// Returns the entries of these keys, each once, in the form handed over for a turn.
    #[must_use]
    pub fn named(&self, keys: impl IntoIterator<Item = String>) -> Vec<Entry> {
        let keys: BTreeSet<String> = keys.into_iter().collect();
        let entry = |key: String| Entry { value: self.values.get(&key).cloned().flatten(), key };
        keys.into_iter().map(entry).collect()
    }

    /// Applies the changes that a part handed back.
    pub fn keep(&mut self, changed: impl IntoIterator<Item = Entry>) {
        changed.into_iter().for_each(|entry| self.put(&entry.key, entry.value));
    }

    /// Returns the entries that changed in a part, each once, or its first fault.
    pub fn changes(self) -> Result<Vec<Entry>, StateFault> {
        let Self { mut values, changed, fault, .. } = self;
        match fault.into_inner() {
            Some(fault) => Err(StateFault(fault)),
            None => Ok(changed
                .into_iter()
                .map(|key| Entry { value: values.remove(&key).flatten(), key })
                .collect()),
        }
    }

    fn bytes(&self, key: &str) -> Option<&[u8]> {
        let value = self.values.get(key);
        if value.is_none() && self.is_part {
            self.fail(|| not_named(key));
        }
        value?.as_deref()
    }

    fn read<T: DeserializeOwned>(&self, key: &str, bytes: &[u8]) -> Option<T> {
        let value = serde_json::from_slice(bytes);
        value.map_err(|error| self.fail(|| format!("the entry `{key}` cannot be read: {error}"))).ok()
    }

    fn put(&mut self, key: &str, value: Option<Vec<u8>>) {
        match (self.values.get_mut(key), value) {
            (Some(known), value) if self.is_part => {
                if *known != value {
                    *known = value;
                    self.changed.insert(key.to_owned());
                }
            }
            (None, _) if self.is_part => self.fail(|| not_named(key)),
            (_, None) => drop(self.values.remove(key)),
            (_, value) => drop(self.values.insert(key.to_owned(), value)),
        }
    }

    fn fail(&self, why: impl FnOnce() -> String) {
        self.fault.get_or_init(why);
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Entries {}

fn not_named(key: &str) -> String {
    format!("the entry `{key}` is needed, but `keys` did not name it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Entries {
        let mut whole = Entries::default();
        whole.set("a/1", &1);
        whole.set("a/2", &2);
        whole.set("b/1", &3);
        whole
    }

    fn part(keys: &[&str]) -> Entries {
        Entries::part(whole().named(keys.iter().map(ToString::to_string)))
    }

    fn entry(key: &str, value: Option<&str>) -> Entry {
        Entry { key: key.into(), value: value.map(Into::into) }
    }

    #[test]
    fn a_part_hands_back_what_changed_each_once() {
        let mut part = part(&["a/1", "a/2", "b/1", "c/1"]);
        assert_eq!(
            (part.get::<u8>("a/1"), part.get::<u8>("c/1"), part.contains("c/1")),
            (Some(1), None, false)
        );
        part.set("a/1", &4);
        part.set("a/1", &5);
        part.set("a/2", &2);
        part.remove("b/1");
        part.remove("c/1");
        assert_eq!((part.get::<u8>("a/1"), part.get::<u8>("b/1")), (Some(5), None));
        let changes = part.changes().unwrap();
        assert_eq!(changes, [entry("a/1", Some("5")), entry("b/1", None)]);
        let mut whole = whole();
        whole.keep(changes);
        assert_eq!(whole.iter().collect::<Vec<_>>(), [("a/1", &b"5"[..]), ("a/2", &b"2"[..])]);
        assert_eq!(whole.all::<u8>("a/"), BTreeMap::from([("1".to_owned(), 5), ("2".to_owned(), 2)]));
    }

    #[test]
    fn what_was_not_named_is_a_fault_however_it_is_used() {
        let uses: [fn(&mut Entries); 4] = [
            |part| assert_eq!(part.get::<u8>("a/2"), None),
            |part| assert!(!part.contains("a/2")),
            |part| part.set("a/2", &2),
            |part| part.remove("a/2"),
        ];
        for used in uses {
            let mut part = part(&["a/1"]);
            used(&mut part);
            let fault = part.changes().unwrap_err();
            assert_eq!(fault.to_string(), "the entry `a/2` is needed, but `keys` did not name it");
        }
        let part = part(&["a/1"]);
        part.all::<u8>("a/");
        assert!(part.changes().unwrap_err().to_string().starts_with("all entries under `a/` were asked for"));
    }

    #[test]
    fn a_value_that_cannot_be_read_is_a_fault_and_not_absent() {
        let part = Entries::part([entry("a/1", Some("true"))]);
        assert_eq!(part.get::<u8>("a/1"), None);
        assert!(part.changes().unwrap_err().to_string().starts_with("the entry `a/1` cannot be read: "));
    }

    #[test]
    fn two_are_equal_if_they_hold_the_same() {
        let mut other = part(&["a/1", "a/2", "b/1", "c/1"]);
        assert_eq!(other, whole());
        other.set("c/1", &1);
        assert_ne!(other, whole());
    }
}

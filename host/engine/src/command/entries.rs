//! Entries of a stream's state that are in memory: those that changed behind the newest snapshot.
//!
//! A snapshot takes these changes into the database, and from then on they are looked up there when a command names
//! them. So the memory is bounded by how often snapshots are taken, not by the stream's length.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clearfold_sandbox::Entry;

/// Values of entries by key; `None` for a removed one.
pub(super) type Values = BTreeMap<String, Option<Vec<u8>>>;

/// Changed entries, layer by layer. Cloning copies no value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entries {
    layers: Vec<Arc<Layer>>,
    /// Version of the newest persisted snapshot; 0 means none, so all entries are in memory.
    snapshot_version: u64,
}

/// Entries that changed on the way to one version of the stream.
#[derive(Debug, PartialEq, Eq)]
struct Layer {
    version: u64,
    values: Values,
    /// Memory in bytes, roughly.
    bytes: usize,
}

impl Layer {
    fn new(version: u64, changed: Vec<Entry>) -> Self {
        const OVERHEAD: usize = 64;
        let bytes = |entry: &Entry| OVERHEAD + entry.key.len() + entry.value.as_ref().map_or(0, Vec::len);
        let bytes = changed.iter().map(bytes).sum();
        let values = changed.into_iter().map(|entry| (entry.key, entry.value)).collect();
        Self { version, values, bytes }
    }
}

impl Entries {
    /// No changes yet behind a persisted snapshot.
    pub(super) fn behind_snapshot(version: u64) -> Self {
        Self { layers: Vec::new(), snapshot_version: version }
    }

    /// Version of the newest persisted snapshot; 0 if all entries are in memory.
    pub(super) fn snapshot_version(&self) -> u64 {
        self.snapshot_version
    }

    /// Adds the entries that changed on the way to a version.
    pub(super) fn change(&mut self, version: u64, changed: Vec<Entry>) {
        if !changed.is_empty() {
            self.layers.push(Arc::new(Layer::new(version, changed)));
        }
    }

    /// Returns true if the newest value of an entry, or its absence, is known without the database.
    pub(super) fn know(&self, key: &str) -> bool {
        self.snapshot_version == 0 || self.layers.iter().any(|layer| layer.values.contains_key(key))
    }

    /// Entries to hand to the component, each once: with the value in memory, else with the stored one.
    pub(super) fn named(&self, keys: BTreeSet<&String>, stored: &Values) -> Vec<Entry> {
        let newest = |key: &String| {
            let changed = self.layers.iter().rev().find_map(|layer| layer.values.get(key));
            changed.or_else(|| stored.get(key)).cloned().flatten()
        };
        keys.into_iter().map(|key| Entry { key: key.clone(), value: newest(key) }).collect()
    }

    /// Entries that changed behind a version.
    pub(super) fn behind(&self, version: u64) -> Values {
        let layers = self.layers.iter().filter(|layer| layer.version > version);
        layers.flat_map(|layer| layer.values.clone()).collect()
    }

    /// Forgets the changes that a committed snapshot of a version holds.
    pub(super) fn forget(&mut self, version: u64) {
        self.layers.retain(|layer| layer.version > version);
        self.snapshot_version = version;
    }

    /// Memory in bytes, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.layers.iter().map(|layer| layer.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: Option<&str>) -> Entry {
        Entry { key: key.into(), value: value.map(Into::into) }
    }

    #[test]
    fn the_newest_change_counts_and_what_did_not_change_is_looked_up() {
        let mut entries = Entries::default();
        entries.change(1, vec![entry("a", Some("1")), entry("b", Some("1"))]);
        entries.change(2, vec![entry("a", None)]);
        let stored = |key: &str| (key.to_owned(), Some(b"stored".to_vec()));
        let stored = Values::from([stored("a"), stored("c")]);
        let keys = ["a", "b", "c", "d"].map(str::to_owned);
        let named = entries.named(keys.iter().collect(), &stored);
        let expected =
            [entry("a", None), entry("b", Some("1")), entry("c", Some("stored")), entry("d", None)];
        assert_eq!(format!("{named:?}"), format!("{expected:?}"));
        assert!(entries.know("c"), "without a snapshot there is no other place");
        entries.forget(1);
        assert!(entries.know("a") && !entries.know("c"));
    }

    #[test]
    fn a_snapshot_takes_what_changed_behind_the_one_before() {
        let mut entries = Entries::default();
        entries.change(3, vec![entry("a", Some("1"))]);
        entries.change(5, vec![entry("b", Some("2"))]);
        entries.change(7, vec![entry("b", Some("3"))]);
        assert_eq!(entries.behind(3), Values::from([("b".into(), Some(b"3".to_vec()))]));
        entries.forget(5);
        assert_eq!(entries.behind(0), Values::from([("b".into(), Some(b"3".to_vec()))]));
    }
}

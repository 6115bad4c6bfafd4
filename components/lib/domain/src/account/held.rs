//! Entry of a hold: what is set aside for a payment, and the money that moved for it.
//!
//! The part of the pulled money that is neither held nor captured, and did not come back, is owed back: the customer's
//! money at the issuer. On chain it comes back as a transfer that looks like a refund ([`refund`](super::refund)).
//! Funding may be booked before or without a hold, and in another asset.

use std::collections::{BTreeMap, BTreeSet};

use clearfold_kernel::{Amount, Asset, ExternalId, Minor};
use serde::{Deserialize, Serialize};

use super::hold::Hold;
use super::state::Books;

/// Prefix of the entry keys of holds.
pub(super) const HELD: &str = "held/";

/// Hold of a payment, and its money.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    /// State of the hold; absent if only money moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Money that moved for the payment, by asset code.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    moved: BTreeMap<String, Moved>,
}

/// Money that moved for a payment in one asset, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Moved {
    /// Sum of the funding legs that are in a block.
    #[serde(default, skip_serializing_if = "Minor::is_zero")]
    pulled: Minor,
    /// Part of the pulled money that came back to the Safe.
    #[serde(default, skip_serializing_if = "Minor::is_zero")]
    returned: Minor,
    /// Sum of the clearings, against the hold and beyond it, without what was taken back.
    #[serde(default, skip_serializing_if = "Minor::is_zero")]
    captured: Minor,
}

impl Moved {
    /// Returns what was pulled and did not come back. A block that is reorganized away can leave less than nothing, and
    /// so can a return that is booked before the pull.
    fn kept(self) -> Minor {
        self.pulled.excess_over(self.returned)
    }
}

impl Held {
    /// Returns the amount that is set aside in an asset.
    fn remaining(&self, code: &str) -> Minor {
        let held = self.hold.as_ref().and_then(Hold::remaining);
        held.filter(|held| held.asset.code == code).map_or(Minor::ZERO, |held| held.minor)
    }

    /// Returns the amount of an asset that was pulled, did not come back, and is neither held nor captured.
    fn owed_back(&self, code: &str) -> Minor {
        let moved = self.moved.get(code).copied().unwrap_or_default();
        moved.kept().excess_over(moved.captured).excess_over(self.remaining(code))
    }

    /// Returns true if nothing is held, and nothing is captured that was not taken back.
    pub(super) fn is_over(&self) -> bool {
        let is_held = self.hold.as_ref().and_then(Hold::remaining).is_some();
        !is_held && self.moved.values().all(|moved| moved.captured == Minor::ZERO)
    }

    /// Returns the amount of an asset that is held or captured, and not pulled.
    pub(super) fn due(&self, code: &str) -> Minor {
        let moved = self.moved.get(code).copied().unwrap_or_default();
        let owed = self.remaining(code).plus(moved.captured);
        owed.map_or(Minor::LARGEST_AMOUNT, |owed| owed.excess_over(moved.kept()))
    }

    /// Adds the amount of a leg that is in a block.
    pub(super) fn pulled(&mut self, asset: &Asset, minor: Minor) -> Option<()> {
        let moved = self.moved(asset);
        moved.pulled = moved.pulled.plus(minor).ok()?;
        Some(())
    }

    /// Subtracts the amount of a leg whose block was reorganized away.
    pub(super) fn reorged(&mut self, asset: &Asset, minor: Minor) -> Option<()> {
        let moved = self.moved(asset);
        moved.pulled = moved.pulled.minus(minor).ok()?;
        Some(())
    }

    /// Returns true if at least that amount was pulled.
    pub(super) fn has_pulled(&self, amount: &Amount) -> bool {
        self.moved.get(&amount.asset.code).is_some_and(|moved| moved.pulled >= amount.minor)
    }

    /// Adds the amount of a clearing.
    pub(super) fn captured(&mut self, asset: &Asset, minor: Minor) -> Option<()> {
        let moved = self.moved(asset);
        moved.captured = moved.captured.plus(minor).ok()?;
        Some(())
    }

    /// Returns true if at least that amount was claimed, and not taken back.
    pub(super) fn has_captured(&self, amount: &Amount) -> bool {
        self.moved.get(&amount.asset.code).is_some_and(|moved| moved.captured >= amount.minor)
    }

    /// Subtracts the amount of a clearing that the network took back.
    pub(super) fn taken_back(&mut self, asset: &Asset, minor: Minor) -> Option<()> {
        let moved = self.moved(asset);
        moved.captured = moved.captured.minus(minor).ok()?;
        Some(())
    }

    /// Counts money that came back to the Safe, as the payment counts it.
    pub(super) fn came_back(&mut self, asset: &Asset, minor: Minor) -> Option<()> {
        let moved = self.moved(asset);
        moved.returned = moved.returned.plus(minor).ok()?;
        Some(())
    }

    /// Counts money that came back to the Safe, in an event of an earlier version: no more than is kept by then. Returns
    /// the rest, which was none of this payment's.
    pub(super) fn returned(&mut self, asset: &Asset, minor: Minor) -> Option<Minor> {
        let moved = self.moved(asset);
        let counted = minor.min(moved.kept());
        moved.returned = moved.returned.plus(counted).ok()?;
        Some(minor.excess_over(counted))
    }

    fn moved(&mut self, asset: &Asset) -> &mut Moved {
        self.moved.entry(asset.code.clone()).or_default()
    }

    fn codes(&self) -> impl Iterator<Item = &String> {
        let held = self.hold.as_ref().and_then(Hold::remaining);
        self.moved.keys().chain(held.map(|held| &held.asset.code))
    }
}

impl Books {
    /// Returns the entry of a hold, empty if nothing happened under its id.
    pub(super) fn held(&self, hold_id: &ExternalId) -> Held {
        self.entries.get(&held_key(hold_id)).unwrap_or_default()
    }

    /// Stores an entry together with the sums over all entries, so that they never diverge. Returns `None`, and stores
    /// nothing, if a sum does not fit.
    pub(super) fn become_held(&mut self, hold_id: &ExternalId, held: &Held) -> Option<()> {
        let before = self.held(hold_id);
        let codes: BTreeSet<&String> = before.codes().chain(held.codes()).collect();
        let sums = codes.into_iter().map(|code| {
            let pending = moved(&self.pending, code, before.remaining(code), held.remaining(code))?;
            let owed_back = moved(&self.owed_back, code, before.owed_back(code), held.owed_back(code))?;
            Some((code, pending, owed_back))
        });
        for (code, pending, owed_back) in sums.collect::<Option<Vec<_>>>()? {
            set(&mut self.pending, code, pending);
            set(&mut self.owed_back, code, owed_back);
        }
        self.entries.set(&held_key(hold_id), held);
        Some(())
    }
}

/// Key of the entry that keeps a hold.
pub(super) fn held_key(hold_id: &ExternalId) -> String {
    format!("{HELD}{hold_id}")
}

/// Computes a sum over all entries after one of them changed.
fn moved(sums: &BTreeMap<String, Minor>, code: &str, before: Minor, after: Minor) -> Option<Minor> {
    sums.get(code).copied().unwrap_or_default().minus(before).ok()?.plus(after).ok()
}

/// Stores a sum. A sum that was never above zero has no place in the state.
pub(super) fn set(sums: &mut BTreeMap<String, Minor>, code: &str, sum: Minor) {
    if let Some(known) = sums.get_mut(code) {
        *known = sum;
    } else if sum > Minor::ZERO {
        sums.insert(code.to_owned(), sum);
    }
}
